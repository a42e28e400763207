//! Peers, deleted ones included until they are purged. What lists sort or filter on stands beside the profile.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "peers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_name: String,
    pub user_name_key: String,
    pub home_id: String,
    pub branch_id: String,
    pub kind: String,
    pub status: String,
    pub profile: String,
    pub full_name_key: String,
    pub email_key: String,
    pub company_key: String,
    pub two_factor: String,
    pub org_user: String,
    pub mail_format: String,
    pub require_external_login: bool,
    pub facets: i64,
    pub user_name_order: String,
    pub default_role_key: String,
    pub last_login_key: i64,
    pub last_active_key: i64,
    pub expire_key: i64,
    pub default_role: Option<String>,
    pub expire_time: Option<i64>,
    pub person: Option<Uuid>,
    pub create_time: i64,
    pub update_time: i64,
    pub delete_time: Option<i64>,
    pub last_login_time: Option<i64>,
    pub last_active_time: Option<i64>,
    pub photo_etag: Option<String>,
    pub photo_time: Option<i64>,
    pub version: i64,
    pub update_revision: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
