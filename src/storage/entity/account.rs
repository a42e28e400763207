//! Accounts, deleted ones included: an id is never used again.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub parent_id: Option<String>,
    pub kind: String,
    pub title: String,
    pub title_key: String,
    pub path: String,
    pub depth: i64,
    pub labels: String,
    pub suspension: Option<String>,
    pub settings: String,
    pub first_peer: Option<Uuid>,
    pub ownership_request: Option<String>,
    pub create_time: i64,
    pub update_time: i64,
    pub delete_time: Option<i64>,
    pub version: i64,
    pub update_revision: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
