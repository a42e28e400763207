//! Peers on the wire: what requests say of them. What is answered: `show`.

mod list;
mod show;

pub use list::list;
pub use show::to_pb;

use super::{Fields, mask};
use crate::application::peers::{Access, CreatePeer, PROFILE_FIELDS, Patch, UpdatePeer};
use crate::domain::binding::JUSTIFICATION_MAX;
use crate::domain::contact::{self, POSTAL_CODE_MAX};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{
    EMAIL_MAX, FIELD_MAX, MailFormat, NAME_MAX, PeerKind, PeerRef, PeerStatus, Profile, TwoFactor, UserName,
};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::transport::grpc::pb;

/// The most accounts that a new peer is for.
const ACCESS_MAX: usize = 1000;
/// What can be changed of a peer, beside the fields of its profile.
const OWN_PATHS: &[&str] = &["user_name", "expire_time", "person"];
/// The paths of [`OWN_PATHS`], of every field of a profile, and of the address as a whole.
static PATHS: std::sync::LazyLock<Vec<&'static str>> = std::sync::LazyLock::new(|| {
    let profile = PROFILE_FIELDS.iter().map(|field| field.path);
    OWN_PATHS.iter().copied().chain(["address"]).chain(profile).collect()
});
/// What every new peer comes with, whichever method makes it.
#[derive(Debug)]
pub struct PeerInput {
    pub user_name: UserName,
    pub kind: PeerKind,
    pub profile: Profile,
    pub expire_time: Option<Timestamp>,
    pub person: Option<PeerRef>,
}

/// Reads a new peer, all but its home; `at` is the path of the message.
pub fn input(fields: &mut Fields, at: &str, peer: &pb::Peer, now: Timestamp) -> Option<PeerInput> {
    let user_name = fields.required(format!("{at}.user_name"), &peer.user_name, UserName::parse);
    let kind = fields.take(format!("{at}.kind"), kind(peer.kind));
    let profile = profile(fields, at, peer, |_| true);
    let expire_time = fields.time(format!("{at}.expire_time"), peer.expire_time.as_ref());
    if let Some(Some(end)) = expire_time
        && end <= now
    {
        fields.refuse(format!("{at}.expire_time"), Invalid::Order { other: "the current time" });
    }
    let person = fields.optional(format!("{at}.person"), &peer.person, super::peer_name);
    Some(PeerInput { user_name: user_name?, kind: kind?, profile, expire_time: expire_time?, person: person? })
}

/// Reads a wish for a peer.
pub fn create(fields: &mut Fields, request: &pb::CreatePeerRequest, now: Timestamp) -> Option<CreatePeer> {
    let home_and_input = match &request.peer {
        Some(peer) => {
            let home = fields.required("peer.home_account", &peer.home_account, super::account_name);
            home.zip(input(fields, "peer", peer, now))
        }
        None => {
            fields.refuse("peer", Invalid::Missing);
            None
        }
    };
    let role = fields.required("role", &request.role, super::role_name);
    let access = access(fields, request.access.as_ref());
    let justification = fields.take("justification", text::paragraph(&request.justification, JUSTIFICATION_MAX));
    fields.unsupported("send_invitation", request.send_invitation);
    fields.unsupported("password", !request.password.is_empty());
    fields.unsupported("confirm_password", !request.confirm_password.is_empty());
    let (home, input) = home_and_input?;
    Some(CreatePeer {
        user_name: input.user_name,
        kind: input.kind,
        home,
        profile: input.profile,
        expire_time: input.expire_time,
        person: input.person,
        status: if request.disabled { PeerStatus::Disabled } else { PeerStatus::Enabled },
        role: role?,
        access: access?,
        justification: justification?,
    })
}

fn access(fields: &mut Fields, access: Option<&pb::PeerAccess>) -> Option<Access> {
    let list = match access.and_then(|access| access.scope.as_ref()) {
        Some(pb::peer_access::Scope::All(true)) => return Some(Access::All),
        Some(pb::peer_access::Scope::All(false)) => {
            fields.refuse("access.all", Invalid::NotAllowed { why: "it is true, or left out" });
            return None;
        }
        Some(pb::peer_access::Scope::Accounts(list)) => &list.accounts,
        None => {
            fields.refuse("access", Invalid::Missing);
            return None;
        }
    };
    if list.is_empty() {
        fields.refuse("access.accounts.accounts", Invalid::Empty);
        return None;
    }
    if list.len() > ACCESS_MAX {
        fields.refuse("access.accounts.accounts", Invalid::TooMany { max: ACCESS_MAX });
        return None;
    }
    let mut accounts = Vec::with_capacity(list.len());
    let mut known = std::collections::BTreeSet::new();
    for (place, name) in list.iter().enumerate() {
        let path = format!("access.accounts.accounts[{place}]");
        if !known.insert(name) {
            fields.refuse(path, Invalid::Duplicate { value: name.chars().take(FIELD_MAX).collect() });
            continue;
        }
        accounts.extend(fields.required(path, name, super::account_name));
    }
    (accounts.len() == list.len()).then_some(Access::Accounts(accounts))
}

