//! Databases on the PostgreSQL server that the tests are given.

/// A database of its own on the tests' PostgreSQL.
pub struct PostgresDatabase {
    pub url: String,
    server: String,
    name: String,
}

impl PostgresDatabase {
    pub async fn create() -> Self {
        let server = std::env::var("PEERAGE_TEST_POSTGRES_URL")
            .expect("PEERAGE_TEST_POSTGRES_URL names a PostgreSQL server for the tests; tests/run starts one");
        let mut bytes = [0_u8; 8];
        #[expect(clippy::disallowed_methods, reason = "no two tests on one server may take the same name")]
        getrandom::fill(&mut bytes).expect("randomness");
        let name = format!("peerage_{:016x}", u64::from_be_bytes(bytes));
        Self::run(&server, &format!("CREATE DATABASE {name}")).await;
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        Self { url: format!("{base}/{name}"), server, name }
    }

    pub async fn drop(self) {
        Self::run(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    async fn run(server: &str, statement: &str) {
        use sea_orm::ConnectionTrait as _;
        let connection = sea_orm::Database::connect(server).await.expect("the tests' PostgreSQL");
        connection.execute_unprepared(statement).await.expect("the statement runs");
        connection.close().await.expect("the connection closes");
    }
}
