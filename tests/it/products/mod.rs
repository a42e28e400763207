//! The four products' requirements, id by id, each asked of a running server as its portal would.
//!
//! One world with all four products serves every test here that only asks; tests that change
//! something make accounts and peers of their own in it.

mod keepit;
mod msp_panel;
mod mspcontrol;
mod opspilot365;

use std::sync::OnceLock;
use std::sync::mpsc;

use peerage::transport::grpc::pb;
use tonic::Status;

use crate::support::policy::fresh;
use crate::support::{Client, Server, TestPeer};

/// A server in a thread of its own, so that it outlives the runtime of the test that came first.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::start().await;
                for pack in ["mspcontrol", "msp-panel", "opspilot365", "keepit"] {
                    server.partner(&format!("{pack}-msp"), &[pack]).await;
                }
                send.send(server).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receive.recv().unwrap()
    })
}

/// The server, with connections of this test's own runtime.
async fn world() -> Server {
    server().reconnected()
}

/// A new customer of a product's provider.
async fn customer(server: &Server, pack: &str) -> String {
    server.customer(&fresh("customer"), &format!("accounts/{pack}-msp")).await
}

/// A new person of a product's provider, with a role on all of it or on some accounts.
async fn staff(server: &Server, pack: &str, role: &str, accounts: &[&str]) -> TestPeer {
    let (home, role) = (format!("accounts/{pack}-msp"), format!("roles/{pack}.{role}"));
    server.person_on(&home, &fresh(role.rsplit('.').next().unwrap()), &role, accounts).await
}

/// Asserts that a peer may do each of these, and nothing of those.
async fn assert_rights(server: &Server, peer: &str, account: &str, may: &[&str], may_not: &[&str]) {
    for permission in may {
        assert!(server.may(peer, permission, account).await, "{permission} on {account} is denied");
    }
    for permission in may_not {
        let told = server.decide(peer, permission, account).await;
        assert_eq!(told.decision(), pb::Decision::Deny, "{permission} on {account}");
        assert_ne!(told.reason(), pb::DecisionReason::Unspecified);
    }
}

/// A wish for a peer.
fn peer_request(home: &str, user_name: &str, role: &str, accounts: &[&str]) -> pb::CreatePeerRequest {
    let scope = if accounts.is_empty() {
        pb::peer_access::Scope::All(true)
    } else {
        let accounts = accounts.iter().map(|account| (*account).to_owned()).collect();
        pb::peer_access::Scope::Accounts(pb::AccountList { accounts })
    };
    pb::CreatePeerRequest {
        peer: Some(pb::Peer {
            user_name: user_name.to_owned(),
            display_name: user_name.to_owned(),
            kind: pb::PeerKind::Person.into(),
            home_account: home.to_owned(),
            ..Default::default()
        }),
        role: role.to_owned(),
        access: Some(pb::PeerAccess { scope: Some(scope) }),
        justification: "asked for".to_owned(),
        ..Default::default()
    }
}

async fn create_peer(client: &Client, request: pb::CreatePeerRequest) -> Result<pb::Peer, Status> {
    client.peers().create_peer(request).await.map(tonic::Response::into_inner)
}

async fn create_account(client: &Client, parent: &str, kind: pb::AccountKind) -> Result<pb::Account, Status> {
    let id = fresh("account");
    let account =
        pb::Account { parent_account: parent.to_owned(), kind: kind.into(), title: id.clone(), ..Default::default() };
    let request = pb::CreateAccountRequest { account_id: id, account: Some(account), ..Default::default() };
    client.accounts().create_account(request).await.map(tonic::Response::into_inner)
}

/// The cells of a pack's matrix, as the server computes them: title of the row to one cell a column.
async fn matrix(server: &Server, pack: &str) -> pb::GetPermissionMatrixResponse {
    let request = pb::GetPermissionMatrixRequest { pack: pack.to_owned(), ..Default::default() };
    server.operator().roles().get_permission_matrix(request).await.unwrap().into_inner()
}
