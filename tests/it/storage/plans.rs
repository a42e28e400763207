//! How the databases read lists: the plans of the statements.

use peerage::domain::binding::Principal;
use peerage::domain::ids::{AccountId, PeerId, RoleId};
use peerage::domain::peer::{MailFormat, PeerKind, PeerStatus, TwoFactor};
use peerage::storage::peers::list::{Comparison, Matching, Order, Place, SortKey, Source, Test, TimeColumn};
use peerage::storage::{Store, bindings, keyset, peers};
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait as _, DbBackend, QueryTrait as _, Statement};

use super::lists::{by, is, searched};
use super::world::{at, id, tree};
use super::{Database, on_both_migrated};

on_both_migrated![
    every_order_with_any_test_is_read_from_its_index,
    what_is_gathered_is_found_by_an_index,
    what_a_peer_holds_is_found_by_the_peer
];

/// Many peers at once, by the database itself.
async fn crowd(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let (series, uuid) = match store.reader().get_database_backend() {
        DbBackend::Postgres => ("SELECT generate_series(1, 20000) AS n", "md5(n::text)::uuid"),
        _ => (
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) SELECT n FROM s",
            "randomblob(16)",
        ),
    };
    let values = format!(
        "{uuid}, 'user ' || n, 'user ' || n, CASE n % 7 WHEN 0 THEN 'contoso' WHEN 1 THEN 'sales' ELSE 'platform' END, \
         CASE n % 10 WHEN 0 THEN 'DEVICE' ELSE 'PERSON' END, CASE n % 50 WHEN 0 THEN 'DISABLED' ELSE 'ENABLED' END, \
         '{{}}', 'name ' || (n % 977), 'mail' || (n * 7919 % 20000) || '@example', '', \
         CASE n % 4 WHEN 0 THEN 'TOTP' ELSE 'NONE' END, CASE n % 9 WHEN 0 THEN 'org ' || n ELSE '' END, \
         CASE n % 2 WHEN 0 THEN 'core.auditor' END, n, n, CASE n % 5 WHEN 0 THEN n END, 1, 1"
    );
    database
        .sql(&format!(
            "INSERT INTO peers (id, user_name, user_name_key, home_id, kind, status, profile, full_name_key, email_key, \
             company_key, two_factor, org_user, default_role, create_time, update_time, last_login_time, version, \
             update_revision, branch_id) SELECT {values}, CASE WHEN n % 7 < 2 THEN 'msp' ELSE 'platform' END \
             FROM ({series}) AS series"
        ))
        .await;
    database
        .sql(
            "UPDATE peers SET user_name_order = user_name_key, default_role_key = COALESCE(default_role, ''), \
             last_login_key = COALESCE(last_login_time, last_login_key), \
             facets = CASE kind WHEN 'DEVICE' THEN 4 ELSE 0 END + CASE status WHEN 'DISABLED' THEN 1 ELSE 0 END",
        )
        .await;
}

/// The plan of a statement, in the words of the database.
async fn plan(store: &Store, source: &Source, matching: &Matching, order: Order, after: Option<&Place>) -> String {
    let backend = store.reader().get_database_backend();
    let statement = peers::list::select(backend, source, matching, order, after, 51);
    plan_of(store, statement, !matches!(source, Source::Order)).await
}

async fn plan_of(store: &Store, select: SelectStatement, avoids_scans: bool) -> String {
    let backend = store.reader().get_database_backend();
    let (sql, values) = match backend {
        DbBackend::Postgres => select.build(sea_orm::sea_query::PostgresQueryBuilder),
        _ => select.build(sea_orm::sea_query::SqliteQueryBuilder),
    };
    let (prefix, column) = match backend {
        DbBackend::Postgres => ("EXPLAIN", "QUERY PLAN"),
        _ => ("EXPLAIN QUERY PLAN", "detail"),
    };
    let statement = Statement { sql: format!("{prefix} {sql}"), values: Some(values), db_backend: backend };
    let transaction = store.begin().await.unwrap();
    if backend == DbBackend::Postgres && avoids_scans {
        // A table of this size fits into a few pages, which are read at once where that is allowed.
        transaction.connection().execute_unprepared("SET LOCAL enable_seqscan = off").await.unwrap();
    }
    let rows = transaction.connection().query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get::<String>("", column).unwrap()).collect::<Vec<_>>().join("\n")
}

/// One test of every kind.
fn tests() -> Vec<Option<Test>> {
    let some = vec![
        Test::Kind(PeerKind::Device),
        Test::Status(PeerStatus::Disabled),
        Test::TwoFactor(TwoFactor::Totp),
        Test::MailFormat(MailFormat::PlainText),
        Test::RequiresExternalLogin,
        Test::HasMicrosoftAccount,
        Test::Home(id("sales")),
        Test::DefaultRole(RoleId::parse("core.auditor").unwrap()),
        Test::OrgUser("org 9".to_owned()),
        Test::Time(TimeColumn::LastLogin, Comparison::Less, at(10)),
        Test::Time(TimeColumn::Create, Comparison::Greater, at(10)),
    ];
    std::iter::once(None).chain(some.into_iter().map(Some)).collect()
}

