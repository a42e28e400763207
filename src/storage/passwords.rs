//! Passwords of peers, of which only hashes are kept, with those that cannot be used again.
//!
//! INVARIANT: they are written inside a policy transaction, so that two changes of one password come
//! one after the other.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::entity::{former_password, password};
use super::error::StoreError;
use super::write;
use crate::domain::ids::PeerId;
use crate::domain::password::PasswordHash;
use crate::domain::time::Timestamp;

/// A password as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPassword {
    pub peer: PeerId,
    pub hash: PasswordHash,
    pub create_time: Timestamp,
}

/// Finds the password of a peer.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, peer: PeerId) -> Result<Option<StoredPassword>, StoreError> {
    let row = password::Entity::find_by_id(peer.as_uuid()).one(conn).await?;
    Ok(row.map(|row| StoredPassword {
        peer,
        hash: PasswordHash::new(row.hash),
        create_time: Timestamp::from_micros(row.create_time),
    }))
}

/// Lists the passwords that a peer had before, the latest first.
///
/// # Errors
/// What the database reports.
pub async fn former(conn: &impl ConnectionTrait, peer: PeerId, limit: u64) -> Result<Vec<PasswordHash>, StoreError> {
    let rows = former_password::Entity::find()
        .filter(former_password::Column::PeerId.eq(peer.as_uuid()))
        .order_by_desc(former_password::Column::ReplaceTime)
        .order_by_desc(former_password::Column::Id)
        .limit(limit)
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| PasswordHash::new(row.hash)).collect())
}

/// Gives new peers their first passwords, many in a statement.
///
/// # Errors
/// What the database reports.
pub async fn insert_many(conn: &impl ConnectionTrait, new: &[StoredPassword]) -> Result<(), StoreError> {
    write::insert_many::<password::Entity>(conn, new.iter().map(row).collect()).await
}

/// Gives a peer a password. The one before goes among the former ones under `id`, of which `keep`
/// stay.
///
/// # Errors
/// What the database reports.
pub async fn set(conn: &impl ConnectionTrait, new: &StoredPassword, id: Uuid, keep: u64) -> Result<(), StoreError> {
    let peer_id = new.peer.as_uuid();
    if let Some(old) = find(conn, new.peer).await? {
        password::Entity::delete_by_id(peer_id).exec(conn).await?;
        if keep > 0 {
            let replace_time = new.create_time.as_micros();
            let hash = old.hash.expose().to_owned();
            write::insert::<former_password::Entity>(conn, former_password::Model { id, peer_id, hash, replace_time })
                .await?;
        }
    }
    write::insert::<password::Entity>(conn, row(new)).await?;
    forget(conn, new.peer, keep).await
}

fn row(new: &StoredPassword) -> password::Model {
    let hash = new.hash.expose().to_owned();
    password::Model { peer_id: new.peer.as_uuid(), hash, create_time: new.create_time.as_micros() }
}

/// Removes all former passwords of a peer but the latest.
async fn forget(conn: &impl ConnectionTrait, peer: PeerId, keep: u64) -> Result<(), StoreError> {
    let stale: Vec<Uuid> = former_password::Entity::find()
        .select_only()
        .column(former_password::Column::Id)
        .filter(former_password::Column::PeerId.eq(peer.as_uuid()))
        .order_by_desc(former_password::Column::ReplaceTime)
        .order_by_desc(former_password::Column::Id)
        .into_tuple()
        .all(conn)
        .await?;
    let stale = stale.into_iter().skip(usize::try_from(keep).unwrap_or(usize::MAX));
    former_password::Entity::delete_many().filter(former_password::Column::Id.is_in(stale)).exec(conn).await?;
    Ok(())
}

/// Removes the passwords of peers, former ones too.
///
/// # Errors
/// What the database reports.
pub async fn wipe(conn: &impl ConnectionTrait, peers: &[PeerId]) -> Result<(), StoreError> {
    for peers in peers.chunks(write::KEYS_MAX) {
        let ids = || peers.iter().map(|peer| peer.as_uuid());
        password::Entity::delete_many().filter(password::Column::PeerId.is_in(ids())).exec(conn).await?;
        former_password::Entity::delete_many().filter(former_password::Column::PeerId.is_in(ids())).exec(conn).await?;
    }
    Ok(())
}
