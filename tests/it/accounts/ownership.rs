//! Ownership: one owner, who asks, and the operator, who transfers.

use tonic::{Code, Status};

use super::{ADMIN, OWNER, get, owned_partner};
use crate::support::policy::{allow, bind, binding, create_role, role};
use crate::support::{Client, Server, reason};
use peerage::transport::grpc::pb;

async fn ask(client: &Client, name: &str, new_owner: &str) -> Result<pb::Account, Status> {
    let request = pb::RequestOwnershipTransferRequest {
        name: name.to_owned(),
        new_owner: new_owner.to_owned(),
        reason: "moving on".to_owned(),
        ..pb::RequestOwnershipTransferRequest::default()
    };
    client.accounts().request_ownership_transfer(request).await.map(tonic::Response::into_inner)
}

async fn transfer(client: &Client, name: &str, new_owner: &str, former: &str) -> Result<pb::Account, Status> {
    let request = pb::TransferOwnershipRequest {
        name: name.to_owned(),
        new_owner: new_owner.to_owned(),
        former_owner_role: former.to_owned(),
        reason: "asked for by the owner".to_owned(),
        ..pb::TransferOwnershipRequest::default()
    };
    client.accounts().transfer_ownership(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn mp_10_assigning_owner_to_another_user_is_denied() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let emily = server.person(&msp, "emily", ADMIN).await;
    for client in [&owner.client, &server.operator()] {
        let status = bind(client, binding(&emily.name, OWNER, &msp)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ROLE_UNASSIGNABLE"));
    }
}

#[tokio::test]
async fn mp_11_the_owner_changes_only_by_the_operator() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let emily = server.person(&msp, "emily", ADMIN).await;
    for client in [&owner.client, &emily.client] {
        let status = transfer(client, &msp, &emily.name, "").await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    }
    transfer(&server.operator(), &msp, &emily.name, ADMIN).await.unwrap();
    let decides = async |peer: &str, permission: &str| server.decide(peer, permission, &msp).await.decision();
    assert_eq!(decides(&emily.name, "accounts.request_ownership_transfer").await, pb::Decision::Allow);
    assert_eq!(decides(&owner.name, "accounts.request_ownership_transfer").await, pb::Decision::Deny);
    assert_eq!(decides(&owner.name, "billing.manage").await, pb::Decision::Allow);
    // The former owner got another role, and goes without one next time.
    transfer(&server.operator(), &msp, &owner.name, "").await.unwrap();
    assert_eq!(decides(&owner.name, "accounts.request_ownership_transfer").await, pb::Decision::Allow);
    assert_eq!(decides(&emily.name, "accounts.request_ownership_transfer").await, pb::Decision::Deny);
}

#[tokio::test]
async fn mp_26_the_owner_asks_and_the_operator_completes() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let emily = server.person(&msp, "emily", ADMIN).await;
    // All features are not ownership.
    assert_eq!(ask(&emily.client, &msp, &emily.name).await.unwrap_err().code(), Code::PermissionDenied);
    let shown = ask(&owner.client, &msp, "peers/@emily").await.unwrap();
    let open = shown.ownership_transfer.unwrap();
    assert_eq!((open.new_owner.as_str(), open.requester.as_str()), (emily.name.as_str(), owner.name.as_str()));
    assert_eq!(open.reason, "moving on");
    assert_eq!(server.decide(&owner.name, "billing.manage", &msp).await.role, OWNER);
    let operator = server.operator();
    assert!(get(&operator, &msp).await.unwrap().ownership_transfer.is_some());
    let done = transfer(&operator, &msp, &emily.name, "").await.unwrap();
    assert_eq!(done.ownership_transfer, None);
    assert!(!server.may(&owner.name, "billing.manage", &msp).await);
    assert_eq!(get(&owner.client, &msp).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn only_the_operator_transfers_ownership() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let (other, stranger) = owned_partner(&server, "other", "mallory").await;
    let emily = server.person(&msp, "emily", ADMIN).await;
    assert_eq!(transfer(&stranger.client, &msp, &stranger.name, "").await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(transfer(&owner.client, &msp, &emily.name, "").await.unwrap_err().code(), Code::PermissionDenied);
    // Nor can the operator's permission be given on: it is reserved, and the owner does not hold it.
    let transferrer = role(&other, &[allow("accounts.transfer_ownership")]);
    let status = create_role(&stranger.client, transferrer).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ESCALATION"));
}

#[tokio::test]
async fn rule_8_11_a_new_owner_is_an_enabled_person_homed_there() {
    let server = Server::start().await;
    let operator = server.operator();
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let elsewhere = server.partner("elsewhere", &["msp-panel"]).await;
    let stranger = server.person(&elsewhere, "mallory", ADMIN).await;
    let device = server.peer(&msp, "robot", ADMIN, pb::PeerKind::Integration, &[]).await;
    let disabled = server.person(&msp, "mike", ADMIN).await;
    let request = pb::DisablePeerRequest { name: disabled.name.clone(), ..pb::DisablePeerRequest::default() };
    operator.peers().disable_peer(request).await.unwrap();
    for peer in [&stranger, &device, &disabled, &owner] {
        let status = transfer(&operator, &msp, &peer.name, "").await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "NEW_OWNER_NOT_ELIGIBLE"));
    }
    let status = transfer(&operator, &msp, "peers/@nobody", "").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    // A peer that the owner may not see is missing.
    assert_eq!(ask(&owner.client, &msp, &stranger.name).await.unwrap_err().code(), Code::NotFound);
    let emily = server.person(&msp, "emily", ADMIN).await;
    let status = transfer(&operator, &msp, &emily.name, OWNER).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ROLE_UNASSIGNABLE"));
    let status = transfer(&operator, &elsewhere, &stranger.name, "").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "OWNER_MISSING"));
    // Nothing of all that has changed anything.
    assert_eq!(server.decide(&owner.name, "billing.manage", &msp).await.role, OWNER);
}
