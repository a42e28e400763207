//! Role bindings over the wire: rules of use, windows and modes, and what nobody may give or lift.

mod ceiling;
mod lists;
mod rules;
mod windows;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::role_binding::Principal;
use tonic::{Response, Status};

use crate::roles::mask;
use crate::support::Client;

/// A binding of a peer on an account and everything below.
pub(crate) fn binding(peer: &str, role: &str, account: &str) -> pb::RoleBinding {
    pb::RoleBinding {
        principal: Some(Principal::Peer(peer.to_owned())),
        role: role.to_owned(),
        account: account.to_owned(),
        reach: pb::Reach::Subtree.into(),
        justification: "asked for".to_owned(),
        ..Default::default()
    }
}

/// The same for a group.
pub(crate) fn of_group(group: &str, role: &str, account: &str) -> pb::RoleBinding {
    pb::RoleBinding { principal: Some(Principal::Group(group.to_owned())), ..binding("", role, account) }
}

pub(crate) fn until(binding: pb::RoleBinding, end: prost_types::Timestamp) -> pb::RoleBinding {
    pb::RoleBinding { expire_time: Some(end), ..binding }
}

pub(crate) fn eligible(binding: pb::RoleBinding) -> pb::RoleBinding {
    pb::RoleBinding { mode: pb::BindingMode::Eligible.into(), ..binding }
}

pub(crate) async fn bind(client: &Client, binding: pb::RoleBinding) -> Result<pb::RoleBinding, Status> {
    let request = pb::CreateRoleBindingRequest { role_binding: Some(binding), ..Default::default() };
    client.roles().create_role_binding(request).await.map(Response::into_inner)
}

pub(crate) async fn unbind(client: &Client, name: &str) -> Result<i64, Status> {
    let request = pb::DeleteRoleBindingRequest { name: name.to_owned(), ..Default::default() };
    client.roles().delete_role_binding(request).await.map(|response| response.into_inner().update_revision)
}

pub(crate) async fn rebind(
    client: &Client,
    binding: pb::RoleBinding,
    paths: &[&str],
) -> Result<pb::RoleBinding, Status> {
    let request =
        pb::UpdateRoleBindingRequest { role_binding: Some(binding), update_mask: mask(paths), ..Default::default() };
    client.roles().update_role_binding(request).await.map(Response::into_inner)
}

pub(crate) async fn get(client: &Client, name: &str) -> Result<pb::RoleBinding, Status> {
    let request = pb::GetRoleBindingRequest { name: name.to_owned(), read_mask: None };
    client.roles().get_role_binding(request).await.map(Response::into_inner)
}
