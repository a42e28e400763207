//! Turns at work of one kind: so many at once, so many waiting, and nobody ahead of everybody.
//!
//! Each caller has a line of its own, and turns go around the lines, so that one who sends a thousand
//! calls waits behind itself. A call that would wait longer than its time allows is turned away at
//! once, while its caller can still do something about it.
//!
//! INVARIANT: the lock is held for a few steps and never across a wait; a turn that was given is given
//! back exactly once, by the drop of [`Turn`].

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntGauge;
use tokio::sync::oneshot;

use crate::telemetry::metrics::ShedReason;

/// The part of the last duration in the running average, as one over this.
const WEIGHT: u32 = 8;
/// The shortest and the longest time after which a caller is told to come back.
const RETRY_LEAST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// Bounds of one kind of work.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub running: usize,
    pub waiting: usize,
    /// The most calls of one caller, running and waiting.
    pub per_caller: usize,
}

/// Why a call got no turn, and when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    pub why: ShedReason,
    pub retry_after: Duration,
}

/// Turns of one kind of work among callers `K`.
#[derive(Debug)]
pub struct Turns<K: Copy + Eq + Hash> {
    bounds: Bounds,
    running: Option<IntGauge>,
    waiting: Option<IntGauge>,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K: Copy + Eq + Hash> {
    running: usize,
    waiting: usize,
    /// Callers with somebody waiting, in the order of their next turn.
    around: VecDeque<K>,
    lines: HashMap<K, Line<K>>,
    /// How long work of this kind takes.
    average: Duration,
    next_ticket: u64,
}

#[derive(Debug)]
struct Line<K: Copy + Eq + Hash> {
    running: usize,
    waiting: VecDeque<(u64, oneshot::Sender<Turn<K>>)>,
}

/// The right to work now. Dropping it gives it to the next in turn.
#[derive(Debug)]
pub struct Turn<K: Copy + Eq + Hash> {
    turns: Option<Arc<Turns<K>>>,
    caller: K,
    began: Instant,
}

/// A place in a line. Dropping it leaves the line.
struct Ticket<K: Copy + Eq + Hash> {
    turns: Arc<Turns<K>>,
    caller: K,
    number: u64,
}

impl<K: Copy + Eq + Hash> Turns<K> {
    /// Turns within bounds, with gauges that follow them.
    #[must_use]
    pub fn new(bounds: Bounds, running: Option<IntGauge>, waiting: Option<IntGauge>) -> Arc<Self> {
        let state = State {
            running: 0,
            waiting: 0,
            around: VecDeque::new(),
            lines: HashMap::new(),
            average: Duration::ZERO,
            next_ticket: 0,
        };
        Arc::new(Self { bounds, running, waiting, state: Mutex::new(state) })
    }

