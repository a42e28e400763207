//! Lists over audit logs: which events match, in one order over all of them.
//!
//! A log is walked along an index that begins with it and ends with the order: that of one comparison
//! every event must pass, where there is one, and else that of the log. Whatever else is asked stands
//! beside each row as an answer and keeps no row back, so that a read costs as much as it returns,
//! however little of it matches. A few logs are walked side by side; of many, all events there are.
//!
//! A text of three characters or more is gathered by its trigrams where few events have it.
//!
//! INVARIANT: text is compared folded and in byte order, NULL is compared as nothing, and a place means
//! the same on both databases.
//!
//! Not here: who may see what.

mod condition;
mod search;

use sea_orm::sea_query::{
    Alias, CaseStatement, CommonTableExpression, Expr, ExprTrait as _, Order, Query, SelectStatement, UnionType,
};
use sea_orm::{ConnectionTrait, DbBackend};
use serde::{Deserialize, Serialize};

use crate::domain::ids::AccountId;
use crate::storage::error::StoreError;
pub use crate::storage::peers::list::Comparison;
pub use condition::{Condition, Test, TimeColumn};
pub use search::{QUERY_MAX, Search};

use condition::{plain, written};
use search::{gathered, holds};

const EVENTS: &str = "audit_events";
/// The rows that are walked or gathered, and what a statement calls them.
const FOUND: &str = "found";

/// What listed events have in common.
#[derive(Debug, Clone, Default)]
pub struct Matching {
    pub condition: Condition,
    pub search: Option<Search>,
}

/// Which logs are read.
#[derive(Debug, Clone)]
pub enum Logs {
    /// These, side by side.
    These(Vec<AccountId>),
    /// All there are.
    All,
}

/// Which end of the logs a list begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    OldestFirst,
    NewestFirst,
}

/// How the rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Along the order.
    Walk,
    /// By the index of texts.
    Gather,
}

/// Where an event stands among those of all logs, from the oldest to the newest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub time: i64,
    pub account: AccountId,
    pub seq: i64,
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub place: Place,
    /// Whether the event is what was asked for.
    pub matches: bool,
}

/// What is read.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    pub logs: &'a Logs,
    pub matching: &'a Matching,
    pub direction: Direction,
    pub source: Source,
}

/// Reads the next rows after a place, and says of each whether it matches. Fewer than `limit` say that
/// there are no more.
///
/// # Errors
/// [`StoreError::Corrupt`] where one cannot be read; otherwise what the database reports.
pub async fn rows(
    conn: &impl ConnectionTrait,
    reading: &Reading<'_>,
    after: Option<&Place>,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let found = conn.query_all(&select(conn.get_database_backend(), reading, after, limit)).await?;
    let read = |row: &sea_orm::QueryResult| {
        let account: String = row.try_get("", "account_id")?;
        let matches: i64 = row.try_get("", "matches")?;
        let account = AccountId::parse(&account).map_err(|_| StoreError::corrupt(EVENTS, &account))?;
        let place = Place { time: row.try_get("", "order_time")?, account, seq: row.try_get("", "seq")? };
        Ok(Row { place, matches: matches != 0 })
    };
    found.iter().map(read).collect()
}

/// The place right before an event of a log, or of the first after it: a list goes on with it then.
///
/// # Errors
/// What the database reports.
pub async fn place_before(
    conn: &impl ConnectionTrait,
    log: &AccountId,
    seq: i64,
    direction: Direction,
) -> Result<Option<Place>, StoreError> {
    let mut select = Query::select();
    select.columns(["seq", "order_time"]).from(EVENTS).and_where(Expr::col("account_id").eq(log.as_str())).limit(1);
    match direction {
        Direction::OldestFirst => select.and_where(Expr::col("seq").gte(seq)).order_by("seq", Order::Asc),
        Direction::NewestFirst => select.and_where(Expr::col("seq").lte(seq)).order_by("seq", Order::Desc),
    };
    let Some(row) = conn.query_one(&select).await? else { return Ok(None) };
    let (found, time): (i64, i64) = (row.try_get("", "seq")?, row.try_get("", "order_time")?);
    let seq = if direction == Direction::OldestFirst { found - 1 } else { found + 1 };
    Ok(Some(Place { time, account: log.clone(), seq }))
}

