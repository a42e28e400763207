//! What lists of peers in one part of the tree are read by.
//!
//! A *branch* is an account right below the root with everything below it: a partner and its customers.
//! Its peers can stand together anywhere in the orders of all peers, so that each order has an index
//! that begins with the branch too. The column is written with the row, and again when the home moves to
//! another branch.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::peer_lists::ORDERS;

pub(crate) struct PeerBranches;

impl MigrationName for PeerBranches {
    fn name(&self) -> &'static str {
        "m20261122_000008_peer_branches"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PeerBranches {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let (bytewise, position) = if is_postgres { (r#"COLLATE "C""#, "strpos") } else { ("", "instr") };
        // A path is the ids from the root down, joined by `/`: what follows the root, or the root alone.
        let rest = format!("substr(path, {position}(path, '/') + 1) || '/'");
        let fill = format!(
            "UPDATE peers SET branch_id = \
             (SELECT substr({rest}, 1, {position}({rest}, '/') - 1) FROM accounts WHERE accounts.id = peers.home_id)"
        );
        let add = format!("ALTER TABLE peers ADD COLUMN branch_id TEXT {bytewise} NOT NULL DEFAULT ''");
        for statement in [add, fill] {
            database.execute_unprepared(&statement).await?;
        }
        let by_id = "CREATE INDEX peers_of_branch_idx ON peers (branch_id, id, facets)".to_owned();
        let by_column = ORDERS.map(|column| {
            format!("CREATE INDEX peers_of_branch_by_{column}_idx ON peers (branch_id, {column}, id, facets)")
        });
        for statement in std::iter::once(by_id).chain(by_column) {
            database.execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
