//! Peers that are disabled, deleted, brought back and purged.

use std::time::Duration;

use peerage::application::peers::purge_expired;
use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::Server;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn mc_39_the_key_of_a_disabled_peer_is_dead_at_once_and_for_good() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = server.person(&partner, "emily", READ_ONLY).await;
    assert!(lets_in(&emily.client).await);
    let disabled = disable(&operator, &emily.name).await.unwrap();
    assert_eq!(disabled.state(), pb::PeerState::Disabled);
    assert!(!lets_in(&emily.client).await);
    let decision = server.decide(&emily.name, "websites.view", &partner).await;
    assert_eq!(decision.reason(), pb::DecisionReason::SubjectDisabled);
    assert_eq!(why(disable(&operator, &emily.name).await), state("PEER_STATE"));
    let status = emily.client.auth().list_api_keys(pb::ListApiKeysRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    let enabled = enable(&operator, &emily.name).await.unwrap();
    assert_eq!(enabled.state(), pb::PeerState::Enabled);
    assert!(server.may(&emily.name, "websites.view", &partner).await);
    assert!(!lets_in(&emily.client).await, "a key came back to life");
    assert_eq!(why(enable(&operator, &emily.name).await), state("PEER_STATE"));
    assert!(lets_in(&server.client(&server.key_of(&emily.name).await)).await);
    server.stop().await;
}

#[tokio::test]
async fn op_06_administrators_add_and_remove_users_and_nobody_else_does() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["opspilot365"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let john = server.person(&partner, "john", "roles/opspilot365.administrator").await;
    let emily = server.person_on(&partner, "emily", "roles/opspilot365.technician", &[&customer]).await;
    let reader = server.person(&partner, "reader", "roles/opspilot365.read_only").await;
    let mut request = on(&[&customer], wish(&partner, "new", "roles/opspilot365.technician"));
    request.peer.as_mut().unwrap().display_name = "New Hand".into();
    for weak in [&emily, &reader] {
        assert_eq!(why(create(&weak.client, request.clone()).await).0, Code::PermissionDenied);
        assert_eq!(why(delete(&weak.client, &john.name).await).0, Code::PermissionDenied);
    }
    let made = create(&john.client, request).await.unwrap();
    assert!(server.may(&made.name, "devices.update", &customer).await);
    delete(&john.client, &made.name).await.unwrap();
    assert!(!server.may(&made.name, "devices.update", &customer).await);
    server.stop().await;
}

