//! The catalogue. Either a pack or an account owns a permission.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "permissions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub title: String,
    pub feature: String,
    pub privileged: bool,
    pub reserved: bool,
    pub from_outside: bool,
    pub on_suspended: bool,
    pub owner_pack: Option<String>,
    pub owner_id: Option<String>,
    pub update_revision: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
