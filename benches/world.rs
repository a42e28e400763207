//! A large world from a fixed seed: an MSP platform of any size whose shape does not change with it.
//!
//! A tenth as many accounts as peers, of which one in fifty is a partner; a role for each thousand
//! peers, at least forty, over 512 permissions; three bindings a peer, within the partner it belongs to;
//! every so many a suspension, a veto, a window, a group. What is rare stands at regular distances and
//! is not drawn, so that a small world has its share of it.
//! Beside the ordinary peers there are a few with 10,000 bindings and a few with 200 groups.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use peerage::decision::compile::Compiler;
use peerage::decision::{AccountIndex, PeerIndex, PermissionIndex, Query, Snapshot};
use peerage::domain::account::{AccountKind, PartnerAccess, SuspensionScope};
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::context::Context;
use peerage::domain::fact::{AccountFact, BindingFact, Fact, GroupFact, MemberFact, PeerFact, RoleFact};
use peerage::domain::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use peerage::domain::peer::{PeerKind, PeerStatus};
use peerage::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use peerage::domain::role::{AssuranceLevel, Condition, Effect, Grant, Requirements, RoleOrigin, RoleRules, StepUp};
use peerage::domain::time::{Timestamp, Window};

use crate::random::Random;

const SEED: u64 = 20_261_122;
const RESOURCES: usize = 64;
const ACTIONS: usize = 8;
const ROLES_MIN: usize = 40;
const PEERS_PER_ROLE: usize = 1_000;
const BINDINGS_PER_PEER: usize = 3;
const PEERS_PER_GROUP: usize = 50;
const CROWDED_PEERS: usize = 4;
const MANY_BINDINGS: usize = 10_000;
const MANY_GROUPS: usize = 200;
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// What a batch of queries asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subjects {
    Ordinary,
    ManyBindings,
    ManyGroups,
}

/// A partner with all accounts below it.
struct Region {
    accounts: Vec<usize>,
}

/// The facts of a world, and who is who in it.
pub(crate) struct World {
    random: Random,
    facts: Vec<Fact>,
    accounts: Vec<AccountFact>,
    regions: Vec<Region>,
    roles: Vec<RoleId>,
    /// Peers with the region they belong to.
    ordinary: Vec<(PeerId, usize)>,
    many_bindings: Vec<(PeerId, usize)>,
    many_groups: Vec<(PeerId, usize)>,
}

impl World {
    /// Makes a world of so many ordinary peers, at least 1,000.
    pub(crate) fn new(peers: usize) -> Result<Self> {
        let mut world = Self {
            random: Random::new(SEED),
            facts: Vec::new(),
            accounts: Vec::new(),
            regions: Vec::new(),
            roles: Vec::new(),
            ordinary: Vec::new(),
            many_bindings: Vec::new(),
            many_groups: Vec::new(),
        };
        world.permissions()?;
        world.accounts(peers / 10)?;
        world.roles((peers / PEERS_PER_ROLE).max(ROLES_MIN))?;
        let groups = world.groups(peers / PEERS_PER_GROUP + MANY_GROUPS)?;
        world.peers(peers, &groups)?;
        world.crowded_peers(&groups)?;
        Ok(world)
    }

    /// The snapshot of this world, made once.
    pub(crate) fn load(&mut self) -> Result<Snapshot> {
        Ok(Snapshot::load(1, std::mem::take(&mut self.facts), &mut Compiler::new()?)?)
    }

    fn permissions(&mut self) -> Result<()> {
        for number in 0..RESOURCES * ACTIONS {
            let name = permission(number);
            self.facts.push(Fact::Permission(Permission {
                name: PermissionName::parse(&name)?,
                title: name,
                feature: String::new(),
                flags: PermissionFlags {
                    privileged: number % 8 == 0,
                    reserved: number % 32 == 5,
                    from_outside: number % 16 == 3,
                    on_suspended: number % 16 == 7,
                },
                owner: PermissionOwner::Pack("core".into()),
            }));
        }
        Ok(())
    }

