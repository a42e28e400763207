//! The policy that this process answers from, and what is known of how fresh it is.
//!
//! INVARIANT: what is published was committed, and only grows, unless the database itself turned out
//! to be another one: then nothing is decided until all of it is loaded anew.
//!
//! Not here: reading the database, which [`super::refresh`] does.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::error::{Error, Result};
use crate::decision::compile::Compiler;
use crate::decision::{Snapshot, SnapshotError};

/// The published policy. Tasks that outlive a call share it.
#[derive(Debug)]
pub struct Published {
    snapshot: ArcSwap<Snapshot>,
    /// The revision of the snapshot, for those who wait for one.
    revision: watch::Sender<i64>,
    is_ready: AtomicBool,
    /// Changes with `is_ready`, for those who report it.
    readiness: watch::Sender<bool>,
    followed_at: Mutex<Option<Instant>>,
    compiler: Mutex<Compiler>,
    /// Whose turn it is to read the feed or to load everything.
    pub(super) turn: tokio::sync::Mutex<()>,
    attention: Notify,
    tasks: TaskTracker,
}

impl Published {
    #[must_use]
    pub fn new(snapshot: Snapshot, compiler: Compiler) -> Self {
        Self {
            revision: watch::Sender::new(snapshot.revision()),
            snapshot: ArcSwap::from_pointee(snapshot),
            is_ready: AtomicBool::new(false),
            readiness: watch::Sender::new(false),
            followed_at: Mutex::new(None),
            compiler: Mutex::new(compiler),
            turn: tokio::sync::Mutex::new(()),
            attention: Notify::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Whether facts are loaded and followed; until then, nothing is decided.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Says whether the facts are loaded and followed.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Release);
        self.readiness.send_if_modified(|was| std::mem::replace(was, is_ready) != is_ready);
    }

    /// Follows [`Published::is_ready`].
    #[must_use]
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.readiness.subscribe()
    }

    /// The published snapshot, without waiting.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The published snapshot for one decision: cheaper than [`Published::snapshot`], not to be kept
    /// across a wait.
    #[must_use]
    pub fn snapshot_guard(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Publishes a snapshot unless a newer one is out already.
    pub fn publish(&self, next: Arc<Snapshot>) {
        self.publish_if(&next, |current| current.revision() < next.revision());
    }

    /// Publishes a snapshot in place of one that proved wrong, whatever their revisions, or of one that
    /// is older.
    pub fn replace(&self, wrong: &Arc<Snapshot>, next: Arc<Snapshot>) {
        self.publish_if(&next, |current| Arc::ptr_eq(current, wrong) || current.revision() < next.revision());
    }

    fn publish_if(&self, next: &Arc<Snapshot>, is_due: impl Fn(&Arc<Snapshot>) -> bool) {
        self.snapshot.rcu(|current| if is_due(current) { Arc::clone(next) } else { Arc::clone(current) });
        // Read back under the channel's lock, so that the last one to send sends the last revision.
        self.revision.send_if_modified(|known| {
            let revision = self.snapshot.load().revision();
            std::mem::replace(known, revision) != revision
        });
    }

    /// Follows the revision of the published snapshot.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<i64> {
        self.revision.subscribe()
    }

    /// When the snapshot was last known to be all that is committed.
    #[must_use]
    pub fn followed_at(&self) -> Option<Instant> {
        *self.followed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago the snapshot was last known to be all that is committed; `None` before the first.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.followed_at().map(|at| at.elapsed())
    }

    /// Whether calls should come here: something is decided, and the snapshot was known to be all that
    /// is committed at some moment of the last `stale_after`.
    #[must_use]
    pub fn is_current(&self, stale_after: Duration) -> bool {
        self.is_ready() && self.age().is_some_and(|age| age <= stale_after)
    }

    /// Notes that the snapshot held all that was committed at a moment.
    pub(super) fn followed(&self, at: Instant) {
        let mut followed_at = self.followed_at.lock().unwrap_or_else(PoisonError::into_inner);
        *followed_at = followed_at.max(Some(at));
    }

    /// Stops deciding until all facts are loaded anew, and has that done at once.
    pub(super) fn lose(&self) {
        self.set_ready(false);
        self.attention.notify_one();
    }

    /// Has the follower look before its time.
    pub fn call_attention(&self) {
        self.attention.notify_one();
    }

    /// Waits until the follower is needed before its time.
    pub async fn needs_attention(&self) {
        self.attention.notified().await;
    }

    /// Works with the compiler that all share. The lock is held for the work only.
    ///
    /// # Errors
    /// [`SnapshotError`] where the changes do not fit.
    pub fn compile<T>(&self, work: impl FnOnce(&mut Compiler) -> std::result::Result<T, SnapshotError>) -> Result<T> {
        let mut compiler = self.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&mut compiler)?)
    }

    /// Runs what must come to its end although the call that wants it may not: once a change is being
    /// committed, a caller who goes away must not keep it from being published.
    ///
    /// # Errors
    /// What the work fails with.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.tasks.spawn(work).await.unwrap_or_else(|ended| Err(Error::Internal(ended.into())))
    }

    /// Waits for all work that must come to its end.
    pub async fn settled(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