fn kind(kind: i32) -> Result<PeerKind, Invalid> {
    match pb::PeerKind::try_from(kind) {
        Ok(pb::PeerKind::Person) => Ok(PeerKind::Person),
        Ok(pb::PeerKind::Device) => Ok(PeerKind::Device),
        Ok(pb::PeerKind::Integration) => Ok(PeerKind::Integration),
        Ok(pb::PeerKind::Unspecified) => Err(Invalid::Missing),
        Err(_) => Err(Invalid::Unknown { choices: "PERSON, DEVICE, INTEGRATION" }),
    }
}

/// Reads those fields of a profile that are asked for; the others stay empty.
fn profile(fields: &mut Fields, at: &str, peer: &pb::Peer, is_asked: impl Fn(&str) -> bool) -> Profile {
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
        region: read("address.region", &address.region, &line(NAME_MAX)),
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

/// Reads a change of a peer.
pub fn update(fields: &mut Fields, request: &pb::UpdatePeerRequest) -> Option<UpdatePeer> {
    let Some(peer) = &request.peer else {
        fields.refuse("peer", Invalid::Missing);
        return None;
    };
    let name = fields.required("peer.name", &peer.name, super::peer_name);
    let etag = fields.take("peer.etag", super::etag(&peer.etag));
    let mask = mask::update(fields, request.update_mask.as_ref(), &PATHS, |path| is_populated(peer, path))?;
    let profile = profile(fields, "peer", peer, |path| mask.has(path));
    let user_name = if mask.has("user_name") {
        fields.required("peer.user_name", &peer.user_name, UserName::parse).map(Some)
    } else {
        Some(None)
    };
    let expire_time = if mask.has("expire_time") {
        fields.time("peer.expire_time", peer.expire_time.as_ref()).map(Some)
    } else {
        Some(None)
    };
    let person = if mask.has("person") {
        fields.optional("peer.person", &peer.person, super::peer_name).map(Some)
    } else {
        Some(None)
    };
    let kind = if peer.kind == 0 { Some(None) } else { fields.take("peer.kind", kind(peer.kind)).map(Some) };
    let home = fields.optional("peer.home_account", &peer.home_account, super::account_name);
    let patch = Patch {
        user_name: user_name?,
        profile,
        fields: PROFILE_FIELDS.iter().filter(|field| mask.has(field.path)).copied().collect(),
        expire_time: expire_time?,
        person: person?,
        kind: kind?,
        home: home?,
    };
    Some(UpdatePeer { peer: name?, etag: etag?, patch })
}

/// Whether a message says something about a field, so that it changes where there is no mask.
fn is_populated(peer: &pb::Peer, path: &str) -> bool {
    match path {
        "user_name" => !peer.user_name.is_empty(),
        "expire_time" => peer.expire_time.is_some(),
        "person" => !peer.person.is_empty(),
        "mail_format" => peer.mail_format != 0,
        "two_factor_provider" => peer.two_factor_provider != 0,
        "require_external_login" => peer.require_external_login,
        "password_never_expires" => peer.password_never_expires,
        "first_name" => !peer.first_name.is_empty(),
        "last_name" => !peer.last_name.is_empty(),
        "display_name" => !peer.display_name.is_empty(),
        "company_name" => !peer.company_name.is_empty(),
        "email" => !peer.email.is_empty(),
        "secondary_email" => !peer.secondary_email.is_empty(),
        "org_user" => !peer.org_user.is_empty(),
        "phone_number" => !peer.phone_number.is_empty(),
        "mobile_phone" => !peer.mobile_phone.is_empty(),
        "fax" => !peer.fax.is_empty(),
        "language" => !peer.language.is_empty(),
        "time_zone" => !peer.time_zone.is_empty(),
        _ => peer.address.as_ref().is_some_and(|address| match path {
            "address.street_address" => !address.street_address.is_empty(),
            "address.city" => !address.city.is_empty(),
            "address.country" => !address.country.is_empty(),
            "address.region" => !address.region.is_empty(),
            "address.postal_code" => !address.postal_code.is_empty(),
            _ => false,
        }),
    }
}
