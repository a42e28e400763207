//! AuthenticationService: API keys. Signing in follows.

use tonic::{Request, Response, Status};

use super::Services;
use crate::application::api_keys;
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::page as token;
use crate::transport::grpc::convert::{self, api_key};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::authentication_service_server::AuthenticationService;

call::mutations!(CreateApiKeyRequest, RevokeApiKeyRequest);
call::lists!(ListApiKeysRequest {});

#[tonic::async_trait]
impl AuthenticationService for Services {
    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Result<Response<pb::CreateApiKeyResponse>, Status> {
        let (call, request) = call::mutation(request, "/peerage.v1.AuthenticationService/CreateApiKey")?;
        let now = self.ctx.clock.now();
        let work = async {
            let create = checked_of(&call, |fields| api_key::create(fields, &request, now))?;
            api_keys::create(&self.ctx, &call, create).await
        };
        answer(&self.ctx, &call, work, |created| api_key::created(&created, now)).await
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Result<Response<pb::ListApiKeysResponse>, Status> {
        let (call, request) = call::read(request, "/peerage.v1.AuthenticationService/ListApiKeys")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let (peer, limit, after) = checked(|fields| {
                let peer = fields.required("peer", &request.peer, convert::peer_name);
                let limit = fields.take("page_size", page::size(request.page_size));
                let after = token::after(fields, &tokens, &request.page_token);
                Some((peer?, limit?, after?))
            })?;
            let found = api_keys::list(&self.ctx, &call, &api_keys::ListApiKeys { peer, after, limit }).await?;
            Ok((tokens.seal(found.next.as_ref())?, found.items))
        };
        let now = self.ctx.clock.now();
        answer(&self.ctx, &call, work, |(next_page_token, keys)| {
            let api_keys = keys.iter().map(|key| api_key::to_pb(key, now)).collect();
            pb::ListApiKeysResponse { api_keys, next_page_token }
        })
        .await
    }

    async fn revoke_api_key(&self, request: Request<pb::RevokeApiKeyRequest>) -> Result<Response<pb::ApiKey>, Status> {
        let (call, request) = call::mutation(request, "/peerage.v1.AuthenticationService/RevokeApiKey")?;
        let work = async {
            let id = checked_of(&call, |fields| fields.required("name", &request.name, api_key::name))?;
            api_keys::revoke(&self.ctx, &call, id).await
        };
        let now = self.ctx.clock.now();
        answer(&self.ctx, &call, work, |key| api_key::to_pb(&key, now)).await
    }
}
