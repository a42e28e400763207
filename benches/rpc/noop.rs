//! The call that does nothing: what tonic, prost and tokio cost by themselves.

use anyhow::Result;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::account_access_service_server::{AccountAccessService, AccountAccessServiceServer};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

struct Noop;

/// Answers as an ALLOW of Authorize is answered, to the letter.
fn answer() -> pb::AuthorizeResponse {
    pb::AuthorizeResponse {
        decision: pb::Decision::Allow.into(),
        reason: pb::DecisionReason::Allowed.into(),
        revision: 1_000,
        decision_id: "019a0000-0000-7000-8000-000000000000".to_owned(),
        role_binding: "roleBindings/019a0000-0000-7000-8000-000000000000".to_owned(),
        role: "roles/019a0000-0000-7000-8000-000000000000".to_owned(),
        grant_index: 1,
        obligations: Vec::new(),
        missing_attribute: String::new(),
    }
}

#[tokio::main]
pub(crate) async fn serve(address: &str) -> Result<()> {
    Ok(Server::builder().add_service(AccountAccessServiceServer::new(Noop)).serve(address.parse()?).await?)
}

macro_rules! unused {
    ($($method:ident($request:ident) -> $response:ident),* $(,)?) => {
        #[tonic::async_trait]
        impl AccountAccessService for Noop {
            async fn authorize(
                &self,
                _request: Request<pb::AuthorizeRequest>,
            ) -> Result<Response<pb::AuthorizeResponse>, Status> {
                Ok(Response::new(answer()))
            }

            $(async fn $method(&self, _request: Request<pb::$request>) -> Result<Response<pb::$response>, Status> {
                Err(Status::unimplemented("this server answers Authorize"))
            })*
        }
    };
}

unused!(
    batch_authorize(BatchAuthorizeRequest) -> BatchAuthorizeResponse,
    explain_authorization(ExplainAuthorizationRequest) -> ExplainAuthorizationResponse,
    list_accessible_accounts(ListAccessibleAccountsRequest) -> ListAccessibleAccountsResponse,
    list_authorized_peers(ListAuthorizedPeersRequest) -> ListAuthorizedPeersResponse,
    list_effective_permissions(ListEffectivePermissionsRequest) -> ListEffectivePermissionsResponse,
    open_account_session(OpenAccountSessionRequest) -> OpenAccountSessionResponse,
    list_account_sessions(ListAccountSessionsRequest) -> ListAccountSessionsResponse,
    close_account_session(CloseAccountSessionRequest) -> AccountSession,
);
