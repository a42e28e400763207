//! Roles, bindings, groups, the catalogue, packs, stored requests and the bootstrap.

use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::ids::PeerId;
use peerage::domain::permission::{PermissionFlags, PermissionName, PermissionOwner};
use peerage::domain::role::RoleRules;
use peerage::domain::time::Window;
use peerage::storage::keyset::Order;
use peerage::storage::packs::LoadedPack;
use peerage::storage::requests::{RequestKey, StoredRequest};
use peerage::storage::roles::Filter as Roles;
use peerage::storage::{Constraint, StoreError, bindings, bootstrap, groups, packs, permissions, requests, roles};

use super::world::{add_peer, at, binding, built_in, custom, fresh, group, id, member, permission, tree};
use super::{Database, is_corrupt, on_both_migrated};

on_both_migrated![
    roles_come_back_as_they_were,
    role_titles_are_unique_by_owner,
    roles_are_listed_where_they_can_be_used,
    bindings_come_back_as_they_were,
    bindings_are_listed_by_each_of_their_ends,
    a_binding_needs_what_it_names,
    groups_and_members_come_back_as_they_were,
    the_catalogue_comes_back_as_it_was,
    packs_remember_their_last_digest,
    requests_are_answered_once,
    the_bootstrap_is_claimed_once
];

async fn roles_come_back_as_they_were(database: &Database) {
    let store = &database.store;
    let technician = tree(store).await;
    let mut own = custom("contoso", "Night shift", true);
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    roles::insert(conn, &own).await.unwrap();
    assert_eq!(roles::get(conn, &own.id).await.unwrap(), own);
    own.grants.clear();
    own.rules = RoleRules::default();
    own.description.clear();
    own.version += 1;
    roles::update(conn, &own).await.unwrap();
    transaction.commit().await.unwrap();
    let stored = roles::find_many(store.reader(), &[own.id.clone(), technician.id.clone()]).await.unwrap();
    assert!(stored.contains(&own) && stored.contains(&technician));
    let transaction = store.begin().await.unwrap();
    roles::delete(transaction.connection(), &own.id).await.unwrap();
    assert!(matches!(roles::delete(transaction.connection(), &own.id).await, Err(StoreError::Missing { .. })));
    transaction.commit().await.unwrap();
    assert_eq!(roles::find(store.reader(), &own.id).await.unwrap(), None);
    database.sql("UPDATE roles SET grants = '[{}]'").await;
    is_corrupt(roles::find(store.reader(), &technician.id).await, "roles");
}

async fn role_titles_are_unique_by_owner(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    roles::insert(conn, &custom("contoso", "Technician", false)).await.unwrap();
    roles::insert(conn, &custom("fabrikam", "Technician", false)).await.unwrap();
    roles::insert(conn, &built_in("keepit.technician")).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(roles::title_taken(store.reader(), &id("contoso"), "TECHNICIAN").await.unwrap());
    assert!(!roles::title_taken(store.reader(), &id("msp"), "Technician").await.unwrap());
    let transaction = store.begin().await.unwrap();
    let error = roles::insert(transaction.connection(), &custom("contoso", "technician", false)).await.unwrap_err();
    assert_eq!(error.constraint(), Some(Constraint::RoleTitle));
}

