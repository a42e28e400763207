//! OP: platform users of OpsPilot365.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{assert_rights, create_peer, customer, peer_request, staff, world};
use crate::support::policy::{bind, binding, fresh};

const PACK: &str = "opspilot365";
const HOME: &str = "accounts/opspilot365-msp";

#[tokio::test]
async fn op_01_platform_users_are_not_the_end_users_of_tenants() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let technician = staff(&server, PACK, "technician", &[&tenant]).await;
    let end_users = ["users.view", "users.create", "users.update", "users.delete"];
    assert_rights(&server, &technician.name, &tenant, &end_users, &["peers.view", "peers.create", "peers.update"])
        .await;
    let peer = server.operator().peers();
    let request = pb::GetPeerRequest { name: technician.name.clone(), ..Default::default() };
    assert_eq!({ peer }.get_peer(request).await.unwrap().into_inner().home_account, HOME);
}

#[tokio::test]
async fn op_02_roles_permissions_and_tenants_are_set_member_by_member() {
    let server = world().await;
    let (left, right) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let one = staff(&server, PACK, "technician", &[&left]).await;
    let other = staff(&server, PACK, "read_only", &[&left, &right]).await;
    assert_rights(&server, &one.name, &left, &["devices.update"], &[]).await;
    assert_rights(&server, &other.name, &left, &["devices.view"], &["devices.update"]).await;
    assert_rights(&server, &one.name, &right, &[], &["devices.view"]).await;
}

#[tokio::test]
async fn op_03_the_administrator_manages_all_tenants() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    let later = customer(&server, PACK).await;
    assert_rights(&server, &admin.name, &later, &["users.delete", "devices.delete", "accounts.update"], &[]).await;
}

#[tokio::test]
async fn op_04_the_administrator_configures_platform_settings() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    assert_rights(&server, &admin.name, HOME, &["accounts.update_settings"], &[]).await;
}

#[tokio::test]
async fn op_05_the_administrator_manages_billing() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    assert_rights(&server, &admin.name, HOME, &["billing.view", "billing.manage"], &[]).await;
}

#[tokio::test]
async fn op_06_the_administrator_adds_and_removes_platform_users() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    let tenant = customer(&server, PACK).await;
    let request = peer_request(HOME, &fresh("mike"), "roles/opspilot365.technician", &[&tenant]);
    let mike = create_peer(&admin.client, request).await.unwrap();
    assert!(server.may(&mike.name, "devices.update", &tenant).await);
    let request = pb::DeletePeerRequest { name: mike.name.clone(), ..Default::default() };
    admin.client.peers().delete_peer(request).await.unwrap();
    let told = server.decide(&mike.name, "devices.update", &tenant).await;
    assert_eq!(told.reason(), pb::DecisionReason::SubjectUnknown);
}

#[tokio::test]
async fn op_07_the_administrator_accesses_all_features() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    let request = pb::ListPermissionsRequest { page_size: 1000, ..Default::default() };
    let all = server.operator().roles().list_permissions(request).await.unwrap().into_inner().permissions;
    for permission in all.iter().filter(|permission| !permission.reserved) {
        assert!(server.may(&admin.name, &permission.name, HOME).await, "{}", permission.name);
    }
}

#[tokio::test]
async fn op_08_the_technician_manages_assigned_tenants_and_no_others() {
    let server = world().await;
    let (assigned, other) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let technician = staff(&server, PACK, "technician", &[&assigned]).await;
    let manage = ["accounts.view", "users.update", "devices.update"];
    assert_rights(&server, &technician.name, &assigned, &manage, &[]).await;
    assert_rights(&server, &technician.name, &other, &[], &manage).await;
}

#[tokio::test]
async fn op_09_the_technician_manages_users_and_devices_there() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let technician = staff(&server, PACK, "technician", &[&assigned]).await;
    let manage = ["users.create", "users.update", "users.delete", "devices.create", "devices.update", "devices.delete"];
    assert_rights(&server, &technician.name, &assigned, &manage, &[]).await;
}

#[tokio::test]
async fn op_10_the_technician_runs_reports() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let technician = staff(&server, PACK, "technician", &[&assigned]).await;
    assert_rights(&server, &technician.name, &assigned, &["reports.run", "reports.view"], &[]).await;
}

