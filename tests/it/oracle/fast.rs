//! The engine, asked and answering by names, so that snapshots with different numbers compare.

use std::collections::BTreeSet;

use peerage::decision::snapshot::Holder;
use peerage::decision::{Query, Snapshot, evaluate};
use peerage::domain::fact::Fact;
use peerage::domain::role::RoleOrigin;
use peerage::domain::time::Timestamp;

use super::facts::Facts;
use super::naive::{Answer, Decider, Question};
use super::world::Maker;

/// The engine's answer.
pub(crate) fn answer(snapshot: &Snapshot, question: &Question) -> Answer {
    let query = Query {
        peer: question.peer.and_then(|peer| snapshot.find_peer(peer)),
        permission: snapshot.find_permission(question.permission.as_str()).unwrap(),
        account: snapshot.find_account(question.account.as_str()).unwrap(),
        now: question.now,
        context: &question.context,
    };
    let decision = evaluate(snapshot, &query);
    let decider = decision.deciding.map(|deciding| Decider {
        binding: deciding.binding,
        group: deciding.group.map(|group| snapshot.group(group).unwrap().id),
        role: snapshot.role(deciding.role).unwrap().fact.id.clone(),
        grant: deciding.grant,
    });
    let missing = decision.missing_attribute(snapshot).map(str::to_owned);
    Answer { outcome: decision.outcome, reason: decision.reason, decider, unmet: decision.unmet, missing }
}

/// Every question that can be put to a small world; in a large one, one in so many that they are
/// about as many as `most`.
pub(crate) fn questions(facts: &Facts, now: Timestamp, most: usize) -> impl Iterator<Item = Question> {
    let (accounts, permissions) = (facts.accounts.len(), facts.permissions.len());
    let all = facts.peers.len() * accounts * permissions;
    (0..all).step_by(all / most + 1).map(move |number| Question {
        peer: Some(facts.peers[number / permissions / accounts].id),
        permission: facts.permissions[number % permissions].name.clone(),
        account: facts.accounts[number / permissions % accounts].id.clone(),
        now,
        context: Maker::new(u64::try_from(number).unwrap()).context(),
    })
}

/// The bytes of all facts of a snapshot.
pub(crate) fn image(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::new();
    snapshot.write_image(&mut bytes).unwrap();
    bytes
}

/// What a snapshot tells guards and lists, by names: its indexes both ways, and what of the facts
/// that are gone can still be found.
pub(crate) fn picture(snapshot: &Snapshot, facts: &Facts, gone: &[Fact]) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for fact in &facts.accounts {
        let Some(account) = snapshot.find_account(fact.id.as_str()) else { continue };
        let name = |index| snapshot.account_id(index).unwrap().as_str();
        let path: Vec<_> = snapshot.path(account).as_slice().iter().map(|index| name(*index)).collect();
        lines.insert(format!("{} path {path:?}", fact.id));
        lines.insert(format!("{} fact {:?}", fact.id, snapshot.account_fact(account).unwrap()));
        lines.extend(snapshot.children(account).map(|child| format!("{} child {}", fact.id, name(child))));
        let below: Vec<_> = snapshot.below(account, None).map(|(id, index)| (id, name(index))).collect();
        lines.insert(format!("{} below {below:?}", fact.id));
        let homed = snapshot.homed_at(account).map(|peer| snapshot.peer_id(peer).unwrap());
        lines.extend(homed.map(|peer| format!("{} home of {peer}", fact.id)));
        let bound = snapshot.bound_at(account);
        lines.extend(bound.map(|(holder, id)| format!("{} binds {} {id}", fact.id, holder_name(snapshot, holder))));
    }
    for fact in &facts.roles {
        let Some(role) = snapshot.find_role(&fact.id) else { continue };
        lines.insert(format!("{} fact {:?}", fact.id, snapshot.role(role).unwrap().fact));
        let bound = snapshot.bound_by_role(role);
        lines.extend(bound.map(|(holder, id)| format!("{} bound {} {id}", fact.id, holder_name(snapshot, holder))));
        if let RoleOrigin::Custom { .. } = fact.origin {
            let usable = facts.accounts.iter().filter(|account| {
                let account = snapshot.find_account(account.id.as_str()).unwrap();
                snapshot.is_role_usable_at(fact, account)
            });
            lines.extend(usable.map(|account| format!("{} usable at {}", fact.id, account.id)));
        }
    }
    lines.insert(format!("{} roles", snapshot.roles().count()));
    for fact in &facts.groups {
        let Some(group) = snapshot.find_group(fact.id) else { continue };
        let record = snapshot.group(group).unwrap();
        lines.insert(format!("{} at {}", fact.id, snapshot.account_id(record.account).unwrap()));
        let members = snapshot.members(group).map(|peer| snapshot.peer_id(peer).unwrap());
        lines.extend(members.map(|peer| format!("{} member {peer}", fact.id)));
        lines.extend(
            record
                .bindings()
                .iter()
                .map(|binding| format!("{} binding {} {:?}", fact.id, binding.id, record.binding_window(binding))),
        );
    }
    for fact in &facts.peers {
        let Some(index) = snapshot.find_peer(fact.id) else { continue };
        let peer = snapshot.peer(index).unwrap();
        lines.insert(format!("{} {:?} {:?} {:?}", fact.id, peer.kind(), peer.status(), peer.expire()));
        lines.insert(format!("{} person {:?}", fact.id, snapshot.person(index)));
        let named = snapshot.find_user_name(fact.user_name_hash).and_then(|named| snapshot.peer_id(named));
        lines.insert(format!("{} named {named:?}", fact.id));
        lines.extend(
            peer.bindings()
                .iter()
                .map(|binding| format!("{} binding {} {:?}", fact.id, binding.id, peer.binding_window(binding))),
        );
        lines.extend(peer.memberships().iter().map(|membership| {
            let group = snapshot.group(membership.group).unwrap().id;
            format!("{} membership {group} {:?} {:?}", fact.id, membership.mode, peer.membership_window(membership))
        }));
    }
    for fact in &facts.api_keys {
        let key = snapshot.find_api_key(&fact.hash);
        let key = key.map(|key| (key.id, snapshot.peer_id(key.peer), key.expire_time));
        lines.insert(format!("{} key {key:?}", fact.id));
    }
    lines.extend(gone.iter().filter(|fact| is_found(snapshot, fact)).map(|fact| format!("{:?} is found", fact.key())));
    lines
}

fn holder_name(snapshot: &Snapshot, holder: Holder) -> String {
    match holder {
        Holder::Peer(peer) => format!("peer {}", snapshot.peer_id(peer).unwrap()),
        Holder::Group(group) => format!("group {}", snapshot.group(group).unwrap().id),
    }
}

/// Whether a fact, or for a peer its user name, is still known as it once was.
fn is_found(snapshot: &Snapshot, fact: &Fact) -> bool {
    match fact {
        Fact::Permission(fact) => snapshot.find_permission(fact.name.as_str()).is_some(),
        Fact::Account(fact) => snapshot.find_account(fact.id.as_str()).is_some(),
        Fact::Role(fact) => snapshot.find_role(&fact.id).is_some(),
        Fact::Peer(fact) => snapshot.find_user_name(fact.user_name_hash).is_some(),
        Fact::Group(fact) => snapshot.find_group(fact.id).is_some(),
        Fact::ApiKey(fact) => snapshot.find_api_key(&fact.hash).is_some(),
        // Without an index of their own; they are looked for where they hang.
        Fact::Member(_) | Fact::Binding(_) => false,
    }
}
