//! API keys, of which only the hash is kept.
//!
//! A revoked key stays as a row, so that a list can show when it ended.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
};
use uuid::Uuid;

use super::code::fixed;
use super::entity::api_key::{Column, Entity, Model};
use super::error::StoreError;
use super::transaction::Transaction;
use super::write;
use crate::domain::api_key::ApiKey;
use crate::domain::ids::{ApiKeyId, PeerId};
use crate::domain::time::Timestamp;

const TABLE: &str = "api_keys";

/// Inserts a key.
///
/// # Errors
/// [`super::Constraint::ApiKey`] where the same key is there already.
pub async fn insert(conn: &impl ConnectionTrait, key: &ApiKey) -> Result<(), StoreError> {
    write::insert::<Entity>(conn, to_row(key)).await
}

/// Revokes a key, once: the time of the first revocation stays.
///
/// # Errors
/// What the database reports.
pub async fn revoke(
    conn: &impl ConnectionTrait,
    id: ApiKeyId,
    now: Timestamp,
    revision: i64,
) -> Result<(), StoreError> {
    let update = Entity::update_many().filter(Column::Id.eq(id.as_uuid()));
    revoke_those(update, now, revision).exec(conn).await?;
    Ok(())
}

/// Revokes all keys of a peer that are not revoked; returns them as they were before.
///
/// # Errors
/// What the database reports.
pub async fn revoke_all_of_peer(
    conn: &impl ConnectionTrait,
    peer: PeerId,
    now: Timestamp,
    revision: i64,
) -> Result<Vec<ApiKey>, StoreError> {
    revoke_all_of_peers(conn, &[peer], now, revision).await
}

/// As [`revoke_all_of_peer`], for many peers.
///
/// # Errors
/// What the database reports.
pub async fn revoke_all_of_peers(
    conn: &impl ConnectionTrait,
    peers: &[PeerId],
    now: Timestamp,
    revision: i64,
) -> Result<Vec<ApiKey>, StoreError> {
    let mut keys = Vec::new();
    for peers in peers.chunks(write::KEYS_MAX) {
        let of_these = || Column::PeerId.is_in(peers.iter().map(|peer| peer.as_uuid()));
        let live = Entity::find().filter(of_these()).filter(Column::RevokeTime.is_null());
        let rows = live.order_by_asc(Column::Id).all(conn).await?;
        keys.extend(rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?);
        revoke_those(Entity::update_many().filter(of_these()), now, revision).exec(conn).await?;
    }
    Ok(keys)
}

fn revoke_those(update: sea_orm::UpdateMany<Entity>, now: Timestamp, revision: i64) -> sea_orm::UpdateMany<Entity> {
    update
        .col_expr(Column::RevokeTime, Expr::value(now.as_micros()))
        .col_expr(Column::UpdateRevision, Expr::value(revision))
        .filter(Column::RevokeTime.is_null())
}

/// Notes when keys were used last; an earlier time than the stored one changes nothing. This is no
/// policy change. Keys that another transaction is changing are returned, not waited for: two that
/// wait for each other would undo one, and that may be a revocation.
///
/// # Errors
/// What the database reports.
pub async fn touch_many(
    transaction: &Transaction,
    uses: &[(ApiKeyId, Timestamp)],
) -> Result<Vec<(ApiKeyId, Timestamp)>, StoreError> {
    let conn = transaction.connection();
    let those = Entity::find().filter(Column::Id.is_in(uses.iter().map(|(key, _)| key.as_uuid())));
    let ids = those.select_only().column(Column::Id);
    let known: HashSet<Uuid> = ids.clone().into_tuple().all(conn).await?.into_iter().collect();
    // On SQLite the transaction itself began with the lock on the whole file.
    let free = if conn.get_database_backend() == DbBackend::Postgres {
        let free = ids.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        free.into_tuple().all(conn).await?.into_iter().collect()
    } else {
        known.clone()
    };
    let mut busy = Vec::new();
    for &(key, time) in uses {
        let id = key.as_uuid();
        if free.contains(&id) {
            touch(conn, key, time).await?;
        } else if known.contains(&id) {
            busy.push((key, time));
        }
    }
    Ok(busy)
}

async fn touch(conn: &impl ConnectionTrait, id: ApiKeyId, time: Timestamp) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::LastUsedTime, Expr::value(time.as_micros()))
        .filter(Column::Id.eq(id.as_uuid()))
        .filter(Column::LastUsedTime.is_null().or(Column::LastUsedTime.lt(time.as_micros())))
        .exec(conn)
        .await?;
    Ok(())
}

/// Finds a key, revoked or not.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
    Entity::find_by_id(id.as_uuid()).one(conn).await?.map(from_row).transpose()
}

/// Lists the keys of a peer by id, revoked ones included.
///
/// # Errors
/// What the database reports.
pub async fn list_of_peer(
    conn: &impl ConnectionTrait,
    peer: PeerId,
    after: Option<ApiKeyId>,
    limit: u64,
) -> Result<Vec<ApiKey>, StoreError> {
    let rows = Entity::find()
        .filter(Column::PeerId.eq(peer.as_uuid()))
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after.as_uuid())))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(from_row).collect()
}

fn to_row(key: &ApiKey) -> Model {
    Model {
        id: key.id.as_uuid(),
        peer_id: key.peer.as_uuid(),
        title: key.title.clone(),
        hash: key.hash.to_vec(),
        creator: key.creator.map(PeerId::as_uuid),
        create_time: key.create_time.as_micros(),
        expire_time: key.expire_time.map(Timestamp::as_micros),
        revoke_time: key.revoke_time.map(Timestamp::as_micros),
        last_used_time: key.last_used_time.map(Timestamp::as_micros),
        update_revision: key.update_revision,
    }
}

fn from_row(row: Model) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: ApiKeyId::from(row.id),
        peer: PeerId::from(row.peer_id),
        title: row.title,
        hash: fixed(&row.hash, TABLE, &row.id)?,
        creator: row.creator.map(PeerId::from),
        create_time: Timestamp::from_micros(row.create_time),
        expire_time: row.expire_time.map(Timestamp::from_micros),
        revoke_time: row.revoke_time.map(Timestamp::from_micros),
        last_used_time: row.last_used_time.map(Timestamp::from_micros),
        update_revision: row.update_revision,
    })
}
