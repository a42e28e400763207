//! The facts of the world that DESIGN 9 calls W, or of a part of it, each made from its number alone:
//! they need no memory, and come in the order in which a database hands them over.

use std::collections::BTreeMap;

use anyhow::Result;
use peerage::domain::account::{AccountKind, PartnerAccess, SuspensionScope};
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::fact::{AccountFact, ApiKeyFact, BindingFact, Fact, GroupFact, MemberFact, PeerFact, RoleFact};
use peerage::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use peerage::domain::peer::{PeerKind, PeerStatus};
use peerage::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use peerage::domain::role::{Condition, Effect, Grant, Requirements, RoleOrigin, RoleRules};
use peerage::domain::time::{Timestamp, Window};
use uuid::Uuid;

/// Accounts of a partner, itself counted.
const REGION: usize = 50;
const ACTIONS: usize = 8;
const GRANTS: usize = 12;
const CROWDED_PEERS: usize = 4;
const MANY_BINDINGS: usize = 10_000;
const MANY_GROUPS: usize = 200;
const END: i64 = 1_900_000_000_000_000;

/// Facts of one kind.
pub(crate) type Facts = Box<dyn Iterator<Item = Result<Fact>>>;

/// How large a world is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    pub(crate) peers: usize,
    pub(crate) accounts: usize,
    pub(crate) roles: usize,
    pub(crate) permissions: usize,
    pub(crate) groups: usize,
    pub(crate) keys: usize,
}

impl World {
    /// W for so many peers: of 1,000,000 it is W itself.
    pub(crate) fn of(peers: usize) -> Self {
        let accounts = (peers / 10).max(2 * REGION);
        let groups = (peers / 50).max(MANY_GROUPS);
        Self { peers, accounts, roles: 1_000.min(accounts), permissions: 512, groups, keys: peers / 100 }
    }

    /// Each kind of fact with its name, in the order of a loader.
    pub(crate) fn kinds(self) -> Vec<(&'static str, Facts)> {
        let all = 0..self.peers + 2 * CROWDED_PEERS;
        let members = all.clone().flat_map(move |peer| self.members(peer));
        let bindings = all.clone().flat_map(move |peer| self.bindings(peer));
        let of_groups = (0..self.groups).flat_map(move |group| self.group_bindings(group));
        vec![
            ("permissions", Box::new((0..self.permissions).map(permission))),
            ("accounts", Box::new((0..self.accounts).map(account))),
            ("roles", Box::new((0..self.roles).map(move |role| self.role(role)))),
            ("groups", Box::new((0..self.groups).map(move |group| self.group(group)))),
            ("peers", Box::new(all.map(move |peer| self.peer(peer)))),
            ("members", Box::new(members)),
            ("bindings", Box::new(bindings.chain(of_groups))),
            ("api keys", Box::new((0..self.keys).map(move |key| Ok(self.key(key))))),
        ]
    }

    fn role(self, number: usize) -> Result<Fact> {
        let grants = (0..GRANTS).map(|place| {
            let drawn = draw(number * GRANTS + place, 1) % self.permissions;
            let pattern = match place % 12 {
                5 => format!("resource_{}.*", drawn / ACTIONS),
                11 => format!("*.action_{}", drawn % ACTIONS),
                _ => permission_name(drawn),
            };
            let effect = if (number + place).is_multiple_of(23) { Effect::Deny } else { Effect::Allow };
            let requirements = Requirements { step_up: None, approval: effect == Effect::Allow && place == 2 };
            Ok(Grant { pattern: Pattern::parse(&pattern)?, effect, requirements, condition: Condition::default() })
        });
        let (id, grants) = (role_id(number)?, grants.collect::<Result<_>>()?);
        Ok(Fact::Role(RoleFact { id, origin: RoleOrigin::BuiltIn, grants, rules: RoleRules::default() }))
    }

    fn group(self, number: usize) -> Result<Fact> {
        Ok(Fact::Group(GroupFact { id: group_id(number), account: self.place(number, number)? }))
    }

    fn peer(self, number: usize) -> Result<Fact> {
        let partner = 1 + number % self.regions() * REGION;
        let home = if number % 5 < 2 { account_id(partner)? } else { self.place(number, draw(number, 2))? };
        Ok(Fact::Peer(PeerFact {
            id: peer_id(number),
            user_name_hash: u128::from(scatter(number, 3)) << 64 | u128::from(scatter(number, 4)),
            kind: if number % 10 == 9 { PeerKind::Device } else { PeerKind::Person },
            home,
            status: if number % 100 == 50 { PeerStatus::Disabled } else { PeerStatus::Enabled },
            expire_time: (number % 100 == 51).then_some(Timestamp::from_micros(END)),
            person: None,
        }))
    }

    /// One peer in five is member of a group, a few of 200.
    fn members(self, peer: usize) -> impl Iterator<Item = Result<Fact>> {
        let count = match peer.checked_sub(self.peers) {
            Some(crowded) if crowded >= CROWDED_PEERS => MANY_GROUPS,
            Some(_) => 0,
            None => usize::from(peer.is_multiple_of(5)),
        };
        (0..count).map(move |place| {
            let group = group_id((peer / 5 + place) % self.groups);
            let (mode, window) = (mode(peer + place), window(peer + place));
            Ok(Fact::Member(MemberFact { group, peer: peer_id(peer), mode, window }))
        })
    }

    /// Three bindings of a peer, of a few 10,000.
    fn bindings(self, peer: usize) -> impl Iterator<Item = Result<Fact>> {
        let count = match peer.checked_sub(self.peers) {
            Some(crowded) if crowded < CROWDED_PEERS => MANY_BINDINGS,
            Some(_) => 0,
            None => 3,
        };
        (0..count).map(move |place| {
            // Those of a crowded one stand all over the platform.
            let region = if count == MANY_BINDINGS { place } else { peer };
            self.binding(Principal::Peer(peer_id(peer)), region, peer * 3 + place)
        })
    }

