//! Whether the schema fits this release, and bringing it forward.
//!
//! A rolling upgrade migrates first, so that releases from the floor on live side by side with a
//! schema that is newer than they are: migrations that this release does not know are no error.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait as _, IntoDatabaseExecutor, Statement};

use super::entity::schema_floor;
use super::error::StoreError;
use super::{Store, Transaction};

/// An arbitrary number that every process of this program locks while it migrates.
const MIGRATION_LOCK: i64 = 0x7065_6572_6167_6501;

/// How the schema stands to this release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// Everything this release needs is there.
    Current,
    /// These migrations have not run yet.
    Behind { missing: Vec<String> },
    /// A later release changed the schema so that this one cannot live with it.
    TooNew { floor: String },
}

impl Store {
    /// Looks how the schema stands to this release. Changes nothing.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn schema(&self) -> Result<SchemaState, StoreError> {
        state(self.reader()).await
    }

    /// Runs the migrations that are missing, all in one transaction, one process at a time.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`] where a later release set the floor above this one;
    /// [`StoreError::ExtensionMissing`] where PostgreSQL has no `pg_trgm` and this role may not create
    /// it; otherwise what the database reports.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let transaction = self.begin().await?;
        lock(&transaction).await?;
        match state(transaction.connection()).await? {
            SchemaState::Current => Ok(()),
            SchemaState::TooNew { floor } => Err(StoreError::SchemaTooNew { floor }),
            SchemaState::Behind { .. } => {
                extend(&transaction).await?;
                migrations::run(transaction.connection()).await?;
                transaction.commit().await
            }
        }
    }
}

/// Makes sure of the extension that searches are indexed by. It is asked for before it is created,
/// because a role that may not create extensions fails even where one is there.
async fn extend(transaction: &Transaction) -> Result<(), StoreError> {
    const NAME: &str = "pg_trgm";
    let connection = transaction.connection();
    if connection.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let sql = "SELECT 1 FROM pg_extension WHERE extname = $1";
    let known = Statement::from_sql_and_values(DbBackend::Postgres, sql, [NAME.into()]);
    if connection.query_one_raw(known).await?.is_none() {
        let created = connection.execute_unprepared(&format!("CREATE EXTENSION {NAME}")).await;
        created.map_err(|source| StoreError::ExtensionMissing { name: NAME, source })?;
    }
    Ok(())
}

/// SQLite needs no lock of its own: the transaction began with the write lock.
async fn lock(transaction: &Transaction) -> Result<(), StoreError> {
    let connection = transaction.connection();
    if connection.get_database_backend() == DbBackend::Postgres {
        let sql = "SELECT pg_advisory_xact_lock($1)";
        let lock = Statement::from_sql_and_values(DbBackend::Postgres, sql, [MIGRATION_LOCK.into()]);
        // Waiting for another process's migration may take longer than any other lock.
        connection.execute_unprepared("SET LOCAL lock_timeout = 0").await?;
        connection.execute_raw(lock).await?;
    }
    Ok(())
}

async fn state<'c, C>(connection: &'c C) -> Result<SchemaState, StoreError>
where
    C: ConnectionTrait,
    &'c C: IntoDatabaseExecutor<'c>,
{
    let applied: BTreeSet<String> = migrations::applied(connection).await?.into_iter().collect();
    let missing: Vec<String> = migrations::names().into_iter().filter(|name| !applied.contains(name)).collect();
    if applied.is_empty() {
        return Ok(SchemaState::Behind { missing });
    }
    let floor = schema_floor::Entity::find_by_id(1)
        .one(connection)
        .await?
        .ok_or_else(|| StoreError::missing("schema_floor", 1))?
        .release;
    let needed = release(&floor).ok_or_else(|| StoreError::corrupt("schema_floor", 1))?;
    if release(env!("CARGO_PKG_VERSION")).is_none_or(|own| own < needed) {
        return Ok(SchemaState::TooNew { floor });
    }
    Ok(if missing.is_empty() { SchemaState::Current } else { SchemaState::Behind { missing } })
}

/// Reads `major.minor.patch`; a suffix such as `-rc.1` counts as the release itself.
fn release(text: &str) -> Option<[u64; 3]> {
    let core = text.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(|part| part.parse::<u64>().ok());
    let release = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(release)
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn releases_compare_by_number() {
        assert!(release("0.10.0") > release("0.9.12"));
        assert_eq!(release("1.2.3-rc.1"), Some([1, 2, 3]));
        for bad in ["", "1", "1.2", "1.2.3.4", "a.b.c"] {
            assert_eq!(release(bad), None, "{bad}");
        }
    }
}
