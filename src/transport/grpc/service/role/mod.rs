//! RoleService: the catalogue, roles, bindings, groups, what a change of these would mean, and policies for
//! casbin.
//!
//! Each method stands in the file of its family.

mod bindings;
mod groups;
mod members;
mod permissions;
mod policy;
mod preview;
mod roles;

use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::Services;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::role_service_server::RoleService;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RoleService for Services {
    async fn create_role(&self, request: Request<pb::CreateRoleRequest>) -> Answer<pb::Role> {
        roles::create(&self.ctx, request).await
    }

    async fn get_role(&self, request: Request<pb::GetRoleRequest>) -> Answer<pb::Role> {
        roles::get(&self.ctx, request).await
    }

    async fn list_roles(&self, request: Request<pb::ListRolesRequest>) -> Answer<pb::ListRolesResponse> {
        roles::list(&self.ctx, request).await
    }

    async fn update_role(&self, request: Request<pb::UpdateRoleRequest>) -> Answer<pb::Role> {
        roles::update(&self.ctx, request).await
    }

    async fn delete_role(&self, request: Request<pb::DeleteRoleRequest>) -> Answer<pb::DeleteRoleResponse> {
        roles::delete(&self.ctx, request).await
    }

    async fn copy_role(&self, request: Request<pb::CopyRoleRequest>) -> Answer<pb::Role> {
        roles::copy(&self.ctx, request).await
    }

    async fn list_permissions(
        &self,
        request: Request<pb::ListPermissionsRequest>,
    ) -> Answer<pb::ListPermissionsResponse> {
        permissions::list(&self.ctx, request).await
    }

    async fn register_permissions(
        &self,
        request: Request<pb::RegisterPermissionsRequest>,
    ) -> Answer<pb::RegisterPermissionsResponse> {
        permissions::register(&self.ctx, request).await
    }

    async fn get_permission_matrix(
        &self,
        request: Request<pb::GetPermissionMatrixRequest>,
    ) -> Answer<pb::GetPermissionMatrixResponse> {
        permissions::matrix(&self.ctx, request).await
    }

    async fn create_role_binding(&self, request: Request<pb::CreateRoleBindingRequest>) -> Answer<pb::RoleBinding> {
        bindings::create(&self.ctx, request).await
    }

    async fn get_role_binding(&self, request: Request<pb::GetRoleBindingRequest>) -> Answer<pb::RoleBinding> {
        bindings::get(&self.ctx, request).await
    }

    async fn list_role_bindings(
        &self,
        request: Request<pb::ListRoleBindingsRequest>,
    ) -> Answer<pb::ListRoleBindingsResponse> {
        bindings::list(&self.ctx, request).await
    }

    async fn update_role_binding(&self, request: Request<pb::UpdateRoleBindingRequest>) -> Answer<pb::RoleBinding> {
        bindings::update(&self.ctx, request).await
    }

    async fn delete_role_binding(
        &self,
        request: Request<pb::DeleteRoleBindingRequest>,
    ) -> Answer<pb::DeleteRoleBindingResponse> {
        bindings::delete(&self.ctx, request).await
    }

    async fn batch_create_role_bindings(
        &self,
        request: Request<pb::BatchCreateRoleBindingsRequest>,
    ) -> Answer<pb::BatchCreateRoleBindingsResponse> {
        bindings::create_many(&self.ctx, request).await
    }

    async fn preview_change(&self, request: Request<pb::PreviewChangeRequest>) -> Answer<pb::PreviewChangeResponse> {
        preview::change(&self.ctx, request).await
    }

    type ExportPolicyStream = BoxStream<pb::ExportPolicyResponse>;

    async fn export_policy(&self, request: Request<pb::ExportPolicyRequest>) -> Answer<Self::ExportPolicyStream> {
        policy::export(self, request).await
    }

    async fn import_policy(&self, request: Request<pb::ImportPolicyRequest>) -> Answer<pb::ImportPolicyResponse> {
        policy::import(&self.ctx, request).await
    }

    async fn create_group(&self, request: Request<pb::CreateGroupRequest>) -> Answer<pb::Group> {
        groups::create(&self.ctx, request).await
    }

    async fn get_group(&self, request: Request<pb::GetGroupRequest>) -> Answer<pb::Group> {
        groups::get(&self.ctx, request).await
    }

    async fn list_groups(&self, request: Request<pb::ListGroupsRequest>) -> Answer<pb::ListGroupsResponse> {
        groups::list(&self.ctx, request).await
    }

    async fn update_group(&self, request: Request<pb::UpdateGroupRequest>) -> Answer<pb::Group> {
        groups::update(&self.ctx, request).await
    }

    async fn delete_group(&self, request: Request<pb::DeleteGroupRequest>) -> Answer<pb::DeleteGroupResponse> {
        groups::delete(&self.ctx, request).await
    }

    async fn list_group_members(
        &self,
        request: Request<pb::ListGroupMembersRequest>,
    ) -> Answer<pb::ListGroupMembersResponse> {
        members::list(&self.ctx, request).await
    }

    async fn add_group_member(&self, request: Request<pb::AddGroupMemberRequest>) -> Answer<pb::GroupMember> {
        members::add(&self.ctx, request).await
    }

    async fn remove_group_member(
        &self,
        request: Request<pb::RemoveGroupMemberRequest>,
    ) -> Answer<pb::RemoveGroupMemberResponse> {
        members::remove(&self.ctx, request).await
    }
}
