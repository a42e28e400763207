//! Refusals that were counted and are not recorded yet.
//!
//! INVARIANT: a refusal is owed until its event is durable: [`Owed`] gives back what was not, however
//! the attempt ended. What is remembered is bounded, and so is what one caller can have written by one
//! method within a minute, however it varies the target.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::application::context::Caller;
use crate::domain::audit::AuditDraft;
use crate::domain::time::Timestamp;
use crate::storage::audit::Entry;

/// How long repeats are gathered, in microseconds.
const GATHER_MICROS: i64 = 60 * 1_000_000;
/// The most refusals of one caller by one method that get an event of their own within a minute. All
/// further ones share an event that counts them.
const DISTINCT_MAX: usize = 20;
/// The most refusals that are remembered one by one. Beyond, each caller and method has a count.
const REMEMBERED_MAX: usize = 10_000;
/// The most events that are taken over at once.
const TAKEN_MAX: usize = 500;

/// Who is refused, and by which method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    pub(super) caller: Caller,
    pub(super) method: &'static str,
}

/// What is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    One {
        action: &'static str,
        reason: &'static str,
        target: String,
    },
    /// Everything beyond the budget.
    Others,
}

/// Which refusals are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Those whose minute is over.
    Over,
    /// All, since nobody will come back for them.
    All,
}

#[derive(Debug)]
struct Gathered {
    /// The end of the minute.
    until: Timestamp,
    owed: u64,
    entry: Entry,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<Lane, HashMap<Kind, Gathered>>,
    remembered: usize,
}

/// Refusals of the last minute.
#[derive(Debug, Default)]
pub struct Refusals {
    state: Mutex<State>,
}

/// Refusals that somebody is about to record. Dropped, they are owed again; [`Owed::settle`] says that
/// they are durable.
#[derive(Debug)]
pub(super) struct Owed {
    from: Arc<Refusals>,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    lane: Lane,
    kind: Kind,
    entry: Entry,
    refusals: u64,
}

impl Refusals {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal. What is to be recorded now: the first of its kind, and the repeats before it.
    /// `entry` makes the event of a kind; where it makes none, there is nothing to record.
    pub(super) fn gather(
        self: &Arc<Self>,
        (lane, kind): (Lane, Kind),
        entry: impl Fn(&Kind) -> Option<Entry>,
        now: Timestamp,
    ) -> Owed {
        let mut owed = Owed { from: Arc::clone(self), items: Vec::new() };
        let mut state = self.lock();
        let kind = state.within_budget(lane, kind);
        let Some(entry) = entry(&kind) else { return owed };
        let until = now.plus_micros(GATHER_MICROS);
        let first = Item { lane, kind: kind.clone(), entry: entry.clone(), refusals: 1 };
        match state.lanes.get_mut(&lane).and_then(|kinds| kinds.get_mut(&kind)) {
            Some(known) if known.until > now || kind == Kind::Others => known.owed += 1,
            Some(known) => {
                let before = std::mem::replace(known, Gathered { until, owed: 0, entry });
                owed.items.extend(before.counted(lane, kind));
                owed.items.push(first);
            }
            None if kind == Kind::Others => state.remember((lane, kind), Gathered { until, owed: 1, entry }),
            None => {
                state.remember((lane, kind), Gathered { until, owed: 0, entry });
                owed.items.push(first);
            }
        }
        owed
    }

    /// Takes some of the refusals that are due; none when there are no more.
    pub(super) fn take_over(self: &Arc<Self>, now: Timestamp, due: Due) -> Owed {
        let mut items = Vec::new();
        let mut state = self.lock();
        let State { lanes, remembered } = &mut *state;
        let mut room = TAKEN_MAX;
        for (lane, kinds) in lanes.iter_mut() {
            let mut take = |known: &Gathered| {
                let is_taken = room > 0 && (due == Due::All || known.until <= now);
                room -= usize::from(is_taken && known.owed > 0);
                is_taken
            };
            for (kind, known) in kinds.extract_if(|_, known| take(known)) {
                *remembered = remembered.saturating_sub(1);
                items.extend(known.counted(*lane, kind));
            }
        }
        lanes.retain(|_, kinds| !kinds.is_empty());
        Owed { from: Arc::clone(self), items }
    }
}

impl State {
    /// The kind that a refusal is counted as.
    fn within_budget(&self, lane: Lane, kind: Kind) -> Kind {
        let known = self.lanes.get(&lane);
        let is_known = known.is_some_and(|kinds| kinds.contains_key(&kind));
        let is_room = known.is_none_or(|kinds| kinds.len() < DISTINCT_MAX) && self.remembered < REMEMBERED_MAX;
        if is_known || is_room { kind } else { Kind::Others }
    }

    fn remember(&mut self, (lane, kind): (Lane, Kind), gathered: Gathered) {
        if self.lanes.entry(lane).or_default().insert(kind, gathered).is_none() {
            self.remembered += 1;
        }
    }
}

impl Gathered {
    /// What is owed of it, if anything.
    fn counted(self, lane: Lane, kind: Kind) -> Option<Item> {
        let count = NonZeroU64::new(self.owed)?;
        let Entry { logs, draft } = self.entry;
        let entry = Entry { logs, draft: AuditDraft { count: Some(count), ..draft } };
        Some(Item { lane, kind, entry, refusals: self.owed })
    }
}

impl Owed {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.items.iter().map(|item| item.entry.clone()).collect()
    }

    /// The events are durable.
    pub(super) fn settle(mut self) {
        self.items.clear();
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let mut state = self.from.lock();
        for Item { lane, kind, entry, refusals } in self.items.drain(..) {
            // Whoever comes next tries again at once.
            let until = Timestamp::MIN;
            match state.lanes.get_mut(&lane).and_then(|kinds| kinds.get_mut(&kind)) {
                Some(known) => (known.until, known.owed) = (until, known.owed.saturating_add(refusals)),
                None => state.remember((lane, kind), Gathered { until, owed: refusals, entry }),
            }
        }
    }
}
