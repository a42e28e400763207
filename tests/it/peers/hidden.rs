//! What is hidden of a peer neither shows in a list nor decides where it stands there.

use peerage::transport::grpc::pb;

use super::columns::{all, names, of, on_both, page, signed_in};
use super::*;
use crate::support::{Server, TestPeer};

/// A customer with its administrator and two peers, and three of the partner with access to it.
struct Shared {
    customer: String,
    admin: TestPeer,
    own: Vec<String>,
    partners: Vec<String>,
}

async fn shared(server: &Server) -> Shared {
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let operator = server.operator();
    let admin = server.person(&customer, "m-admin", "roles/mspcontrol.customer_admin_peer").await;
    let (mut own, mut partners) = (vec![admin.name.clone()], Vec::new());
    for (home, user_name, login) in [
        (&partner, "zed-secret", 30),
        (&customer, "kim", 20),
        (&partner, "abe-secret", 10),
        (&partner, "lee-secret", 40),
        (&customer, "yan", 5),
    ] {
        let mut request = wish(home, user_name, READ_ONLY);
        let peer = request.peer.as_mut().unwrap();
        peer.email = format!("{user_name}@mail.example");
        peer.org_user = user_name.to_owned();
        let made = create(&operator, on(&[&customer], request)).await.unwrap().name;
        signed_in(server, &made, login).await;
        if *home == customer { own.push(made) } else { partners.push(made) }
    }
    partners.push(get(&operator, "peers/me").await.unwrap().name);
    partners.sort();
    Shared { customer, admin, own, partners }
}

const ORDERS: [&str; 8] = ["", "name", "user_name", "email", "last_login_time", "state", "create_time", "org_user"];