#[tokio::test]
async fn op_11_the_technician_executes_automation() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let technician = staff(&server, PACK, "technician", &[&assigned]).await;
    assert_rights(&server, &technician.name, &assigned, &["automation.run"], &[]).await;
}

#[tokio::test]
async fn op_12_the_technician_views_dashboards() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let technician = staff(&server, PACK, "technician", &[&assigned]).await;
    assert_rights(&server, &technician.name, &assigned, &["dashboards.view"], &[]).await;
}

#[tokio::test]
async fn op_13_the_technician_modifies_neither_settings_nor_billing() {
    let server = world().await;
    let assigned = customer(&server, PACK).await;
    let technician = staff(&server, PACK, "technician", &[&assigned]).await;
    for place in [HOME, &assigned] {
        let denied = ["accounts.update_settings", "billing.manage", "billing.view"];
        assert_rights(&server, &technician.name, place, &[], &denied).await;
    }
}

/// A Read-Only user on one tenant.
async fn reader(server: &crate::support::Server) -> (String, String) {
    let tenant = customer(server, PACK).await;
    let reader = staff(server, PACK, "read_only", &[&tenant]).await;
    (reader.name, tenant)
}

#[tokio::test]
async fn op_14_read_only_views_tenant_data() {
    let server = world().await;
    let (reader, tenant) = reader(&server).await;
    assert_rights(&server, &reader, &tenant, &["accounts.view", "users.view", "devices.view", "licenses.view"], &[])
        .await;
}

#[tokio::test]
async fn op_15_read_only_views_reports() {
    let server = world().await;
    let (reader, tenant) = reader(&server).await;
    assert_rights(&server, &reader, &tenant, &["reports.view"], &[]).await;
}

#[tokio::test]
async fn op_16_read_only_views_dashboards() {
    let server = world().await;
    let (reader, tenant) = reader(&server).await;
    assert_rights(&server, &reader, &tenant, &["dashboards.view"], &[]).await;
}

#[tokio::test]
async fn op_17_read_only_exports_data() {
    let server = world().await;
    let (reader, tenant) = reader(&server).await;
    assert_rights(&server, &reader, &tenant, &["data.export"], &[]).await;
}

#[tokio::test]
async fn op_18_read_only_is_denied_every_modification() {
    let server = world().await;
    let (reader, tenant) = reader(&server).await;
    let request = pb::ListPermissionsRequest { page_size: 1000, ..Default::default() };
    let all = server.operator().roles().list_permissions(request).await.unwrap().into_inner().permissions;
    for permission in all {
        let reads = permission.name.ends_with(".view") || permission.name == "data.export";
        if !reads {
            assert!(!server.may(&reader, &permission.name, &tenant).await, "{}", permission.name);
        }
    }
}

#[tokio::test]
async fn op_19_a_custom_role_of_single_permissions_allows_exactly_those() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let role = server.custom_role(HOME, &["devices.view", "users.reset_password"]).await;
    let peer = server.person_on(HOME, &fresh("custom"), &role, &[&tenant]).await;
    let request = pb::ListPermissionsRequest { page_size: 1000, ..Default::default() };
    let all = server.operator().roles().list_permissions(request).await.unwrap().into_inner().permissions;
    for permission in all {
        let wanted = ["devices.view", "users.reset_password"].contains(&permission.name.as_str());
        assert_eq!(server.may(&peer.name, &permission.name, &tenant).await, wanted, "{}", permission.name);
    }
}

#[tokio::test]
async fn op_20_switching_one_feature_off_denies_that_feature_only() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let role = server.custom_role(HOME, &["*.*", "!automation.*"]).await;
    let peer = server.person_on(HOME, &fresh("custom"), &role, &[&tenant]).await;
    let may = ["devices.update", "users.delete", "reports.run", "dashboards.view"];
    assert_rights(&server, &peer.name, &tenant, &may, &["automation.run", "automation.view"]).await;
}

