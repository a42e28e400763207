//! Transactions: of policy changes, of other writes, and of consistent reads.
//!
//! INVARIANT: revisions are gapless and in commit order, because a policy transaction holds the
//! revision row from its first statement on and takes the next number only if it has changes.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    AccessMode, ColumnTrait as _, DatabaseTransaction, DbBackend, EntityTrait as _, IsolationLevel, QueryFilter as _,
    QuerySelect as _, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};

use super::Store;
use super::change_feed;
use super::entity::policy_revision;
use super::error::StoreError;
use crate::domain::fact::Change;
use crate::domain::time::Timestamp;

/// The key of the single row.
const ROW: i64 = 1;

/// A transaction that may change what decisions read. Dropping it undoes everything.
#[derive(Debug)]
pub struct PolicyTransaction {
    transaction: DatabaseTransaction,
    locked: bool,
    revision: i64,
    commit_time: i64,
    /// The revision that this transaction makes and the next ordinal in it, once it has changes.
    made: Option<(i64, i64)>,
}

/// A transaction for writes that are no policy changes. Dropping it undoes everything.
#[derive(Debug)]
pub struct Transaction(DatabaseTransaction);

/// A transaction whose reads all see the same moment. Dropping it ends it.
#[derive(Debug)]
pub struct ReadTransaction(DatabaseTransaction);

impl Store {
    /// Begins a policy transaction: waits for the revision row, and holds it until the end.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the wait was too long; otherwise what the database reports.
    pub async fn begin_policy(&self) -> Result<PolicyTransaction, StoreError> {
        let transaction = self.begin_write().await?;
        let locked = self.locks_revision();
        let mut query = policy_revision::Entity::find_by_id(ROW);
        // On SQLite the transaction itself began with the lock on the whole file.
        if locked && self.backend() == DbBackend::Postgres {
            query = query.lock_exclusive();
        }
        let row = query.one(&transaction).await?.ok_or_else(missing)?;
        let policy_revision::Model { id: _, revision, commit_time } = row;
        Ok(PolicyTransaction { transaction, locked, revision, commit_time, made: None })
    }

    /// Begins a transaction for writes that are no policy changes.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        self.begin_write().await.map(Transaction)
    }

    /// Begins a transaction whose reads all see the same moment.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let options = if self.backend() == DbBackend::Postgres {
            TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                sqlite_transaction_mode: None,
            }
        } else {
            // SQLite's readers see one moment anyway, from their first read on.
            let sqlite_transaction_mode = Some(SqliteTransactionMode::Deferred);
            TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() }
        };
        Ok(ReadTransaction(self.reader().begin_with_options(options).await?))
    }

    /// The revision of the last policy change that is committed.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        change_feed::revision(self.reader()).await
    }

    async fn begin_write(&self) -> Result<DatabaseTransaction, StoreError> {
        let sqlite_transaction_mode = (self.backend() == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        self.writer().begin_with_options(options).await.map_err(StoreError::from)
    }
}

impl PolicyTransaction {
    /// The last revision before this transaction: what its guards must know the facts of.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision that this transaction makes, if it has changes.
    #[must_use]
    pub fn made_revision(&self) -> Option<i64> {
        self.made.map(|(revision, _)| revision)
    }

    /// What queries of this transaction run on.
    #[must_use]
    pub fn connection(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// Writes changes to the feed, under the next revision. Called again, it adds to the same
    /// revision. Without changes nothing is written. Returns the revision after it.
    ///
    /// A commit time never lies before that of an earlier revision, whatever the clock did.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn append_changes(&mut self, now: Timestamp, changes: &[Change]) -> Result<i64, StoreError> {
        if changes.is_empty() {
            return Ok(self.made.map_or(self.revision, |(revision, _)| revision));
        }
        let (revision, ordinal) = match self.made {
            Some(made) => made,
            None => (self.take_revision(now).await?, 0),
        };
        let position = change_feed::Position { revision, ordinal, commit_time: self.commit_time };
        let next = change_feed::append(&self.transaction, position, changes).await?;
        self.made = Some((revision, next));
        Ok(revision)
    }

    async fn take_revision(&mut self, now: Timestamp) -> Result<i64, StoreError> {
        self.commit_time = Ord::max(self.commit_time, now.as_micros());
        let mut update = policy_revision::Entity::update_many()
            .col_expr(policy_revision::Column::Revision, Expr::col(policy_revision::Column::Revision).add(1))
            .col_expr(policy_revision::Column::CommitTime, Expr::value(self.commit_time))
            .filter(policy_revision::Column::Id.eq(ROW));
        if self.locked {
            // Nobody else can have moved the row; if somebody has, nothing of this may stay.
            update = update.filter(policy_revision::Column::Revision.eq(self.revision));
        }
        let updated = update.exec(&self.transaction).await?;
        if updated.rows_affected != 1 {
            return Err(StoreError::Conflict(None));
        }
        if self.locked {
            return Ok(self.revision.saturating_add(1));
        }
        change_feed::revision(&self.transaction).await
    }

    /// Makes everything of this transaction last. Returns the revision after it.
    ///
    /// # Errors
    /// What the database reports; where the connection broke, whether it was committed is unknown.
    pub async fn commit(self) -> Result<i64, StoreError> {
        let revision = self.made.map_or(self.revision, |(revision, _)| revision);
        self.transaction.commit().await?;
        Ok(revision)
    }

    /// Undoes everything now, instead of when the connection is used next.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.transaction.rollback().await.map_err(StoreError::from)
    }
}

impl Transaction {
    /// What queries of this transaction run on.
    #[must_use]
    pub fn connection(&self) -> &DatabaseTransaction {
        &self.0
    }

    /// Makes everything of this transaction last.
    ///
    /// # Errors
    /// What the database reports; where the connection broke, whether it was committed is unknown.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.0.commit().await.map_err(StoreError::from)
    }

    /// Undoes everything now, instead of when the connection is used next.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.0.rollback().await.map_err(StoreError::from)
    }
}

impl ReadTransaction {
    /// What queries of this transaction run on.
    #[must_use]
    pub fn connection(&self) -> &DatabaseTransaction {
        &self.0
    }

    /// Gives the connection back now, instead of when it is used next.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn finish(self) -> Result<(), StoreError> {
        self.0.commit().await.map_err(StoreError::from)
    }
}

pub(super) fn missing() -> StoreError {
    StoreError::missing("policy_revision", ROW)
}
