//! Lists: who sees what, in which order, page by page.

use tonic::{Code, Status};

use super::{ADMIN, USER, set_access, set_labels, suspend, update};
use crate::support::{Client, Server, reason};
use peerage::transport::grpc::pb;

fn below(parent: &str) -> pb::ListAccountsRequest {
    pb::ListAccountsRequest { parent_account: parent.to_owned(), ..pb::ListAccountsRequest::default() }
}

async fn page(client: &Client, request: pb::ListAccountsRequest) -> Result<pb::ListAccountsResponse, Status> {
    client.accounts().list_accounts(request).await.map(tonic::Response::into_inner)
}

async fn ids(client: &Client, request: pb::ListAccountsRequest) -> Vec<String> {
    let page = page(client, request).await.unwrap();
    assert_eq!(page.next_page_token, "");
    page.accounts.into_iter().map(|account| account.uid).collect()
}

async fn world(server: &Server) -> (String, String) {
    let msp = server.partner("msp", &["msp-panel"]).await;
    let contoso = server.customer("contoso", &msp).await;
    server.customer("fabrikam", &msp).await;
    server.department("sales", &contoso).await;
    server.partner("other", &["msp-panel"]).await;
    (msp, contoso)
}

#[tokio::test]
async fn children_descendants_and_everything() {
    let server = Server::start().await;
    let (msp, contoso) = world(&server).await;
    let admin = server.person(&msp, "emily", ADMIN).await;
    let user = server.person_on(&msp, "mike", USER, &[contoso.as_str()]).await;
    assert_eq!(ids(&admin.client, below(&msp)).await, ["contoso", "fabrikam"]);
    let all = pb::ListAccountsRequest { include_descendants: true, ..below(&msp) };
    assert_eq!(ids(&admin.client, all).await, ["contoso", "fabrikam", "sales"]);
    assert_eq!(ids(&admin.client, below("")).await, ["contoso", "fabrikam", "msp", "sales"]);
    assert_eq!(ids(&user.client, below("")).await, ["contoso", "sales"]);
    assert_eq!(page(&user.client, below(&msp)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(ids(&server.operator(), below("")).await, ["contoso", "fabrikam", "msp", "other", "platform", "sales"]);
}

#[tokio::test]
async fn filters_and_orders() {
    let server = Server::start().await;
    let operator = server.operator();
    let (msp, contoso) = world(&server).await;
    set_labels(&operator, &contoso, &[("env", "test")]).await.unwrap();
    let titled = pb::Account { name: contoso.clone(), title: "Zulu \"Z\" ltd".to_owned(), ..pb::Account::default() };
    update(&operator, titled, &["title"]).await.unwrap();
    server.advance(std::time::Duration::from_secs(1));
    suspend(&operator, &contoso, pb::SuspensionScope::Subtree).await.unwrap();
    let filtered =
        |filter: &str| pb::ListAccountsRequest { filter: filter.to_owned(), include_descendants: true, ..below(&msp) };
    for (filter, expected) in [
        ("kind = CUSTOMER", vec!["contoso", "fabrikam"]),
        ("kind = ACCOUNT_KIND_DEPARTMENT", vec!["sales"]),
        ("state = SUSPENDED", vec!["contoso", "sales"]),
        ("state = ACTIVE AND kind = CUSTOMER", vec!["fabrikam"]),
        ("labels.env = test", vec!["contoso"]),
        (r#"title = "zulu \"z\" LTD""#, vec!["contoso"]),
    ] {
        assert_eq!(ids(&operator, filtered(filter)).await, expected, "{filter}");
    }
    for wrong in ["kind = PLANET", "size = 3", "kind", "kind = CUSTOMER OR state = ACTIVE"] {
        let status = page(&operator, filtered(wrong)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FILTER_INVALID"), "{wrong}");
    }
    let ordered = |order: &str| pb::ListAccountsRequest { order_by: order.to_owned(), ..below(&msp) };
    assert_eq!(ids(&operator, ordered("name desc")).await, ["fabrikam", "contoso"]);
    assert_eq!(ids(&operator, ordered("title")).await, ["fabrikam", "contoso"]);
    assert_eq!(ids(&operator, ordered("update_time desc")).await, ["contoso", "fabrikam"]);
    let status = page(&operator, ordered("size")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "ORDER_BY_INVALID"));
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    for number in 0..7 {
        server.customer(&format!("customer-{number}"), &msp).await;
        server.advance(std::time::Duration::from_secs(1));
    }
    for order in ["", "name desc", "title", "title desc", "create_time", "update_time desc"] {
        let mut request = pb::ListAccountsRequest { page_size: 3, order_by: order.to_owned(), ..below(&msp) };
        let mut seen = Vec::new();
        loop {
            let found = page(&operator, request.clone()).await.unwrap();
            assert!(found.accounts.len() <= 3);
            seen.extend(found.accounts.into_iter().map(|account| account.uid));
            if found.next_page_token.is_empty() {
                break;
            }
            request.page_token = found.next_page_token;
        }
        let mut expected: Vec<String> = (0..7).map(|number| format!("customer-{number}")).collect();
        if order.ends_with("desc") {
            expected.reverse();
        }
        assert_eq!(seen, expected, "{order}");
    }
    let first = page(&operator, pb::ListAccountsRequest { page_size: 3, ..below(&msp) }).await.unwrap();
    for wrong in [
        pb::ListAccountsRequest { page_token: first.next_page_token, page_size: 3, ..below("accounts/platform") },
        pb::ListAccountsRequest { page_token: "zz".to_owned(), ..below(&msp) },
    ] {
        let status = page(&operator, wrong).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
    }
    let negative = pb::ListAccountsRequest { page_size: -1, ..below(&msp) };
    assert_eq!(page(&operator, negative).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn filters_tell_nothing_of_accounts_seen_from_outside() {
    let server = Server::start().await;
    let operator = server.operator();
    let (msp, contoso) = world(&server).await;
    let admin = server.person(&msp, "emily", ADMIN).await;
    set_labels(&operator, &contoso, &[("tier", "gold")]).await.unwrap();
    let gold = pb::ListAccountsRequest { filter: "labels.tier = gold".to_owned(), ..below(&msp) };
    assert_eq!(ids(&admin.client, gold.clone()).await, ["contoso"]);
    set_access(&operator, &contoso, pb::PartnerAccessMode::Blocked, "asked for").await.unwrap();
    assert!(ids(&admin.client, gold).await.is_empty());
    let found = page(&admin.client, below(&msp)).await.unwrap().accounts;
    let outside = found.iter().find(|account| account.uid == "contoso").unwrap();
    assert!(outside.labels.is_empty() && outside.etag.is_empty() && outside.settings.is_none());
    assert!(!ids(&admin.client, below("")).await.contains(&"sales".to_owned()));
}

/// Of an account that shows no times, no order by time tells when it was made or changed.
#[tokio::test]
async fn orders_tell_nothing_of_accounts_seen_from_outside() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let admin = server.person(&msp, "emily", ADMIN).await;
    for id in ["one", "two", "three", "four", "five"] {
        server.customer(id, &msp).await;
        server.advance(std::time::Duration::from_secs(1));
    }
    let hide = async |id: &str| {
        let id = format!("accounts/{id}");
        set_access(&operator, &id, pb::PartnerAccessMode::Blocked, "asked for").await.unwrap();
        server.advance(std::time::Duration::from_secs(1));
    };
    for id in ["two", "four", "one"] {
        hide(id).await;
    }
    for (order, expected) in [
        ("create_time", ["three", "five", "four", "one", "two"]),
        ("create_time desc", ["five", "three", "four", "one", "two"]),
        ("update_time", ["three", "five", "four", "one", "two"]),
        ("update_time desc", ["five", "three", "four", "one", "two"]),
        ("name", ["five", "four", "one", "three", "two"]),
        ("title desc", ["two", "three", "one", "four", "five"]),
    ] {
        for page_size in 1..=6 {
            for parent in [msp.as_str(), ""] {
                let mut request = pb::ListAccountsRequest {
                    order_by: order.to_owned(),
                    filter: "kind = CUSTOMER".to_owned(),
                    page_size,
                    ..below(parent)
                };
                let mut seen = Vec::new();
                loop {
                    let found = page(&admin.client, request.clone()).await.unwrap();
                    assert!(found.accounts.len() <= usize::try_from(page_size).unwrap());
                    seen.extend(found.accounts.into_iter().map(|account| account.uid));
                    if found.next_page_token.is_empty() {
                        break;
                    }
                    request.page_token = found.next_page_token;
                }
                assert_eq!(seen, expected, "{order} by {page_size} below `{parent}`");
            }
        }
    }
    // Whoever sees all of them has the order as it is.
    let ordered = pb::ListAccountsRequest { order_by: "create_time".to_owned(), ..below(&msp) };
    assert_eq!(ids(&operator, ordered).await, ["one", "two", "three", "four", "five"]);
}
