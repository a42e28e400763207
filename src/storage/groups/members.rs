//! Memberships of privilege groups.

use sea_orm::sea_query::{ExprTrait as _, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
};

use crate::domain::binding::Mode;
use crate::domain::group::Member;
use crate::domain::ids::{GroupId, PeerId};
use crate::domain::time::Timestamp;
use crate::storage::bindings::{start_to_column, window};
use crate::storage::code::Coded as _;
use crate::storage::entity::group_member::{Column, Entity, Model};
use crate::storage::error::StoreError;
use crate::storage::write;

const TABLE: &str = "group_members";

/// Adds a member.
///
/// # Errors
/// [`StoreError::UniqueViolation`] where the peer is a member already.
pub async fn insert(conn: &impl ConnectionTrait, member: &Member) -> Result<(), StoreError> {
    write::insert::<Entity>(conn, to_row(member)).await
}

/// Removes a member.
///
/// # Errors
/// [`StoreError::Missing`] where the peer is none.
pub async fn delete(conn: &impl ConnectionTrait, group: GroupId, peer: PeerId) -> Result<(), StoreError> {
    let deleted = Entity::delete_many().filter(is(group, peer)).exec(conn).await?;
    write::met_one(deleted.rows_affected, || StoreError::missing(TABLE, format!("{group}/{peer}")))
}

/// Finds a membership.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, group: GroupId, peer: PeerId) -> Result<Option<Member>, StoreError> {
    Entity::find().filter(is(group, peer)).one(conn).await?.map(from_row).transpose()
}

/// Lists the members of a group by peer.
///
/// # Errors
/// What the database reports.
pub async fn list(
    conn: &impl ConnectionTrait,
    group: GroupId,
    after: Option<PeerId>,
    limit: u64,
) -> Result<Vec<Member>, StoreError> {
    let rows = Entity::find()
        .filter(Column::GroupId.eq(group.as_uuid()))
        .apply_if(after, |select, after| select.filter(Column::PeerId.gt(after.as_uuid())))
        .order_by_asc(Column::PeerId)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(from_row).collect()
}

/// Lists the memberships of a peer by group.
///
/// # Errors
/// What the database reports.
pub async fn list_of_peer(
    conn: &impl ConnectionTrait,
    peer: PeerId,
    after: Option<GroupId>,
    limit: u64,
) -> Result<Vec<Member>, StoreError> {
    let rows = Entity::find()
        .filter(Column::PeerId.eq(peer.as_uuid()))
        .apply_if(after, |select, after| select.filter(Column::GroupId.gt(after.as_uuid())))
        .order_by_asc(Column::GroupId)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(from_row).collect()
}

/// Counts the members of a group.
///
/// # Errors
/// What the database reports.
pub async fn count(conn: &impl ConnectionTrait, group: GroupId) -> Result<u64, StoreError> {
    Entity::find().filter(Column::GroupId.eq(group.as_uuid())).count(conn).await.map_err(StoreError::from)
}

fn is(group: GroupId, peer: PeerId) -> SimpleExpr {
    Column::GroupId.eq(group.as_uuid()).and(Column::PeerId.eq(peer.as_uuid()))
}

fn to_row(member: &Member) -> Model {
    Model {
        group_id: member.group.as_uuid(),
        peer_id: member.peer.as_uuid(),
        mode: member.mode.word().to_owned(),
        start_time: start_to_column(member.window),
        expire_time: member.window.expire().map(Timestamp::as_micros),
        create_time: member.create_time.as_micros(),
        update_revision: member.update_revision,
    }
}

fn from_row(row: Model) -> Result<Member, StoreError> {
    let key = format!("{}/{}", row.group_id, row.peer_id);
    Ok(Member {
        group: GroupId::from(row.group_id),
        peer: PeerId::from(row.peer_id),
        mode: Mode::read(&row.mode, TABLE, &key)?,
        window: window(row.start_time, row.expire_time).ok_or_else(|| StoreError::corrupt(TABLE, &key))?,
        create_time: Timestamp::from_micros(row.create_time),
        update_revision: row.update_revision,
    })
}
