//! A sample of decisions is put to plain casbin too, beside the calls, and differences are counted and
//! logged: a server in production proves itself.
//!
//! INVARIANT: a decision waits for none of it. Whether one is taken is a count of the thread's own; one
//! that is taken costs a copy of pointers; where the queue is full it is dropped, and that is counted.
//! INVARIANT: what is logged names no person: a permission, a revision and the two answers.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::decision::plain::Plain;
use crate::decision::{AccountIndex, Outcome, PeerIndex, PermissionIndex, Query, Snapshot};
use crate::domain::context::Context;
use crate::domain::time::Timestamp;

/// How many decisions wait for casbin at most. Each holds a snapshot, which others share as long as
/// policy does not change.
const QUEUE: usize = 64;
/// 2^64 divided by the golden ratio: multiples of it spread evenly over the range.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

thread_local! {
    static TURN: Cell<u64> = const { Cell::new(0) };
}

/// A decision that was made.
#[derive(Debug)]
pub struct Sample {
    snapshot: Snapshot,
    peer: Option<PeerIndex>,
    permission: PermissionIndex,
    account: AccountIndex,
    now: Timestamp,
    context: Context,
    outcome: Outcome,
}

/// What became of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub alike: u64,
    pub different: u64,
    /// Dropped because casbin was behind.
    pub dropped: u64,
    /// Casbin gave no answer.
    pub failed: u64,
}

/// The sample, and what became of it.
#[derive(Debug)]
pub struct Shadow {
    /// Of 2^64 turns.
    threshold: AtomicU64,
    queue: mpsc::Sender<Sample>,
    waiting: Mutex<Option<mpsc::Receiver<Sample>>>,
    alike: AtomicU64,
    different: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Default for Shadow {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self {
            threshold: AtomicU64::new(0),
            queue,
            waiting: Mutex::new(Some(waiting)),
            alike: AtomicU64::new(0),
            different: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }
}

impl Shadow {
    /// Sets which part of the decisions is sampled, from 0 to 1.
    pub fn set_ratio(&self, ratio: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a ratio from 0 to 1 becomes its part of the range, and the cast keeps to its ends"
        )]
        let threshold = (ratio * u64::MAX as f64) as u64;
        self.threshold.store(threshold, Ordering::Relaxed);
    }

    /// Takes a decision into the sample, now and then.
    #[inline]
    pub fn offer(&self, snapshot: &Snapshot, query: &Query<'_>, outcome: Outcome) {
        let threshold = self.threshold.load(Ordering::Relaxed);
        if threshold == 0 {
            return;
        }
        let turn = TURN.with(|turn| turn.replace(turn.get().wrapping_add(1)));
        if turn.wrapping_mul(SPREAD) <= threshold {
            self.take(snapshot, query, outcome);
        }
    }

    #[cold]
    fn take(&self, snapshot: &Snapshot, query: &Query<'_>, outcome: Outcome) {
        let Ok(place) = self.queue.try_reserve() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        place.send(Sample {
            snapshot: snapshot.clone(),
            peer: query.peer,
            permission: query.permission,
            account: query.account,
            now: query.now,
            context: query.context.clone(),
            outcome,
        });
    }

    /// The samples that come, to whoever asks first.
    pub fn samples(&self) -> Option<mpsc::Receiver<Sample>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts a sample to casbin.
    pub fn compare(&self, plain: &mut Plain, sample: &Sample) {
        let Sample { snapshot, peer, permission, account, now, context, outcome } = sample;
        let query = Query { peer: *peer, permission: *permission, account: *account, now: *now, context };
        let name = snapshot.permission(*permission).map_or("", |permission| permission.name.as_str());
        match plain.outcome(snapshot, &query) {
            Ok(answer) if answer == *outcome => {
                self.alike.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => {
                self.different.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    decision.permission = name,
                    decision.revision = snapshot.revision(),
                    decision.effect = ?outcome,
                    decision.casbin = ?answer,
                    "casbin decides otherwise than the server did"
                );
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    decision.permission = name,
                    "casbin could not decide what the server did"
                );
            }
        }
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            alike: read(&self.alike),
            different: read(&self.different),
            dropped: read(&self.dropped),
            failed: read(&self.failed),
        }
    }
}