async fn every_order_with_any_test_is_read_from_its_index(database: &Database) {
    let store = &database.store;
    crowd(database).await;
    // With statistics and without: a new installation has none.
    for analyzed in [false, true] {
        if analyzed {
            database.sql("ANALYZE").await;
        }
        for sort in SortKey::ALL {
            for (branch, descending) in [(None, false), (None, true), (Some("msp"), false), (Some("msp"), true)] {
                walks_its_index(store, branch.map(id).as_ref(), by(*sort, descending), analyzed).await;
            }
        }
    }
}

async fn walks_its_index(store: &Store, branch: Option<&AccountId>, order: Order, analyzed: bool) {
    let source = &Source::Order;
    let all = Matching { branch: branch.cloned(), ..Matching::default() };
    let places = peers::list::places(store.reader(), source, &all, order, None, 100).await.unwrap();
    assert_eq!(places.len(), 100);
    for test in tests() {
        let matching = Matching { branch: branch.cloned(), ..test.clone().map(is).unwrap_or_default() };
        for after in [None, places.last()] {
            let plan = plan(store, source, &matching, order, after).await;
            let case = || format!("{branch:?} {order:?} {test:?} {after:?} {analyzed}:\n{plan}");
            let has_sort = plan.contains("Sort") || plan.contains("TEMP B-TREE");
            let of_branch = plan.contains("peers_of_branch_");
            let of_all =
                ["peers_by_", "peers_pkey", "sqlite_autoindex_peers_1"].iter().any(|index| plan.contains(index));
            // What it takes for few PostgreSQL sorts: what passes a test, and anything while it has no statistics.
            // And in the order of all it may expect to meet enough of a large branch.
            let is_postgres = store.reader().get_database_backend() == DbBackend::Postgres;
            let may_be_few = is_postgres && (test.is_some() || !analyzed);
            let is_few = may_be_few && plan.contains("Bitmap Index Scan");
            let by_index = if branch.is_some() { of_branch || (is_postgres && of_all) } else { of_all };
            assert!(by_index && (!has_sort || is_few) && !plan.contains("Seq Scan"), "{}", case());
            // SQLite reads no generated column from an index alone, and the key itself tells no facets.
            let is_bare = match order.key {
                SortKey::Id => branch.is_none(),
                key => matches!(key, SortKey::MicrosoftAccount | SortKey::PrivilegedAccess),
            };
            let is_free = is_few || (branch.is_some() && !of_branch);
            if !is_bare && !is_free && test.as_ref().is_none_or(|test| matches!(test, Test::Kind(_) | Test::Status(_)))
            {
                let covers = plan.contains("COVERING INDEX") || plan.contains("Index Only Scan");
                assert!(covers || !analyzed, "looks at rows: {}", case());
            }
        }
    }
}

async fn what_is_gathered_is_found_by_an_index(database: &Database) {
    let store = &database.store;
    crowd(database).await;
    database.sql("ANALYZE").await;
    let order = by(SortKey::FullName, false);
    let rare = Test::OrgUser("org 9".to_owned());
    for (source, matching, index) in [
        (Source::Test(rare), Matching::default(), "peers_by_org_user_idx"),
        (Source::Test(Test::Status(PeerStatus::Deleted)), Matching::default(), "peers_by_status_idx"),
        (
            Source::Test(Test::Time(TimeColumn::LastLogin, Comparison::Greater, at(19_990))),
            Matching::default(),
            "peers_by_last_login_key_idx",
        ),
        (Source::Search, searched("mail77@"), "search"),
        (Source::Search, searched("zz"), "peers_by_email_key_idx"),
    ] {
        let plan = plan(store, &source, &matching, order, None).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{source:?}:\n{plan}");
    }
}

/// Also without statistics, whatever else is asked of the binding.
async fn what_a_peer_holds_is_found_by_the_peer(database: &Database) {
    let store = &database.store;
    for analyzed in [false, true] {
        if analyzed {
            database.sql("ANALYZE").await;
        }
        for (role, accounts) in [(true, false), (false, true), (true, true)] {
            let filter = bindings::Filter {
                principal: Some(Principal::Peer(PeerId::from(uuid::Uuid::from_u128(7)))),
                role: role.then(|| RoleId::parse("core.auditor").unwrap()),
                accounts: accounts.then(|| vec![id("sales"), id("contoso")]),
            };
            let order = keyset::Order { key: bindings::SortKey::Id, descending: false };
            let plan = plan_of(store, bindings::select(&filter, order, None, 51).into_query(), true).await;
            assert!(plan.contains("peer_id"), "{filter:?} {analyzed}:\n{plan}");
            assert!(!plan.contains("role_id_id_idx") && !plan.contains("account_id_id_idx"), "{filter:?}:\n{plan}");
        }
    }
}
