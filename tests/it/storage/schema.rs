//! Migrations, the floor, and how connections are set up.

use std::time::Duration;

use peerage::domain::ids::AccountId;
use peerage::domain::peer::{MailFormat, PeerKind, PeerStatus, TwoFactor};
use peerage::storage::peers::list::{
    Condition, Key, Matching, Order, Place as ListPlace, Search, SortKey, Source, Test, TimeColumn, places,
};
use peerage::storage::{SchemaState, Store, StoreError, StoreOptions};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::{Database, Place, on_both};

on_both![
    a_new_database_is_behind_until_migrated,
    processes_migrate_one_at_a_time,
    the_floor_holds_old_releases_out,
    later_migrations_are_no_error,
    readers_see_only_what_is_committed,
    peers_from_before_a_migration_are_listed_after_it
];

async fn a_new_database_is_behind_until_migrated(database: &Database) {
    let store = &database.store;
    let behind = SchemaState::Behind { missing: migrations::names() };
    assert_eq!(store.schema().await.unwrap(), behind);
    store.migrate().await.unwrap();
    assert_eq!(store.schema().await.unwrap(), SchemaState::Current);
    store.migrate().await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 0);
}

async fn processes_migrate_one_at_a_time(database: &Database) {
    let other = database.other(&StoreOptions::default()).await;
    let third = database.other(&StoreOptions::default()).await;
    let (first, second, third) = tokio::join!(database.store.migrate(), other.migrate(), third.migrate());
    first.and(second).and(third).unwrap();
    assert_eq!(other.schema().await.unwrap(), SchemaState::Current);
    other.close().await.unwrap();
}

async fn the_floor_holds_old_releases_out(database: &Database) {
    let store = &database.store;
    store.migrate().await.unwrap();
    database.sql("UPDATE schema_floor SET release = '999.0.0'").await;
    assert_eq!(store.schema().await.unwrap(), SchemaState::TooNew { floor: "999.0.0".to_owned() });
    match store.migrate().await {
        Err(StoreError::SchemaTooNew { floor }) => assert_eq!(floor, "999.0.0"),
        other => panic!("{other:?}"),
    }
}

async fn later_migrations_are_no_error(database: &Database) {
    let store = &database.store;
    store.migrate().await.unwrap();
    database.sql("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 0)").await;
    assert_eq!(store.schema().await.unwrap(), SchemaState::Current);
    store.migrate().await.unwrap();
}

async fn readers_see_only_what_is_committed(database: &Database) {
    let store = &database.store;
    store.migrate().await.unwrap();
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    conn.execute_unprepared("UPDATE policy_revision SET revision = 7").await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 0);
    transaction.rollback().await.unwrap();
    drop(store.begin().await.unwrap());
    let read = store.begin_read().await.unwrap();
    assert_eq!(peerage::storage::change_feed::head(read.connection()).await.unwrap().revision, 0);
    database.sql("UPDATE policy_revision SET revision = 8").await;
    assert_eq!(peerage::storage::change_feed::head(read.connection()).await.unwrap().revision, 0);
    read.finish().await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 8);
}

