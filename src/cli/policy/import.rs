//! `peerage policy import`: custom roles and bindings of a casbin policy.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::cli::connection::Connection;
use crate::cli::names;
use crate::cli::output::{self, Format};
use crate::transport::grpc::pb;

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The policy.csv
    file: PathBuf,
    /// The account that will own the roles, and in whose subtree the bindings stay
    #[arg(long)]
    account: String,
    /// Leaves out lines that cannot be taken, and says which, instead of making nothing
    #[arg(long)]
    skip_wrong_lines: bool,
    /// Checks everything and changes nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(connection: &Connection, import: Import, format: Format) -> anyhow::Result<()> {
    let policy = fs::read(&import.file).with_context(|| format!("cannot read `{}`", import.file.display()))?;
    let request = pb::ImportPolicyRequest {
        account: names::account(&import.account),
        policy: policy.into(),
        request_id: String::new(),
        validate_only: import.dry_run,
        skip_wrong_lines: import.skip_wrong_lines,
    };
    let done = connection.roles().import_policy(request).await?.into_inner();
    for line in &done.skipped_lines {
        output::note(&format!("left out: line {}, which {}", line.line, line.reason))?;
    }
    let made = format!("{} roles and {} bindings", done.role_count, done.role_binding_count);
    let text = if import.dry_run {
        format!("would make {made}; nothing was changed")
    } else {
        format!("made {made} at revision {}", done.update_revision)
    };
    match format {
        Format::Table => output::done(format, &text),
        Format::Json => output::one(format, &done),
    }
}
