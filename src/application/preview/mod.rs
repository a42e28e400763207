//! What changes would mean: they are tried out as their own calls would make them, and the decisions
//! before and after are compared.
//!
//! The changes run on a [`Stage`], under the lock, and are undone before anything is compared: others
//! wait for the trying out alone. Every page tries them out anew, and a page is told only of the facts
//! that the first one saw; where policy has changed since, the preview has to begin again.
//!
//! INVARIANT: a decision that is no denial is told only of the caller itself, or on an account where the
//! caller holds `policy.preview` on that side of the changes. Who moves an account out of its own sight
//! learns who loses by that, and not who gains. Who may not make a change is told what the call that
//! makes it would say, and nothing else.

mod compare;
#[cfg(test)]
mod tests;
mod trial;

pub use compare::{Shown, Totals};
pub use trial::Trial;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::compare::{Audience, Reading};
use super::context::{Call, Ctx};
use super::error::{Error, Precondition, Result};
use super::guard::View;
use super::page::Page;
use super::stage::Stage;
use crate::decision::AccountIndex;
use crate::decision::difference::Sides;
use crate::domain::context::Context;
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::invalid::Invalid;
use crate::domain::permission::PermissionName;
use crate::domain::time::Timestamp;

/// What lets a caller preview changes.
pub(super) const PREVIEW: &str = "policy.preview";
/// The most that one call looks at: decisions compared, and accounts gone through.
const WORK_MAX: usize = 1_000_000;

/// A wish to know what changes would mean.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The account on which, and below, decisions are compared; without it, everywhere.
    pub account: Option<AccountId>,
    pub changes: Vec<Trial>,
    pub context: Context,
    /// When windows are judged; `None` is now.
    pub time: Option<Timestamp>,
    pub after: Option<Place>,
    pub limit: usize,
}

/// Where a page ends, and what the next one has to agree with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    revision: i64,
    digest: [u8; 32],
    time: Timestamp,
    totals: Totals,
    cell: Cell,
}

/// How far was read: to the end of a peer, of an account of it, or up to a permission there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) peer: PeerId,
    pub(super) account: Option<AccountId>,
    pub(super) permission: Option<PermissionName>,
}

/// A page of differences.
#[derive(Debug, Clone)]
pub struct Previewed {
    pub page: Page<Shown, Place>,
    pub totals: Totals,
    pub revision: i64,
}

/// Tries changes out and compares.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`] where the caller may not preview there, or not make a
/// change; whatever else the call that makes a change would fail with; [`Error::PreviewOutdated`]
/// where policy changed between two pages.
pub async fn preview(ctx: &Ctx, call: &Call, request: Preview) -> Result<Previewed> {
    let (stage, before) = Stage::open(ctx).await?;
    let now = ctx.clock.now();
    let view = View::of_caller(&before, &call.caller, now)?;
    let scope = request.account.as_ref().map(|id| admit(&view, id)).transpose()?;
    let Preview { changes, context, after: place, limit, .. } = request;
    let time = match &place {
        Some(place) if (place.revision, place.digest) == (before.mark().revision, before.mark().digest) => place.time,
        Some(_) => return Err(Error::PreviewOutdated),
        None if request.time.is_some_and(|time| time < now) => {
            return Err(Error::invalid("evaluation_time", Invalid::NotAllowed { why: "the past cannot change" }));
        }
        None => request.time.unwrap_or(now),
    };
    let staged = Call { stage: Some(Arc::clone(&stage)), validate_only: true, ..call.clone() };
    for change in changes {
        change.try_out(ctx, &staged).await?;
    }
    let tried = stage.close().await?;
    let sides = Sides { before: &before, after: &tried.after, now: time, context: &context };
    let audience = Audience::new(view, sides, scope);
    let reading = Reading { limit, after: place.as_ref().map(|place| &place.cell), work_max: WORK_MAX };
    let found = compare::read(audience, &tried.changes, reading).await;
    let totals = place.map_or(found.totals, |place| place.totals);
    let (revision, digest) = (before.mark().revision, before.mark().digest);
    let next = found.next.map(|cell| Place { revision, digest, time, totals, cell });
    Ok(Previewed { page: Page { items: found.shown, next }, totals, revision })
}

/// The account of an id, if the caller may preview there. What ends a suspension can be previewed on
/// what is suspended.
fn admit(view: &View<'_>, id: &AccountId) -> Result<AccountIndex> {
    match view.admit_at(PREVIEW, id) {
        Ok(permit) => Ok(permit.account()),
        Err(suspended @ Error::Precondition { reason: Precondition::AccountSuspended, .. }) => {
            view.snapshot.find_account(id.as_str()).ok_or(suspended)
        }
        Err(error) => Err(error),
    }
}
