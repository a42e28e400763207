//! AccountAccessService: decisions and explanations. Lists stand in `access_lists`.

use std::time::Duration;

use tonic::{Request, Response, Status};

use super::Services;
use super::decided::Asked;
use crate::application::authorize::{self, Check};
use crate::application::guard::View;
use crate::application::{Caller, Result};
use crate::decision::Outcome;
use crate::telemetry::metrics::DecisionOutcome;
use crate::transport::grpc::call::{self, checked};
use crate::transport::grpc::convert::access::{self, OwnedCheck};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::account_access_service_server::AccountAccessService;
use crate::transport::grpc::pb::batch_authorize_result::Result as ItemResult;
use crate::transport::grpc::status::{from_error, not_built, to_message};

/// The methods, as they are named in the log of decisions.
const AUTHORIZE: &str = "peerage.v1.AccountAccessService/Authorize";
const BATCH: &str = "peerage.v1.AccountAccessService/BatchAuthorize";

impl Services {
    /// How long a call may take, looked up only where it may have to wait: a decision otherwise does not.
    pub(super) fn time_to_wait<T>(
        &self,
        request: &Request<T>,
        consistency: Option<&pb::Consistency>,
    ) -> Option<Duration> {
        consistency.map(|_| self.time_of(request.metadata()))
    }

    /// Answers Authorize, however it came here.
    pub(super) async fn authorize_one(
        &self,
        caller: Caller,
        request: &pb::AuthorizeRequest,
        time: Option<Duration>,
    ) -> Result<pb::AuthorizeResponse> {
        let (check, consistency) = checked(|fields| access::authorize(fields, request))?;
        authorize::await_revision(&self.ctx, consistency, time).await?;
        let snapshot = self.ctx.snapshot_guard();
        // Also one whose key was revoked while it waited gets no answer.
        let view = View::of_caller(&snapshot, &caller, self.ctx.clock.now())?;
        let asked = Asked { method: AUTHORIZE, caller: &caller, check: &check, context: &check.context };
        let answer = self.decide(&view, &asked)?;
        tracing::Span::current()
            .record("decision.effect", answer.decision().as_str_name().trim_start_matches("DECISION_"));
        Ok(answer)
    }

    fn decide(&self, view: &View<'_>, asked: &Asked<'_>) -> Result<pb::AuthorizeResponse> {
        let OwnedCheck { subject, permission, account, .. } = asked.check;
        let check = Check { subject, permission: permission.as_str(), account, context: asked.context };
        let decided = authorize::decide(&self.ctx, view, &check)?;
        let outcome = counted(decided.answer.decision.outcome);
        self.metrics.decided(outcome);
        let id = self.ctx.entropy.uuid(view.now)?;
        let response = access::answer(view.snapshot, &decided.answer, asked.check, id);
        if let Some(log) = &self.decision_log
            && log.takes(outcome, id)
        {
            asked.log(log, view, &decided, &response);
        }
        Ok(response)
    }

    async fn authorize_many(
        &self,
        caller: Caller,
        request: &pb::BatchAuthorizeRequest,
        time: Option<Duration>,
    ) -> Result<pb::BatchAuthorizeResponse> {
        let (consistency, default_context) = checked(|fields| access::batch(fields, request))?;
        authorize::await_revision(&self.ctx, consistency, time).await?;
        // One snapshot and one time for all, so that nothing falls between two answers.
        let snapshot = self.ctx.snapshot();
        let view = View::of_caller(&snapshot, &caller, self.ctx.clock.now())?;
        let decide = |item: &pb::BatchAuthorizeItem| {
            let check = checked(|fields| access::item(fields, item, request))?;
            let context = if item.context.is_some() { &check.context } else { &default_context };
            self.decide(&view, &Asked { method: BATCH, caller: &caller, check: &check, context })
        };
        let results = request.items.iter().map(|item| match decide(item) {
            Ok(decision) => ItemResult::Decision(pb::AuthorizeResponse { revision: 0, ..decision }),
            Err(error) => ItemResult::Error(to_message(&from_error(&error))),
        });
        let results = results.map(|result| pb::BatchAuthorizeResult { result: Some(result) }).collect();
        Ok(pb::BatchAuthorizeResponse { results, revision: snapshot.revision() })
    }
}

const fn counted(outcome: Outcome) -> DecisionOutcome {
    match outcome {
        Outcome::Allow => DecisionOutcome::Allow,
        Outcome::Deny => DecisionOutcome::Deny,
        Outcome::RequiresStepUp => DecisionOutcome::RequiresStepUp,
        Outcome::RequiresApproval => DecisionOutcome::RequiresApproval,
    }
}

#[tonic::async_trait]
impl AccountAccessService for Services {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        let time = self.time_to_wait(&request, request.get_ref().consistency.as_ref());
        let (caller, request) = call::caller(request)?;
        self.authorize_one(caller, &request, time).await.map(Response::new).map_err(|error| from_error(&error))
    }

    async fn batch_authorize(
        &self,
        request: Request<pb::BatchAuthorizeRequest>,
    ) -> Result<Response<pb::BatchAuthorizeResponse>, Status> {
        let time = self.time_to_wait(&request, request.get_ref().consistency.as_ref());
        let (caller, request) = call::caller(request)?;
        self.authorize_many(caller, &request, time).await.map(Response::new).map_err(|error| from_error(&error))
    }

    async fn explain_authorization(
        &self,
        request: Request<pb::ExplainAuthorizationRequest>,
    ) -> Result<Response<pb::ExplainAuthorizationResponse>, Status> {
        self.explained(request).await
    }

    async fn list_accessible_accounts(
        &self,
        request: Request<pb::ListAccessibleAccountsRequest>,
    ) -> Result<Response<pb::ListAccessibleAccountsResponse>, Status> {
        self.accessible_accounts(request).await
    }

    async fn list_authorized_peers(
        &self,
        request: Request<pb::ListAuthorizedPeersRequest>,
    ) -> Result<Response<pb::ListAuthorizedPeersResponse>, Status> {
        self.authorized_peers(request).await
    }

    async fn list_effective_permissions(
        &self,
        request: Request<pb::ListEffectivePermissionsRequest>,
    ) -> Result<Response<pb::ListEffectivePermissionsResponse>, Status> {
        self.effective_permissions(request).await
    }

    async fn open_account_session(
        &self,
        _request: Request<pb::OpenAccountSessionRequest>,
    ) -> Result<Response<pb::OpenAccountSessionResponse>, Status> {
        Err(not_built())
    }

    async fn list_account_sessions(
        &self,
        _request: Request<pb::ListAccountSessionsRequest>,
    ) -> Result<Response<pb::ListAccountSessionsResponse>, Status> {
        Err(not_built())
    }

    async fn close_account_session(
        &self,
        _request: Request<pb::CloseAccountSessionRequest>,
    ) -> Result<Response<pb::AccountSession>, Status> {
        Err(not_built())
    }
}
