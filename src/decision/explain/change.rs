//! Single changes that a suggestion is made of, and a snapshot with one of them made.
//!
//! The snapshots made here are thrown away when they have answered. Nothing is looked up in them but
//! what a decision reads.

use std::net::IpAddr;

use uuid::Uuid;

use crate::decision::compile::Compiler;
use crate::decision::snapshot::{AccountIndex, GroupIndex, Holder, PeerIndex, RoleIndex, Snapshot, SnapshotError};
use crate::domain::account::PartnerAccess;
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::context::AttributeValue;
use crate::domain::fact::{AccountFact, BindingFact, Change, Fact, MemberFact, PeerFact};
use crate::domain::ids::BindingId;
use crate::domain::peer::PeerStatus;
use crate::domain::time::{Timestamp, Window};

/// One change. All are about the subject of the question, or about accounts on its path or its home's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alteration {
    ElevateBinding {
        binding: BindingId,
        group: Option<GroupIndex>,
    },
    ElevateMembership(GroupIndex),
    RenewBinding {
        binding: BindingId,
        group: Option<GroupIndex>,
    },
    RenewMembership(GroupIndex),
    RemoveBinding {
        binding: BindingId,
        group: Option<GroupIndex>,
    },
    LeaveGroup(GroupIndex),
    WaitUntil(Timestamp),
    Resume(AccountIndex),
    AllowPartnerAccess(AccountIndex),
    EnablePeer,
    RenewPeer,
    SetLabel {
        account: AccountIndex,
        key: String,
        value: String,
    },
    BindRole {
        role: RoleIndex,
        account: AccountIndex,
        reach: Reach,
    },
    /// What the request would have to say of the resource.
    SayAttribute {
        name: String,
        value: AttributeValue,
    },
    /// Where the request would have to come from.
    ActFrom(IpAddr),
}

/// A snapshot with one change made; the same one where the change is none of facts, or does not fit.
pub(super) fn altered(
    snapshot: &Snapshot,
    peer: PeerIndex,
    alteration: &Alteration,
    compiler: &mut Compiler,
) -> Result<Snapshot, SnapshotError> {
    let changes: Vec<Change> = change(snapshot, peer, alteration).into_iter().collect();
    snapshot.with(&changes, compiler)
}

fn change(snapshot: &Snapshot, peer: PeerIndex, alteration: &Alteration) -> Option<Change> {
    let holder = |group: Option<GroupIndex>| group.map_or(Holder::Peer(peer), Holder::Group);
    match alteration {
        Alteration::ElevateBinding { binding, group } => {
            edited_binding(snapshot, holder(*group), *binding, |fact| fact.mode = Mode::Active)
        }
        Alteration::RenewBinding { binding, group } => {
            edited_binding(snapshot, holder(*group), *binding, |fact| fact.window = endless(fact.window))
        }
        Alteration::RemoveBinding { binding, group } => {
            let fact = binding_fact(snapshot, holder(*group), *binding)?;
            Some(Change::gone(Fact::Binding(fact)))
        }
        Alteration::ElevateMembership(group) => edited_member(snapshot, peer, *group, |fact| fact.mode = Mode::Active),
        Alteration::RenewMembership(group) => {
            edited_member(snapshot, peer, *group, |fact| fact.window = endless(fact.window))
        }
        Alteration::LeaveGroup(group) => Some(Change::gone(Fact::Member(member_fact(snapshot, peer, *group)?))),
        Alteration::WaitUntil(_) | Alteration::SayAttribute { .. } | Alteration::ActFrom(_) => None,
        Alteration::Resume(account) => edited_account(snapshot, *account, |fact| fact.suspension = None),
        Alteration::AllowPartnerAccess(account) => {
            edited_account(snapshot, *account, |fact| fact.partner_access = PartnerAccess::Allowed)
        }
        Alteration::SetLabel { account, key, value } => edited_account(snapshot, *account, |fact| {
            fact.labels.insert(key.clone(), value.clone());
        }),
        Alteration::EnablePeer => edited_peer(snapshot, peer, |fact| fact.status = PeerStatus::Enabled),
        Alteration::RenewPeer => edited_peer(snapshot, peer, |fact| fact.expire_time = None),
        Alteration::BindRole { role, account, reach } => Some(Change::made(Fact::Binding(BindingFact {
            id: BindingId::from(Uuid::max()),
            principal: Principal::Peer(snapshot.peer_id(peer)?),
            role: snapshot.role(*role)?.fact.id.clone(),
            account: snapshot.account_id(*account)?.clone(),
            reach: *reach,
            mode: Mode::Active,
            window: Window::ALWAYS,
        }))),
    }
}

/// The same window without an end.
fn endless(window: Window) -> Window {
    Window::parse(window.start(), None).unwrap_or(window)
}

fn edited_binding(
    snapshot: &Snapshot,
    holder: Holder,
    id: BindingId,
    edit: impl FnOnce(&mut BindingFact),
) -> Option<Change> {
    let before = binding_fact(snapshot, holder, id)?;
    let mut after = before.clone();
    edit(&mut after);
    Some(Change::changed(Fact::Binding(before), Fact::Binding(after)))
}

fn binding_fact(snapshot: &Snapshot, holder: Holder, id: BindingId) -> Option<BindingFact> {
    let (record, window) = snapshot.bound_to(holder).find(|(record, _)| record.id == id)?;
    Some(BindingFact {
        id,
        principal: match holder {
            Holder::Peer(peer) => Principal::Peer(snapshot.peer_id(peer)?),
            Holder::Group(group) => Principal::Group(snapshot.group(group)?.id),
        },
        role: snapshot.role(record.role)?.fact.id.clone(),
        account: snapshot.account_id(record.account)?.clone(),
        reach: record.reach,
        mode: record.mode,
        window,
    })
}

fn edited_member(
    snapshot: &Snapshot,
    peer: PeerIndex,
    group: GroupIndex,
    edit: impl FnOnce(&mut MemberFact),
) -> Option<Change> {
    let before = member_fact(snapshot, peer, group)?;
    let mut after = before.clone();
    edit(&mut after);
    Some(Change::changed(Fact::Member(before), Fact::Member(after)))
}

fn member_fact(snapshot: &Snapshot, peer: PeerIndex, group: GroupIndex) -> Option<MemberFact> {
    let view = snapshot.peer(peer)?;
    let membership = view.memberships().iter().find(|membership| membership.group == group)?;
    let (group, window) = (snapshot.group(group)?.id, view.membership_window(membership));
    Some(MemberFact { group, peer: view.id(), mode: membership.mode, window })
}

fn edited_account(snapshot: &Snapshot, account: AccountIndex, edit: impl FnOnce(&mut AccountFact)) -> Option<Change> {
    let before = snapshot.account_fact(account)?;
    let mut after = before.clone();
    edit(&mut after);
    Some(Change::changed(Fact::Account(before), Fact::Account(after)))
}

fn edited_peer(snapshot: &Snapshot, peer: PeerIndex, edit: impl FnOnce(&mut PeerFact)) -> Option<Change> {
    let view = snapshot.peer(peer)?;
    let mut fact = PeerFact {
        id: view.id(),
        // A snapshot does not know it the other way round, and nobody looks for names in this one.
        user_name_hash: 0,
        kind: view.kind(),
        home: snapshot.account_id(view.home())?.clone(),
        status: view.status(),
        expire_time: (view.expire() != Timestamp::MAX).then(|| view.expire()),
        person: snapshot.person(peer),
    };
    edit(&mut fact);
    Some(Change { before: None, after: Some(Fact::Peer(fact)) })
}
