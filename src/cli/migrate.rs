//! `peerage migrate`: brings the database up to this release.

use std::process::ExitCode;

use clap::Args;

use super::config::Source;
use super::output;
use crate::app;
use crate::application::Clock;

#[derive(Debug, Args)]
#[command(after_help = "Migrations only go forward, and running them again changes nothing.")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.source.load(&[])?;
    app::migrate(&config, Clock::System).await?;
    output::write("the schema and the role packs are those of this release\n")?;
    Ok(ExitCode::SUCCESS)
}
