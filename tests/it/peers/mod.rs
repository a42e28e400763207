//! PeerService over the wire.

mod create;
mod fields;
mod lists;
mod passwords;
mod photos;
mod rules;
mod secrets;
mod states;
mod update;

use peerage::transport::grpc::pb;
use tonic::{Code, Status};

use crate::support::{Client, Server, reason};

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

/// A custom role of an account, usable below it, that allows these.
async fn role(server: &Server, owner: &str, title: &str, patterns: &[&str]) -> String {
    let grant = |pattern: &&str| pb::Grant {
        permission: (*pattern).to_owned(),
        effect: pb::GrantEffect::Allow.into(),
        ..pb::Grant::default()
    };
    let role = pb::Role {
        title: title.to_owned(),
        owner_account: owner.to_owned(),
        inheritable: true,
        grants: patterns.iter().map(grant).collect(),
        ..pb::Role::default()
    };
    let request = pb::CreateRoleRequest { role: Some(role), ..pb::CreateRoleRequest::default() };
    server.operator().roles().create_role(request).await.unwrap().into_inner().name
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
