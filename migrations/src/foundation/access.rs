//! Roles, bindings, groups, the catalogue of permissions, and the packs they came from.

use sea_orm_migration::prelude::*;

use crate::column::{
    Columns, bytes, flag, index, number, number_null, reference, table, text, text_null, unique, uuid, uuid_null,
};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    roles(manager).await?;
    groups(manager).await?;
    bindings(manager).await?;
    catalogue(manager).await
}

/// Built-in roles have no owner; NULLs differ in a unique index, so that only the titles of custom
/// roles are held apart.
async fn roles(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let mut roles = table(
        "roles",
        &["id"],
        [
            columns.key("id"),
            flag("built_in"),
            columns.key_null("owner_id"),
            flag("inheritable"),
            text("title"),
            columns.key("title_key"),
            text("description"),
            text("grants"),
            text("rules"),
            text_null("copied_from"),
            number("create_time"),
            number("update_time"),
            number("version"),
            number("update_revision"),
        ],
    );
    roles.foreign_key(&mut reference("roles", "owner_id", ("accounts", "id")));
    manager.create_table(roles).await?;
    manager.create_index(unique("roles", &["owner_id", "title_key"])).await
}

async fn groups(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let mut groups = table(
        "groups",
        &["id"],
        [
            uuid("id"),
            columns.key("account_id"),
            text("title"),
            columns.key("title_key"),
            text("description"),
            number("create_time"),
            number("update_time"),
            number("version"),
            number("update_revision"),
        ],
    );
    groups.foreign_key(&mut reference("groups", "account_id", ("accounts", "id")));
    manager.create_table(groups).await?;
    manager.create_index(unique("groups", &["account_id", "title_key"])).await?;

    let mut members = table(
        "group_members",
        &["group_id", "peer_id"],
        [
            uuid("group_id"),
            uuid("peer_id"),
            text("mode"),
            number("start_time"),
            number_null("expire_time"),
            number("create_time"),
            number("update_revision"),
        ],
    );
    members.foreign_key(&mut reference("group_members", "group_id", ("groups", "id"))).foreign_key(&mut reference(
        "group_members",
        "peer_id",
        ("peers", "id"),
    ));
    manager.create_table(members).await?;
    manager.create_index(index("group_members", &["peer_id"])).await
}

/// `start_time` is the least number where a window has no start, so that comparisons need no
/// special case; a missing `expire_time` means that it never ends.
async fn bindings(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let mut bindings = table(
        "role_bindings",
        &["id"],
        [
            uuid("id"),
            uuid_null("peer_id"),
            uuid_null("group_id"),
            columns.key("role_id"),
            columns.key("account_id"),
            text("reach"),
            text("mode"),
            number("start_time"),
            number_null("expire_time"),
            text("justification"),
            uuid_null("creator"),
            number("create_time"),
            number("update_time"),
            number("version"),
            number("update_revision"),
        ],
    );
    bindings
        .check(Expr::col("peer_id").is_null().ne(Expr::col("group_id").is_null()))
        .foreign_key(&mut reference("role_bindings", "peer_id", ("peers", "id")))
        .foreign_key(&mut reference("role_bindings", "group_id", ("groups", "id")))
        .foreign_key(&mut reference("role_bindings", "role_id", ("roles", "id")))
        .foreign_key(&mut reference("role_bindings", "account_id", ("accounts", "id")));
    manager.create_table(bindings).await?;
    for column in ["peer_id", "group_id", "role_id", "account_id"] {
        manager.create_index(index("role_bindings", &[column, "id"])).await?;
    }
    Ok(())
}

/// `owner_pack` or `owner_id` says who registered a permission. The owner is no foreign key: the
/// catalogue outlives the account of a service.
async fn catalogue(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let permissions = table(
        "permissions",
        &["name"],
        [
            columns.key("name"),
            text("title"),
            text("feature"),
            flag("privileged"),
            flag("reserved"),
            flag("from_outside"),
            flag("on_suspended"),
            columns.key_null("owner_pack"),
            columns.key_null("owner_id"),
            number("update_revision"),
        ],
    );
    manager.create_table(permissions).await?;
    let packs = table("packs", &["id"], [columns.key("id"), bytes("digest"), number("update_revision")]);
    manager.create_table(packs).await
}
