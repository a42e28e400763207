//! `peerage bootstrap`: makes the operator, once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::config::Source;
use super::output;
use crate::app;
use crate::application::bootstrap::{OperatorKey, bootstrap};
use crate::application::{Clock, Ctx};
use crate::config::Config;
use crate::crypto::api_key::hash_presented;
use crate::domain::peer::UserName;

#[derive(Debug, Args)]
#[command(
    after_help = "The operator holds every right on the platform. Its key is written once and kept nowhere else.\n\n  \
    peerage bootstrap --key-file operator.key\n  \
    export PEERAGE_API_KEY_FILE=operator.key"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,

    /// What the operator signs in with
    #[arg(long, default_value = "operator", value_name = "NAME")]
    user_name: String,

    /// Write the operator's new API key to this file, which must not exist yet (mode 0600)
    #[arg(long, value_name = "FILE", required_unless_present = "existing_key_file")]
    key_file: Option<PathBuf>,

    /// Take an API key that was made elsewhere from this file, such as a mounted secret
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    existing_key_file: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.source.load(&[])?;
    let user_name = UserName::parse(&arguments.user_name).map_err(|why| anyhow::anyhow!("`--user-name` {why}"))?;
    let told = match (&arguments.existing_key_file, &arguments.key_file) {
        (Some(existing), _) => {
            let hash = read_hash(existing)?;
            let ctx = open(&config).await?;
            let operator = bootstrap(&ctx, user_name, OperatorKey::Hash(hash)).await?;
            ctx.store.close().await?;
            format!("peers/{} is the operator\n", operator.peer)
        }
        (None, Some(path)) => {
            let ctx = open(&config).await?;
            // The file comes first, and stays open: a key that could not be kept would lock everyone out
            // for good.
            let mut file = output::new_private_file(path)?;
            let operator = match bootstrap(&ctx, user_name, OperatorKey::New).await {
                Ok(operator) => operator,
                Err(error) => {
                    std::fs::remove_file(path)
                        .with_context(|| format!("cannot remove the empty `{}`", path.display()))?;
                    return Err(error.into());
                }
            };
            let key = operator.key.as_ref().map_or("", |key| key.expose());
            writeln!(file, "{key}")
                .and_then(|()| file.sync_all())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            ctx.store.close().await?;
            format!("peers/{} is the operator; its key is in `{}`\n", operator.peer, path.display())
        }
        (None, None) => bail!("`--key-file` or `--existing-key-file` is needed"),
    };
    output::write(&told)?;
    Ok(ExitCode::SUCCESS)
}

async fn open(config: &Config) -> anyhow::Result<Ctx> {
    let ctx = app::context(app::connect(config).await?, Clock::System)?;
    app::load(&ctx).await?;
    Ok(ctx)
}

fn read_hash(path: &Path) -> anyhow::Result<[u8; 32]> {
    let text = zeroize::Zeroizing::new(
        std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?,
    );
    hash_presented(text.trim()).with_context(|| format!("`{}` holds no API key", path.display()))
}
