//! `peerage bootstrap`: makes the operator, once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::config::Source;
use super::output;
use crate::app;
use crate::application::Clock;
use crate::application::bootstrap::{Operator, OperatorKey, bootstrap};
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
    match (&arguments.existing_key_file, &arguments.key_file) {
        (Some(existing), _) => {
            let operator = make(&config, user_name, OperatorKey::Hash(read_hash(existing)?)).await?;
            output::write(&format!("peers/{} is the operator\n", operator.peer))?;
        }
        (None, Some(path)) => {
            // The file comes first: a key that could not be kept would lock everyone out for good.
            app::write_private(path, "")?;
            let made = make(&config, user_name, OperatorKey::New).await;
            // It was made a moment ago and holds nothing.
            std::fs::remove_file(path).with_context(|| format!("cannot write `{}`", path.display()))?;
            let operator = made?;
            let text = operator.key.as_ref().map(|key| key.expose().to_owned()).unwrap_or_default();
            app::write_private(path, &text)?;
            let told = format!("peers/{} is the operator; its key is in `{}`\n", operator.peer, path.display());
            output::write(&told)?;
        }
        (None, None) => bail!("`--key-file` or `--existing-key-file` is needed"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn make(config: &Config, user_name: UserName, key: OperatorKey) -> anyhow::Result<Operator> {
    let ctx = app::context(app::connect(config).await?, Clock::System)?;
    app::load(&ctx).await?;
    let operator = bootstrap(&ctx, user_name, key).await?;
    ctx.store.close().await?;
    Ok(operator)
}

fn read_hash(path: &Path) -> anyhow::Result<[u8; 32]> {
    let text = zeroize::Zeroizing::new(
        std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?,
    );
    hash_presented(text.trim()).with_context(|| format!("`{}` holds no API key", path.display()))
}
