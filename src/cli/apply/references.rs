//! What must fit together within one file: no member or binding twice, parents that may hold their
//! children, first peers that are at home, roles that say where. Items that stand twice are found by
//! `declared`. References to what is not in the file are left
//! to the server.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::problems::{At, Problems};
use super::world::{Access, Account, Peer, RoleRef, World};
use crate::domain::account::DEPTH_MAX;
use crate::domain::ids::AccountId;
use crate::transport::grpc::pb;

/// Checks a world, and puts parents before their children.
pub(super) fn check(world: &mut World, problems: &mut Problems) {
    duplicates(world, problems);
    first_peers(world, problems);
    for peer in &world.peers {
        access(peer, world, problems);
    }
    let accounts = std::mem::take(&mut world.accounts);
    world.accounts = parents_first(accounts, problems);
    kinds(&world.accounts, problems);
}

fn duplicates(world: &World, problems: &mut Problems) {
    let mut twice = Twice { problems };
    for group in &world.groups {
        let members = group.members.iter().map(|one| &one.peer);
        twice.check("member", members.map(|one| (one.line, one.value.as_str().to_owned(), one.value.key())));
    }
    twice.check(
        "binding",
        world.bindings.iter().map(|one| {
            let start = one.start.as_ref().map(|time| (time.seconds, time.nanos));
            let place = (one.account.value.clone(), i32::from(one.reach), i32::from(one.mode), start);
            (one.line, one.role.value.show(), (one.principal.value.clone(), one.role.value.clone(), place))
        }),
    );
}

struct Twice<'a> {
    problems: &'a mut Problems,
}

impl Twice<'_> {
    fn check<K: Eq + Hash>(&mut self, what: &str, items: impl Iterator<Item = (u64, String, K)>) {
        let mut lines = HashMap::new();
        for (line, name, key) in items {
            if let Some(first) = lines.get(&key) {
                self.problems.add(line, format!("{what} `{name}` stands in line {first} already"));
            } else {
                lines.insert(key, line);
            }
        }
    }
}

/// A first peer is one of the peers, at home in the account, and first nowhere else.
fn first_peers(world: &World, problems: &mut Problems) {
    let peers: HashMap<_, _> = world.peers.iter().map(|peer| (peer.user_name.key(), peer)).collect();
    for account in &world.accounts {
        let Some(first) = &account.first_peer else { continue };
        match peers.get(&first.value.key()) {
            None if world.declared.has_peer(&first.value) => {}
            None => problems.add(first.line, format!("first peer `{}` is not among the peers", first.value.as_str())),
            Some(peer) if peer.home.value != account.id => {
                problems.add(first.line, format!("first peer `{}` is at home elsewhere", first.value.as_str()));
            }
            Some(peer) => {
                // Custom roles are made after the accounts that own them.
                if let Some(At { line, value: RoleRef::Titled(_) }) = &peer.role {
                    problems.add(*line, "the role of a first peer must be a built-in one");
                }
            }
        }
    }
}

fn access(peer: &Peer, world: &World, problems: &mut Problems) {
    let name = peer.user_name.as_str();
    if world.declared.has_first_peer(&peer.user_name) {
        if matches!(peer.access, Some(Access::Accounts(_))) {
            problems.add(peer.line, format!("first peer `{name}` has access to all of its account"));
        }
        return;
    }
    // A peer that is there may leave out both and keeps what it has; `plan` asks for them where it is not.
    match (&peer.role, &peer.access) {
        (Some(_), None) => problems.add(peer.line, super::plan::lacks_access(name)),
        (None, Some(_)) => problems.add(peer.line, format!("peer `{name}` has `access` and lacks `role`")),
        _ => {}
    }
    match &peer.access {
        None => {}
        Some(Access::Accounts(accounts)) => {
            if accounts.is_empty() {
                problems.add(peer.line, format!("peer `{name}` has access to no account"));
            }
            let mut seen = HashSet::new();
            for account in accounts.iter().filter(|account| !seen.insert(&account.value)) {
                problems.add(account.line, format!("account `{}` stands twice in `access`", account.value));
            }
        }
        Some(Access::All) => {}
    }
}

/// Puts parents before their children; what is left over hangs on itself.
fn parents_first(accounts: Vec<Account>, problems: &mut Problems) -> Vec<Account> {
    let mut waiting: HashSet<AccountId> = accounts.iter().map(|account| account.id.clone()).collect();
    let mut left = accounts;
    let mut ordered: Vec<Account> = Vec::with_capacity(left.len());
    for _ in 0..=left.len() {
        let (ready, not_ready): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|account| !waiting.contains(&account.parent.value));
        left = not_ready;
        if ready.is_empty() {
            break;
        }
        for account in &ready {
            waiting.remove(&account.id);
        }
        ordered.extend(ready);
    }
    for account in &left {
        problems.add(account.line, format!("account `{}` would be below itself", account.id));
    }
    ordered
}

