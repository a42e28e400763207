//! The catalogue of permissions, and matrices.

use std::sync::Arc;

use tonic::Request;

use super::Answer;
use crate::application::Ctx;
use crate::application::permissions::{self, ListPermissions, matrix as matrices};
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::{page as token, permission};
use crate::transport::grpc::pb;

call::mutations!(RegisterPermissionsRequest);
call::lists!(ListPermissionsRequest {});

pub(super) async fn list(
    ctx: &Arc<Ctx>,
    request: Request<pb::ListPermissionsRequest>,
) -> Answer<pb::ListPermissionsResponse> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/ListPermissions")?;
    let work = async {
        let tokens = call::tokens(ctx, &call, &request).await?;
        let list = checked(|fields| {
            let limit = fields.take("page_size", page::size(request.page_size));
            let after = token::after(fields, &tokens, &request.page_token);
            let list = permission::list(fields, &request, limit.unwrap_or(page::DEFAULT));
            limit.and(Some(ListPermissions { after: after?, ..list? }))
        })?;
        let found = permissions::list(ctx, &call, &list)?;
        Ok((tokens.seal(found.next.as_ref())?, found.items))
    };
    answer(ctx, &call, work, |(next_page_token, permissions)| {
        let permissions = permissions.iter().map(permission::to_pb).collect();
        pb::ListPermissionsResponse { permissions, next_page_token }
    })
    .await
}

pub(super) async fn register(
    ctx: &Arc<Ctx>,
    request: Request<pb::RegisterPermissionsRequest>,
) -> Answer<pb::RegisterPermissionsResponse> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/RegisterPermissions")?;
    let work = async {
        let register = checked_of(&call, |fields| permission::register(fields, &request))?;
        permissions::register(ctx, &call, register).await
    };
    answer(ctx, &call, work, |registered| permission::registered(&registered)).await
}

pub(super) async fn matrix(
    ctx: &Arc<Ctx>,
    request: Request<pb::GetPermissionMatrixRequest>,
) -> Answer<pb::GetPermissionMatrixResponse> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/GetPermissionMatrix")?;
    let work = async {
        let wanted = checked(|fields| permission::matrix(fields, &request))?;
        matrices::get(ctx, &call, wanted).await
    };
    answer(ctx, &call, work, |matrix| permission::matrix_to_pb(&matrix)).await
}
