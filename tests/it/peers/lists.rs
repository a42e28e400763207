//! Lists of peers.

use std::collections::BTreeMap;

use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::{Server, bad_fields};

async fn page(client: &Client, request: &pb::ListPeersRequest) -> pb::ListPeersResponse {
    client.peers().list_peers(request.clone()).await.unwrap().into_inner()
}

async fn all(client: &Client, mut request: pb::ListPeersRequest) -> Vec<pb::Peer> {
    let mut found = Vec::new();
    loop {
        let next = page(client, &request).await;
        found.extend(next.peers);
        if next.next_page_token.is_empty() {
            return found;
        }
        request.page_token = next.next_page_token;
    }
}

#[tokio::test]
async fn mc_19_pages_neither_skip_nor_repeat_while_peers_come_and_go() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let mut made = Vec::new();
    for number in 0..25 {
        made.push(create(&operator, wish(&partner, &format!("peer-{number}"), READ_ONLY)).await.unwrap().name);
        server.advance(std::time::Duration::from_millis(1));
    }
    let mut request = pb::ListPeersRequest { account: partner.clone(), page_size: 4, ..Default::default() };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let (mut gone, mut round) = (Vec::new(), 0);
    loop {
        let next = page(&operator, &request).await;
        assert!(next.peers.len() <= 4);
        for peer in next.peers {
            *seen.entry(peer.name).or_default() += 1;
        }
        // One that was listed, one that was not, and a new one.
        for name in [made.get(round), made.get(24 - round)].into_iter().flatten() {
            if !gone.contains(name) {
                delete(&operator, name).await.unwrap();
                gone.push(name.clone());
            }
        }
        create(&operator, wish(&partner, &format!("late-{round}"), READ_ONLY)).await.unwrap();
        round += 1;
        if next.next_page_token.is_empty() {
            break;
        }
        request.page_token = next.next_page_token;
    }
    assert!(seen.values().all(|count| *count == 1), "a peer was listed twice");
    for name in made.iter().filter(|name| !gone.contains(name)) {
        assert!(seen.contains_key(name), "{name} was skipped");
    }
    server.stop().await;
}

#[tokio::test]
async fn mc_04_mc_16_lists_show_an_account_and_filter_by_kind_and_state() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let operator = server.operator();
    let at_partner = server.person(&partner, "partner-peer", READ_ONLY).await.name;
    let at_customer = server.person(&customer, "customer-peer", READ_ONLY).await.name;
    let device = server.peer(&customer, "agent", "roles/mspcontrol.device", pb::PeerKind::Device, &[]).await.name;
    let off = server.person(&customer, "off", READ_ONLY).await.name;
    disable(&operator, &off).await.unwrap();
    let deleted = server.person(&customer, "deleted", READ_ONLY).await.name;
    delete(&operator, &deleted).await.unwrap();

    let names = async |account: &str, filter: &str, view: pb::PeerListView, show_deleted: bool| {
        let request = pb::ListPeersRequest {
            account: account.to_owned(),
            filter: filter.to_owned(),
            view: view.into(),
            show_deleted,
            page_size: 2,
            ..Default::default()
        };
        let mut names: Vec<String> = all(&operator, request).await.into_iter().map(|peer| peer.name).collect();
        names.sort();
        names
    };
    let sorted = |names: &[&String]| {
        let mut names: Vec<String> = names.iter().map(|name| (*name).clone()).collect();
        names.sort();
        names
    };
    let home = pb::PeerListView::HomeSubtree;
    assert_eq!(names(&partner, "", home, false).await, sorted(&[&at_partner, &at_customer, &device, &off]));
    assert_eq!(names(&customer, "", home, false).await, sorted(&[&at_customer, &device, &off]));
    assert_eq!(names(&customer, "", home, true).await, sorted(&[&at_customer, &device, &off, &deleted]));
    assert_eq!(names(&customer, "kind = DEVICE", home, false).await, sorted(&[&device]));
    assert_eq!(names(&customer, "state = \"DISABLED\"", home, false).await, sorted(&[&off]));
    assert_eq!(names(&customer, "kind=PERSON AND state=ENABLED", home, false).await, sorted(&[&at_customer]));
    assert_eq!(names(&customer, "state = DELETED", home, true).await, sorted(&[&deleted]));
    let with_access = names(&customer, "", pb::PeerListView::WithAccess, false).await;
    let operator_name = get(&operator, "peers/me").await.unwrap().name;
    assert_eq!(with_access, sorted(&[&at_partner, &at_customer, &device, &off, &operator_name]));
    server.stop().await;
}

#[tokio::test]
async fn what_a_list_cannot_do_is_refused_by_field() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let good = pb::ListPeersRequest { account: partner.clone(), ..Default::default() };
    for (reason_wanted, field, request) in [
        ("INVALID_FIELDS", "query", pb::ListPeersRequest { query: "x".repeat(129), ..good.clone() }),
        ("ORDER_BY_INVALID", "order_by", pb::ListPeersRequest { order_by: "x".repeat(129), ..good.clone() }),
        ("FILTER_INVALID", "filter", pb::ListPeersRequest { filter: "password = x".into(), ..good.clone() }),
        ("FILTER_INVALID", "filter", pb::ListPeersRequest { filter: "kind = ROBOT".into(), ..good.clone() }),
        ("FILTER_INVALID", "filter", pb::ListPeersRequest { filter: "x".repeat(1025), ..good.clone() }),
        ("INVALID_FIELDS", "page_size", pb::ListPeersRequest { page_size: -1, ..good.clone() }),
        ("INVALID_FIELDS", "view", pb::ListPeersRequest { view: 9, ..good.clone() }),
        ("INVALID_FIELDS", "account", pb::ListPeersRequest { account: String::new(), ..good.clone() }),
    ] {
        let status = operator.peers().list_peers(request).await.unwrap_err();
        let told = (status.code(), reason(&status), bad_fields(&status));
        assert_eq!(told, (Code::InvalidArgument, reason_wanted.to_owned(), vec![field.to_owned()]));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_token_belongs_to_its_query() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let other = server.partner("fabrikam-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    for number in 0..3 {
        create(&operator, wish(&partner, &format!("peer-{number}"), READ_ONLY)).await.unwrap();
    }
    let request = pb::ListPeersRequest { account: partner.clone(), page_size: 2, ..Default::default() };
    let token = page(&operator, &request).await.next_page_token;
    assert!(!token.is_empty());
    let good = pb::ListPeersRequest { page_token: token, ..request };
    // Another size is no other query.
    assert_eq!(page(&operator, &pb::ListPeersRequest { page_size: 9, ..good.clone() }).await.peers.len(), 1);
    for wrong in [
        pb::ListPeersRequest { account: other, ..good.clone() },
        pb::ListPeersRequest { filter: "kind = PERSON".into(), ..good.clone() },
        pb::ListPeersRequest { show_deleted: true, ..good.clone() },
        pb::ListPeersRequest { view: pb::PeerListView::WithAccess.into(), ..good.clone() },
        pb::ListPeersRequest { page_token: "x".into(), ..good.clone() },
        pb::ListPeersRequest { page_token: format!("{}00", good.page_token), ..good.clone() },
        pb::ListPeersRequest { page_token: "0".repeat(5000), ..good.clone() },
    ] {
        let told = why(operator.peers().list_peers(wrong).await);
        assert_eq!(told, is(Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
    }
    server.stop().await;
}
