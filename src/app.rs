//! The composition root: connect, load, listen, serve, drain.

mod sole;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

use crate::application::bootstrap::{OperatorKey, bootstrap};
use crate::application::kept::Kept;
use crate::application::packs::{self, Packs};
use crate::application::start::Started;
use crate::application::{Clock, Ctx, Pools, start};
use crate::cli::demo::DemoServer;
use crate::config::Config;
use crate::decision::Snapshot;
use crate::decision::compile::Compiler;
use crate::domain::peer::UserName;
use crate::storage::{SchemaState, Store, StoreOptions};
use crate::telemetry::decision_log::DecisionLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp;
use crate::transport::grpc::rules::RULES;
use crate::transport::grpc::server;
use crate::transport::http::{self, Watched};
use crate::transport::socket;
use crate::transport::socket::tls::{Protocols, Tls};
use crate::worker::{self, duties::Duties};
use sole::Sole;

/// How often the age of the policy is looked at.
const HEALTH_PERIOD: Duration = Duration::from_millis(500);
/// How long what is left may take after the calls ended.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// A server that runs. Dropping it stops nothing; [`Running::stop`] does.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    http_address: Option<SocketAddr>,
    ctx: Arc<Ctx>,
    sole: Option<Sole>,
    shutdown: crate::config::Shutdown,
    stop_accepting: CancellationToken,
    stop_workers: CancellationToken,
    stop_reporting: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
    reporter: Duties,
    duties: Duties,
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
    ctx.page_key().await.context("the key of page tokens could not be made")?;
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
    first_load(ctx, None).await.map(drop)
}

/// As [`load`], from the file where one is kept.
async fn first_load(ctx: &Ctx, kept: Option<&Kept>) -> anyhow::Result<Started> {
    match ctx.store.schema().await? {
        SchemaState::Current => {}
        SchemaState::Behind { .. } => anyhow::bail!("the schema is behind this release; run `peerage migrate`"),
        SchemaState::TooNew { floor } => anyhow::bail!("the schema needs release {floor} or later"),
    }
    Ok(start::start(ctx, kept).await?)
}

