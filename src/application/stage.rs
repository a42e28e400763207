//! Changes that are tried out one upon the other and never made.
//!
//! The calls that make them share one transaction: each stands on what those before it did, to the
//! rows as well as to the facts, and is judged as if it were made. Whoever opened the stage takes from
//! it what the facts were and what they would be, and undoes all of it.
//!
//! INVARIANT: a call that fails takes the transaction with it, so that nothing is tried out on top of
//! half a change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::context::Ctx;
use super::error::{Error, Result};
use super::write::Write;
use crate::decision::Snapshot;
use crate::domain::fact::Change;
use crate::storage::PolicyTransaction;

/// A transaction between two calls.
#[derive(Debug)]
pub struct Stage {
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    transaction: Option<PolicyTransaction>,
    facts: Arc<Snapshot>,
    changes: Vec<Change>,
}

/// What was tried out.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) after: Arc<Snapshot>,
    pub(super) changes: Vec<Change>,
}

impl Stage {
    /// Locks the revision row, and says what the facts are.
    ///
    /// # Errors
    /// [`Error::Store`] where the database is not there.
    pub(super) async fn open(ctx: &Ctx) -> Result<(Arc<Self>, Arc<Snapshot>)> {
        let (transaction, facts) = Write::catch_up(ctx).await?;
        let held = Held { transaction: Some(transaction), facts: Arc::clone(&facts), changes: Vec::new() };
        Ok((Arc::new(Self { held: Mutex::new(held) }), facts))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // What is held is whole at any moment.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next call stands on.
    ///
    /// # Errors
    /// [`Error::Internal`] where a call before it failed, or is not done.
    pub(super) fn take(&self) -> Result<(PolicyTransaction, Arc<Snapshot>)> {
        let mut held = self.held();
        let facts = Arc::clone(&held.facts);
        held.transaction.take().map(|transaction| (transaction, facts)).ok_or_else(gone)
    }

    /// Leaves the transaction for the next call, with what this one changed.
    pub(super) fn put(&self, transaction: PolicyTransaction, facts: Arc<Snapshot>, changes: Vec<Change>) {
        let mut held = self.held();
        held.transaction = Some(transaction);
        held.facts = facts;
        held.changes.extend(changes);
    }

    /// Undoes everything and frees the lock.
    ///
    /// # Errors
    /// [`Error::Internal`] where a call failed; [`Error::Store`] where the database is not there.
    pub(super) async fn close(&self) -> Result<Tried> {
        let (transaction, after) = self.take()?;
        let changes = std::mem::take(&mut self.held().changes);
        transaction.rollback().await?;
        Ok(Tried { after, changes })
    }
}

fn gone() -> Error {
    Error::Internal(anyhow::anyhow!("the stage holds no transaction"))
}
