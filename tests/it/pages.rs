//! Page tokens: what they tell, whose they are, and for how long.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use peerage::app;
use peerage::application::Clock;
use peerage::transport::grpc::pb;
use tonic::{Code, Status};

use crate::support::{Client, PostgresDatabase, Server, bad_fields, config, reason};

const ADMIN: &str = "roles/msp-panel.msp_admin";

async fn list(client: &Client, request: &pb::ListAccountsRequest) -> Result<pb::ListAccountsResponse, Status> {
    client.accounts().list_accounts(request.clone()).await.map(tonic::Response::into_inner)
}

fn titled(page_size: i32) -> pb::ListAccountsRequest {
    pb::ListAccountsRequest { page_size, order_by: "title".to_owned(), ..pb::ListAccountsRequest::default() }
}

fn assert_refused(answer: Result<pb::ListAccountsResponse, Status>, why: &str) {
    let status = answer.expect_err(why);
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"), "{why}");
    assert_eq!(bad_fields(&status), ["page_token"], "{why}");
}

/// A partner with customers, and one beside it that nobody of the first may see.
async fn world(server: &Server) -> String {
    let msp = server.partner("msp", &["msp-panel"]).await;
    for number in 0..4 {
        server.customer(&format!("customer-{number}"), &msp).await;
    }
    let other = server.partner("other", &["msp-panel"]).await;
    server.customer("hidden", &other).await;
    msp
}

/// A place in a list as it was written before it was sealed: in hexadecimal, behind a CRC-32 that
/// anybody can compute.
fn made_up(query: &str, place: &str) -> String {
    let sum = crc32fast::hash(&[query.as_bytes(), &[0], place.as_bytes()].concat());
    sum.to_be_bytes().iter().chain(place.as_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_made_up_place_does_not_tell_what_a_hidden_account_is_called() {
    let server = Server::start().await;
    let msp = world(&server).await;
    let emily = server.person(&msp, "emily", ADMIN).await;
    for place in ["hidden", "other", "customer-1"] {
        let page_token = made_up("accounts of  below false where  by title", place);
        let request = pb::ListAccountsRequest { page_token, ..titled(50) };
        assert_refused(list(&emily.client, &request).await, place);
    }
}

#[tokio::test]
async fn a_token_says_nothing_to_whoever_holds_it() {
    let server = Server::start().await;
    let msp = world(&server).await;
    let emily = server.person(&msp, "emily", ADMIN).await;
    let page = list(&emily.client, &titled(2)).await.unwrap();
    let shown = page.accounts.last().unwrap().uid.clone();
    let hex: String = shown.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = URL_SAFE_NO_PAD.decode(&page.next_page_token).unwrap();
    let holds = |part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(!page.next_page_token.contains(&hex) && !holds(&shown) && !holds(&hex));
    // Two tokens of one place have nothing in common either.
    let again = list(&emily.client, &titled(2)).await.unwrap();
    assert_eq!(again.accounts, page.accounts);
    assert_ne!(again.next_page_token, page.next_page_token);
    assert_eq!(again.next_page_token.len(), page.next_page_token.len());
}

#[tokio::test]
async fn a_token_serves_one_caller_one_query_and_one_day() {
    let server = Server::start().await;
    let msp = world(&server).await;
    let emily = server.person(&msp, "emily", ADMIN).await;
    let john = server.person(&msp, "john", ADMIN).await;
    let first = list(&emily.client, &titled(2)).await.unwrap();
    let good = pb::ListAccountsRequest { page_token: first.next_page_token, ..titled(2) };
    // Size and columns are no part of the query.
    let mask = prost_types::FieldMask { paths: vec!["name".to_owned()] };
    for free in [
        good.clone(),
        pb::ListAccountsRequest { page_size: 1, ..good.clone() },
        pb::ListAccountsRequest { read_mask: Some(mask), ..good.clone() },
    ] {
        let page = list(&emily.client, &free).await.unwrap();
        assert_eq!(page.accounts[0].name, "accounts/customer-2");
    }
    assert_refused(list(&john.client, &good).await, "another caller");
    assert_refused(list(&server.operator(), &good).await, "the operator");
    for (what, other) in [
        ("parent_account", pb::ListAccountsRequest { parent_account: msp.clone(), ..good.clone() }),
        ("include_descendants", pb::ListAccountsRequest { include_descendants: true, ..good.clone() }),
        ("filter", pb::ListAccountsRequest { filter: "kind = CUSTOMER".to_owned(), ..good.clone() }),
        ("order_by", pb::ListAccountsRequest { order_by: "title desc".to_owned(), ..good.clone() }),
    ] {
        assert_refused(list(&emily.client, &other).await, what);
    }
    let peers = pb::ListPeersRequest { account: msp, page_token: good.page_token.clone(), ..Default::default() };
    let status = emily.client.peers().list_peers(peers).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["page_token"]);
    server.advance(Duration::from_secs(24 * 3600 - 1));
    assert!(list(&emily.client, &good).await.is_ok());
    server.advance(Duration::from_secs(1));
    assert_refused(list(&emily.client, &good).await, "a day later");
}

#[tokio::test]
async fn all_processes_of_a_deployment_take_each_others_tokens_and_no_others() {
    let database = PostgresDatabase::create().await;
    let url = database.url.clone();
    let server = Server::start_on(&url, tempfile::tempdir().unwrap()).await;
    world(&server).await;
    let first = list(&server.operator(), &titled(2)).await.unwrap();
    let good = pb::ListAccountsRequest { page_token: first.next_page_token, ..titled(2) };
    let second = app::start(&config(&url), Clock::System).await.unwrap();
    let page = list(&server.operator(), &good).await.unwrap();
    let clock = Clock::Manual(std::sync::Arc::new(crate::support::BEGIN_MICROS.into()));
    let third = app::start(&config(&url), clock).await.unwrap();
    let elsewhere = server.operator_at(&third.address().to_string());
    assert_eq!(list(&elsewhere, &good).await.unwrap().accounts, page.accounts);
    // The second one's clock is that of today, long after the token's end.
    assert_refused(list(&server.operator_at(&second.address().to_string()), &good).await, "an old token");
    second.stop().await.unwrap();
    third.stop().await.unwrap();
    let stranger = Server::start().await;
    world(&stranger).await;
    assert_refused(list(&stranger.operator(), &good).await, "another deployment");
    server.stop().await;
    database.drop().await;
}

#[tokio::test]
async fn what_is_scattered_over_many_places_is_listed_in_one_order() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let mut own = Vec::new();
    for number in 0..140 {
        let customer = server.customer(&format!("customer-{number:03}"), &msp).await;
        if number % 2 == 0 {
            own.push(customer);
        }
    }
    let accounts: Vec<&str> = own.iter().map(String::as_str).collect();
    let mike = server.person_on(&msp, "mike", "roles/msp-panel.msp_user", &accounts).await;
    for order in ["", "title desc", "create_time"] {
        let mut request = pb::ListAccountsRequest { order_by: order.to_owned(), ..titled(9) };
        let mut seen = Vec::new();
        loop {
            let page = list(&mike.client, &request).await.unwrap();
            seen.extend(page.accounts.into_iter().map(|account| account.name));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        if order.ends_with("desc") {
            seen.reverse();
        }
        assert_eq!(seen, own, "{order}");
    }
}
