//! Bytes follow from facts, facts from bytes, and from other bytes nothing.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::decision::Snapshot;
use crate::decision::compile::Compiler;
use crate::domain::account::{AccountKind, PartnerAccess, SuspensionScope};
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::fact::{
    AccountFact, ApiKeyFact, BindingFact, Change, Fact, GroupFact, Mark, MemberFact, PeerFact, RoleFact,
};
use crate::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::password::PasswordPolicy;
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use crate::domain::role::{Condition, Effect, Grant, Requirements, RoleOrigin, RoleRules};
use crate::domain::time::{Timestamp, Window};

const PEERS: u128 = 150;
const MARK: Mark = Mark { revision: 7, digest: [3; 32] };

fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c5e_9b2d_1fad))
}

fn peer(number: u128) -> PeerId {
    PeerId::from(uuid(number + 1))
}

fn group(number: u128) -> GroupId {
    GroupId::from(uuid(number + 10_000))
}

fn at(micros: u128) -> Timestamp {
    Timestamp::from_micros(i64::try_from(micros).unwrap())
}

fn account_id(number: u128) -> AccountId {
    if number == 0 { AccountId::platform() } else { AccountId::parse(&format!("account-{number}")).unwrap() }
}

fn permission(number: u128) -> Fact {
    let name = format!("resource_{}.view", 9 - number);
    let flags = PermissionFlags { reserved: number == 3, ..PermissionFlags::default() };
    let owner = PermissionOwner::Pack("core".into());
    let parsed = PermissionName::parse(&name).unwrap();
    Fact::Permission(Permission { name: parsed, title: name, feature: String::new(), flags, owner })
}

/// A partner below the root and customers below it, with all that an account can say.
fn account(number: u128) -> Fact {
    Fact::Account(AccountFact {
        id: account_id(number),
        parent: number.checked_sub(1).map(|before| account_id(before.min(1))),
        kind: match number {
            0 => AccountKind::Platform,
            1 => AccountKind::Partner,
            _ => AccountKind::Customer,
        },
        suspension: (number == 3).then_some(SuspensionScope::OwnPeers),
        partner_access: if number == 4 { PartnerAccess::Blocked } else { PartnerAccess::Allowed },
        labels: BTreeMap::from_iter(number.is_multiple_of(2).then(|| ("env".to_owned(), number.to_string()))),
        role_packs: (number == 1).then(|| vec!["core".to_owned()]),
        password_policy: PasswordPolicy { min_length: (number == 2).then_some(20), ..PasswordPolicy::default() },
    })
}

fn role_id(number: u128) -> RoleId {
    if number == 0 { RoleId::parse("core.any").unwrap() } else { RoleId::custom(uuid(number + 20_000)) }
}

fn role(number: u128) -> Fact {
    let grant = |pattern: &str, effect| {
        let pattern = Pattern::parse(pattern).unwrap();
        Grant { pattern, effect, requirements: Requirements::default(), condition: Condition::default() }
    };
    let origin = match number {
        0 => RoleOrigin::BuiltIn,
        _ => RoleOrigin::Custom { owner: account_id(1), inheritable: true },
    };
    let grants = vec![grant("*.view", Effect::Allow), grant("resource_7.view", Effect::Deny)];
    Fact::Role(RoleFact { id: role_id(number), origin, grants, rules: RoleRules::default() })
}

fn window(number: u128) -> Window {
    let start = number.is_multiple_of(7).then(|| at(number));
    Window::parse(start, number.is_multiple_of(5).then(|| at(1_000_000 + number))).unwrap()
}

fn peer_fact(number: u128) -> Fact {
    Fact::Peer(PeerFact {
        id: peer(number),
        user_name_hash: number << 64 | 5,
        kind: [PeerKind::Person, PeerKind::Device, PeerKind::Integration][number as usize % 3],
        home: account_id(number % 6),
        status: [PeerStatus::Enabled, PeerStatus::Disabled, PeerStatus::Deleted][number as usize / 3 % 3],
        expire_time: number.is_multiple_of(11).then(|| at(number)),
        person: number.is_multiple_of(13).then(|| peer(number + 1)),
    })
}

fn member(number: u128) -> Fact {
    let (group, peer) = (group(number % 3), peer(number * 4 % PEERS));
    let mode = if number.is_multiple_of(2) { Mode::Active } else { Mode::Eligible };
    Fact::Member(MemberFact { group, peer, mode, window: window(number) })
}

