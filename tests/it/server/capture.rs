//! A whole run is recorded: what goes over the network to callers, to the database and to a collector,
//! what is logged at the highest level, counted, recorded as events and answered as errors. No secret
//! that was issued or sent is in any of it, also where it was sent to the wrong place or the database
//! failed over it.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::{Arc, Mutex};

use peerage::app;
use peerage::application::Clock;
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::domain::peer::UserName;
use peerage::transport::grpc::pb;
use prost::Message as _;
use sea_orm::ConnectionTrait as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request};

use super::metrics::get;
use super::telemetry::{Collector, TOKEN};
use super::{telemetry, tls};
use crate::support::{self, Client, PostgresDatabase, RawClient, request_id};

/// A proxy that keeps what passes through it.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Recorder {
    /// Stands before an address; returns where it listens itself.
    async fn before(&self, target: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let recorder = self.clone();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                // Before the server listens there is nothing to record.
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(recorder.clone().pass(near_in, far_out));
                tokio::spawn(recorder.clone().pass(far_in, near_out));
            }
        });
        address
    }

    async fn pass(self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut bytes = vec![0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            self.0.lock().unwrap().extend_from_slice(&bytes[..length]);
            if to.write_all(&bytes[..length]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    }

    fn heard(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

/// Less could be anywhere by chance.
const LEAST: usize = 12;

/// What must be nowhere, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn keep(&mut self, what: &str, secret: &str) -> String {
        assert!(secret.len() >= LEAST, "{what} could be anywhere by chance");
        self.0.insert(what.to_owned(), secret.to_owned());
        // Of a key, its public id may be anywhere: the rest stands for it as well.
        if let Some((_, tail)) = secret.rsplit_once('_') {
            self.0.insert(format!("the tail of {what}"), tail.to_owned());
        }
        secret.to_owned()
    }

    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for (what, secret) in &self.0 {
            let Some(at) = text.find(secret.as_str()) else { continue };
            let from = text.floor_char_boundary(at.saturating_sub(200));
            panic!("{place} holds {what}: …{}", &text[from..text.ceil_char_boundary(at + secret.len())]);
        }
    }
}

/// Calls with secrets in them, good and bad ones; all that was answered but the secrets themselves.
struct Scenario {
    client: Client,
    raw: RawClient,
    channel: Channel,
    secrets: Secrets,
    said: String,
}

impl Scenario {
    fn note<T: std::fmt::Debug>(&mut self, answer: Result<tonic::Response<T>, tonic::Status>) -> Option<T> {
        self.said += &format!("{answer:?}\n");
        if let Err(status) = &answer {
            self.said += &String::from_utf8_lossy(status.details());
        }
        answer.ok().map(tonic::Response::into_inner)
    }

    fn refused<T: std::fmt::Debug>(&mut self, answer: Result<tonic::Response<T>, tonic::Status>) -> Code {
        let code = answer.as_ref().expect_err("a refusal").code();
        self.note(answer);
        code
    }

