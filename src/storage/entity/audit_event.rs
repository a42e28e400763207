//! Sealed audit events. `bytes` is the event; the other columns only help to find it.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub event_id: Uuid,
    pub recorded_time: i64,
    pub occurred_time: i64,
    pub action: String,
    pub actor: Option<String>,
    pub target: Option<String>,
    pub outcome: String,
    pub reason: Option<String>,
    pub reporter: Option<String>,
    pub order_time: i64,
    pub search_key: String,
    pub bytes: Vec<u8>,
    pub leaf_hash: Vec<u8>,
    pub prev_hash: Vec<u8>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
