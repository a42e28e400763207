//! The fields of a profile one by one, for update masks and for what an audit event says changed.

use crate::domain::audit::Text;
use crate::domain::peer::{MailFormat, Profile, TwoFactor};

/// One field of a profile.
#[derive(Debug, Clone, Copy)]
pub struct ProfileField {
    /// Its path on the wire.
    pub path: &'static str,
    privacy: Privacy,
    show: fn(&Profile) -> String,
    copy: fn(&Profile, &mut Profile),
}

/// Whether a value says who someone is, so that it must be erasable from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privacy {
    Public,
    Personal,
}

impl ProfileField {
    /// Takes this field of one profile over into another.
    pub fn copy(&self, from: &Profile, to: &mut Profile) {
        (self.copy)(from, to);
    }

    /// Whether the field says something.
    #[must_use]
    pub fn is_set(&self, profile: &Profile) -> bool {
        (self.show)(profile) != (self.show)(&Profile::default())
    }

    /// The value as an audit event holds it; nothing of a field that is not set.
    pub(super) fn text(&self, profile: &Profile) -> Option<Text> {
        self.is_set(profile).then(|| match self.privacy {
            Privacy::Public => Text::public((self.show)(profile)),
            Privacy::Personal => Text::personal((self.show)(profile)),
        })
    }
}

macro_rules! field {
    ($path:literal, $field:ident, $privacy:ident, $show:expr) => {
        ProfileField {
            path: $path,
            privacy: Privacy::$privacy,
            show: |profile| $show(&profile.$field),
            copy: |from, to| to.$field.clone_from(&from.$field),
        }
    };
    ($path:literal, $field:ident) => {
        field!($path, $field, Personal, String::clone)
    };
}

/// Every field of a profile.
pub const PROFILE_FIELDS: &[ProfileField] = &[
    field!("first_name", first_name),
    field!("last_name", last_name),
    field!("display_name", display_name),
    field!("company_name", company_name),
    field!("email", email),
    field!("secondary_email", secondary_email),
    field!("mail_format", mail_format, Public, mail_format),
    field!("two_factor_provider", two_factor, Public, two_factor),
    field!("require_external_login", require_external_login, Public, bool::to_string),
    field!("password_never_expires", password_never_expires, Public, bool::to_string),
    field!("org_user", org_user),
    field!("address.street_address", street_address),
    field!("address.city", city),
    field!("address.country", country),
    field!("address.region", region),
    field!("address.postal_code", postal_code),
    field!("phone_number", phone_number),
    field!("mobile_phone", mobile_phone),
    field!("fax", fax),
    field!("language", language),
    field!("time_zone", time_zone),
];

fn mail_format(format: &MailFormat) -> String {
    match format {
        MailFormat::Html => "HTML",
        MailFormat::PlainText => "PLAIN_TEXT",
    }
    .to_owned()
}

fn two_factor(provider: &TwoFactor) -> String {
    match provider {
        TwoFactor::None => "NONE",
        TwoFactor::Email => "EMAIL",
        TwoFactor::Totp => "TOTP",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_profile_is_listed() {
        // A pattern without `..` names every field, so that a new one is not forgotten here.
        let Profile {
            first_name: _,
            last_name: _,
            display_name: _,
            company_name: _,
            email: _,
            secondary_email: _,
            mail_format: _,
            two_factor: _,
            require_external_login: _,
            password_never_expires: _,
            org_user: _,
            street_address: _,
            city: _,
            country: _,
            region: _,
            postal_code: _,
            phone_number: _,
            mobile_phone: _,
            fax: _,
            language: _,
            time_zone: _,
        } = Profile::default();
        assert_eq!(PROFILE_FIELDS.len(), 21);
    }

    #[test]
    fn a_field_is_copied_alone() {
        let from =
            Profile { city: "Bern".into(), two_factor: TwoFactor::Totp, fax: "+41 1".into(), ..Profile::default() };
        let mut to = Profile::default();
        for field in PROFILE_FIELDS.iter().filter(|field| field.path != "fax") {
            field.copy(&from, &mut to);
        }
        assert_eq!(to, Profile { fax: String::new(), ..from });
    }
}
