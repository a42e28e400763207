//! Lists over the wire, next to BatchAuthorize over all that there is.

use std::collections::BTreeMap;

use peerage::application::generate::{Scale, generate};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_authorize_result::Result as ItemResult;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::{accounts, peers, permissions};
use crate::support::{Client, Server, policy};

/// What a row and an answer of Authorize have in common.
type Cell = (i32, i32, String);

/// Everything there is to ask about.
struct All {
    accounts: Vec<String>,
    peers: Vec<String>,
    permissions: Vec<String>,
}

fn all(server: &Server) -> All {
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

/// What Authorize answers a caller about each of these: nothing where it answers NOT_FOUND.
async fn ask(client: &Client, items: Vec<pb::BatchAuthorizeItem>) -> Vec<Option<pb::AuthorizeResponse>> {
    let mut found = Vec::new();
    for items in items.chunks(1_000) {
        let request = pb::BatchAuthorizeRequest { items: items.to_vec(), ..Default::default() };
        let answers = client.access().batch_authorize(request).await.unwrap().into_inner();
        found.extend(answers.results.into_iter().map(|result| match result.result {
            Some(ItemResult::Decision(answer)) => Some(answer),
            Some(ItemResult::Error(error)) => {
                assert_eq!(error.code, Code::NotFound as i32);
                None
            }
            None => panic!("an item has no result"),
        }));
    }
    found
}

/// The cells of these that are not DENY, by what tells them apart.
async fn cells(client: &Client, checks: Vec<(String, pb::BatchAuthorizeItem)>) -> BTreeMap<String, Cell> {
    let (names, items): (Vec<_>, Vec<_>) = checks.into_iter().unzip();
    let answers = names.into_iter().zip(ask(client, items).await);
    let rows = answers.filter_map(|(name, answer)| {
        let answer = answer.filter(|answer| answer.decision() != pb::Decision::Deny)?;
        Some((name, (answer.decision, answer.reason, answer.role_binding)))
    });
    rows.collect()
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
    assert_eq!(rows, cells(&server.operator(), checks).await, "{peer} {permission}");
    assert_eq!(rows.len(), count, "an account is listed twice");
    count
}

async fn compare_peers(server: &Server, all: &All, account: &str, permission: &str) -> usize {
    let checks = all.peers.iter().map(|peer| (peer.clone(), item(peer, permission, account))).collect();
    let listed = peers(&server.operator(), account, permission).await.unwrap();
    assert!(listed.is_sorted_by_key(|row| &row.peer));
    let (count, rows) = (listed.len(), listed.into_iter());
    let rows: BTreeMap<_, _> = rows.map(|row| (row.peer, (row.decision, row.reason, row.role_binding))).collect();
    assert_eq!(rows, cells(&server.operator(), checks).await, "{account} {permission}");
    assert_eq!(rows.len(), count, "a peer is listed twice");
    count
}

async fn compare_permissions(server: &Server, all: &All, peer: &str, account: &str) -> usize {
    let checks = all.permissions.iter().map(|name| (name.clone(), item(peer, name, account))).collect();
    let listed = permissions(&server.operator(), peer, account).await.unwrap();
    assert!(listed.is_sorted_by_key(|row| &row.permission));
    let (count, rows) = (listed.len(), listed.into_iter());
    let rows: BTreeMap<_, _> = rows.map(|row| (row.permission, (row.decision, row.reason, row.role_binding))).collect();
    assert_eq!(rows, cells(&server.operator(), checks).await, "{peer} {account}");
    assert_eq!(rows.len(), count, "a permission is listed twice");
    count
}

#[tokio::test]
async fn every_list_over_the_wire_equals_its_cells_in_a_generated_world() {
    let server = Server::start().await;
    generate(server.running().ctx(), Scale { peers: 1_000, seed: 11 }, |_| ()).await.unwrap();
    let all = all(&server);
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
    let customer_names = customers.map(|customer| format!("accounts/{customer}"));
    let bound = customer_names.each_ref().map(String::as_str);
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &bound).await;
    let sarah = server.person("accounts/entered", "sarah", "roles/mspcontrol.administrator").await;
    let john = server.person_on(&msp, "john", "roles/mspcontrol.help_desk", &["accounts/allowed"]).await;

    // Suspended, vetoed, denied, eligible, not open yet, this account alone, and by way of a group.
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
    let suspend = pb::SuspendAccountRequest {
        name: "accounts/suspended".to_owned(),
        scope: pb::SuspensionScope::Subtree.into(),
        reason: "unpaid".to_owned(),
        ..Default::default()
    };
    operator.accounts().suspend_account(suspend).await.unwrap();

    let all = all(&server);
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
    assert_eq!(super::names(&of_emily), ["accounts/allowed", "accounts/allowed-office"]);
    let of_john = accounts(&operator, &john.name, "users.view", "").await.unwrap();
    assert_eq!(super::names(&of_john), ["accounts/allowed", "accounts/allowed-office", "accounts/contoso-msp"]);
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

/// The rows of a list by what tells them apart; nobody and nothing are as good as none.
fn rows<T>(listed: Result<Vec<T>, Status>, row: impl Fn(T) -> (String, Cell)) -> BTreeMap<String, Cell> {
    match listed {
        Ok(rows) => rows.into_iter().map(row).collect(),
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            BTreeMap::new()
        }
    }
}

