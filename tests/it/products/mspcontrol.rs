//! MC: Peers of MSPControl.

use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{assert_rights, create_peer, customer, peer_request, staff, world};
use crate::support::policy::{bind, binding, fresh, of_group};
use crate::support::{Server, TestPeer, reason};

const PACK: &str = "mspcontrol";
const HOME: &str = "accounts/mspcontrol-msp";

/// A peer homed at a tenant, with a role on all of it.
async fn tenant_peer(server: &Server, tenant: &str, role: &str) -> TestPeer {
    server.person(tenant, &fresh(role), &format!("roles/mspcontrol.{role}")).await
}

#[tokio::test]
async fn mc_02_help_desk_and_others_never_get_root() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let admin = tenant_peer(&server, &tenant, "administrator").await;
    let desk = tenant_peer(&server, &tenant, "help_desk").await;
    let partner = staff(&server, PACK, "help_desk", &[&tenant]).await;
    for peer in [&desk, &partner] {
        assert_rights(&server, &peer.name, &tenant, &[], &["accounts.administer", "roles.create", "peers.create"])
            .await;
        for role in ["roles/mspcontrol.administrator", "roles/mspcontrol.customer_admin_peer", "roles/core.operator"] {
            let status = bind(&peer.client, binding(&peer.name, role, &tenant)).await.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{role}");
        }
    }
    // The administrator, too, is not the platform.
    assert_rights(&server, &admin.name, "accounts/platform", &[], &["accounts.administer"]).await;
    assert_rights(&server, &admin.name, &tenant, &["accounts.administer"], &["accounts.transfer_ownership"]).await;
}

#[tokio::test]
async fn mc_03_read_only_fails_every_write_and_partial_write_all_but_its_own() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let reader = tenant_peer(&server, &tenant, "read_only").await;
    let partial = server.custom_role(&tenant, &["*.view", "mailboxes.update"]).await;
    let partial = server.person(&tenant, &fresh("partial"), &partial).await;
    let request = pb::ListPermissionsRequest { page_size: 1000, ..Default::default() };
    let all = server.operator().roles().list_permissions(request).await.unwrap().into_inner().permissions;
    for permission in all.iter().filter(|permission| !permission.name.ends_with(".view")) {
        assert!(!server.may(&reader.name, &permission.name, &tenant).await, "{}", permission.name);
        let wanted = permission.name == "mailboxes.update";
        assert_eq!(server.may(&partial.name, &permission.name, &tenant).await, wanted, "{}", permission.name);
    }
}

#[tokio::test]
async fn mc_23_customer_admin_peer_administers_its_tenant_and_no_other() {
    let server = world().await;
    let (own, other) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let admin = tenant_peer(&server, &own, "customer_admin_peer").await;
    let rights = ["accounts.administer", "peers.create", "roles.create", "websites.delete", "accounts.update_settings"];
    assert_rights(&server, &admin.name, &own, &rights, &[]).await;
    assert_rights(&server, &admin.name, &other, &[], &rights).await;
    assert_rights(&server, &admin.name, HOME, &[], &rights).await;
}

#[tokio::test]
async fn mc_24_the_admin_for_testing_is_limited_to_test_environments() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let (test, production) =
        (server.department(&fresh("test"), &tenant).await, server.department(&fresh("production"), &tenant).await);
    let nested = server.department(&fresh("nested"), &test).await;
    let label = |account: &str, value: &str| pb::UpdateAccountRequest {
        account: Some(pb::Account {
            name: account.to_owned(),
            labels: [("env".to_owned(), value.to_owned())].into(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["labels".to_owned()] }),
        ..Default::default()
    };
    server.operator().accounts().update_account(label(&test, "test")).await.unwrap();
    server.operator().accounts().update_account(label(&production, "production")).await.unwrap();
    let tester = tenant_peer(&server, &tenant, "customer_admin_for_testing").await;
    assert_rights(&server, &tester.name, &test, &["websites.delete", "databases.update"], &[]).await;
    assert_rights(&server, &tester.name, &nested, &["websites.delete"], &[]).await;
    for place in [&tenant, &production] {
        assert_rights(&server, &tester.name, place, &[], &["websites.delete", "websites.view"]).await;
    }
    // The label is for others to set, on the test account itself as elsewhere.
    for place in [&test, &production] {
        let status = tester.client.accounts().update_account(label(place, "test")).await.unwrap_err();
        assert!([Code::PermissionDenied, Code::NotFound].contains(&status.code()), "{status:?}");
    }
    // Another nearest label ends the right below it.
    server.operator().accounts().update_account(label(&nested, "production")).await.unwrap();
    assert_rights(&server, &tester.name, &nested, &[], &["websites.delete"]).await;
}