#[tokio::test]
async fn peers_from_elsewhere_are_listed_last_by_name_whatever_the_order() {
    on_both(async |server: &Server| {
        let Shared { customer, admin, own, partners } = shared(server).await;
        let operator = server.operator();
        let with_access = pb::ListPeersRequest { view: pb::PeerListView::WithAccess.into(), ..of(&customer) };
        for round in 0..3 {
            for order in ORDERS.iter().flat_map(|order| [(*order).to_owned(), format!("{order} desc")]) {
                if order == " desc" {
                    continue;
                }
                let found =
                    all(&admin.client, &pb::ListPeersRequest { order_by: order.clone(), ..with_access.clone() }).await;
                let (full, restricted) = found.split_at(own.len());
                assert!(full.iter().all(|peer| own.contains(&peer.name) && !peer.user_name.is_empty()), "{order}");
                assert_eq!(names(restricted), partners, "{order}, round {round}");
                let bare = |peer: &pb::Peer| pb::Peer {
                    name: peer.name.clone(),
                    kind: peer.kind,
                    home_account: peer.home_account.clone(),
                    ..Default::default()
                };
                assert!(restricted.iter().all(|peer| *peer == bare(peer)), "{order} shows more");
            }
            // Nothing that is hidden moves them.
            let victim = get(&operator, ["peers/@zed-secret", "peers/@abe-secret", "peers/@lee-secret"][round])
                .await
                .unwrap()
                .name;
            signed_in(server, &victim, 1000).await;
            let renamed = pb::Peer { name: victim, email: format!("a{round}@x.example"), ..Default::default() };
            update(&operator, renamed, &["email"]).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn peers_from_elsewhere_are_not_found_by_what_is_hidden() {
    on_both(async |server: &Server| {
        let Shared { customer, admin, own, partners } = shared(server).await;
        let with_access =
            pb::ListPeersRequest { view: pb::PeerListView::WithAccess.into(), count_total: true, ..of(&customer) };
        let found = async |filter: &str, query: &str| {
            let request = pb::ListPeersRequest { filter: filter.into(), query: query.into(), ..with_access.clone() };
            let counted = page(&admin.client, &request).await.total_size;
            let found = all(&admin.client, &request).await;
            assert_eq!(counted, i64::try_from(found.len()).unwrap(), "{filter} {query}");
            found.into_iter().filter(|peer| partners.contains(&peer.name)).count()
        };
        assert_eq!(found("", "").await, partners.len());
        for query in ["secret", "abe-secret@mail.example", "abe", "a", "operator"] {
            assert_eq!(found("", query).await, 0, "{query}");
        }
        for filter in [
            "state = ENABLED",
            "state != ENABLED",
            "NOT state = DISABLED",
            "state = ENABLED OR state != ENABLED",
            "org_user = abe-secret",
            "NOT org_user = abe-secret",
            "last_login_time:* OR NOT last_login_time:*",
            "last_login_time > 2020-01-01T00:00:00Z",
            "create_time > 2020-01-01T00:00:00Z",
            "default_role != roles/core.auditor",
            "administrator = true",
            "administrator = false",
            "two_factor_provider = NONE",
            "require_external_login = false",
            "kind = PERSON AND mail_format = HTML",
        ] {
            assert_eq!(found(filter, "").await, 0, "{filter}");
        }
        for filter in [
            "kind = PERSON",
            "NOT kind = DEVICE",
            "kind = PERSON OR state = DISABLED",
            "home_account != accounts/fabrikam OR kind = DEVICE",
        ] {
            assert_eq!(found(filter, "").await, partners.len(), "{filter}");
        }
        assert_eq!(found("home_account = accounts/contoso-msp", "").await, 3);
        assert_eq!(found("kind = DEVICE", "").await, 0);
        // Pages of one go on from the one kind to the other.
        let mut request = pb::ListPeersRequest { page_size: 1, order_by: "email".into(), ..with_access.clone() };
        let mut seen = Vec::new();
        loop {
            let next = page(&admin.client, &request).await;
            seen.extend(next.peers.into_iter().map(|peer| peer.name));
            if next.next_page_token.is_empty() {
                break;
            }
            request.page_token = next.next_page_token;
        }
        assert_eq!(seen.len(), own.len() + partners.len());
    })
    .await;
}

#[tokio::test]
async fn a_denied_branch_leaves_no_trace_in_lists_from_above() {
    on_both(async |server: &Server| {
        let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
        let (open, secret) = (server.customer("open", &partner).await, server.customer("secret", &partner).await);
        let viewer = server.person(&partner, "viewer", READ_ONLY).await;
        let blind = server.custom_role(&partner, &["!peers.*"]).await;
        let seen = server.person(&open, "seen", READ_ONLY).await.name;
        let hidden = server.person(&secret, "hidden", READ_ONLY).await.name;
        let both = server.person_on(&secret, "both", READ_ONLY, &[&secret]).await.name;
        server.bind(&viewer.name, &blind, &secret).await;

        let listed = async |request: pb::ListPeersRequest| {
            let counted = page(&viewer.client, &pb::ListPeersRequest { count_total: true, ..request.clone() }).await;
            let found = all(&viewer.client, &request).await;
            assert_eq!(counted.total_size, i64::try_from(found.len()).unwrap(), "{request:?}");
            found.into_iter().map(|peer| peer.name).collect::<Vec<_>>()
        };
        let base = pb::ListPeersRequest { order_by: "user_name".into(), ..of(&partner) };
        assert_eq!(listed(base.clone()).await, [seen.as_str(), viewer.name.as_str()]);
        assert!(listed(pb::ListPeersRequest { query: "hidden".into(), ..base.clone() }).await.is_empty());
        assert!(
            listed(pb::ListPeersRequest { filter: "home_account = accounts/secret".into(), ..base.clone() })
                .await
                .is_empty()
        );
        assert_eq!(
            why(viewer.client.peers().list_peers(of(&secret)).await),
            is(Code::PermissionDenied, "PERMISSION_DENIED")
        );

        // With access to an open account one of them is there, last, and no more is told.
        server.bind(&both, READ_ONLY, &open).await;
        for order_by in ["user_name", "user_name desc", "create_time", ""] {
            let found = listed(pb::ListPeersRequest { order_by: order_by.into(), ..base.clone() }).await;
            assert_eq!((found.len(), found.last()), (3, Some(&both)), "{order_by}");
        }
        assert!(listed(pb::ListPeersRequest { query: "both".into(), ..base.clone() }).await.is_empty());
        assert_eq!(
            listed(pb::ListPeersRequest { filter: "home_account = accounts/secret".into(), ..base }).await,
            [both]
        );
        assert_ne!(hidden, viewer.name);
    })
    .await;
}

#[tokio::test]
async fn who_is_homed_elsewhere_stands_in_the_list_with_the_others() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let tech = server.person_on(&partner, "tech", READ_ONLY, &[&customer]).await;
    let other = server.person_on(&partner, "other", READ_ONLY, &[&customer]).await;
    let with_access =
        pb::ListPeersRequest { view: pb::PeerListView::WithAccess.into(), count_total: true, ..of(&customer) };
    let found = page(&tech.client, &with_access).await;
    let listed = names(&found.peers);
    assert!(listed.contains(&tech.name.as_str()) && listed.contains(&other.name.as_str()), "{listed:?}");
    assert_eq!(found.total_size as usize, listed.len());
    server.stop().await;
}
