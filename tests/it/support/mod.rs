//! A real server for tests: a free port, a database of its own, a clock that the test moves.

pub mod http2;
pub mod inside;
pub mod policy;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use peerage::app::{self, Running};
use peerage::application::Clock;
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::config::Config;
use peerage::domain::peer::UserName;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::account_access_service_client::AccountAccessServiceClient;
use peerage::transport::grpc::pb::account_service_client::AccountServiceClient;
use peerage::transport::grpc::pb::audit_service_client::AuditServiceClient;
use peerage::transport::grpc::pb::authentication_service_client::AuthenticationServiceClient;
use peerage::transport::grpc::pb::peer_service_client::PeerServiceClient;
use peerage::transport::grpc::pb::role_service_client::RoleServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// 2026-01-05T08:00:00Z, a Monday: where the clock of every test begins.
pub const BEGIN_MICROS: i64 = 1_767_600_000_000_000;

/// A server with an operator, and nothing else in it.
pub struct Server {
    inner: Arc<Inner>,
    operator_key: String,
    channel: Channel,
    micros: Arc<AtomicI64>,
}

struct Inner {
    running: Running,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server on SQLite.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display());
        Self::start_on(&url, folder).await
    }

    /// Starts a server on SQLite with settings of its own.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display());
        Self::start_as(&url, folder, change).await
    }

    /// Starts a server on any database that is empty.
    pub async fn start_on(url: &str, folder: tempfile::TempDir) -> Self {
        Self::start_as(url, folder, |_| {}).await
    }

    /// Starts a server on any database that is empty, with settings of its own.
    pub async fn start_as(url: &str, folder: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let micros = Arc::new(AtomicI64::new(BEGIN_MICROS));
        let clock = Clock::Manual(Arc::clone(&micros));
        let mut config = config(url);
        change(&mut config);
        config.check().expect("good settings");
        app::migrate(&config, clock.clone()).await.expect("the schema migrates and the packs install");
        let running = app::start(&config, clock).await.expect("the server starts");
        let name = UserName::parse("operator").expect("a user name");
        let operator = bootstrap(running.ctx(), name, OperatorKey::New).await.expect("the operator is made");
        let operator_key = operator.key.expect("the operator's key").expose().to_owned();
        let channel = channel(&format!("http://{}", running.address()));
        Self { inner: Arc::new(Inner { running, _folder: folder }), operator_key, channel, micros }
    }

    /// The same server for another runtime, with connections of that runtime's own.
    pub fn reconnected(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            operator_key: self.operator_key.clone(),
            channel: channel(&format!("http://{}", self.inner.running.address())),
            micros: Arc::clone(&self.micros),
        }
    }

    /// The operator's client.
    pub fn operator(&self) -> Client {
        self.client(&self.operator_key)
    }

    /// The operator's client of another process over the same database.
    pub fn operator_at(&self, address: &str) -> Client {
        Client::new(channel(&format!("http://{address}")), &self.operator_key)
    }

    pub fn operator_key(&self) -> &str {
        &self.operator_key
    }

    /// A client that presents a key.
    pub fn client(&self, key: &str) -> Client {
        Client::new(self.channel.clone(), key)
    }

    /// A client that presents nothing.
    pub fn anonymous(&self) -> Client {
        Client { channel: self.channel.clone(), credential: Credential(None) }
    }

    /// A client that sends bytes to any method, as the operator.
    pub fn raw_operator(&self) -> RawClient {
        RawClient::new(self.channel.clone(), &self.operator())
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn address(&self) -> String {
        self.inner.running.address().to_string()
    }

    /// Where probes and metrics are.
    pub fn http_address(&self) -> String {
        self.inner.running.http_address().expect("an HTTP port").to_string()
    }

    pub fn running(&self) -> &Running {
        &self.inner.running
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a duration that fits");
        self.micros.fetch_add(by, Ordering::SeqCst);
    }

    /// The time on the server, in microseconds.
    pub fn micros(&self) -> i64 {
        self.micros.load(Ordering::SeqCst)
    }

    /// The time on the server, as protobuf writes it, moved by some seconds.
    pub fn time(&self, plus_seconds: i64) -> prost_types::Timestamp {
        let micros = self.micros.load(Ordering::SeqCst);
        prost_types::Timestamp { seconds: micros / 1_000_000 + plus_seconds, nanos: 0 }
    }

    /// Stops the server, gracefully.
    pub async fn stop(self) {
        let inner = Arc::into_inner(self.inner).expect("nobody else uses the server");
        inner.running.stop().await.expect("the server stops");
    }

    /// Makes a partner with these packs switched on; returns its name.
    pub async fn partner(&self, id: &str, packs: &[&str]) -> String {
        let settings = pb::AccountSettings {
            role_packs: packs.iter().map(|pack| (*pack).to_owned()).collect(),
            ..pb::AccountSettings::default()
        };
        self.account(id, "accounts/platform", pb::AccountKind::Partner, Some(settings)).await
    }

    /// Makes a customer; returns its name.
    pub async fn customer(&self, id: &str, parent: &str) -> String {
        self.account(id, parent, pb::AccountKind::Customer, None).await
    }

    /// Makes a department; returns its name.
    pub async fn department(&self, id: &str, parent: &str) -> String {
        self.account(id, parent, pb::AccountKind::Department, None).await
    }

    async fn account(
        &self,
        id: &str,
        parent: &str,
        kind: pb::AccountKind,
        settings: Option<pb::AccountSettings>,
    ) -> String {
        let account = pb::Account {
            parent_account: parent.to_owned(),
            kind: kind.into(),
            title: id.to_owned(),
            settings,
            ..pb::Account::default()
        };
        let request = pb::CreateAccountRequest {
            account_id: id.to_owned(),
            account: Some(account),
            ..pb::CreateAccountRequest::default()
        };
        self.operator().accounts().create_account(request).await.expect("the account is made").into_inner().name
    }

    /// Makes a person with a role on its whole home, and a key for it.
    pub async fn person(&self, home: &str, user_name: &str, role: &str) -> TestPeer {
        self.peer(home, user_name, role, pb::PeerKind::Person, &[]).await
    }

    /// Makes a person with a role on some accounts, and a key for it.
    pub async fn person_on(&self, home: &str, user_name: &str, role: &str, accounts: &[&str]) -> TestPeer {
        self.peer(home, user_name, role, pb::PeerKind::Person, accounts).await
    }

    /// Makes a peer of any kind; without accounts, its role is for all of its home.
    pub async fn peer(
        &self,
        home: &str,
        user_name: &str,
        role: &str,
        kind: pb::PeerKind,
        accounts: &[&str],
    ) -> TestPeer {
        let scope = if accounts.is_empty() {
            pb::peer_access::Scope::All(true)
        } else {
            let accounts = accounts.iter().map(|account| (*account).to_owned()).collect();
            pb::peer_access::Scope::Accounts(pb::AccountList { accounts })
        };
        let peer = pb::Peer {
            user_name: user_name.to_owned(),
            display_name: user_name.to_owned(),
            kind: kind.into(),
            home_account: home.to_owned(),
            ..pb::Peer::default()
        };
        let request = pb::CreatePeerRequest {
            peer: Some(peer),
            role: role.to_owned(),
            access: Some(pb::PeerAccess { scope: Some(scope) }),
            justification: "test".to_owned(),
            ..pb::CreatePeerRequest::default()
        };
        let peer = self.operator().peers().create_peer(request).await.expect("the peer is made").into_inner();
        let key = self.key_of(&peer.name).await;
        TestPeer { client: self.client(&key), name: peer.name, key }
    }

    /// Makes a key for a peer, as the operator.
    pub async fn key_of(&self, peer: &str) -> String {
        let api_key = pb::ApiKey { peer: peer.to_owned(), title: "test".to_owned(), ..pb::ApiKey::default() };
        let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..pb::CreateApiKeyRequest::default() };
        self.operator().auth().create_api_key(request).await.expect("the key is made").into_inner().key
    }

    /// Binds a role to a peer for as long as it may last, as the operator; returns the binding's name.
    pub async fn bind(&self, peer: &str, role: &str, account: &str) -> String {
        policy::bind(&self.operator(), policy::binding(peer, role, account)).await.expect("the role is bound").name
    }

    /// An inheritable role from single permissions, of which `!` makes a DENY, made by the operator;
    /// returns its name.
    pub async fn custom_role(&self, owner: &str, grants: &[&str]) -> String {
        policy::custom_role(&self.operator(), owner, grants).await
    }

    /// What the operator is told about a peer.
    pub async fn decide(&self, peer: &str, permission: &str, account: &str) -> pb::AuthorizeResponse {
        self.operator().ask(peer, permission, account).await.expect("a decision")
    }

    /// Whether a peer may, without more.
    pub async fn may(&self, peer: &str, permission: &str, account: &str) -> bool {
        self.decide(peer, permission, account).await.decision() == pb::Decision::Allow
    }
}