#[tokio::test]
async fn op_21_a_custom_role_on_some_tenants_is_denied_elsewhere() {
    let server = world().await;
    let (assigned, other) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let role = server.custom_role(HOME, &["devices.*"]).await;
    let peer = server.person_on(HOME, &fresh("custom"), &role, &[&assigned]).await;
    assert_rights(&server, &peer.name, &assigned, &["devices.view", "devices.delete"], &[]).await;
    assert_rights(&server, &peer.name, &other, &[], &["devices.view", "devices.delete"]).await;
}

#[tokio::test]
async fn op_22_a_custom_role_limited_by_action_permits_one_and_denies_another() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let role = server.custom_role(HOME, &["devices.update"]).await;
    let peer = server.person_on(HOME, &fresh("custom"), &role, &[&tenant]).await;
    assert_rights(&server, &peer.name, &tenant, &["devices.update"], &["devices.delete"]).await;
}

/// One row of the document's matrix, as the server computes it and as Authorize answers.
async fn row(id: &str, permission: &str, wanted: [&str; 3]) {
    let server = world().await;
    let matrix = super::matrix(&server, PACK).await;
    let columns = ["administrator", "technician", "read_only"].map(|role| format!("roles/opspilot365.{role}"));
    assert_eq!(matrix.roles, columns);
    assert_eq!(matrix.rows.len(), 8);
    let row = matrix.rows.iter().find(|row| row.id == id).unwrap();
    assert!(row.permissions.iter().any(|one| one == permission), "{row:?}");
    let told: Vec<&str> = row
        .cells
        .iter()
        .map(|cell| match cell.value() {
            pb::MatrixValue::Yes => "Yes",
            pb::MatrixValue::WithApproval => "With approval",
            pb::MatrixValue::No => "—",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, wanted, "{id}");

    let tenant = customer(&server, PACK).await;
    let administrator = staff(&server, PACK, "administrator", &[]).await;
    let technician = staff(&server, PACK, "technician", &[&tenant]).await;
    let read_only = staff(&server, PACK, "read_only", &[&tenant]).await;
    for (peer, wanted) in [&administrator, &technician, &read_only].into_iter().zip(wanted) {
        let decision = match wanted {
            "Yes" => pb::Decision::Allow,
            "With approval" => pb::Decision::RequiresApproval,
            _ => pb::Decision::Deny,
        };
        for permission in &row.permissions {
            assert_eq!(server.decide(&peer.name, permission, &tenant).await.decision(), decision, "{permission}");
        }
    }
}

#[tokio::test]
async fn op_32_view_dashboards() {
    row("OP-32", "dashboards.view", ["Yes", "Yes", "Yes"]).await;
}

#[tokio::test]
async fn op_33_manage_users() {
    row("OP-33", "users.update", ["Yes", "Yes", "—"]).await;
}

#[tokio::test]
async fn op_34_manage_devices() {
    row("OP-34", "devices.update", ["Yes", "Yes", "—"]).await;
}

#[tokio::test]
async fn op_35_run_automation() {
    row("OP-35", "automation.run", ["Yes", "Yes", "—"]).await;
}

#[tokio::test]
async fn op_36_order_licenses() {
    row("OP-36", "licenses.order", ["Yes", "With approval", "—"]).await;
}

#[tokio::test]
async fn op_37_platform_settings() {
    row("OP-37", "accounts.update_settings", ["Yes", "—", "—"]).await;
}

#[tokio::test]
async fn op_38_manage_billing() {
    row("OP-38", "billing.manage", ["Yes", "—", "—"]).await;
}

#[tokio::test]
async fn op_39_manage_platform_users() {
    row("OP-39", "peers.create", ["Yes", "—", "—"]).await;
}

#[tokio::test]
async fn op_31_tenant_access_is_all_or_selected_only() {
    let server = world().await;
    let before = customer(&server, PACK).await;
    let all = staff(&server, PACK, "read_only", &[]).await;
    let selected = staff(&server, PACK, "read_only", &[&before]).await;
    let after = customer(&server, PACK).await;
    assert_rights(&server, &all.name, &before, &["dashboards.view"], &[]).await;
    assert_rights(&server, &all.name, &after, &["dashboards.view"], &[]).await;
    assert_rights(&server, &selected.name, &before, &["dashboards.view"], &[]).await;
    assert_rights(&server, &selected.name, &after, &[], &["dashboards.view"]).await;
}

#[tokio::test]
async fn op_30_each_role_of_the_form_can_be_chosen() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    for (role, accounts) in [("technician", vec![tenant.as_str()]), ("administrator", vec![]), ("read_only", vec![])] {
        let role = format!("roles/opspilot365.{role}");
        create_peer(&admin.client, peer_request(HOME, &fresh("user"), &role, &accounts)).await.unwrap();
    }
}

