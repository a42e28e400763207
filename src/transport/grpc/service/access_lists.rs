//! AccountAccessService: lists of what Authorize would answer.

use tonic::{Request, Response, Status};

use super::Services;
use crate::application::access_lists;
use crate::transport::grpc::call::{self, answer, checked};
use crate::transport::grpc::convert::access_lists as convert;
use crate::transport::grpc::pb;

call::lists!(ListAccessibleAccountsRequest {}, ListAuthorizedPeersRequest {}, ListEffectivePermissionsRequest {},);

impl Services {
    pub(super) async fn accessible_accounts(
        &self,
        request: Request<pb::ListAccessibleAccountsRequest>,
    ) -> Result<Response<pb::ListAccessibleAccountsResponse>, Status> {
        let time = self.time_to_wait(&request, request.get_ref().consistency.as_ref());
        let (call, request) = call::read(request, "/peerage.v1.AccountAccessService/ListAccessibleAccounts")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let list = checked(|fields| convert::accounts(fields, &tokens, &request))?;
            let found = access_lists::accounts(&self.ctx, &call, &list, time).await?;
            Ok((tokens.seal(found.page.next.as_ref())?, found))
        };
        answer(&self.ctx, &call, work, |(next_page_token, found)| {
            let accounts = found.page.items.into_iter().map(convert::account_to_pb).collect();
            pb::ListAccessibleAccountsResponse { accounts, next_page_token, revision: found.revision }
        })
        .await
    }

    pub(super) async fn authorized_peers(
        &self,
        request: Request<pb::ListAuthorizedPeersRequest>,
    ) -> Result<Response<pb::ListAuthorizedPeersResponse>, Status> {
        let time = self.time_to_wait(&request, request.get_ref().consistency.as_ref());
        let (call, request) = call::read(request, "/peerage.v1.AccountAccessService/ListAuthorizedPeers")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let list = checked(|fields| convert::peers(fields, &tokens, &request))?;
            let found = access_lists::peers(&self.ctx, &call, &list, time).await?;
            Ok((tokens.seal(found.page.next.as_ref())?, found))
        };
        answer(&self.ctx, &call, work, |(next_page_token, found)| {
            let peers = found.page.items.into_iter().map(convert::peer_to_pb).collect();
            pb::ListAuthorizedPeersResponse { peers, next_page_token, revision: found.revision }
        })
        .await
    }

    pub(super) async fn effective_permissions(
        &self,
        request: Request<pb::ListEffectivePermissionsRequest>,
    ) -> Result<Response<pb::ListEffectivePermissionsResponse>, Status> {
        let time = self.time_to_wait(&request, request.get_ref().consistency.as_ref());
        let (call, request) = call::read(request, "/peerage.v1.AccountAccessService/ListEffectivePermissions")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let list = checked(|fields| convert::permissions(fields, &tokens, &request))?;
            let found = access_lists::permissions(&self.ctx, &call, &list, time).await?;
            Ok((tokens.seal(found.page.next.as_ref())?, found, list.account))
        };
        answer(&self.ctx, &call, work, |(next_page_token, found, account)| {
            let permissions = found.page.items.iter().map(|row| convert::permission_to_pb(row, &account)).collect();
            pb::ListEffectivePermissionsResponse { permissions, next_page_token, revision: found.revision }
        })
        .await
    }
}
