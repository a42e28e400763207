//! The way every change of policy takes: lock the revision row, bring the facts up to it, do the
//! work, judge the changes, and commit change, audit events and revision in one transaction.
//!
//! INVARIANT: nothing is published that is not committed, and nothing is answered before it is
//! published, so that the next decision here knows of it.
//!
//! A change may be made in steps, each of which is judged on top of those before it and leaves nothing
//! behind where it fails: that is how many calls become one ([`super::batch`]).

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::commit::Commit;
use super::context::{Call, Ctx};
use super::error::{Error, Result};
use super::guard::{Permit, View};
use super::invariants::{self, Ownership, Standing};
use super::rows::{Rows, Sizes};
use super::{audit, ceiling, refresh, requests, scope};
use crate::decision::{AccountIndex, PeerIndex, Snapshot};
use crate::domain::audit::{AuditDraft, Target};
use crate::domain::fact::{Change, Fact, FactKey, Mark};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;
use crate::storage::requests::StoredRequest;
use crate::storage::{self, PolicyTransaction, TransactionConnection};

/// Who makes a change.
#[derive(Debug, Clone, Copy)]
enum Author<'a> {
    Caller {
        call: &'a Call,
        peer: PeerIndex,
    },
    /// The service itself: `bootstrap`, `packs`.
    System(&'static str),
}

/// A change in the making. Dropping it undoes everything.
#[derive(Debug)]
pub struct Write<'a> {
    plan: Plan<'a>,
    transaction: PolicyTransaction,
}

/// What is to change, and what it is judged by.
#[derive(Debug)]
struct Plan<'a> {
    ctx: &'a Ctx,
    author: Author<'a>,
    /// The facts before the changes that are not judged yet.
    before: Arc<Snapshot>,
    now: Timestamp,
    changes: Vec<Change>,
    /// How many of the changes are judged, and stand in `before`.
    settled: usize,
    acts: Vec<Entry>,
    rows: Rows,
    ownership: Ownership,
    /// A fact that was to be changed by a permit for another account.
    strayed: Option<FactKey>,
}

/// How much of a change there was when a step of it began.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    changes: usize,
    acts: usize,
    rows: Sizes,
}

impl<'a> Write<'a> {
    /// Begins a change on behalf of a caller.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where the caller can no longer act, or its key was revoked while it
    /// waited; [`Error::Invalid`] where its request id is no UUID; [`Error::Store`] where the database
    /// is not there.
    pub async fn begin(ctx: &'a Ctx, call: &'a Call) -> Result<Self> {
        requests::check(call)?;
        let (transaction, before) = Self::catch_up(ctx).await?;
        let now = ctx.clock.now();
        let peer = View::of_caller(&before, &call.caller, now)?.actor;
        Ok(Self::new(ctx, Author::Caller { call, peer }, transaction, before, now))
    }

    /// Begins a change that the service makes by itself. Nobody's ceiling applies; the rules do.
    ///
    /// # Errors
    /// [`Error::Store`] where the database is not there.
    pub async fn begin_system(ctx: &'a Ctx, name: &'static str) -> Result<Self> {
        let (transaction, before) = Self::catch_up(ctx).await?;
        let now = ctx.clock.now();
        Ok(Self::new(ctx, Author::System(name), transaction, before, now))
    }

    fn new(
        ctx: &'a Ctx,
        author: Author<'a>,
        transaction: PolicyTransaction,
        before: Arc<Snapshot>,
        now: Timestamp,
    ) -> Self {
        let plan = Plan {
            ctx,
            author,
            before,
            now,
            changes: Vec::new(),
            settled: 0,
            acts: Vec::new(),
            rows: Rows::default(),
            ownership: Ownership::Fixed,
            strayed: None,
        };
        Self { plan, transaction }
    }

    /// Locks the revision row and applies what other processes committed since the snapshot here.
    async fn catch_up(ctx: &Ctx) -> Result<(PolicyTransaction, Arc<Snapshot>)> {
        let transaction = ctx.store.begin_policy().await?;
        let snapshot = ctx.snapshot();
        let head = transaction.head().await?;
        let snapshot = refresh::follow(ctx, transaction.connection(), snapshot, head).await?;
        Ok((transaction, snapshot))
    }

