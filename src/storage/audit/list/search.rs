//! Search over the texts of events, which are folded before they come to a database, so that both
//! compare plain characters and nothing in a text has a meaning of its own.

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query, SelectStatement, UnionType};
use sea_orm::{DbBackend, JoinType};

use super::{EVENTS, FOUND, Logs};
use crate::domain::ids::AccountId;
use crate::domain::text;
use crate::storage::trigram;

const PERSONAL: &str = "audit_personal";
/// The longest text that is looked for, in characters.
pub const QUERY_MAX: usize = 128;
/// A trigram's length.
const INDEXED_MIN: usize = 3;
/// How many events of one log have numbers in SQLite's index of texts.
const LOG_SPAN: i64 = 1 << 40;

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

/// The account and number of the events that the index of texts finds, each once.
pub(super) fn gathered(backend: DbBackend, logs: &Logs, search: &Search) -> SelectStatement {
    let mut near = Query::select();
    if backend == DbBackend::Postgres {
        let by = |table: &'static str, column: &'static str| {
            let mut rows = Query::select();
            rows.expr_as(Expr::col("account_id"), Alias::new("near_account"))
                .expr_as(Expr::col("seq"), Alias::new("near_seq"))
                .from(table)
                .and_where(Expr::col(column).like(trigram::like(&search.0)));
            if let Logs::These(these) = logs {
                rows.and_where(Expr::col("account_id").is_in(these.iter().map(AccountId::as_str)));
            }
            rows
        };
        let both = by(EVENTS, "search_key").union(UnionType::Distinct, by(PERSONAL, "value_key")).take();
        near.columns(["near_account", "near_seq"]).from_subquery(both, "both");
        return near;
    }
    let phrase = trigram::phrase(&search.0);
    near.expr_as(Expr::col(("log", "account_id")), Alias::new("near_account"))
        .expr_as(Expr::cust(format!("audit_search.rowid % {LOG_SPAN}")), Alias::new("near_seq"))
        .and_where(Expr::cust_with_values("audit_search MATCH ?", [phrase]));
    match logs {
        // The logs first, and of each the part of the index that is its own. A cross join takes no
        // condition of its own.
        Logs::These(these) => {
            let own = format!(
                "audit_search.rowid BETWEEN log.number * {LOG_SPAN} AND log.number * {LOG_SPAN} + {}",
                LOG_SPAN - 1
            );
            near.from_as("audit_log_numbers", "log")
                .cross_join("audit_search")
                .and_where(Expr::cust(own))
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

/// Whether one of the texts of a row holds what is looked for.
pub(super) fn holds(backend: DbBackend, search: &Search) -> Expr {
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
