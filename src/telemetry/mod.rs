//! What the server tells of itself: logs to standard error, and traces, metrics and logs by OTLP where
//! an endpoint is configured.
//!
//! Nothing here can hold a call up: spans and log records go through bounded queues that drop when the
//! collector is away, metrics are read and sent by a task of their own, and only ending waits for
//! them, for a bounded time.
//!
//! Fields of spans and events are ids, methods and outcomes. Credentials, names, e-mail addresses and
//! bodies are never recorded, so that nothing has to be taken out again.

pub mod decision_log;
pub mod metrics;
pub mod otlp;
pub mod sampled;
pub mod sampling;

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{Log, LogFormat, Telemetry};
use otlp::Export;

/// The target of spans that are traced. A call that is not sampled has none of them.
pub const TRACED: &str = "peerage::rpc";

/// Writes logs to standard error, and exports where an endpoint is configured, from here on.
///
/// # Errors
/// Where a filter or an endpoint cannot be used, or a subscriber is set already.
pub fn start(log: &Log, telemetry: &Telemetry) -> anyhow::Result<Option<Export>> {
    let export = Export::start(telemetry)?;
    let text = match log.format {
        LogFormat::Text => {
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(is_colored()).boxed()
        }
        LogFormat::Json => tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    let traces = export.as_ref().and_then(Export::tracer).map(|tracer| {
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        layer.with_tracked_inactivity(false).with_filter(Targets::new().with_target(TRACED, tracing::Level::INFO))
    });
    let logs = match export.as_ref().and_then(Export::log_bridge) {
        // What carries the export would otherwise export its own doings without end.
        Some(bridge) => Some(bridge.with_filter(only_own(filter(log)?)?)),
        None => None,
    };
    tracing_subscriber::registry()
        .with(traces)
        .with(logs)
        .with(text.with_filter(filter(log)?))
        .try_init()
        .map_err(|error| anyhow::anyhow!("logs cannot be started: {error}"))?;
    Ok(export)
}

/// Whether whoever reads the logs sees colors: files and pipes would hold their codes as text.
fn is_colored() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn filter(log: &Log) -> anyhow::Result<EnvFilter> {
    let filter: EnvFilter = log.filter.parse()?;
    // At TRACE sea-orm records its connect options, and with them the database's password.
    Ok(filter.add_directive("sea_orm=info".parse()?).add_directive("sqlx=warn".parse()?))
}

fn only_own(mut filter: EnvFilter) -> anyhow::Result<EnvFilter> {
    for carrier in [
        "h2",
        "hyper",
        "hyper_util",
        "tonic",
        "tower",
        "rustls",
        "opentelemetry",
        "opentelemetry_sdk",
        "opentelemetry_otlp",
    ] {
        filter = filter.add_directive(format!("{carrier}=off").parse()?);
    }
    Ok(filter)
}
