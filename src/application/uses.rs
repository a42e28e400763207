//! When API keys were used last: noted on the way of every call, written by a worker.
//!
//! A key is used when a call presents it, and when Authorize is asked about it as a subject's token.
//! Uses within one minute of the clock are noted once, at the time of the first. Noting waits for
//! nothing: a key whose minute is noted already costs one read of one word. None of this is policy,
//! so that no revision comes of it.
//!
//! INVARIANT: only keys of the snapshot are noted, so that what waits to be written is bounded by how
//! many keys there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::context::Ctx;
use super::error::Result;
use crate::domain::ids::ApiKeyId;
use crate::domain::time::Timestamp;
use crate::storage;

/// Within how long uses are noted once, in microseconds.
const GATHER_MICROS: i64 = 60 * 1_000_000;
/// How many keys are remembered as noted. Two that share a place only cost each other a lock.
const PLACES: usize = 4096;
/// What stands at a place where nothing was noted: no minute that comes.
const NOTHING: u64 = u64::MAX;
/// How many uses one transaction writes.
const STEP: usize = 500;

/// The uses that are not written yet.
#[derive(Debug)]
pub struct Uses {
    /// The last key and minute that were noted at each place.
    noted: Box<[AtomicU64]>,
    pending: Mutex<HashMap<ApiKeyId, Timestamp>>,
}

impl Default for Uses {
    fn default() -> Self {
        Self { noted: (0..PLACES).map(|_| AtomicU64::new(NOTHING)).collect(), pending: Mutex::default() }
    }
}

impl Uses {
    /// Notes that a key is used.
    pub fn note(&self, key: ApiKeyId, now: Timestamp) {
        let (place, mark) = mark(key, now);
        let Some(noted) = self.noted.get(place) else { return };
        // Only whoever changes the mark goes on, so that of many calls at once one takes the lock.
        if noted.load(Ordering::Relaxed) != mark && noted.swap(mark, Ordering::Relaxed) != mark {
            self.keep([(key, now)]);
        }
    }

    /// Keeps uses to be written, the latest of each key.
    fn keep(&self, uses: impl IntoIterator<Item = (ApiKeyId, Timestamp)>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, time) in uses {
            let known = pending.entry(key).or_insert(time);
            *known = time.max(*known);
        }
    }

    fn take(&self) -> Vec<(ApiKeyId, Timestamp)> {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

/// Where a key is remembered, and what stands there for it and a minute. The last bits of its id are
/// random: some choose the place, others tell it from its neighbors.
fn mark(key: ApiKeyId, now: Timestamp) -> (usize, u64) {
    let (_, random) = key.as_uuid().as_u64_pair();
    let minute = now.as_micros().div_euclid(GATHER_MICROS).cast_unsigned() & 0xFFFF_FFFF;
    ((random % PLACES as u64) as usize, (random >> 12 << 32) | minute)
}

/// Writes what was noted. Called by a worker.
///
/// # Errors
/// [`Error::Store`](super::Error::Store) where the database could not keep it; it is tried again with
/// the next flush then.
pub async fn flush(ctx: &Ctx) -> Result<()> {
    let mut uses = ctx.uses.take();
    while !uses.is_empty() {
        let rest = uses.split_off(uses.len().min(STEP));
        match write(ctx, &uses).await {
            Ok(busy) => ctx.uses.keep(busy),
            Err(error) => {
                ctx.uses.keep(uses.into_iter().chain(rest));
                return Err(error);
            }
        }
        uses = rest;
    }
    Ok(())
}

/// Writes uses in one transaction; returns those whose keys are being changed just now.
async fn write(ctx: &Ctx, uses: &[(ApiKeyId, Timestamp)]) -> Result<Vec<(ApiKeyId, Timestamp)>> {
    let transaction = ctx.store.begin().await?;
    let busy = storage::api_keys::touch_many(&transaction, uses).await?;
    transaction.commit().await?;
    Ok(busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = GATHER_MICROS;

    fn key(random: u64) -> ApiKeyId {
        ApiKeyId::from(uuid::Uuid::from_u64_pair(0, random))
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn noted(uses: &Uses) -> Vec<(ApiKeyId, Timestamp)> {
        let mut noted = uses.take();
        noted.sort();
        noted
    }

    #[test]
    fn uses_are_noted_once_a_minute() {
        let uses = Uses::default();
        for micros in [5, 6, MINUTE - 1] {
            uses.note(key(1), at(micros));
        }
        uses.note(key(2), at(7));
        assert_eq!(noted(&uses), [(key(1), at(5)), (key(2), at(7))]);
        uses.note(key(1), at(MINUTE - 1));
        assert_eq!(noted(&uses), []);
        uses.note(key(1), at(MINUTE));
        assert_eq!(noted(&uses), [(key(1), at(MINUTE))]);
    }

    #[test]
    fn keys_that_share_a_place_are_both_noted() {
        let uses = Uses::default();
        let other = key(1 + (7 << 12));
        assert_eq!(mark(key(1), at(0)).0, mark(other, at(0)).0);
        for micros in [5, 6, 7] {
            uses.note(key(1), at(micros));
            uses.note(other, at(micros));
        }
        assert_eq!(noted(&uses).len(), 2);
    }

    #[test]
    fn what_could_not_be_written_is_kept_and_never_older() {
        let uses = Uses::default();
        uses.note(key(1), at(5));
        uses.note(key(2), at(6));
        let failed = uses.take();
        uses.note(key(1), at(MINUTE + 1));
        uses.keep(failed);
        assert_eq!(noted(&uses), [(key(1), at(MINUTE + 1)), (key(2), at(6))]);
    }
}
