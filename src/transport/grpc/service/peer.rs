//! PeerService: the peers themselves, their passwords and photos. Their factors and invitations follow.

use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::Services;
use crate::application::Call;
use crate::application::batch::Answer;
use crate::application::peers::list::ListPeers;
use crate::application::peers::{self, ChangeState, SeenPeer, StateChange};
use crate::application::{passwords, photos};
use crate::transport::grpc::call::{self, Mutation, answer, checked, checked_of};
use crate::transport::grpc::convert::{self, batch, mask, page, peer};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::batch_create_peers_result::Result as CreatePeerResult;
use crate::transport::grpc::pb::peer_service_server::PeerService;
use crate::transport::grpc::status;

call::mutations!(
    CreatePeerRequest { password, confirm_password },
    UpdatePeerRequest,
    DeletePeerRequest,
    UndeletePeerRequest,
    EnablePeerRequest,
    DisablePeerRequest,
    SetPasswordRequest { password, confirm_password },
    SetPhotoRequest,
);

call::lists!(ListPeersRequest { read_mask, count_total });

impl Mutation for pb::BatchCreatePeersRequest {
    fn request_id(&mut self) -> &mut String {
        &mut self.request_id
    }

    fn validate_only(&self) -> bool {
        self.validate_only
    }

    fn secrets(&mut self) -> Vec<&mut String> {
        self.requests.iter_mut().flat_map(Mutation::secrets).collect()
    }
}

type Reply<T> = Result<Response<T>, Status>;

impl Services {
    async fn change_state(&self, call: &Call, what: StateChange, name: &str, etag: &str) -> Reply<pb::Peer> {
        let work = async {
            let change = checked_of(call, |fields| {
                let peer = fields.required("name", name, convert::peer_name);
                let etag = fields.take("etag", convert::etag(etag));
                Some(ChangeState { peer: peer?, etag: etag? })
            })?;
            peers::change_state(&self.ctx, call, what, change).await
        };
        answer(&self.ctx, call, work, |seen| peer::to_pb(&seen)).await
    }
}

#[tonic::async_trait]
impl PeerService for Services {
    async fn create_peer(&self, request: Request<pb::CreatePeerRequest>) -> Reply<pb::Peer> {
        let (call, mut request) = call::mutation(request, "/peerage.v1.PeerService/CreatePeer")?;
        let now = self.ctx.clock.now();
        let create = checked_of(&call, |fields| peer::create(fields, &request, now));
        call::wipe(&mut request);
        let work = async {
            let create = create?;
            peers::create(&self.ctx, &call, create).await
        };
        answer(&self.ctx, &call, work, |seen| peer::to_pb(&seen)).await
    }

    async fn get_peer(&self, request: Request<pb::GetPeerRequest>) -> Reply<pb::Peer> {
        let (call, request) = call::read(request, "/peerage.v1.PeerService/GetPeer")?;
        let work = async {
            let (peer, shown) = checked(|fields| {
                let shown = mask::read(fields, request.read_mask.as_ref(), "Peer");
                fields.required("name", &request.name, convert::peer_name).zip(shown)
            })?;
            Ok((peers::get(&self.ctx, &call, &peer).await?, shown))
        };
        answer(&self.ctx, &call, work, |(seen, shown)| shown.apply(peer::to_pb(&seen))).await
    }

