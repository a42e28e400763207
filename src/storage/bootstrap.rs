//! The mark that an operator was made, which can be set once.

use sea_orm::{ConnectionTrait, EntityTrait as _};

use super::entity::bootstrap::{Entity, Model};
use super::error::StoreError;
use super::write;
use crate::domain::ids::PeerId;
use crate::domain::time::Timestamp;

/// The key of the single row.
const ROW: i64 = 1;

/// Claims the bootstrap for an operator.
///
/// # Errors
/// [`super::Constraint::Bootstrap`] where it was claimed before.
pub async fn claim(conn: &impl ConnectionTrait, operator: PeerId, now: Timestamp) -> Result<(), StoreError> {
    let row = Model { id: ROW, peer_id: operator.as_uuid(), create_time: now.as_micros() };
    write::insert::<Entity>(conn, row).await
}

/// The operator that was made, if one was.
///
/// # Errors
/// What the database reports.
pub async fn operator(conn: &impl ConnectionTrait) -> Result<Option<PeerId>, StoreError> {
    Ok(Entity::find_by_id(ROW).one(conn).await?.map(|row| PeerId::from(row.peer_id)))
}
