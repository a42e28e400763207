//! Deletion: of what is empty, and of everything below.

use tonic::Code;

use super::{ADMIN, USER, delete, first_peer, get, owned_partner};
use crate::support::{Server, reason};
use peerage::transport::grpc::pb;

#[tokio::test]
async fn only_what_is_empty_goes_without_a_cascade() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let status = delete(&operator, &customer, false).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_NOT_EMPTY"));
    delete(&operator, &department, false).await.unwrap();
    // What others hold there would go too, so it has to be said.
    let user = server.person_on(&msp, "mike", USER, &[customer.as_str()]).await;
    let status = delete(&operator, &customer, false).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_NOT_EMPTY"));
    assert!(server.may(&user.name, "devices.view", &customer).await);
    delete(&operator, &customer, true).await.unwrap();
    assert_eq!(user.client.ask(&user.name, "devices.view", &customer).await.unwrap().decision(), pb::Decision::Deny);
    let status = delete(&operator, &msp, false).await.unwrap_err();
    assert_eq!(reason(&status), "ACCOUNT_NOT_EMPTY");
    let status = delete(&operator, "accounts/platform", true).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_IS_ROOT"));
}

#[tokio::test]
async fn a_cascade_takes_everything_below() {
    let server = Server::start().await;
    let operator = server.operator();
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let (other, _) = owned_partner(&server, "other", "jane").await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let mike = server.person_on(&msp, "mike", USER, &[customer.as_str()]).await;
    let abroad = server.person_on(&other, "abroad", USER, &[customer.as_str()]).await;
    let role = server.custom_role(&msp, &["devices.view"]).await;
    server.bind(&mike.name, &role, &department).await;
    let group = pb::Group { account: customer.clone(), title: "Support".to_owned(), ..pb::Group::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..pb::CreateGroupRequest::default() };
    let group = operator.roles().create_group(request).await.unwrap().into_inner().name;
    let member =
        pb::GroupMember { peer: mike.name.clone(), mode: pb::BindingMode::Active.into(), ..pb::GroupMember::default() };
    let request = pb::AddGroupMemberRequest {
        group: group.clone(),
        member: Some(member),
        ..pb::AddGroupMemberRequest::default()
    };
    operator.roles().add_group_member(request).await.unwrap();

    let revision = delete(&operator, &msp, true).await.unwrap();
    assert!(revision > 0);
    for name in [&msp, &customer, &department] {
        assert_eq!(get(&operator, name).await.unwrap_err().code(), Code::NotFound, "{name}");
    }
    for key in [&owner, &mike] {
        let status = get(&key.client, &msp).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "CREDENTIAL_INVALID"));
        let decision = operator.ask(&key.name, "accounts.view", &other).await.unwrap();
        assert_eq!(decision.reason(), pb::DecisionReason::SubjectUnknown);
    }
    let request = pb::GetRoleRequest { name: role, read_mask: None };
    assert_eq!(operator.roles().get_role(request).await.unwrap_err().code(), Code::NotFound);
    let request = pb::GetGroupRequest { name: group, read_mask: None };
    assert_eq!(operator.roles().get_group(request).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(
        abroad.client.ask("peers/me", "devices.view", &department).await.unwrap().decision(),
        pb::Decision::Deny
    );
    // Nobody can come back, so the user names are free.
    let new = super::account("accounts/platform", pb::AccountKind::Partner);
    let request = pb::CreateAccountRequest {
        first_peer: first_peer("Mike", ADMIN),
        template: "msp-panel".to_owned(),
        ..super::creation("next", new)
    };
    operator.accounts().create_account(request).await.unwrap();
}

#[tokio::test]
async fn the_log_of_a_deleted_account_stays() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    delete(&operator, &customer, false).await.unwrap();
    let request = pb::ListAuditEventsRequest { account: msp, ..pb::ListAuditEventsRequest::default() };
    let events = operator.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    let actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["accounts.create", "accounts.create", "accounts.delete"]);
}

#[tokio::test]
async fn a_restart_reads_what_is_left_after_a_cascade() {
    let server = Server::start().await;
    let operator = server.operator();
    let (msp, _) = owned_partner(&server, "msp", "john").await;
    delete(&operator, &msp, true).await.unwrap();
    let ctx = server.running().ctx();
    let mut compiler = peerage::decision::compile::Compiler::new().unwrap();
    let loaded = peerage::application::refresh::load(&ctx.store, ctx.clock.now(), &mut compiler).await.unwrap();
    assert_eq!(loaded.revision(), ctx.snapshot().revision());
    assert!(loaded.find_account("msp").is_none());
}

