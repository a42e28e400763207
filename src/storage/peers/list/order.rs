//! Orders of lists, and places in them.

use std::cmp::Ordering;

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{QueryResult, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::ids::PeerId;
use crate::storage::error::StoreError;

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    Id,
    UserName,
    FullName,
    Email,
    DefaultRole,
    LastLoginTime,
    LastActiveTime,
    Status,
    TwoFactor,
    OrgUser,
    MicrosoftAccount,
    PrivilegedAccess,
    Kind,
    CreateTime,
    ExpireTime,
}

impl SortKey {
    pub const ALL: &'static [Self] = &[
        Self::Id,
        Self::UserName,
        Self::FullName,
        Self::Email,
        Self::DefaultRole,
        Self::LastLoginTime,
        Self::LastActiveTime,
        Self::Status,
        Self::TwoFactor,
        Self::OrgUser,
        Self::MicrosoftAccount,
        Self::PrivilegedAccess,
        Self::Kind,
        Self::CreateTime,
        Self::ExpireTime,
    ];

    /// The column of the key, which leads an index; none where the id alone is the order.
    pub(super) const fn column(self) -> Option<&'static str> {
        match self {
            Self::Id => None,
            Self::UserName => Some("user_name_order"),
            Self::FullName => Some("full_name_key"),
            Self::Email => Some("email_key"),
            Self::DefaultRole => Some("default_role_key"),
            Self::LastLoginTime => Some("last_login_key"),
            Self::LastActiveTime => Some("last_active_key"),
            Self::Status => Some("status"),
            Self::TwoFactor => Some("two_factor"),
            Self::OrgUser => Some("org_user"),
            Self::MicrosoftAccount => Some("microsoft_account_key"),
            Self::PrivilegedAccess => Some("privileged_access_key"),
            Self::Kind => Some("kind"),
            Self::CreateTime => Some("create_time"),
            Self::ExpireTime => Some("expire_key"),
        }
    }

    const fn is_number(self) -> bool {
        matches!(
            self,
            Self::LastLoginTime | Self::LastActiveTime | Self::PrivilegedAccess | Self::CreateTime | Self::ExpireTime
        )
    }
}

/// The order of a list; ties go by id, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub key: SortKey,
    pub descending: bool,
}

impl Order {
    /// How two places stand to each other, as the databases have it: text in order of its bytes.
    pub(super) fn compare(self, left: &Place, right: &Place) -> Ordering {
        let ascending = left.key.cmp(&right.key).then_with(|| left.id.cmp(&right.id));
        if self.descending { ascending.reverse() } else { ascending }
    }
}

/// The value of an order's key in a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    /// The order is by id alone.
    Id,
    Text(String),
    Number(i64),
}

/// Where a peer stands in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub key: Key,
    pub id: PeerId,
}

pub(super) fn place(key: SortKey, row: &QueryResult) -> Result<Place, StoreError> {
    let id: Uuid = row.try_get("", "id")?;
    let key = match key.column() {
        None => Key::Id,
        Some(column) if key.is_number() => Key::Number(row.try_get("", column)?),
        Some(column) => Key::Text(row.try_get("", column)?),
    };
    Ok(Place { key, id: PeerId::from(id) })
}

/// What comes after a place: one comparison of rows, which both databases look up in the index.
pub(super) fn beyond(order: Order, after: &Place) -> Expr {
    let value: Option<Value> = match &after.key {
        Key::Id => None,
        Key::Text(text) => Some(text.as_str().into()),
        Key::Number(number) => Some((*number).into()),
    };
    let (left, right) = match (order.key.column(), value) {
        (Some(column), Some(value)) => (
            Expr::tuple([Expr::col(column), Expr::col("id")]),
            Expr::tuple([Expr::val(value), Expr::val(after.id.as_uuid())]),
        ),
        (None, _) | (_, None) => (Expr::col("id"), Expr::val(after.id.as_uuid())),
    };
    if order.descending { left.lt(right) } else { left.gt(right) }
}
