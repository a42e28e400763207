//! Suspending and resuming, and what goes on meanwhile.

use tonic::Code;

use super::{ADMIN, USER, get, resume, suspend};
use crate::support::{Server, reason};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::SuspensionScope::{OwnPeers, Subtree};

#[tokio::test]
async fn a_suspended_subtree_stops_and_goes_on_again() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel", "mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let admin = server.person(&msp, "emily", ADMIN).await;
    let inside = server.person(&customer, "sarah", "roles/mspcontrol.administrator").await;

    let shown = suspend(&admin.client, &customer, Subtree).await.unwrap();
    assert_eq!(shown.state(), pb::AccountState::Suspended);
    // From outside nothing goes on but what is marked so; those homed inside cannot act at all.
    for account in [&customer, &department] {
        assert_eq!(
            server.decide(&admin.name, "devices.view", account).await.reason(),
            pb::DecisionReason::AccountSuspended
        );
        assert!(server.may(&admin.name, "accounts.view", account).await);
        assert_eq!(
            server.decide(&inside.name, "accounts.view", account).await.reason(),
            pb::DecisionReason::SubjectHomeSuspended
        );
    }
    assert!(server.may(&admin.name, "devices.view", &msp).await);
    assert_eq!(get(&inside.client, &customer).await.unwrap_err().code(), Code::Unauthenticated);
    let below = get(&admin.client, &department).await.unwrap();
    let suspension = below.suspension.clone().unwrap();
    assert_eq!(below.state(), pb::AccountState::Suspended);
    assert!(suspension.inherited);
    assert_eq!((suspension.source_account.as_str(), suspension.reason.as_str()), (customer.as_str(), "unpaid"));

    let status = suspend(&admin.client, &customer, Subtree).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_SUSPENDED"));
    // Nothing is made below it either.
    let new = super::account(&customer, pb::AccountKind::Department);
    let status = super::create(&operator, "support", new).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_SUSPENDED"));

    let shown = resume(&admin.client, &customer).await.unwrap();
    assert_eq!((shown.state(), shown.suspension), (pb::AccountState::Active, None));
    assert!(server.may(&admin.name, "devices.view", &department).await);
    assert!(server.may(&inside.name, "accounts.view", &customer).await);
    let status = resume(&admin.client, &customer).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_NOT_SUSPENDED"));
}

#[tokio::test]
async fn own_peers_stop_and_all_others_go_on() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let above = server.person(&msp, "emily", "roles/mspcontrol.administrator").await;
    let inside = server.person(&customer, "sarah", "roles/mspcontrol.administrator").await;
    let shown = suspend(&operator, &msp, OwnPeers).await.unwrap();
    assert_eq!(shown.suspension.as_ref().map(pb::Suspension::scope), Some(OwnPeers));
    assert_eq!(
        server.decide(&above.name, "devices.view", &customer).await.reason(),
        pb::DecisionReason::SubjectHomeSuspended
    );
    assert!(server.may(&inside.name, "devices.view", &customer).await);
    // It is not handed down.
    assert_eq!(get(&inside.client, &customer).await.unwrap().state(), pb::AccountState::Active);
    resume(&operator, &msp).await.unwrap();
    assert!(server.may(&above.name, "devices.view", &customer).await);
}

#[tokio::test]
async fn an_inherited_suspension_outlives_the_end_of_an_own_one() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    let admin = server.person(&msp, "emily", ADMIN).await;
    suspend(&operator, &customer, Subtree).await.unwrap();
    suspend(&operator, &msp, Subtree).await.unwrap();
    let shown = resume(&operator, &customer).await.unwrap();
    assert_eq!(shown.state(), pb::AccountState::Suspended);
    assert_eq!(shown.suspension.map(|found| found.source_account), Some(msp.clone()));
    assert!(!server.may(&admin.name, "devices.view", &customer).await);
    resume(&operator, &msp).await.unwrap();
    assert!(server.may(&admin.name, "devices.view", &customer).await);
}

#[tokio::test]
async fn suspending_is_judged_on_the_parent() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel", "mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    // Full rights on the account itself are not enough.
    let inside = server.person(&customer, "sarah", "roles/mspcontrol.administrator").await;
    let status = suspend(&inside.client, &customer, OwnPeers).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    let assigned = server.person_on(&msp, "mike", USER, &[customer.as_str()]).await;
    assert_eq!(suspend(&assigned.client, &customer, Subtree).await.unwrap_err().code(), Code::PermissionDenied);
    let status = suspend(&server.operator(), "accounts/platform", Subtree).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_IS_ROOT"));
    let request = pb::SuspendAccountRequest { name: customer, ..pb::SuspendAccountRequest::default() };
    let status = server.operator().accounts().suspend_account(request).await.unwrap_err();
    assert_eq!(crate::support::bad_fields(&status), ["scope", "reason"]);
}

#[tokio::test]
async fn the_reason_of_a_hidden_ancestor_stays_hidden() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let reseller = super::create(&server.operator(), "reseller", super::account(&msp, pb::AccountKind::Partner))
        .await
        .unwrap()
        .name;
    let customer = server.customer("contoso", &reseller).await;
    let admin = server.person_on(&msp, "emily", USER, &[customer.as_str()]).await;
    suspend(&server.operator(), &reseller, Subtree).await.unwrap();
    let suspension = get(&admin.client, &customer).await.unwrap().suspension.unwrap();
    assert_eq!((suspension.source_account.as_str(), suspension.reason.as_str()), (reseller.as_str(), ""));
}