#[tokio::test]
async fn op_51_a_deleted_peer_is_out_and_comes_back_disabled() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = server.person(&partner, "emily", READ_ONLY).await;
    let before = get(&operator, &emily.name).await.unwrap();
    assert_eq!(why(undelete(&operator, &emily.name).await), state("PEER_NOT_DELETED"));

    let deleted = delete(&operator, &emily.name).await.unwrap();
    assert_eq!((deleted.state(), deleted.delete_time), (pb::PeerState::Deleted, Some(server.time(0))));
    assert_eq!(deleted.purge_time, Some(server.time(30 * 24 * 3600)));
    assert_eq!(deleted.allowed_actions, ["UndeletePeer"]);
    assert!(!lets_in(&emily.client).await);
    assert!(!server.may(&emily.name, "websites.view", &partner).await);
    assert_eq!(get(&operator, &emily.name).await.unwrap(), deleted);

    let gone = state("PEER_DELETED");
    assert_eq!(why(delete(&operator, &emily.name).await), gone);
    assert_eq!(why(enable(&operator, &emily.name).await), gone);
    assert_eq!(why(disable(&operator, &emily.name).await), gone);
    let renamed = pb::Peer { name: emily.name.clone(), fax: "+41 44 123 45 68".into(), ..Default::default() };
    assert_eq!(why(update(&operator, renamed, &["fax"]).await), gone);
    // The name stays reserved.
    let taken = is(Code::AlreadyExists, "USER_NAME_TAKEN");
    assert_eq!(why(create(&operator, wish(&partner, "Emily", READ_ONLY)).await), taken);

    let back = undelete(&operator, "peers/@emily").await.unwrap();
    assert_eq!((back.state(), back.delete_time, back.purge_time), (pb::PeerState::Disabled, None, None));
    assert_eq!((back.name, back.create_time), (before.name, before.create_time));
    assert!(!lets_in(&emily.client).await);
    enable(&operator, &emily.name).await.unwrap();
    assert!(!lets_in(&emily.client).await, "a key came back to life");
    assert!(server.may(&emily.name, "websites.view", &partner).await, "the bindings are still there");
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_peer_is_purged_after_thirty_days() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = server.person(&partner, "emily", READ_ONLY).await;
    let group = pb::Group { title: "Night shift".into(), account: partner.clone(), ..Default::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..Default::default() };
    let group = operator.roles().create_group(request).await.unwrap().into_inner().name;
    let member =
        pb::GroupMember { peer: emily.name.clone(), mode: pb::BindingMode::Active.into(), ..Default::default() };
    let request = pb::AddGroupMemberRequest { group, member: Some(member), ..Default::default() };
    operator.roles().add_group_member(request).await.unwrap();
    let kept = server.person(&partner, "kept", READ_ONLY).await;
    delete(&operator, &emily.name).await.unwrap();

    let ctx = server.running().ctx();
    server.advance(30 * DAY - Duration::from_micros(1));
    assert_eq!(purge_expired(ctx).await.unwrap(), 0);
    assert!(get(&operator, &emily.name).await.is_ok());
    server.advance(Duration::from_micros(1));
    // It is over from that moment on, and not from when the worker comes.
    assert_eq!(why(undelete(&operator, &emily.name).await), hidden());
    assert_eq!(why(get(&operator, &emily.name).await), hidden());
    assert_eq!(purge_expired(ctx).await.unwrap(), 1);
    assert_eq!(purge_expired(ctx).await.unwrap(), 0);
    assert_eq!(why(get(&operator, &emily.name).await), hidden());
    let decision = server.decide(&emily.name, "websites.view", &partner).await;
    assert_eq!(decision.reason(), pb::DecisionReason::SubjectUnknown);
    let again = create(&operator, wish(&partner, "emily", READ_ONLY)).await.unwrap();
    assert_ne!(again.name, emily.name);
    assert!(lets_in(&kept.client).await);
    server.stop().await;
}

#[tokio::test]
async fn mc_21_only_what_would_succeed_is_offered() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let first = server.person(&partner, "first", ADMINISTRATOR).await;
    let reader = server.person(&partner, "reader", READ_ONLY).await;
    let actions = async |client: &crate::support::Client, name: &str| get(client, name).await.unwrap().allowed_actions;
    // The last administrator cannot be stopped, not even by the operator.
    assert_eq!(actions(&server.operator(), &first.name).await, ["UpdatePeer", "SetPassword", "SetPhoto"]);
    assert_eq!(actions(&first.client, &first.name).await, ["UpdatePeer", "SetPhoto"], "not one's own password");
    let all = ["UpdatePeer", "DeletePeer", "DisablePeer", "SetPassword", "SetPhoto"];
    assert_eq!(actions(&first.client, &reader.name).await, all);
    assert!(actions(&reader.client, &first.name).await.is_empty());
    let second = server.person(&partner, "second", ADMINISTRATOR).await;
    assert_eq!(actions(&second.client, &first.name).await, all);
    disable(&second.client, &first.name).await.unwrap();
    let stopped = ["UpdatePeer", "DeletePeer", "EnablePeer", "SetPassword", "SetPhoto"];
    assert_eq!(actions(&second.client, &first.name).await, stopped);
    assert_eq!(actions(&second.client, &second.name).await, ["UpdatePeer", "SetPhoto"]);

    let weak = server.custom_role(&partner, &["peers.*"]).await;
    let keeper = server.person(&partner, "keeper", &weak).await;
    let weaker = ["UpdatePeer", "DeletePeer", "SetPhoto"];
    assert_eq!(actions(&keeper.client, &first.name).await, weaker, "neither EnablePeer nor SetPassword");
    let own = ["UpdatePeer", "DeletePeer", "DisablePeer", "SetPhoto"];
    assert_eq!(actions(&keeper.client, &keeper.name).await, own);
    delete(&second.client, &first.name).await.unwrap();
    assert!(actions(&keeper.client, &first.name).await.is_empty());
    assert_eq!(actions(&second.client, &first.name).await, ["UndeletePeer"]);
    server.stop().await;
}
