//! Secrets that all processes of one deployment share, by name.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, bytes, number, table};

pub(crate) struct Secrets;

impl MigrationName for Secrets {
    fn name(&self) -> &'static str {
        "m20261122_000003_secrets"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Secrets {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::new(manager);
        let secrets = [columns.key("name"), bytes("secret"), number("create_time")];
        manager.create_table(table("secrets", &["name"], secrets)).await
    }
}
