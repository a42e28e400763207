//! The page of peers that the documents show: its columns, orders, filters, search and pages. Every
//! case runs on both databases.

use std::collections::BTreeMap;

use peerage::domain::ids::PeerId;
use peerage::domain::text::fold;
use peerage::domain::time::Timestamp;
use peerage::storage::peers::{Activity, touch};
use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::{BEGIN_MICROS, PostgresDatabase, Server, bad_fields};

/// Runs a case against a server on SQLite and one on PostgreSQL.
pub(super) async fn on_both(case: impl AsyncFn(&Server)) {
    let server = Server::start().await;
    case(&server).await;
    server.stop().await;
    let database = PostgresDatabase::create().await;
    let server = Server::start_on(&database.url, tempfile::tempdir().unwrap()).await;
    case(&server).await;
    server.stop().await;
    database.drop().await;
}

pub(super) fn of(account: &str) -> pb::ListPeersRequest {
    pb::ListPeersRequest { account: account.to_owned(), ..Default::default() }
}

pub(super) async fn page(client: &Client, request: &pb::ListPeersRequest) -> pb::ListPeersResponse {
    client.peers().list_peers(request.clone()).await.unwrap().into_inner()
}

/// The whole list, in pages of three.
pub(super) async fn all(client: &Client, request: &pb::ListPeersRequest) -> Vec<pb::Peer> {
    let mut request = pb::ListPeersRequest { page_size: 3, ..request.clone() };
    let mut found = Vec::new();
    loop {
        let next = page(client, &request).await;
        found.extend(next.peers);
        if next.next_page_token.is_empty() {
            return found;
        }
        assert_eq!(found.len() % 3, 0, "a page in the middle is not full");
        request.page_token = next.next_page_token;
    }
}

pub(super) fn names(peers: &[pb::Peer]) -> Vec<&str> {
    peers.iter().map(|peer| peer.name.as_str()).collect()
}

fn user_names(peers: &[pb::Peer]) -> Vec<&str> {
    peers.iter().map(|peer| peer.user_name.as_str()).collect()
}

pub(super) async fn signed_in(server: &Server, peer: &str, seconds: i64) {
    let id = PeerId::parse(peer.strip_prefix("peers/").unwrap()).unwrap();
    let transaction = server.running().ctx().store.begin().await.unwrap();
    let time = Timestamp::from_micros(BEGIN_MICROS + seconds * 1_000_000);
    touch(transaction.connection(), id, Activity::SignedIn, time).await.unwrap();
    transaction.commit().await.unwrap();
}

/// A partner with ten peers of many kinds, in an account below it.
async fn crowd(server: &Server) -> (String, String) {
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let operator = server.operator();
    let people = [
        ("zoe", "Zoë Åberg", "zoe@b.example", 2, "", 40),
        ("Adam", "émile Zola", "Adam@a.example", 1, "Org 1", 10),
        ("bob.smith", "", "", 3, "org 2", -1),
        ("王芳", "王芳小", "wang@c.example", 2, "", 30),
        ("ÉMILE", "adam", "E@d.example", 3, "ORG 1", -1),
        ("eve_100%", "Eve \"The\" O'Neil", "a@b.example", 0, "", 20),
    ];
    for (user_name, display_name, email, two_factor, org_user, login) in people {
        let mut request = wish(&customer, user_name, READ_ONLY);
        let peer = request.peer.as_mut().unwrap();
        (peer.display_name, peer.email, peer.org_user) = (display_name.into(), email.into(), org_user.into());
        peer.two_factor_provider = two_factor;
        if login == 10 {
            peer.expire_time = Some(server.time(1_000_000));
            peer.mail_format = pb::MailFormat::PlainText.into();
            peer.require_external_login = true;
        }
        let made = create(&operator, request).await.unwrap();
        if login >= 0 {
            signed_in(server, &made.name, login).await;
        }
        server.advance(std::time::Duration::from_millis(1));
    }
    server.peer(&customer, "agent-7", "roles/mspcontrol.device", pb::PeerKind::Device, &[]).await;
    server.person(&customer, "boss", ADMINISTRATOR).await;
    let off = server.person(&customer, "former", READ_ONLY).await.name;
    disable(&operator, &off).await.unwrap();
    (partner, customer)
}

