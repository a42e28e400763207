//! Writes that every family makes alike.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable as _};

use super::error::StoreError;

/// SQLite takes 32,766 values in a statement, PostgreSQL 65,535.
const VALUES_MAX: usize = 32_000;
/// Keys named in one statement.
pub(super) const KEYS_MAX: usize = 1000;

/// Inserts rows, as many in a statement as the databases take.
pub(super) async fn insert_many<E>(conn: &impl ConnectionTrait, rows: Vec<E::Model>) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let rows_max = VALUES_MAX / E::Column::iter().count().max(1);
    let mut rows = rows.into_iter();
    loop {
        let chunk: Vec<E::ActiveModel> = rows.by_ref().take(rows_max).map(IntoActiveModel::into_active_model).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        E::insert_many(chunk).exec_without_returning(conn).await?;
    }
}

/// Inserts one row.
pub(super) async fn insert<E>(conn: &impl ConnectionTrait, row: E::Model) -> Result<(), StoreError>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    E::insert(row.into_active_model()).exec_without_returning(conn).await?;
    Ok(())
}

/// Fails where an update or delete of one row met none.
pub(super) fn met_one(rows: u64, missing: impl FnOnce() -> StoreError) -> Result<(), StoreError> {
    if rows == 0 { Err(missing()) } else { Ok(()) }
}
