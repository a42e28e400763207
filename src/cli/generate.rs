//! `peerage generate`: fills an empty database with a world, for measuring. It is no part of running a
//! platform, and so stands in no list of commands.

use std::process::ExitCode;

use clap::Args;

use super::config::Source;
use super::{output, page};
use crate::app;
use crate::application::Clock;
use crate::application::generate::{Scale, generate};

#[derive(Debug, Args)]
#[command(
    after_help = "The same scale and seed make the same world. The database is migrated and empty, but for an operator.\n\n  \
    peerage migrate --database sqlite:world.db\n  \
    peerage generate --database sqlite:world.db --peers 100000"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,

    /// How many peers; there are a tenth as many accounts and three times as many bindings
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    peers: usize,

    /// Which of all worlds of that size
    #[arg(long, default_value_t = Scale::of(0).seed)]
    seed: u64,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.source.load(&[])?;
    let ctx = app::context(app::connect(&config).await?, Clock::System)?;
    app::load(&ctx).await?;
    let progress = page::bar(arguments.peers, "peers");
    let scale = Scale { peers: arguments.peers, seed: arguments.seed };
    let made = generate(&ctx, scale, |done| progress.set_position(done.try_into().unwrap_or(u64::MAX))).await?;
    progress.finish_and_clear();
    ctx.store.close().await?;
    output::write(&format!(
        "{} peers, {} accounts, {} roles, {} bindings, {} groups with {} members, {} permissions\n",
        made.peers, made.accounts, made.roles, made.bindings, made.groups, made.members, made.permissions
    ))?;
    Ok(ExitCode::SUCCESS)
}
