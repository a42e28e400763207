//! Lists of peers: which rows match, in which order, from which place on.
//!
//! A list is read in one of two ways, and the caller says which. [`Source::Order`] walks the index of
//! the order and tests each entry: right where what matches is dense. Every other source gathers few
//! rows by an index of its own and sorts them: right where it is small, whatever the order. Conditions
//! on anything but what the list is sorted by are written so that no planner takes an index for them by
//! itself, so that both databases do what the source says, at any size and with any statistics. Only
//! what names a part of the order is left to PostgreSQL: a few it may sort, and of a branch that is most
//! of all peers it may walk the order of all.
//!
//! INVARIANT: every key of an order is NOT NULL on both databases (what is unset comes before all
//! else), ties go by id, and text is in byte order: a place in a list means the same on both.
//!
//! Not here: who may see what, and which source is right.

mod access;
mod condition;
mod order;
mod search;

use sea_orm::sea_query::{
    Alias, CommonTableExpression, Expr, ExprTrait as _, Order as Direction, Query, SelectStatement,
};
use sea_orm::{ConnectionTrait, DbBackend};
use uuid::Uuid;

pub use access::WithAccess;
pub use condition::{Comparison, Condition, Test, TimeColumn};
pub use order::{Order, Place, SortKey};

pub use crate::storage::keyset::Key;
pub use search::{QUERY_MAX, Search};

use super::TABLE;
use crate::domain::ids::{AccountId, PeerId};
use crate::storage::error::StoreError;

/// Ids named in one statement.
const IDS_MAX: usize = 8_000;

/// Where the rows of a list are taken from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The index of the order: of the branch, if one is named, or else of all peers.
    Order,
    /// Those homed in an account or below it.
    Subtree(AccountId),
    /// Those with access to an account.
    WithAccess(WithAccess),
    /// Those that the search finds.
    Search,
    /// Those that pass one test; see [`Test::is_indexed`].
    Test(Test),
    /// These.
    Ids(Vec<PeerId>),
}

/// What listed peers have in common.
#[derive(Debug, Clone, Default)]
pub struct Matching {
    /// The account right below the root that all of them are homed in, or below it.
    pub branch: Option<AccountId>,
    pub condition: Condition,
    pub search: Option<Search>,
}

