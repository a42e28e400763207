//! Conditions on what administers: the address is that of the caller's connection, the clock the
//! server's, and resources have no attributes there.

use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use super::{is_text, networks, when, window};
use crate::roles::{Scene, allow, create, deny, refused, role};
use crate::support::{Client, Server, TestPeer};

/// The peer's client on a connection from another address of this machine.
fn from(server: &Server, peer: &TestPeer, address: &str) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address()))
        .unwrap()
        .local_address(Some(address.parse().unwrap()));
    Client::new(endpoint.connect_lazy(), &peer.key)
}

/// What a lead may beside the grant in question: to look, and something to give.
fn lead(grants: &[pb::Grant]) -> Vec<pb::Grant> {
    ["accounts.view", "roles.view", "ftp.view"].map(allow).into_iter().chain(grants.iter().cloned()).collect()
}

async fn makes_roles(scene: &Scene, client: &Client) -> Result<pb::Role, tonic::Status> {
    create(client, role(&scene.msp, &[allow("ftp.view")])).await
}

#[tokio::test]
async fn administration_from_a_network_is_possible_from_there_alone() {
    let scene = Scene::new().await;
    let inside = networks(&["127.0.0.2/32", "2001:db8::/32"]);
    let allowed = scene.with(&lead(&[when(allow("roles.create"), inside.clone())])).await;
    let denied = scene.with(&lead(&[allow("roles.create"), when(deny("roles.create"), inside)])).await;
    for (peer, possible, impossible) in [(&allowed, "127.0.0.2", "127.0.0.1"), (&denied, "127.0.0.1", "127.0.0.2")] {
        makes_roles(&scene, &from(&scene.server, peer, possible)).await.unwrap();
        let refusal = makes_roles(&scene, &from(&scene.server, peer, impossible)).await;
        refused(refusal, Code::PermissionDenied, "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn checks_of_others_from_a_network_are_possible_from_there_alone() {
    let scene = Scene::new().await;
    let backend = scene.with(&[when(allow("access.check"), networks(&["127.0.0.2/32"]))]).await;
    let peer = scene.with(&[allow("ftp.view")]).await;
    let inside = from(&scene.server, &backend, "127.0.0.2");
    let answer = inside.ask(&peer.name, "ftp.view", &scene.tenant).await.unwrap();
    assert_eq!(answer.decision(), pb::Decision::Allow);
    let outside = from(&scene.server, &backend, "127.0.0.3");
    refused(outside.ask(&peer.name, "ftp.view", &scene.tenant).await, Code::NotFound, "RESOURCE_NOT_FOUND");
    // What a request says of its subject is no word about its caller.
    let request = pb::AuthorizeRequest {
        subject: Some(pb::authorize_request::Subject::Peer(peer.name.clone())),
        permission: "ftp.view".to_owned(),
        account: scene.tenant.clone(),
        context: Some(super::context("127.0.0.2", &[])),
        ..Default::default()
    };
    refused(outside.access().authorize(request).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

#[tokio::test]
async fn administration_in_a_weekly_window_ends_with_it() {
    let scene = Scene::alone().await;
    let minutes = i32::try_from(scene.server.time(0).seconds % 86_400 / 60).unwrap();
    // From now on for two hours, every day.
    let (start, end) = (minutes, (minutes + 120) % 1440);
    let daily = window(&[1, 2, 3, 4, 5, 6, 7], (start, if end == 0 { 1440 } else { end }), "Etc/UTC");
    let peer = scene.with(&lead(&[when(allow("roles.create"), daily)])).await;
    makes_roles(&scene, &peer.client).await.unwrap();
    scene.server.advance(Duration::from_secs(2 * 3600));
    refused(makes_roles(&scene, &peer.client).await, Code::PermissionDenied, "PERMISSION_DENIED");
    scene.server.advance(Duration::from_secs(22 * 3600));
    makes_roles(&scene, &peer.client).await.unwrap();
    scene.server.stop().await;
}

#[tokio::test]
async fn attributes_are_missing_where_one_administers() {
    let scene = Scene::new().await;
    let gold = is_text("tier", "gold");
    let allowed = scene.with(&lead(&[when(allow("roles.create"), gold.clone())])).await;
    refused(makes_roles(&scene, &allowed.client).await, Code::PermissionDenied, "PERMISSION_DENIED");
    let denied = scene.with(&lead(&[allow("roles.create"), when(deny("roles.create"), gold)])).await;
    refused(makes_roles(&scene, &denied.client).await, Code::PermissionDenied, "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_refusal_says_what_is_still_owed() {
    let scene = Scene::new().await;
    let level = pb::AssuranceLevel::Totp.into();
    let max_age = Some(prost_types::Duration { seconds: 900, nanos: 0 });
    let step_up = Some(pb::StepUpRequirement { min_assurance: level, max_age });
    let approval = Some(pb::ApprovalRequirement {});
    let how = [("method", "/peerage.v1.ApprovalService/RequestApproval"), ("approver_permission", "approvals.decide")];
    let proof = [("min_assurance", "ASSURANCE_LEVEL_TOTP"), ("max_age_seconds", "900")];
    let both: Vec<_> = how.into_iter().chain(proof).collect();
    for (step_up, approval, reason, owed) in [
        (step_up, None, "STEP_UP_REQUIRED", proof.to_vec()),
        (None, approval, "APPROVAL_REQUIRED", how.to_vec()),
        (step_up, approval, "APPROVAL_REQUIRED", both),
    ] {
        let requirements = Some(pb::Requirements { step_up, approval });
        let peer = scene.with(&lead(&[pb::Grant { requirements, ..allow("roles.create") }])).await;
        let status = makes_roles(&scene, &peer.client).await.unwrap_err();
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (Code::PermissionDenied, reason));
        let told = [("permission", "roles.create"), ("account", scene.msp.as_str())].into_iter().chain(owed);
        assert_eq!(info.metadata, told.map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
    }
}
