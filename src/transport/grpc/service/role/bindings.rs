//! Role bindings.

use std::sync::Arc;

use tonic::Request;

use super::Answer;
use crate::application::Ctx;
use crate::application::batch::Answer as Outcome;
use crate::application::bindings::{self, read};
use crate::domain::binding::Binding;
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::{self, batch, binding, mask, page as token};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::batch_create_role_bindings_result::Result as CreateBindingResult;

call::mutations!(
    CreateRoleBindingRequest,
    BatchCreateRoleBindingsRequest,
    UpdateRoleBindingRequest,
    DeleteRoleBindingRequest,
);
call::lists!(ListRoleBindingsRequest { read_mask });

pub(super) async fn create(ctx: &Arc<Ctx>, request: Request<pb::CreateRoleBindingRequest>) -> Answer<pb::RoleBinding> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/CreateRoleBinding")?;
    let now = ctx.clock.now();
    let work = async {
        let create = checked_of(&call, |fields| binding::create(fields, &request, now))?;
        bindings::create(ctx, &call, create).await
    };
    answer(ctx, &call, work, |binding| binding::to_pb(&binding)).await
}

pub(super) async fn create_many(
    ctx: &Arc<Ctx>,
    request: Request<pb::BatchCreateRoleBindingsRequest>,
) -> Answer<pb::BatchCreateRoleBindingsResponse> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/BatchCreateRoleBindings")?;
    let now = ctx.clock.now();
    let work = async {
        checked_of(&call, |fields| batch::requests(fields, &request.requests))?;
        let item = |item: &pb::CreateRoleBindingRequest| {
            batch::item((&item.request_id, item.validate_only), |fields| binding::create(fields, item, now))
        };
        let items = request.requests.iter().map(item).collect();
        bindings::create_many(ctx, &call, items, &|error| call::refusal(ctx, &call, error)).await
    };
    let result = |answer: &Outcome<Binding>| match answer {
        Outcome::Made(binding) => CreateBindingResult::RoleBinding(binding::to_pb(binding)),
        Outcome::Refused(refusal) => CreateBindingResult::Error(call::refused(refusal)),
    };
    let results = |answers: Vec<Outcome<Binding>>| pb::BatchCreateRoleBindingsResponse {
        results: answers.iter().map(|one| pb::BatchCreateRoleBindingsResult { result: Some(result(one)) }).collect(),
    };
    answer(ctx, &call, work, results).await
}

pub(super) async fn get(ctx: &Arc<Ctx>, request: Request<pb::GetRoleBindingRequest>) -> Answer<pb::RoleBinding> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/GetRoleBinding")?;
    let work = async {
        let (id, shown) = checked(|fields| {
            let shown = mask::read(fields, request.read_mask.as_ref(), "RoleBinding");
            fields.required("name", &request.name, convert::binding_name).zip(shown)
        })?;
        Ok((read::get(ctx, &call, id).await?, shown))
    };
    answer(ctx, &call, work, |(binding, shown)| shown.apply(binding::to_pb(&binding))).await
}

pub(super) async fn list(
    ctx: &Arc<Ctx>,
    request: Request<pb::ListRoleBindingsRequest>,
) -> Answer<pb::ListRoleBindingsResponse> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/ListRoleBindings")?;
    let work = async {
        let tokens = call::tokens(ctx, &call, &request).await?;
        let (list, shown) = checked(|fields| {
            let shown = mask::read(fields, request.read_mask.as_ref(), "RoleBinding");
            let limit = fields.take("page_size", page::size(request.page_size));
            let after = token::after(fields, &tokens, &request.page_token);
            let list = binding::list(fields, &request, limit.unwrap_or(page::DEFAULT));
            limit?;
            Some((read::ListBindings { after: after?, ..list? }, shown?))
        })?;
        let found = read::list(ctx, &call, &list).await?;
        Ok((tokens.seal(found.next.as_ref())?, found.items, shown))
    };
    answer(ctx, &call, work, |(next_page_token, bindings, shown)| {
        let role_bindings = bindings.iter().map(|binding| shown.apply(binding::to_pb(binding))).collect();
        pb::ListRoleBindingsResponse { role_bindings, next_page_token }
    })
    .await
}

pub(super) async fn update(ctx: &Arc<Ctx>, request: Request<pb::UpdateRoleBindingRequest>) -> Answer<pb::RoleBinding> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/UpdateRoleBinding")?;
    let work = async {
        let update = checked_of(&call, |fields| binding::update(fields, &request))?;
        bindings::update(ctx, &call, update).await
    };
    answer(ctx, &call, work, |binding| binding::to_pb(&binding)).await
}

pub(super) async fn delete(
    ctx: &Arc<Ctx>,
    request: Request<pb::DeleteRoleBindingRequest>,
) -> Answer<pb::DeleteRoleBindingResponse> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/DeleteRoleBinding")?;
    let work = async {
        let (id, etag) = checked_of(&call, |fields| {
            let id = fields.required("name", &request.name, convert::binding_name);
            let etag = fields.take("etag", convert::etag(&request.etag));
            Some((id?, etag?))
        })?;
        bindings::delete(ctx, &call, id, etag).await
    };
    answer(ctx, &call, work, |update_revision| pb::DeleteRoleBindingResponse { update_revision }).await
}
