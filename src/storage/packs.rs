//! Which role packs were loaded, by the digest of their content.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait as _, IntoActiveModel as _, QueryOrder as _};

use super::code::fixed;
use super::entity::pack::{Column, Entity, Model};
use super::error::StoreError;

/// A pack as it was loaded last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedPack {
    pub id: String,
    /// SHA-256 of its files.
    pub digest: [u8; 32],
    pub update_revision: i64,
}

/// Notes that a pack was loaded, in place of what was noted before.
///
/// # Errors
/// What the database reports.
pub async fn save(conn: &impl ConnectionTrait, pack: &LoadedPack) -> Result<(), StoreError> {
    let row = Model { id: pack.id.clone(), digest: pack.digest.to_vec(), update_revision: pack.update_revision };
    let replace = OnConflict::column(Column::Id).update_columns([Column::Digest, Column::UpdateRevision]).to_owned();
    Entity::insert(row.into_active_model()).on_conflict(replace).exec_without_returning(conn).await?;
    Ok(())
}

/// Lists the packs that were ever loaded, by id; there are a handful.
///
/// # Errors
/// What the database reports.
pub async fn list(conn: &impl ConnectionTrait) -> Result<Vec<LoadedPack>, StoreError> {
    let rows = Entity::find().order_by_asc(Column::Id).all(conn).await?;
    rows.into_iter()
        .map(|row| {
            let digest = fixed(&row.digest, "packs", &row.id)?;
            Ok(LoadedPack { id: row.id, digest, update_revision: row.update_revision })
        })
        .collect()
}
