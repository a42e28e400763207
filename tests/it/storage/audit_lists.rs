//! Lists over audit logs: what they find, in which order, by which index, and what is found of events
//! that are older than the indexes.

use peerage::storage::Store;
use peerage::storage::audit::list::{
    Condition, Direction, Logs, Matching, Place, Reading, Search, Source, Test, count_gathered, rows, select,
};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::world::id;
use super::{Database, on_both, on_both_migrated};

mod migrated {
    use super::*;

    on_both_migrated![
        every_narrowest_test_is_walked_along_its_index,
        a_text_is_found_by_the_index_and_in_its_logs_alone,
        a_log_keeps_the_order_of_its_numbers_when_a_clock_steps_back
    ];

    pub(super) use super::{
        a_log_keeps_the_order_of_its_numbers_when_a_clock_steps_back,
        a_text_is_found_by_the_index_and_in_its_logs_alone, every_narrowest_test_is_walked_along_its_index,
    };
}

on_both![events_from_before_a_migration_are_listed_after_it];

const OLDEST: Direction = Direction::OldestFirst;

fn is(test: Test) -> Matching {
    Matching { condition: Condition::All(vec![Condition::Is(test)]), search: None }
}

fn searched(text: &str) -> Matching {
    Matching { search: Search::of(text), ..Matching::default() }
}

/// 20,000 events in four logs, by the database itself.
async fn crowd(database: &Database) {
    let (series, blob, uuid) = match database.store.reader().get_database_backend() {
        DbBackend::Postgres => ("SELECT generate_series(0, 19999) AS n", "''::bytea", "md5(n::text)::uuid"),
        _ => (
            "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 19999) SELECT n FROM s",
            "x''",
            "randomblob(16)",
        ),
    };
    for log in ["log-0", "log-1", "log-2", "log-3"] {
        let sql = format!("INSERT INTO audit_logs (account_id, next_seq, head_hash) VALUES ('{log}', 5001, {blob})");
        database.sql(&sql).await;
    }
    database
        .sql(&format!(
            "INSERT INTO audit_events (account_id, seq, event_id, recorded_time, occurred_time, action, actor, target, \
             outcome, reason, reporter, order_time, search_key, bytes, leaf_hash, prev_hash) \
             SELECT 'log-' || (n % 4), n / 4 + 1, {uuid}, n, n, 'things.act_' || (n % 7), 'peers/' || (n % 100), \
             CASE n % 3 WHEN 0 THEN 'things/' || n END, CASE n % 500 WHEN 0 THEN 'DENIED' ELSE 'SUCCESS' END, \
             CASE n % 500 WHEN 0 THEN 'NO' END, CASE n % 1000 WHEN 1 THEN 'peers/0' END, n, 'text number ' || n, \
             {blob}, {blob}, {blob} FROM ({series}) AS series"
        ))
        .await;
}

/// What a database does by itself now and then. PostgreSQL reads a trigram index gladly only when nothing
/// waits to be put into it.
async fn analyze(database: &Database) {
    let sql = match database.store.reader().get_database_backend() {
        DbBackend::Postgres => {
            "SELECT gin_clean_pending_list('audit_events_search_idx'), \
             gin_clean_pending_list('audit_personal_search_idx'); ANALYZE"
        }
        _ => "ANALYZE",
    };
    database.sql(sql).await;
}

async fn plan(store: &Store, reading: &Reading<'_>, after: Option<&Place>) -> String {
    let backend = store.reader().get_database_backend();
    let statement = select(backend, reading, after, 51);
    let ((sql, values), prefix, column) = match backend {
        DbBackend::Postgres => (statement.build(sea_orm::sea_query::PostgresQueryBuilder), "EXPLAIN", "QUERY PLAN"),
        _ => (statement.build(sea_orm::sea_query::SqliteQueryBuilder), "EXPLAIN QUERY PLAN", "detail"),
    };
    let statement = Statement { sql: format!("{prefix} {sql}"), values: Some(values), db_backend: backend };
    let found = store.reader().query_all_raw(statement).await.unwrap();
    found.iter().map(|row| row.try_get::<String>("", column).unwrap()).collect::<Vec<_>>().join("\n")
}

async fn read(store: &Store, reading: &Reading<'_>, after: Option<&Place>, limit: u64) -> Vec<(Place, bool)> {
    let found = rows(store.reader(), reading, after, limit).await.unwrap();
    found.into_iter().map(|row| (row.place, row.matches)).collect()
}

