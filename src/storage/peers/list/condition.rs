//! Conditions on peers: what a filter may ask, and how the databases test it.
//!
//! What has few values is tested on `facets`, which the index of every order holds.

use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};

use super::super::facets;
use super::super::row;
use super::{Matching, SortKey, Source, search};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::peer::{MailFormat, PeerKind, PeerStatus, TwoFactor};
use crate::domain::time::Timestamp;
use crate::storage::code::Coded as _;
use crate::storage::keyset::UNSET;

/// One thing that a peer is or is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Kind(PeerKind),
    Status(PeerStatus),
    TwoFactor(TwoFactor),
    MailFormat(MailFormat),
    RequiresExternalLogin,
    HasMicrosoftAccount,
    Home(AccountId),
    DefaultRole(RoleId),
    HasDefaultRole,
    /// Compared as names are: by their folded form.
    OrgUser(String),
    HasOrgUser,
    Time(TimeColumn, Comparison, Timestamp),
    HasTime(TimeColumn),
    /// Deleted at a time or before.
    DeletedUntil(Timestamp),
}

/// A time that peers are filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeColumn {
    LastLogin,
    LastActive,
    Create,
    Expire,
}

/// How a time compares; one that is unset compares in no way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Tests, joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Empty, it holds for every peer.
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
    /// The conditions of which all must hold.
    #[must_use]
    pub fn into_parts(self) -> Vec<Self> {
        match self {
            Self::All(parts) => parts,
            Self::Any(_) | Self::Not(_) | Self::Is(_) => vec![self],
        }
    }

    /// The tests that each peer must pass, whatever else is asked.
    pub fn demands(&self) -> impl Iterator<Item = &Test> {
        let (all, one) = match self {
            Self::All(all) => (all.as_slice(), None),
            Self::Is(test) => (&[][..], Some(test)),
            Self::Any(_) | Self::Not(_) => (&[][..], None),
        };
        let nested = all.iter().filter_map(|condition| match condition {
            Self::Is(test) => Some(test),
            Self::All(_) | Self::Any(_) | Self::Not(_) => None,
        });
        one.into_iter().chain(nested)
    }
}

impl Test {
    /// Whether an index finds the peers that pass.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        indexed(self).is_some()
    }
}

impl TimeColumn {
    const fn column(self) -> &'static str {
        match self {
            Self::LastLogin => "last_login_key",
            Self::LastActive => "last_active_key",
            Self::Create => "create_time",
            Self::Expire => "expire_key",
        }
    }
}

/// The column whose index answers the test, if one does.
const fn column(test: &Test) -> Option<&'static str> {
    Some(match test {
        Test::Kind(_) => "kind",
        Test::Status(_) => "status",
        Test::TwoFactor(_) => "two_factor",
        Test::HasMicrosoftAccount => "microsoft_account_key",
        Test::Home(_) => "home_id",
        Test::DefaultRole(_) | Test::HasDefaultRole => "default_role_key",
        Test::OrgUser(_) | Test::HasOrgUser => "org_user",
        Test::Time(column, ..) | Test::HasTime(column) => column.column(),
        Test::MailFormat(_) | Test::RequiresExternalLogin | Test::DeletedUntil(_) => return None,
    })
}

/// The test as an index answers it, if one does.
pub(super) fn indexed(test: &Test) -> Option<Expr> {
    let name = column(test)?;
    let column = || Expr::col(name);
    Some(match test {
        Test::Kind(kind) => column().eq(kind.word()),
        Test::Status(status) => column().eq(status.word()),
        Test::TwoFactor(two_factor) => column().eq(two_factor.word()),
        Test::HasMicrosoftAccount => column().eq("LINKED"),
        Test::Home(home) => column().eq(home.as_str()),
        Test::DefaultRole(role) => column().eq(role.to_string()),
        Test::OrgUser(name) => column().eq(row::key(name)),
        Test::HasDefaultRole | Test::HasOrgUser => column().gt(""),
        Test::Time(_, comparison, time) => {
            let time = time.as_micros();
            match comparison {
                Comparison::Equal => column().eq(time),
                Comparison::Less => column().lt(time).and(column().gt(UNSET)),
                Comparison::LessOrEqual => column().lte(time).and(column().gt(UNSET)),
                Comparison::Greater => column().gt(time),
                Comparison::GreaterOrEqual => column().gte(time),
            }
        }
        Test::HasTime(_) => column().gt(UNSET),
        Test::MailFormat(_) | Test::RequiresExternalLogin | Test::DeletedUntil(_) => return None,
    })
}

/// The tests of what a list is sorted by: they say which part of the order's index is walked.
pub(super) fn bounds(condition: &Condition, order: SortKey) -> impl Iterator<Item = Expr> {
    let of_order = move |test: &&Test| order.column().is_some_and(|key| column(test) == Some(key));
    condition.demands().filter(of_order).filter_map(indexed)
}

pub(super) fn in_branch(branch: &AccountId) -> Expr {
    Expr::col("branch_id").eq(branch.as_str())
}

/// What is left to be tested of each row. Inside COALESCE no planner sees a condition that an index
/// could answer, and PostgreSQL expects half of the rows to pass instead of next to none.
pub(super) fn residual(backend: DbBackend, matching: &Matching, source: &Source) -> Expr {
    let mut expression = written(&matching.condition);
    if let Some(search) = matching.search.as_ref().filter(|_| !matches!(source, Source::Search)) {
        expression = expression.and(search::tested(backend, search));
    }
    if let Some(branch) = matching.branch.as_ref().filter(|_| !matches!(source, Source::Order)) {
        expression = expression.and(in_branch(branch));
    }
    Func::coalesce([expression, Expr::val(false)]).into()
}

fn written(condition: &Condition) -> Expr {
    let join = |parts: &[Condition], empty: bool, with: fn(Expr, Expr) -> Expr| {
        parts.iter().map(written).reduce(with).unwrap_or_else(|| Expr::val(i32::from(empty)).eq(1))
    };
    match condition {
        Condition::All(parts) => join(parts, true, |left, right| left.and(right)),
        Condition::Any(parts) => join(parts, false, |left, right| left.or(right)),
        Condition::Not(part) => written(part).not(),
        Condition::Is(test) => tested(test),
    }
}

fn tested(test: &Test) -> Expr {
    match test {
        Test::Status(status) => facets::status(*status).tested(),
        Test::Kind(kind) => facets::kind(*kind).tested(),
        Test::TwoFactor(two_factor) => facets::two_factor(*two_factor).tested(),
        Test::MailFormat(format) => facets::mail_format(*format).tested(),
        Test::RequiresExternalLogin => facets::EXTERNAL_LOGIN.tested(),
        Test::HasMicrosoftAccount => facets::MICROSOFT_ACCOUNT.tested(),
        // NULL in a negation would be no answer.
        Test::DeletedUntil(time) => {
            Func::coalesce([Expr::col("delete_time"), Expr::val(i64::MAX)]).lte(time.as_micros())
        }
        Test::Home(_)
        | Test::DefaultRole(_)
        | Test::HasDefaultRole
        | Test::OrgUser(_)
        | Test::HasOrgUser
        | Test::Time(..)
        | Test::HasTime(_) => indexed(test).unwrap_or_else(|| Expr::val(1).eq(0)),
    }
}
