//! Results of requests that named themselves, kept for a day so that a repeat gets the same answer.

use super::context::{Call, Ctx};
use super::error::Result;
use crate::domain::time::Timestamp;
use crate::storage::requests::{self, RequestKey};

/// How long a request id is remembered, in microseconds: 24 hours.
const LIFE_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// How many results go in one transaction.
const BATCH: u64 = 500;

/// A result that is no younger than this counts no more.
pub(super) fn oldest(now: Timestamp) -> Timestamp {
    now.plus_micros(-LIFE_MICROS)
}

/// Request ids are scoped to caller and method.
pub(super) fn key(call: &Call) -> Option<RequestKey> {
    Some(RequestKey {
        caller: call.caller.peer.to_string(),
        method: call.method.to_owned(),
        request_id: call.request_id?.to_string(),
    })
}

/// Removes some of the results whose day is over, and says how many; nothing is left when none were.
///
/// # Errors
/// [`super::Error::Store`] where the database could not.
pub async fn purge_expired(ctx: &Ctx) -> Result<u64> {
    let transaction = ctx.store.begin().await?;
    let purged = requests::delete_until(transaction.connection(), oldest(ctx.clock.now()), BATCH).await?;
    transaction.commit().await?;
    Ok(purged)
}
