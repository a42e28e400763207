//! How busy the connections to the database are, for whoever watches the server.

use sea_orm::DbBackend;
use sea_orm::sqlx::{Database, Pool};

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
    /// Whether the database works on the threads of this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    /// The state of both pools.
    #[must_use]
    pub fn pools(&self) -> [PoolState; 2] {
        let pools = [("writer", self.writer()), ("reader", self.reader())];
        if self.is_embedded() {
            pools.map(|(name, one)| state(name, one.get_sqlite_connection_pool()))
        } else {
            pools.map(|(name, one)| state(name, one.get_postgres_connection_pool()))
        }
    }
}

fn state<D: Database>(name: &'static str, pool: &Pool<D>) -> PoolState {
    PoolState {
        name,
        open: pool.size() as usize,
        idle: pool.num_idle(),
        limit: pool.options().get_max_connections() as usize,
    }
}
