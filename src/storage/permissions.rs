//! The catalogue of permissions.

use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
};

use super::entity::permission::{ActiveModel, Column, Entity, Model};
use super::error::StoreError;
use super::write;
use crate::domain::ids::AccountId;
use crate::domain::permission::{Permission, PermissionFlags, PermissionName, PermissionOwner};

const TABLE: &str = "permissions";

/// Adds permissions to the catalogue.
///
/// # Errors
/// [`StoreError::UniqueViolation`] where one is there already.
pub async fn insert_many(
    conn: &impl ConnectionTrait,
    permissions: &[Permission],
    revision: i64,
) -> Result<(), StoreError> {
    let rows = permissions.iter().map(|permission| to_row(permission, revision)).collect();
    write::insert_many::<Entity>(conn, rows).await
}

/// Writes everything about a permission.
///
/// # Errors
/// [`StoreError::Missing`] without the permission.
pub async fn update(conn: &impl ConnectionTrait, permission: &Permission, revision: i64) -> Result<(), StoreError> {
    let mut model = ActiveModel::from(to_row(permission, revision)).reset_all();
    model.name = ActiveValue::NotSet;
    let name = permission.name.as_str();
    let updated = Entity::update_many().set(model).filter(Column::Name.eq(name)).exec(conn).await?;
    write::met_one(updated.rows_affected, || StoreError::missing(TABLE, name))
}

/// Finds a permission.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, name: &PermissionName) -> Result<Option<Permission>, StoreError> {
    Entity::find_by_id(name.as_str()).one(conn).await?.map(from_row).transpose()
}

/// Lists permissions by name.
///
/// # Errors
/// What the database reports.
pub async fn list(
    conn: &impl ConnectionTrait,
    after: Option<&PermissionName>,
    limit: u64,
) -> Result<Vec<Permission>, StoreError> {
    let rows = Entity::find()
        .apply_if(after, |select, after| select.filter(Column::Name.gt(after.as_str())))
        .order_by_asc(Column::Name)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(from_row).collect()
}

fn to_row(permission: &Permission, revision: i64) -> Model {
    let (owner_pack, owner_id) = match &permission.owner {
        PermissionOwner::Pack(pack) => (Some(pack.clone()), None),
        PermissionOwner::Account(account) => (None, Some(account.to_string())),
    };
    Model {
        name: permission.name.to_string(),
        title: permission.title.clone(),
        feature: permission.feature.clone(),
        privileged: permission.flags.privileged,
        reserved: permission.flags.reserved,
        from_outside: permission.flags.from_outside,
        on_suspended: permission.flags.on_suspended,
        owner_pack,
        owner_id,
        update_revision: revision,
    }
}

pub(super) fn from_row(row: Model) -> Result<Permission, StoreError> {
    let corrupt = || StoreError::corrupt(TABLE, &row.name);
    let owner = match (&row.owner_pack, &row.owner_id) {
        (Some(pack), None) => PermissionOwner::Pack(pack.clone()),
        (None, Some(account)) => PermissionOwner::Account(AccountId::parse(account).map_err(|_| corrupt())?),
        (Some(_), Some(_)) | (None, None) => return Err(corrupt()),
    };
    Ok(Permission {
        name: PermissionName::parse(&row.name).map_err(|_| corrupt())?,
        title: row.title,
        feature: row.feature,
        flags: PermissionFlags {
            privileged: row.privileged,
            reserved: row.reserved,
            from_outside: row.from_outside,
            on_suspended: row.on_suspended,
        },
        owner,
    })
}
