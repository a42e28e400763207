//! A digest of the policy's history beside its revision, by which a server notices a database that
//! was restored and went on otherwise.
//!
//! What was committed before the migration is not digested: 32 zero bytes stand for it.

use sea_orm_migration::prelude::*;

pub(crate) struct PolicyDigest;

impl MigrationName for PolicyDigest {
    fn name(&self) -> &'static str {
        "m20261122_000002_policy_digest"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PolicyDigest {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut digest = ColumnDef::new("digest").blob().not_null().take();
        digest.default(vec![0_u8; 32]);
        manager.alter_table(Table::alter().table("policy_revision").add_column(digest).take()).await
    }
}
