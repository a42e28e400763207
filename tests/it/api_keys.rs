//! Callers and their keys: who gets in, and how a key ends.

use std::time::Duration;

use peerage::application::Clock;
use peerage::transport::grpc::pb;
use tonic::Code;

use crate::support::{self, Client, PostgresDatabase, Server, TestPeer, bad_fields, reason};

fn key_for(peer: &str, title: &str) -> pb::CreateApiKeyRequest {
    let api_key = pb::ApiKey { peer: peer.to_owned(), title: title.to_owned(), ..pb::ApiKey::default() };
    pb::CreateApiKeyRequest { api_key: Some(api_key), ..pb::CreateApiKeyRequest::default() }
}

#[tokio::test]
async fn nothing_but_health_answers_without_a_credential() {
    let server = Server::start().await;
    let status = server.anonymous().ask("peers/me", "devices.view", "accounts/platform").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "CREDENTIAL_MISSING"));

    let reflect = pb::DESCRIPTOR.len();
    assert!(reflect > 0);
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(server.channel());
    let empty = tokio_stream(Vec::new());
    let status = reflection.server_reflection_info(empty).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);

    let mut health = tonic_health::pb::health_client::HealthClient::new(server.channel());
    for service in peerage::transport::grpc::server::HEALTH_NAMES {
        let request = tonic_health::pb::HealthCheckRequest { service: (*service).to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, tonic_health::pb::health_check_response::ServingStatus::Serving, "{service}");
    }
    server.stop().await;
}

fn tokio_stream<T: Send + 'static>(items: Vec<T>) -> impl tonic::IntoStreamingRequest<Message = T> {
    futures_util::stream::iter(items)
}

#[tokio::test]
async fn a_wrong_credential_is_no_credential() {
    let server = Server::start().await;
    let good = server.key_of("peers/me").await;
    let mut flipped = good.clone();
    flipped.replace_range(40..41, if good.as_bytes()[40] == b'0' { "1" } else { "0" });
    for key in ["", "x", "prg_", &flipped, &good[..good.len() - 1], &"a".repeat(5000)] {
        let status = server.client(key).ask("peers/me", "devices.view", "accounts/platform").await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "CREDENTIAL_INVALID"), "{key}");
        assert!(!status.message().contains(key) || key.len() < 5, "the credential is in the message");
    }
    assert!(server.client(&good).ask("peers/me", "devices.view", "accounts/platform").await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_key_ends_when_it_expires_and_when_it_is_revoked() {
    let server = Server::start().await;
    let mut auth = server.operator().auth();
    let mut request = key_for("peers/me", "short");
    request.api_key.as_mut().unwrap().expire_time = Some(server.time(60));
    let short = auth.create_api_key(request).await.unwrap().into_inner();
    let client = server.client(&short.key);
    assert!(client.ask("peers/me", "devices.view", "accounts/platform").await.is_ok());
    server.advance(Duration::from_secs(60));
    let status = client.ask("peers/me", "devices.view", "accounts/platform").await.unwrap_err();
    assert_eq!(reason(&status), "CREDENTIAL_EXPIRED");

    let long = auth.create_api_key(key_for("peers/me", "long")).await.unwrap().into_inner();
    let client = server.client(&long.key);
    assert!(client.ask("peers/me", "devices.view", "accounts/platform").await.is_ok());
    let name = long.api_key.unwrap().name;
    let revoke = pb::RevokeApiKeyRequest { name: name.clone(), ..pb::RevokeApiKeyRequest::default() };
    let revoked = auth.revoke_api_key(revoke.clone()).await.unwrap().into_inner();
    assert_eq!(revoked.state(), pb::ApiKeyState::Revoked);
    let status = client.ask("peers/me", "devices.view", "accounts/platform").await.unwrap_err();
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");
    let status = auth.revoke_api_key(revoke).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "API_KEY_REVOKED"));
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_request_makes_one_key_and_shows_its_text_once() {
    let server = Server::start().await;
    let mut auth = server.operator().auth();
    let request = pb::CreateApiKeyRequest {
        request_id: "6f1e7f9e-0d0e-4c55-9a52-1d9d4b0d3c11".to_owned(),
        ..key_for("peers/me", "once")
    };
    let first = auth.create_api_key(request.clone()).await.unwrap().into_inner();
    let again = auth.create_api_key(request.clone()).await.unwrap().into_inner();
    assert!(!first.key.is_empty() && again.key.is_empty());
    assert_eq!(first.api_key, again.api_key);

    let mut other = request;
    other.api_key.as_mut().unwrap().title = "another".to_owned();
    let status = auth.create_api_key(other).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));

    let dry = pb::CreateApiKeyRequest { validate_only: true, ..key_for("peers/me", "never") };
    auth.create_api_key(dry).await.unwrap();
    let list = pb::ListApiKeysRequest { peer: "peers/me".to_owned(), ..pb::ListApiKeysRequest::default() };
    let keys = auth.list_api_keys(list).await.unwrap().into_inner().api_keys;
    let mut titles: Vec<&str> = keys.iter().map(|key| key.title.as_str()).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["bootstrap", "once"]);
    server.stop().await;
}

