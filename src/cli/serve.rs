//! `peerage serve`: runs the server until it is told to end.

use std::process::ExitCode;

use clap::Args;

use super::config::Source;
use crate::{app, telemetry};

#[derive(Debug, Args)]
#[command(after_help = "Before the first start:\n  \
    peerage migrate\n  \
    peerage bootstrap --key-file operator.key\n\n\
    SIGTERM and SIGINT drain: the server reports NOT_SERVING, lets calls end, and stops.")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,

    /// Where to listen, such as `127.0.0.1:7843`; instead of `listen`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// Speak plaintext beyond loopback; only where something else encrypts
    #[arg(long)]
    allow_plaintext: bool,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let allow_plaintext = arguments.allow_plaintext.then(|| "true".to_owned());
    let config = arguments.source.load(&[("listen", arguments.listen), ("allow_plaintext", allow_plaintext)])?;
    let export = telemetry::start(&config.log, &config.telemetry)?;
    let served = app::serve(&config).await;
    // Also of a server that failed: what it did last tells why.
    if let Some(export) = export {
        export.finish().await;
    }
    served?;
    Ok(ExitCode::SUCCESS)
}
