//! PeerService over the wire.

mod bulk;
mod columns;
mod create;
mod ends;
mod fields;
mod hidden;
mod large;
mod links;
mod lists;
mod passwords;
mod photos;
mod queries;
mod rules;
mod secrets;
mod states;
mod update;

use peerage::transport::grpc::pb;
use tonic::{Code, Status};

use crate::support::{Client, reason};

const ADMINISTRATOR: &str = "roles/mspcontrol.administrator";
const READ_ONLY: &str = "roles/mspcontrol.read_only";

/// A wish for a person with a role on all of its home.
fn wish(home: &str, user_name: &str, role: &str) -> pb::CreatePeerRequest {
    let peer = pb::Peer {
        user_name: user_name.to_owned(),
        kind: pb::PeerKind::Person.into(),
        home_account: home.to_owned(),
        ..pb::Peer::default()
    };
    pb::CreatePeerRequest {
        peer: Some(peer),
        role: role.to_owned(),
        access: Some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::All(true)) }),
        justification: "test".to_owned(),
        ..pb::CreatePeerRequest::default()
    }
}

fn on(accounts: &[&str], request: pb::CreatePeerRequest) -> pb::CreatePeerRequest {
    let accounts = accounts.iter().map(|account| (*account).to_owned()).collect();
    let scope = pb::peer_access::Scope::Accounts(pb::AccountList { accounts });
    pb::CreatePeerRequest { access: Some(pb::PeerAccess { scope: Some(scope) }), ..request }
}

async fn create(client: &Client, request: pb::CreatePeerRequest) -> Result<pb::Peer, Status> {
    client.peers().create_peer(request).await.map(tonic::Response::into_inner)
}

/// A partner with an owner.
async fn owned(operator: &Client) -> (String, pb::Peer) {
    let account = pb::Account {
        parent_account: "accounts/platform".into(),
        kind: pb::AccountKind::Partner.into(),
        title: "Contoso MSP".into(),
        settings: Some(pb::AccountSettings { role_packs: vec!["msp-panel".into()], ..Default::default() }),
        ..pb::Account::default()
    };
    let owner = pb::Peer { user_name: "owner".into(), kind: pb::PeerKind::Person.into(), ..Default::default() };
    let request = pb::CreateAccountRequest {
        account_id: "contoso-msp".into(),
        account: Some(account),
        first_peer: Some(pb::FirstPeer { peer: Some(owner), ..Default::default() }),
        ..pb::CreateAccountRequest::default()
    };
    let partner = operator.accounts().create_account(request).await.unwrap().into_inner().name;
    let owner = get(operator, "peers/@owner").await.unwrap();
    (partner, owner)
}

async fn get(client: &Client, name: &str) -> Result<pb::Peer, Status> {
    let request = pb::GetPeerRequest { name: name.to_owned(), ..pb::GetPeerRequest::default() };
    client.peers().get_peer(request).await.map(tonic::Response::into_inner)
}

/// Changes those fields of a peer that a mask names.
async fn update(client: &Client, peer: pb::Peer, paths: &[&str]) -> Result<pb::Peer, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = pb::UpdatePeerRequest {
        peer: Some(peer),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..pb::UpdatePeerRequest::default()
    };
    client.peers().update_peer(request).await.map(tonic::Response::into_inner)
}

async fn delete(client: &Client, name: &str) -> Result<pb::Peer, Status> {
    let request = pb::DeletePeerRequest { name: name.to_owned(), ..pb::DeletePeerRequest::default() };
    client.peers().delete_peer(request).await.map(tonic::Response::into_inner)
}

async fn undelete(client: &Client, name: &str) -> Result<pb::Peer, Status> {
    let request = pb::UndeletePeerRequest { name: name.to_owned(), ..pb::UndeletePeerRequest::default() };
    client.peers().undelete_peer(request).await.map(tonic::Response::into_inner)
}

async fn enable(client: &Client, name: &str) -> Result<pb::Peer, Status> {
    let request = pb::EnablePeerRequest { name: name.to_owned(), ..pb::EnablePeerRequest::default() };
    client.peers().enable_peer(request).await.map(tonic::Response::into_inner)
}

async fn disable(client: &Client, name: &str) -> Result<pb::Peer, Status> {
    let request = pb::DisablePeerRequest { name: name.to_owned(), ..pb::DisablePeerRequest::default() };
    client.peers().disable_peer(request).await.map(tonic::Response::into_inner)
}

/// Whether a key still lets its holder in.
async fn lets_in(client: &Client) -> bool {
    match client.ask("peers/me", "devices.view", "accounts/platform").await {
        Ok(_) => true,
        Err(status) if status.code() == Code::Unauthenticated => false,
        Err(status) => panic!("neither in nor out: {status:?}"),
    }
}

/// The code and reason of a refusal.
fn why<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.unwrap_err();
    let reason = reason(&status);
    (status.code(), reason)
}

fn is(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

fn hidden() -> (Code, String) {
    is(Code::NotFound, "RESOURCE_NOT_FOUND")
}

fn escalation() -> (Code, String) {
    is(Code::PermissionDenied, "ESCALATION")
}

fn state(reason: &str) -> (Code, String) {
    is(Code::FailedPrecondition, reason)
}
