//! Rows of peers to domain peers and back.

use super::{TABLE, facets};
use crate::domain::ids::{AccountId, PeerId, RoleId};
use crate::domain::peer::{Peer, PeerKind, PeerStatus, PhotoReference, UserName};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::storage::code::{Coded as _, from_json, to_json};
use crate::storage::entity::peer::Model;
use crate::storage::error::StoreError;
use crate::storage::keyset::time_key;

/// The longest key, in bytes: an entry of PostgreSQL's indexes holds less than 2,704.
const KEY_MAX: usize = 1024;

/// What lists sort and find a text by: its folded form, of an unreasonable one the beginning.
pub(super) fn key(text: &str) -> String {
    let mut key = text::fold(text);
    key.truncate(key.floor_char_boundary(KEY_MAX));
    key
}

/// The row of a peer; which branch its home lies in, the peer does not tell.
pub(super) fn write(peer: &Peer) -> Result<Model, StoreError> {
    let profile = &peer.profile;
    Ok(Model {
        id: peer.id.as_uuid(),
        user_name: peer.user_name.as_str().to_owned(),
        user_name_key: peer.user_name.key(),
        home_id: peer.home.to_string(),
        branch_id: String::new(),
        kind: peer.kind.word().to_owned(),
        status: peer.status.word().to_owned(),
        profile: to_json(profile, TABLE, &peer.id)?,
        full_name_key: key(&profile.full_name()),
        email_key: key(&profile.email),
        company_key: key(&profile.company_name),
        two_factor: profile.two_factor.word().to_owned(),
        org_user: key(&profile.org_user),
        mail_format: profile.mail_format.word().to_owned(),
        require_external_login: profile.require_external_login,
        facets: facets::of(peer),
        user_name_order: peer.user_name.key(),
        default_role_key: peer.default_role.as_ref().map(RoleId::to_string).unwrap_or_default(),
        last_login_key: time_key(peer.last_login_time),
        last_active_key: time_key(peer.last_active_time),
        expire_key: time_key(peer.expire_time),
        default_role: peer.default_role.as_ref().map(RoleId::to_string),
        expire_time: peer.expire_time.map(Timestamp::as_micros),
        person: peer.person.map(PeerId::as_uuid),
        create_time: peer.create_time.as_micros(),
        update_time: peer.update_time.as_micros(),
        delete_time: peer.delete_time.map(Timestamp::as_micros),
        last_login_time: peer.last_login_time.map(Timestamp::as_micros),
        last_active_time: peer.last_active_time.map(Timestamp::as_micros),
        photo_etag: peer.photo.as_ref().map(|photo| photo.etag.clone()),
        photo_time: peer.photo.as_ref().map(|photo| photo.update_time.as_micros()),
        version: peer.version,
        update_revision: peer.update_revision,
    })
}

pub(super) fn read(row: Model) -> Result<Peer, StoreError> {
    let key = &row.id;
    let corrupt = || StoreError::corrupt(TABLE, key);
    let default_role = row.default_role.as_deref().map(RoleId::parse).transpose().map_err(|_| corrupt())?;
    Ok(Peer {
        id: PeerId::from(row.id),
        user_name: UserName::parse(&row.user_name).map_err(|_| corrupt())?,
        kind: PeerKind::read(&row.kind, TABLE, key)?,
        home: AccountId::parse(&row.home_id).map_err(|_| corrupt())?,
        status: PeerStatus::read(&row.status, TABLE, key)?,
        profile: from_json(&row.profile, TABLE, key)?,
        expire_time: row.expire_time.map(Timestamp::from_micros),
        person: row.person.map(PeerId::from),
        default_role,
        create_time: Timestamp::from_micros(row.create_time),
        update_time: Timestamp::from_micros(row.update_time),
        delete_time: row.delete_time.map(Timestamp::from_micros),
        last_login_time: row.last_login_time.map(Timestamp::from_micros),
        last_active_time: row.last_active_time.map(Timestamp::from_micros),
        photo: row
            .photo_etag
            .zip(row.photo_time)
            .map(|(etag, time)| PhotoReference { etag, update_time: Timestamp::from_micros(time) }),
        version: row.version,
        update_revision: row.update_revision,
    })
}
