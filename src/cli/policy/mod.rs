//! `peerage policy`: policies in casbin's terms.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connection::{Connection, Server};
use super::output::Format;

mod export;
mod import;

/// What to do with policies.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage policy export --account contoso-msp --out contoso-msp\n  \
    peerage policy export --account contoso-corp --out friday --at 2026-11-27T18:00:00Z\n  \
    peerage policy export --account contoso-corp --out office --source-address 203.0.113.7 --attribute ring=2\n  \
    peerage policy import policy.csv --account contoso-corp --dry-run\n\n\
    model.conf and policy.csv are for casbin of any language, unchanged; docs/policy-export.md says how to\n\
    ask it.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Writes the policy of an account and all below it as casbin reads it
    Export(export::Export),
    /// Makes roles and bindings of a casbin policy: RBAC with domains, or what `policy export` wrote
    Import(import::Import),
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(server).await?;
    match arguments.action {
        Action::Export(export) => export::run(&connection, export, format).await?,
        Action::Import(import) => import::run(&connection, import, format).await?,
    }
    Ok(ExitCode::SUCCESS)
}
