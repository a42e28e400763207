//! Filters, searches, read masks and pages of the list of peers.

use std::collections::BTreeMap;

use peerage::transport::grpc::pb;
use tonic::Code;

use super::columns::{all, crowd, of, on_both, page, user_names};
use super::*;
use crate::support::{Server, bad_fields};

async fn filters(server: &Server) {
    let (partner, customer) = crowd(server).await;
    let operator = server.operator();
    server.person(&partner, "staff", READ_ONLY).await;
    let listed = async |filter: &str| {
        let request = pb::ListPeersRequest {
            filter: filter.into(),
            order_by: "user_name".into(),
            count_total: true,
            ..of(&customer)
        };
        let counted = page(&operator, &request).await.total_size;
        let found = all(&operator, &request).await;
        assert_eq!(counted, i64::try_from(found.len()).unwrap(), "{filter}");
        user_names(&found).join(" ")
    };
    let everyone = "Adam agent-7 bob.smith boss eve_100% former zoe ÉMILE 王芳";
    for (filter, wanted) in [
        ("", everyone),
        ("state = ENABLED", "Adam agent-7 bob.smith boss eve_100% zoe ÉMILE 王芳"),
        ("state = DISABLED", "former"),
        ("state != PEER_STATE_ENABLED", "former"),
        ("kind = DEVICE", "agent-7"),
        ("administrator = true", "boss"),
        ("administrator = true AND state = DISABLED", ""),
        ("administrator != true AND kind = PERSON AND state = ENABLED", "Adam bob.smith eve_100% zoe ÉMILE 王芳"),
        ("NOT (kind = DEVICE OR state = DISABLED) AND NOT last_login_time:*", "bob.smith boss ÉMILE"),
        ("two_factor_provider = EMAIL OR two_factor_provider = TOTP", "bob.smith zoe ÉMILE 王芳"),
        ("two_factor_provider = \"NONE\" AND kind = PERSON", "Adam boss eve_100% former"),
        ("org_user = \"ORG 1\"", "Adam ÉMILE"),
        ("org_user:*", "Adam bob.smith ÉMILE"),
        ("-org_user:* AND last_login_time:*", "eve_100% zoe 王芳"),
        ("mail_format = PLAIN_TEXT", "Adam"),
        ("require_external_login = true", "Adam"),
        ("require_external_login != true AND state = DISABLED", "former"),
        ("expire_time:*", "Adam"),
        ("expire_time > 2026-01-01T00:00:00Z", "Adam"),
        ("last_login_time < \"2026-01-05T08:00:30Z\"", "Adam eve_100%"),
        ("last_login_time >= 2026-01-05T08:00:30Z", "zoe 王芳"),
        ("last_login_time = 2026-01-05T08:00:30Z", "王芳"),
        ("last_login_time != 2026-01-05T08:00:30Z", "Adam eve_100% zoe"),
        ("microsoft_account_status = LINKED", ""),
        ("microsoft_account_status = NOT_LINKED AND kind = DEVICE", "agent-7"),
        ("default_role = \"roles/mspcontrol.administrator\"", "boss"),
        ("default_role != roles/mspcontrol.read_only AND kind = PERSON", "boss"),
        ("home_account = accounts/fabrikam AND state = DISABLED", "former"),
        ("home_account = accounts/contoso-msp", ""),
        ("create_time:* AND state = DISABLED", "former"),
    ] {
        assert_eq!(listed(filter).await, wanted, "{filter}");
    }
    let both = pb::ListPeersRequest { filter: "kind = PERSON".into(), query: "a@".into(), ..of(&customer) };
    assert_eq!(user_names(&all(&operator, &both).await), ["eve_100%"]);
}

#[tokio::test]
async fn mc_16_filters_combine_with_sorting_and_isolate_inactive_device_and_administrative_peers() {
    on_both(filters).await;
}

