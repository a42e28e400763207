//! Search over user name, full name and e-mail address.
//!
//! A text of three characters or more is found anywhere in the three, by trigrams; a shorter one, in
//! which there is no trigram, where one of the three begins with it. Both sides are folded before they
//! come to a database, so that both databases compare plain characters, and nothing in a text has a
//! meaning of its own: neither `%` and `_` nor the syntax of FTS5.

use sea_orm::DbBackend;
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query, UnionType};

use super::super::TABLE;
use crate::domain::text;
use crate::storage::trigram;

/// The longest search, in characters.
pub const QUERY_MAX: usize = 128;
/// A trigram's length.
const CONTAINS_MIN: usize = 3;
const NAMES: [&str; 3] = ["user_name_key", "full_name_key", "email_key"];
/// Comes after every text that begins with what stands before it.
const LAST: char = char::MAX;

/// What is searched for, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    Contains(String),
    StartsWith(String),
}

impl Search {
    /// The search for a text; none for an empty one.
    #[must_use]
    pub fn of(query: &str) -> Option<Self> {
        let folded = text::fold(query);
        match folded.chars().count() {
            0 => None,
            1..CONTAINS_MIN => Some(Self::StartsWith(folded)),
            _ => Some(Self::Contains(folded)),
        }
    }
}

/// The search as an index answers it.
pub(super) fn indexed(backend: DbBackend, search: &Search) -> Expr {
    match search {
        Search::Contains(part) if backend == DbBackend::Postgres => Expr::col("search_key").like(trigram::like(part)),
        Search::Contains(part) => {
            let phrase = trigram::phrase(part);
            let found = Query::select()
                .column(("peer_numbers", "peer_id"))
                .from("peer_search")
                .inner_join("peer_numbers", Expr::col(("peer_numbers", "number")).equals(("peer_search", "rowid")))
                .and_where(Expr::cust_with_values("peer_search MATCH ?", [phrase]))
                .take();
            Expr::col("id").in_subquery(found)
        }
        Search::StartsWith(start) => {
            let by =
                |column: &'static str| Query::select().column("id").from(TABLE).and_where(begins(column, start)).take();
            let [first, rest @ ..] = NAMES;
            let mut found = by(first);
            for column in rest {
                found.union(UnionType::Distinct, by(column));
            }
            Expr::col(Alias::new("id")).in_subquery(found)
        }
    }
}

/// The search as a row answers it.
pub(super) fn tested(backend: DbBackend, search: &Search) -> Expr {
    match search {
        Search::Contains(part) => {
            let function =
                if backend == DbBackend::Postgres { "strpos(search_key, $1) > 0" } else { "instr(search_key, ?) > 0" };
            Expr::cust_with_values(function, [part.as_str()])
        }
        Search::StartsWith(start) => {
            let [first, second, third] = NAMES;
            begins(first, start).or(begins(second, start)).or(begins(third, start))
        }
    }
}

fn begins(column: &'static str, start: &str) -> Expr {
    Expr::col(column).gte(start).and(Expr::col(column).lt(format!("{start}{LAST}")))
}