async fn roles_are_listed_where_they_can_be_used(database: &Database) {
    let store = &database.store;
    let technician = tree(store).await;
    let (shared, kept, own) =
        (custom("msp", "Shared", true), custom("msp", "Kept", false), custom("contoso", "Own", false));
    let transaction = store.begin().await.unwrap();
    for role in [&shared, &kept, &own] {
        roles::insert(transaction.connection(), role).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let usable = Roles::UsableOn { account: id("contoso"), ancestors: vec![id("msp"), id("platform")] };
    for (filter, expected) in [
        (Roles::All, vec![&technician, &shared, &kept, &own]),
        (Roles::BuiltIn, vec![&technician]),
        (Roles::OwnedBy(id("msp")), vec![&shared, &kept]),
        (usable, vec![&technician, &shared, &own]),
    ] {
        let mut expected: Vec<_> = expected.into_iter().map(|role| role.id.clone()).collect();
        expected.sort();
        let listed = roles::list(store.reader(), &filter, None, 10).await.unwrap();
        assert!(listed.iter().map(|role| &role.id).eq(&expected), "{filter:?}");
        let rest = roles::list(store.reader(), &filter, Some(&expected[0]), 10).await.unwrap();
        assert!(rest.iter().map(|role| &role.id).eq(&expected[1..]), "{filter:?}");
    }
}

async fn bindings_come_back_as_they_were(database: &Database) {
    let store = &database.store;
    let role = tree(store).await;
    let sarah = add_peer(store, "sarah", "contoso").await;
    let mut bound = binding(Principal::Peer(sarah.id), &role.id, "contoso");
    bound.creator = Some(sarah.id);
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    bindings::insert(conn, &bound).await.unwrap();
    assert_eq!(bindings::get(conn, bound.id).await.unwrap(), bound);
    for window in [
        Window::parse(Some(at(10)), Some(at(20))).unwrap(),
        Window::parse(None, Some(at(20))).unwrap(),
        Window::parse(Some(at(-10)), None).unwrap(),
        Window::ALWAYS,
    ] {
        bound.window = window;
        bound.reach = Reach::AccountOnly;
        bound.mode = Mode::Eligible;
        bindings::update(conn, &bound).await.unwrap();
        assert_eq!(bindings::find(conn, bound.id).await.unwrap().as_ref(), Some(&bound));
    }
    bindings::delete(conn, bound.id).await.unwrap();
    assert!(matches!(bindings::delete(conn, bound.id).await, Err(StoreError::Missing { .. })));
    assert!(matches!(bindings::update(conn, &bound).await, Err(StoreError::Missing { .. })));
    transaction.commit().await.unwrap();
}

const BY_ID: Order<bindings::SortKey> = Order { key: bindings::SortKey::Id, descending: false };

async fn bindings_are_listed_by_each_of_their_ends(database: &Database) {
    let store = &database.store;
    let role = tree(store).await;
    let other = built_in("core.auditor");
    let (sarah, team) = (add_peer(store, "sarah", "contoso").await, group("contoso", "Team"));
    let (peer, members) = (Principal::Peer(sarah.id), Principal::Group(team.id));
    let all = [
        binding(peer, &role.id, "contoso"),
        binding(peer, &other.id, "sales"),
        binding(members, &role.id, "sales"),
        binding(members, &other.id, "msp"),
    ];
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    roles::insert(conn, &other).await.unwrap();
    groups::insert(conn, &team).await.unwrap();
    bindings::insert_many(conn, &all).await.unwrap();
    transaction.commit().await.unwrap();
    let filter = bindings::Filter::default;
    for (filter, expected) in [
        (filter(), vec![0, 1, 2, 3]),
        (bindings::Filter { principal: Some(peer), ..filter() }, vec![0, 1]),
        (bindings::Filter { principal: Some(members), ..filter() }, vec![2, 3]),
        (bindings::Filter { role: Some(role.id.clone()), ..filter() }, vec![0, 2]),
        (bindings::Filter { accounts: Some(vec![id("sales"), id("msp")]), ..filter() }, vec![1, 2, 3]),
        (bindings::Filter { principal: Some(peer), role: Some(role.id.clone()), accounts: Some(vec![]) }, vec![]),
    ] {
        let listed = bindings::list(store.reader(), &filter, BY_ID, None, 10).await.unwrap();
        assert!(listed.iter().eq(expected.iter().map(|index| &all[*index])), "{filter:?}");
    }
    let after = bindings::SortKey::Id.place(&all[1]);
    let page = bindings::list(store.reader(), &filter(), BY_ID, Some(&after), 1).await.unwrap();
    assert_eq!(page, all[2..3]);
    let transaction = store.begin().await.unwrap();
    bindings::delete_many(transaction.connection(), &[all[0].id, all[3].id]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bindings::all(store.reader(), &filter()).await.unwrap(), all[1..3]);
}

async fn a_binding_needs_what_it_names(database: &Database) {
    let store = &database.store;
    let role = tree(store).await;
    let nobody = Principal::Peer(PeerId::from(fresh()));
    let transaction = store.begin().await.unwrap();
    let result = bindings::insert(transaction.connection(), &binding(nobody, &role.id, "contoso")).await;
    assert!(matches!(result, Err(StoreError::Other(_))), "{result:?}");
}

async fn groups_and_members_come_back_as_they_were(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let (sarah, john) = (add_peer(store, "sarah", "contoso").await, add_peer(store, "john", "sales").await);
    let (mut team, other) = (group("contoso", "Team"), group("sales", "Team"));
    let members = [member(team.id, sarah.id), member(team.id, john.id)];
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    groups::insert(conn, &team).await.unwrap();
    groups::insert(conn, &other).await.unwrap();
    for member in &members {
        groups::members::insert(conn, member).await.unwrap();
    }
    team.description = "New".to_owned();
    groups::update(conn, &team).await.unwrap();
    transaction.commit().await.unwrap();
    let reader = store.reader();
    assert_eq!(groups::get(reader, team.id).await.unwrap(), team);
    let accounts = [id("contoso"), id("sales")];
    assert_eq!(groups::all(reader, &accounts).await.unwrap(), [team.clone(), other.clone()]);
    let order = Order { key: groups::SortKey::Id, descending: false };
    assert_eq!(groups::list(reader, &accounts, order, Some(&order.key.place(&team)), 9).await.unwrap(), [other]);
    assert_eq!(groups::members::list(reader, team.id, None, 9).await.unwrap(), members);
    assert_eq!(groups::members::list(reader, team.id, Some(sarah.id), 9).await.unwrap(), members[1..]);
    assert_eq!(groups::members::list_of_peer(reader, john.id, None, 9).await.unwrap(), members[1..]);
    assert_eq!(groups::members::count(reader, team.id).await.unwrap(), 2);
    assert!(groups::title_taken(reader, &id("contoso"), "team").await.unwrap());

    let transaction = store.begin().await.unwrap();
    let error = groups::insert(transaction.connection(), &group("contoso", "TEAM")).await.unwrap_err();
    assert_eq!(error.constraint(), Some(Constraint::GroupTitle));
    transaction.rollback().await.unwrap();
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    for member in &members {
        groups::members::delete(conn, member.group, member.peer).await.unwrap();
    }
    let gone = groups::members::delete(conn, team.id, john.id).await;
    assert!(matches!(gone, Err(StoreError::Missing { .. })));
    groups::delete(conn, team.id).await.unwrap();
    assert_eq!(groups::find(conn, team.id).await.unwrap(), None);
    transaction.commit().await.unwrap();
}

async fn the_catalogue_comes_back_as_it_was(database: &Database) {
    let store = &database.store;
    let mut many: Vec<_> = (0..4096).map(|number| permission(&format!("resource_{number:04}.view"))).collect();
    many[1].owner = PermissionOwner::Account(id("contoso"));
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    permissions::insert_many(conn, &many, 1).await.unwrap();
    many[0].flags = PermissionFlags { reserved: true, from_outside: true, ..PermissionFlags::default() };
    permissions::update(conn, &many[0], 2).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(permissions::list(store.reader(), None, 5000).await.unwrap(), many);
    assert_eq!(permissions::list(store.reader(), Some(&many[9].name), 1).await.unwrap(), many[10..11]);
    let nothing = PermissionName::parse("nothing.view").unwrap();
    assert_eq!(permissions::find(store.reader(), &nothing).await.unwrap(), None);
}

async fn packs_remember_their_last_digest(database: &Database) {
    let store = &database.store;
    let pack =
        |id: &str, first, update_revision| LoadedPack { id: id.to_owned(), digest: [first; 32], update_revision };
    let transaction = store.begin().await.unwrap();
    for pack in [pack("keepit", 1, 1), pack("core", 2, 1), pack("keepit", 3, 2)] {
        packs::save(transaction.connection(), &pack).await.unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(packs::list(store.reader()).await.unwrap(), [pack("core", 2, 1), pack("keepit", 3, 2)]);
}

async fn requests_are_answered_once(database: &Database) {
    let store = &database.store;
    let key = |caller: &str| RequestKey {
        caller: caller.to_owned(),
        method: "Create".to_owned(),
        request_id: "r".to_owned(),
    };
    let request = |caller: &str, time| StoredRequest {
        key: key(caller),
        body_hash: [7; 32],
        response: vec![0, 1, 2],
        create_time: at(time),
    };
    let transaction = store.begin().await.unwrap();
    requests::save(transaction.connection(), &request("sarah", 10), at(0)).await.unwrap();
    requests::save(transaction.connection(), &request("john", 20), at(0)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(requests::find(store.reader(), &key("sarah")).await.unwrap(), Some(request("sarah", 10)));
    assert_eq!(requests::find(store.reader(), &key("emily")).await.unwrap(), None);
    let transaction = store.begin().await.unwrap();
    let error = requests::save(transaction.connection(), &request("sarah", 30), at(9)).await.unwrap_err();
    assert_eq!(error.constraint(), Some(Constraint::Request));
    transaction.rollback().await.unwrap();
    let transaction = store.begin().await.unwrap();
    requests::save(transaction.connection(), &request("sarah", 30), at(10)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(requests::find(store.reader(), &key("sarah")).await.unwrap(), Some(request("sarah", 30)));
    let transaction = store.begin().await.unwrap();
    assert_eq!(requests::delete_until(transaction.connection(), at(19), 9).await.unwrap(), 0);
    assert_eq!(requests::delete_until(transaction.connection(), at(30), 1).await.unwrap(), 1, "the oldest first");
    transaction.commit().await.unwrap();
    assert_eq!(requests::find(store.reader(), &key("john")).await.unwrap(), None);
    let transaction = store.begin().await.unwrap();
    assert_eq!(requests::delete_until(transaction.connection(), at(30), 9).await.unwrap(), 1);
    transaction.commit().await.unwrap();
}

async fn the_bootstrap_is_claimed_once(database: &Database) {
    let store = &database.store;
    let operator = PeerId::from(fresh());
    assert_eq!(bootstrap::operator(store.reader()).await.unwrap(), None);
    let transaction = store.begin().await.unwrap();
    bootstrap::claim(transaction.connection(), operator, at(1)).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = store.begin().await.unwrap();
    let error = bootstrap::claim(transaction.connection(), operator, at(2)).await.unwrap_err();
    assert_eq!(error.constraint(), Some(Constraint::Bootstrap));
    drop(transaction);
    assert_eq!(bootstrap::operator(store.reader()).await.unwrap(), Some(operator));
}