/// A peer with its own client.
pub struct TestPeer {
    pub name: String,
    pub key: String,
    pub client: Client,
}

/// An id for a request.
pub fn request_id() -> String {
    use peerage::application::Entropy;
    use peerage::domain::time::Timestamp;
    Entropy.uuid(Timestamp::from_micros(BEGIN_MICROS)).expect("randomness").to_string()
}

/// The services of the contract.
pub fn services() -> Vec<String> {
    peerage::transport::grpc::server::HEALTH_NAMES
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| (*name).to_owned())
        .collect()
}

/// An address on loopback that nobody listens on.
pub fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Waits until a server reports that it serves.
pub async fn until_serving(channel: Channel) {
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let serving = async {
        loop {
            let answer = health.check(tonic_health::pb::HealthCheckRequest::default()).await;
            let serves = tonic_health::pb::health_check_response::ServingStatus::Serving;
            if answer.is_ok_and(|answer| answer.into_inner().status() == serves) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), serving).await.expect("the server serves in time");
}

/// A database of its own on the tests' PostgreSQL.
pub struct PostgresDatabase {
    pub url: String,
    server: String,
    name: String,
}

impl PostgresDatabase {
    pub async fn create() -> Self {
        let server = std::env::var("PEERAGE_TEST_POSTGRES_URL")
            .expect("PEERAGE_TEST_POSTGRES_URL names a PostgreSQL server for the tests; tests/run starts one");
        let mut bytes = [0_u8; 8];
        #[expect(clippy::disallowed_methods, reason = "no two tests on one server may take the same name")]
        getrandom::fill(&mut bytes).expect("randomness");
        let name = format!("peerage_{:016x}", u64::from_be_bytes(bytes));
        Self::run(&server, &format!("CREATE DATABASE {name}")).await;
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        Self { url: format!("{base}/{name}"), server, name }
    }