    /// Partners of one customer in two with one department in three, every other one nested.
    fn accounts(&mut self, count: usize) -> Result<()> {
        let root = AccountId::platform();
        self.account(root.clone(), None, AccountKind::Platform, 0);
        for number in 1..count {
            let id = AccountId::parse(&format!("account-{number}"))?;
            let (parent, kind) = match number % 50 {
                1 => (Some(root.clone()), AccountKind::Partner),
                rest if rest % 2 == 0 => (self.above(AccountKind::Partner), AccountKind::Customer),
                rest if rest % 4 == 3 => (self.above(AccountKind::Customer), AccountKind::Department),
                _ => (self.above(AccountKind::Department), AccountKind::Department),
            };
            if kind == AccountKind::Partner {
                self.regions.push(Region { accounts: Vec::new() });
            }
            self.account(id, parent, kind, number);
        }
        Ok(())
    }

    fn account(&mut self, id: AccountId, parent: Option<AccountId>, kind: AccountKind, number: usize) {
        let every = |distance: usize, kinds: &[AccountKind]| kinds.contains(&kind) && number % distance == 24;
        let value = if number.is_multiple_of(4) { "test" } else { "live" };
        let account = AccountFact {
            id,
            parent,
            kind,
            suspension: every(100, &[AccountKind::Customer]).then_some(SuspensionScope::Subtree),
            partner_access: if every(50, &[AccountKind::Customer]) {
                PartnerAccess::SessionOnly
            } else {
                PartnerAccess::Allowed
            },
            labels: match kind {
                AccountKind::Customer => BTreeMap::from([("env".to_owned(), value.to_owned())]),
                AccountKind::Platform | AccountKind::Partner | AccountKind::Department => BTreeMap::new(),
            },
            role_packs: None,
            password_policy: Default::default(),
        };
        if let Some(region) = self.regions.last_mut() {
            region.accounts.push(self.accounts.len());
        }
        self.accounts.push(account.clone());
        self.facts.push(Fact::Account(account));
    }

    /// A random account of a kind in the region that is being made, or the last one made.
    fn above(&mut self, kind: AccountKind) -> Option<AccountId> {
        let region = self.regions.last()?;
        let fitting: Vec<usize> = region
            .accounts
            .iter()
            .copied()
            .filter(|place| self.accounts.get(*place).is_some_and(|account| account.kind == kind))
            .filter(|place| kind != AccountKind::Department || self.is_below_customer(*place))
            .collect();
        let place = self.random.pick(&fitting).or(region.accounts.last())?;
        self.accounts.get(*place).map(|account| account.id.clone())
    }

    /// Departments nest once, so that every path has at most five accounts at any size.
    fn is_below_customer(&self, place: usize) -> bool {
        let parent = self.accounts.get(place).and_then(|account| account.parent.as_ref());
        self.accounts
            .iter()
            .rev()
            .find(|account| Some(&account.id) == parent)
            .is_some_and(|parent| parent.kind == AccountKind::Customer)
    }

    fn roles(&mut self, count: usize) -> Result<()> {
        for number in 0..count {
            let id = RoleId::parse(&format!("core.role_{number}"))?;
            let mut grants = Vec::new();
            for place in 0..4 + number % 12 {
                grants.push(self.grant(number + place)?);
            }
            let min_assurance = if number % 20 == 7 { AssuranceLevel::Totp } else { AssuranceLevel::None };
            let rules = RoleRules { min_assurance, ..RoleRules::default() };
            self.facts.push(Fact::Role(RoleFact { id: id.clone(), origin: RoleOrigin::BuiltIn, grants, rules }));
            self.roles.push(id);
        }
        Ok(())
    }

