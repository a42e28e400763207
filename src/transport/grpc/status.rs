//! The only place where an error becomes a status, and where it is logged, once.
//!
//! Every status carries exactly one `ErrorInfo` with a reason of `error_reason.proto` and every
//! dynamic value in its metadata (AIP-193). Text of drivers and libraries never leaves.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::pb::{self, ErrorReason};
use crate::application::error::{StoreFault, Unauthenticated};
use crate::application::{Error, Forbidden, Precondition, Taken, Violation};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::invalid::Invalid;
use crate::domain::permission::APPROVE;
use crate::domain::role::{AssuranceLevel, Requirements, StepUp};
use crate::telemetry::metrics::ShedReason;

/// The most violations that a status spells out, since it travels in a trailer of at most 16 KiB at
/// most clients. `count` in the metadata tells how many there are.
const VIOLATIONS_MAX: usize = 50;
/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "peerage";
/// How soon a conflict or a shortage is worth another try.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// When a queue that is full now is likely to have room.
const OVERLOAD_DELAY: Duration = Duration::from_secs(1);

/// The status of an error.
#[must_use]
pub fn from_error(error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::Invalid(violations) => invalid(violations),
        Error::Unauthenticated(why) => {
            let reason = match why {
                Unauthenticated::CredentialMissing => ErrorReason::CredentialMissing,
                Unauthenticated::CredentialMalformed | Unauthenticated::CredentialUnknown => {
                    ErrorReason::CredentialInvalid
                }
                Unauthenticated::CredentialExpired => ErrorReason::CredentialExpired,
                Unauthenticated::PeerDisabled | Unauthenticated::PeerExpired | Unauthenticated::HomeSuspended => {
                    ErrorReason::CallerInactive
                }
            };
            let is_right = reason == ErrorReason::CallerInactive;
            let message = if is_right { "the caller is not active" } else { "a valid credential is needed" };
            status(Code::Unauthenticated, reason, message, [])
        }
        Error::NotFound { kind, name } => {
            let values = [("resource", name.as_str()), ("kind", kind)];
            status(Code::NotFound, ErrorReason::ResourceNotFound, &message, values)
        }
        Error::Denied { permission, account, unmet } => denied(permission, account, *unmet, &message),
        Error::Escalation { pattern, account } => {
            let account = format!("accounts/{account}");
            let values = [("permission", pattern.as_str()), ("account", &account)];
            status(Code::PermissionDenied, ErrorReason::Escalation, &message, values)
        }
        Error::Forbidden { rule, subject } => {
            let reason = match rule {
                Forbidden::OwnerProtected => ErrorReason::OwnerProtected,
                Forbidden::PartnerAccessOfOthers => ErrorReason::PartnerAccessOfOthers,
                Forbidden::OwnPersonLink => ErrorReason::OwnPersonLink,
                Forbidden::DenialOfOthers => ErrorReason::DenialOfOthers,
            };
            status(Code::PermissionDenied, reason, &message, [("resource", subject.as_str())])
        }
        Error::AlreadyExists { what, name } => {
            status(Code::AlreadyExists, taken(*what), &message, [("resource", name.as_str())])
        }
        Error::Precondition { reason, subject } => precondition(*reason, subject, &message),
        Error::GainsUnconfirmed { roles, role_count, gain_count } => gains(roles, *role_count, *gain_count, &message),
        Error::EtagMismatch { name } => {
            status(Code::Aborted, ErrorReason::EtagMismatch, &message, [("resource", name.as_str())])
        }
        Error::Overloaded => {
            let mut details = info(ErrorReason::Overloaded, []);
            details.set_retry_info(Some(OVERLOAD_DELAY));
            Status::with_error_details(Code::ResourceExhausted, message, details)
        }
        Error::NotReady => status(Code::Unavailable, ErrorReason::NotReady, &message, []),
        Error::Diverged { .. } => {
            tracing::error!(error = %error, "the database is another one");
            from_error(&Error::NotReady)
        }
        Error::RevisionNotReached => status(Code::Unavailable, ErrorReason::RevisionNotReached, &message, []),
        Error::RevisionNotKept => {
            let mut details = info(ErrorReason::RevisionNotKept, []);
            details.add_precondition_failure_violation(ErrorReason::RevisionNotKept.as_str_name(), "at", &message);
            Status::with_error_details(Code::FailedPrecondition, message, details)
        }
        Error::MomentInFuture => status(Code::OutOfRange, ErrorReason::MomentInFuture, &message, []),
        Error::RequestIdReused => field(ErrorReason::RequestIdReused, "request_id", "was used for a different request"),
        Error::PreviewOutdated => status(Code::Aborted, ErrorReason::ConcurrentChange, &message, []),
        Error::PageToken => field(ErrorReason::PageTokenInvalid, "page_token", "is not of this list"),
        Error::PermissionUnknown { field: path, name } => {
            let mut details = info(ErrorReason::PermissionUnknown, [("permission", name.as_str())]);
            details.add_bad_request_violation(path, "is not a registered permission");
            Status::with_error_details(Code::InvalidArgument, message, details)
        }
        Error::LimitReached { of, most } => {
            let most = most.to_string();
            status(Code::ResourceExhausted, ErrorReason::LimitReached, &message, [("of", *of), ("limit", &most)])
        }
        Error::Unimplemented => status(Code::Unimplemented, ErrorReason::MethodNotBuilt, &message, []),
        Error::Store(error) => store(StoreFault::of(error), error),
        Error::Snapshot(error) => internal(error),
        Error::Internal(error) => internal(error.as_ref()),
        // Only the command line bootstraps and generates, so that no client sees these.
        Error::Bootstrapped | Error::NotEmpty => internal(error),
    }
}