    pub async fn drop(self) {
        Self::run(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    async fn run(server: &str, statement: &str) {
        use sea_orm::ConnectionTrait as _;
        let connection = sea_orm::Database::connect(server).await.expect("the tests' PostgreSQL");
        connection.execute_unprepared(statement).await.expect("the statement runs");
        connection.close().await.expect("the connection closes");
    }
}

/// The settings of a test's server.
pub fn config(url: &str) -> Config {
    let mut config = Config { listen: ([127, 0, 0, 1], 0).into(), ..Config::default() };
    config.database.url = url.to_owned();
    config.shutdown.drain_delay_ms = 0;
    config
}

fn channel(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).expect("an address").connect_lazy()
}

/// Adds a credential to each call.
#[derive(Clone)]
pub struct Credential(Option<MetadataValue<Ascii>>);

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Intercepted = InterceptedService<Channel, Credential>;

/// Clients of every service that present the same key.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    credential: Credential,
}

impl Client {
    pub fn new(channel: Channel, key: &str) -> Self {
        let value = format!("Bearer {key}").parse().expect("a key that fits into metadata");
        Self { channel, credential: Credential(Some(value)) }
    }

    pub fn accounts(&self) -> AccountServiceClient<Intercepted> {
        AccountServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn peers(&self) -> PeerServiceClient<Intercepted> {
        PeerServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn roles(&self) -> RoleServiceClient<Intercepted> {
        RoleServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn access(&self) -> AccountAccessServiceClient<Intercepted> {
        AccountAccessServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn auth(&self) -> AuthenticationServiceClient<Intercepted> {
        AuthenticationServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn audit(&self) -> AuditServiceClient<Intercepted> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    /// Asks Authorize about a peer.
    pub async fn ask(&self, peer: &str, permission: &str, account: &str) -> Result<pb::AuthorizeResponse, Status> {
        let request = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Peer(peer.to_owned())),
            permission: permission.to_owned(),
            account: account.to_owned(),
            ..pb::AuthorizeRequest::default()
        };
        self.access().authorize(request).await.map(tonic::Response::into_inner)
    }
}

/// The reason in a status's `ErrorInfo`.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The fields that a status names as bad.
pub fn bad_fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    bad.into_iter().map(|violation| violation.field).collect()
}

/// The status of an item of a batch, as a call of its own would have ended.
pub fn status_of(error: &tonic_types::Status) -> Status {
    let details = prost::Message::encode_to_vec(error);
    Status::with_details(tonic::Code::from(error.code), error.message.clone(), details.into())
}

/// A client without generated code: for tests that walk the descriptor.
pub struct RawClient {
    channel: Channel,
    credential: Credential,
}

impl RawClient {
    /// Presents what a client presents, on a channel.
    pub fn new(channel: Channel, client: &Client) -> Self {
        Self { channel, credential: client.credential.clone() }
    }

    /// Calls a unary method with an empty message.
    pub async fn call_empty(&self, method: &str) -> Result<Vec<u8>, Status> {
        self.call(method, Vec::new()).await
    }

    /// Calls a unary method with the bytes of a message.
    pub async fn call(&self, method: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let service = InterceptedService::new(self.channel.clone(), self.credential.clone());
        let mut grpc = tonic::client::Grpc::new(service);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = method.parse().expect("a method's path");
        let response = grpc.unary(Request::new(message), path, BytesCodec).await?;
        Ok(response.into_inner())
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct BytesCodec;

impl tonic::codec::Codec for BytesCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for BytesCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length).to_vec()))
    }
}