#[tokio::test]
async fn whoever_lacks_the_right_is_told_so_before_the_suspension() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel", "mspcontrol"]).await;
    let admin = server.person("accounts/platform", "emily", "roles/core.auditor").await;
    suspend(&server.operator(), &msp, Subtree).await.unwrap();
    // An auditor elsewhere holds the right to create, so that the first gate lets it through.
    let other = server.partner("other", &["mspcontrol"]).await;
    server.bind(&admin.name, "roles/mspcontrol.administrator", &other).await;
    let new = || super::account(&msp, pb::AccountKind::Customer);
    let status = super::create(&admin.client, "contoso", new()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    // Who holds it there is told of the state.
    let status = super::create(&server.operator(), "contoso", new()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_SUSPENDED"));
}

/// Authorize says that the account is suspended; whoever is refused for that alone learns the same.
#[tokio::test]
async fn what_does_not_go_on_while_suspended_says_so() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let role = "roles/mspcontrol.help_desk";
    let admin = server.person(&msp, "emily", "roles/mspcontrol.administrator").await;
    let inside = server.person(&customer, "mike", role).await;
    let binding = server.bind(&inside.name, "roles/mspcontrol.read_only", &customer).await;
    suspend(&server.operator(), &customer, Subtree).await.unwrap();
    // Whoever looks into it needs to see who holds what there.
    let list = pb::ListRoleBindingsRequest { account: customer.clone(), ..Default::default() };
    let listed = admin.client.roles().list_role_bindings(list).await.unwrap().into_inner().role_bindings;
    assert!(listed.iter().any(|one| one.name == binding), "{listed:?}");
    let keys = pb::ListApiKeysRequest { peer: inside.name.clone(), ..Default::default() };
    assert_eq!(admin.client.auth().list_api_keys(keys).await.unwrap().into_inner().api_keys.len(), 1);
    let decision = admin.client.ask("peers/me", "role_bindings.create", &customer).await.unwrap();
    assert_eq!(decision.reason(), pb::DecisionReason::AccountSuspended);
    let answers = async |client: &crate::support::Client| {
        let delete = pb::DeleteRoleBindingRequest { name: binding.clone(), ..Default::default() };
        let key = pb::ApiKey { peer: inside.name.clone(), title: "key".into(), ..Default::default() };
        let key = pb::CreateApiKeyRequest { api_key: Some(key), ..Default::default() };
        let disable = pb::DisablePeerRequest { name: inside.name.clone(), ..pb::DisablePeerRequest::default() };
        let new = crate::support::policy::binding(&inside.name, role, &customer);
        [
            client.roles().delete_role_binding(delete).await.unwrap_err(),
            client.auth().create_api_key(key).await.unwrap_err(),
            client.peers().disable_peer(disable).await.unwrap_err(),
            crate::support::policy::bind(client, new).await.unwrap_err(),
        ]
    };
    for status in answers(&admin.client).await {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_SUSPENDED"));
    }
    // Who may not do it anyway is told that, and who may see nothing there sees nothing of it.
    let reader = server.person(&msp, "reader", &server.custom_role(&msp, &["accounts.view", "peers.view"]).await).await;
    let elsewhere = server.partner("other", &["mspcontrol"]).await;
    server.bind(&reader.name, "roles/mspcontrol.administrator", &elsewhere).await;
    let stranger = server.person(&elsewhere, "stranger", "roles/mspcontrol.administrator").await;
    for status in answers(&reader.client).await {
        let said = (status.code(), reason(&status));
        let expected = [
            (Code::PermissionDenied, "PERMISSION_DENIED".to_owned()),
            (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned()),
        ];
        assert!(expected.contains(&said), "{said:?}");
    }
    for status in answers(&stranger.client).await {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"));
    }
    server.stop().await;
}

/// A role of a suspended account is hidden by that alone from those who would see it otherwise.
#[tokio::test]
async fn a_role_of_a_suspended_account_is_seen_and_stays_as_it_is() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let other = server.partner("other", &["mspcontrol"]).await;
    let name = server.custom_role(&customer, &["accounts.view"]).await;
    let admin = server.person(&msp, "emily", "roles/mspcontrol.administrator").await;
    let stranger = server.person(&other, "stranger", "roles/mspcontrol.administrator").await;
    suspend(&server.operator(), &customer, Subtree).await.unwrap();
    let answers = async |client: &crate::support::Client| {
        let roles = || client.roles();
        let get = pb::GetRoleRequest { name: name.clone(), read_mask: None };
        let role = pb::Role { name: name.clone(), title: "New".to_owned(), ..pb::Role::default() };
        let update = pb::UpdateRoleRequest { role: Some(role), ..pb::UpdateRoleRequest::default() };
        let delete = pb::DeleteRoleRequest { name: name.clone(), ..pb::DeleteRoleRequest::default() };
        let matrix = pb::GetPermissionMatrixRequest {
            roles: vec![name.clone()],
            permissions: vec!["accounts.view".to_owned()],
            ..pb::GetPermissionMatrixRequest::default()
        };
        let seen = [roles().get_role(get).await.err(), roles().get_permission_matrix(matrix).await.err()];
        let changed = [roles().update_role(update).await.unwrap_err(), roles().delete_role(delete).await.unwrap_err()];
        let say = |status: tonic::Status| (status.code(), reason(&status));
        (seen.map(|refused| refused.map(say)), changed.map(say))
    };
    let suspended = (Code::FailedPrecondition, "ACCOUNT_SUSPENDED".to_owned());
    let missing = (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned());
    for (client, seen, changed) in [
        (&server.operator(), None, &suspended),
        (&admin.client, None, &suspended),
        (&stranger.client, Some(missing.clone()), &missing),
    ] {
        assert_eq!(answers(client).await, ([seen.clone(), seen], [changed.clone(), changed.clone()]));
    }
    server.stop().await;
}
