//! What audit logs are read by: in which order, filtered by what, and by which texts they are found.
//!
//! `order_time` is the time of recording, held back from stepping behind that of the event before in the
//! same log, so that events of many logs have one order that is also the order of each log. The head of
//! a log keeps the last one.
//!
//! `search_key` holds the folded public texts of an event, `value_key` the folded text of one personal
//! value, in the row that erasing the value deletes. PostgreSQL finds parts of either by an index of the
//! extension `pg_trgm`. SQLite has one FTS5 trigram row for an event, made of all its texts by the trigger
//! that its insertion fires (its personal values come first), and made anew by the deletion of a value.
//! The number of that row is the number of the log times 2^40 plus `seq`, so that a search reads one log.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct AuditReading;

impl MigrationName for AuditReading {
    fn name(&self) -> &'static str {
        "m20261122_000006_audit_reading"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuditReading {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let database = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let mut statements = columns(is_postgres);
        statements.extend(fill(is_postgres));
        statements.extend(INDEXES.iter().map(|sql| (*sql).to_owned()));
        statements
            .extend(if is_postgres { POSTGRES_SEARCH } else { SQLITE_SEARCH }.iter().map(|sql| (*sql).to_owned()));
        for statement in statements {
            database.execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}

fn columns(is_postgres: bool) -> Vec<String> {
    let bytewise = if is_postgres { r#" COLLATE "C""# } else { "" };
    let mut statements = Vec::new();
    for column in [
        "reason TEXT NULL".to_owned(),
        "reporter TEXT NULL".to_owned(),
        "order_time BIGINT NOT NULL DEFAULT 0".to_owned(),
        format!("search_key TEXT{bytewise} NOT NULL DEFAULT ''"),
    ] {
        statements.push(format!("ALTER TABLE audit_events ADD COLUMN {column}"));
    }
    statements.push(format!("ALTER TABLE audit_personal ADD COLUMN value_key TEXT{bytewise} NOT NULL DEFAULT ''"));
    statements.push("ALTER TABLE audit_logs ADD COLUMN last_time BIGINT NOT NULL DEFAULT 0".to_owned());
    statements
}

/// The values of events that are there already. Their texts are folded as far as SQL can.
fn fill(is_postgres: bool) -> Vec<String> {
    let member = |path: &str| {
        if is_postgres {
            format!("(convert_from(bytes, 'UTF8')::json #>> '{{{}}}')", path.replace('.', ","))
        } else {
            format!("json_extract(CAST(bytes AS TEXT), '$.{path}')")
        }
    };
    let line_feed = if is_postgres { "chr(10)" } else { "char(10)" };
    let reporter = member("reporter.uid");
    vec![
        format!("UPDATE audit_events SET reason = {}, reporter = 'peers/' || {reporter}", member("reason")),
        "UPDATE audit_events SET order_time = ordered.order_time FROM (SELECT account_id, seq, \
         MAX(recorded_time) OVER (PARTITION BY account_id ORDER BY seq) AS order_time FROM audit_events) AS ordered \
         WHERE ordered.account_id = audit_events.account_id AND ordered.seq = audit_events.seq"
            .to_owned(),
        format!(
            "UPDATE audit_events SET search_key = LOWER(action || {line_feed} || COALESCE(target, '') \
             || {line_feed} || COALESCE(reason, ''))"
        ),
        "UPDATE audit_personal SET value_key = LOWER(SUBSTR(value, 1, 1000)) WHERE path <> '/user_agent'".to_owned(),
        "UPDATE audit_logs SET last_time = COALESCE((SELECT MAX(order_time) FROM audit_events \
         WHERE audit_events.account_id = audit_logs.account_id), 0)"
            .to_owned(),
    ]
}

/// Each begins with what is compared for equality and ends with the order.
const INDEXES: &[&str] = &[
    "CREATE INDEX audit_events_order_time_idx ON audit_events (order_time, account_id, seq)",
    "CREATE INDEX audit_events_account_id_order_time_idx ON audit_events (account_id, order_time, seq)",
    "CREATE INDEX audit_events_actor_idx ON audit_events (account_id, actor, order_time, seq)",
    "CREATE INDEX audit_events_action_idx ON audit_events (account_id, action, order_time, seq)",
    "CREATE INDEX audit_events_target_idx ON audit_events (account_id, target, order_time, seq)",
    // Nearly all events are of acts that succeeded and were not reported, for which the order's own
    // index serves.
    "CREATE INDEX audit_events_outcome_idx ON audit_events (account_id, outcome, order_time, seq) \
     WHERE outcome <> 'SUCCESS'",
    "CREATE INDEX audit_events_reporter_idx ON audit_events (account_id, reporter, order_time, seq) \
     WHERE reporter IS NOT NULL",
];

const POSTGRES_SEARCH: &[&str] = &[
    "CREATE INDEX audit_events_search_idx ON audit_events USING gin (search_key gin_trgm_ops)",
    "CREATE INDEX audit_personal_search_idx ON audit_personal USING gin (value_key gin_trgm_ops)",
];

const SQLITE_SEARCH: &[&str] = &[
    "CREATE TABLE audit_log_numbers (number INTEGER PRIMARY KEY, account_id TEXT NOT NULL UNIQUE)",
    // Texts are folded before they come here, so that the table compares them as they are.
    "CREATE VIRTUAL TABLE audit_search USING fts5(texts, content = '', contentless_delete = 1, \
     tokenize = 'trigram case_sensitive 1')",
    "INSERT INTO audit_log_numbers (account_id) SELECT account_id FROM audit_logs ORDER BY account_id",
    "INSERT INTO audit_search (rowid, texts) \
     SELECT (SELECT number FROM audit_log_numbers AS log WHERE log.account_id = event.account_id) * 1099511627776 \
     + event.seq, event.search_key || COALESCE((SELECT char(10) || group_concat(value_key, char(10)) \
     FROM audit_personal AS personal WHERE personal.account_id = event.account_id \
     AND personal.seq = event.seq), '') FROM audit_events AS event",
    "CREATE TRIGGER audit_logs_number AFTER INSERT ON audit_logs BEGIN \
     INSERT INTO audit_log_numbers (account_id) VALUES (new.account_id); END",
    "CREATE TRIGGER audit_events_search AFTER INSERT ON audit_events BEGIN \
     INSERT INTO audit_search (rowid, texts) VALUES (\
     (SELECT number FROM audit_log_numbers WHERE account_id = new.account_id) * 1099511627776 + new.seq, \
     new.search_key || COALESCE((SELECT char(10) || group_concat(value_key, char(10)) FROM audit_personal \
     WHERE account_id = new.account_id AND seq = new.seq), '')); END",
    "CREATE TRIGGER audit_personal_erased AFTER DELETE ON audit_personal BEGIN \
     UPDATE audit_search SET texts = (SELECT search_key FROM audit_events \
     WHERE account_id = old.account_id AND seq = old.seq) \
     || COALESCE((SELECT char(10) || group_concat(value_key, char(10)) FROM audit_personal \
     WHERE account_id = old.account_id AND seq = old.seq), '') \
     WHERE rowid = (SELECT number FROM audit_log_numbers WHERE account_id = old.account_id) * 1099511627776 \
     + old.seq; END",
];
