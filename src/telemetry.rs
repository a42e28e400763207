//! Logs. Traces and metrics follow.

use crate::config::{Log, LogFormat};

/// Writes logs to standard error from here on.
///
/// # Errors
/// Where the filter cannot be read, or a subscriber is set already.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter: tracing_subscriber::EnvFilter = log.filter.parse()?;
    // At TRACE sea-orm records its connect options, and with them the database's password.
    let filter = filter.add_directive("sea_orm=info".parse()?).add_directive("sqlx=warn".parse()?);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logs cannot be started: {error}"))
}