#[tokio::test]
async fn lists_of_keys_page_and_tokens_belong_to_their_list() {
    let server = Server::start().await;
    let mut auth = server.operator().auth();
    for number in 0..7 {
        auth.create_api_key(key_for("peers/me", &format!("key {number}"))).await.unwrap();
    }
    let mut request = pb::ListApiKeysRequest { peer: "peers/me".to_owned(), page_size: 3, ..Default::default() };
    let mut titles = Vec::new();
    loop {
        let page = auth.list_api_keys(request.clone()).await.unwrap().into_inner();
        assert!(page.api_keys.len() <= 3);
        titles.extend(page.api_keys.into_iter().map(|key| key.title));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(titles.len(), 8);
    let unique: std::collections::BTreeSet<&String> = titles.iter().collect();
    assert_eq!(unique.len(), 8);

    request.peer = "peers/@operator".to_owned();
    let status = auth.list_api_keys(request.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "PAGE_TOKEN_INVALID");
    request.page_size = -1;
    request.peer = "nobody".to_owned();
    let status = auth.list_api_keys(request).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["peer", "page_size", "page_token"]);
    server.stop().await;
}

#[tokio::test]
async fn bad_fields_are_named_all_at_once() {
    let server = Server::start().await;
    let mut request = key_for("peers/", "a\u{202E}b");
    request.api_key.as_mut().unwrap().expire_time = Some(server.time(-1));
    let status = server.operator().auth().create_api_key(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(bad_fields(&status), ["api_key.peer", "api_key.title", "api_key.expire_time"]);
    server.stop().await;
}

#[tokio::test]
async fn nobody_makes_a_key_of_a_stronger_peer() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let admin = server.person(&partner, "admin", "roles/mspcontrol.administrator").await;
    let desk = server.person(&partner, "desk", "roles/mspcontrol.help_desk").await;
    // The administrator may become the help desk, not the operator, whom it cannot even see.
    assert!(admin.client.auth().create_api_key(key_for(&desk.name, "mine")).await.is_ok());
    let status = admin.client.auth().create_api_key(key_for("peers/@operator", "mine")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    // The help desk holds no right to keys at all, and gets none by asking for the administrator's.
    let status = desk.client.auth().create_api_key(key_for(&admin.name, "mine")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);

    // One who may make keys, and holds less than the target, is refused by the ceiling.
    let role = server.custom_role(&partner, &["api_keys.create", "api_keys.view", "peers.view"]).await;
    let maker = server.person(&partner, "maker", &role).await;
    let status = maker.client.auth().create_api_key(key_for(&admin.name, "mine")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ESCALATION"));
    assert!(maker.client.auth().create_api_key(key_for("peers/me", "mine")).await.is_ok());
    server.stop().await;
}

/// When a peer's only key was used last, as its administrators see it.
async fn last_used(server: &Server, peer: &str) -> Option<prost_types::Timestamp> {
    let request = pb::ListApiKeysRequest { peer: peer.to_owned(), ..Default::default() };
    let page = server.operator().auth().list_api_keys(request).await.unwrap().into_inner();
    let [key] = page.api_keys.as_slice() else { panic!("{page:?}") };
    key.last_used_time
}

async fn until_last_used(server: &Server, peer: &str, time: prost_types::Timestamp) {
    let seen = async {
        while last_used(server, peer).await != Some(time) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the use is written in time");
}

async fn use_key(peer: &TestPeer) {
    peer.client.ask("peers/me", "users.view", "accounts/msp").await.unwrap();
}

#[tokio::test]
async fn the_last_use_of_a_key_shows_to_the_minute_and_is_no_policy_change() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let role = "roles/opspilot365.read_only";
    let (emily, mike) = (server.person(&msp, "emily", role).await, server.person(&msp, "mike", role).await);
    let before = server.decide(&emily.name, "users.view", &msp).await.revision;
    assert_eq!(last_used(&server, &emily.name).await, None, "a key that was never used says so");
    use_key(&emily).await;
    until_last_used(&server, &emily.name, server.time(0)).await;

    // Half a minute later another key's use is written, and this one's was noted already.
    let first = server.time(0);
    server.advance(Duration::from_secs(30));
    use_key(&emily).await;
    use_key(&mike).await;
    until_last_used(&server, &mike.name, server.time(0)).await;
    assert_eq!(last_used(&server, &emily.name).await, Some(first));
    // What is presented to others counts too.
    server.advance(Duration::from_secs(60));
    let by_token = pb::AuthorizeRequest {
        subject: Some(pb::authorize_request::Subject::Token(emily.key.clone())),
        permission: "users.view".to_owned(),
        account: msp.clone(),
        ..Default::default()
    };
    server.operator().access().authorize(by_token).await.unwrap();
    until_last_used(&server, &emily.name, server.time(0)).await;
    assert_eq!(server.decide(&emily.name, "users.view", &msp).await.revision, before);
    server.stop().await;
}

#[tokio::test]
async fn the_last_use_of_a_key_outlives_faults_of_the_database_and_the_end_of_the_server() {
    use sea_orm::ConnectionTrait as _;

    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("kept.db").display());
    let server = Server::start_on(&url, tempfile::tempdir().unwrap()).await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let emily = server.person(&msp, "emily", "roles/opspilot365.read_only").await;
    let database = sea_orm::Database::connect(&url).await.unwrap();
    let fault = "CREATE TRIGGER fault BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'no'); END";
    database.execute_unprepared(fault).await.unwrap();
    use_key(&emily).await;
    let ctx = server.running().ctx().clone();
    let failed = async {
        while peerage::application::uses::flush(&ctx).await.is_ok() {
            use_key(&emily).await;
            server.advance(Duration::from_secs(60));
            use_key(&emily).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), failed).await.expect("a flush fails");
    assert_eq!(last_used(&server, &emily.name).await, None);
    database.execute_unprepared("DROP TRIGGER fault").await.unwrap();
    let time = server.time(0);
    until_last_used(&server, &emily.name, time).await;

    // A server that ends writes what it knows.
    server.advance(Duration::from_secs(600));
    let time = server.time(0);
    use_key(&emily).await;
    drop(ctx);
    server.stop().await;
    let query = "SELECT max(last_used_time) AS used FROM api_keys";
    let row = database.query_one_raw(sea_orm::Statement::from_string(database.get_database_backend(), query));
    let used: i64 = row.await.unwrap().unwrap().try_get("", "used").unwrap();
    assert_eq!(used, time.seconds * 1_000_000);
}

#[tokio::test]
async fn of_two_servers_the_later_use_of_a_key_stands() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    let database = PostgresDatabase::create().await;
    let server = Server::start_on(&database.url, tempfile::tempdir().unwrap()).await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let emily = server.person(&msp, "emily", "roles/opspilot365.read_only").await;
    // The second server's clock is behind.
    let behind = Clock::Manual(Arc::new(AtomicI64::new(support::BEGIN_MICROS)));
    let second = peerage::app::start(&support::config(&database.url), behind).await.unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", second.address())).unwrap();
    let there = Client::new(channel.connect().await.unwrap(), &emily.key);
    server.advance(Duration::from_secs(300));
    let time = server.time(0);
    use_key(&emily).await;
    until_last_used(&server, &emily.name, time).await;
    there.ask("peers/me", "users.view", &msp).await.unwrap();
    second.stop().await.unwrap();
    assert_eq!(last_used(&server, &emily.name).await, Some(time), "it never moves backward");
    server.stop().await;
    database.drop().await;
}
