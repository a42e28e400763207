//! Accounts, peers and API keys.

use peerage::domain::account::{AccountKind, Settings};
use peerage::domain::peer::{Peer, PeerStatus, UserName};
use peerage::storage::keyset::{Key, Order, Place};
use peerage::storage::peers::list::{Matching, Source};
use peerage::storage::peers::{Activity, StatusChange};
use peerage::storage::{Constraint, StoreError, accounts, api_keys, peers};

use super::lists::named;
use super::world::{account, add_peer, api_key, at, id, peer, tree};
use super::{Database, is_corrupt, on_both_migrated};

on_both_migrated![
    accounts_come_back_as_they_were,
    an_account_id_is_never_used_again,
    a_move_takes_the_subtree_along,
    a_move_to_another_branch_takes_its_peers_along,
    accounts_are_listed_by_level_and_by_subtree,
    peers_come_back_as_they_were,
    user_names_are_unique_also_among_the_deleted,
    a_purge_frees_the_user_name,
    an_update_keeps_the_last_sign_in,
    thousands_of_peers_go_in_at_once,
    api_keys_end_once,
    unreadable_rows_are_corrupt
];

async fn accounts_come_back_as_they_were(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let mut stored = accounts::get(store.reader(), &id("contoso")).await.unwrap();
    assert_eq!(stored, account_like(&stored));
    stored.title = "New".to_owned();
    stored.suspension = None;
    stored.settings = Settings::default();
    stored.version += 1;
    let transaction = store.begin().await.unwrap();
    accounts::update(transaction.connection(), &stored).await.unwrap();
    let missing = account("nobody", Some("msp"), AccountKind::Customer);
    let result = accounts::update(transaction.connection(), &missing).await;
    assert!(matches!(result, Err(StoreError::Missing { table: "accounts", .. })));
    transaction.commit().await.unwrap();
    assert_eq!(accounts::find(store.reader(), &id("contoso")).await.unwrap(), Some(stored));
    let mut found = accounts::find_many(store.reader(), &[id("sales"), id("msp"), id("nobody")]).await.unwrap();
    found.sort_by(|left, right| left.id.cmp(&right.id));
    assert!(found.iter().map(|account| account.id.as_str()).eq(["msp", "sales"]));
}

fn within(top: &str) -> accounts::Scope {
    accounts::Scope::Within(vec![id(top)])
}