/// Callers of all kinds of rights: each sees in lists what it could ask Authorize one by one. Of a peer
/// that it could learn nothing of, it learns nothing.
#[tokio::test]
async fn every_caller_lists_what_it_could_ask_one_by_one() {
    let server = Server::start().await;
    generate(server.running().ctx(), Scale { peers: 1_000, seed: 12 }, |_| ()).await.unwrap();
    let all = all(&server);
    let mut callers = Vec::new();
    for account in all.accounts.iter().step_by(all.accounts.len() / 6) {
        let checking = peers(&server.operator(), account, "access.check").await.unwrap();
        let allowed = checking.into_iter().filter(|row| row.decision() == pb::Decision::Allow);
        // Those who hold it narrowly say more than those who hold it everywhere.
        callers.extend(allowed.max_by_key(|row| row.home_account == *account).map(|row| row.peer));
    }
    callers.extend(all.peers.iter().step_by(all.peers.len() / 3).cloned());
    callers.sort();
    callers.dedup();
    let (mut shown, mut hidden) = (0, 0);
    for caller in &callers {
        let client = server.client(&server.key_of(caller).await);
        if client
            .access()
            .authorize(pb::AuthorizeRequest {
                permission: "accounts.view".to_owned(),
                account: "accounts/platform".to_owned(),
                ..Default::default()
            })
            .await
            .is_err()
        {
            continue; // It cannot act at all.
        }
        for (number, peer) in all.peers.iter().step_by(all.peers.len() / 9).chain([caller]).enumerate() {
            let permission = ["accounts.view", "peers.view", "access.check"][number % 3];
            let account = &all.accounts[(number * 31 + 7) % all.accounts.len()];
            let checks = all.accounts.iter().map(|account| (account.clone(), item(peer, permission, account)));
            let listed = accounts(&client, peer, permission, "").await;
            let is_missing = listed.is_err();
            let listed = rows(listed, |row| (row.account, (row.decision, row.reason, row.role_binding)));
            assert_eq!(listed, cells(&client, checks.collect()).await, "{caller} about {peer} {permission}");
            shown += listed.len();
            let items = all.accounts.iter().map(|account| item(peer, permission, account)).collect();
            let is_known = ask(&client, items)
                .await
                .into_iter()
                .flatten()
                .any(|answer| answer.reason() != pb::DecisionReason::SubjectUnknown);
            let get = pb::GetPeerRequest { name: peer.clone(), ..Default::default() };
            let is_seen = client.peers().get_peer(get).await.is_ok();
            assert!(!(is_known && is_missing), "{caller} about {peer}");
            assert!(is_known || is_seen || is_missing, "{caller} about {peer}");
            hidden += usize::from(is_missing);

            let checks = all.permissions.iter().map(|name| (name.clone(), item(peer, name, account)));
            let listed = permissions(&client, peer, account).await;
            let listed = rows(listed, |row| (row.permission, (row.decision, row.reason, row.role_binding)));
            assert_eq!(listed, cells(&client, checks.collect()).await, "{caller} about {peer} on {account}");
            shown += listed.len();
            if peer == caller {
                continue;
            }
            let others = all.peers.iter().filter(|peer| *peer != caller);
            let checks = others.map(|peer| (peer.clone(), item(peer, permission, account)));
            let Ok(listed) = peers(&client, account, permission).await else { continue };
            let listed = listed.into_iter().filter(|row| row.peer != *caller).collect();
            let listed = rows(Ok(listed), |row| (row.peer, (row.decision, row.reason, row.role_binding)));
            assert_eq!(listed, cells(&client, checks.collect()).await, "{caller} on {account}");
            shown += listed.len();
        }
    }
    assert!(shown > 500 && hidden > 10, "{shown} rows, {hidden} times nobody, of {} callers", callers.len());
    server.stop().await;
}
