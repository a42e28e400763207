//! Connections of both databases, with what durability and order of writes demand of them.
//!
//! SQLite gets one writer connection, whose queue replaces contention for the file, and a small
//! pool of readers that cannot write. PostgreSQL gets a pool of readers too, so that nobody who waits
//! for a lock keeps others from reading, and a pair of writers: one changes policy, the other records
//! what is no change.

use std::time::Duration;

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::StoreOptions;
use super::error::StoreError;

/// A connection that rested longer is tried before it is handed out.
const TRY_AFTER_IDLE: Duration = Duration::from_secs(30);
/// A transaction that does nothing for so long has lost its process: the server ends it, so that it
/// cannot hold the revision row for good.
const IDLE_IN_TRANSACTION: &str = "60s";
/// SQLite's writer keeps up to 64 MiB of pages, in KiB and negative as SQLite has it: a new peer goes into
/// pages far apart of more than 30 indexes, and what does not fit is written to the log and read back.
const SQLITE_WRITER_CACHE: &str = "-65536";

/// Opens writer and reader.
pub(super) async fn connect(
    url: &str,
    options: &StoreOptions,
) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    if url.starts_with("sqlite:") {
        sqlite(url, options).await
    } else if let Some(rest) = url.strip_prefix("postgresql://").or_else(|| url.strip_prefix("postgres://")) {
        let url = format!("postgres://{rest}");
        let writer = postgres(url.clone(), options.postgres_writers(), options).await?;
        Ok((writer, postgres(url, options.max_connections.max(1), options).await?))
    } else {
        Err(StoreError::Url { why: "it starts neither with `sqlite:` nor with `postgres:`" })
    }
}

async fn sqlite(url: &str, options: &StoreOptions) -> Result<(DatabaseConnection, DatabaseConnection), StoreError> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    if path.starts_with(":memory:") || path.contains("mode=memory") {
        return Err(StoreError::Url { why: "an in-memory database cannot be shared by writer and readers" });
    }
    if path.is_empty() || path.starts_with('?') {
        return Err(StoreError::Url { why: "it names no file" });
    }
    let busy_timeout = options.lock_timeout;
    let mut writer = file(url.to_owned(), 1, options);
    writer.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy_timeout)
            .pragma("cache_size", SQLITE_WRITER_CACHE)
    });
    // The writer comes first: it makes the file and turns the write-ahead log on.
    let writer = Database::connect(writer).await?;
    let mut reader = file(url.to_owned(), options.max_connections.max(1), options);
    reader.map_sqlx_sqlite_opts(move |sqlite| sqlite.busy_timeout(busy_timeout).pragma("query_only", "ON"));
    let reader = Database::connect(reader).await?;
    Ok((writer, reader))
}

/// A connection to an SQLite file. SQLite ends a transaction by itself where the disk is full; the
/// driver, which then cannot roll it back, counts it as open for good, and no transaction would begin
/// on that connection again. Such a connection is replaced.
fn file(url: String, max_connections: u32, options: &StoreOptions) -> ConnectOptions {
    let mut connect = common(url, max_connections, options);
    connect.map_sqlx_sqlite_before_acquire(|connection, _| {
        let is_fit = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_fit) })
    });
    connect
}

async fn postgres(url: String, connections: u32, options: &StoreOptions) -> Result<DatabaseConnection, StoreError> {
    let lock_timeout = format!("{}ms", options.lock_timeout.as_millis().max(1));
    let mut connect = common(url, connections, options);
    connect.set_application_name("peerage").test_before_acquire_if_idle_for(TRY_AFTER_IDLE);
    connect.map_sqlx_postgres_opts(move |postgres| {
        postgres.options([
            ("lock_timeout", lock_timeout.as_str()),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ])
    });
    Database::connect(connect).await.map_err(StoreError::from)
}

/// Statements are not logged: their texts are known, their values are personal.
fn common(url: String, max_connections: u32, options: &StoreOptions) -> ConnectOptions {
    let mut connect = ConnectOptions::new(url);
    connect
        .max_connections(max_connections)
        .min_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .connect_timeout(options.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false);
    connect
}
