//! The first schema: the account tree, peers, roles, bindings, groups, the catalogue, API keys, the
//! audit logs, the policy feed, stored results and the marks of the installation itself.

mod access;
mod audit;
mod identity;
mod installation;

use sea_orm_migration::prelude::*;

pub(crate) struct Foundation;

impl MigrationName for Foundation {
    fn name(&self) -> &'static str {
        "m20261122_000001_foundation"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Foundation {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        identity::up(manager).await?;
        access::up(manager).await?;
        audit::up(manager).await?;
        installation::up(manager).await
    }
}
