//! `peerage policy export`: a model.conf and a policy.csv, whole or not at all.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use prost_types::Timestamp;

use crate::cli::circumstances::Circumstances;
use crate::cli::connection::Connection;
use crate::cli::output::{self, Format};
use crate::cli::{names, time};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::export_policy_response::Piece;

const MODEL: &str = "model.conf";
const POLICY: &str = "policy.csv";

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The account that is exported, with all below it
    #[arg(long)]
    account: String,
    /// The folder for model.conf and policy.csv; it is made where it is missing, files in it are kept
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The moment for which windows are resolved, instead of now
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<Timestamp>,
    #[command(flatten)]
    circumstances: Circumstances,
    /// Exports a policy at least as new as this revision
    #[arg(long, value_name = "REVISION", conflicts_with = "latest",
          value_parser = clap::value_parser!(i64).range(0..))]
    revision: Option<i64>,
    /// Waits for the newest policy, as after a change on another server
    #[arg(long)]
    latest: bool,
}

pub(super) async fn run(connection: &Connection, export: Export, format: Format) -> anyhow::Result<()> {
    let folder = export.out.clone();
    let request = request(export)?;
    let _made = Folder::new(&folder)?;
    let mut model = Draft::new(folder.join(MODEL))?;
    let mut policy = Draft::new(folder.join(POLICY))?;
    let mut pieces = connection.roles().export_policy(request).await?.into_inner();
    let (mut revision, mut lines) = (0, 0);
    while let Some(message) = pieces.message().await? {
        revision = message.revision;
        match message.piece {
            Some(Piece::Model(text)) => model.write(text.as_bytes())?,
            Some(Piece::Policy(text)) => {
                lines += text.iter().filter(|byte| **byte == b'\n').count();
                policy.write(&text)?;
            }
            None => bail!("the server sent a piece that this release does not know"),
        }
    }
    model.finish()?;
    policy.finish()?;
    output::done(format, &format!("{lines} lines at revision {revision} in `{}`", folder.display()))
}

fn request(export: Export) -> anyhow::Result<pb::ExportPolicyRequest> {
    use pb::consistency::Requirement;

    let requirement = match export.revision {
        Some(revision) => Some(Requirement::AtLeastRevision(revision)),
        None => export.latest.then_some(Requirement::Latest(true)),
    };
    Ok(pb::ExportPolicyRequest {
        account: names::account(&export.account),
        evaluation_time: export.at,
        context: Some(export.circumstances.into_wire()?),
        consistency: requirement.map(|requirement| pb::Consistency { requirement: Some(requirement) }),
    })
}

/// The folders that an export made. Where it breaks off, those that it leaves empty go again.
struct Folder {
    /// The innermost first.
    made: Vec<PathBuf>,
}

impl Folder {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        fs::create_dir_all(path).with_context(|| format!("cannot make `{}`", path.display()))?;
        Ok(Self { made })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that holds anything stays.
        let _ = self.made.iter().try_for_each(fs::remove_dir);
    }
}

/// A file that gets its name when it is whole; until then, or where the export breaks off, there is none.
struct Draft {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    is_whole: bool,
}

impl Draft {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        if path.exists() {
            bail!("`{}` is there already", path.display());
        }
        let partial = path.with_extension("partial");
        let file = BufWriter::new(output::new_private_file(&partial)?);
        Ok(Self { path, partial, file, is_whole: false })
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| cannot_write(&self.partial))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.file.flush().with_context(|| cannot_write(&self.partial))?;
        self.is_whole = true;
        fs::rename(&self.partial, &self.path).with_context(|| cannot_write(&self.path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_whole {
            // What is left behind is named as what it is.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
