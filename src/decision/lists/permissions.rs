//! What a peer may do on an account.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Part, Wanted};
use crate::decision::snapshot::{AccountIndex, PeerIndex, PermissionIndex, Snapshot};
use crate::decision::{Query, evaluate};
use crate::domain::context::Context;
use crate::domain::permission::{Permission, PermissionName};
use crate::domain::time::Timestamp;

/// Who would act where.
#[derive(Debug, Clone, Copy)]
pub struct What<'a> {
    pub peer: PeerIndex,
    pub account: AccountIndex,
    pub now: Timestamp,
    pub context: &'a Context,
}

/// A page of the permissions that `takes` takes, in order of name.
///
/// The catalogue stands in order of registration; what is left of it is put in order for each page,
/// which costs less than deciding does.
pub fn effective_permissions(
    snapshot: &Snapshot,
    asked: &What<'_>,
    wanted: Wanted<'_, PermissionName>,
    takes: impl Fn(&Permission) -> bool,
) -> Part<PermissionIndex, PermissionName> {
    let What { peer, account, now, context } = *asked;
    let catalogue = snapshot.catalogue();
    let rest = catalogue.filter(|(_, permission)| wanted.is_next(&permission.name) && takes(permission));
    let mut heap: BinaryHeap<_> = rest.map(|(index, permission)| Reverse((&permission.name, index))).collect();
    let ascending = std::iter::from_fn(move || heap.pop().map(|Reverse((_, permission))| permission));
    let decide = |permission| Some(evaluate(snapshot, &Query { peer: Some(peer), permission, account, now, context }));
    let place = |permission| snapshot.permission(permission).map(|permission| permission.name.clone());
    wanted.fill(ascending, place, decide)
}
