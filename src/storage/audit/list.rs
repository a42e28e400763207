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

use sea_orm::sea_query::{
    Alias, CaseStatement, CommonTableExpression, Expr, ExprTrait as _, Func, LikeExpr, Order, Query, SelectStatement,
    UnionType,
};
use sea_orm::{ConnectionTrait, DbBackend, JoinType};
use serde::{Deserialize, Serialize};

use crate::domain::ids::AccountId;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::storage::error::StoreError;
pub use crate::storage::peers::list::Comparison;

const EVENTS: &str = "audit_events";
const PERSONAL: &str = "audit_personal";
/// The rows that are walked or gathered, and what a statement calls them.
const FOUND: &str = "found";
/// A trigram's length.
const INDEXED_MIN: usize = 3;
/// The longest text that is looked for, in characters.
pub const QUERY_MAX: usize = 128;
/// How many events of one log have numbers in SQLite's index of texts.
const LOG_SPAN: i64 = 1 << 40;

/// One thing that an event is or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Account(AccountId),
    /// `peers/{uid}`, or the name of a part of the service.
    Actor(String),
    Reporter(String),
    HasReporter,
    Action(String),
    Target(String),
    /// By its word.
    Outcome(&'static str),
    Reason(String),
    HasReason,
    Time(TimeColumn, Comparison, Timestamp),
}

/// A time that events are filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeColumn {
    Occurred,
    Recorded,
}

/// Tests, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Empty, it holds for every event.
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Is(Test),
}

impl Default for Condition {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Condition {
    /// Whether any part of it is a test that `wanted` picks.
    pub fn has(&self, wanted: fn(&Test) -> bool) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.has(wanted)),
            Self::Not(part) => part.has(wanted),
            Self::Is(test) => wanted(test),
        }
    }

    /// The test by whose index a log is walked: one that every event must pass, the rarest kind first.
    fn narrowest(&self) -> Option<&Test> {
        let rank = |test: &&Test| match test {
            Test::Target(_) => Some(0),
            Test::Reporter(_) => Some(1),
            Test::Outcome(outcome) if *outcome != "SUCCESS" => Some(2),
            Test::Actor(_) => Some(3),
            Test::Action(_) => Some(4),
            Test::Account(_)
            | Test::HasReporter
            | Test::Outcome(_)
            | Test::Reason(_)
            | Test::HasReason
            | Test::Time(..) => None,
        };
        let (all, one) = match self {
            Self::All(all) => (all.as_slice(), None),
            Self::Is(test) => (&[][..], Some(test)),
            Self::Any(_) | Self::Not(_) => (&[][..], None),
        };
        let nested = all.iter().filter_map(|part| match part {
            Self::Is(test) => Some(test),
            Self::All(_) | Self::Any(_) | Self::Not(_) => None,
        });
        one.into_iter().chain(nested).filter(|test| rank(test).is_some()).min_by_key(rank)
    }
}

/// A text that is looked for, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(String);

impl Search {
    /// The search for a text; none for an empty one.
    #[must_use]
    pub fn of(query: &str) -> Option<Self> {
        let folded = text::fold(query);
        (!folded.is_empty()).then_some(Self(folded))
    }

