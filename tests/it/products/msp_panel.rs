//! MP: roles and permissions on MSP Panel.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{assert_rights, create_account, create_peer, customer, peer_request, staff, world};
use crate::support::policy::{bind, binding, fresh, owned_partner};
use crate::support::reason;

const PACK: &str = "msp-panel";
const HOME: &str = "accounts/msp-panel-msp";

#[tokio::test]
async fn mp_01_each_person_has_a_credential_of_its_own() {
    let server = world().await;
    let one = staff(&server, PACK, "msp_admin", &[]).await;
    let other = staff(&server, PACK, "billing_only", &[]).await;
    assert_ne!(one.key, other.key);
    for (peer, may_manage) in [(&one, true), (&other, false)] {
        let told = peer.client.ask("peers/me", "billing.manage", HOME).await.unwrap();
        assert_eq!(told.decision() == pb::Decision::Allow, may_manage);
    }
}

#[tokio::test]
async fn mp_02_two_users_see_different_clients_and_features() {
    let server = world().await;
    let (left, right) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let user = staff(&server, PACK, "msp_user", &[&left]).await;
    let client = staff(&server, PACK, "end_client", &[&right]).await;
    assert_rights(&server, &user.name, &left, &["devices.update", "accounts.create_department"], &["billing.view"])
        .await;
    assert_rights(&server, &user.name, &right, &[], &["devices.view"]).await;
    assert_rights(&server, &client.name, &right, &["devices.view"], &["devices.update"]).await;
    assert_rights(&server, &client.name, &left, &[], &["devices.view"]).await;
}

#[tokio::test]
async fn mp_03_users_are_added_at_any_time() {
    let server = world().await;
    let admin = staff(&server, PACK, "msp_admin", &[]).await;
    let role = "roles/msp-panel.billing_only";
    for _ in 0..3 {
        create_peer(&admin.client, peer_request(HOME, &fresh("added"), role, &[])).await.unwrap();
    }
}

#[tokio::test]
async fn mp_04_creation_requires_a_role_and_clients() {
    let server = world().await;
    let request =
        pb::CreatePeerRequest { role: String::new(), access: None, ..peer_request(HOME, &fresh("user"), "", &[]) };
    let status = create_peer(&server.operator(), request).await.unwrap_err();
    assert_eq!(crate::support::bad_fields(&status), ["role", "access"]);
}

#[tokio::test]
async fn mp_05_role_and_clients_are_editable_afterwards() {
    let server = world().await;
    let (left, right) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let admin = staff(&server, PACK, "msp_admin", &[]).await;
    let user = staff(&server, PACK, "msp_user", &[&left]).await;
    let added = bind(&admin.client, binding(&user.name, "roles/msp-panel.end_client", &right)).await.unwrap();
    assert_rights(&server, &user.name, &right, &["devices.view"], &["devices.update"]).await;
    let request = pb::DeleteRoleBindingRequest { name: added.name, ..Default::default() };
    admin.client.roles().delete_role_binding(request).await.unwrap();
    assert_rights(&server, &user.name, &right, &[], &["devices.view"]).await;
}

#[tokio::test]
async fn mp_06_a_client_brings_all_its_departments_later_ones_too() {
    let server = world().await;
    let client = customer(&server, PACK).await;
    let before = server.department(&fresh("dept"), &client).await;
    let user = staff(&server, PACK, "msp_user", &[&client]).await;
    let after = server.department(&fresh("dept"), &client).await;
    let nested = server.department(&fresh("dept"), &after).await;
    for department in [&before, &after, &nested] {
        assert_rights(&server, &user.name, department, &["devices.update"], &[]).await;
    }
}