    async fn list_peers(&self, request: Request<pb::ListPeersRequest>) -> Reply<pb::ListPeersResponse> {
        let (call, request) = call::read(request, "/peerage.v1.PeerService/ListPeers")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let (list, shown) = checked(|fields| {
                let list = peer::list(fields, &request);
                let shown = mask::read(fields, request.read_mask.as_ref(), "Peer");
                let after = page::after(fields, &tokens, &request.page_token);
                Some((ListPeers { after: after?, ..list? }, shown?))
            })?;
            let found = peers::list::list(&self.ctx, &call, &list).await?;
            Ok((tokens.seal(found.page.next.as_ref())?, found, shown))
        };
        answer(&self.ctx, &call, work, |(next_page_token, found, shown)| pb::ListPeersResponse {
            peers: found.page.items.iter().map(|seen| shown.apply(peer::to_pb(seen))).collect(),
            next_page_token,
            total_size: found.total.map_or(0, |total| i64::try_from(total).unwrap_or(i64::MAX)),
        })
        .await
    }

    async fn update_peer(&self, request: Request<pb::UpdatePeerRequest>) -> Reply<pb::Peer> {
        let (call, request) = call::mutation(request, "/peerage.v1.PeerService/UpdatePeer")?;
        let work = async {
            let update = checked_of(&call, |fields| peer::update(fields, &request))?;
            peers::update(&self.ctx, &call, update).await
        };
        answer(&self.ctx, &call, work, |seen| peer::to_pb(&seen)).await
    }

    async fn delete_peer(&self, request: Request<pb::DeletePeerRequest>) -> Reply<pb::Peer> {
        let (call, request) = call::mutation(request, "/peerage.v1.PeerService/DeletePeer")?;
        self.change_state(&call, StateChange::Delete, &request.name, &request.etag).await
    }

    async fn undelete_peer(&self, request: Request<pb::UndeletePeerRequest>) -> Reply<pb::Peer> {
        let (call, request) = call::mutation(request, "/peerage.v1.PeerService/UndeletePeer")?;
        self.change_state(&call, StateChange::Undelete, &request.name, &request.etag).await
    }

    async fn enable_peer(&self, request: Request<pb::EnablePeerRequest>) -> Reply<pb::Peer> {
        let (call, request) = call::mutation(request, "/peerage.v1.PeerService/EnablePeer")?;
        self.change_state(&call, StateChange::Enable, &request.name, &request.etag).await
    }

    async fn disable_peer(&self, request: Request<pb::DisablePeerRequest>) -> Reply<pb::Peer> {
        let (call, request) = call::mutation(request, "/peerage.v1.PeerService/DisablePeer")?;
        self.change_state(&call, StateChange::Disable, &request.name, &request.etag).await
    }

    async fn unlock_peer(&self, _request: Request<pb::UnlockPeerRequest>) -> Reply<pb::Peer> {
        Err(status::not_built())
    }

    async fn batch_create_peers(
        &self,
        request: Request<pb::BatchCreatePeersRequest>,
    ) -> Reply<pb::BatchCreatePeersResponse> {
        let (call, mut request) = call::mutation(request, "/peerage.v1.PeerService/BatchCreatePeers")?;
        let now = self.ctx.clock.now();
        let size = checked_of(&call, |fields| batch::requests(fields, &request.requests));
        let item = |item: &pb::CreatePeerRequest| {
            batch::item((&item.request_id, item.validate_only), |fields| peer::create(fields, item, now))
        };
        let items: Vec<_> = if size.is_ok() { request.requests.iter().map(item).collect() } else { Vec::new() };
        call::wipe(&mut request);
        let work = async {
            size?;
            peers::create_many(&self.ctx, &call, items, &|error| call::refusal(&self.ctx, &call, error)).await
        };
        let result = |answer: &Answer<SeenPeer>| match answer {
            Answer::Made(seen) => CreatePeerResult::Peer(peer::to_pb(seen)),
            Answer::Refused(refusal) => CreatePeerResult::Error(call::refused(refusal)),
        };
        let results = |answers: Vec<Answer<SeenPeer>>| pb::BatchCreatePeersResponse {
            results: answers.iter().map(|one| pb::BatchCreatePeersResult { result: Some(result(one)) }).collect(),
        };
        answer(&self.ctx, &call, work, results).await
    }

    async fn generate_password(
        &self,
        request: Request<pb::GeneratePasswordRequest>,
    ) -> Reply<pb::GeneratePasswordResponse> {
        let (call, request) = call::read(request, "/peerage.v1.PeerService/GeneratePassword")?;
        let work = async {
            let account = checked(|fields| fields.optional("account", &request.account, convert::account_name))?;
            passwords::generate(&self.ctx, &call, account.as_ref())
        };
        let respond = |password: Zeroizing<String>| pb::GeneratePasswordResponse { password: password.to_string() };
        answer(&self.ctx, &call, work, respond).await
    }

    async fn set_password(&self, request: Request<pb::SetPasswordRequest>) -> Reply<pb::Peer> {
        let (call, mut request) = call::mutation(request, "/peerage.v1.PeerService/SetPassword")?;
        let set = checked_of(&call, |fields| peer::password::set(fields, &request));
        call::wipe(&mut request);
        let work = async { passwords::set(&self.ctx, &call, set?).await };
        answer(&self.ctx, &call, work, |seen| peer::to_pb(&seen)).await
    }

    async fn send_invitation(&self, _request: Request<pb::SendInvitationRequest>) -> Reply<pb::Invitation> {
        Err(status::not_built())
    }

    async fn revoke_invitation(&self, _request: Request<pb::RevokeInvitationRequest>) -> Reply<pb::Invitation> {
        Err(status::not_built())
    }

    async fn list_invitations(
        &self,
        _request: Request<pb::ListInvitationsRequest>,
    ) -> Reply<pb::ListInvitationsResponse> {
        Err(status::not_built())
    }

    async fn set_photo(&self, request: Request<pb::SetPhotoRequest>) -> Reply<pb::Peer> {
        let (call, request) = call::mutation(request, "/peerage.v1.PeerService/SetPhoto")?;
        let work = async {
            let set = checked_of(&call, |fields| peer::photo::set(fields, request))?;
            photos::set(&self.ctx, &call, set).await
        };
        answer(&self.ctx, &call, work, |seen| peer::to_pb(&seen)).await
    }

    async fn get_photo(&self, request: Request<pb::GetPhotoRequest>) -> Reply<pb::GetPhotoResponse> {
        let (call, request) = call::read(request, "/peerage.v1.PeerService/GetPhoto")?;
        let work = async {
            let (peer, size) = checked(|fields| peer::photo::get(fields, &request))?;
            photos::get(&self.ctx, &call, &peer, size).await
        };
        answer(&self.ctx, &call, work, peer::photo::to_pb).await
    }

    async fn list_factors(&self, _request: Request<pb::ListFactorsRequest>) -> Reply<pb::ListFactorsResponse> {
        Err(status::not_built())
    }

    async fn remove_factor(&self, _request: Request<pb::RemoveFactorRequest>) -> Reply<pb::RemoveFactorResponse> {
        Err(status::not_built())
    }

    async fn reset_two_factor(&self, _request: Request<pb::ResetTwoFactorRequest>) -> Reply<pb::Peer> {
        Err(status::not_built())
    }

    async fn link_external_identity(&self, _request: Request<pb::LinkExternalIdentityRequest>) -> Reply<pb::Peer> {
        Err(status::not_built())
    }

    async fn unlink_external_identity(&self, _request: Request<pb::UnlinkExternalIdentityRequest>) -> Reply<pb::Peer> {
        Err(status::not_built())
    }

    async fn create_certificate_mapping(
        &self,
        _request: Request<pb::CreateCertificateMappingRequest>,
    ) -> Reply<pb::CertificateMapping> {
        Err(status::not_built())
    }

    async fn list_certificate_mappings(
        &self,
        _request: Request<pb::ListCertificateMappingsRequest>,
    ) -> Reply<pb::ListCertificateMappingsResponse> {
        Err(status::not_built())
    }

    async fn delete_certificate_mapping(
        &self,
        _request: Request<pb::DeleteCertificateMappingRequest>,
    ) -> Reply<pb::DeleteCertificateMappingResponse> {
        Err(status::not_built())
    }

    async fn list_findings(&self, _request: Request<pb::ListFindingsRequest>) -> Reply<pb::ListFindingsResponse> {
        Err(status::not_built())
    }

    async fn erase_personal_data(
        &self,
        _request: Request<pb::ErasePersonalDataRequest>,
    ) -> Reply<pb::ErasePersonalDataResponse> {
        Err(status::not_built())
    }
}
