//! A real server for tests: a free port, a database of its own, a clock that the test moves.

mod client;
pub mod http2;
pub mod inside;
pub mod policy;
mod postgres;
mod raw;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use peerage::app::{self, Running};
use peerage::application::Clock;
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::config::Config;
use peerage::domain::peer::UserName;
use peerage::transport::grpc::pb;
use tonic::transport::{Channel, Endpoint};

pub use client::{Client, bad_fields, reason, status_of};
pub use postgres::PostgresDatabase;
pub use raw::RawClient;

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
        Client::anonymous(self.channel.clone())
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
