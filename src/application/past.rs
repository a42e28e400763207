//! The policy of the past, from the history that is kept.
//!
//! The facts of a revision are those of now with every later change undone, newest first: exact, and
//! the dearer the further back. What was undone is not kept: who looks back is in no hurry, and a
//! cache of the past would hold memory for nobody.

use std::sync::Arc;

use super::context::Ctx;
use super::error::{Error, Result};
use super::refresh;
use crate::decision::compile::Compiler;
use crate::decision::{Snapshot, SnapshotError};
use crate::domain::fact::Mark;
use crate::domain::time::Timestamp;
use crate::storage::change_feed;

/// How many changes are read and undone at once: other calls get their turn between.
const ROWS: u64 = 500;

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// With the time at which windows are judged; without one, when the revision was committed.
    Revision(i64, Option<Timestamp>),
    Time(Timestamp),
}

/// What was current at a moment, and the time at which windows are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub revision: i64,
    pub time: Timestamp,
}

/// Finds what was current at a moment.
///
/// A revision may be judged at any time that has come, before and after others were current too: a
/// server whose clock is behind decides at a revision before the clock of another committed it, and one
/// that did not hear of the next yet decides at it still.
///
/// # Errors
/// [`Error::MomentInFuture`], [`Error::RevisionNotKept`]; those of the store.
pub async fn moment(ctx: &Ctx, at: At) -> Result<Moment> {
    let conn = ctx.store.reader();
    match at {
        At::Revision(_, Some(time)) | At::Time(time) if time > ctx.clock.now() => Err(Error::MomentInFuture),
        At::Revision(revision, time) => {
            reach(ctx, revision).await?;
            let committed = change_feed::commit_time(conn, revision).await?.ok_or(Error::RevisionNotKept)?;
            Ok(Moment { revision, time: time.unwrap_or(committed) })
        }
        At::Time(time) => {
            // What other processes committed by then counts too.
            refresh::catch_up(ctx, std::time::Duration::ZERO).await?;
            let last = ctx.snapshot_guard().revision();
            let current = change_feed::current_at(conn, time, last).await?.ok_or(Error::RevisionNotKept)?;
            Ok(Moment { revision: current.revision, time })
        }
    }
}

/// Makes sure that a revision lies in the past of the snapshot here.
async fn reach(ctx: &Ctx, revision: i64) -> Result<()> {
    if revision > ctx.snapshot_guard().revision() {
        refresh::catch_up(ctx, std::time::Duration::ZERO).await?;
    }
    if revision > ctx.snapshot_guard().revision() { Err(Error::MomentInFuture) } else { Ok(()) }
}

/// All facts as of a revision.
///
/// # Errors
/// [`Error::MomentInFuture`], [`Error::RevisionNotKept`]; those of the store, and
/// [`Error::Snapshot`] where the history does not fit.
pub async fn snapshot_at(ctx: &Ctx, revision: i64) -> Result<Arc<Snapshot>> {
    reach(ctx, revision).await?;
    let current = ctx.snapshot();
    if revision == current.revision() {
        return Ok(current);
    }
    let conn = ctx.store.reader();
    change_feed::commit_time(conn, revision).await?.ok_or(Error::RevisionNotKept)?;
    // Of its own, since writers need the one that all share.
    let mut compiler = Compiler::new().map_err(SnapshotError::from)?;
    let mut snapshot = Snapshot::clone(&current);
    let mut place = None;
    loop {
        let found = change_feed::back(conn, (revision, current.revision()), place, ROWS).await?;
        snapshot = snapshot.without(found.iter().map(|(_, change)| change), &mut compiler)?;
        place = found.last().map(|(at, _)| *at).or(place);
        if u64::try_from(found.len()).is_ok_and(|found| found < ROWS) {
            break;
        }
    }
    Ok(Arc::new(snapshot.marked(Mark { revision, ..Mark::default() })))
}
