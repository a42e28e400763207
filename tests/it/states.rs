//! Partner access, suspension and the flags of permissions: every combination, against tables that are
//! written from the rules, row by row.

use peerage::decision::compile::Compiler;
use peerage::decision::{Query, Reason, Snapshot, evaluate};
use peerage::domain::account::{AccountKind, PartnerAccess, SuspensionScope};
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::condition::Condition;
use peerage::domain::context::Context;
use peerage::domain::fact::{AccountFact, BindingFact, Fact, PeerFact, RoleFact};
use peerage::domain::ids::{AccountId, BindingId, PeerId, RoleId};
use peerage::domain::peer::{PeerKind, PeerStatus};
use peerage::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use peerage::domain::role::{Effect, Grant, Requirements, RoleOrigin, RoleRules};
use peerage::domain::time::{Timestamp, Window};
use uuid::Uuid;

use PartnerAccess::{Allowed, Blocked, ByApproval, SessionOnly};
use Reason::{AccountSuspended, PartnerAccessBlocked, PartnerAccessSessionRequired, SubjectHomeSuspended};

/// Where the peer is at home, seen from the customer that is acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// At the customer.
    Inside,
    /// At the partner above it.
    Outside,
    Platform,
}
use Home::{Inside, Outside, Platform};

/// What is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspended {
    Nothing,
    /// The customer with all below.
    Customer,
    /// The peers of the customer alone.
    PeersOfCustomer,
    /// The partner with all below.
    Partner,
}

/// What suspension answers: none where it lets go on.
const SUSPENSION: [(Suspended, Home, bool, Option<Reason>); 24] = [
    // What is suspended, the home, whether the permission is `on_suspended`.
    (Suspended::Nothing, Inside, false, None),
    (Suspended::Nothing, Inside, true, None),
    (Suspended::Nothing, Outside, false, None),
    (Suspended::Nothing, Outside, true, None),
    (Suspended::Nothing, Platform, false, None),
    (Suspended::Nothing, Platform, true, None),
    (Suspended::Customer, Inside, false, Some(SubjectHomeSuspended)),
    (Suspended::Customer, Inside, true, Some(SubjectHomeSuspended)),
    (Suspended::Customer, Outside, false, Some(AccountSuspended)),
    (Suspended::Customer, Outside, true, None),
    (Suspended::Customer, Platform, false, Some(AccountSuspended)),
    (Suspended::Customer, Platform, true, None),
    (Suspended::PeersOfCustomer, Inside, false, Some(SubjectHomeSuspended)),
    (Suspended::PeersOfCustomer, Inside, true, Some(SubjectHomeSuspended)),
    (Suspended::PeersOfCustomer, Outside, false, None),
    (Suspended::PeersOfCustomer, Outside, true, None),
    (Suspended::PeersOfCustomer, Platform, false, None),
    (Suspended::PeersOfCustomer, Platform, true, None),
    (Suspended::Partner, Inside, false, Some(SubjectHomeSuspended)),
    (Suspended::Partner, Inside, true, Some(SubjectHomeSuspended)),
    (Suspended::Partner, Outside, false, Some(SubjectHomeSuspended)),
    (Suspended::Partner, Outside, true, Some(SubjectHomeSuspended)),
    (Suspended::Partner, Platform, false, Some(AccountSuspended)),
    (Suspended::Partner, Platform, true, None),
];

/// What partner access takes from a matching ALLOW of a peer of the partner.
const ACCESS: [(PartnerAccess, bool, Option<Reason>); 8] = [
    // The mode of the customer, whether the permission is `from_outside`.
    (Allowed, false, None),
    (Allowed, true, None),
    (SessionOnly, false, Some(PartnerAccessSessionRequired)),
    (SessionOnly, true, None),
    (ByApproval, false, Some(PartnerAccessSessionRequired)),
    (ByApproval, true, None),
    (Blocked, false, Some(PartnerAccessBlocked)),
    (Blocked, true, Some(PartnerAccessBlocked)),
];