async fn every_narrowest_test_is_walked_along_its_index(database: &Database) {
    let store = &database.store;
    crowd(database).await;
    let one = Logs::These(vec![id("log-1")]);
    let three = Logs::These(["log-0", "log-1", "log-3"].map(id).into());
    for analyzed in [false, true] {
        if analyzed {
            analyze(database).await;
        }
        for (matching, index) in [
            (Matching::default(), "audit_events_account_id_order_time_idx"),
            (searched("5"), "audit_events_account_id_order_time_idx"),
            (is(Test::Reason("NO".to_owned())), "audit_events_account_id_order_time_idx"),
            (is(Test::Actor("peers/1".to_owned())), "audit_events_actor_idx"),
            (is(Test::Action("things.act_1".to_owned())), "audit_events_action_idx"),
            (is(Test::Target("things/9".to_owned())), "audit_events_target_idx"),
            (is(Test::Outcome("DENIED")), "audit_events_outcome_idx"),
            (is(Test::Reporter("peers/0".to_owned())), "audit_events_reporter_idx"),
        ] {
            for (logs, direction) in [(&one, OLDEST), (&one, Direction::NewestFirst), (&three, OLDEST)] {
                let reading = Reading { logs, matching: &matching, direction, source: Source::Walk };
                let after = Place { time: 10_000, account: id("log-1"), seq: 2501 };
                for after in [None, Some(&after)] {
                    let plan = plan(store, &reading, after).await;
                    // With statistics a database may take another index for what is rare, and PostgreSQL
                    // without any takes all for rare.
                    let is_free = analyzed || store.reader().get_database_backend() == DbBackend::Postgres;
                    let by_index = if is_free { plan.contains("audit_events_") } else { plan.contains(index) };
                    let scans = plan.contains("Seq Scan on audit_events") || plan.contains("SCAN audit_events");
                    assert!(by_index && !scans, "{matching:?} {direction:?} {after:?} {analyzed}:\n{plan}");
                }
            }
        }
        let all = Matching::default();
        let reading = Reading { logs: &Logs::All, matching: &all, direction: OLDEST, source: Source::Walk };
        let plan = plan(store, &reading, None).await;
        assert!(plan.contains("audit_events_order_time_idx"), "{plan}");
    }
    // What the rows say is what each one is, and they are the same walked side by side or all together.
    let matching = is(Test::Outcome("DENIED"));
    let reading = |logs, direction| Reading { logs, matching: &matching, direction, source: Source::Walk };
    let denied: Vec<i64> =
        read(store, &reading(&three, OLDEST), None, 100).await.iter().map(|row| row.0.time).collect();
    assert_eq!(denied, (0..20_000).step_by(500).collect::<Vec<i64>>());
    let all = read(store, &reading(&Logs::All, Direction::NewestFirst), None, 1000).await;
    assert_eq!(all.iter().map(|row| row.0.time).collect::<Vec<_>>(), (19_000..20_000).rev().collect::<Vec<_>>());
    assert_eq!(all.iter().filter(|row| row.1).map(|row| row.0.time).collect::<Vec<_>>(), [19_500, 19_000]);
}

async fn a_text_is_found_by_the_index_and_in_its_logs_alone(database: &Database) {
    let store = &database.store;
    crowd(database).await;
    analyze(database).await;
    let matching = searched("NUMBER 777");
    let search = matching.search.clone().unwrap();
    // 777, and 7770 to 7779, of which the logs 1 and 3 have what is odd.
    let odd = Logs::These(vec![id("log-1"), id("log-3")]);
    for (logs, count) in [(Logs::All, 11), (odd, 6), (Logs::These(vec![id("log-2")]), 3)] {
        assert_eq!(count_gathered(store.reader(), &logs, &search, 100).await.unwrap(), count, "{logs:?}");
        assert_eq!(count_gathered(store.reader(), &logs, &search, 1).await.unwrap(), 2, "{logs:?}");
        let reading = Reading { logs: &logs, matching: &matching, direction: OLDEST, source: Source::Gather };
        let found = read(store, &reading, None, 100).await;
        assert_eq!(found.len() as u64, count, "{found:?}");
        assert!(found.iter().all(|(place, matches)| *matches && place.time.to_string().starts_with("777")));
        assert!(found.is_sorted());
        let rest = read(store, &reading, found.first().map(|first| &first.0), 100).await;
        assert_eq!(rest, found[1..]);
        let plan = plan(store, &reading, None).await;
        assert!(plan.contains("search") && !plan.contains("Seq Scan on audit_events"), "{plan}");
        // Walking tells the same of each row.
        let walk = Reading { source: Source::Walk, ..reading };
        let walked = read(store, &walk, None, 20_000).await;
        assert_eq!(walked.into_iter().filter(|row| row.1).collect::<Vec<_>>(), found);
    }
}