/// Lists the places of matching peers in an order.
///
/// # Errors
/// What the database reports.
pub async fn places(
    conn: &impl ConnectionTrait,
    source: &Source,
    matching: &Matching,
    order: Order,
    after: Option<&Place>,
    limit: u64,
) -> Result<Vec<Place>, StoreError> {
    let sources = match source {
        Source::Ids(ids) => ids.chunks(IDS_MAX).map(|ids| Source::Ids(ids.to_vec())).collect(),
        Source::Order | Source::Subtree(_) | Source::WithAccess(_) | Source::Search | Source::Test(_) => {
            vec![source.clone()]
        }
    };
    let mut places = Vec::new();
    for source in &sources {
        let select = select(conn.get_database_backend(), source, matching, order, after, limit);
        for row in conn.query_all(&select).await? {
            places.push(order::place(order.key, &row)?);
        }
    }
    if sources.len() > 1 {
        places.sort_unstable_by(|left, right| left.compare(right, order.descending));
        places.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(places)
}

/// The statement of [`places`], for tests that look at its plan.
#[must_use]
pub fn select(
    backend: DbBackend,
    source: &Source,
    matching: &Matching,
    order: Order,
    after: Option<&Place>,
    limit: u64,
) -> SelectStatement {
    const NEAR: &str = "near";
    let column = order.key.column();
    let mut select = Query::select();
    select.column("id");
    if let Some(column) = column {
        select.column(column);
    }
    if matches!(source, Source::Order) {
        walk(&mut select, backend, matching, order, after);
        return select.and_where(condition::residual(backend, matching, source)).limit(limit).take();
    }
    if let Some(after) = after {
        select.and_where(order::beyond(order, after));
    }
    sort(&mut select, order);
    select.limit(limit);
    // Materialized, so that no planner walks the order instead, hoping to meet enough on the way.
    let mut near = gathered(backend, source, matching);
    near.column("id");
    if let Some(column) = column {
        near.column(column);
    }
    let mut table = CommonTableExpression::new();
    table.query(near).table_name(NEAR).materialized(true);
    select.from(NEAR).with_cte(table);
    select
}

/// Counts the matching ones of the next entries of an order's index.
///
/// # Errors
/// What the database reports.
pub async fn count_next(
    conn: &impl ConnectionTrait,
    matching: &Matching,
    order: Order,
    after: Option<&Place>,
    entries: u64,
) -> Result<u64, StoreError> {
    const MATCHES: &str = "matches";
    let backend = conn.get_database_backend();
    let mut next = Query::select();
    next.expr_as(condition::residual(backend, matching, &Source::Order), MATCHES);
    walk(&mut next, backend, matching, order, after);
    next.limit(entries);
    let mut count = Query::select();
    count.expr_as(Expr::cust("COUNT(*)"), "count").from_subquery(next, "next").and_where(Expr::col(MATCHES));
    read_count(conn, &count).await
}

/// Counts the peers of a source, and stops one beyond `most`.
///
/// # Errors
/// What the database reports.
pub async fn count_to(
    conn: &impl ConnectionTrait,
    source: &Source,
    matching: &Matching,
    most: u64,
) -> Result<u64, StoreError> {
    let backend = conn.get_database_backend();
    let mut rows = Query::select();
    rows.expr(Expr::val(1)).from(TABLE).limit(most.saturating_add(1));
    if let Some(from) = from(backend, source, matching) {
        rows.and_where(from);
    }
    let count = Query::select().expr_as(Expr::cust("COUNT(*)"), "count").from_subquery(rows, "some").take();
    read_count(conn, &count).await
}

async fn read_count(conn: &impl ConnectionTrait, count: &SelectStatement) -> Result<u64, StoreError> {
    let row = conn.query_one(count).await?.ok_or_else(|| StoreError::missing(TABLE, "count"))?;
    let count: i64 = row.try_get("", "count")?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Counts all matching peers of a source, by home.
///
/// # Errors
/// What the database reports.
pub async fn count_by_home(
    conn: &impl ConnectionTrait,
    source: &Source,
    matching: &Matching,
) -> Result<Vec<(AccountId, u64)>, StoreError> {
    let mut count = gathered(conn.get_database_backend(), source, matching);
    count.column("home_id").expr_as(Expr::cust("COUNT(*)"), "count").group_by_col("home_id");
    let rows = conn.query_all(&count).await?;
    let read = |row: &sea_orm::QueryResult| {
        let home: String = row.try_get("", "home_id")?;
        let count: i64 = row.try_get("", "count")?;
        let home = AccountId::parse(&home).map_err(|_| StoreError::corrupt(TABLE, &home))?;
        Ok((home, u64::try_from(count).unwrap_or(0)))
    };
    rows.iter().map(read).collect()
}

/// The entries of an order's index from a place on, but for what is tested of each.
fn walk(select: &mut SelectStatement, backend: DbBackend, matching: &Matching, order: Order, after: Option<&Place>) {
    select.from(TABLE);
    if let Some(after) = after {
        select.and_where(order::beyond(order, after));
    }
    if let Some(from) = from(backend, &Source::Order, matching) {
        select.and_where(from);
    }
    for bound in condition::bounds(&matching.condition, order.key) {
        select.and_where(bound);
    }
    sort(select, order);
}

fn sort(select: &mut SelectStatement, order: Order) {
    let direction = if order.descending { Direction::Desc } else { Direction::Asc };
    if let Some(column) = order.key.column() {
        select.order_by(column, direction.clone());
    }
    select.order_by("id", direction);
}

/// The matching rows of a source, in no order, without columns.
fn gathered(backend: DbBackend, source: &Source, matching: &Matching) -> SelectStatement {
    let mut select = Query::select();
    select.from(TABLE);
    if let Some(from) = from(backend, source, matching) {
        select.and_where(from);
    }
    select.and_where(condition::residual(backend, matching, source));
    select
}

/// The condition by whose index a source is read.
fn from(backend: DbBackend, source: &Source, matching: &Matching) -> Option<Expr> {
    let id = || Expr::col(Alias::new("id"));
    match source {
        Source::Order => matching.branch.as_ref().map(condition::in_branch),
        Source::Subtree(top) => Some(Expr::col(Alias::new("home_id")).in_subquery(access::subtree(top))),
        Source::WithAccess(access) => {
            Some(id().in_subquery(access::holders(access)).or(id().in_subquery(access::members(access))))
        }
        Source::Search => matching.search.as_ref().map(|search| search::indexed(backend, search)),
        Source::Test(test) => condition::indexed(test),
        Source::Ids(ids) => Some(id().is_in(ids.iter().map(|id| -> Uuid { id.as_uuid() }))),
    }
}
