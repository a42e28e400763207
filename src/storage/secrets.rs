//! Secrets of 256 bits that all processes of the deployment share, each made once and by whoever
//! needs it first.
//!
//! Only what guards the database's own rows from those who have no access to it belongs here, since
//! whoever reads the database reads these too.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait as _, IntoActiveModel as _};

use super::code::fixed;
use super::entity::secret::{ActiveModel, Column, Entity, Model};
use super::error::StoreError;
use crate::domain::time::Timestamp;

const TABLE: &str = "secrets";

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    PageTokens,
    SnapshotFile,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::PageTokens => "page-tokens",
            Self::SnapshotFile => "snapshot-file",
        }
    }
}

/// Finds a secret.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, purpose: Purpose) -> Result<Option<[u8; 32]>, StoreError> {
    let row = Entity::find_by_id(purpose.name()).one(conn).await?;
    row.map(|row| fixed(&row.secret, TABLE, &row.name)).transpose()
}

/// Keeps a secret unless there is one already; returns the one that counts.
///
/// # Errors
/// What the database reports.
pub async fn keep(
    conn: &impl ConnectionTrait,
    purpose: Purpose,
    secret: [u8; 32],
    now: Timestamp,
) -> Result<[u8; 32], StoreError> {
    let name = purpose.name();
    let row = Model { name: name.to_owned(), secret: secret.to_vec(), create_time: now.as_micros() };
    let unless_there = OnConflict::column(Column::Name).do_nothing().to_owned();
    let insert = Entity::insert::<ActiveModel>(row.into_active_model()).on_conflict(unless_there);
    insert.exec_without_returning(conn).await?;
    find(conn, purpose).await?.ok_or_else(|| StoreError::missing(TABLE, name))
}
