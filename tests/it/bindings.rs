//! Role bindings over the wire: rules of use, windows and modes, and what nobody may give or lift.

mod bulk;
mod ceiling;
mod lists;
mod rules;
mod windows;

use peerage::transport::grpc::pb;
use tonic::{Response, Status};

use crate::roles::mask;
use crate::support::Client;
pub(crate) use crate::support::policy::{bind, binding, of_group};

pub(crate) fn until(binding: pb::RoleBinding, end: prost_types::Timestamp) -> pb::RoleBinding {
    pb::RoleBinding { expire_time: Some(end), ..binding }
}

pub(crate) fn eligible(binding: pb::RoleBinding) -> pb::RoleBinding {
    pb::RoleBinding { mode: pb::BindingMode::Eligible.into(), ..binding }
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
