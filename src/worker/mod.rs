//! What goes on beside the calls, each duty in a task of its own, so that none waits for another:
//! following other processes' changes and logs, writing what was gathered, purging what is over. Nothing that a
//! decision needs waits for any of it.
//!
//! Every duty goes on until it is told to stop. One that ends before is a fault, which [`duties`]
//! makes known.

pub mod duties;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::application::kept::{self, Kept};
use crate::application::refusals::Due;
use crate::application::{Ctx, Error, audit, peers, refresh, refusals, requests, start, uses};
use crate::decision::plain::Plain;
use crate::domain::fact::Mark;

/// How often the change feed is read, and how often what was gathered is written.
const POLL: Duration = Duration::from_secs(1);
/// How long nothing may be heard of changes before they are listened for on another connection.
const SILENCE: Duration = Duration::from_secs(300);
/// The longest pause between two attempts to load everything anew, or to listen.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often peers that were deleted long ago, and results whose day is over, are looked for. They are
/// gone for everyone before that.
const PURGE: Duration = Duration::from_secs(600);
/// How long the last of what was gathered may take to be written.
const FAREWELL: Duration = Duration::from_secs(5);

/// Keeps the published policy up to date, and loads it anew where it cannot be.
pub async fn follow(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let mut ticks = ticks(POLL);
        let mut pause = POLL;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = ctx.policy.needs_attention() => {}
            }
            if ctx.policy.is_ready() {
                catch_up(&ctx).await;
            }
            if ctx.policy.is_ready() {
                pause = POLL;
            } else if !reload(&ctx).await {
                tokio::time::sleep(pause).await;
                pause = PAUSE_MAX.min(pause * 2);
            }
        }
    };
    until_told(&stop, work).await;
}

/// Has the follower look as soon as another process tells of a change. Where nothing can be heard, the
/// follower looks by itself.
pub async fn hear(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let mut pause = POLL;
        loop {
            match ctx.store.notices().await {
                Ok(Some(mut notices)) => {
                    pause = POLL;
                    // A connection that broke without a word is given up in time.
                    while let Ok(Ok(())) = tokio::time::timeout(SILENCE, notices.next()).await {
                        ctx.policy.call_attention();
                    }
                }
                Ok(None) => return std::future::pending().await,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "changes cannot be listened for");
                    pause = PAUSE_MAX.min(pause * 2);
                }
            }
            tokio::time::sleep(pause).await;
        }
    };
    until_told(&stop, work).await;
}

async fn catch_up(ctx: &Ctx) {
    match refresh::catch_up(ctx, Duration::ZERO).await {
        Ok(()) => {}
        // To answer from a snapshot that no longer follows would be to answer from the past.
        Err(error) if refresh::is_lasting(&error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the snapshot cannot follow; loading it anew");
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the change feed could not be read");
        }
    }
}

async fn reload(ctx: &Ctx) -> bool {
    match refresh::reload(ctx).await {
        Ok(()) => {
            ctx.policy.set_ready(true);
            tracing::info!(server.revision = ctx.snapshot().revision(), "the facts were loaded anew");
            true
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the facts could not be loaded anew");
            false
        }
    }
}

/// Keeps the snapshot in its file whenever it is another than the one that lies there.
pub async fn keep_snapshot(
    ctx: Arc<Ctx>,
    (kept, mut there, period): (Kept, Option<Mark>, Duration),
    stop: CancellationToken,
) {
    let work = async {
        let mut ticks = ticks(period);
        loop {
            ticks.tick().await;
            let snapshot = ctx.snapshot();
            let mark = snapshot.mark();
            if !ctx.policy.is_ready() || there == Some(mark) {
                continue;
            }
            let keeping = async { start::keep(snapshot, kept.clone(), kept::seal_key(&ctx).await?).await };
            match keeping.await {
                Ok(Ok(())) => {
                    there = Some(mark);
                    tracing::info!(server.revision = mark.revision, "the snapshot was kept");
                }
                Ok(Err(why)) => {
                    tracing::warn!(error = &why as &dyn std::error::Error, "the snapshot could not be kept");
                }
                Err(error) => report(Err(error), "the snapshot could not be kept"),
            }
        }
    };
    until_told(&stop, work).await;
}

/// Puts a sample of the decisions that were made to plain casbin.
pub async fn shadow(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let Some(mut samples) = ctx.shadow.samples() else { return };
        let mut plain = match Plain::new() {
            Ok(plain) => plain,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no decision is put to casbin");
                return std::future::pending().await;
            }
        };
        while let Some(sample) = samples.recv().await {
            let ctx = Arc::clone(&ctx);
            // casbin takes long by the measure of calls, whose threads it must not hold up.
            let compared = tokio::task::spawn_blocking(move || {
                ctx.shadow.compare(&mut plain, &sample);
                plain
            });
            match compared.await {
                Ok(done) => plain = done,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "casbin broke off; no decision is put to it"
                    );
                    return std::future::pending().await;
                }
            }
        }
    };
    until_told(&stop, work).await;
}

/// Tells watchers of audit logs what other processes recorded.
pub async fn follow_logs(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let mut ticks = ticks(POLL);
        loop {
            ticks.tick().await;
            report(audit::news::refresh(&ctx).await, "the ends of the watched audit logs could not be read");
        }
    };
    until_told(&stop, work).await;
}

/// Writes the repeats of refused calls, and in the end whatever is left.
pub async fn write_refusals(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let mut ticks = ticks(POLL);
        loop {
            ticks.tick().await;
            report(refusals::flush(&ctx, Due::Over).await, "refusals could not be written");
        }
    };
    until_told(&stop, work).await;
    match tokio::time::timeout(FAREWELL, refusals::flush(&ctx, Due::All)).await {
        Ok(flushed) => report(flushed, "the last refusals could not be written"),
        Err(_) => tracing::warn!("the last refusals were not written in time"),
    }
}

/// Writes when API keys were used last, and in the end whatever is left.
pub async fn write_uses(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let mut ticks = ticks(POLL);
        loop {
            ticks.tick().await;
            report(uses::flush(&ctx).await, "the last uses of API keys could not be written");
        }
    };
    until_told(&stop, work).await;
    match tokio::time::timeout(FAREWELL, uses::flush(&ctx)).await {
        Ok(flushed) => report(flushed, "the last uses of API keys could not be written"),
        Err(_) => tracing::warn!("the last uses of API keys were not written in time"),
    }
}

/// Purges peers that were deleted long ago.
pub async fn purge_peers(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let mut ticks = ticks(PURGE);
        loop {
            ticks.tick().await;
            while more(peers::purge_expired(&ctx).await.map(|purged| purged > 0), "deleted peers could not be purged") {
            }
        }
    };
    until_told(&stop, work).await;
}

/// Purges results of requests whose day is over.
pub async fn purge_requests(ctx: Arc<Ctx>, stop: CancellationToken) {
    let work = async {
        let mut ticks = ticks(PURGE);
        loop {
            ticks.tick().await;
            while more(requests::purge_expired(&ctx).await.map(|purged| purged > 0), "old results could not be purged")
            {
            }
        }
    };
    until_told(&stop, work).await;
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Works until it is told to stop, wherever it is then.
async fn until_told(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Whether a purge has more to do.
fn more(purged: Result<bool, Error>, what: &'static str) -> bool {
    purged.unwrap_or_else(|error| {
        report(Err(error), what);
        false
    })
}

fn report(done: Result<(), Error>, what: &'static str) {
    if let Err(error) = done {
        tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
    }
}
