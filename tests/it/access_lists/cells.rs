//! Lists over the wire, next to BatchAuthorize over all that there is.

use std::collections::BTreeMap;

use peerage::application::generate::{Scale, generate};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_authorize_result::Result as ItemResult;
use prost_types::FieldMask;

use super::{accounts, peers, permissions};
use crate::support::{Server, policy};

/// What a row and an answer of Authorize have in common.
type Cell = (i32, i32, String);

/// Everything there is to ask about.
struct All {
    accounts: Vec<String>,
    peers: Vec<String>,
    permissions: Vec<String>,
}

async fn all(server: &Server) -> All {
    let ctx = server.running().ctx();
    let snapshot = ctx.snapshot();
    let root = snapshot.find_account("platform").unwrap();
    let found = snapshot.subtree(root);
    let accounts = found.iter().map(|account| format!("accounts/{}", snapshot.account_id(*account).unwrap()));
    let homed = found.iter().flat_map(|account| snapshot.homed_at(*account));
    let peers = homed.map(|peer| format!("peers/{}", snapshot.peer_id(peer).unwrap()));
    let permissions = snapshot.permissions().iter().map(|permission| permission.name.to_string());
    All { accounts: accounts.collect(), peers: peers.collect(), permissions: permissions.collect() }
}

/// What Authorize answers the operator about each of these, by what tells them apart, but DENY.
async fn cells(server: &Server, checks: Vec<(String, pb::BatchAuthorizeItem)>) -> BTreeMap<String, Cell> {
    let mut found = BTreeMap::new();
    for checks in checks.chunks(1_000) {
        let items = checks.iter().map(|(_, item)| item.clone()).collect();
        let request = pb::BatchAuthorizeRequest { items, ..Default::default() };
        let answers = server.operator().access().batch_authorize(request).await.unwrap().into_inner();
        for ((name, _), result) in checks.iter().zip(answers.results) {
            let Some(ItemResult::Decision(answer)) = result.result else { panic!("{name}: {result:?}") };
            if answer.decision() != pb::Decision::Deny {
                found.insert(name.clone(), (answer.decision, answer.reason, answer.role_binding));
            }
        }
    }
    found
}

fn item(peer: &str, permission: &str, account: &str) -> pb::BatchAuthorizeItem {
    pb::BatchAuthorizeItem {
        subject: Some(pb::batch_authorize_item::Subject::Peer(peer.to_owned())),
        permission: permission.to_owned(),
        account: account.to_owned(),
        context: None,
    }
}

/// Compares the list of accounts of one peer and permission with its cells; says how many rows it had.
async fn compare_accounts(server: &Server, all: &All, peer: &str, permission: &str) -> usize {
    let checks = all.accounts.iter().map(|account| (account.clone(), item(peer, permission, account))).collect();
    let listed = accounts(&server.operator(), peer, permission, "").await.unwrap();
    assert!(listed.is_sorted_by_key(|row| &row.account));
    let (count, rows) = (listed.len(), listed.into_iter());
    let rows: BTreeMap<_, _> = rows.map(|row| (row.account, (row.decision, row.reason, row.role_binding))).collect();
    assert_eq!(rows, cells(server, checks).await, "{peer} {permission}");
    assert_eq!(rows.len(), count, "an account is listed twice");
    count
}

async fn compare_peers(server: &Server, all: &All, account: &str, permission: &str) -> usize {
    let checks = all.peers.iter().map(|peer| (peer.clone(), item(peer, permission, account))).collect();
    let listed = peers(&server.operator(), account, permission).await.unwrap();
    assert!(listed.is_sorted_by_key(|row| &row.peer));
    let (count, rows) = (listed.len(), listed.into_iter());
    let rows: BTreeMap<_, _> = rows.map(|row| (row.peer, (row.decision, row.reason, row.role_binding))).collect();
    assert_eq!(rows, cells(server, checks).await, "{account} {permission}");
    assert_eq!(rows.len(), count, "a peer is listed twice");
    count
}

async fn compare_permissions(server: &Server, all: &All, peer: &str, account: &str) -> usize {
    let checks = all.permissions.iter().map(|name| (name.clone(), item(peer, name, account))).collect();
    let listed = permissions(&server.operator(), peer, account).await.unwrap();
    assert!(listed.is_sorted_by_key(|row| &row.permission));
    let (count, rows) = (listed.len(), listed.into_iter());
    let rows: BTreeMap<_, _> = rows.map(|row| (row.permission, (row.decision, row.reason, row.role_binding))).collect();
    assert_eq!(rows, cells(server, checks).await, "{peer} {account}");
    assert_eq!(rows.len(), count, "a permission is listed twice");
    count
}

#[tokio::test]
async fn every_list_over_the_wire_equals_its_cells_in_a_generated_world() {
    let server = Server::start().await;
    generate(server.running().ctx(), Scale { peers: 1_000, seed: 11 }, |_| ()).await.unwrap();
    let all = all(&server).await;
    let (mut rows, mut lists) = (0, 0);
    let asked = ["accounts.view", "peers.view", "access.check", all.permissions.last().unwrap()];
    for (number, peer) in all.peers.iter().step_by(all.peers.len() / 12).enumerate() {
        rows += compare_accounts(&server, &all, peer, asked[number % asked.len()]).await;
        let home = &all.accounts[number * all.accounts.len() / 13];
        rows += compare_permissions(&server, &all, peer, home).await;
        lists += 2;
    }
    for (number, account) in all.accounts.iter().step_by(all.accounts.len() / 8).enumerate() {
        rows += compare_peers(&server, &all, account, asked[number % asked.len()]).await;
        lists += 1;
    }
    assert!(rows > 100, "{rows} rows in {lists} lists");
    server.stop().await;
}