    fn grant(&mut self, number: usize) -> Result<Grant> {
        let drawn = self.random.below(RESOURCES * ACTIONS);
        let pattern = match number % 8 {
            0..5 => permission(drawn),
            5 | 6 => format!("resource_{}.*", drawn / ACTIONS),
            _ => format!("*.action_{}", drawn % ACTIONS),
        };
        let effect = if number.is_multiple_of(23) { Effect::Deny } else { Effect::Allow };
        let step_up = StepUp { level: AssuranceLevel::Totp, max_age_seconds: 900 };
        let requirements = match (effect, number % 10) {
            (Effect::Allow, 1) => Requirements { step_up: Some(step_up), approval: false },
            (Effect::Allow, 2) => Requirements { step_up: None, approval: true },
            (Effect::Allow | Effect::Deny, _) => Requirements::default(),
        };
        let mut condition = Condition::default();
        if number % 12 == 5 {
            condition.account_labels.insert("env".to_owned(), ["test".to_owned()].into());
        }
        Ok(Grant { pattern: Pattern::parse(&pattern)?, effect, requirements, condition })
    }

    /// Groups with two bindings each, spread over the regions.
    fn groups(&mut self, count: usize) -> Result<Vec<(GroupId, usize)>> {
        let mut groups = Vec::new();
        for number in 0..count {
            let region = number % self.regions.len().max(1);
            let id = GroupId::from(self.random.uuid());
            let account = self.account_in(region)?;
            self.facts.push(Fact::Group(GroupFact { id, account }));
            groups.push((id, region));
        }
        for (id, region) in &groups {
            for number in 0..2 {
                self.binding(Principal::Group(*id), *region, number)?;
            }
        }
        Ok(groups)
    }

    fn peers(&mut self, count: usize, groups: &[(GroupId, usize)]) -> Result<()> {
        for number in 0..count {
            let region = number % self.regions.len().max(1);
            let id = self.peer(region, number)?;
            self.ordinary.push((id, region));
            for binding in 0..BINDINGS_PER_PEER {
                self.binding(Principal::Peer(id), region, number * BINDINGS_PER_PEER + binding)?;
            }
            if number % 5 == 0
                && let Some((group, _)) = groups.get(number % groups.len().max(1))
            {
                self.member(*group, id, number);
            }
        }
        Ok(())
    }

    fn crowded_peers(&mut self, groups: &[(GroupId, usize)]) -> Result<()> {
        for number in 1..=CROWDED_PEERS {
            let region = number % self.regions.len().max(1);
            let id = self.peer(region, number)?;
            for binding in 0..MANY_BINDINGS {
                // All over the platform, so that they are as many as there are places for them.
                let region = binding % self.regions.len().max(1);
                self.binding(Principal::Peer(id), region, binding)?;
            }
            self.many_bindings.push((id, region));
            let id = self.peer(region, number)?;
            for (place, (group, _)) in groups.iter().rev().take(MANY_GROUPS).enumerate() {
                self.member(*group, id, place);
            }
            self.many_groups.push((id, region));
        }
        Ok(())
    }

    fn peer(&mut self, region: usize, number: usize) -> Result<PeerId> {
        let id = PeerId::from(self.random.uuid());
        let partner = self.regions.get(region).and_then(|region| region.accounts.first()).copied();
        let home = match (number % 5, partner.and_then(|place| self.accounts.get(place))) {
            (0 | 1, Some(partner)) => partner.id.clone(),
            _ => self.account_in(region)?,
        };
        self.facts.push(Fact::Peer(PeerFact {
            id,
            user_name_hash: self.random.uuid().as_u128(),
            kind: if number % 10 == 9 { PeerKind::Device } else { PeerKind::Person },
            home,
            status: if number % 100 == 50 { PeerStatus::Disabled } else { PeerStatus::Enabled },
            expire_time: (number % 100 == 51).then_some(NOW),
            person: None,
        }));
        Ok(id)
    }

    fn member(&mut self, group: GroupId, peer: PeerId, number: usize) {
        let (mode, window) = (mode(number), window(number));
        self.facts.push(Fact::Member(MemberFact { group, peer, mode, window }));
    }