/// The status of an error that names what the caller may not view: its code and its reason, and
/// nothing else of it.
#[must_use]
pub fn without_names(error: &Error) -> Status {
    let full = from_error(error);
    let message = "something that the caller may not view stands in the way";
    let mut details = ErrorDetails::new();
    if let Some(info) = full.get_details_error_info() {
        if full.code() == Code::FailedPrecondition {
            details.add_precondition_failure_violation(info.reason.clone(), "", message);
        }
        details.set_error_info(info.reason, DOMAIN, HashMap::new());
    }
    Status::with_error_details(full.code(), message, details)
}

/// The status of a method that is declared and not built yet.
#[must_use]
pub fn not_built() -> Status {
    from_error(&Error::Unimplemented)
}

/// The status of a method that nobody declared.
#[must_use]
pub fn unknown_method() -> Status {
    status(Code::Unimplemented, ErrorReason::MethodUnknown, "there is no such method", [])
}

/// The status of a call that ran out of time.
#[must_use]
pub fn deadline_passed() -> Status {
    status(Code::DeadlineExceeded, ErrorReason::DeadlinePassed, "the call's deadline has passed", [])
}

/// A status as a message, for answers that stand side by side: the details are a whole
/// `google.rpc.Status` already.
#[must_use]
pub fn to_message(status: &Status) -> tonic_types::Status {
    prost::Message::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// The status of a good call that there is no room for now.
#[must_use]
pub fn shed(why: ShedReason, class: &str, retry_after: Duration) -> Status {
    let (reason, message) = match why {
        ShedReason::Caller => (ErrorReason::RateLimited, "the caller has too many calls of this kind at once"),
        ShedReason::Full | ShedReason::TooLate => (ErrorReason::Overloaded, "the server has too much to do"),
    };
    let mut details = info(reason, [("class", class)]);
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The status of a request with more bytes than its method takes.
#[must_use]
pub fn too_large(most: usize) -> Status {
    let most = most.to_string();
    let message = format!("the request has more than {most} bytes");
    status(Code::ResourceExhausted, ErrorReason::LimitReached, &message, [("of", "bytes"), ("limit", &most)])
}

/// The status of a request that the codec could not read.
#[must_use]
pub fn unreadable() -> Status {
    status(Code::InvalidArgument, ErrorReason::InvalidFields, "the request cannot be read", [("count", "0")])
}

/// The status of a caller who holds the method's permission nowhere.
#[must_use]
pub fn not_permitted(permission: &str) -> Status {
    let message = format!("permission `{permission}` is needed");
    status(Code::PermissionDenied, ErrorReason::PermissionDenied, &message, [("permission", permission)])
}

/// The status of a caller who may view and not do, or not yet: then the metadata says what is owed.
fn denied(permission: &str, account: &AccountId, unmet: Requirements, message: &str) -> Status {
    let reason = match (unmet.step_up, unmet.approval) {
        (None, false) => ErrorReason::PermissionDenied,
        (Some(_), false) => ErrorReason::StepUpRequired,
        (_, true) => ErrorReason::ApprovalRequired,
    };
    let account = format!("accounts/{account}");
    let mut values = vec![("permission", permission.to_owned()), ("account", account)];
    if unmet.approval {
        values.push(("method", pb::REQUEST_APPROVAL.to_owned()));
        values.push(("approver_permission", APPROVE.to_owned()));
    }
    if let Some(StepUp { level, max_age_seconds }) = unmet.step_up {
        values.push(("min_assurance", spelled(level).to_owned()));
        if max_age_seconds > 0 {
            values.push(("max_age_seconds", max_age_seconds.to_string()));
        }
    }
    let metadata: HashMap<String, String> = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str_name(), DOMAIN, metadata);
    Status::with_error_details(Code::PermissionDenied, message, details)
}

fn spelled(level: AssuranceLevel) -> &'static str {
    let word = match level {
        AssuranceLevel::None => pb::AssuranceLevel::Unspecified,
        AssuranceLevel::Email => pb::AssuranceLevel::Email,
        AssuranceLevel::Totp => pb::AssuranceLevel::Totp,
        AssuranceLevel::Passkey => pb::AssuranceLevel::Passkey,
    };
    word.as_str_name()
}

