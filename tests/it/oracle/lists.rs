//! The lists against their cells: each is walked in pages of random sizes and compared with what the
//! engine, which the other tests hold against the rules, answers one by one.
//!
//! `PEERAGE_ORACLE_LISTS` sets how many worlds are gone through.

use std::collections::{BTreeMap, BTreeSet};

use peerage::decision::compile::Compiler;
use peerage::decision::lists::{
    Part, Territory, Wanted, What, Where, Who, accessible_accounts, authorized_peers, effective_permissions,
};
use peerage::decision::{AccountIndex, Decision, Outcome, PeerIndex, PermissionIndex, Query, Snapshot, evaluate};
use peerage::domain::account::AccountKind;
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::context::Context;
use peerage::domain::fact::{AccountFact, BindingFact, PeerFact, RoleFact};
use peerage::domain::ids::{AccountId, BindingId, PeerId, RoleId};
use peerage::domain::peer::{PeerKind, PeerStatus};
use peerage::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use peerage::domain::role::{Condition, Effect, Grant, Requirements, RoleOrigin, RoleRules};
use peerage::domain::time::{Timestamp, Window};
use uuid::Uuid;

use super::changes::revision_of;
use super::facts::Facts;
use super::size;
use super::world::Maker;

const WORLDS: u64 = 2_000;
/// How many lists of each kind are asked for in one world.
const LISTS: usize = 12;
const OUTCOMES: [Option<Outcome>; 4] =
    [None, Some(Outcome::Allow), Some(Outcome::RequiresStepUp), Some(Outcome::RequiresApproval)];

/// One world as the lists see it.
#[derive(Clone, Copy)]
struct World<'a> {
    snapshot: &'a Snapshot,
    facts: &'a Facts,
    now: Timestamp,
    context: &'a Context,
}

impl World<'_> {
    fn ask(&self, peer: PeerIndex, permission: PermissionIndex, account: AccountIndex) -> Decision {
        let query = Query { peer: Some(peer), permission, account, now: self.now, context: self.context };
        evaluate(self.snapshot, &query)
    }

    fn account(&self, id: &AccountId) -> AccountIndex {
        self.snapshot.find_account(id.as_str()).unwrap()
    }

    fn permission(&self, name: &PermissionName) -> PermissionIndex {
        self.snapshot.find_permission(name.as_str()).unwrap()
    }

    fn accounts_page(
        &self,
        (peer, permission): (PeerIndex, PermissionIndex),
        root: Option<AccountIndex>,
        wanted: Wanted<'_, AccountId>,
    ) -> Part<AccountIndex, AccountId> {
        let mut territory = Territory::of(self.snapshot, peer, permission, self.now);
        if let Some(root) = root {
            territory = territory.common(self.snapshot, &Territory::within(root));
        }
        let asked = Where { peer, permission, territory: &territory, now: self.now, context: self.context };
        accessible_accounts(self.snapshot, &asked, wanted, |_| true)
    }
}

