//! The page of peers that the documents show: its columns and their orders, and what other tests of
//! lists share.

use peerage::domain::ids::PeerId;
use peerage::domain::text::fold;
use peerage::domain::time::Timestamp;
use peerage::storage::peers::{Activity, touch};
use peerage::transport::grpc::pb;

use super::*;
use crate::support::{BEGIN_MICROS, PostgresDatabase, Server};

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

pub(super) fn user_names(peers: &[pb::Peer]) -> Vec<&str> {
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
pub(super) async fn crowd(server: &Server) -> (String, String) {
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