fn binding(number: u128) -> Fact {
    let principal = match number % 10 {
        9 => Principal::Group(group(number / 10 % 3)),
        _ => Principal::Peer(peer(number * 7 % PEERS)),
    };
    Fact::Binding(BindingFact {
        id: BindingId::from(uuid(number + 30_000)),
        principal,
        role: role_id(number % 3),
        account: account_id(number / 2 % 6),
        reach: if number.is_multiple_of(4) { Reach::AccountOnly } else { Reach::Subtree },
        mode: if number.is_multiple_of(6) { Mode::Eligible } else { Mode::Active },
        window: window(number),
    })
}

fn api_key(number: u128) -> Fact {
    let hash = [u8::try_from(number).unwrap(); 32];
    let (id, expire_time) = (ApiKeyId::from(uuid(number + 40_000)), (number == 1).then(|| at(9)));
    Fact::ApiKey(ApiKeyFact { id, peer: peer(number), hash, expire_time })
}

/// Each kind of fact, in the order in which kinds are loaded.
fn kinds() -> Vec<Vec<Fact>> {
    vec![
        (0..5).map(permission).collect(),
        (0..2).map(account).collect(),
        (2..6).map(account).collect(),
        (0..3).map(role).collect(),
        (0..3).map(|number| Fact::Group(GroupFact { id: group(number), account: account_id(number) })).collect(),
        (0..PEERS).map(peer_fact).collect(),
        (0..40).map(member).collect(),
        (0..300).map(binding).collect(),
        (0..4).map(api_key).collect(),
    ]
}

fn load(facts: impl IntoIterator<Item = Fact>, compiler: &mut Compiler) -> Snapshot {
    Snapshot::load(7, facts, compiler).unwrap().marked(MARK)
}

fn bytes(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::new();
    snapshot.write_image(&mut bytes).unwrap();
    bytes
}

fn read(mut bytes: &[u8], compiler: &mut Compiler) -> Result<Snapshot, ImageError> {
    Snapshot::read_image(&mut bytes, MARK, compiler)
}

#[test]
fn the_order_of_facts_leaves_no_trace() {
    let mut compiler = Compiler::new().unwrap();
    let expected = bytes(&load(kinds().concat(), &mut compiler));
    for seed in 1..20_u128 {
        let mut kinds = kinds();
        let is_root = |facts: &[Fact]| matches!(facts.first(), Some(Fact::Account(fact)) if fact.parent.is_none());
        for facts in kinds.iter_mut().filter(|facts| !is_root(facts)) {
            for place in (1..facts.len()).rev() {
                let drawn = uuid(seed * 1_000 + place as u128).as_u128() % (place as u128 + 1);
                facts.swap(place, usize::try_from(drawn).unwrap());
            }
        }
        assert_eq!(bytes(&load(kinds.concat(), &mut compiler)), expected, "seed {seed}");
        let changes: Vec<Change> = kinds.concat().into_iter().map(Change::made).collect();
        assert_eq!(bytes(&Snapshot::default().with(&changes, &mut compiler).unwrap()), expected, "seed {seed}");
    }
}

