//! The server as a process that can be killed, over a database that outlives it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peerage::app;
use peerage::application::Clock;
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::domain::peer::UserName;
use peerage::transport::grpc::pb;
use tonic::transport::{Channel, Endpoint};

use crate::support::{self, Client};

/// A database with packs, an operator and a small world, as servers find it.
pub(super) struct Database {
    pub url: String,
    pub key: String,
}

/// Where the peers of the world are at home, and where their roles count.
pub(super) const HOME: &str = "accounts/burning";
pub(super) const PLACES: [&str; 3] = ["accounts/cellar", "accounts/attic", "accounts/garage"];

impl Database {
    /// Migrates an empty database and makes its operator.
    pub(super) async fn new(url: String) -> Self {
        let config = support::config(&url);
        app::migrate(&config, Clock::System).await.unwrap();
        let ctx = app::context(app::connect(&config).await.unwrap(), Clock::System).unwrap();
        app::load(&ctx).await.unwrap();
        let operator = bootstrap(&ctx, UserName::parse("operator").unwrap(), OperatorKey::New).await.unwrap();
        ctx.store.close().await.unwrap();
        Self { url, key: operator.key.unwrap().expose().to_owned() }
    }
}

/// A running server.
pub(super) struct Process {
    child: Child,
    channel: Channel,
    http: String,
    key: String,
    began: Instant,
}

impl Process {
    /// Starts a server; `prefix` is a command that runs it, if any. It does not serve yet.
    pub(super) fn spawn(database: &Database, prefix: &[String]) -> Self {
        let (listen, http) = (support::free_address(), support::free_address());
        let mut words = prefix.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_peerage")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["serve", "--database", &database.url, "--listen", &listen]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
            command.env_remove(name);
        }
        // Each kill makes it say what everyone knows.
        command.env("PEERAGE_HTTP__LISTEN", &http).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().unwrap();
        let channel = Endpoint::from_shared(format!("http://{listen}")).unwrap().connect_lazy();
        Self { child, channel, http, key: database.key.clone(), began }
    }

    /// Starts a server and waits until it serves.
    pub(super) async fn serve(database: &Database, prefix: &[String]) -> Self {
        let process = Self::spawn(database, prefix);
        process.serving().await;
        process
    }

    /// Waits until it serves; returns how long it took from its start.
    pub(super) async fn serving(&self) -> Duration {
        support::until_serving(self.channel.clone()).await;
        self.began.elapsed()
    }

    pub(super) fn operator(&self) -> Client {
        Client::new(self.channel.clone(), &self.key)
    }

    /// Asks the HTTP port.
    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        crate::server::get(&self.http, path).await
    }

    /// Whether it still runs.
    pub(super) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it in the middle of whatever it does.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    /// A test that fails leaves no process behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes the accounts in which the writers write.
pub(super) async fn build(operator: &Client) {
    let settings = pb::AccountSettings { role_packs: vec!["mspcontrol".to_owned()], ..Default::default() };
    let accounts = [
        ("fire", "accounts/platform", pb::AccountKind::Partner, Some(settings)),
        ("burning", "accounts/fire", pb::AccountKind::Customer, None),
        ("cellar", HOME, pb::AccountKind::Department, None),
        ("attic", HOME, pb::AccountKind::Department, None),
        ("garage", HOME, pb::AccountKind::Department, None),
    ];
    for (id, parent, kind, settings) in accounts {
        let account = pb::Account {
            parent_account: parent.to_owned(),
            kind: kind.into(),
            title: id.to_owned(),
            settings,
            ..Default::default()
        };
        let request =
            pb::CreateAccountRequest { account_id: id.to_owned(), account: Some(account), ..Default::default() };
        operator.accounts().create_account(request).await.unwrap();
    }
}
