//! What lists of role bindings are sorted by.
//!
//! A binding without an end stands before all others, as unset times do in lists of peers. The index is
//! of the very expression that `storage::bindings` sorts by.

use sea_orm_migration::prelude::*;

const INDEXES: [&str; 2] = [
    "CREATE INDEX role_bindings_by_create_time_idx ON role_bindings (create_time, id)",
    "CREATE INDEX role_bindings_by_expire_time_idx ON role_bindings \
     (COALESCE(expire_time, -9000000000000000000), id)",
];

pub(crate) struct ListOrders;

impl MigrationName for ListOrders {
    fn name(&self) -> &'static str {
        "m20261122_000007_list_orders"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ListOrders {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}
