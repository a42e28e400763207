//! What goes on beside the calls: following other processes' changes, writing what was gathered, and
//! purging what was deleted long ago. Nothing that a decision needs waits for any of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::application::{Ctx, Error, peers, refresh, refusals, uses};

/// How often the change feed is read, and what was gathered is written.
const POLL: Duration = Duration::from_secs(1);
/// How often peers that were deleted long ago are looked for. They are gone for everyone before that.
const PURGE: Duration = Duration::from_secs(600);

/// Works until it is told to stop. Says through `is_following` whether the snapshot here still follows
/// the change feed.
pub async fn run(ctx: Arc<Ctx>, is_following: watch::Sender<bool>, stop: CancellationToken) {
    tokio::join!(keep_up(&ctx, is_following, &stop), write_what_was_gathered(&ctx, &stop), purge_often(&ctx, &stop));
}

async fn keep_up(ctx: &Ctx, is_following: watch::Sender<bool>, stop: &CancellationToken) {
    let mut ticks = every(POLL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        follow(ctx, &is_following).await;
    }
}

/// What is gathered when the server ends is written too: the calls that gathered it have ended by then.
async fn write_what_was_gathered(ctx: &Ctx, stop: &CancellationToken) {
    let mut ticks = every(POLL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        write_gathered(ctx).await;
    }
    write_gathered(ctx).await;
}

async fn purge_often(ctx: &Ctx, stop: &CancellationToken) {
    let mut ticks = every(PURGE);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        purge(ctx).await;
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn follow(ctx: &Ctx, is_following: &watch::Sender<bool>) {
    let followed = if ctx.is_ready() { refresh::catch_up(ctx).await.map(drop) } else { refresh::reload(ctx).await };
    let is_whole = match followed {
        Ok(()) => true,
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

async fn write_gathered(ctx: &Ctx) {
    if let Err(error) = refusals::flush(ctx).await {
        tracing::warn!(error = %error, "refusals could not be written");
    }
    if let Err(error) = uses::flush(ctx).await {
        tracing::warn!(error = %error, "the last uses of API keys could not be written");
    }
}
