//! Revisions, the feed, and loading everything.

use std::time::Duration;

use peerage::domain::account::AccountKind;
use peerage::domain::binding::Principal;
use peerage::domain::fact::{AccountFact, Change, Fact, FactKey, Mark};
use peerage::domain::peer::PeerStatus;
use peerage::storage::change_feed::{Revision, head, load, since};
use peerage::storage::peers::StatusChange;
use peerage::storage::{
    Store, StoreError, StoreOptions, accounts, api_keys, bindings, facts, groups, peers, permissions,
};

use super::world::{account, add_peer, api_key, at, binding, group, id, member, permission, tree};
use super::{Database, is_corrupt, on_both_migrated};

on_both_migrated![
    a_revision_holds_its_changes_in_order,
    without_changes_there_is_no_revision,
    commit_times_never_go_back,
    concurrent_writers_make_gapless_revisions,
    a_second_writer_waits_for_the_first,
    a_gap_or_unreadable_change_is_corrupt,
    loading_yields_the_facts_of_everything_live,
    many_changes_fit_in_one_revision
];

fn fact(name: &str) -> AccountFact {
    facts::account(&account(name, Some("platform"), AccountKind::Partner))
}

fn made(name: &str) -> Change {
    Change::made(Fact::Account(fact(name)))
}

async fn write(store: &Store, now: i64, changes: &[Change]) -> Result<i64, StoreError> {
    let mut policy = store.begin_policy().await?;
    policy.append_changes(at(now), changes).await?;
    policy.commit().await
}

/// The revisions after one, up to the end.
async fn after(store: &Store, mark: Mark) -> Result<Vec<Revision>, StoreError> {
    let head = head(store.reader()).await?;
    let revisions = since(store.reader(), mark, head.revision, 1000).await?;
    assert_eq!(revisions.last().map_or(mark, |last| last.mark), head, "the digests lead to that of the row");
    Ok(revisions)
}

async fn a_revision_holds_its_changes_in_order(database: &Database) {
    let store = &database.store;
    let mut policy = store.begin_policy().await.unwrap();
    assert_eq!((policy.head().await.unwrap(), policy.made()), (Mark::default(), None));
    let renamed = Change::changed(Fact::Account(fact("aa")), Fact::Account(fact("aa")));
    assert_eq!(policy.append_changes(at(5), &[made("aa"), made("bb")]).await.unwrap().revision, 1);
    assert_eq!(policy.append_changes(at(9), std::slice::from_ref(&renamed)).await.unwrap().revision, 1);
    assert_eq!(policy.made().map(|made| made.revision), Some(1));
    assert_eq!(policy.commit().await.unwrap(), 1);
    assert_eq!(write(store, 6, &[Change::gone(Fact::Account(fact("bb")))]).await.unwrap(), 2);

    let revisions = after(store, Mark::default()).await.unwrap();
    assert_eq!(revisions.len(), 2);
    assert_eq!((revisions[0].mark.revision, revisions[0].commit_time), (1, at(5)));
    assert_eq!(revisions[0].changes, [made("aa"), made("bb"), renamed]);
    assert_eq!(revisions[1].changes[0].key(), Some(FactKey::Account(id("bb"))));
    assert_eq!(since(store.reader(), Mark::default(), 1, 10).await.unwrap(), revisions[..1]);
    assert_eq!(after(store, revisions[0].mark).await.unwrap(), revisions[1..]);
    assert!(after(store, revisions[1].mark).await.unwrap().is_empty());
    for rows in 1..=5 {
        let some = since(store.reader(), Mark::default(), 2, rows).await.unwrap();
        assert!(!some.is_empty(), "one at least");
        assert_eq!(some, revisions[..some.len()], "{rows} rows hold whole revisions");
        assert_eq!(some.len() == 2, rows == 3 || rows == 5, "only what was read to its end");
    }
}

