//! How busy the connections to the database are, for whoever watches the server.

use sea_orm::{DatabaseConnection, DbBackend};

use super::Store;

/// The state of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// `writer` or `reader`.
    pub name: &'static str,
    pub open: usize,
    pub idle: usize,
    pub limit: usize,
}

impl Store {
    /// The state of both pools.
    #[must_use]
    pub fn pools(&self) -> [PoolState; 2] {
        let state = if self.backend() == DbBackend::Sqlite { sqlite } else { postgres };
        [state("writer", self.writer()), state("reader", self.reader())]
    }
}

fn sqlite(name: &'static str, connection: &DatabaseConnection) -> PoolState {
    let pool = connection.get_sqlite_connection_pool();
    PoolState {
        name,
        open: pool.size() as usize,
        idle: pool.num_idle(),
        limit: pool.options().get_max_connections() as usize,
    }
}

fn postgres(name: &'static str, connection: &DatabaseConnection) -> PoolState {
    let pool = connection.get_postgres_connection_pool();
    PoolState {
        name,
        open: pool.size() as usize,
        idle: pool.num_idle(),
        limit: pool.options().get_max_connections() as usize,
    }
}
