//! The log of decisions: which are taken, and how they get to the thread that writes them.
//!
//! INVARIANT: a decision waits for none of it and never fails over it. One that is not logged costs a
//! branch; one that is costs the texts of its entry and a place in the queue. Where the queue is full,
//! or the disk, entries are dropped, and each is counted.
//! INVARIANT: an entry holds no credential and no name of a person, and of the circumstances what the
//! settings let it hold.
//!
//! It is not the audit log: nothing is chained or kept in step with the database, and no entry is
//! promised. docs/decision-log.md is its format.

mod entry;
mod output;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::metrics::{DecisionOutcome, LogResult, Metrics};
use crate::config::DecisionLog as Settings;

pub use entry::{AttributeValue, Circumstances, Entry, Obligation, VERSION};
use output::Output;
use writer::Writer;

/// How long the last entries may take to be written.
const FAREWELL: Duration = Duration::from_secs(5);
/// What an entry takes in the queue beside the texts of its circumstances, more rather than less.
const ENTRY_BYTES: usize = 1024;

/// What goes through the queue: an entry and the room that it takes, or the end.
type Message = Option<(Entry, usize)>;

/// The log, as whoever decides sees it.
#[derive(Debug)]
pub struct DecisionLog {
    settings: Settings,
    /// Of 2^64.
    allows: u64,
    others: u64,
    /// How many bytes wait to be written.
    waiting: Arc<AtomicUsize>,
    queue: mpsc::Sender<Message>,
    metrics: Arc<Metrics>,
}

/// The thread that writes, as whoever ends it sees it.
#[derive(Debug)]
pub struct Writing {
    queue: mpsc::Sender<Message>,
    done: oneshot::Receiver<()>,
}

/// Whether a log could be started by the settings.
///
/// # Errors
/// Where its file could never be written, as [`DecisionLog::start`] would find it.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    match settings.to.as_deref() {
        None | Some("") => Ok(()),
        Some(to) => output::check(to).with_context(|| cannot_write(to)),
    }
}

fn cannot_write(to: &str) -> String {
    format!("`decision_log.to`: cannot write `{to}`")
}

impl DecisionLog {
    /// Starts the log where the settings say that there is one.
    ///
    /// # Errors
    /// Where its file can never be written, or there is no thread to be had. That a disk is full is no
    /// such reason: it may have room later, and decisions do not wait for it.
    pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> anyhow::Result<Option<(Arc<Self>, Writing)>> {
        let Some(to) = &settings.to else { return Ok(None) };
        let output = Output::open(to, settings).with_context(|| cannot_write(to))?;
        let (queue, entries) = mpsc::channel();
        let (tell, done) = oneshot::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut writer = Writer::new(output, Arc::clone(&waiting), Arc::clone(&metrics));
        let work = move || {
            writer.run(&entries);
            // Where nobody waits for the end, nobody is to be told.
            let _ = tell.send(());
        };
        std::thread::Builder::new().name("decision-log".to_owned()).spawn(work).context("no thread for decisions")?;
        let log = Self {
            settings: settings.clone(),
            allows: threshold(settings.allow_ratio),
            others: threshold(settings.deny_ratio),
            waiting,
            queue: queue.clone(),
            metrics,
        };
        Ok(Some((Arc::new(log), Writing { queue, done })))
    }

    /// Whether a decision is among those that are logged: its random id says, so that the same part of
    /// all is taken on every server, in no pattern that a caller could keep to.
    #[must_use]
    pub fn takes(&self, outcome: DecisionOutcome, id: Uuid) -> bool {
        let threshold = match outcome {
            DecisionOutcome::Allow => self.allows,
            DecisionOutcome::Deny | DecisionOutcome::RequiresStepUp | DecisionOutcome::RequiresApproval => self.others,
        };
        // The last 62 bits are random.
        let (_, random) = id.as_u64_pair();
        random << 2 < threshold
    }

    /// Hands an entry to the queue if it has room for it and for that many bytes of circumstances.
    pub fn add(&self, circumstances: usize, entry: impl FnOnce(&Settings) -> Entry) {
        let bytes = ENTRY_BYTES.saturating_add(circumstances);
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // One that is larger than all of the room has it where nothing else waits.
        let fits = before == 0 || before.saturating_add(bytes) <= self.settings.queue_bytes;
        if fits && self.queue.send(Some((entry(&self.settings), bytes))).is_ok() {
            return;
        }
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.metrics.logged(LogResult::Dropped, 1);
    }
}

impl Writing {
    /// Goes on until it is told to stop, and then until what is queued is written, or its time is over.
    pub async fn finish(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            // The thread ended by itself, which it never should.
            _ = &mut self.done => {
                tracing::error!("decisions are not logged any more: their thread ended");
                // Each is counted as dropped from here on, and decisions go on.
                return stop.cancelled().await;
            }
        }
        // A thread that is gone has nothing to write.
        let _ = self.queue.send(None);
        if tokio::time::timeout(FAREWELL, self.done).await.is_err() {
            tracing::warn!("the last decisions were not logged in time");
        }
    }
}

/// A ratio from 0 to 1 as a part of the range; the cast saturates at both ends.
fn threshold(ratio: f64) -> u64 {
    (ratio * u64::MAX as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_part_of_all_ids() {
        let taken = |ratio: f64| {
            let threshold = threshold(ratio);
            let ids = (0..100_000_u64).map(|turn| {
                // Xorshift's multiplier: any that mixes does.
                let random = turn.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ turn.rotate_left(17);
                uuid::Builder::from_u128(u128::from(random)).into_uuid()
            });
            ids.filter(|id| id.as_u64_pair().1 << 2 < threshold).count()
        };
        assert_eq!((taken(0.0), taken(1.0)), (0, 100_000));
        assert!((9_000..11_000).contains(&taken(0.1)), "{}", taken(0.1));
    }
}
