//! The fields of a profile as requests spell them, each read by itself.

use crate::domain::contact::{self, POSTAL_CODE_MAX};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{EMAIL_MAX, FIELD_MAX, MailFormat, NAME_MAX, Profile, TwoFactor};
use crate::domain::text;
use crate::transport::grpc::convert::Fields;
use crate::transport::grpc::pb;

/// Reads those fields of a profile that are asked for; the others stay empty.
pub(super) fn profile(fields: &mut Fields, at: &str, peer: &pb::Peer, is_asked: impl Fn(&str) -> bool) -> Profile {
    let empty = pb::PostalAddress::default();
    let address = peer.address.as_ref().unwrap_or(&empty);
    let mut read = |path: &str, value: &str, parse: &dyn Fn(&str) -> Result<String, Invalid>| {
        let value = if value.is_empty() || !is_asked(path) { Ok(String::new()) } else { parse(value) };
        fields.take(format!("{at}.{path}"), value).unwrap_or_default()
    };
    let line = |max: usize| move |value: &str| text::optional_line(value, max);
    let email = |value: &str| contact::email(value, EMAIL_MAX);
    let mut profile = Profile {
        first_name: read("first_name", &peer.first_name, &line(NAME_MAX)),
        last_name: read("last_name", &peer.last_name, &line(NAME_MAX)),
        display_name: read("display_name", &peer.display_name, &line(NAME_MAX)),
        company_name: read("company_name", &peer.company_name, &line(NAME_MAX)),
        email: read("email", &peer.email, &email),
        secondary_email: read("secondary_email", &peer.secondary_email, &email),
        org_user: read("org_user", &peer.org_user, &line(FIELD_MAX)),
        street_address: read("address.street_address", &address.street_address, &line(FIELD_MAX)),
        city: read("address.city", &address.city, &line(NAME_MAX)),
        country: read("address.country", &address.country, &contact::country),
        region: read("address.region", &address.region, &contact::region),
        postal_code: read("address.postal_code", &address.postal_code, &line(POSTAL_CODE_MAX)),
        phone_number: read("phone_number", &peer.phone_number, &contact::phone),
        mobile_phone: read("mobile_phone", &peer.mobile_phone, &contact::phone),
        fax: read("fax", &peer.fax, &contact::phone),
        language: read("language", &peer.language, &contact::language),
        time_zone: read("time_zone", &peer.time_zone, &contact::time_zone),
        require_external_login: peer.require_external_login,
        password_never_expires: peer.password_never_expires,
        ..Profile::default()
    };
    let region = contact::check_region(&profile.country, &profile.region);
    fields.take(format!("{at}.address.region"), region);
    if is_asked("mail_format") {
        profile.mail_format =
            fields.take(format!("{at}.mail_format"), mail_format(peer.mail_format)).unwrap_or_default();
    }
    if is_asked("two_factor_provider") {
        let provider = two_factor(peer.two_factor_provider);
        profile.two_factor = fields.take(format!("{at}.two_factor_provider"), provider).unwrap_or_default();
    }
    profile
}

fn mail_format(format: i32) -> Result<MailFormat, Invalid> {
    match pb::MailFormat::try_from(format) {
        Ok(pb::MailFormat::Unspecified | pb::MailFormat::Html) => Ok(MailFormat::Html),
        Ok(pb::MailFormat::PlainText) => Ok(MailFormat::PlainText),
        Err(_) => Err(Invalid::Unknown { choices: "HTML, PLAIN_TEXT" }),
    }
}

fn two_factor(provider: i32) -> Result<TwoFactor, Invalid> {
    match pb::TwoFactorProvider::try_from(provider) {
        Ok(pb::TwoFactorProvider::Unspecified | pb::TwoFactorProvider::None) => Ok(TwoFactor::None),
        Ok(pb::TwoFactorProvider::Email) => Ok(TwoFactor::Email),
        Ok(pb::TwoFactorProvider::Totp) => Ok(TwoFactor::Totp),
        Err(_) => Err(Invalid::Unknown { choices: "NONE, EMAIL, TOTP" }),
    }
}
