//! The published snapshot, loaded at start and brought up to what other processes committed.

use std::sync::Arc;

use super::context::Ctx;
use super::error::Result;
use crate::decision::compile::Compiler;
use crate::decision::{Snapshot, SnapshotError};
use crate::domain::time::Timestamp;
use crate::storage::{Store, change_feed};

/// How many revisions are read at once.
const STEP: u64 = 1000;

/// Loads all facts.
///
/// # Errors
/// [`Error::Store`](super::Error::Store) where they cannot be read, [`Error::Snapshot`](super::Error::Snapshot) where they do not fit together.
pub async fn load(store: &Store, now: Timestamp, compiler: &mut Compiler) -> Result<Snapshot> {
    let mut facts = Vec::new();
    let revision = change_feed::load(store, now, |fact| facts.push(fact)).await?;
    Ok(Snapshot::load(revision, facts, compiler)?)
}

/// Applies what was committed since, and publishes it. Returns the revision that is here then.
///
/// # Errors
/// [`Error::Store`](super::Error::Store) where the feed cannot be read, [`Error::Snapshot`](super::Error::Snapshot) where it does not fit: the
/// snapshot then stays as it was, and grows old.
pub async fn catch_up(ctx: &Ctx) -> Result<i64> {
    loop {
        let mut snapshot = ctx.snapshot();
        let steps = change_feed::since(ctx.store.reader(), snapshot.revision(), STEP).await?;
        let is_last = u64::try_from(steps.len()).is_ok_and(|read| read < STEP);
        for step in steps {
            snapshot = Arc::new(ctx.advance(&snapshot, step.revision, &step.changes)?);
        }
        let revision = snapshot.revision();
        ctx.publish(snapshot);
        if is_last {
            return Ok(revision);
        }
    }
}

/// Loads everything anew, for a snapshot that could not be brought up to date.
///
/// # Errors
/// As [`load`].
pub async fn reload(ctx: &Ctx) -> Result<()> {
    let mut compiler = Compiler::new().map_err(SnapshotError::from)?;
    let snapshot = load(&ctx.store, ctx.clock.now(), &mut compiler).await?;
    ctx.publish(Arc::new(snapshot));
    Ok(())
}