/// Starts a server: it listens at once, and reports SERVING when the facts are loaded.
///
/// # Errors
/// Where an address is taken, a TLS file cannot be used, another server runs on the same SQLite file, or
/// the facts cannot be loaded.
pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Running> {
    let tls = config.tls.as_ref().map(|files| Tls::open(files, protocols(config))).transpose()?.map(Arc::new);
    let store = connect(config).await?;
    let sole = sqlite_file(&config.database.url).map(|file| Sole::of(&file)).transpose()?;
    let ctx = Arc::new(context(store, clock)?);
    ctx.shadow.set_ratio(config.telemetry.shadow_sample_ratio);
    let metrics = Arc::new(Metrics::new(RULES.iter().map(|rule| rule.method))?);
    let (decision_log, writing) = DecisionLog::start(&config.decision_log, Arc::clone(&metrics))?.unzip();
    let health = HealthReporter::new();
    server::report(&health, ServingStatus::NotServing).await;
    // All ports are opened before any task begins, so that whoever fails leaves nothing running.
    let http_listener = match config.http.listen {
        Some(address) => Some(socket::listen(address).await?),
        None => None,
    };
    let listener = socket::listen(config.listen).await?;
    let http_address = http_listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let address = listener.local_addr()?;
    let (stop_accepting, stop_workers, stop_reporting) =
        (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let watched = Watched {
        ctx: Arc::clone(&ctx),
        metrics: Arc::clone(&metrics),
        stale_after: config.follow.stale_after(),
        is_draining: Arc::new(AtomicBool::new(false)),
    };
    let mut duties = Duties::default();
    if let Some(listener) = http_listener {
        let (incoming, accepting) = socket::accept(listener, None, http::bounds(), Arc::clone(&metrics));
        duties.start("accept_http", accepting);
        duties.start("serve_http", http::serve(incoming, watched.clone(), stop_workers.clone()));
    }
    let bounds = server::bounds(&config.limits);
    let (incoming, accepting) = socket::accept(listener, tls.clone(), bounds, Arc::clone(&metrics));
    duties.start("accept", accepting);
    let parts = server::Parts {
        ctx: Arc::clone(&ctx),
        metrics: Arc::clone(&metrics),
        decision_log,
        health: HealthService::from_health_reporter(health.clone()),
    };
    let (config_of_server, stop) = (config.clone(), stop_accepting.clone());
    let serving = async move { server::serve(&config_of_server, parts, incoming, stop).await };
    let server = tokio::spawn(duties.watched(serving));
    let kept = config.snapshot.file.clone().map(Kept::new);
    let started = match first_load(&ctx, kept.as_ref()).await {
        Ok(started) => started,
        Err(error) => {
            stop_accepting.cancel();
            stop_workers.cancel();
            server.abort();
            return Err(error);
        }
    };
    ctx.policy.set_ready(true);
    server::report(&health, ServingStatus::Serving).await;
    start_workers(&mut duties, &ctx, &stop_workers);
    if let Some(kept) = kept {
        let keeping = (kept, started.file, config.snapshot.interval());
        duties.start("keep_snapshot", worker::keep_snapshot(Arc::clone(&ctx), keeping, stop_workers.clone()));
    }
    if let Some(writing) = writing {
        duties.start("log_decisions", writing.finish(stop_workers.clone()));
    }
    if let Some(tls) = tls {
        let following = tls.follow(stop_workers.clone());
        duties.start("follow_certificates", reported("certificates cannot be followed", following));
    }
    let pushing = otlp::push_metrics(config.telemetry.clone(), metrics, Arc::clone(&ctx), stop_workers.clone());
    duties.start("push_metrics", reported("metrics cannot be sent", pushing));
    #[cfg(feature = "fault-injection")]
    if let Some(after) = config.fault.lose_duty_after_ms {
        duties.start("lost", tokio::time::sleep(Duration::from_millis(after)));
    }
    let mut reporter = Duties::default();
    let ended = duties.ended().clone();
    reporter.start("report_health", report_health(watched, health, (stop_reporting.clone(), ended)));
    tracing::info!(
        server.address = %address,
        server.revision = ctx.snapshot().revision(),
        server.loaded_from = if started.file.is_some() { "file" } else { "rows" },
        server.loaded_ms = started.took.as_millis() as u64,
        "serving"
    );
    let shutdown = config.shutdown.clone();
    Ok(Running {
        address,
        http_address,
        ctx,
        sole,
        shutdown,
        stop_accepting,
        stop_workers,
        stop_reporting,
        server,
        reporter,
        duties,
    })
}

/// What TLS offers: HTTP/1 is for web pages alone.
const fn protocols(config: &Config) -> Protocols {
    if config.web.allowed_origins.is_empty() { Protocols::Http2 } else { Protocols::Http2AndHttp1 }
}

fn start_workers(duties: &mut Duties, ctx: &Arc<Ctx>, stop: &CancellationToken) {
    duties.start("follow", worker::follow(Arc::clone(ctx), stop.clone()));
    duties.start("hear", worker::hear(Arc::clone(ctx), stop.clone()));
    duties.start("shadow", worker::shadow(Arc::clone(ctx), stop.clone()));
    duties.start("follow_logs", worker::follow_logs(Arc::clone(ctx), stop.clone()));
    duties.start("write_refusals", worker::write_refusals(Arc::clone(ctx), stop.clone()));
    duties.start("write_uses", worker::write_uses(Arc::clone(ctx), stop.clone()));
    duties.start("purge_peers", worker::purge_peers(Arc::clone(ctx), stop.clone()));
    duties.start("purge_requests", worker::purge_requests(Arc::clone(ctx), stop.clone()));
}

/// Says in the log what a duty failed with, which then is missed.
async fn reported(what: &'static str, duty: impl Future<Output = anyhow::Result<()>>) {
    if let Err(error) = duty.await {
        tracing::error!(error = format!("{error:#}"), "{what}");
    }
}

/// Reports SERVING while the facts are loaded, were proven current lately, and no part of the server is
/// lost. In the end it reports NOT_SERVING, on the HTTP port too.
async fn report_health(
    watched: Watched,
    health: HealthReporter,
    (stop, ended): (CancellationToken, CancellationToken),
) {
    let Watched { ctx, stale_after, is_draining, .. } = watched;
    let mut readiness = ctx.policy.readiness();
    let mut did_serve = true;
    loop {
        let serves = ctx.policy.is_current(stale_after);
        if serves != did_serve {
            let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
            tracing::warn!(server.serves = serves, "what the server reports of itself has changed");
            server::report(&health, status).await;
            did_serve = serves;
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = ended.cancelled() => break,
            _ = readiness.changed() => {}
            () = tokio::time::sleep(HEALTH_PERIOD) => {}
        }
    }
    is_draining.store(true, Ordering::Release);
    server::report(&health, ServingStatus::NotServing).await;
    // To end before being told to would be taken for a fault of its own.
    stop.cancelled().await;
}

impl Running {
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where probes and metrics are, if anywhere.
    #[must_use]
    pub const fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    #[must_use]
    pub const fn ctx(&self) -> &Arc<Ctx> {
        &self.ctx
    }

    /// Waits until a part of the server ended by itself: then it is no server any more, and is to be
    /// stopped.
    pub async fn broken(&self) {
        tokio::select! {
            () = self.duties.ended().cancelled() => {}
            () = self.reporter.ended().cancelled() => {}
        }
    }

    /// Stops: reports NOT_SERVING, goes on for the drain delay so that callers turn away, takes no
    /// more connections, lets calls in flight end within the grace, then closes the database.
    ///
    /// # Errors
    /// Where the server or a duty had failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { ctx, sole, shutdown, mut server, reporter, duties, .. } = self;
        self.stop_reporting.cancel();
        let reported = reporter.join().await;
        tokio::time::sleep(shutdown.drain_delay()).await;
        self.stop_accepting.cancel();
        let ended = tokio::time::timeout(shutdown.grace(), &mut server).await;
        if ended.is_err() {
            tracing::warn!("calls in flight outlived the grace");
            server.abort();
            // What an aborted task has to say is that it was aborted.
            drop(server.await);
        }
        self.stop_workers.cancel();
        let done = duties.join().await;
        if tokio::time::timeout(CLOSE_MAX, ctx.policy.settled()).await.is_err() {
            tracing::warn!("a change was still being committed");
        }
        let closed = tokio::time::timeout(CLOSE_MAX, ctx.store.close()).await;
        if closed.is_err() {
            tracing::warn!("the database did not close in time");
        }
        drop(sole);
        ended.unwrap_or(Ok(Ok(())))??;
        reported.and(done)?;
        Ok(closed.unwrap_or(Ok(()))?)
    }
}

/// Serves until the process is told to end.
///
/// # Errors
/// As [`start()`] and [`Running::stop`]; where a part of the server ended by itself.
pub async fn serve(config: &Config) -> anyhow::Result<()> {
    let running = start(config, Clock::System).await?;
    let is_told = tokio::select! {
        told = told_to_end() => told.map(|()| true)?,
        () = running.broken() => false,
    };
    tracing::info!("draining");
    running.stop().await?;
    anyhow::ensure!(is_told, "a part of the server ended by itself");
    Ok(())
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
        tokio::select! {
            () = told.cancelled() => {}
            () = running.broken() => {}
        }
        running.stop().await
    });
    Ok(DemoServer { address, api_key_file, stop, served })
}

/// Writes a secret to a file that only its owner reads and that must not exist yet.
///
/// # Errors
/// Where the file cannot be made.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.with_context(|| format!("cannot create `{}`", path.display()))?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write `{}`", path.display()))
}
