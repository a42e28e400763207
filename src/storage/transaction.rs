//! Transactions: of policy changes, of other writes, and of consistent reads.
//!
//! INVARIANT: revisions are gapless and in commit order, because a policy transaction holds the
//! revision row from its first statement on and takes the next number only if it has changes.

use sea_orm::sea_query::Expr;
use sea_orm::{
    AccessMode, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait as _,
    IsolationLevel, QueryFilter as _, QuerySelect as _, SqliteTransactionMode, TransactionOptions,
    TransactionTrait as _,
};
use tokio::sync::OwnedSemaphorePermit;

use super::Store;
use super::change_feed;
use super::entity::policy_revision;
use super::error::StoreError;
use super::notices;
use crate::domain::fact::{Change, Mark};
use crate::domain::time::Timestamp;

/// The key of the single row.
const ROW: i64 = 1;

/// A transaction that may change what decisions read. Dropping it undoes everything.
#[derive(Debug)]
pub struct PolicyTransaction {
    transaction: DatabaseTransaction,
    locked: bool,
    head: Mark,
    commit_time: i64,
    /// The end of the feed that this transaction makes and the next ordinal there, once it has changes.
    made: Option<(Mark, i64)>,
    /// The only place at the writing connection of this process, given back last.
    _turn: Option<OwnedSemaphorePermit>,
}

/// A transaction for writes that are no policy changes. Dropping it undoes everything.
#[derive(Debug)]
pub struct Transaction(DatabaseTransaction);

/// A transaction whose reads all see the same moment. Dropping it ends it.
#[derive(Debug)]
pub struct ReadTransaction(DatabaseTransaction);

impl Store {
    /// Begins a policy transaction: waits for its turn in this process, then for the revision row, and
    /// holds both until the end. Only one waits on a connection, so that a crowd of writers leaves
    /// connections to everyone else.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the wait was too long; otherwise what the database reports.
    pub async fn begin_policy(&self) -> Result<PolicyTransaction, StoreError> {
        let locked = self.locks_revision();
        let turn = if locked { Some(self.policy_turn().await?) } else { None };
        let transaction = self.begin_write().await?;
        let row = revision_row(&transaction, locked).await?;
        let (head, commit_time) = (change_feed::mark(&row)?, row.commit_time);
        Ok(PolicyTransaction { transaction, locked, head, commit_time, made: None, _turn: turn })
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
        Ok(change_feed::head(self.reader()).await?.revision)
    }

    async fn begin_write(&self) -> Result<DatabaseTransaction, StoreError> {
        let sqlite_transaction_mode = (self.backend() == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        self.writer().begin_with_options(options).await.map_err(StoreError::from)
    }
}

impl PolicyTransaction {
    /// The end of the feed before this transaction: what its guards must know the facts of.
    ///
    /// # Errors
    /// What the database reports; nothing where the row is locked, and so known.
    pub async fn head(&self) -> Result<Mark, StoreError> {
        if self.locked { Ok(self.head) } else { change_feed::head(&self.transaction).await }
    }

    /// The end of the feed that this transaction makes, if it has changes.
    #[must_use]
    pub fn made(&self) -> Option<Mark> {
        self.made.map(|(mark, _)| mark)
    }

    /// Whether the revision row is locked, as it always is but for one test.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.locked
    }

    /// What queries of this transaction run on.
    #[must_use]
    pub fn connection(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// Writes changes to the feed, under the next revision. Called again, it adds to the same
    /// revision. Without changes nothing is written. Returns the end of the feed after it.
    ///
    /// A commit time never lies before that of an earlier revision, whatever the clock did.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the revision row moved; otherwise what the database reports.
    pub async fn append_changes(&mut self, now: Timestamp, changes: &[Change]) -> Result<Mark, StoreError> {
        if changes.is_empty() {
            return Ok(self.made().unwrap_or(self.head));
        }
        let (before, ordinal) = match self.made {
            Some((mark, ordinal)) => (mark, ordinal),
            None => (self.next_revision(now).await?, 0),
        };
        let position = change_feed::Position { mark: before, ordinal, commit_time: self.commit_time };
        let (rows, digest) = change_feed::rows(&position, changes)?;
        let made = Mark { digest, ..before };
        self.move_head(made).await?;
        let next = ordinal.saturating_add_unsigned(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        change_feed::append(&self.transaction, rows).await?;
        self.made = Some((made, next));
        Ok(made)
    }

    /// The revision that is to be made, with the digest before it.
    async fn next_revision(&mut self, now: Timestamp) -> Result<Mark, StoreError> {
        if !self.locked {
            let row = revision_row(&self.transaction, true).await?;
            (self.head, self.commit_time) = (change_feed::mark(&row)?, row.commit_time);
        }
        self.commit_time = Ord::max(self.commit_time, now.as_micros());
        Ok(Mark { revision: self.head.revision.saturating_add(1), digest: self.head.digest })
    }

    /// Nobody else can have moved the row; if somebody has, nothing of this may stay.
    async fn move_head(&self, to: Mark) -> Result<(), StoreError> {
        let from = self.made().unwrap_or(self.head);
        let updated = policy_revision::Entity::update_many()
            .col_expr(policy_revision::Column::Revision, Expr::value(to.revision))
            .col_expr(policy_revision::Column::Digest, Expr::value(to.digest.to_vec()))
            .col_expr(policy_revision::Column::CommitTime, Expr::value(self.commit_time))
            .filter(policy_revision::Column::Id.eq(ROW))
            .filter(policy_revision::Column::Revision.eq(from.revision))
            .exec(&self.transaction)
            .await?;
        if updated.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict(None)) }
    }

    /// Makes everything of this transaction last. Returns the revision after it.
    ///
    /// # Errors
    /// What the database reports; where the connection broke, whether it was committed is unknown.
    pub async fn commit(self) -> Result<i64, StoreError> {
        let revision = self.made().unwrap_or(self.head).revision;
        if self.made.is_some() {
            notices::tell(&self.transaction).await?;
        }
        self.transaction.commit().await?;
        Ok(revision)
    }

    /// Begins the history of policy anew at the same revision, for rows that no change tells of: whoever
    /// followed it so far finds another one, and loads everything.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn begin_history(self, digest: [u8; 32]) -> Result<(), StoreError> {
        self.move_head(Mark { revision: self.head.revision, digest }).await?;
        notices::tell(&self.transaction).await?;
        self.transaction.commit().await.map_err(StoreError::from)
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

/// The revision row. On SQLite the transaction itself began with the lock on the whole file.
async fn revision_row(
    transaction: &DatabaseTransaction,
    is_to_lock: bool,
) -> Result<policy_revision::Model, StoreError> {
    let mut query = policy_revision::Entity::find_by_id(ROW);
    if is_to_lock && transaction.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    query.one(transaction).await?.ok_or_else(missing)
}

pub(super) fn missing() -> StoreError {
    StoreError::missing("policy_revision", ROW)
}
