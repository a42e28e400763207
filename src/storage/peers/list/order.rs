//! Orders of lists, and places in them.

use sea_orm::QueryResult;
use sea_orm::sea_query::Expr;
use uuid::Uuid;

use crate::domain::ids::PeerId;
use crate::storage::error::StoreError;
use crate::storage::keyset::{self, Key};

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

/// The order of a list of peers.
pub type Order = keyset::Order<SortKey>;

/// Where a peer stands in a list.
pub type Place = keyset::Place<PeerId>;

pub(super) fn place(key: SortKey, row: &QueryResult) -> Result<Place, StoreError> {
    let id: Uuid = row.try_get("", "id")?;
    let key = match key.column() {
        None => Key::Id,
        Some(column) if key.is_number() => Key::Number(row.try_get("", column)?),
        Some(column) => Key::Text(row.try_get("", column)?),
    };
    Ok(Place { key, id: PeerId::from(id) })
}

/// What comes after a place.
pub(super) fn beyond(order: Order, after: &Place) -> Expr {
    keyset::beyond(order.key.column().map(Expr::col), (&after.key, after.id.as_uuid().into()), order.descending)
}