#[tokio::test]
async fn whatever_decides_elsewhere_decides_in_lists() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("contoso-msp", &["mspcontrol", "opspilot365"]).await;
    let customers = ["allowed", "blocked", "denied", "entered", "suspended"];
    for customer in customers {
        server.customer(customer, &msp).await;
        server.department(&format!("{customer}-office"), &format!("accounts/{customer}")).await;
    }
    let emily = server.person(&msp, "emily", "roles/opspilot365.technician").await;
    let sarah = server.person("accounts/entered", "sarah", "roles/mspcontrol.administrator").await;
    let john = server.person_on(&msp, "john", "roles/mspcontrol.help_desk", &["accounts/allowed"]).await;

    // Suspended, vetoed, denied, eligible, not open yet, this account alone, and by way of a group.
    let suspend = pb::SuspendAccountRequest {
        name: "accounts/suspended".to_owned(),
        scope: pb::SuspensionScope::Subtree.into(),
        reason: "unpaid".to_owned(),
        ..Default::default()
    };
    operator.accounts().suspend_account(suspend).await.unwrap();
    for (account, mode) in
        [("blocked", pb::PartnerAccessMode::Blocked), ("entered", pb::PartnerAccessMode::SessionOnly)]
    {
        let settings = pb::AccountSettings { partner_access: mode.into(), ..Default::default() };
        let account =
            pb::Account { name: format!("accounts/{account}"), settings: Some(settings), ..Default::default() };
        let request = pb::UpdateAccountRequest {
            account: Some(account),
            update_mask: Some(FieldMask { paths: vec!["settings.partner_access".to_owned()] }),
            justification: "asked for".to_owned(),
            ..Default::default()
        };
        operator.accounts().update_account(request).await.unwrap();
    }
    let denial = server.custom_role("accounts/denied", &["!users.view"]).await;
    server.bind(&emily.name, &denial, "accounts/denied").await;
    let viewer = server.custom_role(&msp, &["users.view"]).await;
    let bind = |binding| policy::bind(&operator, binding);
    let to_john = |account: &str| policy::binding(&john.name, &viewer, account);
    bind(pb::RoleBinding { mode: pb::BindingMode::Eligible.into(), ..to_john("accounts/denied") }).await.unwrap();
    bind(pb::RoleBinding { start_time: Some(server.time(3_600)), ..to_john("accounts/entered") }).await.unwrap();
    bind(pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..to_john("accounts/suspended") }).await.unwrap();
    bind(pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..to_john(&msp) }).await.unwrap();
    let group = pb::Group { account: msp.clone(), title: "All".to_owned(), ..Default::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..Default::default() };
    let group = operator.roles().create_group(request).await.unwrap().into_inner().name;
    for peer in [&john.name, &sarah.name] {
        let member = Some(pb::GroupMember { peer: peer.clone(), ..Default::default() });
        let request = pb::AddGroupMemberRequest { group: group.clone(), member, ..Default::default() };
        operator.roles().add_group_member(request).await.unwrap();
    }
    bind(policy::of_group(&group, &viewer, "accounts/blocked")).await.unwrap();

    let all = all(&server).await;
    let mut rows = 0;
    for peer in &all.peers {
        for permission in ["users.view", "licenses.order", "accounts.view", "access.check"] {
            rows += compare_accounts(&server, &all, peer, permission).await;
        }
        for account in &all.accounts {
            rows += compare_permissions(&server, &all, peer, account).await;
        }
    }
    for account in &all.accounts {
        for permission in ["users.view", "licenses.order", "accounts.view", "accounts.resume"] {
            rows += compare_peers(&server, &all, account, permission).await;
        }
    }
    assert!(rows > 1_000, "{rows} rows");

    let of_emily = accounts(&operator, &emily.name, "users.view", "").await.unwrap();
    assert_eq!(super::names(&of_emily), ["accounts/allowed", "accounts/allowed-office", "accounts/contoso-msp"]);
    let of_john = accounts(&operator, &john.name, "users.view", "").await.unwrap();
    assert_eq!(super::names(&of_john), ["accounts/contoso-msp"], "{of_john:?}");
    // What waits for an approval is a row, and says what to do.
    let may = permissions(&operator, &emily.name, "accounts/allowed").await.unwrap();
    let order = may.iter().find(|row| row.permission == "licenses.order").unwrap();
    assert_eq!(order.decision(), pb::Decision::RequiresApproval);
    assert_eq!((order.role.as_str(), order.obligations.len()), ("roles/opspilot365.technician", 1));
    let asked = server.decide(&emily.name, "licenses.order", "accounts/allowed").await;
    assert_eq!((&order.obligations, &order.role_binding), (&asked.obligations, &asked.role_binding));

    // One who cannot act may nothing anywhere.
    let disable = pb::DisablePeerRequest { name: emily.name.clone(), ..Default::default() };
    operator.peers().disable_peer(disable).await.unwrap();
    assert_eq!(accounts(&operator, &emily.name, "users.view", "").await.unwrap(), []);
    assert_eq!(permissions(&operator, &emily.name, "accounts/allowed").await.unwrap(), []);
    assert!(!super::uids(&peers(&operator, "accounts/allowed", "users.view").await.unwrap()).contains(&&*emily.name));
    server.stop().await;
}
