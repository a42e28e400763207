//! Lists by keyset: places in an order, and what comes after a place.
//!
//! INVARIANT: a place is a value and an id. No row is looked up for it, so that it tells nothing of one
//! that is not listed. Text stands in the order of its bytes, as in both databases.

use std::cmp::Ordering;

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{QueryOrder, Value};
use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

/// The order of a list by one of its keys; ties go by id, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order<K> {
    pub key: K,
    pub descending: bool,
}

/// What a row is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    /// Nothing but its id.
    Id,
    Text(String),
    Number(i64),
}

/// The key of an unset time, before all others. SQLite cannot write the smallest number of 64 bits.
pub(super) const UNSET: i64 = -9_000_000_000_000_000_000;

/// What lists sort and compare a time by that can be unset.
pub(super) fn time_key(time: Option<Timestamp>) -> i64 {
    time.map_or(UNSET, Timestamp::as_micros)
}

/// Where a row stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place<I> {
    pub key: Key,
    pub id: I,
}

impl<I: Ord> Place<I> {
    /// How two places stand to each other in a list.
    #[must_use]
    pub fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let ascending = self.key.cmp(&other.key).then_with(|| self.id.cmp(&other.id));
        if descending { ascending.reverse() } else { ascending }
    }
}

/// What comes after a place: one comparison of rows, which both databases look up in an index of
/// `column` and `id`. Without a column the id alone is the order.
pub(super) fn beyond(column: Option<Expr>, (key, id): (&Key, Value), descending: bool) -> Expr {
    let value: Option<Value> = match key {
        Key::Id => None,
        Key::Text(text) => Some(text.as_str().into()),
        Key::Number(number) => Some((*number).into()),
    };
    let (left, right) = match (column, value) {
        (Some(column), Some(value)) => {
            (Expr::tuple([column, Expr::col("id")]), Expr::tuple([Expr::val(value), Expr::val(id)]))
        }
        (None, _) | (_, None) => (Expr::col("id"), Expr::val(id)),
    };
    if descending { left.lt(right) } else { left.gt(right) }
}

/// Sorts rows by a column, if there is one, and their ids.
pub(super) fn sorted<Q: QueryOrder>(select: Q, column: Option<Expr>, descending: bool) -> Q {
    let order = if descending { sea_orm::Order::Desc } else { sea_orm::Order::Asc };
    let select = match column {
        Some(column) => select.order_by(column, order.clone()),
        None => select,
    };
    select.order_by(Expr::col("id"), order)
}
