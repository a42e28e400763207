//! What goes on beside the calls: following other processes' changes, writing what was gathered, and
//! purging what was deleted long ago. Nothing that a decision needs waits for any of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::application::{Ctx, Error, peers, refresh, refusals};

/// How often the change feed is read.
const POLL: Duration = Duration::from_secs(1);
/// How often peers that were deleted long ago are looked for. They are gone for everyone before that.
const PURGE: Duration = Duration::from_secs(600);

/// Works until it is told to stop. Says through `is_following` whether the snapshot here still follows
/// the change feed.
pub async fn run(ctx: Arc<Ctx>, is_following: watch::Sender<bool>, stop: CancellationToken) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut purges = interval(PURGE);
    purges.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {
                follow(&ctx, &is_following).await;
                write_refusals(&ctx).await;
            }
            _ = purges.tick() => purge(&ctx).await,
        }
    }
    write_refusals(&ctx).await;
}

async fn follow(ctx: &Ctx, is_following: &watch::Sender<bool>) {
    let followed = if ctx.is_ready() { refresh::catch_up(ctx).await.map(drop) } else { refresh::reload(ctx).await };
    let is_whole = match followed {
        Ok(()) => {
            ctx.note_followed();
            true
        }
        // To answer from a snapshot that no longer follows would be to answer from the past.
        Err(error @ Error::Snapshot(_)) => {
            tracing::error!(error = %error, "the change feed does not fit the snapshot; loading it anew");
            false
        }
        Err(error) => {
            tracing::warn!(error = %error, "the change feed could not be read");
            return;
        }
    };
    ctx.set_ready(is_whole);
    is_following.send_if_modified(|was| std::mem::replace(was, is_whole) != is_whole);
}

async fn purge(ctx: &Ctx) {
    loop {
        match peers::purge_expired(ctx).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %error, "deleted peers could not be purged");
                return;
            }
        }
    }
}

async fn write_refusals(ctx: &Ctx) {
    if let Err(error) = refusals::flush(ctx).await {
        tracing::warn!(error = %error, "refusals could not be written");
    }
}
