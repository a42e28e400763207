//! Moves: what follows the account, who gains and who loses, and what cannot move.

use tonic::Code;

use super::{ADMIN, USER, get, relocate, set_labels, suspend};
use crate::support::{Server, reason};
use peerage::transport::grpc::pb;

async fn refused(server: &Server, name: &str, parent: &str, why: &str) {
    let status = relocate(&server.operator(), name, parent).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, why), "{name} to {parent}");
}

#[tokio::test]
async fn access_follows_the_new_place() {
    let server = Server::start().await;
    let operator = server.operator();
    let old = server.partner("old-msp", &["msp-panel"]).await;
    let new = server.partner("new-msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &old).await;
    let department = server.department("sales", &customer).await;
    let loser = server.person(&old, "emily", ADMIN).await;
    let winner = server.person(&new, "john", ADMIN).await;
    let assigned = server.person_on(&old, "mike", USER, &[customer.as_str()]).await;
    set_labels(&operator, &new, &[("region", "eu")]).await.unwrap();
    let before = get(&operator, &customer).await.unwrap();
    let moved = relocate(&operator, &customer, &new).await.unwrap();
    assert_eq!((moved.name.as_str(), moved.parent_account.as_str()), (customer.as_str(), new.as_str()));
    assert!(moved.update_revision > before.update_revision && moved.etag != before.etag);
    for account in [&customer, &department] {
        assert!(!server.may(&loser.name, "devices.view", account).await);
        assert!(server.may(&winner.name, "devices.view", account).await);
        assert!(server.may(&assigned.name, "devices.view", account).await);
    }
    let below = get(&winner.client, &department).await.unwrap();
    assert_eq!(below.effective_labels.get("region").map(String::as_str), Some("eu"));
    assert_eq!(get(&loser.client, &department).await.unwrap_err().code(), Code::NotFound);
    // The rows moved too: what is listed below the new place is what stands there.
    let request = pb::ListAccountsRequest {
        parent_account: new.clone(),
        include_descendants: true,
        ..pb::ListAccountsRequest::default()
    };
    let listed = operator.accounts().list_accounts(request).await.unwrap().into_inner().accounts;
    assert!(listed.iter().map(|account| account.uid.as_str()).eq(["contoso", "sales"]));
}

#[tokio::test]
async fn a_tree_stays_a_tree() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    let sales = server.department("sales", &customer).await;
    let north = server.department("north", &sales).await;
    refused(&server, "accounts/platform", &msp, "ACCOUNT_IS_ROOT").await;
    refused(&server, &sales, &north, "ACCOUNT_CYCLE").await;
    refused(&server, &sales, &sales, "ACCOUNT_CYCLE").await;
    refused(&server, &customer, "accounts/platform", "ACCOUNT_KIND_NOT_ALLOWED").await;
    refused(&server, &sales, &msp, "ACCOUNT_KIND_NOT_ALLOWED").await;
    // Levels 3 to 8 below one customer, and a subtree of two that fits no more.
    let mut deep = server.customer("fabrikam", &msp).await;
    for level in 4..=7 {
        deep = server.department(&format!("level-{level}"), &deep).await;
    }
    refused(&server, &sales, &deep, "ACCOUNT_TOO_DEEP").await;
    assert_eq!(relocate(&server.operator(), &north, &deep).await.unwrap().parent_account, deep);
    let status = relocate(&server.operator(), &north, "accounts/nowhere").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    suspend(&server.operator(), &customer, pb::SuspensionScope::Subtree).await.unwrap();
    refused(&server, &sales, &deep, "ACCOUNT_SUSPENDED").await;
}

#[tokio::test]
async fn a_move_needs_the_right_on_both_parents() {
    let server = Server::start().await;
    let old = server.partner("old-msp", &["msp-panel"]).await;
    let new = server.partner("new-msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &old).await;
    let admin = server.person(&old, "emily", ADMIN).await;
    assert_eq!(relocate(&admin.client, &customer, &new).await.unwrap_err().code(), Code::NotFound);
    let viewer = server.custom_role(&new, &["accounts.view"]).await;
    server.bind(&admin.name, &viewer, &new).await;
    let status = relocate(&admin.client, &customer, &new).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    // One who sees the account from inside learns no more than that.
    let assigned = server.person_on(&old, "mike", USER, &[customer.as_str()]).await;
    let mover = server.custom_role(&new, &["accounts.move", "accounts.view"]).await;
    server.bind(&assigned.name, &mover, &new).await;
    assert_eq!(relocate(&assigned.client, &customer, &new).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_is_bound_below_must_be_usable_at_the_new_place() {
    let server = Server::start().await;
    let panel = server.partner("panel-msp", &["msp-panel"]).await;
    let control = server.partner("control-msp", &["mspcontrol"]).await;
    let other = server.partner("other-msp", &["msp-panel"]).await;
    let bound = server.customer("bound", &panel).await;
    server.person_on(&panel, "mike", USER, &[bound.as_str()]).await;
    refused(&server, &bound, &control, "ROLE_PACK_NOT_ENABLED").await;
    let lent = server.customer("lent", &panel).await;
    let role = server.custom_role(&panel, &["devices.view"]).await;
    server.person_on(&panel, "sarah", &role, &[lent.as_str()]).await;
    refused(&server, &lent, &other, "ROLE_NOT_USABLE").await;
    assert!(relocate(&server.operator(), &bound, &other).await.is_ok());
}

#[tokio::test]
async fn groups_and_their_members_stay_on_one_path() {
    let server = Server::start().await;
    let operator = server.operator();
    let old = server.partner("old-msp", &["mspcontrol"]).await;
    let new = server.partner("new-msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &old).await;
    let emily = server.person(&old, "emily", "roles/mspcontrol.help_desk").await;
    let group = pb::Group { account: customer.clone(), title: "Support".to_owned(), ..pb::Group::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..pb::CreateGroupRequest::default() };
    let group = operator.roles().create_group(request).await.unwrap().into_inner().name;
    let member = pb::GroupMember {
        peer: emily.name.clone(),
        mode: pb::BindingMode::Active.into(),
        ..pb::GroupMember::default()
    };
    let request = pb::AddGroupMemberRequest { group, member: Some(member), ..pb::AddGroupMemberRequest::default() };
    operator.roles().add_group_member(request).await.unwrap();
    refused(&server, &customer, &new, "MEMBER_HOME_NOT_RELATED").await;
}