/// The key of a peer in an order, as the contract describes it.
fn key(peer: &pb::Peer, field: &str) -> (String, Option<(i64, i32)>) {
    let text = |text: &str| (fold(text), None);
    let time = |time: Option<prost_types::Timestamp>| (String::new(), time.map(|time| (time.seconds, time.nanos)));
    match field {
        "user_name" => text(&peer.user_name),
        "full_name" => text(&peer.full_name),
        "email" => text(&peer.email),
        "default_role" => text(&peer.default_role),
        "org_user" => text(&peer.org_user),
        "state" => (peer.state().as_str_name().to_owned(), None),
        "kind" => (peer.kind().as_str_name().to_owned(), None),
        "two_factor_provider" => (peer.two_factor_provider().as_str_name().to_owned(), None),
        "last_login_time" => time(peer.last_login_time),
        "last_active_time" => time(peer.last_active_time),
        "create_time" => time(peer.create_time),
        "expire_time" => time(peer.expire_time),
        "name" | "microsoft_account_status" | "privileged_access" => (String::new(), None),
        other => panic!("{other} is no column"),
    }
}

const ORDERS: [&str; 15] = [
    "name",
    "user_name",
    "full_name",
    "email",
    "default_role",
    "last_login_time",
    "last_active_time",
    "state",
    "two_factor_provider",
    "org_user",
    "microsoft_account_status",
    "privileged_access",
    "kind",
    "create_time",
    "expire_time",
];

/// Looks at the list of an account in an order and against it, and returns it.
async fn sorted_by(client: &Client, account: &str, field: &str) -> Vec<pb::Peer> {
    let mut wanted = all(client, &of(account)).await;
    wanted.sort_by_key(|peer| (key(peer, field), peer.name.clone()));
    let ascending = all(client, &pb::ListPeersRequest { order_by: field.into(), ..of(account) }).await;
    assert_eq!(ascending, wanted, "{field}");
    wanted.reverse();
    let order_by = format!(" {field}  desc ");
    assert_eq!(all(client, &pb::ListPeersRequest { order_by, ..of(account) }).await, wanted, "{field} desc");
    ascending
}

#[tokio::test]
async fn mc_15_every_column_sorts_with_what_is_unset_first() {
    on_both(async |server: &Server| {
        let (_, customer) = crowd(server).await;
        for field in ORDERS {
            assert_eq!(sorted_by(&server.operator(), &customer, field).await.len(), 9, "{field}");
        }
    })
    .await;
}

/// What a column shows, from top to bottom.
async fn column(field: &str, cell: impl Fn(&pb::Peer) -> String) -> Vec<String> {
    let server = Server::start().await;
    let (_, customer) = crowd(&server).await;
    let cells = sorted_by(&server.operator(), &customer, field).await.iter().map(cell).collect();
    server.stop().await;
    cells
}

#[tokio::test]
async fn mc_05_the_user_name_is_shown_and_sorts_alphabetically() {
    let shown = column("user_name", |peer| peer.user_name.clone()).await;
    assert_eq!(shown, ["Adam", "agent-7", "bob.smith", "boss", "eve_100%", "former", "zoe", "ÉMILE", "王芳"]);
}

#[tokio::test]
async fn mc_06_the_full_name_of_a_person_or_the_label_of_a_device_is_shown_and_sorts() {
    let shown = column("full_name", |peer| peer.full_name.clone()).await;
    let wanted = ["", "adam", "agent-7", "boss", "Eve \"The\" O'Neil", "former", "Zoë Åberg", "émile Zola", "王芳小"];
    assert_eq!(shown, wanted);
}

#[tokio::test]
async fn mc_07_the_primary_e_mail_address_is_shown_and_sorts() {
    let shown = column("email", |peer| peer.email.clone()).await;
    assert_eq!(shown[..4], [""; 4]);
    assert_eq!(shown[4..], ["a@b.example", "Adam@a.example", "E@d.example", "wang@c.example", "zoe@b.example"]);
}

#[tokio::test]
async fn mc_08_the_role_is_shown_and_sorts() {
    let shown = column("default_role", |peer| peer.default_role.clone()).await;
    assert_eq!(shown[..2], ["roles/mspcontrol.administrator", "roles/mspcontrol.device"]);
    assert!(shown[2..].iter().all(|role| role == READ_ONLY));
}

