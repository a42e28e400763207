//! What a use case can fail with. Transport turns each into one status; nothing else does.

use super::pool::PoolError;
use crate::decision::SnapshotError;
use crate::domain::ids::{AccountId, RoleId};
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

/// A state or a rule that stands in the way, by the name the API gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precondition {
    LastAdministrator,
    AccountIsRoot,
    /// The parent's kind holds no children of this kind, or the role is not for accounts of it.
    AccountKindNotAllowed,
    AccountTooDeep,
    AccountCycle,
    AccountNotEmpty,
    AccountSuspended,
    AccountNotSuspended,
    /// A child would be looser than what it inherits.
    SettingLoosened,
    /// The setting has no place on an account of this kind.
    SettingNotAllowed,
    TemplateAmbiguous,
    TemplateNotAvailable,
    OwnerMissing,
    NewOwnerNotEligible,
    PeerDeleted,
    PeerNotDeleted,
    PeerState,
    PeerKindNotAllowed,
    /// Only a device or an integration may have this.
    SystemPeerRequired,
    RoleBuiltIn,
    RoleInUse,
    RoleUnassignable,
    RoleNotUsable,
    RolePackNotEnabled,
    RolePackInUse,
    /// A copy would be looser than its source.
    RoleRulesLoosened,
    /// Bindings that exist would break the role's new rules.
    RoleRulesViolated,
    ReachNotAllowed,
    MaxHoldersReached,
    JustificationRequired,
    GroupInUse,
    MemberHomeNotRelated,
    ApiKeyRevoked,
    /// The peer must sign in at its external provider, so that a password is of no use to it.
    ExternalLoginRequired,
}

/// A rule by which the caller may not, whatever permissions it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forbidden {
    /// Only the operator disables or deletes the holder of an unassignable role, or sets its password.
    OwnerProtected,
    /// Only peers homed there, or the operator with a reason, change partner access.
    PartnerAccessOfOthers,
    /// Nobody loosens the link between their own peers: it says whose approvals are one's own.
    OwnPersonLink,
    /// A DENY falls on peers homed at its account or below; on others it is for those who bind roles
    /// at their home.
    DenialOfOthers,
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

