//! Privilege groups. Their members: [`members`].

pub mod members;

use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, ConnectionTrait, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};

use super::entity::group::{ActiveModel, Column, Entity, Model};
use super::error::StoreError;
use super::keyset::{self, Key, Order, Place};
use super::write;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::text;
use crate::domain::time::Timestamp;

const TABLE: &str = "groups";

/// Inserts a group.
///
/// # Errors
/// [`super::Constraint::GroupTitle`] where the account has a group of that title.
pub async fn insert(conn: &impl ConnectionTrait, group: &Group) -> Result<(), StoreError> {
    write::insert::<Entity>(conn, to_row(group)).await
}

/// Writes everything about a group but its account.
///
/// # Errors
/// [`StoreError::Missing`] without the group; [`super::Constraint::GroupTitle`] as for [`insert`].
pub async fn update(conn: &impl ConnectionTrait, group: &Group) -> Result<(), StoreError> {
    let mut model = ActiveModel::from(to_row(group)).reset_all();
    model.id = ActiveValue::NotSet;
    model.account_id = ActiveValue::NotSet;
    model.create_time = ActiveValue::NotSet;
    let updated = Entity::update_many().set(model).filter(is(group.id)).exec(conn).await?;
    write::met_one(updated.rows_affected, || missing(group.id))
}

/// Removes a group that has neither members nor bindings.
///
/// # Errors
/// [`StoreError::Missing`] without the group.
pub async fn delete(conn: &impl ConnectionTrait, id: GroupId) -> Result<(), StoreError> {
    let deleted = Entity::delete_by_id(id.as_uuid()).exec(conn).await?;
    write::met_one(deleted.rows_affected, || missing(id))
}

/// Finds a group.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, id: GroupId) -> Result<Option<Group>, StoreError> {
    Entity::find_by_id(id.as_uuid()).one(conn).await?.map(from_row).transpose()
}

/// Finds those of these groups that are there, in no order.
///
/// # Errors
/// What the database reports.
pub async fn find_many(conn: &impl ConnectionTrait, ids: &[GroupId]) -> Result<Vec<Group>, StoreError> {
    let mut found = Vec::new();
    for ids in ids.chunks(write::KEYS_MAX) {
        let ids = ids.iter().map(|id| id.as_uuid());
        found.extend(Entity::find().filter(Column::Id.is_in(ids)).all(conn).await?);
    }
    found.into_iter().map(from_row).collect()
}

/// Gets a group.
///
/// # Errors
/// [`StoreError::Missing`] without the group.
pub async fn get(conn: &impl ConnectionTrait, id: GroupId) -> Result<Group, StoreError> {
    find(conn, id).await?.ok_or_else(|| missing(id))
}

/// What lists can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    Id,
    Title,
    CreateTime,
    UpdateTime,
}

impl SortKey {
    fn column(self) -> Option<Expr> {
        match self {
            Self::Id => None,
            Self::Title => Some(Expr::col(Column::TitleKey)),
            Self::CreateTime => Some(Expr::col(Column::CreateTime)),
            Self::UpdateTime => Some(Expr::col(Column::UpdateTime)),
        }
    }

    /// Where a group stands in a list with this key.
    #[must_use]
    pub fn place(self, group: &Group) -> Place<GroupId> {
        let key = match self {
            Self::Id => Key::Id,
            Self::Title => Key::Text(text::fold(&group.title)),
            Self::CreateTime => Key::Number(group.create_time.as_micros()),
            Self::UpdateTime => Key::Number(group.update_time.as_micros()),
        };
        Place { key, id: group.id }
    }
}

/// Lists the groups of any of these accounts after a place.
///
/// # Errors
/// What the database reports.
pub async fn list(
    conn: &impl ConnectionTrait,
    accounts: &[AccountId],
    Order { key, descending }: Order<SortKey>,
    after: Option<&Place<GroupId>>,
    limit: u64,
) -> Result<Vec<Group>, StoreError> {
    let select = Entity::find().filter(Column::AccountId.is_in(accounts.iter().map(AccountId::as_str)));
    let select = select.apply_if(after, |select, after| {
        select.filter(keyset::beyond(key.column(), (&after.key, after.id.as_uuid().into()), descending))
    });
    let rows = keyset::sorted(select, key.column(), descending).limit(limit).all(conn).await?;
    rows.into_iter().map(from_row).collect()
}

/// All groups of any of these accounts.
///
/// # Errors
/// What the database reports.
pub async fn all(conn: &impl ConnectionTrait, accounts: &[AccountId]) -> Result<Vec<Group>, StoreError> {
    let accounts = accounts.iter().map(AccountId::as_str);
    let select = Entity::find().filter(Column::AccountId.is_in(accounts)).order_by_asc(Column::Id);
    select.all(conn).await?.into_iter().map(from_row).collect()
}

/// Whether an account has a group of that title, compared folded.
///
/// # Errors
/// What the database reports.
pub async fn title_taken(conn: &impl ConnectionTrait, account: &AccountId, title: &str) -> Result<bool, StoreError> {
    let count = Entity::find()
        .filter(Column::AccountId.eq(account.as_str()))
        .filter(Column::TitleKey.eq(text::fold(title)))
        .count(conn)
        .await?;
    Ok(count > 0)
}

fn is(id: GroupId) -> SimpleExpr {
    Column::Id.eq(id.as_uuid())
}

fn missing(id: GroupId) -> StoreError {
    StoreError::missing(TABLE, id)
}

fn to_row(group: &Group) -> Model {
    Model {
        id: group.id.as_uuid(),
        account_id: group.account.to_string(),
        title: group.title.clone(),
        title_key: text::fold(&group.title),
        description: group.description.clone(),
        create_time: group.create_time.as_micros(),
        update_time: group.update_time.as_micros(),
        version: group.version,
        update_revision: group.update_revision,
    }
}

fn from_row(row: Model) -> Result<Group, StoreError> {
    Ok(Group {
        id: GroupId::from(row.id),
        account: AccountId::parse(&row.account_id).map_err(|_| StoreError::corrupt(TABLE, row.id))?,
        title: row.title,
        description: row.description,
        create_time: Timestamp::from_micros(row.create_time),
        update_time: Timestamp::from_micros(row.update_time),
        version: row.version,
        update_revision: row.update_revision,
    })
}
