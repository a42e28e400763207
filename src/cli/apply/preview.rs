//! Who would gain and lose what by the steps of a plan, as far as they are about what is there already.
//!
//! What the plan itself would make has no name yet: a step that names it cannot be tried out, and is
//! left out, which is said.

use super::plan::{Call, Plan};
use crate::cli::connection::Connection;
use crate::cli::output::Format;
use crate::cli::preview::{self, CHANGES_MAX, Rights};
use crate::cli::{failure, names};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

/// What the steps that can be tried out would mean; nothing where there are none, or the server has
/// something against them, which applying would find out.
pub(super) async fn rights(connection: &Connection, plan: &Plan, format: Format) -> Option<Rights> {
    let changes: Vec<Change> = plan.steps.iter().filter_map(|step| change(plan, &step.call)).collect();
    if changes.is_empty() {
        return None;
    }
    if changes.len() > CHANGES_MAX {
        failure::hint(&format!("who gains and loses by more than {CHANGES_MAX} changes at once cannot be previewed"));
        return None;
    }
    let left_out = plan.steps.len() - changes.len();
    match preview::rights_of_all(connection, changes, format).await {
        Ok(rights) => {
            if left_out > 0 {
                failure::hint(&format!(
                    "who gains and loses is said without {left_out} steps about what is not there yet"
                ));
            }
            Some(rights)
        }
        Err(status) => {
            let why = failure::short(&status);
            failure::hint(&format!("who gains and loses cannot be previewed: {why}: {}", status.message()));
            None
        }
    }
}

/// The change of a step, if all that it names is there.
fn change(plan: &Plan, call: &Call) -> Option<Change> {
    match call {
        Call::UpdateAccount(request) => Some(Change::UpdateAccount((**request).clone())),
        Call::MoveAccount(request) => {
            is_there(plan, &request.destination_parent).then(|| Change::MoveAccount(request.clone()))
        }
        Call::UpdateRole(request) => Some(Change::UpdateRole((**request).clone())),
        Call::UpdatePeer(request) => Some(Change::UpdatePeer((**request).clone())),
        Call::EnablePeer(name) => {
            Some(Change::EnablePeer(pb::EnablePeerRequest { name: name.clone(), ..Default::default() }))
        }
        Call::DisablePeer(name) => {
            Some(Change::DisablePeer(pb::DisablePeerRequest { name: name.clone(), ..Default::default() }))
        }
        Call::AddMember(group, member) => {
            let group = plan.names.groups.get(&group.folded())?.clone();
            let request = pb::AddGroupMemberRequest { group, member: Some(member.clone()), ..Default::default() };
            is_there(plan, &member.peer).then_some(Change::AddGroupMember(request))
        }
        Call::CreateBinding(role, group, binding) => {
            use pb::role_binding::Principal;

            let mut binding = (**binding).clone();
            binding.role = plan.names.role(role).ok()?;
            if let Some(group) = group {
                binding.principal = Some(Principal::Group(plan.names.groups.get(&group.folded())?.clone()));
            }
            let is_peer_there = match &binding.principal {
                Some(Principal::Peer(peer)) => is_there(plan, peer),
                Some(Principal::Group(_)) | None => true,
            };
            (is_peer_there && is_there(plan, &binding.account)).then(|| {
                let role_binding = Some(binding);
                Change::CreateRoleBinding(pb::CreateRoleBindingRequest { role_binding, ..Default::default() })
            })
        }
        Call::UpdateBinding(request) => Some(Change::UpdateRoleBinding((**request).clone())),
        // These make what nobody holds yet, or change nothing that anybody holds.
        Call::CreateAccount(_)
        | Call::CreateRole(..)
        | Call::CreatePeer(..)
        | Call::CreateGroup(..)
        | Call::UpdateGroup(_) => None,
    }
}

/// Whether an account or peer is none that the plan makes.
fn is_there(plan: &Plan, name: &str) -> bool {
    plan.steps.iter().all(|step| match &step.call {
        Call::CreateAccount(request) => {
            let first = request.first_peer.as_ref().and_then(|first| first.peer.as_ref());
            names::account(&request.account_id) != name && !first.is_some_and(|peer| is_named(peer, name))
        }
        Call::CreatePeer(_, request) => !request.peer.as_ref().is_some_and(|peer| is_named(peer, name)),
        Call::UpdateAccount(_)
        | Call::MoveAccount(_)
        | Call::CreateRole(..)
        | Call::UpdateRole(_)
        | Call::UpdatePeer(_)
        | Call::EnablePeer(_)
        | Call::DisablePeer(_)
        | Call::CreateGroup(..)
        | Call::UpdateGroup(_)
        | Call::AddMember(..)
        | Call::CreateBinding(..)
        | Call::UpdateBinding(_) => true,
    })
}

fn is_named(peer: &pb::Peer, name: &str) -> bool {
    name.strip_prefix("peers/@").is_some_and(|user_name| user_name.eq_ignore_ascii_case(&peer.user_name))
}