/// What is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Taken {
    AccountId,
    UserName,
    RoleTitle,
    GroupTitle,
    RoleBinding,
    GroupMember,
    /// A permission that another pack or service registered.
    Permission,
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
    #[error("`{subject}`: {}", rule.says())]
    Forbidden { rule: Forbidden, subject: String },
    #[error("{} `{name}` is taken", words(what))]
    AlreadyExists { what: Taken, name: String },
    #[error("`request_id` was used for a different request")]
    RequestIdReused,
    #[error("the page token is not of this list")]
    PageToken,
    #[error("permission `{name}` is not registered")]
    PermissionUnknown { field: String, name: String },
    #[error("at most {most} {of} are allowed")]
    LimitReached { of: &'static str, most: usize },
    #[error("`{subject}`: {}", reason.says())]
    Precondition { reason: Precondition, subject: String },
    /// Wildcards that exist would match new permissions; the first of the roles that hold them.
    #[error("{role_count} role(s) would gain permissions by their wildcards; set `confirm_gains` if they may")]
    GainsUnconfirmed { roles: Vec<RoleId>, role_count: usize, gain_count: usize },
    #[error("`{name}` was changed by someone else: the etag is stale")]
    EtagMismatch { name: String },
    #[error("an operator was made before; bootstrap works once")]
    Bootstrapped,
    #[error("the database is not empty: a world is made where there is none")]
    NotEmpty,
    #[error("the server has too much to do")]
    Overloaded,
    #[error("the server is not ready")]
    NotReady,
    /// The database holds another history than the one that was followed: it was restored, or failed
    /// over to a copy that lagged.
    #[error("the database at revision {there} is not the one that revision {here} came from")]
    Diverged { here: i64, there: i64 },
    #[error("the revision asked for is not here yet")]
    RevisionNotReached,
    #[error("the history of policy does not reach back that far")]
    RevisionNotKept,
    #[error("the moment asked about is yet to come")]
    MomentInFuture,
    #[error("not built in this release")]
    Unimplemented,
    #[error("the store could not do this")]
    Store(#[from] StoreError),
    #[error("the policy snapshot could not be changed")]
    Snapshot(#[from] SnapshotError),
    #[error("an internal fault")]
    Internal(#[source] anyhow::Error),
}

impl Precondition {
    /// What stands in the way and, where it helps, what to do about it. The subject comes before it.
    const fn says(self) -> &'static str {
        match self {
            Self::LastAdministrator => "its last full administrator has to stay; make another one first",
            Self::AccountIsRoot => "this cannot be done to the root account",
            Self::AccountKindNotAllowed => "its kind does not go with that of the account it would be in, or on",
            Self::AccountTooDeep => "the tree would be deeper than eight levels",
            Self::AccountCycle => "an account cannot lie below itself",
            Self::AccountNotEmpty => "it holds accounts, peers, groups, roles or bindings; `cascade` deletes them too",
            Self::AccountSuspended => "it is suspended, or an account above it is; resume that first",
            Self::AccountNotSuspended => "it is not suspended itself",
            Self::SettingLoosened => "its settings may only be as loose as those of the accounts above it",
            Self::SettingNotAllowed => "an account of its kind does not have such a setting",
            Self::TemplateAmbiguous => {
                "several templates apply to the new account; name one of these packs as `template`"
            }
            Self::TemplateNotAvailable => "no such template applies to the new account",
            Self::OwnerMissing => "it has no owner",
            Self::NewOwnerNotEligible => "an owner is an enabled person homed in the account",
            Self::PeerDeleted => "the peer is deleted",
            Self::PeerNotDeleted => "the peer is not deleted",
            Self::PeerState => "the peer is in that state already",
            Self::PeerKindNotAllowed => "the role is not for peers of this kind",
            Self::SystemPeerRequired => "only a device or an integration may have this",
            Self::RoleBuiltIn => "a built-in role never changes; copy it and change the copy",
            Self::RoleInUse => "somebody holds the role; take its bindings away first",
            Self::RoleUnassignable => {
                "only the creation and deletion of an account and TransferOwnership give or take this role"
            }
            Self::RoleNotUsable => "the role belongs to an account whose roles are not usable there",
            Self::RolePackNotEnabled => "the role's pack is not among the `role_packs` there",
            Self::RolePackInUse => "somebody holds the role, so its pack cannot be switched off",
            Self::RoleRulesLoosened => "a copy keeps its source's rules of use and may only tighten them",
            Self::RoleRulesViolated => "bindings that exist would break the new rules of use",
            Self::ReachNotAllowed => "the role may not be bound with this reach",
            Self::MaxHoldersReached => "as many peers hold the role on the account as may",
            Self::JustificationRequired => "this role is given for a stated reason only; fill in `justification`",
            Self::GroupInUse => "the group has members or bindings; take them away first",
            Self::MemberHomeNotRelated => "members are homed in the group's account, above it or below it",
            Self::ApiKeyRevoked => "the key is revoked already",
            Self::ExternalLoginRequired => {
                "it must sign in at its identity provider, so that a password is of no use to it"
            }
        }
    }
}

impl Forbidden {
    /// Whose right it is instead. The subject comes before it.
    const fn says(self) -> &'static str {
        match self {
            Self::OwnerProtected => "it holds a role that cannot be assigned, so only the operator may do this to it",
            Self::PartnerAccessOfOthers => {
                "only peers homed in the account, or the operator with a reason, change its partner access"
            }
            Self::OwnPersonLink => "nobody loosens the link between their own peers; ask another administrator",
            Self::DenialOfOthers => {
                "a DENY on a peer homed elsewhere is for those who bind roles at its home; `partner_access` keeps such \
                 peers out"
            }
        }
    }
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

    /// Whether it says something about what was asked for, so that what else is asked for may go on.
    #[must_use]
    pub const fn is_about_the_request(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::NotFound { .. }
            | Self::Denied { .. }
            | Self::Escalation { .. }
            | Self::Forbidden { .. }
            | Self::AlreadyExists { .. }
            | Self::PermissionUnknown { .. }
            | Self::LimitReached { .. }
            | Self::Precondition { .. }
            | Self::GainsUnconfirmed { .. }
            | Self::EtagMismatch { .. } => true,
            Self::Unauthenticated(_)
            | Self::RequestIdReused
            | Self::PageToken
            | Self::Bootstrapped
            | Self::NotEmpty
            | Self::Overloaded
            | Self::NotReady
            | Self::Diverged { .. }
            | Self::RevisionNotReached
            | Self::RevisionNotKept
            | Self::MomentInFuture
            | Self::Unimplemented
            | Self::Store(_)
            | Self::Snapshot(_)
            | Self::Internal(_) => false,
        }
    }

    #[must_use]
    pub fn precondition(reason: Precondition, subject: impl Into<String>) -> Self {
        Self::Precondition { reason, subject: subject.into() }
    }
}

/// What it means to a caller that the store could not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreFault {
    /// Another change was in the way: worth another try.
    Conflict,
    Unavailable,
    /// It takes no writes.
    ReadOnly,
    /// A fault of this program or of the data.
    Internal,
}

impl StoreFault {
    #[must_use]
    pub const fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::Conflict,
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Full(_) | StoreError::ReadOnly(_) => Self::ReadOnly,
            StoreError::UniqueViolation { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Missing { .. }
            | StoreError::Seal(_)
            | StoreError::Url { .. }
            | StoreError::SchemaTooNew { .. }
            | StoreError::ExtensionMissing { .. }
            | StoreError::Other(_) => Self::Internal,
        }
    }
}

/// The name of a reason as words: `LastAdministrator` is "last administrator".
fn words(reason: &impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for character in format!("{reason:?}").chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    words
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full => Self::Overloaded,
            PoolError::Broken => Self::Internal(error.into()),
        }
    }
}

/// What use cases return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
