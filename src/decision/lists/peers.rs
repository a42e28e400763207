//! Which peers may do something on an account.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Part, Wanted, allows};
use crate::decision::snapshot::{AccountIndex, PeerIndex, PermissionIndex, Snapshot};
use crate::decision::{Query, evaluate};
use crate::domain::context::Context;
use crate::domain::ids::PeerId;
use crate::domain::time::Timestamp;

/// What would be done where.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub permission: PermissionIndex,
    pub account: AccountIndex,
    pub now: Timestamp,
    pub context: &'a Context,
}

/// A page of the peers that `takes` takes, in order of uid.
///
/// The holders of roles that can allow it are read where these roles are bound on the way to the root,
/// and no other peer or binding is. Putting them in order costs by their number in each page, which is
/// about that of the whole list: an index in order of uid would cost every binding of the world 16
/// bytes more. Deciding costs by the page.
pub fn authorized_peers(
    snapshot: &Snapshot,
    asked: &Who<'_>,
    wanted: Wanted<'_, PeerId>,
    takes: impl Fn(PeerIndex) -> bool,
) -> Part<PeerIndex, PeerId> {
    let Who { permission, account, now, context } = *asked;
    let named = holders(snapshot, permission, account).filter_map(|peer| snapshot.peer_id(peer).map(|id| (id, peer)));
    let rest: Vec<_> = named.filter(|(id, _)| wanted.is_next(id)).map(Reverse).collect();
    let mut heap = BinaryHeap::from(rest);
    let mut last = None;
    let ascending = std::iter::from_fn(move || {
        // One who holds it twice comes twice in a row.
        while let Some(Reverse((_, peer))) = heap.pop() {
            if last.replace(peer) != Some(peer) {
                return Some(peer);
            }
        }
        None
    });
    let decide =
        |peer| takes(peer).then(|| evaluate(snapshot, &Query { peer: Some(peer), permission, account, now, context }));
    wanted.fill(ascending, |peer| snapshot.peer_id(peer), decide)
}

/// Everybody who holds, on the way from the account to the root, a role that can allow it.
fn holders(snapshot: &Snapshot, permission: PermissionIndex, account: AccountIndex) -> impl Iterator<Item = PeerIndex> {
    let path = snapshot.path(account);
    let roles = snapshot.roles().filter(move |(_, role)| allows(role, permission)).map(|(role, _)| role);
    let bound = roles.flat_map(move |role| {
        let path = path;
        (0..path.as_slice().len())
            .filter_map(move |place| path.as_slice().get(place).copied())
            .flat_map(move |account| snapshot.bound_by_role_at(role, account))
    });
    bound.flat_map(|(holder, _)| snapshot.peers_of(holder))
}
