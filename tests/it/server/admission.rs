//! Turns by cost: decisions and health go on while writes and lists cannot, and nobody takes all turns.

use std::time::{Duration, Instant};

use peerage::config::Class;
use peerage::transport::grpc::pb;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::metrics::{get, value, with_http};
use crate::support::{Client, PostgresDatabase, Server, http2, reason};

/// One write of many that a test sends at once.
async fn key(client: &Client) -> Result<(), Status> {
    let api_key = pb::ApiKey { peer: "peers/me".to_owned(), title: "more".to_owned(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() };
    client.auth().create_api_key(request).await.map(drop)
}

async fn list(client: &Client) -> Result<(), Status> {
    client.accounts().list_accounts(pb::ListAccountsRequest::default()).await.map(drop)
}

/// What a call that was turned away says.
fn assert_shed(status: &Status, why: &str) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, why), "{status:?}");
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!(delay >= Duration::from_millis(100) && delay <= Duration::from_secs(10), "{delay:?}");
}

async fn until(server: &Server, name: &str, class: &str, wanted: f64) {
    let wait = async {
        loop {
            let (_, text) = get(&server.http_address(), "/metrics").await;
            if value(&text, name, Some(("class", class))) == wanted {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("{name} of {class}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_go_on_while_writes_and_lists_are_stuck() {
    let database = PostgresDatabase::create().await;
    let server = Server::start_as(&database.url, tempfile::tempdir().unwrap(), |config| {
        with_http(config);
        let class = Class { running: 2, waiting: 4, per_caller: 100 };
        (config.admission.writes, config.admission.lists) = (class, class);
        config.admission.longest_wait_ms = 30_000;
    })
    .await;
    let operator = server.operator();
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    let stuck = connection.begin().await.unwrap();
    stuck.execute_unprepared("LOCK TABLE policy_revision, accounts IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (writer, lister) = (operator.clone(), operator.clone());
        calls.spawn(async move { key(&writer).await });
        calls.spawn(async move { list(&lister).await });
    }
    let mut shed = 0;
    while shed < 28 {
        let ended = tokio::time::timeout(Duration::from_secs(20), calls.join_next()).await.unwrap().unwrap().unwrap();
        assert_shed(&ended.unwrap_err(), "OVERLOADED");
        shed += 1;
    }
    for class in ["writes", "lists"] {
        until(&server, "peerage_admission_running", class, 2.0).await;
        until(&server, "peerage_admission_waiting", class, 4.0).await;
    }
    let began = Instant::now();
    for _ in 0..200 {
        operator.ask("peers/me", "accounts.view", "accounts/platform").await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(5), "200 decisions took {:?}", began.elapsed());
    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel());
    assert!(health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok());
    let (_, text) = get(&server.http_address(), "/metrics").await;
    assert_eq!(value(&text, "peerage_sheds_total", Some(("reason", "full"))), 28.0);

    stuck.rollback().await.unwrap();
    while let Some(ended) = calls.join_next().await {
        ended.unwrap().unwrap();
    }
    connection.close().await.unwrap();
    server.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_leaves_turns_for_the_others() {
    let database = PostgresDatabase::create().await;
    let server = Server::start_as(&database.url, tempfile::tempdir().unwrap(), |config| {
        with_http(config);
        config.admission.writes = Class { running: 1, waiting: 10, per_caller: 3 };
        config.admission.longest_wait_ms = 30_000;
    })
    .await;
    server.partner("fair", &["mspcontrol"]).await;
    let role = "roles/mspcontrol.customer_admin_peer";
    let customer = server.customer("customer", "accounts/fair").await;
    let other = server.person(&customer, "other@example.com", role).await;
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    let stuck = connection.begin().await.unwrap();
    stuck.execute_unprepared("LOCK TABLE policy_revision IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let mut greedy = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let operator = server.operator();
        greedy.spawn(async move { key(&operator).await });
    }
    for _ in 0..7 {
        let ended = tokio::time::timeout(Duration::from_secs(20), greedy.join_next()).await.unwrap().unwrap().unwrap();
        assert_shed(&ended.unwrap_err(), "RATE_LIMITED");
    }
    let client = other.client.clone();
    let modest = tokio::spawn(async move { key(&client).await });
    until(&server, "peerage_admission_waiting", "writes", 3.0).await;
    stuck.rollback().await.unwrap();
    modest.await.unwrap().unwrap();
    while let Some(ended) = greedy.join_next().await {
        ended.unwrap().unwrap();
    }
    connection.close().await.unwrap();
    server.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_too_long_is_told_to_come_back() {
    let database = PostgresDatabase::create().await;
    let server = Server::start_as(&database.url, tempfile::tempdir().unwrap(), |config| {
        config.admission.writes = Class { running: 1, waiting: 10, per_caller: 10 };
        config.admission.longest_wait_ms = 200;
    })
    .await;
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    let stuck = connection.begin().await.unwrap();
    stuck.execute_unprepared("LOCK TABLE policy_revision IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let operator = server.operator();
        calls.spawn(async move { key(&operator).await });
    }
    for _ in 0..2 {
        let ended = tokio::time::timeout(Duration::from_secs(20), calls.join_next()).await.unwrap().unwrap().unwrap();
        assert_shed(&ended.unwrap_err(), "OVERLOADED");
    }
    stuck.rollback().await.unwrap();
    calls.join_next().await.unwrap().unwrap().unwrap();
    connection.close().await.unwrap();
    server.stop().await;
    database.drop().await;
}

/// Requests of one caller that begin and do not end, as long as they are kept.
async fn begin(server: &Server, key: &str, method: &str, calls: usize) -> Vec<h2::SendStream<bytes::Bytes>> {
    let mut client = http2::connect(server).await;
    let request = |method: &str| http2::head(server, key, method).body(()).unwrap();
    let begun = (0..calls).map(|_| client.send_request(request(method), false).unwrap().1).collect();
    // Frames are read in their order: where this one is answered, the others are there.
    let (answer, mut body) = client.send_request(request("/grpc.health.v1.Health/Check"), false).unwrap();
    body.send_data(http2::framed(&()), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    begun
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_never_end_hold_up_nobody() {
    let server = Server::start_with(|config| {
        let class = Class { running: 1, waiting: 10, per_caller: 10 };
        (config.admission.lists, config.admission.writes, config.admission.reads) = (class, class, class);
        config.admission.longest_wait_ms = 60_000;
    })
    .await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let slow = server.person(&msp, "slow@example.com", "roles/mspcontrol.read_only").await;
    let slow = server.key_of(&slow.name).await;
    let mut begun = Vec::new();
    for method in ["AccountService/ListAccounts", "PeerService/GetPeer", "AuthenticationService/CreateApiKey"] {
        begun.extend(begin(&server, &slow, &format!("/peerage.v1.{method}"), 4).await);
    }
    let operator = server.operator();
    let calls = async {
        list(&operator).await.unwrap();
        let me = pb::GetPeerRequest { name: "peers/me".to_owned(), ..Default::default() };
        operator.peers().get_peer(me).await.unwrap();
        key(&operator).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(30), calls).await.expect("nobody waits for requests that do not come");
    drop(begun);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_caller_begins_so_many_requests() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let slow = server.person(&msp, "slow@example.com", "roles/mspcontrol.read_only").await;
    let key = server.key_of(&slow.name).await;
    let begun = begin(&server, &key, "/peerage.v1.AccountService/ListAccounts", 512).await;
    // The last of them may not have reached its place yet.
    let refused = async {
        loop {
            if let Err(status) = list(&slow.client).await {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), refused).await.expect("there is a bound");
    assert_shed(&status, "RATE_LIMITED");
    list(&server.operator()).await.unwrap();
    drop(begun);
    server.stop().await;
}
