//! Roles: built-in ones from packs, and custom ones that accounts own.

use sea_orm::sea_query::{ExprTrait as _, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};

use super::code::{from_json, to_json};
use super::entity::role::{ActiveModel, Column, Entity, Model};
use super::error::StoreError;
use super::write;
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::role::{Role, RoleOrigin};
use crate::domain::text;
use crate::domain::time::Timestamp;

const TABLE: &str = "roles";

/// Which roles to list.
#[derive(Debug, Clone)]
pub enum Filter {
    All,
    BuiltIn,
    /// Custom roles of this account.
    OwnedBy(AccountId),
    /// What can be used on an account: its own custom roles, the inheritable ones of the accounts
    /// above it, and every built-in role.
    UsableOn {
        account: AccountId,
        ancestors: Vec<AccountId>,
    },
}

/// Inserts a role.
///
/// # Errors
/// [`super::Constraint::RoleTitle`] where the owner has a role of that title.
pub async fn insert(conn: &impl ConnectionTrait, role: &Role) -> Result<(), StoreError> {
    write::insert::<Entity>(conn, to_row(role)?).await
}

/// Writes everything about a role but its origin.
///
/// # Errors
/// [`StoreError::Missing`] without the role; [`super::Constraint::RoleTitle`] as for [`insert`].
pub async fn update(conn: &impl ConnectionTrait, role: &Role) -> Result<(), StoreError> {
    let mut model = ActiveModel::from(to_row(role)?).reset_all();
    model.id = ActiveValue::NotSet;
    model.built_in = ActiveValue::NotSet;
    model.owner_id = ActiveValue::NotSet;
    model.create_time = ActiveValue::NotSet;
    let updated = Entity::update_many().set(model).filter(is(&role.id)).exec(conn).await?;
    write::met_one(updated.rows_affected, || missing(&role.id))
}

/// Removes a role that no binding names.
///
/// # Errors
/// [`StoreError::Missing`] without the role.
pub async fn delete(conn: &impl ConnectionTrait, id: &RoleId) -> Result<(), StoreError> {
    let deleted = Entity::delete_by_id(id.as_str()).exec(conn).await?;
    write::met_one(deleted.rows_affected, || missing(id))
}

/// Finds a role.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, id: &RoleId) -> Result<Option<Role>, StoreError> {
    Entity::find_by_id(id.as_str()).one(conn).await?.map(from_row).transpose()
}

/// Gets a role.
///
/// # Errors
/// [`StoreError::Missing`] without the role.
pub async fn get(conn: &impl ConnectionTrait, id: &RoleId) -> Result<Role, StoreError> {
    find(conn, id).await?.ok_or_else(|| missing(id))
}

/// Finds those of these roles that are there, in no order.
///
/// # Errors
/// What the database reports.
pub async fn find_many(conn: &impl ConnectionTrait, ids: &[RoleId]) -> Result<Vec<Role>, StoreError> {
    let mut found = Vec::new();
    for ids in ids.chunks(write::KEYS_MAX) {
        let ids = ids.iter().map(RoleId::as_str);
        found.extend(Entity::find().filter(Column::Id.is_in(ids)).all(conn).await?);
    }
    found.into_iter().map(from_row).collect()
}

/// Lists roles by id.
///
/// # Errors
/// What the database reports.
pub async fn list(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<&RoleId>,
    limit: u64,
) -> Result<Vec<Role>, StoreError> {
    let rows = Entity::find()
        .filter(condition(filter))
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after.as_str())))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(from_row).collect()
}

/// Whether an account owns a role of that title, compared folded.
///
/// # Errors
/// What the database reports.
pub async fn title_taken(conn: &impl ConnectionTrait, owner: &AccountId, title: &str) -> Result<bool, StoreError> {
    let count = Entity::find()
        .filter(Column::OwnerId.eq(owner.as_str()))
        .filter(Column::TitleKey.eq(text::fold(title)))
        .count(conn)
        .await?;
    Ok(count > 0)
}

fn condition(filter: &Filter) -> Condition {
    let all = Condition::all();
    match filter {
        Filter::All => all,
        Filter::BuiltIn => all.add(Column::BuiltIn.eq(true)),
        Filter::OwnedBy(owner) => all.add(Column::OwnerId.eq(owner.as_str())),
        Filter::UsableOn { account, ancestors } => {
            let inherited =
                Column::OwnerId.is_in(ancestors.iter().map(AccountId::as_str)).and(Column::Inheritable.eq(true));
            all.add(Column::BuiltIn.eq(true).or(Column::OwnerId.eq(account.as_str())).or(inherited))
        }
    }
}

fn is(id: &RoleId) -> SimpleExpr {
    Column::Id.eq(id.as_str())
}

fn missing(id: &RoleId) -> StoreError {
    StoreError::missing(TABLE, id)
}

fn to_row(role: &Role) -> Result<Model, StoreError> {
    let key = &role.id;
    let (built_in, owner_id, inheritable) = match &role.origin {
        RoleOrigin::BuiltIn => (true, None, true),
        RoleOrigin::Custom { owner, inheritable } => (false, Some(owner.to_string()), *inheritable),
    };
    Ok(Model {
        id: key.to_string(),
        built_in,
        owner_id,
        inheritable,
        title: role.title.clone(),
        title_key: text::fold(&role.title),
        description: role.description.clone(),
        grants: to_json(&role.grants, TABLE, key)?,
        rules: to_json(&role.rules, TABLE, key)?,
        copied_from: role.copied_from.as_ref().map(RoleId::to_string),
        create_time: role.create_time.as_micros(),
        update_time: role.update_time.as_micros(),
        version: role.version,
        update_revision: role.update_revision,
    })
}

pub(super) fn from_row(row: Model) -> Result<Role, StoreError> {
    let key = &row.id;
    let corrupt = || StoreError::corrupt(TABLE, key);
    let origin = match (row.built_in, &row.owner_id) {
        (true, None) => RoleOrigin::BuiltIn,
        (false, Some(owner)) => {
            RoleOrigin::Custom { owner: AccountId::parse(owner).map_err(|_| corrupt())?, inheritable: row.inheritable }
        }
        (true, Some(_)) | (false, None) => return Err(corrupt()),
    };
    let id = |text: &str| RoleId::parse(text).map_err(|_| corrupt());
    Ok(Role {
        id: id(key)?,
        origin,
        title: row.title,
        description: row.description,
        grants: from_json(&row.grants, TABLE, key)?,
        rules: from_json(&row.rules, TABLE, key)?,
        copied_from: row.copied_from.as_deref().map(id).transpose()?,
        create_time: Timestamp::from_micros(row.create_time),
        update_time: Timestamp::from_micros(row.update_time),
        version: row.version,
        update_revision: row.update_revision,
    })
}