    /// Waits for a turn, at most for as long as the caller has.
    ///
    /// # Errors
    /// [`Shed`] where there is no room, or no time.
    pub async fn take(self: &Arc<Self>, caller: K, time: Duration) -> Result<Turn<K>, Shed> {
        let (ticket, turn) = {
            let mut state = self.lock();
            let own = state.lines.get(&caller).map_or(0, |line| line.running + line.waiting.len());
            if own >= self.bounds.per_caller {
                return Err(self.shed(&state, ShedReason::Caller));
            }
            if state.running < self.bounds.running && state.waiting == 0 {
                return Ok(self.grant(&mut state, caller));
            }
            if state.waiting >= self.bounds.waiting {
                return Err(self.shed(&state, ShedReason::Full));
            }
            if self.expected(&state, caller) > time {
                return Err(self.shed(&state, ShedReason::TooLate));
            }
            let (sender, turn) = oneshot::channel();
            let number = state.next_ticket;
            state.next_ticket += 1;
            state.waiting += 1;
            let line = state.lines.entry(caller).or_insert_with(|| Line { running: 0, waiting: VecDeque::new() });
            let is_first = line.waiting.is_empty();
            line.waiting.push_back((number, sender));
            if is_first {
                state.around.push_back(caller);
            }
            self.show(&state);
            (Ticket { turns: Arc::clone(self), caller, number }, turn)
        };
        match tokio::time::timeout(time, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => {
                drop(ticket);
                Err(self.shed(&self.lock(), ShedReason::TooLate))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(self: &Arc<Self>, state: &mut State<K>, caller: K) -> Turn<K> {
        state.running += 1;
        state.lines.entry(caller).or_insert_with(|| Line { running: 0, waiting: VecDeque::new() }).running += 1;
        self.show(state);
        Turn { turns: Some(Arc::clone(self)), caller, began: Instant::now() }
    }

    /// How long a new call of a caller would wait: for one round of the lines for each that waits in
    /// its own, and never more than for all that wait.
    fn expected(&self, state: &State<K>, caller: K) -> Duration {
        let own = state.lines.get(&caller).map_or(0, |line| line.waiting.len());
        let ahead = state.waiting.min((own + 1).saturating_mul(state.around.len().max(1)));
        let rounds = u32::try_from(ahead / self.bounds.running.max(1)).unwrap_or(u32::MAX);
        state.average.saturating_mul(rounds)
    }

    fn shed(&self, state: &State<K>, why: ShedReason) -> Shed {
        let rounds = u32::try_from(state.waiting / self.bounds.running.max(1) + 1).unwrap_or(u32::MAX);
        Shed { why, retry_after: state.average.saturating_mul(rounds).clamp(RETRY_LEAST, RETRY_MOST) }
    }

    /// Takes back a turn, and gives out what is free.
    fn give_back(self: &Arc<Self>, caller: K, took: Duration) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
        state.average = (state.average * (WEIGHT - 1) + took) / WEIGHT;
        if let Some(line) = state.lines.get_mut(&caller) {
            line.running = line.running.saturating_sub(1);
        }
        forget_idle(&mut state, caller);
        while state.running < self.bounds.running {
            let Some(next) = state.around.pop_front() else { break };
            let Some((_, sender)) = state.lines.get_mut(&next).and_then(|line| line.waiting.pop_front()) else {
                continue;
            };
            state.waiting = state.waiting.saturating_sub(1);
            if state.lines.get(&next).is_some_and(|line| !line.waiting.is_empty()) {
                state.around.push_back(next);
            }
            let turn = self.grant(&mut state, next);
            // One who left in this moment gives nothing back, since the lock is held: it never had it.
            if let Err(mut turn) = sender.send(turn) {
                turn.turns = None;
                state.running = state.running.saturating_sub(1);
                if let Some(line) = state.lines.get_mut(&next) {
                    line.running = line.running.saturating_sub(1);
                }
                forget_idle(&mut state, next);
            }
        }
        self.show(&state);
    }

    fn leave(&self, caller: K, number: u64) {
        let mut state = self.lock();
        let Some(line) = state.lines.get_mut(&caller) else { return };
        let Some(place) = line.waiting.iter().position(|(ticket, _)| *ticket == number) else { return };
        line.waiting.remove(place);
        if line.waiting.is_empty() {
            state.around.retain(|other| *other != caller);
        }
        state.waiting = state.waiting.saturating_sub(1);
        forget_idle(&mut state, caller);
        self.show(&state);
    }

    fn show(&self, state: &State<K>) {
        if let (Some(running), Some(waiting)) = (&self.running, &self.waiting) {
            running.set(i64::try_from(state.running).unwrap_or(i64::MAX));
            waiting.set(i64::try_from(state.waiting).unwrap_or(i64::MAX));
        }
    }
}

/// Callers with nothing running and nothing waiting leave no trace.
fn forget_idle<K: Copy + Eq + Hash>(state: &mut State<K>, caller: K) {
    if state.lines.get(&caller).is_some_and(|line| line.running == 0 && line.waiting.is_empty()) {
        state.lines.remove(&caller);
    }
}

impl<K: Copy + Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.give_back(self.caller, self.began.elapsed());
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Ticket<K> {
    fn drop(&mut self) {
        self.turns.leave(self.caller, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn turns(running: usize, waiting: usize, per_caller: usize) -> Arc<Turns<u8>> {
        Turns::new(Bounds { running, waiting, per_caller }, None, None)
    }

    async fn line_up(turns: &Arc<Turns<u8>>, caller: u8, order: &Arc<Mutex<Vec<u8>>>) -> tokio::task::JoinHandle<()> {
        let before = turns.lock().waiting;
        let (turns_of_task, order) = (Arc::clone(turns), Arc::clone(order));
        let task = tokio::spawn(async move {
            let turn = turns_of_task.take(caller, LONG).await.unwrap();
            order.lock().unwrap().push(caller);
            drop(turn);
        });
        while turns.lock().waiting == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn turns_go_around_the_callers() {
        let turns = turns(1, 10, 10);
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = turns.take(0, LONG).await.unwrap();
        let mut tasks = Vec::new();
        for caller in [1, 1, 1, 2, 3] {
            tasks.push(line_up(&turns, caller, &order).await);
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 1, 1]);
        let state = turns.lock();
        assert!(state.lines.is_empty() && state.around.is_empty() && state.running == 0 && state.waiting == 0);
    }

    #[tokio::test]
    async fn who_finds_no_room_is_told_so_at_once() {
        let turns = turns(1, 1, 2);
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = turns.take(0, LONG).await.unwrap();
        let waiting = line_up(&turns, 0, &order).await;
        assert_eq!(turns.take(0, LONG).await.unwrap_err().why, ShedReason::Caller);
        let shed = turns.take(1, LONG).await.unwrap_err();
        assert_eq!(shed.why, ShedReason::Full);
        assert!(shed.retry_after >= RETRY_LEAST);
        drop(first);
        waiting.await.unwrap();
        assert!(turns.take(1, LONG).await.is_ok());
    }

    #[tokio::test]
    async fn who_leaves_takes_nothing_along() {
        let turns = turns(1, 10, 10);
        let first = turns.take(0, LONG).await.unwrap();
        assert_eq!(turns.take(1, Duration::from_millis(5)).await.unwrap_err().why, ShedReason::TooLate);
        let waiting = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.take(2, LONG).await.map(drop) }
        });
        while turns.lock().waiting == 0 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.is_err());
        assert_eq!(turns.lock().waiting, 0);
        drop(first);
        assert!(turns.take(3, LONG).await.is_ok());
    }

    #[tokio::test]
    async fn one_that_would_come_too_late_does_not_wait() {
        let turns = turns(1, 10, 10);
        turns.lock().average = Duration::from_secs(10);
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = turns.take(0, LONG).await.unwrap();
        let waiting = line_up(&turns, 1, &order).await;
        let shed = turns.take(2, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(shed.why, ShedReason::TooLate);
        assert_eq!(shed.retry_after, RETRY_MOST);
        drop(first);
        waiting.await.unwrap();
    }
}
