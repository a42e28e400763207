//! The audit logs: gapless, chained, linked, and whole when read back.

use peerage::domain::audit::{Actor, AuditDraft, Change, GENESIS, Personal, Target, Text, leaf_hash, open};
use peerage::domain::ids::AccountId;
use peerage::storage::audit::{Entry, Recording, append, events_after, head};
use peerage::storage::{Store, StoreError, StoreOptions};

use super::world::{at, fresh, id};
use super::{Database, on_both_migrated};

on_both_migrated![
    events_come_back_as_they_were_sealed,
    an_act_across_accounts_is_linked,
    concurrent_appends_leave_no_gap,
    nothing_stays_of_a_rolled_back_append,
    erased_values_leave_the_proof,
    an_act_may_touch_more_logs_than_a_statement_holds
];

fn draft(action: &str) -> AuditDraft {
    let target = Target::new("peer", Text::public("peers/0193a7b2-0000-7000-8000-000000000000"));
    let actor = Actor::System { name: "test".to_owned() };
    let mut draft = AuditDraft::success(at(1), actor, action, target);
    draft.justification = Some(Personal::new("Zoë asked for it"));
    draft.changes = vec![Change {
        field: "user_name".to_owned(),
        before: Some(Text::personal("old")),
        after: Some(Text::personal("new")),
    }];
    draft
}

fn entry(logs: &[&str], action: &str) -> Entry {
    Entry { logs: logs.iter().map(|log| id(log)).collect(), draft: draft(action) }
}

async fn write(store: &Store, entries: &[Entry]) -> Result<(), StoreError> {
    let transaction = store.begin().await?;
    let recording = Recording { revision: Some(7), recorded_time: at(2), event_id: &mut fresh, salt: &mut || [9; 32] };
    append(transaction.connection(), entries, recording).await?;
    transaction.commit().await
}

/// Walks a log and checks number, chain and leaf of every event; returns how many there are.
async fn verify(store: &Store, account: &AccountId) -> i64 {
    let (mut after, mut prev) = (0, GENESIS);
    loop {
        let events = events_after(store.reader(), account, after, 7).await.unwrap();
        if events.is_empty() {
            let head = head(store.reader(), account).await.unwrap();
            assert_eq!(head.map(|head| (head.next_seq, head.hash)), (after > 0).then_some((after + 1, prev)));
            return after;
        }
        for event in events {
            assert_eq!((event.seq, event.prev_hash), (after + 1, prev), "{account}");
            assert_eq!(event.leaf_hash, leaf_hash(&event.bytes));
            (after, prev) = (event.seq, event.leaf_hash);
        }
    }
}

async fn events_come_back_as_they_were_sealed(database: &Database) {
    let store = &database.store;
    let transaction = store.begin().await.unwrap();
    let mut salts = 0;
    let mut salt = || {
        salts += 1;
        [salts; 32]
    };
    let recording = Recording { revision: Some(7), recorded_time: at(2), event_id: &mut fresh, salt: &mut salt };
    let entries = [entry(&["contoso"], "peers.create"), entry(&["contoso"], "peers.update")];
    let sealed = append(transaction.connection(), &entries, recording).await.unwrap();
    transaction.commit().await.unwrap();
    let stored = events_after(store.reader(), &id("contoso"), 0, 10).await.unwrap();
    assert_eq!(stored.len(), 2);
    for (mut stored, mut sealed) in stored.into_iter().zip(sealed) {
        let opened = open(&stored.bytes, &stored.personal).unwrap();
        assert_eq!(opened.position.revision, Some(7));
        assert_eq!(opened.body.justification.as_ref().and_then(Personal::value), Some("Zoë asked for it"));
        stored.personal.sort_by(|left, right| left.path.cmp(&right.path));
        sealed.personal.sort_by(|left, right| left.path.cmp(&right.path));
        assert_eq!(stored, sealed);
    }
    assert_eq!(verify(store, &id("contoso")).await, 2);
    assert_eq!(head(store.reader(), &id("fabrikam")).await.unwrap(), None);
}