async fn searches(server: &Server) {
    let (_, customer) = crowd(server).await;
    let operator = server.operator();
    for (query, wanted) in [
        ("adam", vec!["Adam", "ÉMILE"]),
        ("E\u{301}mil", vec!["Adam", "ÉMILE"]),
        ("SMITH", vec!["bob.smith"]),
        ("b.example", vec!["eve_100%", "zoe"]),
        ("王芳", vec!["王芳"]),
        ("王芳小", vec!["王芳"]),
        ("0%", vec![]),
        ("100%", vec!["eve_100%"]),
        ("_10", vec!["eve_100%"]),
        ("e_1", vec!["eve_100%"]),
        ("a_e", vec![]),
        ("\"the\" o'n", vec!["eve_100%"]),
        ("\" OR \"", vec![]),
        ("ex%le", vec![]),
        ("ag", vec!["agent-7"]),
        ("nobody at all", vec![]),
        ("   ", vec!["Adam", "agent-7", "bob.smith", "boss", "eve_100%", "former", "zoe", "ÉMILE", "王芳"]),
    ] {
        let request = pb::ListPeersRequest {
            query: query.into(),
            order_by: "user_name".into(),
            count_total: true,
            ..of(&customer)
        };
        assert_eq!(user_names(&all(&operator, &request).await), wanted, "{query}");
        assert_eq!(page(&operator, &request).await.total_size, i64::try_from(wanted.len()).unwrap(), "{query}");
        let everywhere = pb::ListPeersRequest { account: "accounts/platform".into(), ..request };
        let found = all(&operator, &everywhere).await;
        assert!(query.trim().is_empty() || user_names(&found) == wanted, "{query} everywhere");
    }
    // What is found follows every change.
    let renamed = pb::Peer { name: "peers/@zoe".into(), user_name: "chloe".into(), ..Default::default() };
    update(&operator, renamed, &["user_name"]).await.unwrap();
    let found =
        async |query: &str| all(&operator, &pb::ListPeersRequest { query: query.into(), ..of(&customer) }).await;
    assert_eq!(user_names(&found("chloe").await), ["chloe"]);
    delete(&operator, "peers/@chloe").await.unwrap();
    assert!(found("chloe").await.is_empty());
}

#[tokio::test]
async fn mc_17_a_search_finds_by_user_name_full_name_and_e_mail() {
    on_both(searches).await;
}

