//! What a peer is bound to, of its own and by its groups: the one walk that guards, rules and lists
//! share. `evaluate` has its own, which looks at the path first.

use super::{AccountIndex, BindingRecord, GroupIndex, GroupRecord, Holder, Path, PeerIndex, Snapshot};
use crate::domain::binding::Mode;
use crate::domain::time::Window;

/// How many bindings are looked through one by one; of more, those of an account are found in halves.
pub(in crate::decision) const SCAN_MAX: usize = 16;

/// A binding that a peer has, itself or as a member.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    pub binding: &'a BindingRecord,
    /// The group through which it does.
    pub group: Option<GroupIndex>,
    /// When both the binding and the membership are open.
    pub window: Window,
    /// `ELIGIBLE` where the binding or the membership is.
    pub mode: Mode,
}

impl Snapshot {
    /// The bindings that stand in a holder's own name, each with its window.
    pub fn bound_to(&self, holder: Holder) -> impl Iterator<Item = (&BindingRecord, Window)> {
        let (peer, group) = match holder {
            Holder::Peer(peer) => (self.peer(peer), None),
            Holder::Group(group) => (None, self.group(group)),
        };
        let of_peer = peer
            .into_iter()
            .flat_map(|view| view.bindings().iter().map(move |binding| (binding, view.binding_window(binding))));
        let of_group = group
            .into_iter()
            .flat_map(|group| group.bindings().iter().map(move |binding| (binding, group.binding_window(binding))));
        of_peer.chain(of_group)
    }

    /// As [`Snapshot::bound_to`], those on one account only: found in halves.
    pub fn bound_to_at(&self, holder: Holder, account: AccountIndex) -> impl Iterator<Item = (&BindingRecord, Window)> {
        let (peer, group) = match holder {
            Holder::Peer(peer) => (self.peer(peer), None),
            Holder::Group(group) => (None, self.group(group)),
        };
        let here = move |bindings: &[BindingRecord]| {
            let first = bindings.partition_point(|binding| binding.account < account);
            first..bindings.partition_point(|binding| binding.account <= account)
        };
        let of_peer = peer.into_iter().flat_map(move |view| {
            let own = view.bindings().get(here(view.bindings())).unwrap_or_default();
            own.iter().map(move |binding| (binding, view.binding_window(binding)))
        });
        let of_group = group.into_iter().flat_map(move |group| {
            let own = group.bindings().get(here(group.bindings())).unwrap_or_default();
            own.iter().map(move |binding| (binding, group.binding_window(binding)))
        });
        of_peer.chain(of_group)
    }

    /// Every binding of a peer, whenever it counts, but those that the membership leaves no moment.
    pub fn held(&self, peer: PeerIndex) -> impl Iterator<Item = Held<'_>> {
        let view = self.peer(peer);
        let own = view.into_iter().flat_map(|view| {
            let held =
                move |binding| Held { binding, group: None, window: view.binding_window(binding), mode: binding.mode };
            view.bindings().iter().map(held)
        });
        let by_group = view.into_iter().flat_map(move |view| {
            view.memberships().iter().flat_map(move |membership| {
                let open = view.membership_window(membership);
                let group = self.group(membership.group);
                group.into_iter().flat_map(move |group| {
                    group.bindings().iter().filter_map(move |binding| {
                        Some(Held {
                            binding,
                            group: Some(membership.group),
                            window: group.binding_window(binding).intersect(open)?,
                            mode: binding.mode.max(membership.mode),
                        })
                    })
                })
            })
        });
        own.chain(by_group)
    }

    /// Whether a peer has any binding on a path, whenever it counts: one of [`Snapshot::held`], found
    /// without looking at all of them.
    #[must_use]
    pub fn holds_on(&self, peer: PeerIndex, path: &Path) -> bool {
        let Some(view) = self.peer(peer) else { return false };
        let by_group = || {
            view.memberships().iter().any(|membership| {
                let open = view.membership_window(membership);
                let is_ever_open = |group: &GroupRecord, binding: &BindingRecord| {
                    group.binding_window(binding).intersect(open).is_some()
                };
                let group = self.group(membership.group);
                group.is_some_and(|group| any_on(path, group.bindings(), |binding| is_ever_open(group, binding)))
            })
        };
        any_on(path, view.bindings(), |_| true) || by_group()
    }
}

/// Whether any of a holder's bindings stands on a path and is one of those. They are in order of account.
fn any_on(path: &Path, bindings: &[BindingRecord], is_one: impl Fn(&BindingRecord) -> bool) -> bool {
    if bindings.len() <= SCAN_MAX {
        return bindings.iter().any(|binding| path.contains(binding.account) && is_one(binding));
    }
    path.as_slice().iter().any(|account| {
        let first = bindings.partition_point(|binding| binding.account < *account);
        bindings.iter().skip(first).take_while(|binding| binding.account == *account).any(&is_one)
    })
}
