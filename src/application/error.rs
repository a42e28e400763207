//! What a use case can fail with. Transport turns each into one status; nothing else does.

use crate::decision::SnapshotError;
use crate::domain::ids::AccountId;
use crate::domain::invalid::Invalid;
use crate::domain::permission::Pattern;
use crate::domain::role::Requirements;
use crate::storage::StoreError;

/// One field that was refused, by its path in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub field: String,
    pub why: Invalid,
}

impl Violation {
    #[must_use]
    pub fn new(field: impl Into<String>, why: Invalid) -> Self {
        Self { field: field.into(), why }
    }
}

/// A state or a rule that stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precondition {
    /// The parent's kind holds no children of this kind.
    AccountKindNotAllowed,
    AccountTooDeep,
    AccountCycle,
    AccountNotEmpty,
    AccountSuspended,
    AccountNotSuspended,
    /// A child would be looser than what it inherits.
    SettingsLooserThanInherited,
    /// Only peers homed there, or the operator with a reason, change partner access.
    PartnerAccessNotYours,
    RoleNotAssignable,
    /// The role belongs elsewhere, or its pack is not switched on here.
    RoleNotUsableHere,
    RoleBuiltIn,
    RoleInUse,
    /// A copy would be looser than its source, or the source cannot be copied.
    RoleCopyLooser,
    PeerKindNotAllowed,
    RoleAccountKindNotAllowed,
    ReachNotAllowed,
    TooManyHolders,
    JustificationRequired,
    LastAdministrator,
    /// Only the operator may do this to the holder of an unassignable role.
    HolderOfUnassignableRole,
    PeerNotHomedThere,
    PeerNotPerson,
    PeerDisabled,
    PeerEnabled,
    PeerDeleted,
    PeerNotDeleted,
    GroupMemberNotRelated,
    GroupInUse,
    ApiKeyRevoked,
    ApiKeyLimit,
    /// Wildcards that exist would match a new permission; confirm first.
    PermissionGainsNotConfirmed,
    PermissionOwnedByAnother,
    PermissionFlagsFixed,
    CatalogueFull,
    ReasonRequired,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unauthenticated {
    CredentialMissing,
    CredentialMalformed,
    CredentialUnknown,
    CredentialExpired,
    PeerDisabled,
    PeerExpired,
    HomeSuspended,
}

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} field(s) are not acceptable", .0.len())]
    Invalid(Vec<Violation>),
    #[error("the caller is not authenticated: {0:?}")]
    Unauthenticated(Unauthenticated),
    /// Missing, or not the caller's to see: the two look the same.
    #[error("there is no {kind} `{name}`")]
    NotFound { kind: &'static str, name: String },
    #[error("permission `{permission}` is needed on `accounts/{account}`")]
    Denied { permission: &'static str, account: AccountId, unmet: Requirements },
    #[error("this would give `{pattern}` on `accounts/{account}`, which the caller does not hold there")]
    Escalation { pattern: Pattern, account: AccountId },
    #[error("there is already a {kind} `{name}`")]
    AlreadyExists { kind: &'static str, name: String },
    #[error("the state does not allow this: {reason:?} of `{subject}`")]
    Precondition { reason: Precondition, subject: String },
    #[error("`{name}` was changed by someone else: the etag is stale")]
    EtagMismatch { name: String },
    #[error("the revision asked for is not here yet")]
    RevisionNotReached,
    #[error("not built in this release")]
    Unimplemented,
    #[error("the store could not do this")]
    Store(#[from] StoreError),
    #[error("the policy snapshot could not be changed")]
    Snapshot(#[from] SnapshotError),
    #[error("an internal fault")]
    Internal(#[source] anyhow::Error),
}

impl Error {
    /// One field is wrong.
    #[must_use]
    pub fn invalid(field: impl Into<String>, why: Invalid) -> Self {
        Self::Invalid(vec![Violation::new(field, why)])
    }

    #[must_use]
    pub fn not_found(kind: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { kind, name: name.into() }
    }

    #[must_use]
    pub fn precondition(reason: Precondition, subject: impl Into<String>) -> Self {
        Self::Precondition { reason, subject: subject.into() }
    }
}

/// What use cases return.
pub type Result<T> = std::result::Result<T, Error>;