#[tokio::test]
async fn mc_18_a_read_mask_shows_the_columns_it_names() {
    on_both(async |server: &Server| {
        let (_, customer) = crowd(server).await;
        let operator = server.operator();
        let mask =
            |paths: &[&str]| Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).into()).collect() });
        let order_by = "user_name".to_owned();
        let read_mask = mask(&["user_name", "email", "two_factor_provider"]);
        let request = pb::ListPeersRequest { read_mask, order_by, page_size: 1, ..of(&customer) };
        let first = page(&operator, &request).await;
        let wanted = pb::Peer {
            user_name: "Adam".into(),
            email: "Adam@a.example".into(),
            two_factor_provider: pb::TwoFactorProvider::None.into(),
            ..Default::default()
        };
        assert_eq!(first.peers, [wanted]);
        // Other columns are the same list.
        let next = pb::ListPeersRequest { page_token: first.next_page_token, read_mask: mask(&["*"]), ..request };
        assert_eq!(user_names(&page(&operator, &next).await.peers), ["agent-7"]);
        for bad in [&["password"][..], &["name.first"], &["*", "email"]] {
            let request = pb::ListPeersRequest { read_mask: mask(bad), ..of(&customer) };
            let told = why(operator.peers().list_peers(request).await);
            assert_eq!(told, is(Code::InvalidArgument, "FIELD_MASK_INVALID"), "{bad:?}");
        }
        let get = pb::GetPeerRequest { name: "peers/@boss".into(), read_mask: mask(&["user_name"]) };
        let shown = operator.peers().get_peer(get).await.unwrap().into_inner();
        assert_eq!(shown, pb::Peer { user_name: "boss".into(), ..Default::default() });
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_filter_is_told_with_its_place() {
    let server = Server::start().await;
    let operator = server.operator();
    let deep = format!("{}kind = PERSON{}", "(".repeat(17), ")".repeat(17));
    for (filter, place) in [
        ("kind = ROBOT", Some(8)),
        ("kind > PERSON", Some(6)),
        ("kind = PERSON AND password = x", Some(19)),
        ("kind = PERSON kind = DEVICE", Some(15)),
        ("(kind = PERSON", Some(15)),
        ("create_time > yesterday", Some(15)),
        ("create_time:x", Some(13)),
        ("state = \"ENABLED", Some(9)),
        ("administrator = true OR kind = DEVICE", Some(1)),
        ("NOT administrator = true", Some(5)),
        ("administrator = maybe", Some(17)),
        ("home_account = fabrikam", Some(16)),
        ("' OR 1=1 --", Some(1)),
        (&deep, Some(18)),
        (&"x".repeat(1025), None),
    ] {
        let request = pb::ListPeersRequest { filter: filter.to_owned(), ..of("accounts/platform") };
        let status = operator.peers().list_peers(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), is(Code::InvalidArgument, "FILTER_INVALID"), "{filter}");
        assert_eq!(bad_fields(&status), ["filter"]);
        if let Some(place) = place {
            assert!(status.message().contains(&format!("at character {place}:")), "{filter}: {}", status.message());
        }
    }
    for order_by in
        ["password", "user_name asc", "user_name, email", "user_name desc desc", "profile", "id; DROP TABLE peers"]
    {
        let request = pb::ListPeersRequest { order_by: order_by.into(), ..of("accounts/platform") };
        let told = why(operator.peers().list_peers(request).await);
        assert_eq!(told, is(Code::InvalidArgument, "ORDER_BY_INVALID"), "{order_by}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_token_belongs_to_its_list_and_its_caller() {
    on_both(async |server: &Server| {
        let (partner, customer) = crowd(server).await;
        let operator = server.operator();
        let other = server.person(&partner, "staff", READ_ONLY).await;
        let good =
            pb::ListPeersRequest { order_by: "email".into(), query: "example".into(), page_size: 2, ..of(&customer) };
        let token = page(&operator, &good).await.next_page_token;
        let good = pb::ListPeersRequest { page_token: token, ..good };
        assert_eq!(
            page(&operator, &pb::ListPeersRequest { page_size: 9, count_total: true, ..good.clone() })
                .await
                .peers
                .len(),
            3
        );
        for wrong in [
            pb::ListPeersRequest { order_by: "email desc".into(), ..good.clone() },
            pb::ListPeersRequest { order_by: "create_time".into(), ..good.clone() },
            pb::ListPeersRequest { order_by: String::new(), ..good.clone() },
            pb::ListPeersRequest { query: "exampl".into(), ..good.clone() },
            pb::ListPeersRequest { query: String::new(), ..good.clone() },
            pb::ListPeersRequest { filter: "kind = PERSON".into(), ..good.clone() },
            pb::ListPeersRequest { account: partner.clone(), ..good.clone() },
        ] {
            assert_eq!(why(operator.peers().list_peers(wrong).await), is(Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
        }
        let told = why(other.client.peers().list_peers(good).await);
        assert_eq!(told, is(Code::InvalidArgument, "PAGE_TOKEN_INVALID"), "a token of another caller");
    })
    .await;
}

#[tokio::test]
async fn mc_19_sorted_pages_neither_skip_nor_repeat_while_peers_come_go_and_are_renamed() {
    on_both(async |server: &Server| {
        let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
        let operator = server.operator();
        let mut names: Vec<String> = Vec::new();
        for number in 0..30 {
            let made =
                create(&operator, wish(&partner, &format!("peer-{:02}", number * 7 % 30), READ_ONLY)).await.unwrap();
            names.push(made.name);
        }
        for (round, order_by) in ["user_name", "user_name desc", "state", "email desc"].into_iter().enumerate() {
            let mut request = pb::ListPeersRequest { order_by: order_by.into(), page_size: 4, ..of(&partner) };
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            let mut touched: Vec<String> = Vec::new();
            for step in 0.. {
                let next = page(&operator, &request).await;
                for peer in &next.peers {
                    *seen.entry(peer.name.clone()).or_default() += 1;
                }
                // The one that the token names gets another name or goes.
                let last = next.peers.last().unwrap().name.clone();
                if step % 2 == 0 {
                    let user_name = format!("{}-{round}-{step}", ["aaa", "zzz"][step % 4 / 2]);
                    update(&operator, pb::Peer { name: last.clone(), user_name, ..Default::default() }, &["user_name"])
                        .await
                        .unwrap();
                } else if names.len() > 24 {
                    delete(&operator, &last).await.unwrap();
                    names.retain(|name| *name != last);
                }
                touched.push(last);
                touched.push(
                    create(&operator, wish(&partner, &format!("new-{round}-{step}"), READ_ONLY)).await.unwrap().name,
                );
                if next.next_page_token.is_empty() {
                    break;
                }
                request.page_token = next.next_page_token;
                assert!(step < 60, "the list does not end");
            }
            for name in names.iter().filter(|name| !touched.contains(name)) {
                assert_eq!(seen.get(name), Some(&1), "{order_by}: {name}");
            }
        }
    })
    .await;
}
