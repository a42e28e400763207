//! The peers of a list that are only seen to be there, and everyone with access to an account. Both
//! come from the snapshot: what is shown of such a peer is all fact.

use std::collections::BTreeSet;

use super::judge::known;
use super::{Homes, ListView, Lister};
use crate::decision::snapshot::Holder;
use crate::decision::{AccountIndex, PeerIndex};
use crate::domain::binding::Reach;
use crate::domain::ids::PeerId;

impl Lister<'_> {
    /// The peers of the list that are only seen to be there, by id.
    pub(super) fn restricted(&self, homes: &mut Homes<'_>) -> BTreeSet<PeerId> {
        if self.request.search.is_some() || self.request.administrator.is_some() {
            return BTreeSet::new();
        }
        let snapshot = self.view.snapshot;
        let candidates: Vec<PeerIndex> = match self.request.view {
            ListView::WithAccess => self.holders(),
            ListView::HomeSubtree => {
                let hidden: Vec<AccountIndex> =
                    snapshot.subtree(self.account).into_iter().filter(|account| !homes.may_view(*account)).collect();
                hidden.into_iter().flat_map(|account| snapshot.homed_at(account)).collect()
            }
        };
        // Whose home is viewed stands in the other part. The caller itself, homed elsewhere, is one of these
        // like any other.
        let is_listed = |peer: &PeerIndex| {
            let Some(record) = snapshot.peer(*peer) else { return false };
            let home = snapshot.account_id(record.home());
            !homes.may_view(record.home())
                && self.onlooker.sight(*peer).is_some()
                && home.is_some_and(|home| known(&self.request.condition, record.kind(), home) == Some(true))
        };
        candidates.into_iter().filter(is_listed).filter_map(|peer| snapshot.peer_id(peer)).collect()
    }

    /// Everyone with access to the account.
    pub(super) fn holders(&self) -> Vec<PeerIndex> {
        let (snapshot, now) = (self.view.snapshot, self.view.now);
        let mut found = BTreeSet::new();
        for account in snapshot.path(self.account).as_slice() {
            for (holder, id) in snapshot.bound_at(*account) {
                let Some(binding) = snapshot.binding(holder, id) else { continue };
                if *account != self.account && binding.reach != Reach::Subtree {
                    continue;
                }
                match holder {
                    Holder::Peer(peer) => {
                        let window = snapshot.peer(peer).map(|peer| peer.binding_window(binding));
                        found.extend(window.filter(|window| !window.is_over(now)).map(|_| peer));
                    }
                    Holder::Group(group) => {
                        let Some(record) = snapshot.group(group) else { continue };
                        if record.binding_window(binding).is_over(now) {
                            continue;
                        }
                        found.extend(snapshot.members(group).filter(|member| {
                            snapshot.peer(*member).is_some_and(|peer| {
                                let mut memberships = peer.memberships().iter().filter(|one| one.group == group);
                                memberships.any(|one| !peer.membership_window(one).is_over(now))
                            })
                        }));
                    }
                }
            }
        }
        found.into_iter().collect()
    }
}