    /// Whether an index finds the text.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        self.0.chars().count() >= INDEXED_MIN
    }
}

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
    let inner = match source {
        Source::Walk => {
            let walk = |log| walked(log, &matching.condition, direction, after, limit);
            match logs {
                Logs::All => walk(None),
                Logs::These(these) => union(these.iter().map(|log| walk(Some(log)))),
            }
        }
        Source::Gather => {
            let search = matching.search.clone().unwrap_or(Search(String::new()));
            let mut table = CommonTableExpression::new();
            table.query(gathered(backend, logs, &search)).table_name("near").materialized(true);
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

/// The account and number of the events that the index of texts finds, each once.
fn gathered(backend: DbBackend, logs: &Logs, search: &Search) -> SelectStatement {
    let mut near = Query::select();
    if backend == DbBackend::Postgres {
        let by = |table: &'static str, column: &'static str| {
            let mut rows = Query::select();
            rows.expr_as(Expr::col("account_id"), Alias::new("near_account"))
                .expr_as(Expr::col("seq"), Alias::new("near_seq"))
                .from(table)
                .and_where(Expr::col(column).like(LikeExpr::new(pattern(&search.0)).escape('\\')));
            if let Logs::These(these) = logs {
                rows.and_where(Expr::col("account_id").is_in(these.iter().map(AccountId::as_str)));
            }
            rows
        };
        let both = by(EVENTS, "search_key").union(UnionType::Distinct, by(PERSONAL, "value_key")).take();
        near.columns(["near_account", "near_seq"]).from_subquery(both, "both");
        return near;
    }
    // A string of FTS5, in which a quote is doubled.
    let phrase = format!("\"{}\"", search.0.replace('"', "\"\""));
    near.expr_as(Expr::col(("log", "account_id")), Alias::new("near_account"))
        .expr_as(Expr::cust(format!("audit_search.rowid % {LOG_SPAN}")), Alias::new("near_seq"))
        .and_where(Expr::cust_with_values("audit_search MATCH ?", [phrase]));
    match logs {
        // The logs first, and of each the part of the index that is its own.
        Logs::These(these) => {
            let own = format!(
                "audit_search.rowid BETWEEN log.number * {LOG_SPAN} AND log.number * {LOG_SPAN} + {}",
                LOG_SPAN - 1
            );
            near.from_as("audit_log_numbers", "log")
                .join(JoinType::CrossJoin, "audit_search", Expr::cust(own))
                .and_where(Expr::col(("log", "account_id")).is_in(these.iter().map(AccountId::as_str)));
        }
        Logs::All => {
            let own = format!("log.number = audit_search.rowid / {LOG_SPAN}");
            near.from("audit_search").join_as(
                JoinType::InnerJoin,
                "audit_log_numbers",
                Alias::new("log"),
                Expr::cust(own),
            );
        }
    }
    near
}

fn pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Whether a row of [`FOUND`] is what was asked for.
fn tested(backend: DbBackend, matching: &Matching, source: Source) -> Expr {
    let expression = written(&matching.condition);
    match &matching.search {
        Some(search) if source == Source::Walk => expression.and(holds(backend, search)),
        Some(_) | None => expression,
    }
}

/// Whether one of the texts of a row holds what is looked for.
fn holds(backend: DbBackend, search: &Search) -> Expr {
    let within = |column: &str| {
        let function = if backend == DbBackend::Postgres {
            format!("strpos({column}, $1) > 0")
        } else {
            format!("instr({column}, ?) > 0")
        };
        Expr::cust_with_values(function, [search.0.as_str()])
    };
    let personal = Query::select()
        .expr(Expr::cust("1"))
        .from(PERSONAL)
        .and_where(Expr::col((PERSONAL, "account_id")).equals((FOUND, "account_id")))
        .and_where(Expr::col((PERSONAL, "seq")).equals((FOUND, "seq")))
        .and_where(within("audit_personal.value_key"))
        .take();
    within("found.search_key").or(Expr::exists(personal))
}

fn written(condition: &Condition) -> Expr {
    let join = |parts: &[Condition], empty: bool, with: fn(Expr, Expr) -> Expr| {
        parts.iter().map(written).reduce(with).unwrap_or_else(|| Expr::val(i32::from(empty)).eq(1))
    };
    match condition {
        Condition::All(parts) => join(parts, true, |left, right| left.and(right)),
        Condition::Any(parts) => join(parts, false, |left, right| left.or(right)),
        Condition::Not(part) => written(part).not(),
        Condition::Is(test) => compared(test),
    }
}

/// A test that is never unknown, so that its opposite is what it is not.
fn compared(test: &Test) -> Expr {
    let or_nothing = |column: &'static str| -> Expr { Func::coalesce([Expr::col(column), Expr::val("")]).into() };
    match test {
        Test::Actor(name) => or_nothing("actor").eq(name.as_str()),
        Test::Reporter(name) => or_nothing("reporter").eq(name.as_str()),
        Test::Target(name) => or_nothing("target").eq(name.as_str()),
        Test::Reason(code) => or_nothing("reason").eq(code.as_str()),
        Test::Account(_)
        | Test::HasReporter
        | Test::Action(_)
        | Test::Outcome(_)
        | Test::HasReason
        | Test::Time(..) => plain(test),
    }
}

/// A test as an index answers it.
fn plain(test: &Test) -> Expr {
    match test {
        Test::Account(account) => Expr::col("account_id").eq(account.as_str()),
        Test::Actor(name) => Expr::col("actor").eq(name.as_str()),
        Test::Reporter(name) => Expr::col("reporter").eq(name.as_str()),
        Test::HasReporter => Expr::col("reporter").is_not_null(),
        Test::Action(action) => Expr::col("action").eq(action.as_str()),
        Test::Target(name) => Expr::col("target").eq(name.as_str()),
        // Written out, so that the planner sees that the index of what did not succeed holds it.
        Test::Outcome(outcome) => Expr::col("outcome").eq(Expr::cust(format!("'{outcome}'"))),
        Test::Reason(code) => Expr::col("reason").eq(code.as_str()),
        Test::HasReason => Expr::col("reason").is_not_null(),
        Test::Time(column, comparison, time) => {
            let column = Expr::col(match column {
                TimeColumn::Occurred => "occurred_time",
                TimeColumn::Recorded => "recorded_time",
            });
            let time = time.as_micros();
            match comparison {
                Comparison::Equal => column.eq(time),
                Comparison::Less => column.lt(time),
                Comparison::LessOrEqual => column.lte(time),
                Comparison::Greater => column.gt(time),
                Comparison::GreaterOrEqual => column.gte(time),
            }
        }
    }
}