fn info<const N: usize>(reason: ErrorReason, values: [(&str, &str); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> =
        values.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str_name(), DOMAIN, metadata);
    details
}

fn status<const N: usize>(code: Code, reason: ErrorReason, message: &str, values: [(&str, &str); N]) -> Status {
    Status::with_error_details(code, message, info(reason, values))
}

fn field(reason: ErrorReason, path: &str, why: &str) -> Status {
    let mut details = info(reason, [("field", path)]);
    details.add_bad_request_violation(path, why);
    Status::with_error_details(Code::InvalidArgument, format!("`{path}` {why}"), details)
}

fn invalid(violations: &[Violation]) -> Status {
    let reason = invalid_reason(violations);
    let count = violations.len().to_string();
    let mut details = match violations.first().map(|first| &first.why) {
        Some(Invalid::Password(fault)) => info(reason, [("count", &count), ("why", fault.code())]),
        _ => info(reason, [("count", &count)]),
    };
    for violation in violations.iter().take(VIOLATIONS_MAX) {
        details.add_bad_request_violation(&violation.field, violation.why.to_string());
    }
    let first = violations.first().map_or_else(String::new, |first| format!(": `{}` {}", first.field, first.why));
    let more = if violations.len() > 1 { format!(", and {} more", violations.len() - 1) } else { String::new() };
    Status::with_error_details(Code::InvalidArgument, format!("the request is not valid{first}{more}"), details)
}

/// The special reason that all violations share, or the general one.
fn invalid_reason(violations: &[Violation]) -> ErrorReason {
    let all = |test: &dyn Fn(&Violation) -> bool| violations.iter().all(test);
    let at = |field: &'static str| move |violation: &Violation| violation.field == field;
    if all(&|violation| violation.why == Invalid::Unsupported) {
        ErrorReason::FieldNotSupported
    } else if all(&|violation| matches!(violation.why, Invalid::Password(_))) {
        ErrorReason::PasswordRejected
    } else if all(&|violation| matches!(violation.why, Invalid::Photo(_))) {
        ErrorReason::PhotoRejected
    } else if all(&|violation| violation.why == Invalid::NotRegistered) {
        ErrorReason::PermissionUnknown
    } else if all(&at("update_mask")) || all(&at("read_mask")) {
        ErrorReason::FieldMaskInvalid
    } else if all(&at("filter")) {
        ErrorReason::FilterInvalid
    } else if all(&at("page_token")) {
        ErrorReason::PageTokenInvalid
    } else if all(&at("order_by")) {
        ErrorReason::OrderByInvalid
    } else {
        ErrorReason::InvalidFields
    }
}

const fn taken(what: Taken) -> ErrorReason {
    match what {
        Taken::AccountId => ErrorReason::AccountIdTaken,
        Taken::UserName => ErrorReason::UserNameTaken,
        Taken::RoleTitle => ErrorReason::RoleTitleTaken,
        Taken::GroupTitle => ErrorReason::GroupTitleTaken,
        Taken::RoleBinding => ErrorReason::RoleBindingExists,
        Taken::GroupMember => ErrorReason::GroupMemberExists,
        Taken::Permission => ErrorReason::PermissionOwnedByOther,
    }
}