#[test]
fn what_was_there_before_leaves_no_trace() {
    let mut compiler = Compiler::new().unwrap();
    let expected = bytes(&load(kinds().concat(), &mut compiler));
    // All there is, made in another order among others that go again, and some of it in another state first.
    let mut snapshot = load(kinds().concat(), &mut compiler);
    let take = |snapshot: &mut Snapshot, change: Change, compiler: &mut Compiler| {
        *snapshot = snapshot.with(&[change], compiler).unwrap();
    };
    for number in (0..300).step_by(3) {
        take(&mut snapshot, Change::gone(binding(number)), &mut compiler);
    }
    for number in (0..40).step_by(2) {
        take(&mut snapshot, Change::gone(member(number)), &mut compiler);
    }
    for number in 0..4 {
        take(&mut snapshot, Change::gone(api_key(number)), &mut compiler);
    }
    let Fact::Peer(other) = peer_fact(8) else { unreachable!() };
    let renamed = Fact::Peer(PeerFact { user_name_hash: 77, status: PeerStatus::Deleted, ..other });
    take(&mut snapshot, Change::changed(peer_fact(8), renamed.clone()), &mut compiler);
    let (strange, strange_binding) = (peer_fact(PEERS + 3), binding(1_000 * PEERS));
    take(&mut snapshot, Change::made(strange.clone()), &mut compiler);
    take(&mut snapshot, Change::made(strange_binding.clone()), &mut compiler);
    assert_ne!(bytes(&snapshot), expected);
    take(&mut snapshot, Change::gone(strange_binding), &mut compiler);
    take(&mut snapshot, Change::gone(strange), &mut compiler);
    take(&mut snapshot, Change::changed(renamed, peer_fact(8)), &mut compiler);
    for number in (0..4).rev() {
        take(&mut snapshot, Change::made(api_key(number)), &mut compiler);
    }
    for number in (0..40).step_by(2).collect::<Vec<_>>().into_iter().rev() {
        take(&mut snapshot, Change::made(member(number)), &mut compiler);
    }
    for number in (0..300).step_by(3).collect::<Vec<_>>().into_iter().rev() {
        take(&mut snapshot, Change::made(binding(number)), &mut compiler);
    }
    assert_eq!(bytes(&snapshot), expected);
}

#[test]
fn what_is_read_is_what_was_written() {
    let mut compiler = Compiler::new().unwrap();
    let written = load(kinds().concat(), &mut compiler);
    let again = read(&bytes(&written), &mut compiler).unwrap();
    assert_eq!((again.mark(), again.sizes()), (MARK, written.sizes()));
    assert_eq!(bytes(&again), bytes(&written));
    for number in 0..PEERS {
        let (index, old) = (again.find_peer(peer(number)).unwrap(), written.find_peer(peer(number)).unwrap());
        assert_eq!(again.find_user_name(number << 64 | 5), Some(index));
        assert_eq!(again.person(index), written.person(old));
    }
    // The indexes that the bytes do not hold.
    for number in 0..6 {
        let of = |snapshot: &Snapshot| {
            let account = snapshot.find_account(account_id(number).as_str()).unwrap();
            let name = |holder| match holder {
                crate::decision::snapshot::Holder::Peer(peer) => snapshot.peer_id(peer).unwrap().as_uuid(),
                crate::decision::snapshot::Holder::Group(group) => snapshot.group(group).unwrap().id.as_uuid(),
            };
            let mut bound: Vec<_> = snapshot.bound_at(account).map(|(holder, id)| (name(holder), id)).collect();
            let mut homed: Vec<_> = snapshot.homed_at(account).filter_map(|peer| snapshot.peer_id(peer)).collect();
            bound.sort_unstable();
            homed.sort_unstable();
            let below: Vec<_> = snapshot.below(account, None).map(|(name, _)| name.to_owned()).collect();
            (bound, homed, below)
        };
        assert_eq!(of(&again), of(&written));
    }
}

#[test]
fn no_bytes_break_the_reader() {
    let mut compiler = Compiler::new().unwrap();
    // A few of each kind: every byte of them is changed.
    let few = kinds().into_iter().map(|facts| if facts.len() > 20 { facts[..15].to_vec() } else { facts });
    let few = few.map(|facts| match facts.first() {
        Some(Fact::Member(_)) => facts[..3].to_vec(),
        Some(Fact::Binding(_)) => facts.into_iter().filter(is_held_by_few).collect(),
        _ => facts,
    });
    let written = bytes(&load(few.flatten(), &mut compiler));
    for length in 0..written.len() {
        assert!(read(&written[..length], &mut compiler).is_err(), "cut at {length}");
    }
    assert!(read(&[&written[..], &[0]].concat(), &mut compiler).is_err());
    for place in 0..written.len() {
        let mut other = written.clone();
        other[place] ^= 1 << (place % 8);
        // Bytes that say something else may be read, as something else. Whether they are the right ones is
        // for whoever keeps them to know; here nothing may break.
        if let Ok(read) = read(&other, &mut compiler) {
            bytes(&read);
        }
    }
}

fn is_held_by_few(fact: &Fact) -> bool {
    let Fact::Binding(fact) = fact else { return false };
    match fact.principal {
        Principal::Peer(holder) => (0..15).any(|number| peer(number) == holder),
        Principal::Group(_) => true,
    }
}
