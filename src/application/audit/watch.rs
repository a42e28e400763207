//! Watching a log: its events in the order of their numbers, each once, those that are there and those
//! that come.
//!
//! INVARIANT: what is handed out goes on right after what was handed out before, because events are read
//! from the database by their numbers, which have no gaps and are in the order of commits. Who is slow
//! holds a batch and nothing else; nobody waits for it.
//! INVARIANT: before each event the caller's right is looked at in the policy of that moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::admit;
use super::news::Followed;
use super::show::{ListedEvent, opened, shown};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result};
use crate::application::guard::View;
use crate::domain::ids::AccountId;
use crate::storage;

/// How many events are read at once, and kept for a slow reader at most.
const BATCH: u64 = 32;
/// How often the caller's right is looked at while nothing happens: rights also end by time.
const LOOK: Duration = Duration::from_secs(1);

/// Which events are watched.
#[derive(Debug, Clone)]
pub struct WatchEvents {
    pub account: AccountId,
    pub begin: Begin,
}

/// Where watching begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Behind the event of a number.
    After(i64),
    /// Behind the last event there is.
    AtEnd,
}

/// A log that is being watched.
#[derive(Debug)]
pub struct Watch {
    ctx: Arc<Ctx>,
    call: Call,
    account: AccountId,
    after_seq: i64,
    batch: VecDeque<ListedEvent>,
    followed: Followed,
    stop: CancellationToken,
}

impl Watch {
    /// Begins to watch, until `stop` says that the server stops.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`] and [`Error::Invalid`] as for a list.
    pub async fn begin(ctx: Arc<Ctx>, call: Call, request: WatchEvents, stop: CancellationToken) -> Result<Self> {
        let WatchEvents { account, begin } = request;
        // Followed before anything is read, so that nothing is missed between the two.
        let followed = ctx.news.follow(&account);
        let mut watch = Self { ctx, call, account, after_seq: 0, batch: VecDeque::new(), followed, stop };
        watch.check().await?;
        watch.after_seq = match begin {
            Begin::After(seq) => seq,
            Begin::AtEnd => {
                let head = storage::audit::head(watch.ctx.store.reader(), &watch.account).await?;
                head.map_or(0, |head| head.next_seq - 1)
            }
        };
        Ok(watch)
    }

    /// The call that watches.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// The next event, as soon as there is one.
    ///
    /// # Errors
    /// [`Error::NotReady`] where the server stops or decides nothing; [`Error::Unauthenticated`],
    /// [`Error::NotFound`] and [`Error::Denied`] as soon as the caller may not read the log any more.
    pub async fn next(&mut self) -> Result<ListedEvent> {
        loop {
            self.check().await?;
            if let Some(event) = self.batch.pop_front() {
                self.after_seq = event.sealed.seq;
                return Ok(event);
            }
            self.followed.heed();
            self.fill().await?;
            if self.batch.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Whether the caller may still read the log.
    async fn check(&self) -> Result<()> {
        if self.stop.is_cancelled() || !self.ctx.policy.is_ready() {
            return Err(Error::NotReady);
        }
        let snapshot = self.ctx.snapshot();
        let view = View::of_caller(&snapshot, &self.call.caller, self.ctx.clock.now())?;
        admit(&self.ctx, &view, &self.account).await
    }

    /// Reads the next events that are there.
    async fn fill(&mut self) -> Result<()> {
        let reader = self.ctx.store.reader();
        let sealed = storage::audit::events_after(reader, &self.account, self.after_seq, BATCH).await?;
        let events = sealed.into_iter().map(|sealed| opened(&sealed).map(|event| (sealed, event)));
        let events = events.collect::<Result<Vec<_>>>()?;
        let snapshot = self.ctx.snapshot();
        let view = View::of_caller(&snapshot, &self.call.caller, self.ctx.clock.now())?;
        self.batch = shown(&self.ctx, &view, events).await?.into();
        Ok(())
    }

    /// Waits until there may be another event, or another answer to whether the caller may read on.
    async fn wait(&mut self) {
        let mut revisions = self.ctx.policy.revisions();
        tokio::select! {
            () = self.followed.changed() => {}
            () = self.stop.cancelled() => {}
            // The sender lives as long as the context.
            _ = revisions.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