    /// What an earlier call with the same request id returned.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] where that call had another body.
    pub async fn repeated<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let Author::Caller { call, .. } = self.plan.author else { return Ok(None) };
        let Some(key) = requests::key(call) else { return Ok(None) };
        let found = storage::requests::find(self.connection(), &key).await?;
        let Some(found) = found.filter(|found| found.create_time > requests::oldest(self.plan.now)) else {
            return Ok(None);
        };
        if found.body_hash != call.body_hash {
            return Err(Error::RequestIdReused);
        }
        serde_json::from_slice(&found.response).map(Some).map_err(|error| Error::Internal(error.into()))
    }

    /// What the caller sees before the change.
    ///
    /// # Errors
    /// [`Error::Internal`] where the service itself is the author, which sees everything.
    pub fn view(&self) -> Result<View<'_>> {
        self.plan.view()
    }

    /// The facts before the change, up to the last commit of any process and with the steps that are
    /// settled.
    #[must_use]
    pub fn before(&self) -> &Arc<Snapshot> {
        &self.plan.before
    }

    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.plan.now
    }

    #[must_use]
    pub const fn ctx(&self) -> &'a Ctx {
        self.plan.ctx
    }

    /// The peer that makes the change, if one does.
    #[must_use]
    pub fn actor(&self) -> Option<crate::domain::ids::PeerId> {
        match self.plan.author {
            Author::Caller { call, .. } => Some(call.caller.peer),
            Author::System(_) => None,
        }
    }

    /// What was changed and does not stand in [`Write::before`] yet.
    #[must_use]
    pub fn pending(&self) -> &[Change] {
        self.plan.pending()
    }

    /// The rows that are made when the change is committed.
    pub(super) fn rows(&mut self) -> &mut Rows {
        &mut self.plan.rows
    }

    /// What queries of this change run on. New rows that it gathers are not there yet.
    #[must_use]
    pub fn connection(&self) -> &TransactionConnection {
        self.transaction.connection()
    }

    /// Notes that a fact is made, changed or gone. A permit for one account is none for another: where
    /// it does not cover the fact, the commit fails.
    pub fn change(&mut self, permit: &Permit, before: Option<Fact>, after: Option<Fact>) {
        let change = Change { before, after };
        if !scope::covers(permit, &self.plan.before, &self.plan.changes, &change) {
            self.plan.strayed = change.key();
        }
        self.note(change);
    }

    /// As [`Write::change`], for the service itself, which needs no permit.
    ///
    /// # Errors
    /// [`Error::Internal`] where a caller is the author.
    pub fn change_as_system(&mut self, before: Option<Fact>, after: Option<Fact>) -> Result<()> {
        match self.plan.author {
            Author::System(_) => {
                self.note(Change { before, after });
                Ok(())
            }
            Author::Caller { .. } => Err(Error::Internal(anyhow::anyhow!("a caller needs a permit"))),
        }
    }

    fn note(&mut self, change: Change) {
        if change.before != change.after {
            self.plan.changes.push(change);
        }
    }

    /// Lets bindings of unassignable roles change: creation and deletion of accounts, and
    /// TransferOwnership (rule 11).
    pub fn change_ownership(&mut self) {
        self.plan.ownership = Ownership::Changing;
    }

    /// The revision that the resources of this write carry: the next one if policy has changed so
    /// far, otherwise the current. A rehearsal makes none, and shows 0.
    #[must_use]
    pub fn revision(&self) -> i64 {
        if self.is_rehearsal() {
            return 0;
        }
        self.plan.before.revision() + i64::from(!self.plan.changes.is_empty())
    }

    /// Whether the caller only asks what would be: all is judged, and nothing made.
    #[must_use]
    pub const fn is_rehearsal(&self) -> bool {
        matches!(self.plan.author, Author::Caller { call, .. } if call.validate_only)
    }

    /// Records an act on something of an account, in that account's log and in the actor's own.
    ///
    /// # Errors
    /// As [`Write::after`].
    pub fn act(&mut self, account: AccountIndex, action: &str, target: Target) -> Result<&mut AuditDraft> {
        self.act_across(account, &[], action, target)
    }

    /// As [`Write::act`], linked into the logs of the other accounts that the act is about.
    ///
    /// # Errors
    /// As [`Write::after`].
    pub fn act_across(
        &mut self,
        account: AccountIndex,
        others: &[AccountIndex],
        action: &str,
        target: Target,
    ) -> Result<&mut AuditDraft> {
        // Only a change of the tree makes another log of an account, and to apply all changes for each
        // of a thousand acts would be slow.
        let is_tree = |change: &Change| matches!(change.key(), Some(FactKey::Account(_)));
        let after = if self.pending().iter().any(is_tree) { self.after()? } else { Arc::clone(&self.plan.before) };
        let mut draft = match self.plan.author {
            Author::Caller { call, peer } => audit::draft(&self.plan.before, call, peer, self.plan.now, action, target),
            Author::System(name) => audit::system_draft(name, self.plan.now, action, target),
        };
        let about = std::iter::once(&account).chain(others).filter_map(|account| audit::log_of(&after, *account));
        draft.target.account = after.account_id(account).cloned();
        let own = match self.plan.author {
            Author::Caller { peer, .. } => {
                self.plan.before.peer(peer).and_then(|peer| audit::log_of(&self.plan.before, peer.home()))
            }
            Author::System(_) => None,
        };
        let mut logs: Vec<AccountId> = about.chain(own).collect();
        logs.sort();
        logs.dedup();
        Ok(&mut self.plan.acts.push_mut(Entry { logs, draft }).draft)
    }

    /// The facts as they would be after the changes noted so far.
    ///
    /// # Errors
    /// [`Error::Precondition`] where a rule of the tree is broken.
    pub fn after(&self) -> Result<Arc<Snapshot>> {
        self.plan.after()
    }

    /// Where the change is now, so that a step from here can be settled.
    #[must_use]
    pub fn step(&self) -> Step {
        Step { changes: self.plan.changes.len(), acts: self.plan.acts.len(), rows: self.plan.rows.sizes() }
    }

    /// Judges a step that was done, so that the next one stands on it. Where it failed, or a rule forbids
    /// it, nothing of it is left.
    ///
    /// # Errors
    /// What the step failed with, or what [`Write::commit`] would.
    pub fn settle<T>(&mut self, step: Step, done: Result<T>) -> Result<T> {
        let settled = done.and_then(|done| self.plan.settle().map(|()| done));
        if settled.is_err() {
            self.plan.changes.truncate(step.changes);
            self.plan.acts.truncate(step.acts);
            self.plan.rows.truncate(step.rows);
        }
        settled
    }

    /// Judges the changes, then makes them last and publishes them. With `validate_only` everything
    /// is judged and nothing made. Returns the result as it was given.
    ///
    /// # Errors
    /// [`Error::Escalation`] and [`Error::Precondition`] where a rule forbids the change;
    /// [`Error::Store`] where the database could not keep it, and then nothing of it is there.
    pub async fn commit<T: Serialize>(self, result: T) -> Result<T> {
        let Self { mut plan, transaction } = self;
        if let Author::Caller { call, .. } = plan.author
            && call.validate_only
        {
            // Others need not wait while this is judged.
            transaction.rollback().await?;
            plan.settle()?;
            return Ok(result);
        }
        plan.settle()?;
        let request = plan.remembered(&result)?;
        let Plan { ctx, now, before, changes, acts, rows, .. } = plan;
        let next = Mark { revision: before.revision() + 1, ..Mark::default() };
        let after = (!changes.is_empty()).then(|| Arc::unwrap_or_clone(before).marked(next));
        Commit { transaction, now, changes, acts, rows, after, request }.run(ctx).await?;
        Ok(result)
    }
}

