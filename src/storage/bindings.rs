//! Role bindings of peers and of groups.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};

use super::code::Coded as _;
use super::entity::role_binding::{ActiveModel, Column, Entity, Model};
use super::error::StoreError;
use super::keyset::{self, Key, Order, Place, UNSET};
use super::write;
use crate::domain::binding::{Binding, Mode, Principal, Reach};
use crate::domain::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::time::{Timestamp, Window};

pub(super) const TABLE: &str = "role_bindings";

/// Which bindings to list. Every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub principal: Option<Principal>,
    pub role: Option<RoleId>,
    /// Bindings on any of these very accounts.
    pub accounts: Option<Vec<AccountId>>,
}

/// Inserts a binding.
///
/// # Errors
/// What the database reports.
pub async fn insert(conn: &impl ConnectionTrait, binding: &Binding) -> Result<(), StoreError> {
    write::insert::<Entity>(conn, to_row(binding)).await
}

/// Inserts bindings, many in a statement.
///
/// # Errors
/// What the database reports.
pub async fn insert_many(conn: &impl ConnectionTrait, bindings: &[Binding]) -> Result<(), StoreError> {
    write::insert_many::<Entity>(conn, bindings.iter().map(to_row).collect()).await
}

/// Writes what can change about a binding: reach, mode, window, justification.
///
/// # Errors
/// [`StoreError::Missing`] without the binding.
pub async fn update(conn: &impl ConnectionTrait, binding: &Binding) -> Result<(), StoreError> {
    let mut model = ActiveModel::from(to_row(binding)).reset_all();
    model.id = ActiveValue::NotSet;
    model.peer_id = ActiveValue::NotSet;
    model.group_id = ActiveValue::NotSet;
    model.role_id = ActiveValue::NotSet;
    model.account_id = ActiveValue::NotSet;
    model.creator = ActiveValue::NotSet;
    model.create_time = ActiveValue::NotSet;
    let updated = Entity::update_many().set(model).filter(is(binding.id)).exec(conn).await?;
    write::met_one(updated.rows_affected, || missing(binding.id))
}

/// Removes a binding.
///
/// # Errors
/// [`StoreError::Missing`] without the binding.
pub async fn delete(conn: &impl ConnectionTrait, id: BindingId) -> Result<(), StoreError> {
    let deleted = Entity::delete_by_id(id.as_uuid()).exec(conn).await?;
    write::met_one(deleted.rows_affected, || missing(id))
}

/// Removes those of these bindings that are there.
///
/// # Errors
/// What the database reports.
pub async fn delete_many(conn: &impl ConnectionTrait, ids: &[BindingId]) -> Result<(), StoreError> {
    for ids in ids.chunks(write::KEYS_MAX) {
        let ids = ids.iter().map(|id| id.as_uuid());
        Entity::delete_many().filter(Column::Id.is_in(ids)).exec(conn).await?;
    }
    Ok(())
}

/// Finds a binding.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, id: BindingId) -> Result<Option<Binding>, StoreError> {
    Entity::find_by_id(id.as_uuid()).one(conn).await?.map(from_row).transpose()
}

/// Gets a binding.
///
/// # Errors
/// [`StoreError::Missing`] without the binding.
pub async fn get(conn: &impl ConnectionTrait, id: BindingId) -> Result<Binding, StoreError> {
    find(conn, id).await?.ok_or_else(|| missing(id))
}

/// What lists can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    Id,
    CreateTime,
    /// Those without an end come first.
    ExpireTime,
}

impl SortKey {
    fn column(self) -> Option<Expr> {
        match self {
            Self::Id => None,
            Self::CreateTime => Some(Expr::col(Column::CreateTime)),
            // Word for word what the index is of; a bound value would not be found in it.
            Self::ExpireTime => Some(Expr::cust(format!("COALESCE(expire_time, {UNSET})"))),
        }
    }

    /// Where a binding stands in a list with this key.
    #[must_use]
    pub fn place(self, binding: &Binding) -> Place<BindingId> {
        let key = match self {
            Self::Id => Key::Id,
            Self::CreateTime => Key::Number(binding.create_time.as_micros()),
            Self::ExpireTime => Key::Number(keyset::time_key(binding.window.expire())),
        };
        Place { key, id: binding.id }
    }
}

/// Lists bindings after a place.
///
/// # Errors
/// What the database reports.
pub async fn list(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    order: Order<SortKey>,
    after: Option<&Place<BindingId>>,
    limit: u64,
) -> Result<Vec<Binding>, StoreError> {
    let rows = select(filter, order, after, limit).all(conn).await?;
    rows.into_iter().map(from_row).collect()
}

