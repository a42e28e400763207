//! Privilege groups.

use std::sync::Arc;

use tonic::Request;

use super::Answer;
use crate::application::Ctx;
use crate::application::groups;
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::{self, group, mask, page as token};
use crate::transport::grpc::pb;

call::mutations!(CreateGroupRequest, UpdateGroupRequest, DeleteGroupRequest);
call::lists!(ListGroupsRequest { read_mask });

pub(super) async fn create(ctx: &Arc<Ctx>, request: Request<pb::CreateGroupRequest>) -> Answer<pb::Group> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/CreateGroup")?;
    let work = async {
        let create = checked_of(&call, |fields| group::create(fields, &request))?;
        groups::create(ctx, &call, create).await
    };
    answer(ctx, &call, work, |group| group::to_pb(&group)).await
}

pub(super) async fn get(ctx: &Arc<Ctx>, request: Request<pb::GetGroupRequest>) -> Answer<pb::Group> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/GetGroup")?;
    let work = async {
        let (id, shown) = checked(|fields| {
            let shown = mask::read(fields, request.read_mask.as_ref(), "Group");
            fields.required("name", &request.name, convert::group_name).zip(shown)
        })?;
        Ok((groups::get(ctx, &call, id).await?, shown))
    };
    answer(ctx, &call, work, |(group, shown)| shown.apply(group::to_pb(&group))).await
}

pub(super) async fn list(ctx: &Arc<Ctx>, request: Request<pb::ListGroupsRequest>) -> Answer<pb::ListGroupsResponse> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/ListGroups")?;
    let work = async {
        let tokens = call::tokens(ctx, &call, &request).await?;
        let (list, shown) = checked(|fields| {
            let shown = mask::read(fields, request.read_mask.as_ref(), "Group");
            let limit = fields.take("page_size", page::size(request.page_size));
            let after = token::after(fields, &tokens, &request.page_token);
            let list = group::list(fields, &request, limit.unwrap_or(page::DEFAULT));
            limit?;
            Some((groups::ListGroups { after: after?, ..list? }, shown?))
        })?;
        let found = groups::list(ctx, &call, &list).await?;
        Ok((tokens.seal(found.next.as_ref())?, found.items, shown))
    };
    answer(ctx, &call, work, |(next_page_token, groups, shown)| {
        let groups = groups.iter().map(|group| shown.apply(group::to_pb(group))).collect();
        pb::ListGroupsResponse { groups, next_page_token }
    })
    .await
}

pub(super) async fn update(ctx: &Arc<Ctx>, request: Request<pb::UpdateGroupRequest>) -> Answer<pb::Group> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/UpdateGroup")?;
    let work = async {
        let update = checked_of(&call, |fields| group::update(fields, &request))?;
        groups::update(ctx, &call, update).await
    };
    answer(ctx, &call, work, |group| group::to_pb(&group)).await
}

pub(super) async fn delete(
    ctx: &Arc<Ctx>,
    request: Request<pb::DeleteGroupRequest>,
) -> Answer<pb::DeleteGroupResponse> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/DeleteGroup")?;
    let work = async {
        let (id, etag) = checked_of(&call, |fields| {
            let id = fields.required("name", &request.name, convert::group_name);
            let etag = fields.take("etag", convert::etag(&request.etag));
            Some((id?, etag?))
        })?;
        groups::delete(ctx, &call, id, etag).await
    };
    answer(ctx, &call, work, |update_revision| pb::DeleteGroupResponse { update_revision }).await
}