async fn an_act_across_accounts_is_linked(database: &Database) {
    let store = &database.store;
    write(store, &[entry(&["contoso"], "accounts.update")]).await.unwrap();
    write(store, &[entry(&["msp", "contoso", "msp"], "accounts.move")]).await.unwrap();
    let contoso = events_after(store.reader(), &id("contoso"), 1, 9).await.unwrap();
    let msp = events_after(store.reader(), &id("msp"), 0, 9).await.unwrap();
    assert_eq!((contoso.len(), msp.len()), (1, 1), "a log named twice gets one event");
    for (event, other) in [(&contoso[0], &msp[0]), (&msp[0], &contoso[0])] {
        let linked = open(&event.bytes, &event.personal).unwrap().position.linked;
        assert_eq!(linked.len(), 1);
        assert_eq!(
            (&linked[0].account, linked[0].seq, linked[0].event_id),
            (&other.account, other.seq, other.event_id)
        );
    }
}

async fn concurrent_appends_leave_no_gap(database: &Database) {
    const EACH: i64 = 15;
    let mut tasks = Vec::new();
    for writer in 0..6 {
        let store = database.other(&StoreOptions { max_connections: 2, ..StoreOptions::default() }).await;
        tasks.push(tokio::spawn(async move {
            let logs: [&[&str]; 3] = [&["aa", "bb"], &["bb", "aa", "cc"], &["cc", "bb"]];
            for round in 0..EACH {
                let entries = [entry(logs[writer % 3], "peers.view"), entry(&["bb"], &format!("peers.view_{round}"))];
                write(&store, &entries).await.unwrap();
            }
            store.close().await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for (log, expected) in [("aa", 4 * EACH), ("bb", 12 * EACH), ("cc", 4 * EACH)] {
        assert_eq!(verify(&database.store, &id(log)).await, expected, "{log}");
    }
}

async fn nothing_stays_of_a_rolled_back_append(database: &Database) {
    let store = &database.store;
    write(store, &[entry(&["aa"], "peers.view")]).await.unwrap();
    let transaction = store.begin().await.unwrap();
    let recording = Recording { revision: None, recorded_time: at(2), event_id: &mut fresh, salt: &mut || [9; 32] };
    append(transaction.connection(), &[entry(&["aa", "bb"], "peers.view")], recording).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(verify(store, &id("aa")).await, 1);
    assert_eq!(verify(store, &id("bb")).await, 0);
    write(store, &[]).await.unwrap();
    write(store, &[entry(&["aa", "bb"], "peers.view")]).await.unwrap();
    assert_eq!(verify(store, &id("aa")).await, 2);
}

async fn erased_values_leave_the_proof(database: &Database) {
    let store = &database.store;
    write(store, &[entry(&["aa"], "peers.view")]).await.unwrap();
    database.sql("DELETE FROM audit_personal WHERE path = '/justification'").await;
    let events = events_after(store.reader(), &id("aa"), 0, 9).await.unwrap();
    let opened = open(&events[0].bytes, &events[0].personal).unwrap();
    assert!(matches!(opened.body.justification, Some(Personal::Erased(_))));
    assert_eq!(opened.body.changes[0].after.as_ref().and_then(Text::value), Some("new"));
    assert_eq!(verify(store, &id("aa")).await, 1);
}

/// Three values a log: one statement for all would end at 10,922 logs on SQLite.
async fn an_act_may_touch_more_logs_than_a_statement_holds(database: &Database) {
    let store = &database.store;
    let names: Vec<String> = (0..11_000).map(|number| format!("log-{number}")).collect();
    let entries: Vec<Entry> = names.iter().map(|name| entry(&[name], "accounts.delete")).collect();
    for _ in 0..2 {
        write(store, &entries).await.unwrap();
    }
    for name in [&names[0], &names[10_999]] {
        assert_eq!(verify(store, &id(name)).await, 2, "{name}");
    }
}