#[tokio::test]
async fn mc_25_the_web_developer_has_websites_and_ftp_only() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let developer = tenant_peer(&server, &tenant, "web_developer").await;
    let request = pb::ListPermissionsRequest { page_size: 1000, ..Default::default() };
    let all = server.operator().roles().list_permissions(request).await.unwrap().into_inner().permissions;
    for permission in all {
        let wanted = permission.name.starts_with("websites.") || permission.name.starts_with("ftp.");
        assert_eq!(server.may(&developer.name, &permission.name, &tenant).await, wanted, "{}", permission.name);
    }
}

#[tokio::test]
async fn mc_26_a_device_is_a_technical_account_only() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let device = server.peer(&tenant, &fresh("agent"), "roles/mspcontrol.device", pb::PeerKind::Device, &[]).await;
    assert_rights(&server, &device.name, &tenant, &["agents.check_in"], &["websites.view", "peers.view"]).await;
}

#[tokio::test]
async fn mc_27_administrator_and_help_desk_exist_with_their_limits() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let admin = tenant_peer(&server, &tenant, "administrator").await;
    let desk = tenant_peer(&server, &tenant, "help_desk").await;
    let ownership = ["accounts.transfer_ownership", "accounts.request_ownership_transfer"];
    assert_rights(&server, &admin.name, &tenant, &["roles.update", "peers.delete", "websites.update"], &ownership)
        .await;
    let support =
        ["peers.view", "websites.view", "peers.reset_password", "peers.reset_factors", "peers.invite", "peers.unlock"];
    let beyond = ["roles.create", "roles.update", "accounts.update_settings", "peers.create", "websites.update"];
    assert_rights(&server, &desk.name, &tenant, &support, &beyond).await;
}

#[tokio::test]
async fn mc_28_one_default_role_at_creation_and_more_later() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let peer = tenant_peer(&server, &tenant, "web_developer").await;
    let get = || pb::GetPeerRequest { name: peer.name.clone(), ..Default::default() };
    let got = server.operator().peers().get_peer(get()).await.unwrap().into_inner();
    assert_eq!(got.default_role, "roles/mspcontrol.web_developer");
    let more = server.custom_role(&tenant, &["databases.view"]).await;
    bind(&server.operator(), binding(&peer.name, &more, &tenant)).await.unwrap();
    bind(&server.operator(), binding(&peer.name, "roles/mspcontrol.help_desk", &tenant)).await.unwrap();
    let rights = ["websites.update", "databases.view", "peers.unlock"];
    assert_rights(&server, &peer.name, &tenant, &rights, &["databases.update"]).await;
}

#[tokio::test]
async fn mc_29_a_peer_role_says_exactly_what_is_seen_and_changed() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let role = server.custom_role(&tenant, &["mailboxes.view", "mailboxes.update", "databases.view"]).await;
    let peer = server.person(&tenant, &fresh("exact"), &role).await;
    let rights = ["mailboxes.view", "mailboxes.update", "databases.view"];
    assert_rights(&server, &peer.name, &tenant, &rights, &["mailboxes.delete", "databases.update", "ftp.view"]).await;
}

async fn group(server: &Server, account: &str) -> pb::Group {
    let group = pb::Group { account: account.to_owned(), title: fresh("group"), ..Default::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..Default::default() };
    server.operator().roles().create_group(request).await.unwrap().into_inner()
}

async fn bind_group(server: &Server, group: &str, role: &str, account: &str) {
    bind(&server.operator(), of_group(group, role, account)).await.unwrap();
}