#[tokio::test]
async fn mc_09_the_last_login_is_shown_and_sorts_chronologically() {
    let shown = column("last_login_time", |peer| match peer.last_login_time {
        Some(time) => (time.seconds - BEGIN_MICROS / 1_000_000).to_string(),
        None => "never".to_owned(),
    })
    .await;
    assert_eq!(shown, ["never", "never", "never", "never", "never", "10", "20", "30", "40"]);
}

#[tokio::test]
async fn mc_10_the_status_is_shown_and_sorts() {
    let shown = column("state", |peer| peer.state().as_str_name().to_owned()).await;
    assert_eq!(shown[..2], ["PEER_STATE_DISABLED", "PEER_STATE_ENABLED"]);
}

#[tokio::test]
async fn mc_11_the_second_factor_is_shown_and_sorts() {
    let shown = column("two_factor_provider", |peer| peer.two_factor_provider().as_str_name().to_owned()).await;
    let wanted = ["EMAIL", "EMAIL", "NONE", "NONE", "NONE", "NONE", "NONE", "TOTP", "TOTP"];
    assert_eq!(shown, wanted.map(|word| format!("TWO_FACTOR_PROVIDER_{word}")));
}

#[tokio::test]
async fn mc_12_the_organizational_user_is_shown_and_sorts() {
    let shown = column("org_user", |peer| peer.org_user.clone()).await;
    assert_eq!(shown, ["", "", "", "", "", "", "Org 1", "ORG 1", "org 2"]);
}

#[tokio::test]
async fn mc_20_who_may_create_peers_finds_the_new_one_in_the_list() {
    let server = Server::start().await;
    let (_, customer) = crowd(&server).await;
    let admin = server.person(&customer, "admin", ADMINISTRATOR).await;
    let reader = server.person(&customer, "reader", READ_ONLY).await;
    for (who, may) in [(&admin, true), (&reader, false)] {
        assert_eq!(server.may(&who.name, "peers.create", &customer).await, may);
        let listed = all(&who.client, &of(&customer)).await.len();
        assert_eq!(create(&who.client, wish(&customer, "fresh", READ_ONLY)).await.is_ok(), may);
        assert_eq!(all(&who.client, &of(&customer)).await.len(), listed + usize::from(may));
    }
    server.stop().await;
}

/// What a list shows of one peer where only these fields are asked for.
async fn shown(fields: &[&str]) -> pb::Peer {
    let server = Server::start().await;
    let (_, customer) = crowd(&server).await;
    let read_mask = Some(prost_types::FieldMask { paths: fields.iter().map(|field| (*field).to_owned()).collect() });
    let request = pb::ListPeersRequest { query: "adam@".into(), read_mask, ..of(&customer) };
    let mut found = all(&server.operator(), &request).await;
    server.stop().await;
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[tokio::test]
async fn op_23_the_user_is_shown_by_name_and_e_mail() {
    let wanted = pb::Peer { full_name: "émile Zola".into(), email: "Adam@a.example".into(), ..Default::default() };
    assert_eq!(shown(&["full_name", "email"]).await, wanted);
}

#[tokio::test]
async fn op_24_the_role_of_a_user_is_shown() {
    assert_eq!(shown(&["default_role"]).await, pb::Peer { default_role: READ_ONLY.into(), ..Default::default() });
}

#[tokio::test]
async fn op_27_the_status_of_a_user_is_shown() {
    let wanted = pb::Peer { state: pb::PeerState::Enabled.into(), ..Default::default() };
    assert_eq!(shown(&["state"]).await, wanted);
}

#[tokio::test]
async fn op_25_tenant_access_is_all_or_a_number() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let (one, two) = (server.customer("one", &partner).await, server.customer("two", &partner).await);
    server.person(&partner, "everywhere", READ_ONLY).await;
    server.person_on(&partner, "somewhere", READ_ONLY, &[&one, &two]).await;
    let found = all(&server.operator(), &pb::ListPeersRequest { order_by: "user_name".into(), ..of(&partner) }).await;
    let access: Vec<_> =
        found.iter().map(|peer| peer.tenant_access.unwrap()).map(|all| (all.all, all.account_count)).collect();
    assert_eq!(access, [(true, 0), (false, 2)]);
    server.stop().await;
}

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
        (&deep, Some(17)),
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
