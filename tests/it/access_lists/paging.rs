//! Pages, filters and what requests get wrong.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{accounts, peers};
use crate::support::{Server, bad_fields, reason};

const TECHNICIAN: &str = "roles/opspilot365.technician";
const READ_ONLY: &str = "roles/opspilot365.read_only";

fn of(peer: &str, page_token: &str) -> pb::ListAccessibleAccountsRequest {
    pb::ListAccessibleAccountsRequest {
        peer: peer.to_owned(),
        permission: "users.view".to_owned(),
        page_size: 3,
        page_token: page_token.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn pages_go_on_while_accounts_come_go_and_move() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["opspilot365"]).await;
    let other = server.partner("other", &["opspilot365"]).await;
    for number in 10..20 {
        server.customer(&format!("c-{number}"), &msp).await;
    }
    let emily = server.person(&msp, "emily", READ_ONLY).await;
    let page = async |token: &str| {
        let page = operator.access().list_accessible_accounts(of(&emily.name, token)).await.unwrap().into_inner();
        let names = page.accounts.into_iter().map(|row| row.account).collect::<Vec<_>>();
        (names, page.next_page_token, page.revision)
    };
    let (first, token, revision) = page("").await;
    assert_eq!(first, ["accounts/c-10", "accounts/c-11", "accounts/c-12"]);
    // The place where the list goes on is gone, one before it is new, one after it moved away, and one
    // came from elsewhere.
    let delete = pb::DeleteAccountRequest { name: "accounts/c-12".to_owned(), ..Default::default() };
    operator.accounts().delete_account(delete).await.unwrap();
    server.customer("c-11a", &msp).await;
    server.customer("c-13a", &other).await;
    for (account, parent) in [("accounts/c-14", &other), ("accounts/c-13a", &msp)] {
        let relocate = pb::MoveAccountRequest {
            name: account.to_owned(),
            destination_parent: parent.clone(),
            ..Default::default()
        };
        operator.accounts().move_account(relocate).await.unwrap();
    }
    let (second, token, later) = page(&token).await;
    assert_eq!(second, ["accounts/c-13", "accounts/c-13a", "accounts/c-15"]);
    assert!(later > revision);
    let (third, token, _) = page(&token).await;
    assert_eq!(third, ["accounts/c-16", "accounts/c-17", "accounts/c-18"]);
    let (fourth, token, _) = page(&token).await;
    assert_eq!((fourth, token.as_str()), (vec!["accounts/c-19".to_owned(), msp], ""));
    server.stop().await;
}

#[tokio::test]
async fn a_token_is_of_one_list() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["opspilot365"]).await;
    for number in 0..5 {
        server.customer(&format!("customer-{number}"), &msp).await;
    }
    let emily = server.person(&msp, "emily", READ_ONLY).await;
    let first = operator.access().list_accessible_accounts(of(&emily.name, "")).await.unwrap().into_inner();
    let good = of(&emily.name, &first.next_page_token);
    let on = pb::ListAccessibleAccountsRequest { page_size: 100, ..good.clone() };
    assert_eq!(operator.access().list_accessible_accounts(on).await.unwrap().into_inner().accounts.len(), 3);
    let of_it = |change: &dyn Fn(&mut pb::ListAccessibleAccountsRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for other in [
        of_it(&|request| request.peer.clear()),
        of_it(&|request| request.permission = "users.reset_password".to_owned()),
        of_it(&|request| request.root_account = msp.clone()),
        of_it(&|request| request.filter = "kind = CUSTOMER".to_owned()),
        of_it(&|request| {
            request.context = Some(pb::DecisionContext { source_address: "192.0.2.1".to_owned(), ..Default::default() })
        }),
    ] {
        let status = operator.access().list_accessible_accounts(other).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), bad_fields(&status)), ("PAGE_TOKEN_INVALID", vec!["page_token".into()]));
    }
    let status = emily.client.access().list_accessible_accounts(good).await.unwrap_err();
    assert_eq!(reason(&status), "PAGE_TOKEN_INVALID", "another caller");
    server.stop().await;
}