async fn a_log_keeps_the_order_of_its_numbers_when_a_clock_steps_back(database: &Database) {
    use peerage::domain::audit::{Actor, AuditDraft, Target, Text};
    use peerage::storage::audit::{Entry, Recording, append, head};

    use super::world::{at, fresh};
    let store = &database.store;
    for (log, micros) in [("aa", 50), ("bb", 60), ("aa", 40), ("aa", 70), ("bb", 10)] {
        let transaction = store.begin().await.unwrap();
        let actor = Actor::System { name: "test".to_owned() };
        let target = Target::new("thing", Text::public("things/1"));
        let draft = AuditDraft::success(at(micros), actor, "things.act", target);
        let recording =
            Recording { revision: None, recorded_time: at(micros), event_id: &mut fresh, salt: &mut || [9; 32] };
        append(transaction.connection(), &[Entry { logs: vec![id(log)], draft }], recording).await.unwrap();
        transaction.commit().await.unwrap();
    }
    let all = Matching::default();
    let reading = Reading { logs: &Logs::All, matching: &all, direction: OLDEST, source: Source::Walk };
    let order: Vec<(String, i64, i64)> = read(store, &reading, None, 9)
        .await
        .into_iter()
        .map(|(place, _)| (place.account.to_string(), place.seq, place.time))
        .collect();
    let row = |log: &str, seq, time| (log.to_owned(), seq, time);
    assert_eq!(order, [row("aa", 1, 50), row("aa", 2, 50), row("bb", 1, 60), row("bb", 2, 60), row("aa", 3, 70)]);
    assert_eq!(head(store.reader(), &id("bb")).await.unwrap().unwrap().last_time, 60);
}

async fn events_from_before_a_migration_are_listed_after_it(database: &Database) {
    use sea_orm_migration::MigratorTrait as _;
    let store = &database.store;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    let is_postgres = conn.get_database_backend() == DbBackend::Postgres;
    if is_postgres {
        conn.execute_unprepared("CREATE EXTENSION pg_trgm").await.unwrap();
    }
    let before = migrations::names().iter().position(|name| name.ends_with("_audit_reading")).unwrap();
    migrations::Migrator::up(conn, Some(u32::try_from(before).unwrap())).await.unwrap();
    let blob = |text: &str| {
        if is_postgres { format!("convert_to('{text}', 'UTF8')") } else { format!("CAST('{text}' AS BLOB)") }
    };
    let uuid = |number: u8| {
        let id = uuid::Uuid::from_u128(u128::from(number));
        if is_postgres { format!("'{id}'") } else { format!("x'{}'", id.simple()) }
    };
    conn.execute_unprepared(&format!(
        "INSERT INTO audit_logs (account_id, next_seq, head_hash) VALUES ('aa', 3, {})",
        blob("")
    ))
    .await
    .unwrap();
    for (seq, time, reason, bytes) in [
        (1, 70, "NULL", r#"{"reporter":{"uid":"01935201-6b2c-7000-8000-0000000000a5"}}"#),
        (2, 40, "DENIED", r#"{"reason":"NOT_TODAY"}"#),
    ] {
        let outcome = if reason == "NULL" { "SUCCESS" } else { reason };
        let event = format!(
            "INSERT INTO audit_events (account_id, seq, event_id, recorded_time, occurred_time, action, actor, target, \
             outcome, bytes, leaf_hash, prev_hash) VALUES ('aa', {seq}, {}, {time}, {time}, 'things.act', NULL, NULL, \
             '{outcome}', {}, {}, {})",
            uuid(seq),
            blob(bytes),
            blob(""),
            blob("")
        );
        conn.execute_unprepared(&event).await.unwrap();
    }
    let personal = format!(
        "INSERT INTO audit_personal (account_id, seq, path, value, salt, commitment) \
         VALUES ('aa', 1, '/target/name', 'JANE', {}, {})",
        blob(""),
        blob("")
    );
    conn.execute_unprepared(&personal).await.unwrap();
    transaction.commit().await.unwrap();
    store.migrate().await.unwrap();
    let logs = Logs::These(vec![id("aa")]);
    let found = async |matching: Matching| -> Vec<i64> {
        let source = if matching.search.is_some() { Source::Gather } else { Source::Walk };
        let reading = Reading { logs: &logs, matching: &matching, direction: OLDEST, source };
        read(store, &reading, None, 9).await.into_iter().filter(|row| row.1).map(|row| row.0.seq).collect()
    };
    assert_eq!(found(Matching::default()).await, [1, 2], "in the order of the numbers, not of the clock");
    assert_eq!(found(is(Test::Reason("NOT_TODAY".to_owned()))).await, [2]);
    let reporter = "peers/01935201-6b2c-7000-8000-0000000000a5".to_owned();
    assert_eq!(found(is(Test::Reporter(reporter))).await, [1]);
    assert_eq!(found(searched("jane")).await, [1]);
    assert_eq!(found(searched("not_today")).await, [2]);
}
