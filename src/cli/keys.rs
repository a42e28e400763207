//! `peerage keys`: API keys. A key is shown once, when it is made; nobody keeps its text.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use prost_types::Timestamp;

use super::connection::{Connection, Server};
use super::consent::{Consent, Loss};
use super::output::{self, Format};
use super::words::Word as _;
use super::{names, page, time};
use crate::transport::grpc::pb;

/// What to do with API keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage keys create backend@contosomsp.com --title 'portal' --output-file portal.key\n  \
    peerage keys create me --title 'laptop' --expires 2027-01-01T00:00:00Z\n  \
    peerage keys list backend@contosomsp.com\n  \
    peerage keys revoke 0193a7b2-0000-7000-8000-00000000000a\n\n\
    Without `--output-file` the key alone goes to stdout, so that `KEY=$(peerage keys create ...)` holds it.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Creates an API key and shows it once
    Create {
        /// Whose key it is: a user name, a uid, or `me`
        peer: String,
        /// What the key is for
        #[arg(long)]
        title: String,
        /// When it ends, as `2027-01-01T00:00:00Z`; without it, never
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        expires: Option<Timestamp>,
        /// Writes the key to this new file, readable by you alone, and not to stdout
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
    /// Lists a peer's API keys, revoked ones too, without their texts
    List {
        /// Whose keys: a user name, a uid, or `me`
        #[arg(default_value = "me")]
        peer: String,
        #[command(flatten)]
        limit: page::Limit,
    },
    /// Revokes an API key for good
    #[command(visible_alias = "delete")]
    Revoke {
        /// The key's id, as `keys list` shows it
        key: String,
        #[command(flatten)]
        consent: Consent,
    },
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    if let Action::Revoke { consent, .. } = &arguments.action {
        consent.check()?;
    }
    let connection = Connection::open(server).await?;
    match arguments.action {
        Action::Create { peer, title, expires, output_file } => {
            let key = pb::ApiKey { peer: names::peer(&peer), title, expire_time: expires, ..Default::default() };
            create(&connection, key, output_file.as_deref(), format).await?;
        }
        Action::List { peer, limit } => list(&connection, names::peer(&peer), limit.count, format).await?,
        Action::Revoke { key, consent } => {
            let request = pb::RevokeApiKeyRequest { name: names::api_key(&key), ..Default::default() };
            if consent.given(format, async || loss(&connection, request.clone()).await).await? {
                let key = connection.authentication().revoke_api_key(request).await?;
                output::one(format, key.get_ref())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a revocation would take, once the server has found nothing against it.
async fn loss(connection: &Connection, request: pb::RevokeApiKeyRequest) -> anyhow::Result<Loss> {
    let rehearsal = pb::RevokeApiKeyRequest { validate_only: true, ..request };
    let key = connection.authentication().revoke_api_key(rehearsal).await?.into_inner();
    let id = names::short(&key.name).to_owned();
    let last_used = time::show(key.last_used_time.as_ref());
    let details = vec![("title", key.title), ("peer", key.peer), ("last used", last_used)];
    Ok(Loss { rights: None, what: format!("revokes API key {id} for good"), name: id, details })
}

async fn create(connection: &Connection, key: pb::ApiKey, path: Option<&Path>, format: Format) -> anyhow::Result<()> {
    // The file comes first: a key that cannot be stored must not be made, it could never be shown again.
    let file = path.map(|path| output::new_private_file(path).map(|file| (path, file))).transpose()?;
    let request = pb::CreateApiKeyRequest { api_key: Some(key), ..Default::default() };
    let answer = connection.authentication().create_api_key(request).await;
    let Some((path, mut file)) = file else {
        let answer = answer?.into_inner();
        let text = match format {
            Format::Table => answer.key.clone(),
            Format::Json => output::json_text(&answer)?,
        };
        let name = answer.api_key.map(|key| key.name).unwrap_or_default();
        return output::deliver(&format!("{text}\n"))
            .with_context(|| format!("nobody read the new key, so it is lost: revoke {name}"));
    };
    let answer = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            drop(file);
            std::fs::remove_file(path).with_context(|| format!("cannot remove the empty `{}`", path.display()))?;
            return Err(status.into());
        }
    };
    let written = writeln!(file, "{}", answer.key).and_then(|()| file.sync_all());
    written.with_context(|| {
        let key = answer.api_key.as_ref().map_or("", |key| &key.name);
        format!("cannot write `{}`; revoke {key}, nobody has its text", path.display())
    })?;
    match (format, &answer.api_key) {
        (Format::Table, _) | (_, None) => output::done(format, &format!("the key is in {}", path.display())),
        (Format::Json, Some(key)) => output::one(format, key),
    }
}

async fn list(connection: &Connection, peer: String, limit: Option<usize>, format: Format) -> anyhow::Result<()> {
    let mut client = connection.authentication();
    let keys = page::follow(limit, async |page_size, page_token| {
        let request = pb::ListApiKeysRequest { peer: peer.clone(), page_size, page_token };
        let page = client.list_api_keys(request).await?.into_inner();
        Ok((page.api_keys, page.next_page_token))
    })
    .await?;
    let header = ["KEY", "TITLE", "STATE", "CREATED", "EXPIRES", "LAST USED"];
    output::list(format, &keys, &header, |key| {
        vec![
            names::short(&key.name).to_owned(),
            key.title.clone(),
            pb::ApiKeyState::of(key.state),
            time::show(key.create_time.as_ref()),
            time::show(key.expire_time.as_ref()),
            time::show(key.last_used_time.as_ref()),
        ]
    })
}
