//! Previews of changes on the wire. Each change is read as the request that would make it.

use super::account::acts;
use super::{
    Fields, access, account, account_name, binding, binding_name, etag, group, group_name, peer, peer_name, policy,
    role, role_name,
};
use crate::application::Violation;
use crate::application::packs::Packs;
use crate::application::peers::{ChangeState, StateChange};
use crate::application::preview::{Preview, Previewed, Shown, Totals, Trial};
use crate::domain::invalid::Invalid;
use crate::domain::time::Timestamp;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

/// The most changes of one preview.
const CHANGES_MAX: usize = 100;

/// Reads a wish for a preview, but for where a page starts and ends.
pub fn preview(
    fields: &mut Fields,
    request: &pb::PreviewChangeRequest,
    packs: &Packs,
    now: Timestamp,
) -> Option<Preview> {
    let account = fields.optional("account", &request.account, account_name);
    let context = access::context(fields, "context", request.context.as_ref());
    let time = fields.time("evaluation_time", request.evaluation_time.as_ref());
    if request.changes.is_empty() {
        fields.refuse("changes", Invalid::Missing);
    }
    fields.at_most("changes", &request.changes, CHANGES_MAX);
    // Others wait while changes are tried out, and an import is many changes.
    let is_import = |change: &&pb::PolicyChange| matches!(change.change, Some(Change::ImportPolicy(_)));
    if request.changes.iter().filter(is_import).count() > 1 {
        fields.refuse("changes", Invalid::NotAllowed { why: "one import is previewed at a time" });
    }
    let mut changes = Vec::new();
    for (place, change) in request.changes.iter().enumerate().take(CHANGES_MAX) {
        let Some(change) = &change.change else {
            fields.refuse(format!("changes[{place}]"), Invalid::Missing);
            continue;
        };
        let (name, read) = trial(change, packs, now);
        match read {
            Ok(trial) => changes.push(trial),
            Err(violations) => {
                for Violation { field, why } in violations {
                    fields.refuse(format!("changes[{place}].{name}.{field}"), why);
                }
            }
        }
    }
    Some(Preview { account: account?, changes, context: context?, time: time?, after: None, limit: 0 })
}

/// Reads one change; says which it is.
fn trial(change: &Change, packs: &Packs, now: Timestamp) -> (&'static str, Result<Trial, Vec<Violation>>) {
    macro_rules! read {
        ($name:literal, $request:ident, $read:expr) => {
            ($name, item((&$request.request_id, $request.validate_only), $read))
        };
    }
    match change {
        Change::CreateRole(it) => read!("create_role", it, |fields| role::create(fields, it).map(Trial::CreateRole)),
        Change::UpdateRole(it) => read!("update_role", it, |fields| role::update(fields, it).map(Trial::UpdateRole)),
        Change::DeleteRole(it) => read!("delete_role", it, |fields| {
            named(fields, (&it.name, &it.etag), role_name).map(|(id, etag)| Trial::DeleteRole(id, etag))
        }),
        Change::CreateRoleBinding(it) => {
            read!("create_role_binding", it, |fields| { binding::create(fields, it, now).map(Trial::CreateBinding) })
        }
        Change::UpdateRoleBinding(it) => {
            read!("update_role_binding", it, |fields| binding::update(fields, it).map(Trial::UpdateBinding))
        }
        Change::DeleteRoleBinding(it) => read!("delete_role_binding", it, |fields| {
            named(fields, (&it.name, &it.etag), binding_name).map(|(id, etag)| Trial::DeleteBinding(id, etag))
        }),
        Change::DeleteGroup(it) => read!("delete_group", it, |fields| {
            named(fields, (&it.name, &it.etag), group_name).map(|(id, etag)| Trial::DeleteGroup(id, etag))
        }),
        Change::AddGroupMember(it) => {
            read!("add_group_member", it, |fields| group::add_member(fields, it, now).map(Trial::AddMember))
        }
        Change::RemoveGroupMember(it) => {
            read!("remove_group_member", it, |fields| group::remove_member(fields, it).map(Trial::RemoveMember))
        }
        Change::UpdateAccount(it) => read!("update_account", it, |fields| {
            account::update(fields, it, packs).map(|wish| Trial::UpdateAccount(Box::new(wish)))
        }),
        Change::MoveAccount(it) => {
            read!("move_account", it, |fields| acts::move_account(fields, it).map(Trial::MoveAccount))
        }
        Change::SuspendAccount(it) => {
            read!("suspend_account", it, |fields| acts::suspend(fields, it).map(Trial::SuspendAccount))
        }
        Change::ResumeAccount(it) => {
            read!("resume_account", it, |fields| acts::resume(fields, it).map(Trial::ResumeAccount))
        }
        Change::DeleteAccount(it) => {
            read!("delete_account", it, |fields| acts::delete(fields, it).map(Trial::DeleteAccount))
        }
        Change::TransferOwnership(it) => {
            read!("transfer_ownership", it, |fields| acts::transfer(fields, it).map(Trial::TransferOwnership))
        }
        Change::UpdatePeer(it) => read!("update_peer", it, |fields| {
            peer::update(fields, it).map(|wish| Trial::UpdatePeer(Box::new(wish)))
        }),
        Change::EnablePeer(it) => {
            read!("enable_peer", it, |fields| state(fields, StateChange::Enable, (&it.name, &it.etag)))
        }
        Change::DisablePeer(it) => {
            read!("disable_peer", it, |fields| state(fields, StateChange::Disable, (&it.name, &it.etag)))
        }
        Change::DeletePeer(it) => {
            read!("delete_peer", it, |fields| state(fields, StateChange::Delete, (&it.name, &it.etag)))
        }
        Change::UndeletePeer(it) => {
            read!("undelete_peer", it, |fields| state(fields, StateChange::Undelete, (&it.name, &it.etag)))
        }
        Change::ImportPolicy(it) => {
            read!("import_policy", it, |fields| policy::import(fields, it).map(Trial::ImportPolicy))
        }
    }
}

