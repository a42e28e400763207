//! Results of requests that named themselves, kept for a day so that a repeat gets the same answer.

use super::context::{Call, Ctx, RequestId};
use super::error::{Error, Result, Violation};
use crate::domain::invalid::Invalid;
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
    let Some(RequestId::Uuid(id)) = call.request_id else { return None };
    Some(RequestKey {
        caller: call.caller.peer.to_string(),
        method: call.method.to_owned(),
        request_id: id.to_string(),
    })
}

/// What is wrong with the name that a call was given by its caller.
#[must_use]
pub fn violation(call: &Call) -> Option<Violation> {
    let is_wrong = call.request_id == Some(RequestId::Malformed);
    is_wrong.then(|| Violation::new("request_id", Invalid::Form { form: "a UUID with hyphens" }))
}

/// A call with a name that is none must not change anything: a repeat of it would do so once more.
///
/// # Errors
/// [`Error::Invalid`] for such a call.
pub(super) fn check(call: &Call) -> Result<()> {
    violation(call).map_or(Ok(()), |violation| Err(Error::Invalid(vec![violation])))
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
