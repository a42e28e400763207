//! Where may a peer, who may here, and what may a peer here: the same snapshot, walked differently.
//!
//! INVARIANT: whether a row stands in a list is what [`evaluate`] says and nothing else. The walks only
//! know which questions cannot be answered but by DENY, and leave those out; so a list is equal to its
//! cells, and it costs by how many of them may be more than DENY.
//!
//! Rows come in the order of a name that never changes, and a page goes on after a name. So pages
//! neither skip nor repeat a row that is there all the while, whatever changes in between.
//!
//! Not here: who may see which row.
//!
//! [`evaluate`]: super::evaluate()

mod accounts;
mod peers;
mod permissions;
mod territory;

pub use accounts::{Where, accessible_accounts};
pub use peers::{Who, authorized_peers};
pub use permissions::{What, effective_permissions};
pub use territory::Territory;

use super::snapshot::{PermissionIndex, RoleRecord};
use super::{Decision, Outcome};
use crate::domain::role::Effect;

/// The most cells that are decided for one page. A page that is not full then is short, and the list
/// goes on.
pub const DECIDED_MAX: usize = 5_000;

/// Which page of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a, P> {
    pub after: Option<&'a P>,
    pub limit: usize,
    /// The only answer to be listed; without it, all but DENY.
    pub outcome: Option<Outcome>,
}

impl<P> Wanted<'_, P> {
    fn takes(&self, decision: &Decision) -> bool {
        decision.outcome != Outcome::Deny && self.outcome.is_none_or(|wanted| wanted == decision.outcome)
    }

    /// Whether a name comes after the place where the page begins.
    fn is_next(&self, name: &P) -> bool
    where
        P: Ord,
    {
        self.after.is_none_or(|after| name > after)
    }

    /// Fills the page with what is wanted of the candidates.
    fn fill<C: Copy>(
        &self,
        candidates: impl Iterator<Item = C>,
        place: impl Fn(C) -> Option<P>,
        mut decide: impl FnMut(C) -> Option<Decision>,
    ) -> Part<C, P> {
        let mut part = Part { rows: Vec::new(), next: None, decided: 0 };
        let mut last = None;
        for candidate in candidates {
            if part.decided == DECIDED_MAX {
                part.next = last.and_then(&place);
                break;
            }
            part.decided += 1;
            if let Some(decision) = decide(candidate).filter(|decision| self.takes(decision)) {
                // One more than the page holds says that there is another.
                if part.rows.len() == self.limit {
                    part.next = part.rows.last().and_then(|(shown, _)| place(*shown));
                    break;
                }
                part.rows.push((candidate, decision));
            }
            last = Some(candidate);
        }
        part
    }
}

/// A page of a list: its rows, each with what Authorize answers there.
#[derive(Debug, Clone)]
pub struct Part<T, P> {
    pub rows: Vec<(T, Decision)>,
    /// The place after which the list goes on; none at its end.
    pub next: Option<P>,
    /// How many cells were looked at.
    pub decided: usize,
}

/// Whether a role can let anybody do something at all.
fn allows(role: &RoleRecord, permission: PermissionIndex) -> bool {
    let is_allow = |effect| match effect {
        Effect::Allow => true,
        Effect::Deny => false,
    };
    role.compiled.namings(permission).any(|naming| is_allow(naming.effect))
}
