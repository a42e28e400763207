//! Pages that end because of the work they took, on a world that is small.

use uuid::Uuid;

use super::Cell;
use super::compare::{Audience, Reading, Shown, Totals, read};
use crate::application::guard::View;
use crate::decision::Snapshot;
use crate::decision::compile::Compiler;
use crate::decision::difference::Sides;
use crate::domain::account::AccountKind;
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::condition::Condition;
use crate::domain::context::Context;
use crate::domain::fact::{AccountFact, BindingFact, Change, Fact, PeerFact, RoleFact};
use crate::domain::ids::{AccountId, BindingId, PeerId, RoleId};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use crate::domain::role::{Effect, Grant, Requirements, RoleOrigin, RoleRules};
use crate::domain::time::{Timestamp, Window};

const ACCOUNTS: usize = 12;
const PEERS: u128 = 7;

fn peer(number: u128) -> PeerId {
    PeerId::from(Uuid::from_u128(number + 1))
}

fn account(number: usize) -> Fact {
    let parent = (number > 0).then(AccountId::platform);
    let id = if number == 0 { AccountId::platform() } else { AccountId::parse(&format!("msp-{number}")).unwrap() };
    let kind = if number == 0 { AccountKind::Platform } else { AccountKind::Partner };
    Fact::Account(AccountFact::new(id, parent, kind))
}

fn permission(name: &str) -> Fact {
    Fact::Permission(Permission {
        name: PermissionName::parse(name).unwrap(),
        title: name.to_owned(),
        feature: name.to_owned(),
        flags: PermissionFlags::default(),
        owner: PermissionOwner::Pack("core".to_owned()),
    })
}

fn role(id: &str, pattern: &str) -> Fact {
    let grant = Grant {
        pattern: Pattern::parse(pattern).unwrap(),
        effect: Effect::Allow,
        requirements: Requirements::default(),
        condition: Condition::default(),
    };
    let (id, origin) = (RoleId::parse(id).unwrap(), RoleOrigin::BuiltIn);
    Fact::Role(RoleFact { id, origin, grants: vec![grant], rules: RoleRules::default() })
}

fn binding(number: u128, holder: PeerId, role: &str) -> Fact {
    Fact::Binding(BindingFact {
        id: BindingId::from(Uuid::from_u128(number + 1)),
        principal: Principal::Peer(holder),
        role: RoleId::parse(role).unwrap(),
        account: AccountId::platform(),
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::ALWAYS,
    })
}

/// The operator, who may preview, and people who hold nothing yet.
fn world(compiler: &mut Compiler) -> Snapshot {
    let people = (0..PEERS).map(|number| {
        Fact::Peer(PeerFact {
            id: peer(number),
            user_name_hash: number,
            kind: PeerKind::Person,
            home: AccountId::platform(),
            status: PeerStatus::Enabled,
            expire_time: None,
            person: None,
        })
    });
    let facts = ["policy.preview", "ftp.view", "ftp.update", "ftp.delete"].map(permission).into_iter();
    let facts = facts.chain((0..ACCOUNTS).map(account)).chain(people);
    let facts = facts.chain([role("core.previewer", "policy.preview"), role("core.ftp", "ftp.*")]);
    let facts = facts.chain([binding(0, peer(0), "core.previewer")]);
    let changes: Vec<Change> = facts.map(Change::made).collect();
    Snapshot::default().with(&changes, compiler).unwrap()
}

/// All pages, each of so many items at most and after so much work.
async fn pages(limit: usize, work_max: usize) -> (Vec<Shown>, Totals, usize) {
    let mut compiler = Compiler::new().unwrap();
    let before = world(&mut compiler);
    let changes: Vec<Change> =
        (1..PEERS).map(|number| Change::made(binding(number, peer(number), "core.ftp"))).collect();
    let after = before.with(&changes, &mut compiler).unwrap();
    let now = Timestamp::from_micros(0);
    let view = View { snapshot: &before, actor: before.find_peer(peer(0)).unwrap(), source: None, now };
    let sides = Sides { before: &before, after: &after, now, context: Context::UNKNOWN };
    let (mut all, mut totals, mut count, mut place) = (Vec::new(), None, 0, None::<Cell>);
    loop {
        let reading = Reading { limit, after: place.as_ref(), work_max };
        let found = read(Audience::new(view, sides, None), &changes, reading).await;
        assert!(found.shown.len() <= limit);
        all.extend(found.shown);
        totals.get_or_insert(found.totals);
        count += 1;
        match found.next {
            Some(next) => {
                assert_ne!(place.as_ref(), Some(&next), "every page comes further");
                place = Some(next);
            }
            None => return (all, totals.unwrap(), count),
        }
    }
}

#[tokio::test]
async fn a_page_that_took_enough_work_is_short_and_the_list_goes_on() {
    let (whole, totals, count) = pages(1000, usize::MAX).await;
    assert_eq!((whole.len(), count), (6 * ACCOUNTS * 3, 1));
    assert!(whole.is_sorted_by(|left, right| {
        (left.peer, &left.account, &left.permission) < (right.peer, &right.account, &right.permission)
    }));
    let gained = u64::try_from(whole.len()).unwrap();
    let accounts = u64::try_from(ACCOUNTS).unwrap();
    assert_eq!(totals, Totals { is_complete: true, gained, lost: 0, changed: 0, peers: 6, accounts });
    for (limit, work_max) in [(1, 1), (2, 1), (5, 20), (1000, 1), (1000, 50), (7, usize::MAX), (216, usize::MAX)] {
        let (found, first, count) = pages(limit, work_max).await;
        assert_eq!(found, whole, "{limit} {work_max}");
        assert_eq!(first.is_complete, work_max == usize::MAX, "{limit} {work_max}");
        assert!(first.is_complete || (first.gained < gained && count > 1), "{limit} {work_max}");
    }
}