/// Follows a list to its end, in pages of random sizes.
fn follow<C: Copy, P: Clone + Ord + std::fmt::Debug>(
    maker: &mut Maker,
    outcome: Option<Outcome>,
    page: impl Fn(Wanted<'_, P>) -> Part<C, P>,
    name: impl Fn(C) -> P,
) -> BTreeMap<P, Decision> {
    let (mut rows, mut after) = (BTreeMap::new(), None);
    loop {
        let limit = 1 + maker.random.below(7);
        let part = page(Wanted { after: after.as_ref(), limit, outcome });
        assert!(part.rows.len() <= limit);
        assert!(part.next.is_none() || part.rows.len() == limit, "no page is short here");
        for (row, decision) in part.rows {
            let name = name(row);
            assert!(after.as_ref().is_none_or(|after| name > *after), "{name:?} is behind {after:?}");
            after = Some(name.clone());
            rows.insert(name, decision);
        }
        match part.next {
            Some(next) => assert_eq!(Some(next), after),
            None => return rows,
        }
    }
}

fn takes(outcome: Option<Outcome>, decision: &Decision) -> bool {
    decision.outcome != Outcome::Deny && outcome.is_none_or(|wanted| wanted == decision.outcome)
}

#[test]
fn every_list_equals_what_is_answered_cell_by_cell() {
    let worlds = size("PEERAGE_ORACLE_LISTS", WORLDS);
    let mut compiler = Compiler::new().unwrap();
    let (mut cells, mut rows) = (0, 0);
    for seed in 0..worlds {
        let mut maker = Maker::new(seed + 3_000_000);
        let mut facts = maker.world(seed % 50 == 49);
        let mut snapshot = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
        // Every other world has been changed a few times, and its indexes with it.
        let mut gone = Vec::new();
        for revision in 2..2 + 10 * i64::from(seed % 2 == 1) {
            let changes = revision_of(&mut maker, &mut facts, &mut gone);
            snapshot = snapshot.apply(revision, &changes, &mut compiler).unwrap();
        }
        let world = World { snapshot: &snapshot, facts: &facts, now: maker.now, context: Context::UNKNOWN };
        for _ in 0..LISTS {
            for compared in [accounts(world, &mut maker), peers(world, &mut maker), permissions(world, &mut maker)] {
                let counted = compared.unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
                let (asked, listed) = counted.unwrap_or_default();
                cells += asked;
                rows += listed;
            }
        }
    }
    println!("{rows} rows of {cells} cells");
    if worlds >= WORLDS {
        assert!(rows > 20_000 && cells > 2 * rows, "{rows} rows of {cells} cells");
    }
}

type Compared = Result<Option<(usize, usize)>, String>;

/// How many cells and rows there were, or how the two differ.
fn compare<P: Ord + std::fmt::Debug>(
    what: String,
    listed: &BTreeMap<P, Decision>,
    cells: impl Iterator<Item = (P, Decision)>,
    outcome: Option<Outcome>,
) -> Compared {
    let mut count = 0;
    let expected: BTreeMap<P, Decision> =
        cells.inspect(|_| count += 1).filter(|(_, decision)| takes(outcome, decision)).collect();
    if *listed == expected {
        Ok(Some((count, listed.len())))
    } else {
        Err(format!("{what} {outcome:?}\nlisted: {listed:#?}\ncells: {expected:#?}"))
    }
}

fn accounts(world: World<'_>, maker: &mut Maker) -> Compared {
    let World { snapshot, facts, .. } = world;
    let question = maker.question(facts);
    let world = World { context: &question.context, ..world };
    let Some(peer) = question.peer.and_then(|peer| snapshot.find_peer(peer)) else { return Ok(None) };
    let permission = world.permission(&question.permission);
    let root = maker.random.chance(40).then(|| world.account(&maker.some_account(facts)));
    let outcome = *maker.random.pick(&OUTCOMES).unwrap();
    let name = |account| snapshot.account_id(account).unwrap().clone();
    let page = |wanted: Wanted<'_, AccountId>| world.accounts_page((peer, permission), root, wanted);
    let listed = follow(maker, outcome, page, name);
    let below = facts.accounts.iter().map(|account| world.account(&account.id));
    let below = below.filter(|account| root.is_none_or(|root| snapshot.is_within(*account, root)));
    let cells = below.map(|account| (name(account), world.ask(peer, permission, account)));
    compare(format!("accounts: {question:?} below {root:?}"), &listed, cells, outcome)
}

fn peers(world: World<'_>, maker: &mut Maker) -> Compared {
    let World { snapshot, facts, now, .. } = world;
    let question = maker.question(facts);
    let world = World { context: &question.context, ..world };
    let (permission, account) = (world.permission(&question.permission), world.account(&question.account));
    let outcome = *maker.random.pick(&OUTCOMES).unwrap();
    let kind = maker.random.chance(30).then_some(PeerKind::Person);
    let takes = |peer: PeerIndex| kind.is_none_or(|kind| snapshot.peer(peer).unwrap().kind() == kind);
    let asked = Who { permission, account, now, context: &question.context };
    let page = |wanted: Wanted<'_, PeerId>| authorized_peers(snapshot, &asked, wanted, takes);
    let listed = follow(maker, outcome, page, |peer| snapshot.peer_id(peer).unwrap());
    let cells = facts.peers.iter().map(|peer| (peer.id, snapshot.find_peer(peer.id).unwrap()));
    let cells = cells.filter(|(_, peer)| takes(*peer));
    let cells = cells.map(|(id, peer)| (id, world.ask(peer, permission, account)));
    compare(format!("peers: {question:?} {kind:?}"), &listed, cells, outcome)
}

fn permissions(world: World<'_>, maker: &mut Maker) -> Compared {
    let World { snapshot, facts, now, .. } = world;
    let question = maker.question(facts);
    let world = World { context: &question.context, ..world };
    let Some(peer) = question.peer.and_then(|peer| snapshot.find_peer(peer)) else { return Ok(None) };
    let account = world.account(&question.account);
    let outcome = *maker.random.pick(&OUTCOMES).unwrap();
    let only = maker.random.chance(30);
    let takes = |permission: &Permission| !only || permission.name.resource() == "licenses";
    let asked = What { peer, account, now, context: &question.context };
    let page = |wanted: Wanted<'_, PermissionName>| effective_permissions(snapshot, &asked, wanted, takes);
    let listed = follow(maker, outcome, page, |permission| snapshot.permission(permission).unwrap().name.clone());
    let cells = facts.permissions.iter().filter(|permission| takes(permission));
    let cells = cells.map(|one| (one.name.clone(), world.ask(peer, world.permission(&one.name), account)));
    compare(format!("permissions: {question:?} {only}"), &listed, cells, outcome)
}

#[test]
fn what_two_territories_share_is_what_each_walks_to() {
    let mut compiler = Compiler::new().unwrap();
    for seed in 0..300 {
        let mut maker = Maker::new(seed + 5_000_000);
        let facts = maker.world(seed % 50 == 49);
        let snapshot = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
        let world = World { snapshot: &snapshot, facts: &facts, now: maker.now, context: Context::UNKNOWN };
        let mut territory = || {
            let question = maker.question(world.facts);
            let peer = question.peer.and_then(|peer| snapshot.find_peer(peer));
            let permission = world.permission(&question.permission);
            peer.map_or_else(Territory::default, |peer| Territory::of(&snapshot, peer, permission, world.now))
        };
        for _ in 0..30 {
            let (one, other) = (territory(), territory());
            let walk = |territory: &Territory| territory.walk(&snapshot, None).collect::<Vec<_>>();
            let (left, right): (BTreeSet<_>, BTreeSet<_>) =
                (walk(&one).into_iter().collect(), walk(&other).into_iter().collect());
            let shared = walk(&one.common(&snapshot, &other));
            assert_eq!(shared.iter().copied().collect::<BTreeSet<_>>(), &left & &right, "seed {seed}");
            assert_eq!(shared.len(), (&left & &right).len(), "seed {seed}: an account comes twice");
            assert!(shared.is_sorted_by_key(|account| snapshot.account_id(*account).unwrap()), "seed {seed}");
        }
    }
}

/// Accounts that are there, and allowed, on every page's state are listed once each; nothing is listed
/// twice, and nothing that was allowed on none.
#[test]
fn pages_neither_skip_nor_repeat_while_the_policy_changes() {
    let mut compiler = Compiler::new().unwrap();
    let mut most = 0;
    for seed in 0..400_u64 {
        let mut maker = Maker::new(seed + 7_000_000);
        let (mut facts, mut gone, mut revision) = (maker.world(seed % 20 == 19), Vec::new(), 1);
        let mut snapshot = Snapshot::load(revision, facts.all(), &mut compiler).unwrap();
        let question = maker.question(&facts);
        let Some(peer) = question.peer.and_then(|peer| snapshot.find_peer(peer)) else { continue };
        let (mut listed, mut after) = (Vec::new(), None);
        let (mut always, mut ever): (Option<BTreeSet<AccountId>>, BTreeSet<AccountId>) = (None, BTreeSet::new());
        loop {
            let world = World { snapshot: &snapshot, facts: &facts, now: maker.now, context: &question.context };
            let permission = world.permission(&question.permission);
            let ids = facts.accounts.iter().map(|account| account.id.clone());
            let now: BTreeSet<AccountId> =
                ids.filter(|id| takes(None, &world.ask(peer, permission, world.account(id)))).collect();
            always = Some(always.map_or_else(|| now.clone(), |always| &always & &now));
            ever.extend(now);
            let wanted = Wanted { after: after.as_ref(), limit: 2, outcome: None };
            let part = world.accounts_page((peer, permission), None, wanted);
            listed.extend(part.rows.iter().map(|(account, _)| snapshot.account_id(*account).unwrap().clone()));
            let Some(next) = part.next else { break };
            after = Some(next);
            revision += 1;
            let changes = revision_of(&mut maker, &mut facts, &mut gone);
            snapshot = snapshot.apply(revision, &changes, &mut compiler).unwrap();
            most = most.max(revision);
        }
        let unique: BTreeSet<AccountId> = listed.iter().cloned().collect();
        assert_eq!(unique.len(), listed.len(), "seed {seed}: {listed:?}");
        assert!(unique.is_superset(&always.unwrap_or_default()), "seed {seed}");
        assert!(unique.is_subset(&ever), "seed {seed}");
    }
    assert!(most > 5, "the longest list had {most} pages");
}

const ACCOUNTS: usize = 100_000;
const PEERS: usize = 5_000;

fn account_id(number: usize) -> AccountId {
    AccountId::parse(&format!("a{:x}-{number}", number.wrapping_mul(2_654_435_761) % 65_536)).unwrap()
}

fn peer_id(number: usize) -> PeerId {
    PeerId::from(Uuid::from_u128(number as u128 + 1))
}

/// A wide world: a thousand partners with a hundred accounts each, every peer bound at one partner,
/// the last one at the root.
fn wide() -> Facts {
    let permissions = ["users.view", "users.order"].map(permission).into();
    let mut facts = Facts { permissions, ..Facts::default() };
    facts.accounts.push(AccountFact::root());
    for number in 0..ACCOUNTS - 1 {
        let (parent, kind) = match number % 100 {
            0 => (AccountId::platform(), AccountKind::Partner),
            _ => (account_id(number - number % 100), AccountKind::Customer),
        };
        facts.accounts.push(AccountFact::new(account_id(number), Some(parent), kind));
    }
    facts.roles = vec![role("core.viewer", "users.view"), role("core.orderer", "users.order")];
    for number in 0..PEERS {
        let partner = if number == PEERS - 1 { AccountId::platform() } else { account_id(number % 1_000 * 100) };
        facts.peers.push(PeerFact {
            id: peer_id(number),
            user_name_hash: number as u128,
            kind: PeerKind::Person,
            home: partner.clone(),
            status: PeerStatus::Enabled,
            expire_time: None,
            person: None,
        });
        facts.bindings.push(BindingFact {
            id: BindingId::from(Uuid::from_u128(number as u128 + 1)),
            principal: Principal::Peer(peer_id(number)),
            role: RoleId::parse("core.viewer").unwrap(),
            account: partner,
            reach: Reach::Subtree,
            mode: Mode::Active,
            window: Window::ALWAYS,
        });
    }
    facts
}

fn permission(name: &str) -> Permission {
    Permission {
        name: PermissionName::parse(name).unwrap(),
        title: name.to_owned(),
        feature: String::new(),
        flags: PermissionFlags::default(),
        owner: PermissionOwner::Pack("core".to_owned()),
    }
}

fn role(id: &str, pattern: &str) -> RoleFact {
    let grant = Grant {
        pattern: Pattern::parse(pattern).unwrap(),
        effect: Effect::Allow,
        requirements: Requirements::default(),
        condition: Condition::default(),
    };
    let (origin, rules) = (RoleOrigin::BuiltIn, RoleRules::default());
    RoleFact { id: RoleId::parse(id).unwrap(), origin, grants: vec![grant], rules }
}

#[test]
fn a_page_costs_by_what_it_holds_and_not_by_the_world() {
    let facts = wide();
    // Parents stand before their children already; putting them in order would take its time here.
    let mut compiler = Compiler::new().unwrap();
    let snapshot = Snapshot::load(1, facts.in_order(), &mut compiler).unwrap();
    let world = World { snapshot: &snapshot, facts: &facts, now: Timestamp::from_micros(1), context: Context::UNKNOWN };
    let peer = |number| snapshot.find_peer(peer_id(number)).unwrap();
    let (view, order) = (world.permission(&facts.permissions[0].name), world.permission(&facts.permissions[1].name));
    let page = |number, permission, after: Option<&AccountId>, limit| {
        world.accounts_page((peer(number), permission), None, Wanted { after, limit, outcome: None })
    };

    // Bound at the root: each page looks at its own accounts, and one more.
    let mut ids: Vec<&AccountId> = facts.accounts.iter().map(|account| &account.id).collect();
    ids.sort();
    for start in [0_usize, 1, 50_000, 99_900] {
        let part = page(PEERS - 1, view, start.checked_sub(1).map(|before| ids[before]), 50);
        let shown: Vec<_> = part.rows.iter().map(|(account, _)| snapshot.account_id(*account).unwrap()).collect();
        assert_eq!(shown, ids[start..start + 50], "from {start}");
        assert_eq!(part.decided, 51, "from {start}");
    }
    // Bound at one partner: what is below that, whatever there is besides.
    let part = page(7, view, None, 1_000);
    assert_eq!((part.rows.len(), part.decided, part.next), (100, 100, None));
    // Bound by a role that does not name it: nothing.
    assert_eq!(page(7, order, None, 50).decided, 0);

    // Who may on a customer: its partner's peers, and the one at the root.
    let who = |permission| {
        let asked =
            Who { permission, account: world.account(&account_id(701)), now: world.now, context: Context::UNKNOWN };
        authorized_peers(&snapshot, &asked, Wanted { after: None, limit: 50, outcome: None }, |_| true)
    };
    let found = who(view);
    let expected = [7, 1_007, 2_007, 3_007, 4_007, PEERS - 1].map(peer);
    assert_eq!(found.rows.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), expected);
    assert_eq!((found.decided, who(order).decided), (6, 0));
}

