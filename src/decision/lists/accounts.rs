//! On which accounts a peer may do something.

use super::{Part, Territory, Wanted};
use crate::decision::snapshot::{AccountIndex, PeerIndex, PermissionIndex, Snapshot};
use crate::decision::{Query, evaluate};
use crate::domain::context::Context;
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

/// Who would do what, and in which part of the tree it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Where<'a> {
    pub peer: PeerIndex,
    pub permission: PermissionIndex,
    /// No larger than [`Territory::of`] the peer; what is outside of that only costs.
    pub territory: &'a Territory,
    pub now: Timestamp,
    pub context: &'a Context,
}

/// A page of the accounts that `takes` takes, in order of name.
///
/// It costs one seek for each top of the territory and one decision for each account that is passed,
/// whether the territory is one account or the world.
pub fn accessible_accounts(
    snapshot: &Snapshot,
    asked: &Where<'_>,
    wanted: Wanted<'_, AccountId>,
    takes: impl Fn(AccountIndex) -> bool,
) -> Part<AccountIndex, AccountId> {
    let Where { peer, permission, territory, now, context } = *asked;
    let decide = |account| {
        takes(account).then(|| evaluate(snapshot, &Query { peer: Some(peer), permission, account, now, context }))
    };
    let place = |account| snapshot.account_id(account).cloned();
    wanted.fill(territory.walk(snapshot, wanted.after), place, decide)
}