#[tokio::test]
async fn op_44_the_log_says_what_was_changed_when_and_by_whom() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    let tenant = customer(&server, PACK).await;
    let request = peer_request(&tenant, &fresh("user"), "roles/opspilot365.read_only", &[]);
    let peer = create_peer(&admin.client, request).await.unwrap();
    let request = pb::ListAuditEventsRequest { account: tenant.clone(), page_size: 1000, ..Default::default() };
    let events = admin.client.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    let event = events.iter().find(|event| event.action == "peers.create").unwrap();
    assert_eq!(event.actor.as_ref().unwrap().peer, admin.name);
    assert_eq!(event.target.as_ref().unwrap().target_name.as_ref().unwrap().value, peer.name);
    assert_eq!(event.outcome(), pb::AuditOutcome::Success);
    assert!(event.occur_time.is_some() && event.revision > 0 && !event.canonical_bytes.is_empty());
    // The same act stands in the provider's own log, each naming the other.
    let [link] = event.linked_events.as_slice() else { panic!("{event:?}") };
    assert_eq!(link.account, HOME);
    for (before, after) in events.iter().zip(events.iter().skip(1)) {
        assert_eq!((after.seq, &after.prev_hash), (before.seq + 1, &before.leaf_hash));
    }
}

#[tokio::test]
async fn op_47_adding_a_user_names_who_and_which_role() {
    let server = world().await;
    let admin = staff(&server, PACK, "administrator", &[]).await;
    let user_name = fresh("mike");
    let request = peer_request(HOME, &user_name, "roles/opspilot365.read_only", &[]);
    let peer = create_peer(&admin.client, request).await.unwrap();
    let mut list = pb::ListAuditEventsRequest { account: HOME.to_owned(), page_size: 1000, ..Default::default() };
    let mut found = None;
    loop {
        let page = admin.client.audit().list_audit_events(list.clone()).await.unwrap().into_inner();
        let is_it = |event: &pb::AuditEvent| {
            event.action == "peers.create"
                && event
                    .target
                    .as_ref()
                    .is_some_and(|target| target.target_name.as_ref().is_some_and(|name| name.value == peer.name))
        };
        found = found.or(page.audit_events.into_iter().find(is_it));
        if page.next_page_token.is_empty() {
            break;
        }
        list.page_token = page.next_page_token;
    }
    let event = found.unwrap();
    let told = event
        .changes
        .iter()
        .filter_map(|change| change.after.as_ref())
        .any(|after| after.value == "roles/opspilot365.read_only");
    assert!(told, "{:?}", event.changes);
    let name = event.target.unwrap().display_name.unwrap().value;
    assert!(name.contains(&user_name), "{name}");
}

#[tokio::test]
async fn op_51_a_deleted_user_can_no_longer_get_in() {
    let server = world().await;
    let reader = staff(&server, PACK, "read_only", &[]).await;
    let request = pb::DeletePeerRequest { name: reader.name.clone(), ..Default::default() };
    server.operator().peers().delete_peer(request).await.unwrap();
    let status = reader.client.ask("peers/me", "dashboards.view", HOME).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn op_40_with_approval_is_not_yes() {
    let server = world().await;
    let tenant = customer(&server, PACK).await;
    let technician = staff(&server, PACK, "technician", &[&tenant]).await;
    let told = server.decide(&technician.name, "licenses.order", &tenant).await;
    assert_eq!(told.decision(), pb::Decision::RequiresApproval);
    // A freer role beside it gives what the stricter one asks an approval for.
    bind(&server.operator(), binding(&technician.name, "roles/opspilot365.manager", &tenant)).await.unwrap();
    assert!(server.may(&technician.name, "licenses.order", &tenant).await);
}