/// The statement behind [`list`].
#[must_use]
pub fn select(
    filter: &Filter,
    Order { key, descending }: Order<SortKey>,
    after: Option<&Place<BindingId>>,
    limit: u64,
) -> Select<Entity> {
    let select = Entity::find().filter(condition(filter)).apply_if(after, |select, after| {
        select.filter(keyset::beyond(key.column(), (&after.key, after.id.as_uuid().into()), descending))
    });
    keyset::sorted(select, key.column(), descending).limit(limit)
}

/// All bindings that a filter is of.
///
/// # Errors
/// What the database reports.
pub async fn all(conn: &impl ConnectionTrait, filter: &Filter) -> Result<Vec<Binding>, StoreError> {
    let rows = Entity::find().filter(condition(filter)).order_by_asc(Column::Id).all(conn).await?;
    rows.into_iter().map(from_row).collect()
}

fn condition(filter: &Filter) -> Condition {
    let mut all = Condition::all();
    match filter.principal {
        None => {}
        Some(Principal::Peer(peer)) => all = all.add(Column::PeerId.eq(peer.as_uuid())),
        Some(Principal::Group(group)) => all = all.add(Column::GroupId.eq(group.as_uuid())),
    }
    // A holder has few bindings, a role may have a million: where both are asked for, no index of the
    // role or the accounts is to be chosen. A database without statistics cannot know.
    let value = |column: Column| -> Expr {
        match filter.principal {
            Some(_) => Func::coalesce([Expr::col(column), Expr::val("")]).into(),
            None => Expr::col(column),
        }
    };
    if let Some(role) = &filter.role {
        all = all.add(value(Column::RoleId).eq(role.as_str()));
    }
    if let Some(accounts) = &filter.accounts {
        all = all.add(value(Column::AccountId).is_in(accounts.iter().map(AccountId::as_str)));
    }
    all
}

fn is(id: BindingId) -> SimpleExpr {
    Column::Id.eq(id.as_uuid())
}

fn missing(id: BindingId) -> StoreError {
    StoreError::missing(TABLE, id)
}

fn to_row(binding: &Binding) -> Model {
    let (peer_id, group_id) = match binding.principal {
        Principal::Peer(peer) => (Some(peer.as_uuid()), None),
        Principal::Group(group) => (None, Some(group.as_uuid())),
    };
    Model {
        id: binding.id.as_uuid(),
        peer_id,
        group_id,
        role_id: binding.role.to_string(),
        account_id: binding.account.to_string(),
        reach: binding.reach.word().to_owned(),
        mode: binding.mode.word().to_owned(),
        start_time: start_to_column(binding.window),
        expire_time: binding.window.expire().map(Timestamp::as_micros),
        justification: binding.justification.clone(),
        creator: binding.creator.map(PeerId::as_uuid),
        create_time: binding.create_time.as_micros(),
        update_time: binding.update_time.as_micros(),
        version: binding.version,
        update_revision: binding.update_revision,
    }
}

fn from_row(row: Model) -> Result<Binding, StoreError> {
    let key = &row.id;
    let corrupt = || StoreError::corrupt(TABLE, key);
    Ok(Binding {
        id: BindingId::from(row.id),
        principal: principal(row.peer_id, row.group_id).ok_or_else(corrupt)?,
        role: RoleId::parse(&row.role_id).map_err(|_| corrupt())?,
        account: AccountId::parse(&row.account_id).map_err(|_| corrupt())?,
        reach: Reach::read(&row.reach, TABLE, key)?,
        mode: Mode::read(&row.mode, TABLE, key)?,
        window: window(row.start_time, row.expire_time).ok_or_else(corrupt)?,
        justification: row.justification,
        creator: row.creator.map(PeerId::from),
        create_time: Timestamp::from_micros(row.create_time),
        update_time: Timestamp::from_micros(row.update_time),
        version: row.version,
        update_revision: row.update_revision,
    })
}

pub(super) fn principal(peer: Option<uuid::Uuid>, group: Option<uuid::Uuid>) -> Option<Principal> {
    match (peer, group) {
        (Some(peer), None) => Some(Principal::Peer(PeerId::from(peer))),
        (None, Some(group)) => Some(Principal::Group(GroupId::from(group))),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// A window without a start is stored as starting before all time.
pub(super) fn start_to_column(window: Window) -> i64 {
    window.start().unwrap_or(Timestamp::MIN).as_micros()
}

pub(super) fn window(start: i64, expire: Option<i64>) -> Option<Window> {
    Window::parse(Some(Timestamp::from_micros(start)), expire.map(Timestamp::from_micros)).ok()
}
