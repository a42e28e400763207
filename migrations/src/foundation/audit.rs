//! The audit logs: one chain of events for each account, and the personal values beside them.
//!
//! Nothing here refers to accounts or peers by a foreign key: a log outlives what it speaks of.

use sea_orm_migration::prelude::*;

use crate::column::{Columns, bytes, number, table, text, text_null, unique, uuid};

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let columns = Columns::new(manager);
    let logs =
        table("audit_logs", &["account_id"], [columns.key("account_id"), number("next_seq"), bytes("head_hash")]);
    manager.create_table(logs).await?;

    let events = table(
        "audit_events",
        &["account_id", "seq"],
        [
            columns.key("account_id"),
            number("seq"),
            uuid("event_id"),
            number("recorded_time"),
            number("occurred_time"),
            text("action"),
            text_null("actor"),
            text_null("target"),
            text("outcome"),
            bytes("bytes"),
            bytes("leaf_hash"),
            bytes("prev_hash"),
        ],
    );
    manager.create_table(events).await?;
    manager.create_index(unique("audit_events", &["event_id"])).await?;

    let personal = table(
        "audit_personal",
        &["account_id", "seq", "path"],
        [
            columns.key("account_id"),
            number("seq"),
            columns.key("path"),
            text("value"),
            bytes("salt"),
            bytes("commitment"),
        ],
    );
    manager.create_table(personal).await
}
