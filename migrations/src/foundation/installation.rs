//! The policy feed, stored results of requests, and the marks of the installation itself.
//!
//! The single-row tables carry a check that their key is 1, so that a second row cannot be.
//!
//! INVARIANT: `values_panic` gets as many values as there are columns.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, bytes, index, number, table, text, text_null, uuid};

/// The oldest release that can live with this schema.
const FLOOR: &str = "0.1.0";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    policy(manager).await?;
    requests(manager).await?;
    let mut bootstrap = table("bootstrap", &["id"], [number("id"), uuid("peer_id"), number("create_time")]);
    bootstrap.check(Expr::col("id").eq(1));
    manager.create_table(bootstrap).await?;
    let mut floor = table("schema_floor", &["id"], [number("id"), text("release")]);
    floor.check(Expr::col("id").eq(1));
    manager.create_table(floor).await?;
    let first = Query::insert()
        .into_table("schema_floor")
        .columns(["id", "release"])
        .values_panic([1_i64.into(), FLOOR.into()])
        .take();
    manager.execute(first).await
}

async fn policy(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = [number("id"), number("revision"), number("commit_time"), bytes("digest")];
    let mut revision = table("policy_revision", &["id"], columns);
    revision.check(Expr::col("id").eq(1));
    manager.create_table(revision).await?;
    let first = Query::insert()
        .into_table("policy_revision")
        .columns(["id", "revision", "commit_time", "digest"])
        .values_panic([1_i64.into(), 0_i64.into(), 0_i64.into(), vec![0_u8; 32].into()])
        .take();
    manager.execute(first).await?;

    let changes = table(
        "policy_changes",
        &["revision", "ordinal"],
        [
            number("revision"),
            number("ordinal"),
            number("commit_time"),
            text("kind"),
            text("fact_key"),
            text_null("before"),
            text_null("after"),
        ],
    );
    manager.create_table(changes).await
}

async fn requests(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let requests = table(
        "requests",
        &["caller", "method", "request_id"],
        [
            columns.key("caller"),
            columns.key("method"),
            columns.key("request_id"),
            bytes("body_hash"),
            bytes("response"),
            number("create_time"),
        ],
    );
    manager.create_table(requests).await?;
    manager.create_index(index("requests", &["create_time"])).await
}
