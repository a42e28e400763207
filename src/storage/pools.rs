//! How busy the connections to the database are, for whoever watches the server.

use sea_orm::{DatabaseConnection, DbBackend};

use super::Store;

/// The state of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// `writer` and `reader` on SQLite, `all` on PostgreSQL.
    pub name: &'static str,
    pub open: usize,
    pub idle: usize,
    pub limit: usize,
}

impl Store {
    /// The state of every pool.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolState> {
        if self.backend() == DbBackend::Sqlite {
            vec![sqlite("writer", self.writer()), sqlite("reader", self.reader())]
        } else {
            let pool = self.reader().get_postgres_connection_pool();
            vec![PoolState {
                name: "all",
                open: pool.size() as usize,
                idle: pool.num_idle(),
                limit: pool.options().get_max_connections() as usize,
            }]
        }
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