#[tokio::test]
async fn an_owner_goes_with_the_account_below() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let new = super::account(&msp, pb::AccountKind::Partner);
    let request = pb::CreateAccountRequest { first_peer: first_peer("jane", ""), ..super::creation("reseller", new) };
    let reseller = server.operator().accounts().create_account(request).await.unwrap().into_inner();
    // Nobody but the operator deletes an owner by itself.
    let request = pb::DeletePeerRequest { name: reseller.first_peer.clone(), ..pb::DeletePeerRequest::default() };
    let status = owner.client.peers().delete_peer(request.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "OWNER_PROTECTED"));
    delete(&owner.client, &reseller.name, true).await.unwrap();
    assert_eq!(owner.client.peers().delete_peer(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn deleting_is_judged_on_the_parent() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "msp", "john").await;
    let customer = server.customer("contoso", &msp).await;
    let user = server.person_on(&msp, "mike", USER, &[customer.as_str()]).await;
    assert_eq!(delete(&user.client, &customer, true).await.unwrap_err().code(), Code::PermissionDenied);
    // The owner of an account does not delete it, whose parent is not the owner's.
    let status = delete(&owner.client, &msp, true).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(delete(&owner.client, &customer, true).await.is_ok());
}

#[tokio::test]
async fn what_goes_is_told_where_it_is_missed_and_its_log_stays() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let other = server.partner("other", &["msp-panel"]).await;
    let customer = server.customer("contoso", &other).await;
    let mike = server.person_on(&msp, "mike", USER, &[customer.as_str()]).await;
    let admin = server.person(&msp, "admin", ADMIN).await;
    let inner = server.customer("inner", &msp).await;
    let log = |account: &str| pb::ListAuditEventsRequest {
        account: account.to_owned(),
        page_size: 1000,
        ..pb::ListAuditEventsRequest::default()
    };
    delete(&admin.client, &inner, true).await.unwrap();
    // Who reads the log above reads that of what was below.
    let events = admin.client.audit().list_audit_events(log(&inner)).await.unwrap().into_inner().audit_events;
    assert_eq!(events.last().unwrap().action, "accounts.delete");
    let foreign = server.person(&other, "foreign", ADMIN).await;
    let status = foreign.client.audit().list_audit_events(log(&inner)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"));

    delete(&operator, &msp, true).await.unwrap();
    for account in [&msp, &inner] {
        operator.audit().list_audit_events(log(account)).await.unwrap();
    }
    let events = foreign.client.audit().list_audit_events(log(&customer)).await.unwrap().into_inner().audit_events;
    let lost = events.last().unwrap();
    assert_eq!(lost.action, "role_bindings.delete");
    let told = |field: &str| lost.changes.iter().find(|change| change.field == field).unwrap().clone();
    assert_eq!(told("principal").before.unwrap().value, mike.name);
    assert_eq!(told("deleted_with").after.unwrap().value, msp);
}

#[tokio::test]
async fn user_names_are_free_again_when_their_peers_cannot_come_back() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    let gone = server.person(&customer, "mike", USER).await;
    let deleted = server.person(&customer, "emily", USER).await;
    let request = pb::DeletePeerRequest { name: deleted.name.clone(), ..pb::DeletePeerRequest::default() };
    operator.peers().delete_peer(request).await.unwrap();
    let make = async |user_name: &str| {
        let peer = pb::Peer {
            user_name: user_name.to_owned(),
            kind: pb::PeerKind::Person.into(),
            home_account: msp.clone(),
            ..pb::Peer::default()
        };
        let request = pb::CreatePeerRequest {
            peer: Some(peer),
            role: ADMIN.to_owned(),
            access: Some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::All(true)) }),
            ..pb::CreatePeerRequest::default()
        };
        operator.peers().create_peer(request).await.map(tonic::Response::into_inner)
    };
    // One that may be brought back keeps its name.
    assert_eq!(reason(&make("emily").await.unwrap_err()), "USER_NAME_TAKEN");
    delete(&operator, &customer, true).await.unwrap();
    for (user_name, old) in [("Mike", &gone.name), ("emily", &deleted.name)] {
        let new = make(user_name).await.unwrap();
        assert_ne!(new.name, *old);
        assert!(server.may(&format!("peers/@{user_name}"), "devices.view", &msp).await);
        let request = pb::UndeletePeerRequest { name: old.clone(), ..pb::UndeletePeerRequest::default() };
        assert_eq!(operator.peers().undelete_peer(request).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(reason(&make(user_name).await.unwrap_err()), "USER_NAME_TAKEN");
    }
    // What the purge finds later is what is still there.
    server.advance(std::time::Duration::from_hours(31 * 24));
    peerage::application::peers::purge_expired(server.running().ctx()).await.unwrap();
    assert!(server.may("peers/@mike", "devices.view", &msp).await);
    server.stop().await;
}
