//! Word of policy changes among the processes of one PostgreSQL database, sent with the commit and heard
//! within milliseconds.
//!
//! It carries nothing and proves nothing: whoever hears it looks at the feed. Word that is lost costs time
//! alone, since the feed is polled too. LISTEN belongs to a session: a pooler that lends sessions from
//! transaction to transaction would bring word to whoever has the session next, which docs/peerage.example.toml
//! rules out.

use std::time::Duration;

use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, sqlx};

use super::Store;
use super::error::StoreError;

/// What is told of, as the database names it.
const CHANNEL: &str = "peerage_policy";
const TELL: &str = "NOTIFY peerage_policy";
/// How long making the connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Word of changes, on a connection of its own.
#[derive(Debug)]
pub struct Notices(PgListener);

impl Store {
    /// Listens for changes; `None` on SQLite, which one process has for itself.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn notices(&self) -> Result<Option<Notices>, StoreError> {
        if self.backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let options = self.reader().get_postgres_connection_pool().connect_options();
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_MAX);
        let mut listener =
            PgListener::connect_with(&pool.connect_lazy_with((*options).clone())).await.map_err(failed)?;
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(Some(Notices(listener)))
    }
}

impl Notices {
    /// Waits until something may have changed: there was word of it, or the connection broke and was made
    /// anew.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        self.0.try_recv().await.map(drop).map_err(failed)
    }
}

/// Tells the other processes when the transaction is committed, and not before.
pub(super) async fn tell(transaction: &DatabaseTransaction) -> Result<(), StoreError> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(TELL).await?;
    }
    Ok(())
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::from(DbErr::Conn(RuntimeErr::SqlxError(error.into())))
}