/// Reads a change whose fields are named as in a call of its own. What makes a call harmless to repeat
/// has no meaning where nothing is made.
fn item<T>(
    (request_id, validate_only): (&str, bool),
    read: impl FnOnce(&mut Fields) -> Option<T>,
) -> Result<T, Vec<Violation>> {
    let mut fields = Fields::default();
    let why = Invalid::NotAllowed { why: "a preview makes no change" };
    for (field, is_set) in [("request_id", !request_id.is_empty()), ("validate_only", validate_only)] {
        if is_set {
            fields.refuse(field, why.clone());
        }
    }
    match (read(&mut fields), fields.into_violations()) {
        (Some(value), violations) if violations.is_empty() => Ok(value),
        (_, violations) => Err(violations),
    }
}

fn named<T>(
    fields: &mut Fields,
    (name, version): (&str, &str),
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Option<(T, Option<i64>)> {
    let id = fields.required("name", name, parse);
    let etag = fields.take("etag", etag(version));
    Some((id?, etag?))
}

fn state(fields: &mut Fields, what: StateChange, peer: (&str, &str)) -> Option<Trial> {
    let (peer, etag) = named(fields, peer, peer_name)?;
    Some(Trial::ChangePeerState(what, ChangeState { peer, etag }))
}

/// Writes a page of differences.
#[must_use]
pub fn to_pb(previewed: &Previewed, next_page_token: String) -> pb::PreviewChangeResponse {
    pb::PreviewChangeResponse {
        differences: previewed.page.items.iter().map(difference).collect(),
        next_page_token,
        revision: previewed.revision,
        totals: Some(totals(&previewed.totals)),
    }
}

fn difference(shown: &Shown) -> pb::AccessDifference {
    pb::AccessDifference {
        peer: format!("peers/{}", shown.peer),
        account: format!("accounts/{}", shown.account),
        permission: shown.permission.to_string(),
        before: access::outcome(shown.before).into(),
        after: access::outcome(shown.after).into(),
    }
}

fn totals(totals: &Totals) -> pb::PreviewTotals {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    pb::PreviewTotals {
        is_complete: totals.is_complete,
        gained_count: count(totals.gained),
        lost_count: count(totals.lost),
        changed_count: count(totals.changed),
        peer_count: count(totals.peers),
        account_count: count(totals.accounts),
    }
}
