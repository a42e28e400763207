//! Role bindings of a peer or of a group, never of both.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role_bindings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub peer_id: Option<Uuid>,
    pub group_id: Option<Uuid>,
    pub role_id: String,
    pub account_id: String,
    pub reach: String,
    pub mode: String,
    pub start_time: i64,
    pub expire_time: Option<i64>,
    pub justification: String,
    pub creator: Option<Uuid>,
    pub create_time: i64,
    pub update_time: i64,
    pub version: i64,
    pub update_revision: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