/// Where nearly everything answers DENY, a page ends when it has looked on for long enough, and the
/// list goes on from there.
#[test]
fn a_list_goes_on_after_a_page_that_found_nothing() {
    let mut facts = wide();
    // All but the root and what stands beside the last account, by name, is taken away by a DENY.
    let ids = facts.accounts.iter().map(|account| account.id.clone());
    let last = ids.filter(|id| *id != AccountId::platform()).max().unwrap();
    let partners = facts.accounts.iter().filter(|account| account.kind == AccountKind::Partner);
    let partners: Vec<AccountId> = partners.map(|partner| partner.id.clone()).collect();
    let mut deny = role("core.denied", "users.view");
    deny.grants[0].effect = Effect::Deny;
    facts.roles.push(deny);
    let spared = facts.accounts.iter().find(|account| account.id == last).unwrap().parent.clone().unwrap();
    let denied = partners.into_iter().filter(|partner| *partner != spared && *partner != last);
    let template = facts.bindings[PEERS - 1].clone();
    facts.bindings.extend((0_u128..).zip(denied).map(|(number, account)| BindingFact {
        id: BindingId::from(Uuid::from_u128(number + 1_000_000)),
        role: RoleId::parse("core.denied").unwrap(),
        account,
        ..template.clone()
    }));
    let snapshot = Snapshot::load(1, facts.in_order(), &mut Compiler::new().unwrap()).unwrap();
    let world = World { snapshot: &snapshot, facts: &facts, now: Timestamp::from_micros(1), context: Context::UNKNOWN };
    let peer = snapshot.find_peer(peer_id(PEERS - 1)).unwrap();
    let view = world.permission(&facts.permissions[0].name);
    let (mut after, mut pages, mut listed) = (None, 0, Vec::new());
    loop {
        let wanted = Wanted { after: after.as_ref(), limit: 1_000, outcome: None };
        let part = world.accounts_page((peer, view), None, wanted);
        assert!(part.decided <= peerage::decision::lists::DECIDED_MAX);
        listed.extend(part.rows.iter().map(|(account, _)| snapshot.account_id(*account).unwrap().clone()));
        pages += 1;
        match part.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    // The root itself, and the subtree that is spared.
    assert_eq!((listed.len(), pages), (101, 20));
    assert!(listed.contains(&last) && listed.contains(&spared) && listed.is_sorted());
}