fn member(group: &str, peer: &str, expire_time: Option<prost_types::Timestamp>) -> pb::AddGroupMemberRequest {
    pb::AddGroupMemberRequest {
        group: group.to_owned(),
        member: Some(pb::GroupMember {
            peer: peer.to_owned(),
            mode: pb::BindingMode::Active.into(),
            expire_time,
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn mc_42_load_groups_lists_the_privilege_groups() {
    let server = world().await;
    let (tenant, other) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let admin = tenant_peer(&server, &tenant, "administrator").await;
    let (own, foreign) = (group(&server, &tenant).await, group(&server, &other).await);
    let request = pb::ListGroupsRequest { account: tenant, ..Default::default() };
    let groups = admin.client.roles().list_groups(request).await.unwrap().into_inner().groups;
    assert!(groups.iter().any(|group| group.name == own.name));
    assert!(groups.iter().all(|group| group.name != foreign.name));
}

#[tokio::test]
async fn mc_43_a_group_adds_access_scopes_to_the_peer() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let peer = tenant_peer(&server, &tenant, "web_developer").await;
    let group = group(&server, &tenant).await;
    let role = server.custom_role(&tenant, &["databases.update"]).await;
    bind_group(&server, &group.name, &role, &tenant).await;
    assert_rights(&server, &peer.name, &tenant, &[], &["databases.update"]).await;
    server.operator().roles().add_group_member(member(&group.name, &peer.name, None)).await.unwrap();
    assert_rights(&server, &peer.name, &tenant, &["databases.update", "websites.update"], &[]).await;
    let request = pb::RemoveGroupMemberRequest { group: group.name, peer: peer.name.clone(), ..Default::default() };
    server.operator().roles().remove_group_member(request).await.unwrap();
    assert_rights(&server, &peer.name, &tenant, &["websites.update"], &["databases.update"]).await;
}

#[tokio::test]
async fn mc_44_a_group_gives_time_limited_administration_that_ends_by_itself() {
    // Its own server, since it moves the clock.
    let server = Server::start().await;
    let msp = server.partner("mspcontrol-msp", &[PACK]).await;
    let tenant = server.customer("tenant", &msp).await;
    let peer = tenant_peer(&server, &tenant, "help_desk").await;
    let group = group(&server, &tenant).await;
    bind_group(&server, &group.name, "roles/mspcontrol.administrator", &tenant).await;
    let request = member(&group.name, &peer.name, Some(server.time(3600)));
    server.operator().roles().add_group_member(request).await.unwrap();
    assert!(server.may(&peer.name, "peers.delete", &tenant).await);
    server.advance(Duration::from_secs(3599));
    assert!(server.may(&peer.name, "peers.delete", &tenant).await);
    server.advance(Duration::from_secs(1));
    assert!(!server.may(&peer.name, "peers.delete", &tenant).await);
    server.stop().await;
}

#[tokio::test]
async fn mc_52_customer_admin_demands_a_recorded_need_and_its_holders_are_listed() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let role = "roles/mspcontrol.customer_admin_peer";
    let request =
        pb::CreatePeerRequest { justification: String::new(), ..peer_request(&tenant, &fresh("admin"), role, &[]) };
    let status = create_peer(&server.operator(), request).await.unwrap_err();
    assert_eq!(reason(&status), "JUSTIFICATION_REQUIRED");
    let peer = create_peer(&server.operator(), peer_request(&tenant, &fresh("admin"), role, &[])).await.unwrap();
    let request = pb::ListRoleBindingsRequest { account: tenant, page_size: 1000, ..Default::default() };
    let bindings = server.operator().roles().list_role_bindings(request).await.unwrap().into_inner().role_bindings;
    let holders: Vec<&pb::RoleBinding> = bindings.iter().filter(|binding| binding.role == role).collect();
    let [holder] = holders.as_slice() else { panic!("{holders:?}") };
    assert_eq!(holder.principal, Some(pb::role_binding::Principal::Peer(peer.name)));
    assert_eq!(holder.justification, "asked for");
}

#[tokio::test]
async fn mc_53_the_log_tells_devices_from_people() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let device = server.peer(&tenant, &fresh("agent"), "roles/mspcontrol.device", pb::PeerKind::Device, &[]).await;
    // A device that tries what it may not do leaves an event.
    let request = pb::GetAccountRequest { name: tenant.clone(), ..Default::default() };
    let status = device.client.accounts().get_account(request).await.unwrap_err();
    assert!([Code::PermissionDenied, Code::NotFound].contains(&status.code()));
    let make = pb::CreateApiKeyRequest {
        api_key: Some(pb::ApiKey { peer: "peers/me".to_owned(), title: "x".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(device.client.auth().create_api_key(make).await.unwrap_err().code(), Code::PermissionDenied);
    let request = pb::ListAuditEventsRequest { account: tenant, page_size: 1000, ..Default::default() };
    let events = server.operator().audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    let actors: Vec<pb::AuditActorKind> = events.iter().map(|event| event.actor.as_ref().unwrap().kind()).collect();
    assert!(actors.contains(&pb::AuditActorKind::Person));
    assert!(actors.contains(&pb::AuditActorKind::Device));
}

#[tokio::test]
async fn mc_60_device_roles_refuse_people() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let request = peer_request(&tenant, &fresh("person"), "roles/mspcontrol.device", &[]);
    let status = create_peer(&server.operator(), request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "PEER_KIND_NOT_ALLOWED"));
    let person = tenant_peer(&server, &tenant, "web_developer").await;
    let status = bind(&server.operator(), binding(&person.name, "roles/mspcontrol.device", &tenant)).await.unwrap_err();
    assert_eq!(reason(&status), "PEER_KIND_NOT_ALLOWED");
    // By way of a group neither.
    let group = group(&server, &tenant).await;
    bind_group(&server, &group.name, "roles/mspcontrol.device", &tenant).await;
    let added = server.operator().roles().add_group_member(member(&group.name, &person.name, None)).await;
    assert_eq!(reason(&added.unwrap_err()), "PEER_KIND_NOT_ALLOWED");
}

#[tokio::test]
async fn mc_61_the_role_chosen_at_creation_defines_the_scope() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    for (role, permission) in
        [("web_developer", "websites.delete"), ("help_desk", "peers.unlock"), ("administrator", "roles.create")]
    {
        let peer = tenant_peer(&server, &tenant, role).await;
        let told = server.decide(&peer.name, permission, &tenant).await;
        assert_eq!(told.decision(), pb::Decision::Allow, "{role}");
        assert_eq!(told.role, format!("roles/mspcontrol.{role}"));
    }
}

#[tokio::test]
async fn an_msp_administrator_makes_a_tenant_with_its_first_administrator() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    let weak = server.custom_role(HOME, &["accounts.view", "accounts.create_customer", "peers.create"]).await;
    let weak = server.person(HOME, &fresh("weak"), &weak).await;
    let request = |id: &str| pb::CreateAccountRequest {
        account_id: id.to_owned(),
        account: Some(pb::Account {
            parent_account: HOME.to_owned(),
            kind: pb::AccountKind::Customer.into(),
            title: "Tenant".to_owned(),
            ..Default::default()
        }),
        template: PACK.to_owned(),
        first_peer: Some(pb::FirstPeer {
            peer: Some(pb::Peer { user_name: fresh("first"), kind: pb::PeerKind::Person.into(), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = admin.client.accounts().create_account(request(&fresh("tenant"))).await.unwrap().into_inner();
    assert!(server.may(&made.first_peer, "accounts.request_ownership_transfer", &made.name).await);
    // That goes for what comes with an account alone: neither for who holds less, nor afterwards.
    let status = weak.client.accounts().create_account(request(&fresh("tenant"))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ESCALATION"));
    let role = "roles/mspcontrol.customer_admin_peer";
    let status = bind(&admin.client, binding(&admin.name, role, &made.name)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ESCALATION"));
    let key = pb::ApiKey { peer: made.first_peer.clone(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(key), ..Default::default() };
    let status = admin.client.auth().create_api_key(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ESCALATION"));
}