/// Kinds and depth, where the parent is in the file too or is the root.
fn kinds(accounts: &[Account], problems: &mut Problems) {
    let mut known: HashMap<AccountId, (pb::AccountKind, usize)> =
        HashMap::from([(AccountId::platform(), (pb::AccountKind::Platform, 1))]);
    for account in accounts {
        let parent = known.get(&account.parent.value).copied();
        if let Some((kind, _)) = parent
            && !may_hold(kind, account.kind)
        {
            let text = format!(
                "account `{}` of kind {} cannot stand below one of kind {}",
                account.id,
                word(account.kind),
                word(kind)
            );
            problems.add(account.line, text);
        }
        let depth = parent.map_or(2, |(_, depth)| depth + 1);
        if depth > DEPTH_MAX {
            problems.add(account.line, format!("account `{}` would be deeper than {DEPTH_MAX} levels", account.id));
        }
        known.entry(account.id.clone()).or_insert((account.kind, depth));
    }
}

fn word(kind: pb::AccountKind) -> &'static str {
    crate::cli::words::Word::word(kind)
}

pub(super) fn may_hold(parent: pb::AccountKind, child: pb::AccountKind) -> bool {
    match (domain_kind(parent), domain_kind(child)) {
        (Some(parent), Some(child)) => parent.may_hold(child),
        _ => false,
    }
}

fn domain_kind(kind: pb::AccountKind) -> Option<crate::domain::account::AccountKind> {
    use crate::domain::account::AccountKind;

    match kind {
        pb::AccountKind::Unspecified => None,
        pb::AccountKind::Platform => Some(AccountKind::Platform),
        pb::AccountKind::Partner => Some(AccountKind::Partner),
        pb::AccountKind::Customer => Some(AccountKind::Customer),
        pb::AccountKind::Department => Some(AccountKind::Department),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::apply::read::world;

    fn wrong_lines(source: &str) -> Vec<usize> {
        let (_, problems) = world(source).unwrap();
        let shown = problems.show("w");
        let mut lines: Vec<usize> =
            shown.lines().filter_map(|line| line.trim().strip_prefix("w:")?.split(':').next()?.parse().ok()).collect();
        lines.dedup();
        lines
    }

    #[test]
    fn every_bad_line_is_named_at_once() {
        let source = "\
accounts:
  - { id: a-msp, kind: PARTNER, parent: platform, title: A, settings: { role_packs: [keepit] } }
  - { id: A_Corp, kind: CUSTOMER, parent: a-msp, title: Corp }
  - { id: b-corp, kind: COMPANY, parent: a-msp, title: B }
  - { id: c-corp, kind: CUSTOMER, parent: platform, title: C }
  - { id: a-msp, kind: PARTNER, parent: platform, title: Again }
  - { id: d-corp, kind: CUSTOMER, parent: a-msp }
  - { id: e-one, kind: DEPARTMENT, parent: e-two, title: One }
  - { id: e-two, kind: DEPARTMENT, parent: e-one, title: Two }
  - { id: f-corp, kind: CUSTOMER, parent: a-msp, title: F, first_peer: nobody@a.example }
peers:
  - { user_name: x@a.example, home: a-msp, role: keepit.master_admin, access: [b-corp, b-corp] }
  - { user_name: X@A.EXAMPLE, home: a-msp, role: keepit.master_admin, access: all }
  - { user_name: 'y y', home: a-msp, role: keepit.master_admin, access: all }
  - { user_name: z@a.example, home: a-msp, role: admin, access: all, nickname: z }
  - { user_name: w@a.example, home: a-msp, access: all }
bindings:
  - { peer: x@a.example, group: a-msp/G, role: keepit.master_admin, account: b-corp }
  - { peer: x@a.example, role: keepit.master_admin, account: b-corp, start_time: 2026-01-02T00:00:00Z,
      expire_time: 2026-01-01T00:00:00Z }
colors: []
";
        assert_eq!(wrong_lines(source), [3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 18, 20, 21]);
    }

    #[test]
    fn parents_come_first_wherever_they_stand() {
        let (world, problems) = world(
            "accounts:\n\
             - { id: dept, kind: DEPARTMENT, parent: corp, title: D }\n\
             - { id: corp, kind: CUSTOMER, parent: msp, title: C }\n\
             - { id: msp, kind: PARTNER, parent: platform, title: M, first_peer: boss@m.example }\n\
             peers:\n- { user_name: boss@m.example, home: msp }\n",
        )
        .unwrap();
        assert!(problems.is_empty());
        let order: Vec<_> = world.accounts.iter().map(|account| account.id.as_str()).collect();
        assert_eq!(order, ["msp", "corp", "dept"]);
    }
}
