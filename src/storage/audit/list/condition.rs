//! Conditions on events: what a filter may ask, and how the databases test it.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};

use super::Comparison;
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

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
    pub(super) fn narrowest(&self) -> Option<&Test> {
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

/// Whether a row is what a condition asks for.
pub(super) fn written(condition: &Condition) -> Expr {
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
        Test::Outcome(outcome) => Expr::col("outcome").eq(*outcome),
        Test::Account(_) | Test::HasReporter | Test::Action(_) | Test::HasReason | Test::Time(..) => plain(test),
    }
}

/// A test as an index answers it.
pub(super) fn plain(test: &Test) -> Expr {
    match test {
        Test::Account(account) => Expr::col("account_id").eq(account.as_str()),
        Test::Actor(name) => Expr::col("actor").eq(name.as_str()),
        Test::Reporter(name) => Expr::col("reporter").eq(name.as_str()),
        Test::HasReporter => Expr::col("reporter").is_not_null(),
        Test::Action(action) => Expr::col("action").eq(action.as_str()),
        Test::Target(name) => Expr::col("target").eq(name.as_str()),
        // Written out, and as the index of what did not succeed says it: SQLite takes that index for
        // nothing else.
        Test::Outcome("SUCCESS") => Expr::col("outcome").eq("SUCCESS"),
        Test::Outcome(outcome) => Expr::cust(format!("(outcome <> 'SUCCESS' AND outcome = '{outcome}')")),
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
