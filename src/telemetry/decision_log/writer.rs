//! The thread that writes: entries become lines, lines are written together as they come, and what
//! becomes of each is counted.
//!
//! INVARIANT: an entry is counted once, as written, failed or dropped, and leaves the queue's room
//! when that is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::output::Output;
use super::{Entry, Message};
use crate::telemetry::metrics::{LogResult, Metrics};

/// How often it is said that entries are lost, at most.
const COMPLAINT: Duration = Duration::from_secs(60);

/// What the thread works with.
pub(super) struct Writer {
    output: Output,
    /// Whole lines that are to be written.
    lines: Vec<u8>,
    /// How many they are, and the room that they take in the queue.
    count: u64,
    bytes: usize,
    /// The line that is being made.
    line: Vec<u8>,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    complaints: Complaints,
}

/// What was said of entries that are lost.
#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    /// Whether the last thing that was said is that none can be written.
    is_open: bool,
    /// How many were lost for want of room in the queue when it was said last.
    dropped: u64,
    failed: u64,
}

impl Writer {
    pub(super) fn new(output: Output, waiting: Arc<AtomicUsize>, metrics: Arc<Metrics>) -> Self {
        let complaints = Complaints::default();
        Self { output, lines: Vec::new(), count: 0, bytes: 0, line: Vec::new(), waiting, metrics, complaints }
    }

    /// Writes what comes, until the end comes or nobody is left who could send more.
    pub(super) fn run(&mut self, entries: &Receiver<Message>) {
        while let Ok(Some((entry, bytes))) = entries.recv() {
            self.add(&entry, bytes);
            let is_over = loop {
                match entries.try_recv() {
                    Ok(Some((entry, bytes))) => self.add(&entry, bytes),
                    Ok(None) | Err(TryRecvError::Disconnected) => break true,
                    Err(TryRecvError::Empty) => break false,
                }
            };
            self.flush();
            if is_over {
                return;
            }
        }
    }

    fn add(&mut self, entry: &Entry, bytes: usize) {
        self.line.clear();
        if let Err(error) = serde_json::to_writer(&mut self.line, entry) {
            tracing::error!(error = &error as &dyn std::error::Error, "a decision cannot be written as JSON");
            self.metrics.logged(LogResult::Failed, 1);
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        self.line.push(b'\n');
        if self.lines.len().saturating_add(self.line.len()) > self.output.write_size() {
            self.flush();
        }
        self.lines.append(&mut self.line);
        self.count += 1;
        self.bytes += bytes;
    }

    fn flush(&mut self) {
        if self.count == 0 {
            return;
        }
        let (written, error) = match self.output.write(&self.lines) {
            Ok(()) => (self.count, None),
            Err(broken) => {
                let whole = self.lines.get(..broken.written).unwrap_or_default();
                (whole.iter().filter(|byte| **byte == b'\n').count() as u64, Some(broken.error))
            }
        };
        self.metrics.logged(LogResult::Written, written);
        self.metrics.logged(LogResult::Failed, self.count.saturating_sub(written));
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
        (self.count, self.bytes) = (0, 0);
        self.lines.clear();
        self.complaints.hear(error, &self.metrics);
    }
}

impl Complaints {
    /// Says that entries are lost, once a minute at most, and that they are not any more.
    fn hear(&mut self, error: Option<std::io::Error>, metrics: &Metrics) {
        let is_due = self.last.is_none_or(|last| last.elapsed() >= COMPLAINT);
        let (dropped, failed) = (metrics.log_count(LogResult::Dropped), metrics.log_count(LogResult::Failed));
        match error {
            Some(error) if is_due => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    decision_log.failed = failed - self.failed,
                    decision_log.dropped = dropped - self.dropped,
                    "decisions cannot be logged"
                );
                (self.last, self.is_open) = (Some(Instant::now()), true);
            }
            Some(_) => return,
            None if self.is_open => {
                tracing::info!(
                    decision_log.failed = failed - self.failed,
                    decision_log.dropped = dropped - self.dropped,
                    "decisions are logged again"
                );
                self.is_open = false;
            }
            None if is_due && dropped > self.dropped => {
                tracing::warn!(
                    decision_log.dropped = dropped - self.dropped,
                    "decisions came faster than they could be logged"
                );
                self.last = Some(Instant::now());
            }
            None => return,
        }
        (self.dropped, self.failed) = (dropped, failed);
    }
}