async fn without_changes_there_is_no_revision(database: &Database) {
    let store = &database.store;
    assert_eq!(write(store, 1, &[]).await.unwrap(), 0);
    let mut policy = store.begin_policy().await.unwrap();
    policy.append_changes(at(1), &[made("aa")]).await.unwrap();
    policy.rollback().await.unwrap();
    let mut policy = store.begin_policy().await.unwrap();
    policy.append_changes(at(1), &[made("aa")]).await.unwrap();
    drop(policy);
    assert_eq!(write(store, 1, &[made("bb")]).await.unwrap(), 1);
    assert_eq!(after(store, Mark::default()).await.unwrap()[0].changes, [made("bb")]);
}

async fn commit_times_never_go_back(database: &Database) {
    let store = &database.store;
    for now in [10, 4, 12] {
        write(store, now, &[made("aa")]).await.unwrap();
    }
    let times: Vec<_> =
        after(store, Mark::default()).await.unwrap().iter().map(|revision| revision.commit_time).collect();
    assert_eq!(times, [at(10), at(10), at(12)]);
}

async fn concurrent_writers_make_gapless_revisions(database: &Database) {
    const EACH: usize = 20;
    let mut tasks = Vec::new();
    for writer in 0..6 {
        let store = database.other(&StoreOptions { max_connections: 2, ..StoreOptions::default() }).await;
        tasks.push(tokio::spawn(async move {
            let mut last = 0;
            for round in 0..EACH {
                let revision = write(&store, 1, &[made(&format!("w{writer}-{round}"))]).await.unwrap();
                assert!(revision > last, "a writer's own revisions rise");
                last = revision;
                assert!(store.revision().await.unwrap() >= revision, "what is acknowledged is there");
            }
            store.close().await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let revisions = after(&database.store, Mark::default()).await.unwrap();
    assert!(revisions.iter().map(|revision| revision.mark.revision).eq(1..=6 * EACH as i64));
    assert!(revisions.iter().all(|revision| revision.changes.len() == 1));
}

async fn a_second_writer_waits_for_the_first(database: &Database) {
    let impatient = StoreOptions { lock_timeout: Duration::from_millis(50), ..StoreOptions::default() };
    let other = database.other(&impatient).await;
    let first = database.store.begin_policy().await.unwrap();
    let error = other.begin_policy().await.unwrap_err();
    assert!(error.is_conflict(), "{error:?}");
    first.rollback().await.unwrap();
    other.begin_policy().await.unwrap().rollback().await.unwrap();
    other.close().await.unwrap();
}

async fn a_gap_or_unreadable_change_is_corrupt(database: &Database) {
    let store = &database.store;
    for name in ["aa", "bb", "cc"] {
        write(store, 1, &[made(name)]).await.unwrap();
    }
    database.sql("DELETE FROM policy_changes WHERE revision = 2").await;
    is_corrupt(after(store, Mark::default()).await, "policy_changes");
    is_corrupt(since(store.reader(), Mark { revision: 2, digest: [0; 32] }, 4, 9).await, "policy_changes");
    database.sql("UPDATE policy_changes SET after = '{' WHERE revision = 3").await;
    is_corrupt(after(store, Mark { revision: 2, digest: [0; 32] }).await, "policy_changes");
    database.sql("UPDATE policy_changes SET after = NULL WHERE revision = 3").await;
    is_corrupt(after(store, Mark { revision: 2, digest: [0; 32] }).await, "policy_changes");
}

async fn many_changes_fit_in_one_revision(database: &Database) {
    let changes: Vec<Change> = (0..10_000).map(|number| made(&format!("a{number}"))).collect();
    write(&database.store, 1, &changes).await.unwrap();
    let revisions = after(&database.store, Mark::default()).await.unwrap();
    assert_eq!(revisions[0].changes, changes);
}

async fn loading_yields_the_facts_of_everything_live(database: &Database) {
    let store = &database.store;
    let role = tree(store).await;
    let sarah = add_peer(store, "Sarah", "contoso").await;
    let mut gone = add_peer(store, "gone", "msp").await;
    let (team, mut keys) = (group("contoso", "Team"), [1, 2, 3].map(|first| api_key(sarah.id, first)));
    keys[2].expire_time = Some(at(100));
    let (own, through) = (
        binding(Principal::Peer(sarah.id), &role.id, "contoso"),
        binding(Principal::Group(team.id), &role.id, "sales"),
    );
    let mut policy = store.begin_policy().await.unwrap();
    let conn = policy.connection();
    permissions::insert_many(conn, &[permission("devices.view"), permission("accounts.view")], 1).await.unwrap();
    groups::insert(conn, &team).await.unwrap();
    groups::members::insert(conn, &member(team.id, sarah.id)).await.unwrap();
    bindings::insert_many(conn, &[own.clone(), through.clone()]).await.unwrap();
    for key in &keys {
        api_keys::insert(conn, key).await.unwrap();
    }
    api_keys::revoke(conn, keys[1].id, at(1), 1).await.unwrap();
    let deleted = StatusChange { status: PeerStatus::Deleted, now: at(1), delete_time: Some(at(1)), revision: 1 };
    peers::set_status(conn, &[gone.id], deleted).await.unwrap();
    gone.status = PeerStatus::Deleted;
    accounts::tombstone(conn, &[id("fabrikam")], at(1), 1).await.unwrap();
    policy.append_changes(at(1), &[made("aa")]).await.unwrap();
    policy.commit().await.unwrap();

    let mut loaded = Vec::new();
    let mark = load(store, at(100), |fact| loaded.push(fact)).await.unwrap();
    assert_eq!(mark, head(store.reader()).await.unwrap());
    let mut expected =
        vec![Fact::Permission(permission("accounts.view")), Fact::Permission(permission("devices.view"))];
    for name in ["platform", "msp", "contoso", "sales"] {
        expected.push(Fact::Account(facts::account(&accounts::get(store.reader(), &id(name)).await.unwrap())));
    }
    expected.push(Fact::Role(facts::role(&role)));
    expected.push(Fact::Group(facts::group(&team)));
    expected.extend([&sarah, &gone].map(|peer| Fact::Peer(facts::peer(peer))));
    expected.push(Fact::Member(facts::member(&member(team.id, sarah.id))));
    expected.extend([&own, &through].map(|binding| Fact::Binding(facts::binding(binding))));
    expected.push(Fact::ApiKey(facts::api_key(&keys[0])));
    assert_eq!(loaded, expected);

    let own_store = store.clone();
    let counting = tokio::spawn(async move {
        let mut count = 0;
        load(&own_store, at(99), |_| count += 1).await.unwrap();
        count
    });
    assert_eq!(counting.await.unwrap(), expected.len() + 1, "a key counts until its end");
    database.sql("UPDATE role_bindings SET reach = 'SIDEWAYS'").await;
    is_corrupt(load(store, at(99), drop).await, "role_bindings");
}

/// What the lock is for: without it, two writers judge the same past.
#[cfg(feature = "fault-injection")]
#[tokio::test]
async fn without_the_lock_two_writers_see_the_same_revision() {
    let database = Database::postgres().await.migrated().await;
    let store = database.other(&StoreOptions { without_revision_lock: true, ..StoreOptions::default() }).await;
    let mut first = store.begin_policy().await.unwrap();
    let mut second = store.begin_policy().await.unwrap();
    for transaction in [&first, &second] {
        assert_eq!(transaction.head().await.unwrap().revision, 0);
    }
    assert_eq!(first.append_changes(at(1), &[made("aa")]).await.unwrap().revision, 1);
    first.commit().await.unwrap();
    assert_eq!(second.append_changes(at(1), &[made("bb")]).await.unwrap().revision, 2);
    second.commit().await.unwrap();
    store.close().await.unwrap();
    database.remove().await;
}