async fn list(
    store: &peerage::storage::Store,
    scope: accounts::Scope,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<peerage::domain::account::Account>, StoreError> {
    let listing =
        accounts::Listing { scope, kind: None, order: Order { key: accounts::SortKey::Id, descending: false } };
    let after = after.map(|after| Place { key: Key::Id, id: id(after) });
    accounts::list(store.reader(), &listing, after.as_ref(), limit).await
}

fn account_like(stored: &peerage::domain::account::Account) -> peerage::domain::account::Account {
    let mut like = account("contoso", Some("msp"), AccountKind::Customer);
    like.first_peer = stored.first_peer;
    like.ownership_request.clone_from(&stored.ownership_request);
    like
}

async fn an_account_id_is_never_used_again(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let transaction = store.begin().await.unwrap();
    accounts::tombstone(transaction.connection(), &[id("contoso"), id("sales")], at(9), 5).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(accounts::find(store.reader(), &id("contoso")).await.unwrap(), None);
    assert!(accounts::id_taken(store.reader(), &id("contoso")).await.unwrap());
    assert!(!accounts::id_taken(store.reader(), &id("nobody")).await.unwrap());
    let transaction = store.begin().await.unwrap();
    let again = account("contoso", Some("msp"), AccountKind::Customer);
    let error = accounts::insert(transaction.connection(), &again).await.unwrap_err();
    assert_eq!(error.constraint(), Some(Constraint::AccountId));
    transaction.rollback().await.unwrap();
    let transaction = store.begin().await.unwrap();
    let below = account("below", Some("contoso"), AccountKind::Department);
    let result = accounts::insert(transaction.connection(), &below).await;
    assert!(matches!(result, Err(StoreError::Missing { .. })), "a deleted account holds nothing");
}

async fn a_move_takes_the_subtree_along(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    accounts::insert(conn, &account("reseller", Some("msp"), AccountKind::Partner)).await.unwrap();
    // Its path begins with that of `contoso`, yet it is not below it.
    accounts::insert(conn, &account("contoso-2", Some("msp"), AccountKind::Customer)).await.unwrap();
    let mut moved = accounts::get(conn, &id("contoso")).await.unwrap();
    moved.parent = Some(id("reseller"));
    moved.version += 1;
    accounts::move_subtree(conn, &moved).await.unwrap();
    transaction.commit().await.unwrap();

    assert_eq!(accounts::get(store.reader(), &id("contoso")).await.unwrap(), moved);
    for (top, below) in [
        ("reseller", vec!["contoso", "reseller", "sales"]),
        ("contoso", vec!["contoso", "sales"]),
        ("contoso-2", vec!["contoso-2"]),
        ("msp", vec!["contoso", "contoso-2", "fabrikam", "msp", "reseller", "sales"]),
    ] {
        let listed = list(store, within(top), None, 10).await.unwrap();
        assert!(listed.iter().map(|account| account.id.as_str()).eq(below), "{top}");
    }
}

async fn a_move_to_another_branch_takes_its_peers_along(database: &Database) {
    let store = &database.store;
    tree(store).await;
    for (name, home) in [("root", "platform"), ("partner", "msp"), ("customer", "contoso"), ("department", "sales")] {
        add_peer(store, name, home).await;
    }
    let branch = async |branch: &str| {
        named(store, &Source::Order, &Matching { branch: Some(id(branch)), ..Matching::default() }).await
    };
    let transfer = async |account: &str, parent: &str| {
        let transaction = store.begin().await.unwrap();
        let mut moved = accounts::get(transaction.connection(), &id(account)).await.unwrap();
        moved.parent = Some(id(parent));
        accounts::move_subtree(transaction.connection(), &moved).await.unwrap();
        transaction.commit().await.unwrap();
    };
    let transaction = store.begin().await.unwrap();
    let reseller = account("reseller", Some("platform"), AccountKind::Partner);
    accounts::insert(transaction.connection(), &reseller).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(branch("msp").await, ["partner", "customer", "department"]);

    transfer("contoso", "reseller").await;
    assert_eq!(branch("msp").await, ["partner"]);
    assert_eq!(branch("reseller").await, ["customer", "department"]);
    assert_eq!(branch("platform").await, ["root"]);
    // One that becomes a branch, and one that is none any more.
    transfer("sales", "platform").await;
    transfer("reseller", "msp").await;
    assert_eq!(branch("sales").await, ["department"]);
    assert_eq!(branch("msp").await, ["partner", "customer"]);
    assert_eq!(branch("reseller").await, Vec::<String>::new());
    // A later change of the peer leaves it where it is.
    let transaction = store.begin().await.unwrap();
    let mut peer = peers::find_by_user_name_key(store.reader(), "customer").await.unwrap().unwrap();
    peer.profile.email = "new@mail.example".to_owned();
    peers::update(transaction.connection(), &peer).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(branch("msp").await, ["partner", "customer"]);
}

async fn accounts_are_listed_by_level_and_by_subtree(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let children = list(store, accounts::Scope::Children(id("msp")), None, 10).await.unwrap();
    assert!(children.iter().map(|account| account.id.as_str()).eq(["contoso", "fabrikam"]));
    let rest = list(store, accounts::Scope::Children(id("msp")), Some("contoso"), 10).await.unwrap();
    assert_eq!(rest, children[1..]);
    let page = list(store, within("platform"), Some("contoso"), 2).await.unwrap();
    assert!(page.iter().map(|account| account.id.as_str()).eq(["fabrikam", "msp"]));
    assert!(list(store, within("nobody"), None, 9).await.unwrap().is_empty());
}

async fn peers_come_back_as_they_were(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let mut sarah = add_peer(store, "Sarah.Wilson@Contoso.example", "contoso").await;
    assert_eq!(peers::get(store.reader(), sarah.id).await.unwrap(), sarah);
    let found = peers::find_by_user_name_key(store.reader(), "sarah.wilson@contoso.example").await.unwrap();
    assert_eq!(found.as_ref(), Some(&sarah));
    sarah.user_name = UserName::parse("Müller").unwrap();
    sarah.profile = peerage::domain::peer::Profile::default();
    sarah.expire_time = None;
    sarah.person = None;
    sarah.default_role = None;
    let transaction = store.begin().await.unwrap();
    peers::update(transaction.connection(), &sarah).await.unwrap();
    let nobody = peer("nobody", "contoso");
    let result = peers::update(transaction.connection(), &nobody).await;
    assert!(matches!(result, Err(StoreError::Missing { table: "peers", .. })));
    transaction.commit().await.unwrap();
    assert_eq!(peers::find_many(store.reader(), &[sarah.id, nobody.id]).await.unwrap(), [sarah.clone()]);
    assert_eq!(peers::find_by_user_name_key(store.reader(), "müller").await.unwrap(), Some(sarah));
    assert_eq!(peers::count_home(store.reader(), &id("contoso")).await.unwrap(), 1);
}

async fn user_names_are_unique_also_among_the_deleted(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let sarah = add_peer(store, "Sarah", "contoso").await;
    let transaction = store.begin().await.unwrap();
    let deleted = StatusChange { status: PeerStatus::Deleted, now: at(9), delete_time: Some(at(9)), revision: 5 };
    peers::set_status(transaction.connection(), &[sarah.id], deleted).await.unwrap();
    transaction.commit().await.unwrap();
    let stored = peers::get(store.reader(), sarah.id).await.unwrap();
    assert_eq!((stored.status, stored.delete_time), (PeerStatus::Deleted, Some(at(9))));
    assert_eq!((stored.version, stored.update_revision), (sarah.version + 1, 5));
    assert_eq!(peers::count_home(store.reader(), &id("contoso")).await.unwrap(), 0);
    for name in ["SARAH", "ｓarah"] {
        let transaction = store.begin().await.unwrap();
        let error = peers::insert(transaction.connection(), &peer(name, "msp")).await.unwrap_err();
        assert_eq!(error.constraint(), Some(Constraint::UserName), "{name}");
    }
}

async fn a_purge_frees_the_user_name(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let (sarah, john) = (add_peer(store, "sarah", "contoso").await, add_peer(store, "john", "contoso").await);
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    let deleted = |micros| StatusChange {
        status: PeerStatus::Deleted,
        now: at(micros),
        delete_time: Some(at(micros)),
        revision: 5,
    };
    api_keys::insert(conn, &api_key(sarah.id, 1)).await.unwrap();
    peers::set_status(conn, &[john.id], deleted(8)).await.unwrap();
    peers::set_status(conn, &[sarah.id], deleted(9)).await.unwrap();
    assert_eq!(peers::deleted_until(conn, at(8), 10).await.unwrap(), [john.id]);
    assert_eq!(peers::deleted_until(conn, at(9), 10).await.unwrap(), [john.id, sarah.id]);
    peers::purge(conn, sarah.id).await.unwrap();
    assert!(matches!(peers::purge(conn, sarah.id).await, Err(StoreError::Missing { .. })));
    peers::insert(conn, &peer("Sarah", "msp")).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn an_update_keeps_the_last_sign_in(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let read_before = add_peer(store, "sarah", "contoso").await;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    peers::touch(conn, read_before.id, Activity::SignedIn, at(100)).await.unwrap();
    peers::touch(conn, read_before.id, Activity::Acted, at(120)).await.unwrap();
    peers::touch(conn, read_before.id, Activity::Acted, at(110)).await.unwrap();
    peers::update(conn, &read_before).await.unwrap();
    transaction.commit().await.unwrap();
    let stored = peers::get(store.reader(), read_before.id).await.unwrap();
    assert_eq!((stored.last_login_time, stored.last_active_time), (Some(at(100)), Some(at(120))));
    assert_eq!(stored.version, read_before.version);
}

async fn thousands_of_peers_go_in_at_once(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let many: Vec<Peer> = (0..3000).map(|number| peer(&format!("peer-{number}"), "contoso")).collect();
    let transaction = store.begin().await.unwrap();
    peers::insert_many(transaction.connection(), &many).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(peers::count_home(store.reader(), &id("contoso")).await.unwrap(), 3000);
    assert_eq!(peers::get(store.reader(), many[2999].id).await.unwrap(), many[2999]);
}

async fn api_keys_end_once(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let sarah = add_peer(store, "sarah", "contoso").await;
    let keys = [1, 2, 3].map(|first| api_key(sarah.id, first));
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    for key in &keys {
        api_keys::insert(conn, key).await.unwrap();
    }
    api_keys::revoke(conn, keys[0].id, at(7), 8).await.unwrap();
    let revoked = api_keys::revoke_all_of_peer(conn, sarah.id, at(9), 10).await.unwrap();
    assert_eq!(revoked, keys[1..]);
    for time in [5, 9, 7] {
        let uses = [(keys[0].id, at(time)), (keys[1].id, at(time + 1))];
        assert_eq!(api_keys::touch_many(&transaction, &uses).await.unwrap(), []);
    }
    transaction.commit().await.unwrap();
    let stored = api_keys::list_of_peer(store.reader(), sarah.id, None, 10).await.unwrap();
    assert!(stored.iter().map(|key| key.revoke_time).eq([Some(at(7)), Some(at(9)), Some(at(9))]));
    assert!(stored.iter().map(|key| key.update_revision).eq([8, 10, 10]));
    assert!(stored.iter().map(|key| key.last_used_time).eq([Some(at(9)), Some(at(10)), None]), "never backward");
    assert_eq!(api_keys::list_of_peer(store.reader(), sarah.id, Some(keys[0].id), 1).await.unwrap(), stored[1..2]);
    assert_eq!(api_keys::find(store.reader(), keys[2].id).await.unwrap().as_ref(), stored.last());
    let transaction = store.begin().await.unwrap();
    let error = api_keys::insert(transaction.connection(), &api_key(sarah.id, 1)).await.unwrap_err();
    assert_eq!(error.constraint(), Some(Constraint::ApiKey));
}

async fn unreadable_rows_are_corrupt(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let sarah = add_peer(store, "sarah", "contoso").await;
    database.sql("UPDATE accounts SET kind = 'PLANET' WHERE id = 'sales'").await;
    is_corrupt(accounts::find(store.reader(), &id("sales")).await, "accounts");
    database.sql("UPDATE accounts SET labels = 'x' WHERE id = 'msp'").await;
    is_corrupt(list(store, within("msp"), None, 9).await, "accounts");
    database.sql("UPDATE peers SET profile = '{\"unheard_of\":1}'").await;
    is_corrupt(peers::find(store.reader(), sarah.id).await, "peers");
}
