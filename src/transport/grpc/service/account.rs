//! AccountService: the tree of accounts and their ownership. Identity providers follow.

use tonic::{Request, Response, Status};

use super::Services;
use crate::application::accounts::ownership::RequestTransfer;
use crate::application::accounts::{self, create, delete, list, ownership, place, suspend, update};
use crate::transport::grpc::call::{self, LacksAll, answer, checked, checked_of};
use crate::transport::grpc::convert::account::acts;
use crate::transport::grpc::convert::{self, account, page};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::account_service_server::AccountService;
use crate::transport::grpc::status;

call::mutations!(
    CreateAccountRequest,
    UpdateAccountRequest,
    MoveAccountRequest,
    SuspendAccountRequest,
    ResumeAccountRequest,
    DeleteAccountRequest,
    RequestOwnershipTransferRequest,
    TransferOwnershipRequest,
);

call::lists!(ListAccountsRequest { read_mask });

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AccountService for Services {
    async fn create_account(&self, request: Request<pb::CreateAccountRequest>) -> Reply<pb::Account> {
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/CreateAccount")?;
        let now = self.ctx.clock.now();
        let work = async {
            let wish = checked_of(&call, |fields| account::create(fields, &request, &self.ctx.packs, now))?;
            create::create(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |shown| account::to_pb(&shown, None)).await
    }

    async fn get_account(&self, request: Request<pb::GetAccountRequest>) -> Reply<pb::Account> {
        let (call, request) = call::read(request, "/peerage.v1.AccountService/GetAccount")?;
        let work = async {
            let (id, mask) = checked(|fields| {
                let id = fields.required("name", &request.name, convert::account_name);
                let mask = account::read_mask(fields, request.read_mask.as_ref());
                Some((id?, mask?))
            })?;
            Ok((accounts::get(&self.ctx, &call, &id).await?, mask))
        };
        answer(&self.ctx, &call, work, |(shown, mask)| account::to_pb(&shown, mask.as_deref())).await
    }

    async fn list_accounts(&self, request: Request<pb::ListAccountsRequest>) -> Reply<pb::ListAccountsResponse> {
        let (call, request) = call::read(request, "/peerage.v1.AccountService/ListAccounts")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let (wish, mask) = checked(|fields| {
                let wish = account::list(fields, &request);
                let mask = account::read_mask(fields, request.read_mask.as_ref());
                let after = page::after(fields, &tokens, &request.page_token);
                Some((list::ListAccounts { after: after?, ..wish? }, mask?))
            })?;
            let found = list::list(&self.ctx, &call, &wish).await?;
            Ok((tokens.seal(found.next.as_ref())?, found.items, mask))
        };
        answer(&self.ctx, &call, work, |(next_page_token, accounts, mask)| {
            let accounts = accounts.iter().map(|shown| account::to_pb(shown, mask.as_deref())).collect();
            pb::ListAccountsResponse { accounts, next_page_token }
        })
        .await
    }

    async fn update_account(&self, request: Request<pb::UpdateAccountRequest>) -> Reply<pb::Account> {
        let lacks_all = request.extensions().get::<LacksAll>().is_some();
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/UpdateAccount")?;
        if lacks_all {
            return Err(call::not_permitted(&self.ctx, &call, account::update_permission(&request)).await);
        }
        let work = async {
            let wish = checked_of(&call, |fields| account::update(fields, &request, &self.ctx.packs))?;
            update::update(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |shown| account::to_pb(&shown, None)).await
    }

    async fn move_account(&self, request: Request<pb::MoveAccountRequest>) -> Reply<pb::Account> {
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/MoveAccount")?;
        let work = async {
            let wish = checked_of(&call, |fields| acts::move_account(fields, &request))?;
            place::move_account(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |shown| account::to_pb(&shown, None)).await
    }

    async fn suspend_account(&self, request: Request<pb::SuspendAccountRequest>) -> Reply<pb::Account> {
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/SuspendAccount")?;
        let work = async {
            let wish = checked_of(&call, |fields| acts::suspend(fields, &request))?;
            suspend::suspend(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |shown| account::to_pb(&shown, None)).await
    }

    async fn resume_account(&self, request: Request<pb::ResumeAccountRequest>) -> Reply<pb::Account> {
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/ResumeAccount")?;
        let work = async {
            let wish = checked_of(&call, |fields| acts::resume(fields, &request))?;
            suspend::resume(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |shown| account::to_pb(&shown, None)).await
    }

    async fn delete_account(&self, request: Request<pb::DeleteAccountRequest>) -> Reply<pb::DeleteAccountResponse> {
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/DeleteAccount")?;
        let work = async {
            let wish = checked_of(&call, |fields| acts::delete(fields, &request))?;
            delete::delete(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |update_revision| pb::DeleteAccountResponse { update_revision }).await
    }

    async fn request_ownership_transfer(
        &self,
        request: Request<pb::RequestOwnershipTransferRequest>,
    ) -> Reply<pb::Account> {
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/RequestOwnershipTransfer")?;
        let work = async {
            let wish = checked_of(&call, |fields| {
                let id = fields.required("name", &request.name, convert::account_name);
                let new_owner = fields.required("new_owner", &request.new_owner, convert::peer_name);
                let reason = fields.take("reason", account::reason(&request.reason));
                Some(RequestTransfer { id: id?, new_owner: new_owner?, reason: reason? })
            })?;
            ownership::request_transfer(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |shown| account::to_pb(&shown, None)).await
    }

    async fn transfer_ownership(&self, request: Request<pb::TransferOwnershipRequest>) -> Reply<pb::Account> {
        let (call, request) = call::mutation(request, "/peerage.v1.AccountService/TransferOwnership")?;
        let work = async {
            let wish = checked_of(&call, |fields| acts::transfer(fields, &request))?;
            ownership::transfer(&self.ctx, &call, wish).await
        };
        answer(&self.ctx, &call, work, |shown| account::to_pb(&shown, None)).await
    }

    async fn create_identity_provider(
        &self,
        _request: Request<pb::CreateIdentityProviderRequest>,
    ) -> Reply<pb::IdentityProvider> {
        Err(status::not_built())
    }

    async fn get_identity_provider(
        &self,
        _request: Request<pb::GetIdentityProviderRequest>,
    ) -> Reply<pb::IdentityProvider> {
        Err(status::not_built())
    }

    async fn list_identity_providers(
        &self,
        _request: Request<pb::ListIdentityProvidersRequest>,
    ) -> Reply<pb::ListIdentityProvidersResponse> {
        Err(status::not_built())
    }

    async fn update_identity_provider(
        &self,
        _request: Request<pb::UpdateIdentityProviderRequest>,
    ) -> Reply<pb::IdentityProvider> {
        Err(status::not_built())
    }

    async fn delete_identity_provider(
        &self,
        _request: Request<pb::DeleteIdentityProviderRequest>,
    ) -> Reply<pb::DeleteIdentityProviderResponse> {
        Err(status::not_built())
    }
}
