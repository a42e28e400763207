//! Lists of peers: orders, conditions, pages, and the keys that indexes serve them by.

use peerage::domain::binding::{Principal, Reach};
use peerage::domain::ids::{PeerId, RoleId};
use peerage::domain::peer::{MailFormat, Peer, PeerKind, PeerStatus, Profile, TwoFactor, UserName};
use peerage::domain::time::{Timestamp, Window};
use peerage::storage::peers::list::{
    Comparison, Condition, Matching, Order, Place, Search, SortKey, Source, Test, TimeColumn, WithAccess,
};
use peerage::storage::peers::{self, Activity, StatusChange};
use peerage::storage::{Store, bindings, groups};

use super::world::{add_peer, at, binding, fresh, group, id, member, peer, tree};
use super::{Database, on_both_migrated};

on_both_migrated![
    peers_are_listed_by_home_and_by_access,
    every_order_is_that_of_its_key_with_what_is_unset_first,
    conditions_hold_for_the_rows_that_they_describe,
    pages_neither_skip_nor_repeat_what_stays_in_every_order,
    keys_follow_a_new_status_and_a_sign_in
];

pub(crate) fn by(key: SortKey, descending: bool) -> Order {
    Order { key, descending }
}

pub(super) fn is(test: Test) -> Matching {
    Matching { condition: Condition::Is(test), ..Matching::default() }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

pub(super) fn searched(text: &str) -> Matching {
    Matching { search: Search::of(text), ..Matching::default() }
}

pub(super) async fn listed(store: &Store, source: &Source, matching: &Matching, order: Order) -> Vec<PeerId> {
    let places = peers::list::places(store.reader(), source, matching, order, None, 1000).await.unwrap();
    places.into_iter().map(|place| place.id).collect()
}

pub(super) async fn named(store: &Store, source: &Source, matching: &Matching) -> Vec<String> {
    let ids = listed(store, source, matching, by(SortKey::Id, false)).await;
    let mut found = peers::find_many(store.reader(), &ids).await.unwrap();
    found.sort_by_key(|peer| peer.id);
    found.into_iter().map(|peer| peer.user_name.as_str().to_owned()).collect()
}

async fn peers_are_listed_by_home_and_by_access(database: &Database) {
    let store = &database.store;
    let role = tree(store).await;
    let names = ["at-platform", "at-msp", "at-contoso", "at-sales", "at-fabrikam", "by-group", "over"];
    let homes = ["platform", "msp", "contoso", "sales", "fabrikam", "msp", "msp"];
    let mut all = Vec::new();
    for (name, home) in names.into_iter().zip(homes) {
        all.push(add_peer(store, name, home).await);
    }
    let team = group("msp", "Team");
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    groups::insert(conn, &team).await.unwrap();
    groups::members::insert(conn, &member(team.id, all[5].id)).await.unwrap();
    let reached = |index: usize, account| binding(Principal::Peer(all[index].id), &role.id, account);
    let mut account_only = reached(0, "platform");
    account_only.reach = Reach::AccountOnly;
    let mut over = reached(6, "contoso");
    over.window = Window::parse(None, Some(at(15))).unwrap();
    let by_group = binding(Principal::Group(team.id), &role.id, "contoso");
    let bound = [account_only, reached(1, "msp"), reached(2, "contoso"), reached(3, "sales"), over, by_group];
    bindings::insert_many(conn, &bound).await.unwrap();
    transaction.commit().await.unwrap();

    let access = WithAccess { account: id("contoso"), ancestors: vec![id("msp"), id("platform")], now: at(15) };
    let later = WithAccess { now: at(20), ..access.clone() };
    let earlier = WithAccess { now: at(14), ..access.clone() };
    for (source, expected) in [
        (Source::Order, names.to_vec()),
        (Source::Subtree(id("contoso")), vec!["at-contoso", "at-sales"]),
        (Source::Subtree(id("msp")), names[1..].to_vec()),
        (Source::Subtree(id("nobody")), vec![]),
        (Source::Test(Test::Home(id("sales"))), vec!["at-sales"]),
        (Source::Ids(vec![all[3].id, all[0].id]), vec!["at-platform", "at-sales"]),
        (Source::WithAccess(access), vec!["at-msp", "at-contoso", "by-group"]),
        (Source::WithAccess(later), vec!["at-msp", "at-contoso"]),
        (Source::WithAccess(earlier), vec!["at-msp", "at-contoso", "by-group", "over"]),
    ] {
        let found = named(store, &source, &Matching::default()).await;
        assert_eq!(found, expected, "{source:?}");
        let counted = peers::list::count_by_home(store.reader(), &source, &Matching::default()).await.unwrap();
        assert_eq!(counted.iter().map(|(_, count)| count).sum::<u64>(), found.len() as u64, "{source:?}");
        let to_two = peers::list::count_to(store.reader(), &source, &Matching::default(), 2).await.unwrap();
        assert_eq!(to_two, found.len().min(3) as u64);
    }
}

async fn keys_follow_a_new_status_and_a_sign_in(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let sarah = add_peer(store, "sarah", "contoso").await;
    database.sql("UPDATE peers SET facets = facets + 256").await;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    peers::touch(conn, sarah.id, Activity::SignedIn, at(1000)).await.unwrap();
    peers::touch(conn, sarah.id, Activity::Acted, at(2000)).await.unwrap();
    let disabled = StatusChange { status: PeerStatus::Disabled, now: at(9), delete_time: None, revision: 5 };
    peers::set_status(conn, &[sarah.id], disabled).await.unwrap();
    let since = |column, time| Test::Time(column, Comparison::Equal, at(time));
    let wanted = [
        Test::Status(PeerStatus::Disabled),
        Test::Kind(PeerKind::Person),
        Test::TwoFactor(TwoFactor::Totp),
        Test::MailFormat(MailFormat::PlainText),
        Test::HasMicrosoftAccount,
        since(TimeColumn::LastLogin, 1000),
        since(TimeColumn::LastActive, 2000),
    ];
    let order = by(SortKey::Id, false);
    for round in 0..2 {
        for test in &wanted {
            let found = peers::list::places(conn, &Source::Order, &is(test.clone()), order, None, 9).await.unwrap();
            assert_eq!(found.len(), 1, "{test:?} in round {round}");
        }
        // What was read before the sign-in is written after it, and takes nothing back.
        peers::update(conn, &Peer { status: PeerStatus::Disabled, ..sarah.clone() }).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Peers of which no two are alike, and in each order some are.
fn varied(count: usize) -> Vec<Peer> {
    let names = ["Åsa", "adam", "Zoë", "ZOE", "émile", "王芳", "", "Ωmega", "ß", "ss", "%", "_a", "a_"];
    let time = |number: usize, every: usize| (!number.is_multiple_of(every)).then(|| at((number % 5) as i64 * 1000));
    let make = |number: usize| {
        let mut made =
            peer(&format!("{}{number}", names[number % names.len()]), ["msp", "contoso", "sales"][number % 3]);
        made.kind = [PeerKind::Person, PeerKind::Device, PeerKind::Integration][number % 3];
        made.status = [PeerStatus::Enabled, PeerStatus::Disabled, PeerStatus::Enabled, PeerStatus::Deleted][number % 4];
        made.profile = Profile {
            display_name: names[(number * 7) % names.len()].to_owned(),
            email: if number.is_multiple_of(4) { String::new() } else { format!("Mail-{}@b.example", number % 9) },
            org_user: if number.is_multiple_of(3) { String::new() } else { format!("Org {}", number % 4) },
            two_factor: [TwoFactor::None, TwoFactor::Email, TwoFactor::Totp][number % 3],
            mail_format: [MailFormat::Html, MailFormat::PlainText][number % 2],
            require_external_login: number.is_multiple_of(5),
            ..Profile::default()
        };
        made.default_role = (!number.is_multiple_of(6))
            .then(|| RoleId::parse(["core.auditor", "msp-panel.owner"][number % 2]).unwrap());
        made.last_login_time = time(number, 3);
        made.last_active_time = time(number, 4);
        made.expire_time = time(number, 2);
        made.create_time = at((number % 7) as i64);
        made.delete_time = (made.status == PeerStatus::Deleted).then(|| at(number as i64));
        made
    };
    (0..count).map(make).collect()
}

pub(super) async fn add(store: &Store, all: &[Peer]) {
    let transaction = store.begin().await.unwrap();
    peers::insert_many(transaction.connection(), all).await.unwrap();
    transaction.commit().await.unwrap();
}

/// The key of a peer in an order, as a model has it: text before numbers never happens, none first.
fn key(peer: &Peer, key: SortKey) -> (String, Option<i64>) {
    use peerage::domain::text::fold;
    let text = |text: &str| (text.to_owned(), None);
    let time = |time: Option<Timestamp>| (String::new(), time.map(Timestamp::as_micros));
    match key {
        SortKey::Id | SortKey::MicrosoftAccount | SortKey::PrivilegedAccess => text(""),
        SortKey::UserName => text(&peer.user_name.key()),
        SortKey::FullName => text(&fold(&peer.profile.full_name())),
        SortKey::Email => text(&fold(&peer.profile.email)),
        SortKey::DefaultRole => text(&peer.default_role.as_ref().map(RoleId::to_string).unwrap_or_default()),
        SortKey::LastLoginTime => time(peer.last_login_time),
        SortKey::LastActiveTime => time(peer.last_active_time),
        SortKey::Status => text(match peer.status {
            PeerStatus::Deleted => "DELETED",
            PeerStatus::Disabled => "DISABLED",
            PeerStatus::Enabled => "ENABLED",
        }),
        SortKey::TwoFactor => text(match peer.profile.two_factor {
            TwoFactor::Email => "EMAIL",
            TwoFactor::None => "NONE",
            TwoFactor::Totp => "TOTP",
        }),
        SortKey::OrgUser => text(&fold(&peer.profile.org_user)),
        SortKey::Kind => text(match peer.kind {
            PeerKind::Device => "DEVICE",
            PeerKind::Integration => "INTEGRATION",
            PeerKind::Person => "PERSON",
        }),
        SortKey::CreateTime => time(Some(peer.create_time)),
        SortKey::ExpireTime => time(peer.expire_time),
    }
}

pub(crate) fn sorted(peers: &[Peer], order: Order) -> Vec<PeerId> {
    let mut sorted: Vec<&Peer> = peers.iter().collect();
    sorted.sort_by_key(|peer| (key(peer, order.key), peer.id));
    if order.descending {
        sorted.reverse();
    }
    sorted.into_iter().map(|peer| peer.id).collect()
}

async fn every_order_is_that_of_its_key_with_what_is_unset_first(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let all = varied(60);
    add(store, &all).await;
    // So many that they are asked for in several statements; most are of nobody.
    let many = (0..20_000).map(|number| match number % 200 {
        0 => all.get(number / 200).map_or_else(|| PeerId::from(fresh()), |peer| peer.id),
        _ => PeerId::from(fresh()),
    });
    let many = Source::Ids(many.collect());
    for sort in SortKey::ALL {
        for descending in [false, true] {
            let order = by(*sort, descending);
            let wanted = sorted(&all, order);
            if matches!(sort, SortKey::FullName | SortKey::LastLoginTime | SortKey::Id) {
                assert_eq!(listed(store, &many, &Matching::default(), order).await, wanted, "{order:?} of many");
            }
            for source in [Source::Order, Source::Subtree(id("platform"))] {
                assert_eq!(listed(store, &source, &Matching::default(), order).await, wanted, "{order:?} {source:?}");
            }
            let place = async |from: Option<&Place>| {
                peers::list::places(store.reader(), &Source::Order, &Matching::default(), order, from, 7).await.unwrap()
            };
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = place(after.as_ref()).await;
                let Some(last) = page.last() else { break };
                after = Some(last.clone());
                found.extend(page.into_iter().map(|place| place.id));
            }
            assert_eq!(found, wanted, "pages of {order:?}");
        }
    }
}

async fn conditions_hold_for_the_rows_that_they_describe(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let all = varied(60);
    add(store, &all).await;
    database
        .sql("UPDATE peers SET microsoft_account = 'LINKED', facets = facets + 256 WHERE user_name LIKE '%7'")
        .await;
    type Holds = fn(&Peer) -> bool;
    let role = RoleId::parse("core.auditor").unwrap();
    let last_login = |comparison| Test::Time(TimeColumn::LastLogin, comparison, at(2000));
    let cases: Vec<(Test, Holds)> = vec![
        (Test::Kind(PeerKind::Person), |peer| peer.kind == PeerKind::Person),
        (Test::Kind(PeerKind::Integration), |peer| peer.kind == PeerKind::Integration),
        (Test::Status(PeerStatus::Disabled), |peer| peer.status == PeerStatus::Disabled),
        (Test::Status(PeerStatus::Deleted), |peer| peer.status == PeerStatus::Deleted),
        (Test::TwoFactor(TwoFactor::Email), |peer| peer.profile.two_factor == TwoFactor::Email),
        (Test::TwoFactor(TwoFactor::None), |peer| peer.profile.two_factor == TwoFactor::None),
        (Test::MailFormat(MailFormat::Html), |peer| peer.profile.mail_format == MailFormat::Html),
        (Test::RequiresExternalLogin, |peer| peer.profile.require_external_login),
        (Test::HasMicrosoftAccount, |peer| peer.user_name.as_str().ends_with('7')),
        (Test::Home(id("sales")), |peer| peer.home.as_str() == "sales"),
        (Test::DefaultRole(role), |peer| {
            peer.default_role.as_ref().is_some_and(|role| role.to_string() == "core.auditor")
        }),
        (Test::HasDefaultRole, |peer| peer.default_role.is_some()),
        (Test::OrgUser("ORG 2".to_owned()), |peer| peer.profile.org_user == "Org 2"),
        (Test::HasOrgUser, |peer| !peer.profile.org_user.is_empty()),
        (last_login(Comparison::Equal), |peer| peer.last_login_time == Some(at(2000))),
        (last_login(Comparison::Less), |peer| peer.last_login_time.is_some_and(|time| time < at(2000))),
        (last_login(Comparison::LessOrEqual), |peer| peer.last_login_time.is_some_and(|time| time <= at(2000))),
        (last_login(Comparison::Greater), |peer| peer.last_login_time.is_some_and(|time| time > at(2000))),
        (last_login(Comparison::GreaterOrEqual), |peer| peer.last_login_time.is_some_and(|time| time >= at(2000))),
        (Test::HasTime(TimeColumn::Expire), |peer| peer.expire_time.is_some()),
        (Test::Time(TimeColumn::Create, Comparison::Less, at(3)), |peer| peer.create_time < at(3)),
        (Test::HasTime(TimeColumn::LastActive), |peer| peer.last_active_time.is_some()),
        (Test::DeletedUntil(at(20)), |peer| peer.delete_time.is_some_and(|time| time <= at(20))),
    ];
    let order = by(SortKey::Id, false);
    let model =
        |holds: &dyn Fn(&Peer) -> bool| all.iter().filter(|peer| holds(peer)).map(|peer| peer.id).collect::<Vec<_>>();
    for (test, holds) in &cases {
        let wanted = model(&|peer| holds(peer));
        assert!(!wanted.is_empty() && wanted.len() < all.len(), "{test:?} tells nothing apart");
        assert_eq!(listed(store, &Source::Order, &is(test.clone()), order).await, wanted, "{test:?}");
        let opposite = Matching { condition: not(Condition::Is(test.clone())), ..Matching::default() };
        assert_eq!(listed(store, &Source::Order, &opposite, order).await, model(&|peer| !holds(peer)), "not {test:?}");
        if test.is_indexed() {
            let found = listed(store, &Source::Test(test.clone()), &Matching::default(), order).await;
            assert_eq!(found, wanted, "{test:?}");
        }
    }
    let part = |number: usize| Condition::Is(cases[number].0.clone());
    for (condition, wanted) in [
        (Condition::All(vec![part(0), part(12)]), model(&|peer| cases[0].1(peer) && cases[12].1(peer))),
        (Condition::Any(vec![part(2), part(14)]), model(&|peer| cases[2].1(peer) || cases[14].1(peer))),
        (
            Condition::All(vec![not(Condition::Any(vec![part(1), part(15)])), part(13)]),
            model(&|peer| !(cases[1].1(peer) || cases[15].1(peer)) && cases[13].1(peer)),
        ),
        (Condition::Any(Vec::new()), Vec::new()),
        (Condition::All(Vec::new()), model(&|_| true)),
    ] {
        let matching = Matching { condition: condition.clone(), ..Matching::default() };
        assert_eq!(listed(store, &Source::Order, &matching, order).await, wanted, "{condition:?}");
    }
}

/// Numbers from a seed: good enough to choose by, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

async fn pages_neither_skip_nor_repeat_what_stays_in_every_order(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let mut spare = varied(1400);
    spare.reverse();
    let mut random = Random(20_261_122);
    let mut there: Vec<Peer> = (0..120).filter_map(|_| spare.pop()).collect();
    add(store, &there).await;
    for sort in SortKey::ALL {
        for descending in [false, true] {
            let (order, source) =
                (by(*sort, descending), if descending { Source::Order } else { Source::Subtree(id("platform")) });
            let mut stays: Vec<PeerId> = there.iter().map(|peer| peer.id).collect();
            let (mut seen, mut after): (Vec<PeerId>, Option<Place>) = (Vec::new(), None);
            loop {
                let size = 5 + random.below(30) as u64;
                let page =
                    peers::list::places(store.reader(), &source, &Matching::default(), order, after.as_ref(), size)
                        .await
                        .unwrap();
                let is_last = (page.len() as u64) < size;
                seen.extend(page.iter().map(|place| place.id));
                after = page.last().cloned().or(after);
                if is_last {
                    break;
                }
                // The last one shown goes or gets another name half of the time, others at random.
                let transaction = store.begin().await.unwrap();
                let conn = transaction.connection();
                let last = there.iter().position(|peer| Some(peer.id) == after.as_ref().map(|place| place.id));
                for place in
                    [last.filter(|_| random.below(2) == 0), Some(random.below(there.len()))].into_iter().flatten()
                {
                    if place >= there.len() {
                        continue;
                    }
                    let changed = there[place].id;
                    stays.retain(|id| *id != changed);
                    if random.below(2) == 0 {
                        peers::purge(conn, changed).await.unwrap();
                        there.remove(place);
                    } else {
                        let new = spare.pop().unwrap();
                        there[place].user_name =
                            UserName::parse(&format!("{}-renamed", new.user_name.as_str())).unwrap();
                        there[place].profile = new.profile;
                        there[place].status = new.status;
                        peers::update(conn, &there[place]).await.unwrap();
                    }
                }
                let new = spare.pop().unwrap();
                peers::insert(conn, &new).await.unwrap();
                there.push(new);
                transaction.commit().await.unwrap();
            }
            for id in &stays {
                assert_eq!(seen.iter().filter(|one| *one == id).count(), 1, "{order:?}: {id}");
            }
            let shown: Vec<&PeerId> = seen.iter().filter(|id| stays.contains(id)).collect();
            let wanted = sorted(&there, order);
            assert!(wanted.iter().filter(|id| stays.contains(id)).eq(shown), "{order:?} is out of order");
        }
    }
}
