//! The composition root: connect, load, listen, serve, drain.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use crate::application::bootstrap::{OperatorKey, bootstrap};
use crate::application::packs::{self, Packs};
use crate::application::{Clock, Ctx, Pools, refresh};
use crate::cli::demo::DemoServer;
use crate::config::Config;
use crate::decision::Snapshot;
use crate::decision::compile::Compiler;
use crate::domain::peer::UserName;
use crate::storage::{SchemaState, Store, StoreOptions};
use crate::transport::grpc::layer::gate::GateLayer;
use crate::transport::grpc::server;
use crate::worker;

/// The most streams of one connection at once.
const STREAMS_MAX: u32 = 1024;
/// How often a silent connection is asked whether it is there, and how long it may take to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A server that runs. Dropping it stops nothing; [`Running::stop`] does.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    ctx: Arc<Ctx>,
    health: HealthReporter,
    shutdown: crate::config::Shutdown,
    stop_accepting: CancellationToken,
    stop_workers: CancellationToken,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    workers: JoinHandle<()>,
}

/// Opens the database.
///
/// # Errors
/// Where it cannot be reached or its URL cannot be used.
pub async fn connect(config: &Config) -> anyhow::Result<Store> {
    if let Some(file) = sqlite_file(&config.database.url)
        && !config.database.url.contains("mode=")
        && !file.exists()
    {
        anyhow::bail!("there is no database `{}`; run `peerage migrate` first", file.display());
    }
    let options = StoreOptions {
        max_connections: config.database.max_connections,
        #[cfg(feature = "fault-injection")]
        without_revision_lock: config.fault.without_revision_lock,
        ..StoreOptions::default()
    };
    Store::connect(&config.database.url, &options).await.context("cannot open the database")
}

/// A context over an opened database, before any fact is loaded.
///
/// # Errors
/// Where the packs or the casbin model are not usable, which the build would have to have broken, or
/// there are no threads to be had.
pub fn context(store: Store, clock: Clock) -> anyhow::Result<Ctx> {
    let packs = Arc::new(Packs::embedded()?);
    let pools = Pools::start().context("the threads for hashing cannot be started")?;
    Ok(Ctx::new(store, clock, packs, (Snapshot::default(), Compiler::new()?), pools))
}

/// Brings schema and role packs up to this release.
///
/// # Errors
/// Where a migration fails, or a pack's matrix is not what the engine answers.
pub async fn migrate(config: &Config, clock: Clock) -> anyhow::Result<()> {
    let store = connect(&creating(config)?).await?;
    store.migrate().await.context("the schema could not be migrated")?;
    let ctx = context(store, clock)?;
    load(&ctx).await?;
    ctx.packs.verify(&mut Compiler::new()?)?;
    packs::install(&ctx).await.context("the role packs could not be installed")?;
    Ok(ctx.store.close().await?)
}

/// The same settings, but an SQLite file that is not there is made. Only migrating makes one: a server
/// that starts on an empty file by mistake would look like one that lost everything.
fn creating(config: &Config) -> anyhow::Result<Config> {
    let mut config = config.clone();
    if let Some(file) = sqlite_file(&config.database.url).filter(|file| !file.exists()) {
        // Names, addresses and hashes of keys are for nobody else on the machine. What SQLite keeps
        // beside the file gets the same mode.
        use std::os::unix::fs::OpenOptionsExt as _;
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
        made.with_context(|| format!("cannot create `{}`", file.display()))?;
    }
    if config.database.url.starts_with("sqlite:") && !config.database.url.contains("mode=") {
        config.database.url.push_str(if config.database.url.contains('?') { "&mode=rwc" } else { "?mode=rwc" });
    }
    Ok(config)
}

/// The file of an SQLite URL.
fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    path.split('?').next().map(PathBuf::from)
}

/// Loads the facts of a migrated database and publishes them.
///
/// # Errors
/// Where the schema is of another release, or facts do not fit together.
pub async fn load(ctx: &Ctx) -> anyhow::Result<()> {
    match ctx.store.schema().await? {
        SchemaState::Current => {}
        SchemaState::Behind { .. } => anyhow::bail!("the schema is behind this release; run `peerage migrate`"),
        SchemaState::TooNew { floor } => anyhow::bail!("the schema needs release {floor} or later"),
    }
    let mut compiler = Compiler::new()?;
    let snapshot = refresh::load(&ctx.store, ctx.clock.now(), &mut compiler).await?;
    ctx.publish(Arc::new(snapshot));
    Ok(())
}

