//! Accounts, peers and their API keys.

use sea_orm_migration::prelude::*;

use crate::column::{
    Columns, bytes, index, number, number_null, reference, table, text, text_null, unique, uuid, uuid_null,
};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    accounts(manager).await?;
    peers(manager).await?;
    api_keys(manager).await
}

/// A deleted account stays as a row with a `delete_time`: its id is never used again.
async fn accounts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let mut accounts = table(
        "accounts",
        &["id"],
        [
            columns.key("id"),
            columns.key_null("parent_id"),
            text("kind"),
            text("title"),
            columns.key("title_key"),
            columns.key("path"),
            number("depth"),
            text("labels"),
            text_null("suspension"),
            text("settings"),
            uuid_null("first_peer"),
            text_null("ownership_request"),
            number("create_time"),
            number("update_time"),
            number_null("delete_time"),
            number("version"),
            number("update_revision"),
        ],
    );
    accounts.foreign_key(&mut reference("accounts", "parent_id", ("accounts", "id")));
    manager.create_table(accounts).await?;
    manager.create_index(index("accounts", &["parent_id", "id"])).await?;
    manager.create_index(index("accounts", &["parent_id", "title_key", "id"])).await?;
    manager.create_index(index("accounts", &["title_key", "id"])).await?;
    manager.create_index(index("accounts", &["create_time", "id"])).await?;
    manager.create_index(index("accounts", &["update_time", "id"])).await?;
    manager.create_index(index("accounts", &["path"])).await
}

/// The user name stays reserved while a deleted peer waits for its purge, so that uniqueness needs
/// no look at the status.
async fn peers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let mut peers = table(
        "peers",
        &["id"],
        [
            uuid("id"),
            text("user_name"),
            columns.key("user_name_key"),
            columns.key("home_id"),
            columns.key("kind"),
            columns.key("status"),
            text("profile"),
            columns.key("full_name_key"),
            columns.key("email_key"),
            columns.key("company_key"),
            columns.key("two_factor"),
            columns.key("org_user"),
            columns.key_null("default_role"),
            number_null("expire_time"),
            uuid_null("person"),
            number("create_time"),
            number("update_time"),
            number_null("delete_time"),
            number_null("last_login_time"),
            number_null("last_active_time"),
            number("version"),
            number("update_revision"),
        ],
    );
    peers.foreign_key(&mut reference("peers", "home_id", ("accounts", "id")));
    manager.create_table(peers).await?;
    manager.create_index(unique("peers", &["user_name_key"])).await?;
    manager.create_index(index("peers", &["home_id", "id"])).await?;
    manager.create_index(index("peers", &["person"])).await?;
    manager.create_index(index("peers", &["delete_time"])).await
}

async fn api_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut keys = table(
        "api_keys",
        &["id"],
        [
            uuid("id"),
            uuid("peer_id"),
            text("title"),
            bytes("hash"),
            uuid_null("creator"),
            number("create_time"),
            number_null("expire_time"),
            number_null("revoke_time"),
            number_null("last_used_time"),
            number("update_revision"),
        ],
    );
    keys.foreign_key(&mut reference("api_keys", "peer_id", ("peers", "id")));
    manager.create_table(keys).await?;
    manager.create_index(unique("api_keys", &["hash"])).await?;
    manager.create_index(index("api_keys", &["peer_id", "id"])).await
}
