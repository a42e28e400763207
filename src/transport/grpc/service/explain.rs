//! ExplainAuthorization: why, also of the past.

use tonic::{Request, Response, Status};

use super::Services;
use crate::application::authorize;
use crate::application::explain::{Ask, explain_decision};
use crate::transport::grpc::call::{self, answer, checked};
use crate::transport::grpc::convert::explain;
use crate::transport::grpc::pb;

call::lists!(ExplainAuthorizationRequest {});

impl Services {
    pub(super) async fn explained(
        &self,
        request: Request<pb::ExplainAuthorizationRequest>,
    ) -> Result<Response<pb::ExplainAuthorizationResponse>, Status> {
        let ctx = &self.ctx;
        let time = self.time_of(request.metadata());
        let (call, request) = call::read(request, "/peerage.v1.AccountAccessService/ExplainAuthorization")?;
        let work = async {
            let tokens = call::tokens(ctx, &call, &request).await?;
            let read = checked(|fields| explain::request(fields, &tokens, &request))?;
            authorize::await_revision(ctx, read.consistency, Some(time)).await?;
            let ask = Ask {
                subject: read.check.subject.clone(),
                permission: read.check.permission.to_string(),
                account: read.check.account.clone(),
                context: read.check.context.clone(),
                at: read.at,
                page: read.page,
            };
            let explained = explain_decision(ctx, &call, &ask).await?;
            let decision_id = ctx.entropy.uuid(ctx.clock.now())?;
            let next = tokens.seal(explained.entries.next.as_ref())?;
            Ok(explain::response(&explained, &read.check, decision_id, next))
        };
        answer(ctx, &call, work, |response| response).await
    }
}
