//! Roles: built-in ones to read, custom ones to keep.

use std::sync::Arc;

use tonic::Request;

use super::Answer;
use crate::application::Ctx;
use crate::application::roles::{self, ListRoles, edit};
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::{self, mask, page as token, role};
use crate::transport::grpc::pb;

call::mutations!(CreateRoleRequest, UpdateRoleRequest, DeleteRoleRequest, CopyRoleRequest);
call::lists!(ListRolesRequest { read_mask });

pub(super) async fn create(ctx: &Arc<Ctx>, request: Request<pb::CreateRoleRequest>) -> Answer<pb::Role> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/CreateRole")?;
    let work = async {
        let create = checked_of(&call, |fields| role::create(fields, &request))?;
        edit::create(ctx, &call, create).await
    };
    answer(ctx, &call, work, |role| role::to_pb(&role)).await
}

pub(super) async fn get(ctx: &Arc<Ctx>, request: Request<pb::GetRoleRequest>) -> Answer<pb::Role> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/GetRole")?;
    let work = async {
        let (id, shown) = checked(|fields| {
            let shown = mask::read(fields, request.read_mask.as_ref(), "Role");
            fields.required("name", &request.name, convert::role_name).zip(shown)
        })?;
        Ok((roles::get(ctx, &call, &id).await?, shown))
    };
    answer(ctx, &call, work, |(role, shown)| shown.apply(role::to_pb(&role))).await
}

pub(super) async fn list(ctx: &Arc<Ctx>, request: Request<pb::ListRolesRequest>) -> Answer<pb::ListRolesResponse> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/ListRoles")?;
    let work = async {
        let tokens = call::tokens(ctx, &call, &request).await?;
        let (list, shown) = checked(|fields| {
            let account = fields.required("account", &request.account, convert::account_name);
            fields.unsupported("order_by", !request.order_by.is_empty());
            let shown = mask::read(fields, request.read_mask.as_ref(), "Role");
            let filter = role::filter(fields, &request.filter);
            let after = token::after(fields, &tokens, &request.page_token);
            let limit = fields.take("page_size", page::size(request.page_size));
            let limit = usize::try_from(limit?).unwrap_or(usize::MAX);
            Some((ListRoles { account: account?, filter: filter?, after: after?, limit }, shown?))
        })?;
        let found = roles::list(ctx, &call, &list).await?;
        Ok((tokens.seal(found.next.as_ref())?, found.items, shown))
    };
    answer(ctx, &call, work, |(next_page_token, roles, shown)| {
        let roles = roles.iter().map(|role| shown.apply(role::to_pb(role))).collect();
        pb::ListRolesResponse { roles, next_page_token }
    })
    .await
}

pub(super) async fn update(ctx: &Arc<Ctx>, request: Request<pb::UpdateRoleRequest>) -> Answer<pb::Role> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/UpdateRole")?;
    let work = async {
        let update = checked_of(&call, |fields| role::update(fields, &request))?;
        edit::update(ctx, &call, update).await
    };
    answer(ctx, &call, work, |role| role::to_pb(&role)).await
}

pub(super) async fn delete(ctx: &Arc<Ctx>, request: Request<pb::DeleteRoleRequest>) -> Answer<pb::DeleteRoleResponse> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/DeleteRole")?;
    let work = async {
        let (id, etag) = checked_of(&call, |fields| {
            let id = fields.required("name", &request.name, convert::role_name);
            let etag = fields.take("etag", convert::etag(&request.etag));
            Some((id?, etag?))
        })?;
        edit::delete(ctx, &call, &id, etag).await
    };
    answer(ctx, &call, work, |update_revision| pb::DeleteRoleResponse { update_revision }).await
}

pub(super) async fn copy(ctx: &Arc<Ctx>, request: Request<pb::CopyRoleRequest>) -> Answer<pb::Role> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/CopyRole")?;
    let work = async {
        let copy = checked_of(&call, |fields| role::copy(fields, &request))?;
        edit::copy(ctx, &call, copy).await
    };
    answer(ctx, &call, work, |role| role::to_pb(&role)).await
}
