//! Steps, one after another, until the end or the first refusal.

use tonic::Status;

use super::plan::{Call, Names, Plan};
use super::world::{RoleRef, Titled};
use crate::cli::connection::Connection;
use crate::cli::page;
use crate::transport::grpc::pb;

/// How far a plan came.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many steps are done, from the first.
    pub(crate) done: usize,
    /// Why the next one is not.
    pub(crate) refusal: Option<Status>,
}

/// Does what a plan says. It stops at the first refusal, since later steps may rest on that one.
pub(crate) async fn execute(connection: &Connection, plan: &Plan) -> Outcome {
    let progress = page::bar(plan.steps.len(), "applying");
    let mut names = plan.names.clone();
    for (done, step) in plan.steps.iter().enumerate() {
        if let Err(refusal) = call(connection, &step.call, &mut names).await {
            progress.abandon();
            return Outcome { done, refusal: Some(refusal) };
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Outcome { done: plan.steps.len(), refusal: None }
}

impl Names {
    pub(super) fn role(&self, role: &RoleRef) -> Result<String, Status> {
        match role {
            RoleRef::Id(id) => Ok(format!("roles/{id}")),
            RoleRef::Titled(titled) => self.roles.get(&titled.folded()).cloned().ok_or_else(|| missing("role", titled)),
        }
    }

    fn group(&self, group: &Titled) -> Result<String, Status> {
        self.groups.get(&group.folded()).cloned().ok_or_else(|| missing("group", group))
    }
}

/// The plan makes what it names, so this says that the server gave another title back.
fn missing(what: &str, titled: &Titled) -> Status {
    Status::not_found(format!("{what} `{}` was not made by an earlier step", titled.show()))
}

async fn call(connection: &Connection, call: &Call, names: &mut Names) -> Result<(), Status> {
    match call {
        Call::CreateAccount(request) => {
            connection.accounts().create_account((**request).clone()).await?;
        }
        Call::UpdateAccount(request) => {
            connection.accounts().update_account((**request).clone()).await?;
        }
        Call::MoveAccount(request) => {
            connection.accounts().move_account(request.clone()).await?;
        }
        Call::CreateRole(titled, role) => {
            let request = pb::CreateRoleRequest { role: Some((**role).clone()), ..Default::default() };
            let role = connection.roles().create_role(request).await?.into_inner();
            names.roles.insert(titled.folded(), role.name);
        }
        Call::UpdateRole(request) => {
            connection.roles().update_role((**request).clone()).await?;
        }
        Call::CreatePeer(role, request) => {
            let request = pb::CreatePeerRequest { role: names.role(role)?, ..(**request).clone() };
            connection.peers().create_peer(request).await?;
        }
        Call::UpdatePeer(request) => {
            connection.peers().update_peer((**request).clone()).await?;
        }
        Call::EnablePeer(name) => {
            let request = pb::EnablePeerRequest { name: name.clone(), ..Default::default() };
            connection.peers().enable_peer(request).await?;
        }
        Call::DisablePeer(name) => {
            let request = pb::DisablePeerRequest { name: name.clone(), ..Default::default() };
            connection.peers().disable_peer(request).await?;
        }
        Call::CreateGroup(titled, group) => {
            let request = pb::CreateGroupRequest { group: Some(group.clone()), ..Default::default() };
            let group = connection.roles().create_group(request).await?.into_inner();
            names.groups.insert(titled.folded(), group.name);
        }
        Call::UpdateGroup(request) => {
            connection.roles().update_group((**request).clone()).await?;
        }
        Call::AddMember(group, member) => {
            let request = pb::AddGroupMemberRequest {
                group: names.group(group)?,
                member: Some(member.clone()),
                ..Default::default()
            };
            connection.roles().add_group_member(request).await?;
        }
        Call::CreateBinding(role, group, binding) => {
            let mut binding = (**binding).clone();
            binding.role = names.role(role)?;
            if let Some(group) = group {
                binding.principal = Some(pb::role_binding::Principal::Group(names.group(group)?));
            }
            let request = pb::CreateRoleBindingRequest { role_binding: Some(binding), ..Default::default() };
            connection.roles().create_role_binding(request).await?;
        }
        Call::UpdateBinding(request) => {
            connection.roles().update_role_binding((**request).clone()).await?;
        }
    }
    Ok(())
}