#[tokio::test]
async fn mp_07_a_department_alone_cannot_be_assigned() {
    let server = world().await;
    let client = customer(&server, PACK).await;
    let department = server.department(&fresh("dept"), &client).await;
    for role in ["roles/msp-panel.msp_user", "roles/msp-panel.end_client"] {
        let request = peer_request(HOME, &fresh("user"), role, &[&department]);
        let status = create_peer(&server.operator(), request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_KIND_NOT_ALLOWED"));
    }
}

/// A new partner with its owner, as a sign-up makes them.
async fn owned(server: &crate::support::Server) -> (String, String) {
    let (account, owner) = owned_partner(server, &fresh("owned"), &fresh("owner")).await;
    (account, owner.name)
}

#[tokio::test]
async fn mp_08_the_owner_is_the_user_with_whom_the_account_was_created() {
    let server = world().await;
    let (account, owner) = owned(&server).await;
    let request = pb::ListRoleBindingsRequest { account, ..Default::default() };
    let bindings = server.operator().roles().list_role_bindings(request).await.unwrap().into_inner().role_bindings;
    let [binding] = bindings.as_slice() else { panic!("{bindings:?}") };
    assert_eq!(binding.role, "roles/msp-panel.owner");
    assert_eq!(binding.principal, Some(pb::role_binding::Principal::Peer(owner)));
}

#[tokio::test]
async fn mp_09_the_owner_has_all_clients_and_all_features() {
    let server = world().await;
    let (account, owner) = owned(&server).await;
    let client = server.customer(&fresh("client"), &account).await;
    for place in [&account, &client] {
        let may = ["devices.delete", "billing.manage", "peers.create", "accounts.create_customer"];
        assert_rights(&server, &owner, place, &may, &["accounts.transfer_ownership"]).await;
    }
}

#[tokio::test]
async fn mp_10_assigning_the_owner_role_to_a_new_user_is_denied() {
    let server = world().await;
    let (account, owner) = owned(&server).await;
    let owner = server.client(&server.key_of(&owner).await);
    let request = peer_request(&account, &fresh("second"), "roles/msp-panel.owner", &[]);
    for client in [&owner, &server.operator()] {
        let status = create_peer(client, request.clone()).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ROLE_UNASSIGNABLE"));
    }
}

#[tokio::test]
async fn mp_11_the_owner_changes_only_through_support() {
    let server = world().await;
    let (account, owner) = owned(&server).await;
    let successor = server.person(&account, &fresh("successor"), "roles/msp-panel.msp_admin").await;
    let request = pb::TransferOwnershipRequest {
        name: account.clone(),
        new_owner: successor.name.clone(),
        reason: "the owner left".to_owned(),
        ..Default::default()
    };
    let owner_client = server.client(&server.key_of(&owner).await);
    for client in [&owner_client, &successor.client] {
        let status = client.accounts().transfer_ownership(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
    }
    server.operator().accounts().transfer_ownership(request).await.unwrap();
    assert!(server.may(&successor.name, "accounts.request_ownership_transfer", &account).await);
    assert!(!server.may(&owner, "devices.view", &account).await);
}

#[tokio::test]
async fn mp_12_the_admin_has_all_features() {
    let server = world().await;
    let admin = staff(&server, PACK, "msp_admin", &[]).await;
    let may =
        ["devices.delete", "billing.manage", "peers.create", "accounts.create_customer", "accounts.update_settings"];
    assert_rights(&server, &admin.name, HOME, &may, &[]).await;
}

#[tokio::test]
async fn mp_13_the_admin_manages_all_clients_whatever_is_assigned() {
    let server = world().await;
    let admin = staff(&server, PACK, "msp_admin", &[]).await;
    let later = customer(&server, PACK).await;
    assert_rights(&server, &admin.name, &later, &["accounts.view", "devices.update", "accounts.update"], &[]).await;
}

#[tokio::test]
async fn mp_14_a_user_manages_only_assigned_clients() {
    let server = world().await;
    let (assigned, other) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let user = staff(&server, PACK, "msp_user", &[&assigned]).await;
    let manage = ["accounts.view", "accounts.update", "devices.create", "devices.update", "devices.delete"];
    assert_rights(&server, &user.name, &assigned, &manage, &[]).await;
    assert_rights(&server, &user.name, &other, &[], &manage).await;
    assert_rights(&server, &user.name, HOME, &[], &manage).await;
}

#[tokio::test]
async fn mp_15_a_user_creates_departments_there() {
    let server = world().await;
    let (assigned, other) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let user = staff(&server, PACK, "msp_user", &[&assigned]).await;
    create_account(&user.client, &assigned, pb::AccountKind::Department).await.unwrap();
    let status = create_account(&user.client, &other, pb::AccountKind::Department).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn mp_16_a_user_has_no_billing() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let user = staff(&server, PACK, "msp_user", &[&assigned]).await;
    for place in [HOME, &assigned] {
        assert_rights(&server, &user.name, place, &[], &["billing.view", "billing.manage"]).await;
    }
}

#[tokio::test]
async fn mp_17_a_user_cannot_create_users() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let user = staff(&server, PACK, "msp_user", &[&assigned]).await;
    let request = peer_request(&assigned, &fresh("new"), "roles/msp-panel.end_client", &[]);
    let status = create_peer(&user.client, request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_rights(&server, &user.name, &assigned, &[], &["peers.create"]).await;
}

#[tokio::test]
async fn mp_18_a_user_cannot_create_clients() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let user = staff(&server, PACK, "msp_user", &[&assigned]).await;
    let status = create_account(&user.client, HOME, pb::AccountKind::Customer).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "the user does not even see the provider's own account");
    assert_rights(&server, &user.name, HOME, &[], &["accounts.create_customer"]).await;
}

