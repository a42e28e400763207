//! Clients of every service, and what their errors say.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::account_access_service_client::AccountAccessServiceClient;
use peerage::transport::grpc::pb::account_service_client::AccountServiceClient;
use peerage::transport::grpc::pb::audit_service_client::AuditServiceClient;
use peerage::transport::grpc::pb::authentication_service_client::AuthenticationServiceClient;
use peerage::transport::grpc::pb::peer_service_client::PeerServiceClient;
use peerage::transport::grpc::pb::role_service_client::RoleServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// Adds a credential to each call.
#[derive(Clone)]
pub struct Credential(Option<MetadataValue<Ascii>>);

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Intercepted = InterceptedService<Channel, Credential>;

/// Clients of every service that present the same key.
#[derive(Clone)]
pub struct Client {
    pub(super) channel: Channel,
    pub(super) credential: Credential,
}

impl Client {
    /// A client that presents nothing.
    pub(super) fn anonymous(channel: Channel) -> Self {
        Self { channel, credential: Credential(None) }
    }

    pub fn new(channel: Channel, key: &str) -> Self {
        let value = format!("Bearer {key}").parse().expect("a key that fits into metadata");
        Self { channel, credential: Credential(Some(value)) }
    }

    pub fn accounts(&self) -> AccountServiceClient<Intercepted> {
        AccountServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn peers(&self) -> PeerServiceClient<Intercepted> {
        PeerServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn roles(&self) -> RoleServiceClient<Intercepted> {
        RoleServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn access(&self) -> AccountAccessServiceClient<Intercepted> {
        AccountAccessServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn auth(&self) -> AuthenticationServiceClient<Intercepted> {
        AuthenticationServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn audit(&self) -> AuditServiceClient<Intercepted> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    /// Asks Authorize about a peer.
    pub async fn ask(&self, peer: &str, permission: &str, account: &str) -> Result<pb::AuthorizeResponse, Status> {
        let request = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Peer(peer.to_owned())),
            permission: permission.to_owned(),
            account: account.to_owned(),
            ..pb::AuthorizeRequest::default()
        };
        self.access().authorize(request).await.map(tonic::Response::into_inner)
    }
}

/// The reason in a status's `ErrorInfo`.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The fields that a status names as bad.
pub fn bad_fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    bad.into_iter().map(|violation| violation.field).collect()
}

/// The status of an item of a batch, as a call of its own would have ended.
pub fn status_of(error: &tonic_types::Status) -> Status {
    let details = prost::Message::encode_to_vec(error);
    Status::with_details(tonic::Code::from(error.code), error.message.clone(), details.into())
}
