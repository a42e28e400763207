//! Policies in casbin's terms.

use std::sync::Arc;

use futures_util::stream::unfold;
use tonic::codegen::BoxStream;
use tonic::{Request, Status};

use super::Answer;
use crate::application::Ctx;
use crate::application::policy::{self as policies, Exporting};
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::policy;
use crate::transport::grpc::pb;
use crate::transport::grpc::service::Services;

call::mutations!(ImportPolicyRequest);

pub(super) async fn export(
    services: &Services,
    request: Request<pb::ExportPolicyRequest>,
) -> Answer<BoxStream<pb::ExportPolicyResponse>> {
    let patience = request.get_ref().consistency.as_ref().map(|_| services.time_of(request.metadata()));
    let (call, request) = call::read(request, "/peerage.v1.RoleService/ExportPolicy")?;
    let work = async {
        let export = checked(|fields| policy::export(fields, &request))?;
        Exporting::begin(Arc::clone(&services.ctx), call.clone(), export, patience, services.stop.clone()).await
    };
    answer(&services.ctx, &call, work, |export| -> BoxStream<pb::ExportPolicyResponse> {
        let services = services.clone();
        Box::pin(unfold(Some(export), move |export| next(services.clone(), export)))
    })
    .await
}

/// The next message of an export, after which it goes on; after an error there is nothing.
async fn next(
    services: Services,
    export: Option<Exporting>,
) -> Option<(Result<pb::ExportPolicyResponse, Status>, Option<Exporting>)> {
    let mut export = export?;
    let call = export.call().clone();
    match answer(&services.ctx, &call, export.next(), |piece| piece).await {
        Ok(piece) => {
            let piece = piece.into_inner()?;
            Some((Ok(policy::exported(&export, piece)), Some(export)))
        }
        Err(status) => Some((Err(status), None)),
    }
}

pub(super) async fn import(
    ctx: &Arc<Ctx>,
    request: Request<pb::ImportPolicyRequest>,
) -> Answer<pb::ImportPolicyResponse> {
    let (call, request) = call::mutation(request, "/peerage.v1.RoleService/ImportPolicy")?;
    let work = async {
        let import = checked_of(&call, |fields| policy::import(fields, &request))?;
        policies::import(ctx, &call, import).await
    };
    answer(ctx, &call, work, |imported| policy::imported(&imported)).await
}
