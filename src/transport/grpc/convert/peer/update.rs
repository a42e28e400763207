//! Changes of a peer: what a mask names, or without one what the message says.

use super::kind;
use super::profile::profile;
use crate::application::peers::{PROFILE_FIELDS, Patch, UpdatePeer};
use crate::domain::invalid::Invalid;
use crate::domain::peer::UserName;
use crate::transport::grpc::convert::{self, Fields, mask};
use crate::transport::grpc::pb;

/// What can be changed of a peer, beside the fields of its profile.
const OWN_PATHS: &[&str] = &["user_name", "expire_time", "person"];
/// The paths of [`OWN_PATHS`], of every field of a profile, and of the address as a whole.
static PATHS: std::sync::LazyLock<Vec<&'static str>> = std::sync::LazyLock::new(|| {
    let profile = PROFILE_FIELDS.iter().map(|field| field.path);
    OWN_PATHS.iter().copied().chain(["address"]).chain(profile).collect()
});

/// Reads a change of a peer.
pub fn update(fields: &mut Fields, request: &pb::UpdatePeerRequest) -> Option<UpdatePeer> {
    let Some(peer) = &request.peer else {
        fields.refuse("peer", Invalid::Missing);
        return None;
    };
    let name = fields.required("peer.name", &peer.name, convert::peer_name);
    let etag = fields.take("peer.etag", convert::etag(&peer.etag));
    let mask = mask::update(fields, request.update_mask.as_ref(), &PATHS, |path| is_populated(peer, path));
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
        fields.optional("peer.person", &peer.person, convert::peer_name).map(Some)
    } else {
        Some(None)
    };
    let kind = if peer.kind == 0 { Some(None) } else { fields.take("peer.kind", kind(peer.kind)).map(Some) };
    let home = fields.optional("peer.home_account", &peer.home_account, convert::account_name);
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
