//! State on SQLite or PostgreSQL: entities, queries and transactions.
//!
//! A family of rows has one file of free functions that take the connection first, so that the same
//! query runs on a reader and inside a transaction. Functions map rows to domain types; a row that
//! this release cannot have written is [`StoreError::Corrupt`], never a panic.
//!
//! INVARIANT: whoever changes what a decision reads does so inside a [`PolicyTransaction`], which
//! holds the revision row from its first statement to its commit; locks are taken in one order: the
//! revision row, then the heads of audit logs by account id.
//!
//! Not here: guards, rules of the domain, clocks, randomness.

pub mod accounts;
pub mod api_keys;
pub mod audit;
pub mod bindings;
pub mod bootstrap;
pub mod change_feed;
mod code;
mod connect;
pub mod entity;
mod error;
pub mod facts;
pub mod groups;
pub mod keyset;
mod notices;
pub mod packs;
pub mod passwords;
pub mod peers;
pub mod permissions;
pub mod photos;
mod pools;
pub mod requests;
pub mod roles;
mod schema;
pub mod secrets;
mod transaction;
mod trigram;
mod write;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseConnection, DbBackend};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What queries run on: a reader, or a transaction.
pub use sea_orm::ConnectionTrait as Connection;
/// What queries that must not stand alone run on.
pub use sea_orm::DatabaseTransaction as TransactionConnection;

pub use error::{Constraint, StoreError};
pub use notices::Notices;
pub use pools::PoolState;
pub use schema::SchemaState;
pub use transaction::{PolicyTransaction, ReadTransaction, Transaction};

/// How to use a database.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The most connections that read. Beside them one writes on SQLite; on PostgreSQL two do, and one
    /// listens.
    pub max_connections: u32,
    /// How long a caller waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a statement waits for a lock that another transaction holds.
    pub lock_timeout: Duration,
    /// Leaves the revision row unlocked, so that a test can show what the lock is for.
    #[cfg(feature = "fault-injection")]
    pub without_revision_lock: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(10),
            #[cfg(feature = "fault-injection")]
            without_revision_lock: false,
        }
    }
}

impl StoreOptions {
    /// How many connections write on PostgreSQL. Without the revision lock, writers race on as many as
    /// there may be.
    const fn postgres_writers(&self) -> u32 {
        #[cfg(feature = "fault-injection")]
        if self.without_revision_lock {
            return self.max_connections;
        }
        2
    }
}

/// A database, ready for use. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    /// Whose turn it is to change policy in this process.
    policy_turn: Arc<Semaphore>,
    lock_timeout: Duration,
    #[cfg(feature = "fault-injection")]
    without_revision_lock: bool,
}

impl Store {
    /// Opens the database at a `sqlite:` or `postgres:` URL. Creates no tables: see
    /// [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Url`] where the URL cannot be used, [`StoreError::Unavailable`] where nothing
    /// answers there.
    pub async fn connect(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let (writer, reader) = connect::connect(url, options).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                reader,
                policy_turn: Arc::new(Semaphore::new(1)),
                lock_timeout: options.lock_timeout,
                #[cfg(feature = "fault-injection")]
                without_revision_lock: options.without_revision_lock,
            }),
        })
    }

    /// A connection for reads outside a transaction, each of which sees what is committed.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.inner.reader
    }

    /// The connection whose transactions may write.
    fn writer(&self) -> &DatabaseConnection {
        &self.inner.writer
    }

    /// Waits until no other policy transaction of this process is under way.
    async fn policy_turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turn = Arc::clone(&self.inner.policy_turn).acquire_owned();
        match tokio::time::timeout(self.inner.lock_timeout, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(StoreError::Conflict(None)),
        }
    }

    fn backend(&self) -> DbBackend {
        self.inner.writer.get_database_backend()
    }

    fn locks_revision(&self) -> bool {
        #[cfg(feature = "fault-injection")]
        return !self.inner.without_revision_lock;
        #[cfg(not(feature = "fault-injection"))]
        return true;
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where there is none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.reader().ping().await.map_err(StoreError::from)
    }

    /// Closes every connection, after the transactions that hold one.
    ///
    /// # Errors
    /// What the database reports; there is nothing left to do about it.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.reader.close_by_ref().await?;
        self.inner.writer.close_by_ref().await.map_err(StoreError::from)
    }
}
