//! Peers, from their creation to their purge.
//!
//! INVARIANT: a user name belongs to one row, whatever its status, so that the name of a deleted
//! peer stays reserved until its row is purged. Times of last sign-in and last act are written by
//! [`touch`] alone: an update that was read before must not take them back.
//!
//! A deleted peer is read like any other; who must not see it filters by status.

mod facets;
pub mod list;
mod row;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, ConnectionTrait, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::code::Coded as _;
use super::entity::peer::{ActiveModel, Column, Entity, Model};
use super::entity::{account, api_key};
use super::error::StoreError;
use super::{accounts, passwords, photos, write};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::peer::{Peer, PeerStatus, UserName};
use crate::domain::time::Timestamp;

const TABLE: &str = "peers";

/// A change of a peer's status.
#[derive(Debug, Clone, Copy)]
pub struct StatusChange {
    pub status: PeerStatus,
    pub now: Timestamp,
    /// When the peer was deleted; `None` for every other status.
    pub delete_time: Option<Timestamp>,
    pub revision: i64,
}

/// Inserts a peer.
///
/// # Errors
/// [`super::Constraint::UserName`] where the name is taken, also by a deleted peer.
pub async fn insert(conn: &impl ConnectionTrait, peer: &Peer) -> Result<(), StoreError> {
    insert_many(conn, std::slice::from_ref(peer)).await
}

/// Inserts peers, many in a statement.
///
/// # Errors
/// As [`insert`]; which name is taken is not known.
pub async fn insert_many(conn: &impl ConnectionTrait, peers: &[Peer]) -> Result<(), StoreError> {
    let branches = accounts::branches(conn, peers.iter().map(|peer| &peer.home)).await?;
    let row = |peer: &Peer| {
        let branch = branches.get(peer.home.as_str()).ok_or_else(|| accounts::missing(&peer.home))?;
        Ok(Model { branch_id: branch.clone(), ..row::write(peer)? })
    };
    let rows = peers.iter().map(row).collect::<Result<_, StoreError>>()?;
    write::insert_many::<Entity>(conn, rows).await
}

/// Writes everything about a peer but its times of last sign-in and last act.
///
/// # Errors
/// [`StoreError::Missing`] without the peer; [`super::Constraint::UserName`] where the name is taken.
pub async fn update(conn: &impl ConnectionTrait, peer: &Peer) -> Result<(), StoreError> {
    let mut model = ActiveModel::from(row::write(peer)?).reset_all();
    model.id = ActiveValue::NotSet;
    model.home_id = ActiveValue::NotSet;
    model.branch_id = ActiveValue::NotSet;
    model.create_time = ActiveValue::NotSet;
    model.last_login_time = ActiveValue::NotSet;
    model.last_active_time = ActiveValue::NotSet;
    model.last_login_key = ActiveValue::NotSet;
    model.last_active_key = ActiveValue::NotSet;
    model.facets = ActiveValue::NotSet;
    let update = Entity::update_many().set(model).col_expr(Column::Facets, facets::become_peer(peer));
    let updated = update.filter(is(peer.id)).exec(conn).await?;
    write::met_one(updated.rows_affected, || missing(peer.id))
}

/// Sets the status of peers and counts their versions on.
///
/// # Errors
/// What the database reports.
pub async fn set_status(conn: &impl ConnectionTrait, ids: &[PeerId], change: StatusChange) -> Result<(), StoreError> {
    let delete_time = change.delete_time.map(Timestamp::as_micros);
    for ids in ids.chunks(write::KEYS_MAX) {
        Entity::update_many()
            .col_expr(Column::Status, Expr::value(change.status.word()))
            .col_expr(Column::Facets, facets::status(change.status).set())
            .col_expr(Column::DeleteTime, Expr::value(delete_time))
            .col_expr(Column::UpdateTime, Expr::value(change.now.as_micros()))
            .col_expr(Column::UpdateRevision, Expr::value(change.revision))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.is_in(ids.iter().map(|id| id.as_uuid())))
            .exec(conn)
            .await?;
    }
    Ok(())
}

/// What a peer did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    SignedIn,
    Acted,
}

/// Notes when a peer signed in or acted; an earlier time than the stored one changes nothing. This
/// is no policy change, and no new version.
///
/// # Errors
/// What the database reports.
pub async fn touch(
    conn: &impl ConnectionTrait,
    id: PeerId,
    activity: Activity,
    now: Timestamp,
) -> Result<(), StoreError> {
    let now = now.as_micros();
    let mut update = Entity::update_many()
        .col_expr(Column::LastActiveTime, Expr::value(now))
        .col_expr(Column::LastActiveKey, Expr::value(now))
        .filter(is(id))
        .filter(Column::LastActiveTime.is_null().or(Column::LastActiveTime.lte(now)));
    if activity == Activity::SignedIn {
        let now = || Expr::value(now);
        update = update.col_expr(Column::LastLoginTime, now()).col_expr(Column::LastLoginKey, now());
    }
    update.exec(conn).await?;
    Ok(())
}

