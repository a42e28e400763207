//! The storage suite. Every case runs on SQLite and on PostgreSQL, each on a database of its own.
//!
//! PostgreSQL comes from `PEERAGE_TEST_POSTGRES_URL`, a superuser's URL; without it the cases fail.

mod access;
mod audit;
mod audit_lists;
mod credentials;
mod feed;
mod identity;
pub(crate) mod lists;
mod plans;
mod schema;
mod search;
mod world;

use peerage::storage::{Store, StoreError, StoreOptions};
use sea_orm::{ConnectionTrait as _, Database as Connection};
use uuid::Uuid;

/// A new, empty database.
struct Database {
    store: Store,
    url: String,
    /// What holds or removes it: the folder of a file, or the server and the name on it.
    place: Place,
}

enum Place {
    Folder { _folder: tempfile::TempDir },
    Server { url: String, name: String },
}

impl Database {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("peerage.db").display());
        let store = Store::connect(&url, &StoreOptions::default()).await.unwrap();
        Self { store, url, place: Place::Folder { _folder: folder } }
    }

    async fn postgres() -> Self {
        let server = std::env::var("PEERAGE_TEST_POSTGRES_URL")
            .expect("PEERAGE_TEST_POSTGRES_URL names a PostgreSQL server for the tests; tests/run starts one");
        #[expect(clippy::disallowed_methods, reason = "no two runs on one server may take the same name")]
        let name = format!("peerage_{}", Uuid::now_v7().simple());
        let admin = Connection::connect(&server).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();
        let (base, options) = server.split_once('?').map_or((server.as_str(), None), |(base, rest)| (base, Some(rest)));
        let (host, _) = base.rsplit_once('/').unwrap();
        let url = options.map_or(format!("{host}/{name}"), |options| format!("{host}/{name}?{options}"));
        let store = Store::connect(&url, &StoreOptions::default()).await.unwrap();
        Self { store, url, place: Place::Server { url: server, name } }
    }

    async fn migrated(self) -> Self {
        self.store.migrate().await.unwrap();
        self
    }

    /// A second process on the same database, as far as it can tell.
    async fn other(&self, options: &StoreOptions) -> Store {
        Store::connect(&self.url, options).await.unwrap()
    }

    /// Runs a statement that no function of storage makes.
    async fn sql(&self, sql: &str) {
        let transaction = self.store.begin().await.unwrap();
        transaction.connection().execute_unprepared(sql).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn remove(self) {
        self.store.close().await.unwrap();
        if let Place::Server { url, name } = self.place {
            let admin = Connection::connect(&url).await.unwrap();
            admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
            admin.close().await.unwrap();
        }
    }
}

/// Makes a test for each database out of each case, an `async fn(&Database)`. A database whose case
/// failed is left for inspection.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let database = crate::storage::Database::sqlite().await;
                super::$case(&database).await;
                database.remove().await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let database = crate::storage::Database::postgres().await;
                super::$case(&database).await;
                database.remove().await;
            })*
        }
    };
}
use on_both;

/// As [`on_both`], on a database whose schema is there.
macro_rules! on_both_migrated {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let database = crate::storage::Database::sqlite().await.migrated().await;
                super::$case(&database).await;
                database.remove().await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let database = crate::storage::Database::postgres().await.migrated().await;
                super::$case(&database).await;
                database.remove().await;
            })*
        }
    };
}
use on_both_migrated;

fn is_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>, of: &str) {
    match result {
        Err(StoreError::Corrupt { table, .. }) => assert_eq!(table, of),
        other => panic!("a corrupt row of {of} gave {other:?}"),
    }
}
