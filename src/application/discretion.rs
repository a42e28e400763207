//! What an error may name. Rules judge facts that the caller may not view, such as a binding that a
//! peer holds in somebody else's account, and so what they find in the way may be hidden.
//!
//! Here, at the one place where errors leave, each name in an error is looked up again for the caller.
//! That covers every error there is or will be, without any use case having to think of it. A name
//! that leads nowhere is one that the caller brought along.

use super::accounts::is_seen;
use super::context::{Caller, Ctx};
use super::error::Error;
use super::groups;
use super::guard::View;
use super::peers::is_sighted;
use super::roles;
use crate::domain::ids::{GroupId, PeerId, RoleId};

/// Whether the caller may know all that an error names.
#[must_use]
pub fn may_name(ctx: &Ctx, caller: Caller, error: &Error) -> bool {
    let snapshot = ctx.snapshot();
    let Ok(view) = View::of_caller(&snapshot, &caller, ctx.clock.now()) else { return false };
    match error {
        Error::Escalation { account, .. } => {
            let account = snapshot.find_account(account.as_str());
            account.is_none_or(|account| view.may("accounts.view", account))
        }
        Error::Forbidden { subject, .. } | Error::Precondition { subject, .. } => may_know(&view, subject),
        Error::AlreadyExists { name, .. } | Error::EtagMismatch { name } => may_know(&view, name),
        // These name what the request named, or nothing.
        Error::Invalid(_)
        | Error::Unauthenticated(_)
        | Error::NotFound { .. }
        | Error::Denied { .. }
        | Error::RequestIdReused
        | Error::PageToken
        | Error::PermissionUnknown { .. }
        | Error::LimitReached { .. }
        | Error::Overloaded
        | Error::Bootstrapped
        | Error::NotEmpty
        | Error::NotReady
        | Error::Diverged { .. }
        | Error::GainsUnconfirmed { .. }
        | Error::RevisionNotReached
        | Error::RevisionNotKept
        | Error::MomentInFuture
        | Error::Unimplemented
        | Error::Store(_)
        | Error::Snapshot(_)
        | Error::Internal(_) => true,
    }
}

/// Whether the caller may know of the resource of a name, if there is one.
fn may_know(view: &View<'_>, name: &str) -> bool {
    let Some((collection, id)) = name.split_once('/') else { return true };
    let snapshot = view.snapshot;
    match collection {
        "accounts" => snapshot.find_account(id).is_none_or(|account| is_seen(view, account)),
        "peers" => {
            let peer = PeerId::parse(id).ok().and_then(|id| snapshot.find_peer(id));
            peer.is_none_or(|peer| is_sighted(view, peer))
        }
        "groups" => {
            let group = GroupId::parse(id).ok().and_then(|id| snapshot.group(snapshot.find_group(id)?));
            group.is_none_or(|group| view.may(groups::VIEW, group.account))
        }
        "roles" => {
            let role = RoleId::parse(id).ok().and_then(|id| snapshot.role(snapshot.find_role(&id)?));
            role.is_none_or(|role| roles::is_visible(view, &role.fact))
        }
        _ => true,
    }
}
