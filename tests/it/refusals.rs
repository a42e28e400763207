//! Calls that were refused, as the log tells of them.

use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::{Code, Status};

use crate::support::policy::{bind, binding};
use crate::support::{Server, reason};

/// The refused calls in an account's log, as the operator reads them.
async fn denied(server: &Server, account: &str) -> Vec<pb::AuditEvent> {
    let request = pb::ListAuditEventsRequest { account: account.to_owned(), page_size: 1000, ..Default::default() };
    let page = server.operator().audit().list_audit_events(request).await.unwrap().into_inner();
    page.audit_events.into_iter().filter(|event| event.outcome() == pb::AuditOutcome::Denied).collect()
}

/// What an event says: action, reason, kind and name of its target.
fn said(event: &pb::AuditEvent) -> [&str; 4] {
    let target = event.target.as_ref().unwrap();
    [&event.action, &event.reason, &target.kind, &target.target_name.as_ref().unwrap().value]
}

#[tokio::test]
async fn an_event_of_a_refused_call_says_what_was_needed_and_the_reason_that_was_given() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol", "opspilot365"]).await;
    let tenant = server.customer("tenant", &msp).await;
    let local = server.person(&tenant, "local", "roles/mspcontrol.administrator").await;
    let reader = server.person(&msp, "reader", "roles/opspilot365.read_only").await;
    let admin = server.person_on(&msp, "admin", "roles/mspcontrol.administrator", &[&tenant]).await;
    let viewer = server.custom_role(&msp, &["accounts.view", "peers.view"]).await;
    server.bind(&admin.name, &viewer, &msp).await;

    let mut answers: Vec<Status> = Vec::new();
    // Held nowhere: the first gate refuses, whatever is named.
    let wish = binding(&local.name, "roles/mspcontrol.administrator", &tenant);
    answers.push(bind(&reader.client, wish).await.unwrap_err());
    // Held elsewhere, and the account may be viewed.
    let suspend = pb::DisablePeerRequest { name: reader.name.clone(), ..Default::default() };
    answers.push(admin.client.peers().disable_peer(suspend).await.unwrap_err());
    // More than the caller holds.
    let partners = server.custom_role(&msp, &["accounts.create_partner"]).await;
    answers.push(bind(&admin.client, binding(&local.name, &partners, &tenant)).await.unwrap_err());
    // Not to be seen, or not there.
    let request = pb::GetPeerRequest { name: "peers/@ghost@example.com".to_owned(), read_mask: None };
    answers.push(local.client.peers().get_peer(request).await.unwrap_err());

    let mut events = denied(&server, &msp).await;
    events.extend(denied(&server, &tenant).await.into_iter().filter(|event| event.reason == "RESOURCE_NOT_FOUND"));
    let seen: Vec<_> = events.iter().map(said).collect();
    assert_eq!(
        seen,
        [
            ["role_bindings.create", "PERMISSION_DENIED", "method", "peerage.v1.RoleService/CreateRoleBinding"],
            ["peers.disable", "PERMISSION_DENIED", "account", &*msp],
            ["role_bindings.create", "ESCALATION", "account", &*tenant],
            ["peers.view", "RESOURCE_NOT_FOUND", "peer", "peers/@ghost@example.com"],
        ]
    );
    for (event, answer) in events.iter().zip(&answers) {
        assert_eq!(event.reason, reason(answer));
        assert!(pb::ErrorReason::from_str_name(&event.reason).is_some(), "{}", event.reason);
    }
    // What leads nowhere may be a user name, and stands in the bytes as a commitment only.
    let bytes = String::from_utf8_lossy(&events[3].canonical_bytes);
    assert!(!bytes.contains("ghost") && bytes.contains("hmac_sha256"), "{bytes}");
    // The log of the account that a call was refused on has it too.
    assert_eq!(denied(&server, &tenant).await.iter().filter(|event| event.reason == "ESCALATION").count(), 1);
    server.stop().await;
}

#[tokio::test]
async fn repeats_of_a_refused_call_are_one_event_a_minute() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let reader = server.person(&msp, "reader", "roles/opspilot365.read_only").await;
    let knock = async || {
        let request = pb::DeletePeerRequest { name: "peers/me".to_owned(), ..Default::default() };
        let status = reader.client.peers().delete_peer(request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
    };
    for _ in 0..5 {
        knock().await;
    }
    server.advance(Duration::from_secs(61));
    knock().await;
    let events = denied(&server, &msp).await;
    assert_eq!(events.iter().map(|event| event.repeat_count).collect::<Vec<_>>(), [0, 4, 0]);
    for event in &events {
        assert_eq!(said(event), ["peers.delete", "PERMISSION_DENIED", "method", "peerage.v1.PeerService/DeletePeer"]);
    }
    server.stop().await;
}
