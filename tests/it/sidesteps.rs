//! Ways round the rules that lead over later times, denials and names.

use peerage::transport::grpc::pb;
use tonic::Code;

use crate::support::policy::{bind, binding};
use crate::support::{Server, reason};

fn from(start_time: Option<prost_types::Timestamp>, binding: pb::RoleBinding) -> pb::RoleBinding {
    pb::RoleBinding { start_time, ..binding }
}

#[tokio::test]
async fn the_last_administrator_is_not_denied_later_either() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let admin = server.person(&customer, "admin", "roles/mspcontrol.administrator").await;
    let denial = server.custom_role(&msp, &["!accounts.administer"]).await;
    for start_time in [None, Some(server.time(3))] {
        let status =
            bind(&server.operator(), from(start_time, binding(&admin.name, &denial, &customer))).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "LAST_ADMINISTRATOR"));
    }
    // A harmless role that begins later must not turn into a denial either.
    let harmless = server.custom_role(&msp, &["devices.view"]).await;
    bind(&server.operator(), from(Some(server.time(3)), binding(&admin.name, &harmless, &customer))).await.unwrap();
    let grant = pb::Grant {
        permission: "accounts.administer".to_owned(),
        effect: pb::GrantEffect::Deny.into(),
        ..Default::default()
    };
    let request = pb::UpdateRoleRequest {
        role: Some(pb::Role { name: harmless, grants: vec![grant], ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["grants".to_owned()] }),
        ..Default::default()
    };
    let status = server.operator().roles().update_role(request).await.unwrap_err();
    assert_eq!(reason(&status), "LAST_ADMINISTRATOR");
    server.stop().await;
}

/// A partner with an owner.
async fn owned(server: &Server) -> pb::Account {
    let first_peer = pb::FirstPeer {
        peer: Some(pb::Peer {
            user_name: "owner".to_owned(),
            display_name: "Owner".to_owned(),
            kind: pb::PeerKind::Person.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let account = pb::Account {
        parent_account: "accounts/platform".to_owned(),
        kind: pb::AccountKind::Partner.into(),
        title: "Owned".to_owned(),
        settings: Some(pb::AccountSettings { role_packs: vec!["msp-panel".to_owned()], ..Default::default() }),
        ..Default::default()
    };
    let request = pb::CreateAccountRequest {
        account_id: "owned-msp".to_owned(),
        account: Some(account),
        first_peer: Some(first_peer),
        ..Default::default()
    };
    server.operator().accounts().create_account(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn an_owner_is_not_locked_out_by_a_denial() {
    let server = Server::start().await;
    let account = owned(&server).await;
    let admin = server.person(&account.name, "admin", "roles/msp-panel.msp_admin").await;
    let denial = server.custom_role(&account.name, &["!*.*"]).await;
    for start_time in [None, Some(server.time(3))] {
        let bound = bind(&admin.client, from(start_time, binding(&account.first_peer, &denial, &account.name))).await;
        let status = bound.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "OWNER_PROTECTED"));
    }
    assert!(server.may(&account.first_peer, "devices.view", &account.name).await);
    server.stop().await;
}

#[tokio::test]
async fn an_owner_is_not_denied_by_what_was_harmless_before() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = owned(&server).await.name;
    let heir = server.person(&msp, "heir", "roles/msp-panel.msp_admin").await;
    let admin = server.person(&msp, "admin", "roles/msp-panel.msp_admin").await;
    let denial = server.custom_role(&msp, &["!*.*"]).await;
    let ending = pb::RoleBinding {
        principal: Some(pb::role_binding::Principal::Peer(heir.name.clone())),
        role: denial.clone(),
        account: msp.clone(),
        reach: pb::Reach::AccountOnly.into(),
        mode: pb::BindingMode::Active.into(),
        expire_time: Some(server.time(60)),
        ..Default::default()
    };
    let request = pb::CreateRoleBindingRequest { role_binding: Some(ending), ..Default::default() };
    let binding = admin.client.roles().create_role_binding(request).await.unwrap().into_inner();
    server.advance(std::time::Duration::from_secs(120));
    let request = pb::TransferOwnershipRequest {
        name: msp.clone(),
        new_owner: heir.name.clone(),
        reason: "sold".to_owned(),
        ..Default::default()
    };
    operator.accounts().transfer_ownership(request).await.unwrap();
    let prolonged = pb::UpdateRoleBindingRequest {
        role_binding: Some(pb::RoleBinding { name: binding.name, expire_time: None, ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["expire_time".to_owned()] }),
        ..Default::default()
    };
    let status = admin.client.roles().update_role_binding(prolonged).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "OWNER_PROTECTED"));
    assert!(server.may(&heir.name, "devices.view", &msp).await);
    server.stop().await;
}

#[tokio::test]
async fn nobody_takes_the_user_name_of_a_stronger_peer() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let root = server.person(&msp, "root", "roles/mspcontrol.administrator").await;
    let keeper = server.custom_role(&msp, &["peers.view", "peers.update"]).await;
    let keeper = server.person(&msp, "keeper", &keeper).await;
    let rename = |name: &str, user_name: &str| pb::UpdatePeerRequest {
        peer: Some(pb::Peer { name: name.to_owned(), user_name: user_name.to_owned(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["user_name".to_owned()] }),
        ..Default::default()
    };
    keeper.client.peers().update_peer(rename("peers/me", "keeper-2")).await.unwrap();
    let status = keeper.client.peers().update_peer(rename(&root.name, "keeper")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ESCALATION"));
    server.operator().peers().update_peer(rename(&root.name, "root-2")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn whoever_checks_access_learns_nothing_of_foreign_peers() {
    let server = Server::start().await;
    let (own, other) =
        (server.partner("own-msp", &["mspcontrol"]).await, server.partner("other-msp", &["mspcontrol"]).await);
    let admin = server.person(&own, "admin", "roles/mspcontrol.administrator").await;
    let enabled = server.person(&other, "enabled", "roles/mspcontrol.help_desk").await;
    let disabled = server.person(&other, "disabled", "roles/mspcontrol.help_desk").await;
    let request = pb::DisablePeerRequest { name: disabled.name.clone(), ..Default::default() };
    server.operator().peers().disable_peer(request).await.unwrap();
    for peer in [&enabled.name, &disabled.name, "peers/@enabled", "peers/@nobody"] {
        let told = admin.client.ask(peer, "devices.view", &own).await.unwrap();
        assert_eq!(told.reason(), pb::DecisionReason::SubjectUnknown, "{peer}");
    }
    server.stop().await;
}
