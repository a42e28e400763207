//! Ways round the rules that lead over later times, denials and names.

use peerage::application::Error;
use peerage::application::write::Write;
use peerage::domain::fact::{Fact, GroupFact};
use peerage::domain::ids::{AccountId, GroupId};
use peerage::transport::grpc::pb;
use tonic::Code;

use crate::support::policy::{bind, binding, owned_partner};
use crate::support::{Server, inside, reason};

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

#[tokio::test]
async fn an_owner_is_not_locked_out_by_a_denial() {
    let server = Server::start().await;
    let (account, owner) = owned_partner(&server, "owned-msp", "owner").await;
    let admin = server.person(&account, "admin", "roles/msp-panel.msp_admin").await;
    let denial = server.custom_role(&account, &["!*.*"]).await;
    for start_time in [None, Some(server.time(3))] {
        let bound = bind(&admin.client, from(start_time, binding(&owner.name, &denial, &account))).await;
        let status = bound.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "OWNER_PROTECTED"));
    }
    assert!(server.may(&owner.name, "devices.view", &account).await);
    server.stop().await;
}

#[tokio::test]
async fn an_owner_is_not_denied_by_what_was_harmless_before() {
    let server = Server::start().await;
    let operator = server.operator();
    let (msp, _) = owned_partner(&server, "owned-msp", "owner").await;
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

/// A use case that mixed two accounts up would change nothing.
#[tokio::test]
async fn a_permit_for_one_account_is_none_for_another() {
    let server = Server::start().await;
    server.customer("below", &server.partner("one", &["mspcontrol"]).await).await;
    server.partner("two", &["mspcontrol"]).await;
    let ctx = server.running().ctx();
    let call = inside::call(ctx, "/peerage.v1.RoleService/CreateGroup", server.operator_key());
    let group = |account: &str| {
        let id = GroupId::parse(&crate::support::request_id()).unwrap();
        Some(Fact::Group(GroupFact { id, account: AccountId::parse(account).unwrap() }))
    };
    for (fact_of, is_covered) in [("two", false), ("platform", false), ("one", true), ("below", true)] {
        let mut write = Write::begin(ctx, &call).await.unwrap();
        let permit = write.view().unwrap().admit_at("groups.create", &AccountId::parse("one").unwrap()).unwrap();
        write.change(&permit, None, group(fact_of));
        match write.commit(()).await {
            Ok(()) => assert!(is_covered, "a permit for `one` made a group of `{fact_of}`"),
            Err(error) => assert!(matches!(error, Error::Internal(_)) && !is_covered, "{fact_of}: {error:?}"),
        }
    }
    server.stop().await;
}