async fn peers_from_before_a_migration_are_listed_after_it(database: &Database) {
    use sea_orm_migration::MigratorTrait as _;
    let store = &database.store;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    if conn.get_database_backend() == sea_orm::DbBackend::Postgres {
        conn.execute_unprepared("CREATE EXTENSION pg_trgm").await.unwrap();
    }
    let before = migrations::names().iter().position(|name| name.ends_with("_peer_lists")).unwrap();
    migrations::Migrator::up(conn, Some(u32::try_from(before).unwrap())).await.unwrap();
    let accounts = "INSERT INTO accounts (id, kind, title, title_key, path, depth, labels, settings, create_time, \
                    update_time, version, update_revision) \
                    VALUES ('platform', 'PLATFORM', 'P', 'p', 'platform', 1, '{}', '{}', 1, 1, 1, 1), \
                    ('msp', 'PARTNER', 'M', 'm', 'platform/msp', 2, '{}', '{}', 1, 1, 1, 1), \
                    ('sales', 'CUSTOMER', 'S', 's', 'platform/msp/sales', 3, '{}', '{}', 1, 1, 1, 1)";
    conn.execute_unprepared(accounts).await.unwrap();
    let uuid = Uuid::from_u128(7);
    let id = match conn.get_database_backend() {
        sea_orm::DbBackend::Postgres => format!("'{uuid}'"),
        _ => format!("x'{}'", uuid.simple()),
    };
    let profile = r#"{"mail_format":"PLAIN_TEXT","require_external_login":true,"two_factor":"TOTP"}"#;
    let peer = format!(
        "INSERT INTO peers (id, user_name, user_name_key, home_id, kind, status, profile, full_name_key, email_key, \
         company_key, two_factor, org_user, default_role, create_time, update_time, last_login_time, version, \
         update_revision) VALUES ({id}, 'Sarah', 'sarah', 'sales', 'DEVICE', 'DISABLED', '{profile}', '', \
         'sarah@b.example', '', 'TOTP', '', 'core.auditor', 1, 1, 5, 1, 1)"
    );
    conn.execute_unprepared(&peer).await.unwrap();
    transaction.commit().await.unwrap();
    store.migrate().await.unwrap();
    let is = |test| Matching { condition: Condition::Is(test), ..Matching::default() };
    for matching in [
        is(Test::Status(PeerStatus::Disabled)),
        is(Test::Kind(PeerKind::Device)),
        is(Test::TwoFactor(TwoFactor::Totp)),
        is(Test::MailFormat(MailFormat::PlainText)),
        is(Test::RequiresExternalLogin),
        is(Test::HasDefaultRole),
        is(Test::HasTime(TimeColumn::LastLogin)),
        Matching { search: Search::of("ARAH@b"), ..Matching::default() },
    ] {
        let order = Order { key: SortKey::UserName, descending: false };
        let source = if matching.search.is_some() { Source::Search } else { Source::Order };
        for branch in [None, Some("msp")] {
            let branch = branch.map(|branch| AccountId::parse(branch).unwrap());
            let matching = Matching { branch, ..matching.clone() };
            let found = places(store.reader(), &source, &matching, order, None, 9).await.unwrap();
            assert_eq!(found, [ListPlace { key: Key::Text("sarah".to_owned()), id: uuid.into() }], "{matching:?}");
        }
    }
    let peer = peerage::storage::peers::get(store.reader(), uuid.into()).await.unwrap();
    assert!(peer.profile.require_external_login);
}

#[tokio::test]
async fn without_the_right_to_create_extensions_it_is_told_what_to_do() {
    let database = Database::postgres().await;
    let Place::Server { url: server, name } = &database.place else { panic!("no server") };
    // The role takes the name of the database, which no other test has.
    database.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD 'test'; GRANT ALL ON SCHEMA public TO {name}")).await;
    database.sql(&format!("REVOKE CREATE ON DATABASE {name} FROM PUBLIC")).await;
    let (_, host) = server.rsplit_once('@').unwrap();
    let (host, _) = host.split_once('/').unwrap();
    let url = format!("postgres://{name}:test@{host}/{name}");
    let store = Store::connect(&url, &StoreOptions::default()).await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::ExtensionMissing { name: "pg_trgm", .. }), "{error:?}");
    assert!(error.to_string().contains("`CREATE EXTENSION pg_trgm`"), "{error}");
    assert!(matches!(store.schema().await.unwrap(), SchemaState::Behind { .. }));
    database.sql("CREATE EXTENSION pg_trgm").await;
    store.migrate().await.unwrap();
    assert_eq!(store.schema().await.unwrap(), SchemaState::Current);
    store.close().await.unwrap();
    database.sql(&format!("DROP OWNED BY {name}; DROP ROLE {name}")).await;
    database.remove().await;
}

#[tokio::test]
async fn sqlite_is_durable_and_its_readers_cannot_write() {
    let database = Database::sqlite().await.migrated().await;
    let transaction = database.store.begin().await.unwrap();
    for (pragma, value) in [("synchronous", 2), ("foreign_keys", 1)] {
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, format!("PRAGMA {pragma}"));
        let row = transaction.connection().query_one_raw(statement).await.unwrap().unwrap();
        assert_eq!(row.try_get_by::<i64, _>(0).unwrap(), value, "{pragma}");
    }
    let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "PRAGMA journal_mode");
    let row = transaction.connection().query_one_raw(statement).await.unwrap().unwrap();
    assert_eq!(row.try_get_by::<String, _>(0).unwrap(), "wal");
    transaction.rollback().await.unwrap();
    let written = database.store.reader().execute_unprepared("DELETE FROM policy_revision").await;
    assert!(matches!(written.map_err(StoreError::from), Err(StoreError::ReadOnly(_))));
    database.remove().await;
}

#[tokio::test]
async fn urls_that_cannot_work_are_refused() {
    let options = StoreOptions { acquire_timeout: Duration::from_secs(2), ..StoreOptions::default() };
    for url in
        ["", "mysql://localhost/x", "sqlite::memory:", "sqlite://x.db?mode=memory", "sqlite:", "sqlite://?mode=rwc"]
    {
        let refused = Store::connect(url, &options).await;
        assert!(matches!(refused, Err(StoreError::Url { .. })), "{url}: {refused:?}");
    }
    for url in ["sqlite:///nowhere/at/all/peerage.db", "postgres://peerage@127.0.0.1:1/peerage"] {
        let failed = Store::connect(url, &options).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{url}: {failed:?}");
    }
}