    fn group_bindings(self, group: usize) -> impl Iterator<Item = Result<Fact>> {
        let holder = Principal::Group(group_id(group));
        (0..2).map(move |place| self.binding(holder, group, (1 << 30) + group * 2 + place))
    }

    fn binding(self, principal: Principal, region: usize, number: usize) -> Result<Fact> {
        Ok(Fact::Binding(BindingFact {
            id: BindingId::from(time_ordered(number, 5)),
            principal,
            role: role_id(draw(number, 6) % self.roles)?,
            account: self.place(region, draw(number, 7))?,
            reach: if number % 5 == 1 { Reach::AccountOnly } else { Reach::Subtree },
            mode: mode(number),
            window: window(number),
        }))
    }

    fn key(self, number: usize) -> Fact {
        let mut hash = [0; 32];
        for (word, salt) in hash.chunks_exact_mut(8).zip(10..) {
            word.copy_from_slice(&scatter(number, salt).to_be_bytes());
        }
        let peer = peer_id(draw(number, 8) % self.peers);
        Fact::ApiKey(ApiKeyFact { id: ApiKeyId::from(time_ordered(number, 9)), peer, hash, expire_time: None })
    }

    const fn regions(self) -> usize {
        (self.accounts - 1) / REGION
    }

    /// Some account of a region.
    fn place(self, region: usize, drawn: usize) -> Result<AccountId> {
        account_id(1 + region % self.regions() * REGION + drawn % REGION)
    }
}

/// The root, then partners of one customer in two with one department in three, every other one nested.
fn account(number: usize) -> Result<Fact> {
    let Some(place) = number.checked_sub(1).map(|rest| rest % REGION) else {
        return Ok(account_fact(AccountId::platform(), None, AccountKind::Platform, number));
    };
    let (parent, kind) = match place {
        0 => (0, AccountKind::Partner),
        _ if place % 2 == 1 => (number - place, AccountKind::Customer),
        _ if place % 4 == 2 => (number - 1, AccountKind::Department),
        _ => (number - 2, AccountKind::Department),
    };
    Ok(account_fact(account_id(number)?, Some(account_id(parent)?), kind, number))
}

fn account_fact(id: AccountId, parent: Option<AccountId>, kind: AccountKind, number: usize) -> Fact {
    let is_customer = kind == AccountKind::Customer;
    let value = if number.is_multiple_of(4) { "test" } else { "live" };
    let label = is_customer.then(|| ("env".to_owned(), value.to_owned()));
    Fact::Account(AccountFact {
        id,
        parent,
        kind,
        suspension: (is_customer && number % 100 == 24).then_some(SuspensionScope::Subtree),
        partner_access: match number % 100 {
            74 if is_customer => PartnerAccess::SessionOnly,
            _ => PartnerAccess::Allowed,
        },
        labels: BTreeMap::from_iter(label),
        role_packs: None,
        password_policy: Default::default(),
    })
}

fn permission(number: usize) -> Result<Fact> {
    let name = permission_name(number);
    let flags = PermissionFlags {
        privileged: number.is_multiple_of(8),
        reserved: number % 32 == 5,
        from_outside: number % 16 == 3,
        on_suspended: number % 16 == 7,
    };
    let owner = PermissionOwner::Pack("core".into());
    let parsed = PermissionName::parse(&name)?;
    Ok(Fact::Permission(Permission { name: parsed, title: name, feature: String::new(), flags, owner }))
}

fn permission_name(number: usize) -> String {
    format!("resource_{}.action_{}", number / ACTIONS, number % ACTIONS)
}

fn account_id(number: usize) -> Result<AccountId> {
    if number == 0 {
        return Ok(AccountId::platform());
    }
    Ok(AccountId::parse(&format!("account-{number}"))?)
}

fn role_id(number: usize) -> Result<RoleId> {
    Ok(RoleId::parse(&format!("core.role_{number}"))?)
}

fn peer_id(number: usize) -> PeerId {
    PeerId::from(time_ordered(number, 20))
}

fn group_id(number: usize) -> GroupId {
    GroupId::from(time_ordered(number, 21))
}

/// A UUIDv7 of its time, as a server makes them: a thousand a second.
fn time_ordered(number: usize, salt: u64) -> Uuid {
    let milliseconds = 1_800_000_000_000 + number as u64;
    let random = u128::from(scatter(number, salt)) << 64 | u128::from(scatter(number, salt + 100));
    let mut bytes = random.to_be_bytes();
    if let (Some(time), [_, _, later @ ..]) = (bytes.first_chunk_mut::<6>(), milliseconds.to_be_bytes()) {
        *time = later;
    }
    uuid::Builder::from_unix_timestamp_millis(milliseconds, bytes.last_chunk().unwrap_or(&[0; 10])).into_uuid()
}

fn mode(number: usize) -> Mode {
    if number % 20 == 13 { Mode::Eligible } else { Mode::Active }
}

/// One window in twenty has an end.
fn window(number: usize) -> Window {
    let end = Timestamp::from_micros(END + (number % 1_000) as i64 * 60_000_000);
    let ends = (number % 20 == 4).then_some(end);
    Window::parse(None, ends).unwrap_or(Window::ALWAYS)
}

/// A number that looks drawn, always the same of the same number: SplitMix64.
fn scatter(number: usize, salt: u64) -> u64 {
    let mut word = (number as u64).wrapping_add(salt << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

fn draw(number: usize, salt: u64) -> usize {
    (scatter(number, salt) >> 1) as usize
}
