//! `peerage config`: the server's settings, and the flags that every command on the server's machine
//! takes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{connection, output};
use crate::config::Config;

/// Where the settings come from.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// The configuration file (TOML)
    #[arg(long, env = "PEERAGE_CONFIG", value_name = "FILE", value_parser = connection::file())]
    config: Option<PathBuf>,

    /// The database: `sqlite:FILE` or `postgres://…`; instead of `database.url`
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Source {
    /// Reads the settings, with further flags over them.
    pub(super) fn load(&self, flags: &[(&'static str, Option<String>)]) -> anyhow::Result<Config> {
        let database = ("database.url", self.database.clone());
        let flags: Vec<(&str, String)> = std::iter::once(database)
            .chain(flags.iter().cloned())
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        Config::load(connection::named(self.config.clone()).as_deref(), &flags)
    }
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads every setting as `serve` would, and says what is wrong
    Check {
        #[command(flatten)]
        source: Source,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Command::Check { source } = &arguments.command;
    let config = source.load(&[])?;
    let tls = if config.tls.is_some() { "TLS" } else { "plaintext" };
    output::write(&format!("the configuration is good: {tls} on {}\n", config.listen))?;
    Ok(ExitCode::SUCCESS)
}
