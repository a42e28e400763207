//! `peerage policy import`: custom roles and bindings of a casbin policy.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::cli::connection::Connection;
use crate::cli::output::{self, Format};
use crate::cli::preview::DryRun;
use crate::cli::{failure, names, preview};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

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
    #[command(flatten)]
    preview: DryRun,
}

pub(super) async fn run(connection: &Connection, import: Import, format: Format) -> anyhow::Result<()> {
    let policy = fs::read(&import.file).with_context(|| format!("cannot read `{}`", import.file.display()))?;
    let request = pb::ImportPolicyRequest {
        account: names::account(&import.account),
        policy: policy.into(),
        skip_wrong_lines: import.skip_wrong_lines,
        ..Default::default()
    };
    let call = pb::ImportPolicyRequest { validate_only: import.preview.dry_run, ..request.clone() };
    let done = match connection.roles().import_policy(call).await {
        Ok(done) => done.into_inner(),
        Err(status) => {
            hint_at_others(&status);
            return Err(status.into());
        }
    };
    for line in &done.skipped_lines {
        output::note(&format!("left out: line {}, which {}", line.line, line.reason))?;
    }
    let made = format!("{} roles and {} bindings", done.role_count, done.role_binding_count);
    if import.preview.dry_run {
        let rights = preview::rights(connection, Change::ImportPolicy(request), format).await?;
        return rehearsed(&done, &made, &rights, format);
    }
    match format {
        Format::Table => output::done(format, &format!("made {made} at revision {}", done.update_revision)),
        Format::Json => output::one(format, &done),
    }
}

/// An error has no room for thousands of lines; a rehearsal without them has.
fn hint_at_others(status: &Status) {
    let named = status.get_details_bad_request().map_or(0, |bad| bad.field_violations.len());
    let info = status.get_details_error_info();
    let count = info.and_then(|info| info.metadata.get("count")?.parse::<usize>().ok());
    if let Some(count) = count.filter(|count| *count > named) {
        failure::hint(&format!(
            "`--skip-wrong-lines --dry-run` names all {count} wrong lines, where the rest can be taken"
        ));
    }
}

fn rehearsed(
    done: &pb::ImportPolicyResponse,
    made: &str,
    rights: &preview::Rights,
    format: Format,
) -> anyhow::Result<()> {
    match format {
        Format::Table => {
            output::write(&format!("A dry run: nothing was changed. It would make {made}.\n{}", rights.text()))
        }
        Format::Json => {
            let mut value = output::json(done)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("dryRun".to_owned(), true.into());
                rights.put_into(object)?;
            }
            output::write(&format!("{}\n", serde_json::to_string_pretty(&value)?))
        }
    }
}