#[tokio::test]
async fn filters_choose_rows_and_never_more() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["opspilot365", "mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    server.department("sales", &customer).await;
    let emily = server.person_on(&msp, "emily", TECHNICIAN, &[&customer]).await;
    let robot = server.peer(&customer, "robot", "roles/mspcontrol.device", pb::PeerKind::Device, &[]).await;
    let by = |permission: &str, filter: &str| pb::ListAccessibleAccountsRequest {
        permission: permission.to_owned(),
        filter: filter.to_owned(),
        ..of(&emily.name, "")
    };
    for (permission, filter, expected) in [
        ("users.view", "", 2),
        ("users.view", "kind = CUSTOMER", 1),
        ("users.view", "kind = ACCOUNT_KIND_DEPARTMENT AND decision = ALLOW", 1),
        ("users.view", "kind = PLATFORM", 0),
        ("users.view", "decision = REQUIRES_APPROVAL", 0),
        ("licenses.order", "decision = REQUIRES_APPROVAL", 2),
        ("licenses.order", "decision = DECISION_ALLOW", 0),
    ] {
        let found = operator.access().list_accessible_accounts(by(permission, filter)).await.unwrap().into_inner();
        assert_eq!((found.accounts.len(), found.next_page_token.as_str()), (expected, ""), "{permission} {filter}");
    }
    let all = peers(&operator, &customer, "agents.report_results").await.unwrap();
    assert!(all.len() >= 2, "{all:?}");
    for (filter, expected) in [
        (format!("kind = DEVICE AND home_account = {customer}"), vec![robot.name.as_str()]),
        (format!("kind = PERSON AND home_account = {customer}"), vec![]),
        (format!("home_account = {msp}"), vec![]),
    ] {
        let request = pb::ListAuthorizedPeersRequest {
            account: customer.clone(),
            permission: "agents.report_results".to_owned(),
            filter: filter.clone(),
            ..Default::default()
        };
        let found = operator.access().list_authorized_peers(request).await.unwrap().into_inner();
        assert_eq!(super::uids(&found.peers), expected, "{filter}");
    }
    let of_catalogue = async |filter: &str| {
        let request = pb::ListEffectivePermissionsRequest {
            account: customer.clone(),
            filter: filter.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        operator.access().list_effective_permissions(request).await.unwrap().into_inner().permissions
    };
    let all = of_catalogue("").await;
    let licenses = of_catalogue("resource = licenses").await;
    assert!(licenses.len() > 1 && licenses.iter().all(|row| row.permission.starts_with("licenses.")));
    let (privileged, plain) = (of_catalogue("privileged = true").await, of_catalogue("privileged = false").await);
    assert!(!privileged.is_empty() && privileged.len() + plain.len() == all.len());
    assert!(privileged.iter().any(|row| row.permission == "accounts.move"));
    let agents = of_catalogue("feature = \"Agents\"").await;
    assert!(!agents.is_empty() && agents.iter().all(|row| row.permission.starts_with("agents.")), "{agents:?}");
    server.stop().await;
}

#[tokio::test]
async fn all_that_is_wrong_is_named_at_once() {
    let server = Server::start().await;
    let operator = server.operator();
    let request = pb::ListAccessibleAccountsRequest {
        peer: "emily".to_owned(),
        permission: "users".to_owned(),
        root_account: "contoso".to_owned(),
        context: Some(pb::DecisionContext { source_address: "here".to_owned(), ..Default::default() }),
        consistency: Some(pb::Consistency { requirement: Some(pb::consistency::Requirement::AtLeastRevision(-1)) }),
        page_size: -1,
        page_token: "made up".to_owned(),
        filter: "kind = SHOP AND decision = DENY".to_owned(),
    };
    let mut bad = bad_fields(&operator.access().list_accessible_accounts(request).await.unwrap_err());
    bad.sort();
    let expected = [
        "consistency.at_least_revision",
        "context.source_address",
        "filter",
        "filter",
        "page_size",
        "page_token",
        "peer",
        "permission",
        "root_account",
    ];
    assert_eq!(bad, expected);
    for filter in ["decision = DENY", "kind = SHOP", "title = x", "kind = CUSTOMER OR kind = PARTNER", "kind"] {
        let request = pb::ListAccessibleAccountsRequest { filter: filter.to_owned(), ..of("", "") };
        let status = operator.access().list_accessible_accounts(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FILTER_INVALID"), "{filter}");
    }
    let status = accounts(&operator, "", "users.fly", "").await.unwrap_err();
    assert_eq!((reason(&status).as_str(), bad_fields(&status)), ("PERMISSION_UNKNOWN", vec!["permission".to_owned()]));
    let status = peers(&operator, "accounts/platform", "users.fly").await.unwrap_err();
    assert_eq!(reason(&status), "PERMISSION_UNKNOWN");
    server.stop().await;
}

#[tokio::test]
async fn a_list_waits_for_the_revision_that_is_asked_for_and_says_its_own() {
    let server = Server::start().await;
    let operator = server.operator();
    let at_least = |revision| pb::ListAccessibleAccountsRequest {
        consistency: Some(pb::Consistency {
            requirement: Some(pb::consistency::Requirement::AtLeastRevision(revision)),
        }),
        ..of("", "")
    };
    let now = operator.access().list_accessible_accounts(of("", "")).await.unwrap().into_inner().revision;
    let answer = operator.access().list_accessible_accounts(at_least(now)).await.unwrap().into_inner();
    assert_eq!(answer.revision, now);
    let mut far = tonic::Request::new(at_least(now + 100));
    far.set_timeout(std::time::Duration::from_millis(500));
    let status = operator.access().list_accessible_accounts(far).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "REVISION_NOT_REACHED"));
    server.stop().await;
}
