//! Forward-only schema migrations, the same for SQLite and PostgreSQL.
//!
//! INVARIANT: a migration that was released is never edited, and none has a way back. Each leaves
//! the oldest release that can live with the schema in `schema_floor`, so that a rolling upgrade
//! has no gap: additions keep the floor, removals raise it.
//!
//! Not here: rows of the domain. The only rows a migration writes are the single rows of
//! `policy_revision` and `schema_floor`.

mod audit_reading;
mod column;
mod foundation;
mod list_orders;
mod passwords_and_photos;
mod peer_branches;
mod peer_lists;
mod policy_digest;
mod secrets;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::EntityTrait as _;
use sea_orm_migration::seaql_migrations;

/// Every migration there is, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(foundation::Foundation),
            Box::new(policy_digest::PolicyDigest),
            Box::new(secrets::Secrets),
            Box::new(peer_lists::PeerLists),
            Box::new(passwords_and_photos::PasswordsAndPhotos),
            Box::new(audit_reading::AuditReading),
            Box::new(list_orders::ListOrders),
            Box::new(peer_branches::PeerBranches),
        ]
    }
}

/// Runs the migrations that a database has not seen.
///
/// # Errors
/// What the database reports.
pub async fn run<'c, C>(connection: C) -> Result<(), DbErr>
where
    C: IntoSchemaManagerConnection<'c>,
{
    Migrator::up(connection, None).await
}

/// The names of this release's migrations, oldest first.
#[must_use]
pub fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// The names of the migrations that a database has seen, also those of later releases; none where
/// it was never migrated. Changes nothing, and needs no right to create tables.
///
/// # Errors
/// What the database reports.
pub async fn applied<'c, C>(connection: C) -> Result<Vec<String>, DbErr>
where
    C: IntoSchemaManagerConnection<'c>,
{
    let manager = SchemaManager::new(connection);
    if !manager.has_table("seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let rows = seaql_migrations::Entity::find().all(manager.get_connection()).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}
