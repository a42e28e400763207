//! The end of a change that was judged: rows, feed, audit events, stored result and revision in one
//! transaction, then the new snapshot.
//!
//! INVARIANT: from the first statement here on, nobody can stop half-way: not the caller who hangs up,
//! not its deadline. Otherwise a change could be committed and not be known here.

use std::sync::Arc;

use super::audit::news::News;
use super::context::{Ctx, Entropy};
use super::error::{Error, Result};
use super::published::Published;
use super::rows::Rows;
use super::{audit, requests};
use crate::decision::Snapshot;
use crate::domain::fact::Change;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;
use crate::storage::requests::StoredRequest;
use crate::storage::{self, PolicyTransaction};

/// What is to be committed.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) transaction: PolicyTransaction,
    pub(super) now: Timestamp,
    pub(super) changes: Vec<Change>,
    pub(super) acts: Vec<Entry>,
    pub(super) rows: Rows,
    /// The facts after the changes, if there are any.
    pub(super) after: Option<Snapshot>,
    /// The result to be remembered, where the caller named its request.
    pub(super) request: Option<StoredRequest>,
}

impl Commit {
    /// Commits and publishes.
    ///
    /// # Errors
    /// [`Error::Store`] where the database could not keep it, and then nothing of it is there.
    pub(super) async fn run(self, ctx: &Ctx) -> Result<()> {
        let (entropy, policy, news) = (ctx.entropy, Arc::clone(&ctx.policy), Arc::clone(&ctx.news));
        ctx.policy.to_its_end(self.make(entropy, policy, news)).await
    }

    async fn make(mut self, entropy: Entropy, policy: Arc<Published>, news: Arc<News>) -> Result<()> {
        self.rows.insert(self.transaction.connection()).await?;
        let made = self.transaction.append_changes(self.now, &self.changes).await?;
        let is_next = self.after.as_ref().is_none_or(|after| after.revision() == made.revision);
        if !is_next && self.transaction.is_locked() {
            return Err(Error::Internal(anyhow::anyhow!("revision {} was judged as another", made.revision)));
        }
        let revision = self.after.is_some().then_some(made.revision);
        let events = audit::append(entropy, self.transaction.connection(), self.acts, revision, self.now).await?;
        if let Some(request) = &self.request {
            let oldest = requests::oldest(self.now);
            storage::requests::save(self.transaction.connection(), request, oldest).await?;
        }
        self.transaction.commit().await?;
        news.tell(&events);
        if let Some(after) = self.after.filter(|_| is_next) {
            policy.publish(Arc::new(after.marked(made)));
        }
        Ok(())
    }
}
