//! `peerage config`: the server's settings, and the flags that every command on the server's machine
//! takes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{connection, output};
use crate::config::{Config, all_good};
use crate::telemetry::decision_log;
use crate::transport::socket::tls::{Protocols, Tls};

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

    /// Everything that `serve` would refuse, as far as it can be told before it is tried.
    fn check(&self) -> anyhow::Result<Config> {
        let flags: Vec<(&str, String)> = self.database.clone().map(|url| ("database.url", url)).into_iter().collect();
        let config = Config::read(connection::named(self.config.clone()).as_deref(), &flags)?;
        let mut wrong = config.wrong();
        // Files that are not there were named as that.
        if let Some(files) = config.tls.as_ref().filter(|_| !wrong.iter().any(|line| line.starts_with("`tls."))) {
            wrong.extend(Tls::open(files, Protocols::Http2).err().map(|error| format!("{error:#}")));
        }
        wrong.extend(decision_log::check(&config.decision_log).err().map(|error| format!("{error:#}")));
        all_good(&wrong)?;
        Ok(config)
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
    let config = source.check()?;
    let tls = match &config.tls {
        Some(files) if files.client_ca_file.is_some() => "mutual TLS",
        Some(_) => "TLS",
        None => "plaintext",
    };
    output::write(&format!("the configuration is good: {tls} on {}\n", config.listen))?;
    Ok(ExitCode::SUCCESS)
}