impl Plan<'_> {
    fn view(&self) -> Result<View<'_>> {
        match self.author {
            Author::Caller { call, peer } => {
                let source = call.caller.source_address;
                Ok(View { snapshot: &self.before, actor: peer, source, now: self.now })
            }
            Author::System(name) => Err(Error::Internal(anyhow::anyhow!("`{name}` has no view of its own"))),
        }
    }

    fn pending(&self) -> &[Change] {
        self.changes.get(self.settled..).unwrap_or_default()
    }

    fn after(&self) -> Result<Arc<Snapshot>> {
        if self.pending().is_empty() {
            return Ok(Arc::clone(&self.before));
        }
        let applied = self.ctx.compile(|compiler| Ok(self.before.with(self.pending(), compiler)));
        applied?.map(Arc::new).map_err(invariants::explain)
    }

    /// Takes the changes that are not judged yet into the facts, if the rules allow them.
    fn settle(&mut self) -> Result<()> {
        if let Some(key) = &self.strayed {
            return Err(Error::Internal(anyhow::anyhow!("{key:?} was changed by a permit for another account")));
        }
        if self.pending().is_empty() {
            return Ok(());
        }
        let after = self.after()?;
        let standing = match self.author {
            Author::System(_) => Standing::Operator,
            Author::Caller { .. } => {
                let view = self.view()?;
                if view.is_operator() { Standing::Operator } else { Standing::Other }
            }
        };
        invariants::check(&self.before, &after, self.pending(), (self.ownership, standing), self.now)?;
        match self.author {
            Author::Caller { .. } => ceiling::check(&self.view()?, &after, self.pending(), self.ownership)?,
            Author::System(_) => {}
        }
        self.before = after;
        self.settled = self.changes.len();
        Ok(())
    }

    fn remembered<T: Serialize>(&self, result: &T) -> Result<Option<StoredRequest>> {
        let Author::Caller { call, .. } = self.author else { return Ok(None) };
        let Some(key) = requests::key(call) else { return Ok(None) };
        let response = serde_json::to_vec(result).map_err(|error| Error::Internal(error.into()))?;
        Ok(Some(StoredRequest { key, body_hash: call.body_hash, response, create_time: self.now }))
    }
}
