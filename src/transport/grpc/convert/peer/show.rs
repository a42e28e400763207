//! Peers as answers show them: in full, or by name, kind and home alone.

use crate::application::peers::{Action, SeenPeer, Sight, purge_time};
use crate::domain::peer::{MailFormat, PeerKind, PeerStatus, Profile, TwoFactor};
use crate::transport::grpc::convert::{etag_to_pb, time};
use crate::transport::grpc::pb;

/// Writes a peer as far as the caller sees it.
#[must_use]
pub fn to_pb(seen: &SeenPeer) -> pb::Peer {
    let peer = &seen.peer;
    let shown = pb::Peer {
        name: format!("peers/{}", peer.id),
        kind: write_kind(peer.kind).into(),
        home_account: format!("accounts/{}", peer.home),
        ..pb::Peer::default()
    };
    if seen.sight == Sight::Restricted {
        return shown;
    }
    let profile = &peer.profile;
    pb::Peer {
        uid: peer.id.to_string(),
        user_name: peer.user_name.as_str().to_owned(),
        state: write_state(peer.status).into(),
        first_name: profile.first_name.clone(),
        last_name: profile.last_name.clone(),
        display_name: profile.display_name.clone(),
        full_name: profile.full_name(),
        company_name: profile.company_name.clone(),
        email: profile.email.clone(),
        secondary_email: profile.secondary_email.clone(),
        mail_format: write_mail_format(profile.mail_format).into(),
        two_factor_provider: write_two_factor(profile.two_factor).into(),
        require_external_login: profile.require_external_login,
        password_never_expires: profile.password_never_expires,
        org_user: profile.org_user.clone(),
        person: peer.person.map(|person| format!("peers/{person}")).unwrap_or_default(),
        microsoft_account_status: pb::MicrosoftAccountStatus::NotLinked.into(),
        address: write_address(profile),
        phone_number: profile.phone_number.clone(),
        mobile_phone: profile.mobile_phone.clone(),
        fax: profile.fax.clone(),
        language: profile.language.clone(),
        time_zone: profile.time_zone.clone(),
        expire_time: peer.expire_time.map(time),
        default_role: peer.default_role.as_ref().map(|role| format!("roles/{role}")).unwrap_or_default(),
        tenant_access: Some(pb::TenantAccess {
            all: seen.tenant_access.all,
            account_count: i32::try_from(seen.tenant_access.accounts).unwrap_or(i32::MAX),
        }),
        allowed_actions: seen.actions.iter().map(|action| method(*action).to_owned()).collect(),
        create_time: Some(time(peer.create_time)),
        update_time: Some(time(peer.update_time)),
        delete_time: peer.delete_time.map(time),
        purge_time: purge_time(peer).map(time),
        last_login_time: peer.last_login_time.map(time),
        last_active_time: peer.last_active_time.map(time),
        photo: peer
            .photo
            .as_ref()
            .map(|photo| pb::PhotoReference { etag: photo.etag.clone(), update_time: Some(time(photo.update_time)) }),
        etag: etag_to_pb(peer.version),
        update_revision: peer.update_revision,
        ..shown
    }
}

const fn method(action: Action) -> &'static str {
    match action {
        Action::Update => "UpdatePeer",
        Action::Delete => "DeletePeer",
        Action::Undelete => "UndeletePeer",
        Action::Enable => "EnablePeer",
        Action::Disable => "DisablePeer",
        Action::SetPassword => "SetPassword",
        Action::SetPhoto => "SetPhoto",
    }
}

/// Writes what a peer is.
#[must_use]
pub const fn write_kind(kind: PeerKind) -> pb::PeerKind {
    match kind {
        PeerKind::Person => pb::PeerKind::Person,
        PeerKind::Device => pb::PeerKind::Device,
        PeerKind::Integration => pb::PeerKind::Integration,
    }
}

const fn write_state(status: PeerStatus) -> pb::PeerState {
    match status {
        PeerStatus::Enabled => pb::PeerState::Enabled,
        PeerStatus::Disabled => pb::PeerState::Disabled,
        PeerStatus::Deleted => pb::PeerState::Deleted,
    }
}

const fn write_mail_format(format: MailFormat) -> pb::MailFormat {
    match format {
        MailFormat::Html => pb::MailFormat::Html,
        MailFormat::PlainText => pb::MailFormat::PlainText,
    }
}

const fn write_two_factor(provider: TwoFactor) -> pb::TwoFactorProvider {
    match provider {
        TwoFactor::None => pb::TwoFactorProvider::None,
        TwoFactor::Email => pb::TwoFactorProvider::Email,
        TwoFactor::Totp => pb::TwoFactorProvider::Totp,
    }
}

/// The postal address, unset where nothing of it is known.
fn write_address(profile: &Profile) -> Option<pb::PostalAddress> {
    let address = pb::PostalAddress {
        street_address: profile.street_address.clone(),
        city: profile.city.clone(),
        country: profile.country.clone(),
        region: profile.region.clone(),
        postal_code: profile.postal_code.clone(),
    };
    (address != pb::PostalAddress::default()).then_some(address)
}