#[tokio::test]
async fn mp_19_a_user_cannot_assign_clients_to_users() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let user = staff(&server, PACK, "msp_user", &[&assigned]).await;
    let other = staff(&server, PACK, "billing_only", &[]).await;
    let status = bind(&user.client, binding(&other.name, "roles/msp-panel.end_client", &assigned)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn mp_20_billing_only_views_billing() {
    let server = world().await;
    let clerk = staff(&server, PACK, "billing_only", &[]).await;
    assert_rights(&server, &clerk.name, HOME, &["billing.view"], &["billing.manage"]).await;
}

#[tokio::test]
async fn mp_21_billing_only_is_denied_everything_else() {
    let server = world().await;
    let clerk = staff(&server, PACK, "billing_only", &[]).await;
    let request = pb::ListPermissionsRequest { page_size: 1000, ..Default::default() };
    let all = server.operator().roles().list_permissions(request).await.unwrap().into_inner().permissions;
    assert!(all.len() > 100);
    for permission in all.iter().filter(|permission| permission.name != "billing.view") {
        assert!(!server.may(&clerk.name, &permission.name, HOME).await, "{}", permission.name);
    }
}

#[tokio::test]
async fn mp_22_an_end_client_cannot_manage_devices() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let client = staff(&server, PACK, "end_client", &[&assigned]).await;
    let manage = ["devices.create", "devices.update", "devices.delete"];
    assert_rights(&server, &client.name, &assigned, &["devices.view"], &manage).await;
}

#[tokio::test]
async fn mp_23_an_end_client_cannot_manage_clients() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let client = staff(&server, PACK, "end_client", &[&assigned]).await;
    let manage = ["accounts.update", "accounts.delete", "accounts.create_customer", "accounts.suspend"];
    assert_rights(&server, &client.name, &assigned, &["accounts.view"], &manage).await;
}

#[tokio::test]
async fn mp_24_an_end_client_cannot_create_departments() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let client = staff(&server, PACK, "end_client", &[&assigned]).await;
    let status = create_account(&client.client, &assigned, pb::AccountKind::Department).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn mp_25_an_end_client_views_all_information_of_its_clients() {
    let server = world().await;
    let (assigned, other) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let client = staff(&server, PACK, "end_client", &[&assigned]).await;
    let views = ["accounts.view", "devices.view", "reports.view"];
    assert_rights(&server, &client.name, &assigned, &views, &["billing.view"]).await;
    assert_rights(&server, &client.name, &other, &[], &views).await;
}

#[tokio::test]
async fn mp_26_the_owner_asks_support_and_the_operator_completes_it() {
    let server = world().await;
    let (account, owner) = owned(&server).await;
    let successor = server.person(&account, &fresh("successor"), "roles/msp-panel.msp_admin").await;
    let ask = pb::RequestOwnershipTransferRequest {
        name: account.clone(),
        new_owner: successor.name.clone(),
        reason: "I am leaving".to_owned(),
        ..Default::default()
    };
    let status = successor.client.accounts().request_ownership_transfer(ask.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "only the owner asks");
    let owner_client = server.client(&server.key_of(&owner).await);
    let asked = owner_client.accounts().request_ownership_transfer(ask).await.unwrap().into_inner();
    assert!(asked.ownership_transfer.is_some());
    let transfer = pb::TransferOwnershipRequest {
        name: account.clone(),
        new_owner: successor.name.clone(),
        former_owner_role: "roles/msp-panel.msp_admin".to_owned(),
        reason: "as the owner asked".to_owned(),
        ..Default::default()
    };
    let done = server.operator().accounts().transfer_ownership(transfer).await.unwrap().into_inner();
    assert!(done.ownership_transfer.is_none());
    assert!(server.may(&owner, "devices.view", &account).await, "the former owner is an admin now");
}

#[tokio::test]
async fn mp_cells_are_those_of_the_document() {
    let server = world().await;
    let matrix = super::matrix(&server, PACK).await;
    let columns: Vec<&str> = matrix.roles.iter().map(String::as_str).collect();
    let expected = ["owner", "msp_admin", "msp_user", "billing_only", "end_client"];
    assert_eq!(columns, expected.map(|role| format!("roles/msp-panel.{role}")));
    // The table of the requirements: `a` stands for "assigned clients only".
    let table = [
        ("MP-VIEW", ["all", "all", "a", "N", "a"]),
        ("MP-MANAGE", ["Y", "Y", "a", "N", "N"]),
        ("MP-DEPARTMENTS", ["Y", "Y", "a", "N", "N"]),
        ("MP-BILLING", ["Y", "Y", "N", "view", "N"]),
        ("MP-DELEGATE", ["Y", "Y", "N", "N", "N"]),
    ];
    assert_eq!(matrix.rows.len(), table.len());
    for (row, (id, cells)) in matrix.rows.iter().zip(table) {
        assert_eq!(row.id, id);
        for (cell, wanted) in row.cells.iter().zip(cells) {
            let (value, scope) = (cell.value(), cell.scope());
            let told = match (value, scope) {
                (pb::MatrixValue::No, _) => "N",
                (pb::MatrixValue::Partial, _) if cell.allowed_permissions == ["billing.view"] => "view",
                (pb::MatrixValue::Yes, pb::MatrixScope::Assigned) => "a",
                (pb::MatrixValue::Yes, pb::MatrixScope::All) if id == "MP-VIEW" => "all",
                (pb::MatrixValue::Yes, pb::MatrixScope::All) => "Y",
                other => panic!("{id}: {other:?}"),
            };
            assert_eq!(told, wanted, "{id}");
        }
    }
}