/// Starts a server: it listens at once, and reports SERVING when the facts are loaded.
///
/// # Errors
/// Where the address is taken, a TLS file cannot be read, or the facts cannot be loaded.
pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Running> {
    let ctx = Arc::new(context(connect(config).await?, clock)?);
    let health = HealthReporter::new();
    server::report(&health, ServingStatus::NotServing).await;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let (stop_accepting, stop_workers) = (CancellationToken::new(), CancellationToken::new());
    let routes = server::routes(&ctx, HealthService::from_health_reporter(health.clone()))?;
    let server =
        builder(config)?.layer(GateLayer::new(Arc::clone(&ctx))).add_routes(routes).serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stop_accepting.clone().cancelled_owned(),
        );
    let server = tokio::spawn(server);
    if let Err(error) = load(&ctx).await {
        stop_accepting.cancel();
        return Err(error);
    }
    ctx.set_ready(true);
    server::report(&health, ServingStatus::Serving).await;
    let workers = tokio::spawn(work(Arc::clone(&ctx), health.clone(), stop_workers.clone()));
    tracing::info!(server.address = %address, server.revision = ctx.snapshot().revision(), "serving");
    let shutdown = config.shutdown.clone();
    Ok(Running { address, ctx, health, shutdown, stop_accepting, stop_workers, server, workers })
}

/// Runs the workers, and reports what they find of the server's health.
async fn work(ctx: Arc<Ctx>, health: HealthReporter, stop: CancellationToken) {
    let (is_following, mut followed) = tokio::sync::watch::channel(true);
    let workers = worker::run(ctx, is_following, stop);
    let report = async {
        while followed.changed().await.is_ok() {
            let is_following = *followed.borrow_and_update();
            let status = if is_following { ServingStatus::Serving } else { ServingStatus::NotServing };
            server::report(&health, status).await;
        }
    };
    tokio::join!(workers, report);
}

fn builder(config: &Config) -> anyhow::Result<Server> {
    let builder = Server::builder()
        .max_concurrent_streams(Some(STREAMS_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    let Some(tls) = &config.tls else { return Ok(builder) };
    let read =
        |file: &std::path::Path| std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()));
    let identity = Identity::from_pem(read(&tls.certificate_file)?, read(&tls.key_file)?);
    builder.tls_config(ServerTlsConfig::new().identity(identity)).context("`tls` cannot be used")
}

impl Running {
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub const fn ctx(&self) -> &Arc<Ctx> {
        &self.ctx
    }

    /// Stops: reports NOT_SERVING, goes on for the drain delay so that callers turn away, takes no
    /// more connections, lets calls in flight end within the grace, then closes the database.
    ///
    /// # Errors
    /// Where the server had failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        server::report(&self.health, ServingStatus::NotServing).await;
        tokio::time::sleep(self.shutdown.drain_delay()).await;
        self.stop_accepting.cancel();
        let ended = tokio::time::timeout(self.shutdown.grace(), self.server).await;
        self.stop_workers.cancel();
        self.workers.await?;
        if let Ok(ended) = ended {
            ended??;
        } else {
            tracing::warn!("calls in flight outlived the grace");
        }
        Ok(self.ctx.store.close().await?)
    }
}

/// Serves until the process is told to end.
///
/// # Errors
/// As [`start`] and [`Running::stop`].
pub async fn serve(config: &Config) -> anyhow::Result<()> {
    let running = start(config, Clock::System).await?;
    told_to_end().await?;
    tracing::info!("draining");
    running.stop().await
}

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// Where signals cannot be listened for.
pub async fn told_to_end() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Starts the demo's server: its database and its operator's key in a folder that the caller removes.
///
/// # Errors
/// As [`migrate`] and [`start`].
pub(crate) async fn start_demo(folder: PathBuf, listen: SocketAddr) -> anyhow::Result<DemoServer> {
    let mut config = Config { listen, ..Config::default() };
    config.database.url = format!("sqlite:{}", folder.join("peerage.db").display());
    config.shutdown.drain_delay_ms = 0;
    config.check()?;
    migrate(&config, Clock::System).await?;
    let running = start(&config, Clock::System).await?;
    let user_name = UserName::parse("operator").map_err(anyhow::Error::new)?;
    let operator = bootstrap(running.ctx(), user_name, OperatorKey::New).await?;
    let api_key_file = folder.join("operator.key");
    let key = operator.key.as_ref().map(|key| key.expose().to_owned()).unwrap_or_default();
    write_private(&api_key_file, &key)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    let address = running.address().to_string();
    let served = tokio::spawn(async move {
        told.cancelled().await;
        running.stop().await
    });
    Ok(DemoServer { address, api_key_file, stop, served })
}

/// Writes a secret to a file that only its owner reads and that must not exist yet.
///
/// # Errors
/// Where the file cannot be made.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.with_context(|| format!("cannot create `{}`", path.display()))?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write `{}`", path.display()))
}
