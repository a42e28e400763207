//! Built-in and custom roles; only custom ones have an owner.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub built_in: bool,
    pub owner_id: Option<String>,
    pub inheritable: bool,
    pub title: String,
    pub title_key: String,
    pub description: String,
    pub grants: String,
    pub rules: String,
    pub copied_from: Option<String>,
    pub create_time: i64,
    pub update_time: i64,
    pub version: i64,
    pub update_revision: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