    fn binding(&mut self, principal: Principal, region: usize, number: usize) -> Result<()> {
        let account = self.account_in(region)?;
        let role = self.random.pick(&self.roles).context("there are roles")?.clone();
        let reach = if number % 5 == 1 { Reach::AccountOnly } else { Reach::Subtree };
        let id = BindingId::from(self.random.uuid());
        let (mode, window) = (mode(number), window(number));
        self.facts.push(Fact::Binding(BindingFact { id, principal, role, account, reach, mode, window }));
        Ok(())
    }

    fn account_in(&mut self, region: usize) -> Result<AccountId> {
        let region = self.regions.get(region).context("there is a region")?;
        let place = self.random.pick(&region.accounts).context("a region has accounts")?;
        Ok(self.accounts.get(*place).context("an account of a region is there")?.id.clone())
    }

    /// Queries about some subjects: half of them where a binding stands and about what its role
    /// names, the others anywhere near or, one in ten, anywhere at all.
    pub(crate) fn queries(
        &mut self,
        snapshot: &Snapshot,
        subjects: Subjects,
        count: usize,
    ) -> Result<Vec<Query<'static>>> {
        let peers = match subjects {
            Subjects::Ordinary => self.ordinary.clone(),
            Subjects::ManyBindings => self.many_bindings.clone(),
            Subjects::ManyGroups => self.many_groups.clone(),
        };
        let mut queries = Vec::with_capacity(count);
        while queries.len() < count {
            let (peer, own) = *self.random.pick(&peers).context("there are peers")?;
            let peer = snapshot.find_peer(peer).context("the peer is there")?;
            let elsewhere = self.random.below(self.regions.len());
            let region = if self.random.chance(80) { own } else { elsewhere };
            let account = self.account_in(region)?;
            let name = permission(self.random.below(RESOURCES * ACTIONS));
            let query = Query {
                peer: Some(peer),
                permission: snapshot.find_permission(&name).context("the permission is there")?,
                account: snapshot.find_account(account.as_str()).context("the account is there")?,
                now: NOW,
                context: Context::UNKNOWN,
            };
            let near = if self.random.chance(50) { self.near_binding(snapshot, peer) } else { None };
            queries.push(near.map_or(query, |(permission, account)| Query { permission, account, ..query }));
        }
        Ok(queries)
    }

    /// What some binding of a peer, or of a group of its, is about.
    fn near_binding(&mut self, snapshot: &Snapshot, peer: PeerIndex) -> Option<(PermissionIndex, AccountIndex)> {
        let peer = snapshot.peer(peer)?;
        let binding = match self.random.pick(peer.bindings()) {
            Some(binding) => binding,
            None => {
                let membership = self.random.pick(peer.memberships())?;
                self.random.pick(snapshot.group(membership.group)?.bindings())?
            }
        };
        let role = snapshot.role(binding.role)?;
        let grant = self.random.pick(&role.fact.grants)?;
        let named = snapshot.permissions().iter().find(|permission| grant.pattern.matches(permission))?;
        let below = snapshot.children(binding.account).next().filter(|_| self.random.chance(50));
        Some((snapshot.find_permission(named.name.as_str())?, below.unwrap_or(binding.account)))
    }
}

fn permission(number: usize) -> String {
    format!("resource_{}.action_{}", number / ACTIONS, number % ACTIONS)
}

fn mode(number: usize) -> Mode {
    if number % 20 == 13 { Mode::Eligible } else { Mode::Active }
}

/// One window in twenty has an end, half of these long past.
fn window(number: usize) -> Window {
    let end = match number % 40 {
        4 => NOW.plus_micros(3_600_000_000),
        24 => NOW.plus_micros(-3_600_000_000),
        _ => return Window::ALWAYS,
    };
    Window::parse(None, Some(end)).unwrap_or(Window::ALWAYS)
}