/// Lists the ids of peers that were deleted at a time or before, longest deleted first.
///
/// # Errors
/// What the database reports.
pub async fn deleted_until(
    conn: &impl ConnectionTrait,
    time: Timestamp,
    limit: u64,
) -> Result<Vec<PeerId>, StoreError> {
    let ids: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::DeleteTime.lte(time.as_micros()))
        .order_by_asc(Column::DeleteTime)
        .order_by_asc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(conn)
        .await?;
    Ok(ids.into_iter().map(PeerId::from).collect())
}

/// Removes a peer for good, with its keys, passwords and photo; its bindings and memberships are gone by then. The user
/// name is free again.
///
/// # Errors
/// [`StoreError::Missing`] without the peer; [`StoreError::Other`] where something still names it.
pub async fn purge(conn: &impl ConnectionTrait, id: PeerId) -> Result<(), StoreError> {
    api_key::Entity::delete_many().filter(api_key::Column::PeerId.eq(id.as_uuid())).exec(conn).await?;
    passwords::wipe(conn, &[id]).await?;
    photos::set(conn, id, None).await?;
    let deleted = Entity::delete_by_id(id.as_uuid()).exec(conn).await?;
    write::met_one(deleted.rows_affected, || missing(id))
}

/// Removes what is left of peers that went with their accounts, where it has one of these user names:
/// nobody can bring such a peer back, and so its name is free before a worker purges it.
///
/// # Errors
/// As [`purge`].
pub async fn free_user_names(conn: &impl ConnectionTrait, names: &[&UserName]) -> Result<(), StoreError> {
    let gone = Query::select()
        .column(account::Column::Id)
        .from(account::Entity)
        .and_where(Expr::col(account::Column::DeleteTime).is_not_null())
        .take();
    for names in names.chunks(write::KEYS_MAX) {
        let left: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::UserNameKey.is_in(names.iter().map(|name| name.key())))
            .filter(Column::HomeId.in_subquery(gone.clone()))
            .into_tuple()
            .all(conn)
            .await?;
        for id in left {
            purge(conn, id.into()).await?;
        }
    }
    Ok(())
}

/// Finds a peer.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, id: PeerId) -> Result<Option<Peer>, StoreError> {
    Entity::find_by_id(id.as_uuid()).one(conn).await?.map(row::read).transpose()
}

/// Gets a peer.
///
/// # Errors
/// [`StoreError::Missing`] without the peer.
pub async fn get(conn: &impl ConnectionTrait, id: PeerId) -> Result<Peer, StoreError> {
    find(conn, id).await?.ok_or_else(|| missing(id))
}

/// Finds those of these peers that are there, in no order.
///
/// # Errors
/// What the database reports.
pub async fn find_many(conn: &impl ConnectionTrait, ids: &[PeerId]) -> Result<Vec<Peer>, StoreError> {
    let mut found = Vec::new();
    for ids in ids.chunks(write::KEYS_MAX) {
        let ids = ids.iter().map(|id| id.as_uuid());
        found.extend(Entity::find().filter(Column::Id.is_in(ids)).all(conn).await?);
    }
    found.into_iter().map(row::read).collect()
}

/// Finds a peer by its folded user name.
///
/// # Errors
/// What the database reports.
pub async fn find_by_user_name_key(conn: &impl ConnectionTrait, key: &str) -> Result<Option<Peer>, StoreError> {
    Entity::find().filter(Column::UserNameKey.eq(key)).one(conn).await?.map(row::read).transpose()
}

/// Counts the peers homed in an account that are not deleted.
///
/// # Errors
/// What the database reports.
pub async fn count_home(conn: &impl ConnectionTrait, home: &AccountId) -> Result<u64, StoreError> {
    Entity::find()
        .filter(Column::HomeId.eq(home.as_str()))
        .filter(Column::Status.ne(PeerStatus::Deleted.word()))
        .count(conn)
        .await
        .map_err(StoreError::from)
}

fn is(id: PeerId) -> SimpleExpr {
    Column::Id.eq(id.as_uuid())
}

fn missing(id: PeerId) -> StoreError {
    StoreError::missing(TABLE, id)
}
