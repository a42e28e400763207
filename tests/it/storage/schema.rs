//! Migrations, the floor, and how connections are set up.

use std::time::Duration;

use peerage::storage::{SchemaState, Store, StoreError, StoreOptions};
use sea_orm::ConnectionTrait as _;

use super::{Database, on_both};

on_both![
    a_new_database_is_behind_until_migrated,
    processes_migrate_one_at_a_time,
    the_floor_holds_old_releases_out,
    later_migrations_are_no_error,
    readers_see_only_what_is_committed
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
    assert_eq!(peerage::storage::change_feed::revision(read.connection()).await.unwrap(), 0);
    database.sql("UPDATE policy_revision SET revision = 8").await;
    assert_eq!(peerage::storage::change_feed::revision(read.connection()).await.unwrap(), 0);
    read.finish().await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 8);
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