/// Counts the events that an index finds by a text, and stops one beyond `most`.
///
/// # Errors
/// What the database reports.
pub async fn count_gathered(
    conn: &impl ConnectionTrait,
    logs: &Logs,
    search: &Search,
    most: u64,
) -> Result<u64, StoreError> {
    let mut near = gathered(conn.get_database_backend(), logs, search);
    near.limit(most.saturating_add(1));
    let count = Query::select().expr_as(Expr::cust("COUNT(*)"), "count").from_subquery(near, "near").take();
    let row = conn.query_one(&count).await?.ok_or_else(|| StoreError::missing(EVENTS, "count"))?;
    let count: i64 = row.try_get("", "count")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The statement of [`rows`], for tests that look at its plan.
#[must_use]
pub fn select(backend: DbBackend, reading: &Reading<'_>, after: Option<&Place>, limit: u64) -> SelectStatement {
    let mut select = Query::select();
    let Reading { logs, matching, direction, source } = *reading;
    let inner = match (source, &matching.search) {
        (Source::Gather, Some(search)) => {
            let mut table = CommonTableExpression::new();
            table.query(gathered(backend, logs, search)).table_name("near").materialized(true);
            select.with_cte(table);
            let mut rows = Query::select();
            rows.columns(COLUMNS.map(|column| (EVENTS, column))).from("near").inner_join(
                EVENTS,
                Expr::col((EVENTS, "account_id"))
                    .equals(("near", "near_account"))
                    .and(Expr::col((EVENTS, "seq")).equals(("near", "near_seq"))),
            );
            rows
        }
        (Source::Walk, _) | (Source::Gather, None) => {
            let walk = |log| walked(log, &matching.condition, direction, after, limit);
            match logs {
                Logs::All => walk(None),
                Logs::These(these) => union(these.iter().map(|log| walk(Some(log)))),
            }
        }
    };
    let matches = tested(backend, matching, source);
    let matches = CaseStatement::new().case(matches, Expr::cust("1")).finally(Expr::cust("0"));
    select
        .columns(["account_id", "seq", "order_time"])
        .expr_as(Expr::expr(matches).cast_as("BIGINT"), Alias::new("matches"))
        .from_subquery(inner, FOUND)
        .limit(limit);
    if let Some(after) = after {
        select.and_where(beyond(after, direction));
    }
    ordered(&mut select, direction);
    select
}

/// What a condition may ask of a row, and where it stands.
const COLUMNS: [&str; 11] = [
    "account_id",
    "seq",
    "order_time",
    "occurred_time",
    "recorded_time",
    "action",
    "actor",
    "target",
    "outcome",
    "reason",
    "reporter",
];

/// The next rows of one log, or of all, along the index of the narrowest test.
fn walked(
    log: Option<&AccountId>,
    condition: &Condition,
    direction: Direction,
    after: Option<&Place>,
    limit: u64,
) -> SelectStatement {
    let mut rows = Query::select();
    rows.columns(COLUMNS).column("search_key").from(EVENTS).limit(limit);
    if let Some(log) = log {
        rows.and_where(Expr::col("account_id").eq(log.as_str()));
        // An index of many logs cannot be walked in one order by anything else.
        if let Some(test) = condition.narrowest() {
            rows.and_where(plain(test));
        }
        if let Some(after) = after {
            rows.and_where(beyond_in(log, after, direction));
        }
        let order = if direction == Direction::OldestFirst { Order::Asc } else { Order::Desc };
        rows.order_by("order_time", order.clone()).order_by("seq", order);
    } else {
        if let Some(after) = after {
            rows.and_where(beyond(after, direction));
        }
        ordered(&mut rows, direction);
    }
    rows
}

/// Statements side by side. SQLite takes an order within one only where it is a table by itself.
fn union(mut parts: impl Iterator<Item = SelectStatement>) -> SelectStatement {
    let whole =
        |part: SelectStatement| Query::select().columns(COLUMNS).column("search_key").from_subquery(part, "log").take();
    let Some(first) = parts.next() else {
        return Query::select().columns(COLUMNS).column("search_key").from(EVENTS).and_where(Expr::val(1).eq(0)).take();
    };
    let mut union = whole(first);
    for part in parts {
        union.union(UnionType::All, whole(part));
    }
    union
}

fn ordered(select: &mut SelectStatement, direction: Direction) {
    let order = if direction == Direction::OldestFirst { Order::Asc } else { Order::Desc };
    for column in ["order_time", "account_id", "seq"] {
        select.order_by(column, order.clone());
    }
}

/// What comes after a place in the order of all logs.
fn beyond(after: &Place, direction: Direction) -> Expr {
    let left = Expr::tuple(["order_time", "account_id", "seq"].map(Expr::col));
    let right = Expr::tuple([Expr::val(after.time), Expr::val(after.account.as_str()), Expr::val(after.seq)]);
    if direction == Direction::OldestFirst { left.gt(right) } else { left.lt(right) }
}

/// The same for the rows of one log, as its own indexes answer it.
fn beyond_in(log: &AccountId, after: &Place, direction: Direction) -> Expr {
    // Of a log that stands behind the place's, the events of that time come after it; of one before, not.
    let seq = match log.cmp(&after.account) {
        std::cmp::Ordering::Less => i64::MAX,
        std::cmp::Ordering::Equal => after.seq,
        std::cmp::Ordering::Greater => -1,
    };
    let left = Expr::tuple(["order_time", "seq"].map(Expr::col));
    let right = Expr::tuple([Expr::val(after.time), Expr::val(seq)]);
    if direction == Direction::OldestFirst { left.gt(right) } else { left.lt(right) }
}

/// Whether a row of [`FOUND`] is what was asked for.
fn tested(backend: DbBackend, matching: &Matching, source: Source) -> Expr {
    let expression = written(&matching.condition);
    match &matching.search {
        Some(search) if source == Source::Walk => expression.and(holds(backend, search)),
        Some(_) | None => expression,
    }
}
