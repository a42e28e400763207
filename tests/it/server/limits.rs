//! What a caller can take: connections, streams, bytes and time; and what a call that runs out of time
//! leaves behind.

use std::collections::BTreeSet;
use std::time::Duration;

use peerage::storage::change_feed;
use peerage::transport::grpc::pb;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request};

use super::metrics::{get, value, with_http};
use crate::support::{PostgresDatabase, Server, http2, reason};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The longest that a connection may take to be closed, on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// One HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The head of a health check, as HPACK literals.
fn head() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A connection on which a test writes its own frames.
struct Raw(TcpStream);

impl Raw {
    async fn open(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self(stream)
    }

    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// The next frame's kind, flags and payload; `None` where the connection is closed.
    async fn next(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], payload))
    }
}

/// Whether the server closes a connection on which nothing more is sent.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    read.is_ok()
}

async fn serves(server: &Server) -> bool {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.connect_lazy());
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok()
}

#[tokio::test]
async fn clients_that_do_not_speak_are_hung_up_on() {
    let server = Server::start_with(|config| {
        with_http(config);
        config.limits.handshake_timeout_ms = 300;
    })
    .await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    slow.write_all(&PREFACE[..5]).await.unwrap();
    let mut half = TcpStream::connect(server.address()).await.unwrap();
    half.write_all(PREFACE).await.unwrap();
    assert!(serves(&server).await, "others are served meanwhile");
    assert!(is_closed(&mut silent).await && is_closed(&mut slow).await && is_closed(&mut half).await);
    let (_, text) = get(&server.http_address(), "/metrics").await;
    assert_eq!(value(&text, "peerage_connections_refused_total", Some(("reason", "silent"))), 3.0);
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_of_tls_that_does_not_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let server = Server::start_with(|config| {
        with_http(config);
        config.tls = Some(peerage::config::Tls::new(certificate, key));
        config.limits.handshake_timeout_ms = 300;
    })
    .await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    // The head of a ClientHello of 512 bytes, of which no more comes.
    slow.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    assert!(is_closed(&mut silent).await && is_closed(&mut slow).await);
    let (_, text) = get(&server.http_address(), "/metrics").await;
    assert_eq!(value(&text, "peerage_connections_refused_total", Some(("reason", "handshake"))), 2.0);
    server.stop().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_the_server_so_many_in_all() {
    for (all, per_address, why) in [(100, 3, "address_limit"), (3, 100, "limit")] {
        let server = Server::start_with(|config| {
            with_http(config);
            config.limits.connections = all;
            config.limits.connections_per_address = per_address;
        })
        .await;
        // The operator's own connection is the first.
        assert!(server.operator().ask("peers/me", "accounts.view", "accounts/platform").await.is_ok());
        let mut kept = [Raw::open(&server).await, Raw::open(&server).await];
        for raw in &mut kept {
            assert_eq!(raw.next().await.unwrap().0, SETTINGS);
        }
        let mut refused = TcpStream::connect(server.address()).await.unwrap();
        assert!(is_closed(&mut refused).await);
        let (_, text) = get(&server.http_address(), "/metrics").await;
        assert!(value(&text, "peerage_connections_refused_total", Some(("reason", why))) >= 1.0, "{text}");
        drop(kept);
        let again = async { while !serves(&server).await {} };
        tokio::time::timeout(PATIENCE, again).await.expect("a place that is given back is taken again");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_flood_of_streams_is_refused_and_harms_nobody_else() {
    let server = Server::start_with(|config| config.limits.streams_per_connection = 8).await;
    let mut raw = Raw::open(&server).await;
    let (kind, _, settings) = raw.next().await.unwrap();
    assert_eq!(kind, SETTINGS);
    assert!(settings.chunks(6).any(|one| one == [0, 3, 0, 0, 0, 8]), "the bound is told: {settings:?}");
    assert!(raw.send(&frame(SETTINGS, ACK, 0, &[])).await);
    for number in 0..40 {
        raw.send(&frame(HEADERS, END_HEADERS, 2 * number + 1, &head())).await;
    }
    let mut refused = 0;
    let reading = async {
        while let Some((kind, _, payload)) = raw.next().await {
            match kind {
                RST_STREAM => {
                    assert_eq!(payload, 7_u32.to_be_bytes(), "REFUSED_STREAM: it was not begun");
                    refused += 1;
                }
                GOAWAY => refused = 32,
                _ => {}
            }
            if refused >= 32 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    assert!(refused >= 32 || raw.next().await.is_none());
    assert!(serves(&server).await);
    // Streams that are opened and given up at once end the connection.
    let mut raw = Raw::open(&server).await;
    for number in 0..2_000 {
        let (stream, cancel) = (2 * number + 1, 8_u32.to_be_bytes());
        let open = frame(HEADERS, END_HEADERS, stream, &head());
        if !raw.send(&[open, frame(RST_STREAM, 0, stream, &cancel)].concat()).await {
            break;
        }
    }
    let ended = async {
        while let Some((kind, ..)) = raw.next().await {
            if kind == GOAWAY {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert!(serves(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn headers_and_messages_have_a_largest_size() {
    let server = Server::start_with(|config| {
        config.limits.message_bytes.decisions = 64 << 10;
        config.limits.message_bytes.calls = 128 << 10;
        config.limits.message_bytes.bulk = 512 << 10;
    })
    .await;
    let mut request =
        Request::new(pb::GetAccountRequest { name: "accounts/platform".to_owned(), ..Default::default() });
    let long = "x".repeat(20 << 10);
    request.metadata_mut().insert("x-long", AsciiMetadataValue::try_from(long).unwrap());
    assert!(server.operator().accounts().get_account(request).await.is_err());

    for (method, size, is_read) in [
        ("/peerage.v1.AccountAccessService/Authorize", 60 << 10, true),
        ("/peerage.v1.AccountAccessService/Authorize", 70 << 10, false),
        ("/peerage.v1.AccountService/CreateAccount", 120 << 10, true),
        ("/peerage.v1.AccountService/CreateAccount", 140 << 10, false),
        ("/peerage.v1.PeerService/SetPhoto", 500 << 10, true),
        ("/peerage.v1.PeerService/SetPhoto", 600 << 10, false),
    ] {
        // A field that no message knows, which a reader skips: wire type 2, number 1000.
        let mut message = vec![0xc2, 0x3e];
        prost::encode_length_delimiter(size, &mut message).unwrap();
        message.resize(message.len() + size, 0);
        let status = server.raw_operator().call(method, message).await.unwrap_err();
        let is_too_large = status.code() == Code::ResourceExhausted && reason(&status) == "LIMIT_REACHED";
        assert_eq!(!is_too_large, is_read, "{method} {size}: {status:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_does_not_answer_pings_is_closed_and_an_old_one_too() {
    let server = Server::start_with(|config| {
        config.limits.keepalive_interval_ms = 200;
        config.limits.keepalive_timeout_ms = 200;
    })
    .await;
    let mut raw = Raw::open(&server).await;
    // A request is begun, and its message never comes.
    assert!(raw.send(&frame(HEADERS, END_HEADERS, 1, &head())).await);
    assert!(raw.send(&frame(DATA, 0, 1, &[0, 0, 0])).await);
    assert!(is_closed(&mut raw.0).await);
    server.stop().await;

    let server = Server::start_with(|config| {
        config.limits.connection_age_ms = 1_000;
        config.limits.connection_age_grace_ms = 200;
    })
    .await;
    let mut raw = Raw::open(&server).await;
    // A call that never ends does not keep it open.
    assert!(raw.send(&frame(HEADERS, END_HEADERS, 1, &head())).await);
    let mut is_told = false;
    let ended = async {
        while let Some((kind, ..)) = raw.next().await {
            is_told |= kind == GOAWAY;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert!(is_told, "a client is told to go elsewhere first");
    server.stop().await;
}

#[tokio::test]
async fn a_call_takes_no_longer_than_the_server_allows() {
    let server = Server::start_with(|config| config.limits.call_timeout_ms = 200).await;
    let lock = server.running().ctx().store.begin_policy().await.unwrap();
    let api_key = pb::ApiKey { peer: "peers/me".to_owned(), title: "late".to_owned(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() };
    let status = server.operator().auth().create_api_key(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::DeadlineExceeded, "DEADLINE_PASSED".to_owned()));
    lock.rollback().await.unwrap();
    server.stop().await;
}

/// A client counts its deadline itself, so that only bare HTTP/2 shows what the server says.
#[tokio::test]
async fn a_call_whose_deadline_passed_says_so() {
    let server = Server::start().await;
    let lock = server.running().ctx().store.begin_policy().await.unwrap();
    let mut client = http2::connect(&server).await;
    let head = http2::head(&server, server.operator_key(), "/peerage.v1.AuthenticationService/CreateApiKey");
    let (answer, mut body) = client.send_request(head.header("grpc-timeout", "300m").body(()).unwrap(), false).unwrap();
    let api_key = pb::ApiKey { peer: "peers/me".to_owned(), title: "late".to_owned(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() };
    body.send_data(http2::framed(&request), true).unwrap();
    let status = tonic::Status::from_header_map(answer.await.unwrap().headers()).unwrap();
    assert_eq!((status.code(), reason(&status)), (Code::DeadlineExceeded, "DEADLINE_PASSED".to_owned()), "{status:?}");
    lock.rollback().await.unwrap();
    drop(client);
    server.stop().await;
}

/// A call that its caller gives a second.
fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(Duration::from_secs(1));
    request
}

/// Who waits for a revision learns that it did not come, and not that time passed.
#[tokio::test]
async fn a_wait_for_a_revision_is_answered_before_its_time_is_over() {
    let never = pb::Consistency { requirement: Some(pb::consistency::Requirement::AtLeastRevision(i64::MAX)) };
    let one = pb::AuthorizeRequest {
        permission: "accounts.view".to_owned(),
        account: "accounts/platform".to_owned(),
        consistency: Some(never),
        ..Default::default()
    };
    let many = pb::BatchAuthorizeRequest {
        items: vec![pb::BatchAuthorizeItem::default()],
        consistency: Some(never),
        ..Default::default()
    };
    let not_reached = |status: tonic::Status| {
        assert_eq!((status.code(), reason(&status)), (Code::Unavailable, "REVISION_NOT_REACHED".to_owned()));
    };
    let server = Server::start().await;
    not_reached(server.operator().access().authorize(timed(one.clone())).await.unwrap_err());
    not_reached(server.operator().access().batch_authorize(timed(many)).await.unwrap_err());
    server.stop().await;
    // The server's own bound counts in the same way.
    let server = Server::start_with(|config| config.limits.call_timeout_ms = 500).await;
    not_reached(server.operator().access().authorize(one).await.unwrap_err());
    server.stop().await;
}

/// A call that is given up at any moment made its account, its feed entry and its place in the snapshot,
/// or none of them.
#[tokio::test]
async fn a_write_that_runs_out_of_time_is_whole_or_not_there() {
    whole_or_not_there(Server::start().await).await;
    let database = PostgresDatabase::create().await;
    whole_or_not_there(Server::start_on(&database.url, tempfile::tempdir().unwrap()).await).await;
    database.drop().await;
}

async fn whole_or_not_there(server: Server) {
    server.partner("hasty", &["mspcontrol"]).await;
    let before = server.running().ctx().snapshot().mark();
    let mut in_time = BTreeSet::new();
    let mut late = 0;
    for number in 0..150_u64 {
        let id = format!("c{number}");
        let account = pb::Account {
            parent_account: "accounts/hasty".to_owned(),
            kind: pb::AccountKind::Customer.into(),
            title: id.clone(),
            ..Default::default()
        };
        let mut request = Request::new(pb::CreateAccountRequest {
            account_id: id.clone(),
            account: Some(account),
            ..Default::default()
        });
        request.set_timeout(Duration::from_micros(200 + 211 * (number % 50)));
        match server.operator().accounts().create_account(request).await {
            Ok(_) => {
                in_time.insert(id);
            }
            Err(status) => {
                assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
                late += 1;
            }
        }
    }
    assert!(late > 0, "some run out of time");
    // One more write waits for whatever is still being undone or made.
    server.customer("last", "accounts/hasty").await;
    let ctx = server.running().ctx();
    let steps = change_feed::since(ctx.store.reader(), before, ctx.snapshot().revision(), 10_000).await.unwrap();
    let last = before.revision + i64::try_from(steps.len()).unwrap();
    assert_eq!(steps.last().unwrap().mark.revision, last, "revisions have no gap");
    assert_eq!(ctx.snapshot().revision(), last);
    for number in 0..150 {
        let (id, name) = (format!("c{number}"), format!("accounts/c{number}"));
        let in_snapshot = ctx.snapshot().find_account(&id).is_some();
        let in_feed = steps
            .iter()
            .flat_map(|step| &step.changes)
            .filter(|change| format!("{change:?}").contains(&format!("\"{id}\"")))
            .count();
        let get = pb::GetAccountRequest { name: name.clone(), ..Default::default() };
        let in_table = server.operator().accounts().get_account(get).await.is_ok();
        assert!(in_snapshot || !in_time.contains(&id), "{id} was acknowledged");
        assert_eq!((in_table, in_feed > 0), (in_snapshot, in_snapshot), "{id}");
    }
    server.stop().await;
}
