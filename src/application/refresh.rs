//! The published snapshot, loaded at start and brought up to what is committed.
//!
//! `follow` is the one way forward, for the follower, for those who wait for a revision, and for
//! every write under its lock. It publishes only what it proved to be the history of the database.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Ctx;
use super::error::{Error, Result};
use crate::decision::compile::Compiler;
use crate::decision::{Loader, Snapshot, SnapshotError};
use crate::domain::fact::Mark;
use crate::domain::time::Timestamp;
use crate::storage::{Connection, Store, StoreError, change_feed};

/// How many changes are read at once.
const ROWS: u64 = 2000;
/// How long one look at the database may take. A database that hangs must not look like one in which
/// nothing happens.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long loading everything may take before it is begun anew.
const LOAD_MAX: Duration = Duration::from_secs(300);

/// Loads all facts.
///
/// # Errors
/// [`Error::Store`] where they cannot be read, [`Error::Snapshot`] where they do not fit together.
pub async fn load(store: &Store, now: Timestamp, compiler: &mut Compiler) -> Result<Snapshot> {
    let mut loader = Loader::new(compiler);
    let mut taken = Ok(());
    // Storage hands facts over and cannot be stopped, so the first fault is kept until the end.
    let take = |fact| {
        if taken.is_ok() {
            taken = loader.take(fact);
        }
    };
    let mark = change_feed::load(store, now, take).await?;
    taken?;
    Ok(loader.finish(mark))
}

/// Applies what was committed between a snapshot and the end of the feed, and publishes it. The
/// snapshot was taken before the end was looked up.
///
/// # Errors
/// [`Error::Diverged`] where the database holds another history than the snapshot,
/// [`Error::Snapshot`] and [`Error::Store`] where the feed does not fit or cannot be read. Where that
/// will not pass by itself, nothing is decided any more until everything is loaded anew.
pub(super) async fn follow(
    ctx: &Ctx,
    conn: &impl Connection,
    snapshot: Arc<Snapshot>,
    head: Mark,
) -> Result<Arc<Snapshot>> {
    judged(ctx, advance(ctx, conn, snapshot, head).await)
}

/// Ends decisions where the policy here can no longer follow.
fn judged<T>(ctx: &Ctx, followed: Result<T>) -> Result<T> {
    if followed.as_ref().is_err_and(is_lasting) {
        ctx.policy.lose();
    }
    followed
}

async fn advance(ctx: &Ctx, conn: &impl Connection, snapshot: Arc<Snapshot>, head: Mark) -> Result<Arc<Snapshot>> {
    if snapshot.mark() == head {
        return Ok(snapshot);
    }
    let snapshot = applied(ctx, conn, snapshot, head).await?;
    ctx.policy.publish(Arc::clone(&snapshot));
    Ok(snapshot)
}

async fn applied(ctx: &Ctx, conn: &impl Connection, mut snapshot: Arc<Snapshot>, head: Mark) -> Result<Arc<Snapshot>> {
    while snapshot.revision() < head.revision {
        for step in in_time(change_feed::since(conn, snapshot.mark(), head.revision, ROWS)).await? {
            let next = ctx.compile(|compiler| snapshot.apply(step.mark.revision, &step.changes, compiler))?;
            snapshot = Arc::new(next.marked(step.mark));
        }
    }
    if snapshot.mark() != head {
        return Err(Error::Diverged { here: snapshot.revision(), there: head.revision });
    }
    Ok(snapshot)
}

/// A snapshot that nobody saw yet, brought up to the end of the feed.
///
/// # Errors
/// As `follow`.
pub(super) async fn brought_to(ctx: &Ctx, snapshot: Arc<Snapshot>, head: Mark) -> Result<Arc<Snapshot>> {
    applied(ctx, ctx.store.reader(), snapshot, head).await
}

/// Publishes the snapshot of a process that has none yet; it was all that was committed at a moment.
pub(super) fn publish_first(ctx: &Ctx, snapshot: Arc<Snapshot>, at: Instant) {
    ctx.policy.replace(&ctx.snapshot(), snapshot);
    ctx.policy.followed(at);
}

/// Whether a fault stays until all facts are loaded anew.
#[must_use]
pub const fn is_lasting(error: &Error) -> bool {
    matches!(
        error,
        Error::Diverged { .. }
            | Error::Snapshot(_)
            | Error::Store(StoreError::Corrupt { .. } | StoreError::Missing { .. })
    )
}

/// Makes sure that the snapshot here holds all that was committed `age` ago. Those who ask at the same
/// time share one look at the database.
///
/// # Errors
/// As `follow`: the snapshot then stays as it was, and grows old.
pub async fn catch_up(ctx: &Ctx, age: Duration) -> Result<()> {
    let asked = Instant::now();
    let _turn = ctx.policy.turn.lock().await;
    if ctx.policy.followed_at().is_some_and(|at| at + age >= asked) {
        return Ok(());
    }
    let (started, snapshot) = (Instant::now(), ctx.snapshot());
    let head = judged(ctx, in_time(change_feed::head(ctx.store.reader())).await)?;
    follow(ctx, ctx.store.reader(), snapshot, head).await?;
    ctx.policy.followed(started);
    Ok(())
}

/// Loads everything anew, for a snapshot that could not be brought up to date.
///
/// # Errors
/// As [`load`].
pub async fn reload(ctx: &Ctx) -> Result<()> {
    let _turn = ctx.policy.turn.lock().await;
    let (started, wrong) = (Instant::now(), ctx.snapshot());
    let mut compiler = Compiler::new().map_err(SnapshotError::from)?;
    let loading = load(&ctx.store, ctx.clock.now(), &mut compiler);
    let loaded = tokio::time::timeout(LOAD_MAX, loading).await;
    let snapshot = loaded.unwrap_or_else(|_| Err(StoreError::no_answer().into()))?;
    ctx.policy.replace(&wrong, Arc::new(snapshot));
    ctx.policy.followed(started);
    Ok(())
}

async fn in_time<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T> {
    Ok(tokio::time::timeout(ANSWER_MAX, read).await.unwrap_or_else(|_| Err(StoreError::no_answer()))?)
}