    /// Keys that are made, used, revoked, misspelled, and sent to where no key belongs.
    async fn keys(&mut self) {
        let wish = |title: &str, request_id: &str| pb::CreateApiKeyRequest {
            api_key: Some(pb::ApiKey { peer: "peers/me".into(), title: title.into(), ..Default::default() }),
            request_id: request_id.into(),
            ..Default::default()
        };
        let id = request_id();
        let mut made = self.client.auth().create_api_key(wish("first", &id)).await.unwrap().into_inner();
        let key = self.secrets.keep("an API key", &std::mem::take(&mut made.key));
        self.said += &format!("{made:?}\n");
        let again = self.client.auth().create_api_key(wish("first", &id)).await;
        let again = self.note(again).unwrap();
        assert_eq!(again.key, "", "a repeat holds no key");

        let holder = Client::new(self.channel.clone(), &key);
        let used = holder.access().authorize(pb::AuthorizeRequest::default()).await;
        self.refused(used);
        let token = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Token(key.clone())),
            permission: "accounts.view".into(),
            account: "accounts/platform".into(),
            ..Default::default()
        };
        let told = self.client.access().authorize(token).await;
        self.note(told);
        for name in [format!("apiKeys/{key}"), key.clone()] {
            let revoked =
                self.client.auth().revoke_api_key(pb::RevokeApiKeyRequest { name, ..Default::default() }).await;
            self.refused(revoked);
        }
        let listed = pb::ListApiKeysRequest { peer: "peers/me".into(), page_token: key.clone(), ..Default::default() };
        let listed = self.client.auth().list_api_keys(listed).await;
        self.refused(listed);
        let repeated = self.client.auth().create_api_key(wish("second", &key)).await;
        self.refused(repeated);
        let mut elsewhere = Request::new(pb::ListApiKeysRequest { peer: "peers/me".into(), ..Default::default() });
        for header in ["x-api-key", "cookie", "x-request-id", "tracestate", "baggage"] {
            elsewhere.metadata_mut().insert(header, format!("key={key}").parse().unwrap());
        }
        let listed = self.client.auth().list_api_keys(elsewhere).await;
        self.note(listed);
        let name = made.api_key.unwrap().name;
        let revoked = self.client.auth().revoke_api_key(pb::RevokeApiKeyRequest { name, ..Default::default() }).await;
        self.note(revoked);
        let dead = holder.auth().list_api_keys(pb::ListApiKeysRequest::default()).await;
        assert_eq!(self.refused(dead), Code::Unauthenticated);
        for wrong in [format!("{key}x"), key.to_uppercase(), format!("Basic {key}")] {
            let stranger = Client::new(self.channel.clone(), &wrong);
            let refused = stranger.auth().list_api_keys(pb::ListApiKeysRequest::default()).await;
            assert_eq!(self.refused(refused), Code::Unauthenticated);
        }
    }

    /// Passwords that are taken, refused, made up, and sent in requests that cannot be read.
    async fn passwords(&mut self) {
        let good = self.secrets.keep("a password", "zebra-umbrella-quartz-first");
        let other = self.secrets.keep("a password typed otherwise", "walrus-pickle-cobalt-unlike");
        let weak = self.secrets.keep("a weak password", "passwordpasswordpassword");
        let broken = self.secrets.keep("a password with a bell", "velvet-hammock-\u{7}-plasma");
        let long = self.secrets.keep("a password too long", "endless-endless-").repeat(100);
        let new = |user_name: &str, password: &str, confirm: &str| pb::CreatePeerRequest {
            peer: Some(pb::Peer {
                user_name: user_name.into(),
                kind: pb::PeerKind::Person.into(),
                home_account: "accounts/platform".into(),
                ..Default::default()
            }),
            role: "roles/core.auditor".into(),
            access: Some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::All(true)) }),
            justification: "test".into(),
            password: password.into(),
            confirm_password: confirm.into(),
            request_id: request_id(),
            ..Default::default()
        };
        let made = self.client.peers().create_peer(new("one", &good, &good)).await;
        self.note(made).unwrap();
        for request in [
            new("one", &good, &good),
            new("two", &good, &other),
            new("two", &weak, &weak),
            new("two", &long, &long),
            new("", &good, &good),
        ] {
            let refused = self.client.peers().create_peer(request).await;
            self.refused(refused);
        }
        let set = |name: &str, password: &str, confirm: &str| pb::SetPasswordRequest {
            name: name.into(),
            password: password.into(),
            confirm_password: confirm.into(),
            request_id: request_id(),
            ..Default::default()
        };
        let done = self.client.peers().set_password(set("peers/@one", &other, &other)).await;
        self.note(done).unwrap();
        for (name, password, confirm) in [
            ("peers/@one", &good, &other),
            ("peers/@nobody", &good, &good),
            ("peers/@one", &weak, &weak),
            ("peers/@one", &long, &long),
            ("a name that is none", &good, &good),
        ] {
            let refused = self.client.peers().set_password(set(name, password, confirm)).await;
            self.refused(refused);
        }
        for answer in [
            self.client.peers().create_peer(new("three", &broken, &broken)).await,
            self.client.peers().set_password(set("peers/@one", &broken, &broken)).await,
        ] {
            self.note(answer);
        }
        let mut dry = set("peers/@one", &good, &good);
        dry.validate_only = true;
        let dry = self.client.peers().set_password(dry).await;
        self.note(dry).unwrap();
        let made = self.client.peers().generate_password(pb::GeneratePasswordRequest::default()).await;
        self.said += &format!("{made:?}\n");
        let made = self.secrets.keep("a generated password", &made.unwrap().into_inner().password);
        let done = self.client.peers().set_password(set("peers/@one", &made, &made)).await;
        self.note(done).unwrap();
        // The password is read, and then the bytes make no sense any more.
        for tail in [&[0xff_u8, 0xff, 0xff][..], &[0x12, 0x7f], &[0x0a, 0x02, 0xc3, 0x28]] {
            let bytes = [&set("peers/@one", &good, &good).encode_to_vec()[..], tail].concat();
            let refused = self.raw.call("/peerage.v1.PeerService/SetPassword", bytes).await.map(tonic::Response::new);
            self.refused(refused);
        }
    }

    /// The database fails over rows with secrets in them.
    async fn faults(&mut self, database: &str) {
        let connection = sea_orm::Database::connect(database).await.unwrap();
        for (damage, mend) in [
            ("ALTER TABLE passwords RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO passwords"),
            // PostgreSQL would tell the whole row that it refused.
            (
                "ALTER TABLE passwords ADD CONSTRAINT broken CHECK (false) NOT VALID",
                "ALTER TABLE passwords DROP CONSTRAINT broken",
            ),
        ] {
            connection.execute_unprepared(damage).await.unwrap();
            let password = self.secrets.keep("a password that could not be kept", "cactus-ferry-mirror-lost");
            let request = pb::SetPasswordRequest {
                name: "peers/@one".into(),
                confirm_password: password.clone(),
                password,
                ..Default::default()
            };
            let refused = self.client.peers().set_password(request).await;
            assert_eq!(self.refused(refused), Code::Internal);
            connection.execute_unprepared(mend).await.unwrap();
        }
        let damage = "ALTER TABLE api_keys ADD CONSTRAINT broken CHECK (false) NOT VALID";
        connection.execute_unprepared(damage).await.unwrap();
        let api_key = Some(pb::ApiKey { peer: "peers/me".into(), title: "lost".into(), ..Default::default() });
        let request = pb::CreateApiKeyRequest { api_key, ..Default::default() };
        let refused = self.client.auth().create_api_key(request).await;
        assert_eq!(self.refused(refused), Code::Internal);
        connection.execute_unprepared("ALTER TABLE api_keys DROP CONSTRAINT broken").await.unwrap();
        connection.close().await.unwrap();
    }

    async fn events(&self) -> Vec<u8> {
        let request =
            pb::ListAuditEventsRequest { account: "accounts/platform".into(), page_size: 1000, ..Default::default() };
        let events = self.client.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
        assert!(events.len() > 5, "{events:?}");
        let mut bytes = format!("{events:?}").into_bytes();
        for event in events {
            bytes.extend_from_slice(&event.canonical_bytes);
        }
        bytes
    }
}