fn precondition(reason: Precondition, subject: &str, message: &str) -> Status {
    let reason = match reason {
        Precondition::LastAdministrator => ErrorReason::LastAdministrator,
        Precondition::AccountIsRoot => ErrorReason::AccountIsRoot,
        Precondition::AccountKindNotAllowed => ErrorReason::AccountKindNotAllowed,
        Precondition::AccountTooDeep => ErrorReason::AccountTooDeep,
        Precondition::AccountCycle => ErrorReason::AccountCycle,
        Precondition::AccountNotEmpty => ErrorReason::AccountNotEmpty,
        Precondition::AccountSuspended => ErrorReason::AccountSuspended,
        Precondition::AccountNotSuspended => ErrorReason::AccountNotSuspended,
        Precondition::SettingLoosened => ErrorReason::SettingLoosened,
        Precondition::SettingNotAllowed => ErrorReason::SettingNotAllowed,
        Precondition::TemplateAmbiguous => ErrorReason::TemplateAmbiguous,
        Precondition::TemplateNotAvailable => ErrorReason::TemplateNotAvailable,
        Precondition::OwnerMissing => ErrorReason::OwnerMissing,
        Precondition::NewOwnerNotEligible => ErrorReason::NewOwnerNotEligible,
        Precondition::PeerDeleted => ErrorReason::PeerDeleted,
        Precondition::PeerNotDeleted => ErrorReason::PeerNotDeleted,
        Precondition::PeerState => ErrorReason::PeerState,
        Precondition::PeerKindNotAllowed => ErrorReason::PeerKindNotAllowed,
        Precondition::SystemPeerRequired => ErrorReason::SystemPeerRequired,
        Precondition::RoleBuiltIn => ErrorReason::RoleBuiltIn,
        Precondition::RoleInUse => ErrorReason::RoleInUse,
        Precondition::RoleUnassignable => ErrorReason::RoleUnassignable,
        Precondition::RoleNotUsable => ErrorReason::RoleNotUsable,
        Precondition::RolePackNotEnabled => ErrorReason::RolePackNotEnabled,
        Precondition::RolePackInUse => ErrorReason::RolePackInUse,
        Precondition::RoleRulesLoosened => ErrorReason::RoleRulesLoosened,
        Precondition::RoleRulesViolated => ErrorReason::RoleRulesViolated,
        Precondition::ReachNotAllowed => ErrorReason::ReachNotAllowed,
        Precondition::MaxHoldersReached => ErrorReason::MaxHoldersReached,
        Precondition::JustificationRequired => ErrorReason::JustificationRequired,
        Precondition::GroupInUse => ErrorReason::GroupInUse,
        Precondition::MemberHomeNotRelated => ErrorReason::MemberHomeNotRelated,
        Precondition::ApiKeyRevoked => ErrorReason::ApiKeyRevoked,
        Precondition::ExternalLoginRequired => ErrorReason::ExternalLoginRequired,
    };
    let mut details = info(reason, [("resource", subject)]);
    details.add_precondition_failure_violation(reason.as_str_name(), subject, message);
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

fn gains(roles: &[RoleId], role_count: usize, gain_count: usize, message: &str) -> Status {
    let roles = roles.iter().map(|role| format!("roles/{role}")).collect::<Vec<_>>().join(", ");
    let (role_count, gain_count) = (role_count.to_string(), gain_count.to_string());
    let reason = ErrorReason::GainsUnconfirmed;
    let mut details = info(reason, [("roles", &*roles), ("role_count", &role_count), ("gain_count", &gain_count)]);
    details.add_precondition_failure_violation(reason.as_str_name(), "permissions", message);
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

fn store(fault: StoreFault, error: &(dyn std::error::Error + 'static)) -> Status {
    let (code, reason, message) = match fault {
        StoreFault::Conflict => (Code::Aborted, ErrorReason::ConcurrentChange, "another change was in the way"),
        StoreFault::Unavailable => (Code::Unavailable, ErrorReason::StoreUnavailable, "the store is unavailable"),
        StoreFault::ReadOnly => (Code::Unavailable, ErrorReason::StoreUnavailable, "the store takes no writes"),
        StoreFault::Internal => return internal(error),
    };
    // A conflict is between callers, who may try again: nothing is wrong with the store.
    match fault {
        StoreFault::Conflict => tracing::debug!(error = %chain(error), "another change was in the way"),
        StoreFault::Unavailable | StoreFault::ReadOnly | StoreFault::Internal => {
            tracing::warn!(error = %chain(error), "the store failed");
        }
    }
    let mut details = info(reason, []);
    details.set_retry_info(Some(RETRY_DELAY));
    Status::with_error_details(code, message, details)
}

/// An internal fault: the cause is for the log, the caller learns that there was one.
fn internal(error: &(dyn std::error::Error + 'static)) -> Status {
    tracing::error!(error = %chain(error), "internal fault");
    status(Code::Internal, ErrorReason::InternalError, "an internal fault; it has been logged", [])
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