/// An answer, and whether a matching ALLOW is what it comes from.
type Answer = (Reason, bool);
/// In words and as grants; the answers for a permission that is not reserved and for one that is.
type Held = (&'static str, &'static [(Effect, &'static str, Mode)], Answer, Answer);

/// What the peer's roles say, and what that comes to for a permission that is not reserved and one that
/// is, where nothing else is in the way.
const HELD: [Held; 8] = [
    ("nothing", &[], (Reason::NoMatchingGrant, false), (Reason::NoMatchingGrant, false)),
    (
        "the permission by name",
        &[(Effect::Allow, NAMED, Mode::Active)],
        (Reason::Allowed, true),
        (Reason::Allowed, true),
    ),
    ("a wildcard", &[(Effect::Allow, "*.*", Mode::Active)], (Reason::Allowed, true), (Reason::NoMatchingGrant, false)),
    (
        "eligible for it by name",
        &[(Effect::Allow, NAMED, Mode::Eligible)],
        (Reason::EligibleNotActive, true),
        (Reason::EligibleNotActive, true),
    ),
    (
        "eligible for a wildcard",
        &[(Effect::Allow, "*.*", Mode::Eligible)],
        (Reason::EligibleNotActive, true),
        (Reason::NoMatchingGrant, false),
    ),
    (
        "a name, denied by name",
        &[(Effect::Allow, NAMED, Mode::Active), (Effect::Deny, NAMED, Mode::Active)],
        (Reason::DenyGrant, false),
        (Reason::DenyGrant, false),
    ),
    (
        // A wildcard names no reserved permission, to take away as little as to give.
        "a name, denied by a wildcard",
        &[(Effect::Allow, NAMED, Mode::Active), (Effect::Deny, "*.*", Mode::Active)],
        (Reason::DenyGrant, false),
        (Reason::Allowed, true),
    ),
    (
        "a name, and an eligible DENY",
        &[(Effect::Allow, NAMED, Mode::Active), (Effect::Deny, NAMED, Mode::Eligible)],
        (Reason::Allowed, true),
        (Reason::Allowed, true),
    ),
];
/// Stands for the name of the permission that is asked for.
const NAMED: &str = "things.do";

const MODES: [PartnerAccess; 4] = [Allowed, SessionOnly, ByApproval, Blocked];
const STATES: [Suspended; 4] =
    [Suspended::Nothing, Suspended::Customer, Suspended::PeersOfCustomer, Suspended::Partner];
const HOMES: [(Home, &str); 3] = [(Inside, "customer"), (Outside, "partner"), (Platform, "platform")];

/// What the tables say, in the order in which the rules ask.
fn expected(mode: PartnerAccess, state: Suspended, home: Home, flags: PermissionFlags, held: usize) -> Reason {
    let suspension = SUSPENSION.iter().find(|row| (row.0, row.1, row.2) == (state, home, flags.on_suspended)).unwrap();
    if let Some(reason) = suspension.3 {
        return reason;
    }
    let (_, _, plain, reserved) = HELD[held];
    let (reason, from_allow) = if flags.reserved { reserved } else { plain };
    let access = ACCESS.iter().find(|row| (row.0, row.1) == (mode, flags.from_outside)).unwrap();
    match access.2 {
        Some(kept_out) if home == Outside && from_allow => kept_out,
        _ => reason,
    }
}

fn account(id: &str, parent: Option<&str>, kind: AccountKind) -> AccountFact {
    let parse = |id| AccountId::parse(id).unwrap();
    AccountFact::new(parse(id), parent.map(parse), kind)
}

fn id(number: usize) -> Uuid {
    Uuid::from_u128(0x0193_a7b2_0000_7000_8000_0000_0000_0000 + u128::try_from(number).unwrap())
}

fn peer_id(home: usize, held: usize) -> PeerId {
    PeerId::from(id(home * HELD.len() + held))
}

/// The three accounts in a state, with a peer for each home and each way to hold the permission.
fn facts(mode: PartnerAccess, state: Suspended, flags: PermissionFlags) -> Vec<Fact> {
    let mut partner = account("partner", Some("platform"), AccountKind::Partner);
    let mut customer = account("customer", Some("partner"), AccountKind::Customer);
    customer.partner_access = mode;
    match state {
        Suspended::Nothing => {}
        Suspended::Customer => customer.suspension = Some(SuspensionScope::Subtree),
        Suspended::PeersOfCustomer => customer.suspension = Some(SuspensionScope::OwnPeers),
        Suspended::Partner => partner.suspension = Some(SuspensionScope::Subtree),
    }
    let permission = Permission {
        name: PermissionName::parse(NAMED).unwrap(),
        title: String::new(),
        feature: String::new(),
        flags,
        owner: PermissionOwner::Pack("core".into()),
    };
    let root = account("platform", None, AccountKind::Platform);
    let mut facts = vec![Fact::Permission(permission)];
    facts.extend([root, partner, customer].map(Fact::Account));
    let mut bindings = Vec::new();
    for (place, (_, home)) in HOMES.iter().enumerate() {
        for (held, (_, grants, ..)) in HELD.iter().enumerate() {
            let peer = peer_id(place, held);
            facts.push(Fact::Peer(PeerFact {
                id: peer,
                user_name_hash: id(place * HELD.len() + held).as_u128(),
                kind: PeerKind::Person,
                home: AccountId::parse(home).unwrap(),
                status: PeerStatus::Enabled,
                expire_time: None,
                person: None,
            }));
            for (effect, pattern, mode) in *grants {
                let number = facts.len() + bindings.len();
                let role = RoleId::parse(&format!("core.role_{number}")).unwrap();
                let grant = Grant {
                    pattern: Pattern::parse(pattern).unwrap(),
                    effect: *effect,
                    requirements: Requirements::default(),
                    condition: Condition::default(),
                };
                let (grants, rules) = (vec![grant], RoleRules::default());
                facts.push(Fact::Role(RoleFact { id: role.clone(), origin: RoleOrigin::BuiltIn, grants, rules }));
                bindings.push(Fact::Binding(BindingFact {
                    id: BindingId::from(id(1_000 + number)),
                    principal: Principal::Peer(peer),
                    role,
                    account: AccountId::parse(home).unwrap(),
                    reach: Reach::Subtree,
                    mode: *mode,
                    window: Window::ALWAYS,
                }));
            }
        }
    }
    facts.extend(bindings);
    facts
}

#[test]
fn every_combination_of_access_suspension_and_flags_answers_as_the_tables_say() {
    let mut compiler = Compiler::new().unwrap();
    let mut asked = 0;
    for bits in 0..8 {
        let flags = PermissionFlags {
            privileged: false,
            reserved: bits & 1 == 1,
            from_outside: bits & 2 == 2,
            on_suspended: bits & 4 == 4,
        };
        for (mode, state) in MODES.into_iter().flat_map(|mode| STATES.map(|state| (mode, state))) {
            let snapshot = Snapshot::load(1, facts(mode, state, flags), &mut compiler).unwrap();
            for (place, (home, _)) in HOMES.iter().enumerate() {
                for (held, (words, ..)) in HELD.iter().enumerate() {
                    let query = Query {
                        peer: snapshot.find_peer(peer_id(place, held)),
                        permission: snapshot.find_permission(NAMED).unwrap(),
                        account: snapshot.find_account("customer").unwrap(),
                        now: Timestamp::from_micros(1_800_000_000_000_000),
                        context: Context::UNKNOWN,
                    };
                    let reason = evaluate(&snapshot, &query).reason;
                    let expected = expected(mode, state, *home, flags, held);
                    assert_eq!(reason, expected, "{mode:?}, suspended: {state:?}, {home:?}, {flags:?}, {words}");
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(asked, 8 * 4 * 4 * 3 * 8);
}