/// A process that a test which fails does not leave behind.
struct Kept(Option<Child>);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A URL whose server is reached through a recorder, and its password.
async fn recorded(url: &str, recorder: &Recorder) -> (String, String) {
    let (head, rest) = url.split_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let (_, password) = head.rsplit_once(':').unwrap();
    (format!("{head}@{}/{name}", recorder.before(address.to_owned()).await), password.to_owned())
}

async fn operator(url: &str) -> String {
    let config = support::config(url);
    app::migrate(&config, Clock::System).await.unwrap();
    let ctx = app::context(app::connect(&config).await.unwrap(), Clock::System).unwrap();
    app::load(&ctx).await.unwrap();
    let operator = bootstrap(&ctx, UserName::parse("operator").unwrap(), OperatorKey::New).await.unwrap();
    ctx.store.close().await.unwrap();
    operator.key.unwrap().expose().to_owned()
}

/// The settings of a server that tells as much as it can, to everyone there is.
fn settings(database: &str, collector: &str, http: &str) -> String {
    format!(
        "[database]\nurl = \"{database}\"\n[tls]\ncertificate_file = \"tls.crt\"\nkey_file = \"tls.key\"\n\
         [http]\nlisten = \"{http}\"\n[log]\nfilter = \"trace\"\n[shutdown]\ndrain_delay_ms = 0\n\
         [telemetry]\nendpoint = \"{collector}\"\nexport_interval_ms = 100\ndecision_sample_ratio = 1.0\n\
         headers = {{ x-token = \"{TOKEN}\" }}\n[decision_log]\nto = \"stdout\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_capture_log_metric_event_or_error_holds_a_secret() {
    let (to_callers, to_database, to_collector) = (Recorder::default(), Recorder::default(), Recorder::default());
    let postgres = PostgresDatabase::create().await;
    let (database, database_password) = recorded(&postgres.url, &to_database).await;
    let key = operator(&database).await;
    let collector = Collector::default();
    let collected = collector.listen().await;
    let collected = to_collector.before(collected.trim_start_matches("http://").to_owned()).await;

    let folder = tempfile::tempdir().unwrap();
    let authority = tls::authority("capture");
    let (certificate, private_key) = tls::issue(&authority, "localhost");
    std::fs::write(folder.path().join("tls.crt"), certificate).unwrap();
    std::fs::write(folder.path().join("tls.key"), private_key.clone()).unwrap();
    let (listen, http) = (support::free_address(), support::free_address());
    std::fs::write(folder.path().join("peerage.toml"), settings(&database, &format!("http://{collected}"), &http))
        .unwrap();
    let mut command = super::peerage(folder.path(), &["serve", "--config", "peerage.toml", "--listen", &listen]);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let decisions = std::fs::File::create(folder.path().join("decisions")).unwrap();
    let mut child = Kept(Some(command.stdout(decisions).stderr(log).spawn().unwrap()));
    let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("localhost");
    let address = format!("https://{}", to_callers.before(listen).await);
    let channel = Endpoint::from_shared(address).unwrap().tls_config(trust).unwrap().connect_lazy();
    support::until_serving(channel.clone()).await;

    let mut secrets = Secrets::default();
    secrets.keep("the operator's key", &key);
    if database_password.len() >= LEAST {
        secrets.keep("the database's password", &database_password);
    }
    secrets.keep("the server's private key", private_key.lines().nth(1).unwrap());
    let client = Client::new(channel.clone(), &key);
    let raw = RawClient::new(channel.clone(), &client);
    let mut scenario = Scenario { client, raw, channel, secrets, said: String::new() };
    scenario.keys().await;
    scenario.passwords().await;
    scenario.faults(&postgres.url).await;
    let events = scenario.events().await;
    let (_, metrics) = get(&http, "/metrics").await;
    telemetry::end(child.0.take().unwrap()).await;

    let log = std::fs::read(folder.path().join("log")).unwrap();
    assert!(log.len() > 100_000, "the log is at its highest level");
    let decisions = std::fs::read(folder.path().join("decisions")).unwrap();
    for line in String::from_utf8(decisions.clone()).unwrap().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("nothing else is written to stdout");
        assert_eq!(entry["version"], 1);
    }
    let Scenario { mut secrets, said, .. } = scenario;
    for (place, bytes, least) in [
        ("the network to callers", to_callers.heard(), 10_000),
        ("the network to the database", to_database.heard(), 100_000),
        ("an answer", said.clone().into_bytes(), 1_000),
        ("an event", events, 1_000),
        ("a metric", metrics.clone().into_bytes(), 1_000),
        ("the log", log.clone(), 100_000),
        ("the log of decisions", decisions, 300),
        ("what a collector got", collector.everything().into_bytes(), 1_000),
    ] {
        assert!(bytes.len() > least, "{place} was recorded");
        secrets.assert_absent(place, &bytes);
    }
    // What the database alone may know.
    secrets.keep("a hash of a password", "$argon2id$v=19");
    secrets.assert_absent("the network to the collector", &to_collector.heard());
    // What the collector alone may know.
    secrets.keep("the collector's token", TOKEN);
    for (place, bytes) in [("an answer", said.into_bytes()), ("a metric", metrics.into_bytes()), ("the log", log)] {
        secrets.assert_absent(place, &bytes);
    }
    postgres.drop().await;
}

/// What proves that the recorders hear: the same calls without TLS are full of secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_of_plaintext_holds_what_tls_hides() {
    let recorder = Recorder::default();
    let server = support::Server::start().await;
    let address = recorder.before(server.address()).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let client = Client::new(channel, server.operator_key());
    let api_key = Some(pb::ApiKey { peer: "peers/me".into(), title: "heard".into(), ..Default::default() });
    let request = pb::CreateApiKeyRequest { api_key, ..Default::default() };
    let key = client.auth().create_api_key(request).await.unwrap().into_inner().key;
    let mut secrets = Secrets::default();
    secrets.keep("an API key", &key);
    let heard = recorder.heard();
    let found = std::panic::catch_unwind(|| secrets.assert_absent("the network", &heard));
    assert!(found.is_err(), "what was heard is searched");
    server.stop().await;
}
