//! Members of privilege groups.

use std::sync::Arc;

use tonic::Request;

use super::Answer;
use crate::application::Ctx;
use crate::application::groups::members::{self, ListMembers};
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::{self, group, page as token};
use crate::transport::grpc::pb;

call::mutations!(AddGroupMemberRequest, RemoveGroupMemberRequest);
call::lists!(ListGroupMembersRequest {});

pub(super) async fn list(
    ctx: &Arc<Ctx>,
    request: Request<pb::ListGroupMembersRequest>,
) -> Answer<pb::ListGroupMembersResponse> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/ListGroupMembers")?;
    let work = async {
        let tokens = call::tokens(ctx, &call, &request).await?;
        let (group, after, limit) = checked(|fields| {
            let group = fields.required("group", &request.group, convert::group_name);
            let after = token::after(fields, &tokens, &request.page_token);
            let limit = fields.take("page_size", page::size(request.page_size));
            Some((group?, after?, limit?))
        })?;
        let found = members::list(ctx, &call, &ListMembers { group, after, limit }).await?;
        Ok((tokens.seal(found.next.as_ref())?, found.items))
    };
    answer(ctx, &call, work, |(next_page_token, members)| {
        let members = members.iter().map(group::member_to_pb).collect();
        pb::ListGroupMembersResponse { members, next_page_token }
    })
    .await
}

pub(super) async fn add(ctx: &Arc<Ctx>, request: Request<pb::AddGroupMemberRequest>) -> Answer<pb::GroupMember> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/AddGroupMember")?;
    let now = ctx.clock.now();
    let work = async {
        let add = checked_of(&call, |fields| group::add_member(fields, &request, now))?;
        members::add(ctx, &call, add).await
    };
    answer(ctx, &call, work, |member| group::member_to_pb(&member)).await
}

pub(super) async fn remove(
    ctx: &Arc<Ctx>,
    request: Request<pb::RemoveGroupMemberRequest>,
) -> Answer<pb::RemoveGroupMemberResponse> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/RemoveGroupMember")?;
    let work = async {
        let remove = checked_of(&call, |fields| group::remove_member(fields, &request))?;
        members::remove(ctx, &call, remove).await
    };
    answer(ctx, &call, work, |update_revision| pb::RemoveGroupMemberResponse { update_revision }).await
}
