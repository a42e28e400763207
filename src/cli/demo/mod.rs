//! `peerage demo`: a server on a built-in world, asked about every matrix as a client would ask, with
//! commands to go on with.
//!
//! Everything after the start goes over gRPC: the world is applied as by `peerage apply`, and the
//! questions are put with the key of a backend service that holds `access.check` and nothing more.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, DEFAULT_TIMEOUT, Server};
use super::{apply, failure, output};
use crate::config::DEFAULT_LISTEN;
use crate::transport::grpc::pb;

mod commands;
mod matrix;
mod stories;

const WORLD: &str = include_str!("../../../deploy/demo/world.yaml");
/// The peer of the world that asks: an integration with `core.backend_service` on the platform.
const BACKEND: &str = "peers/@product-backend";
const ANY_PORT: &str = "127.0.0.1:0";
/// A table differs from the documents.
const DIFFERENT: u8 = 1;

/// How the demo runs.
#[derive(Debug, Args)]
#[command(after_help = "The demo keeps everything in a temporary folder, which is gone when it ends.\n\n\
    Examples:\n  \
    peerage demo\n  \
    peerage demo --listen 127.0.0.1:0\n  \
    peerage demo --check\n\n\
    Exit codes: 0 ended by Ctrl-C or SIGTERM, or every cell is as the documents say; 1 a cell differs\n\
    (with `--check`); 2 the demo failed.")]
pub(crate) struct Arguments {
    /// Where the server listens; port 0 takes a free one [default: 127.0.0.1:7843, with `--check` a free port]
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Ends once the tables are compared with the documents, instead of serving on
    #[arg(long)]
    check: bool,
}

/// A server that was started for the demo.
#[derive(Debug)]
pub(crate) struct DemoServer {
    /// Where it listens, as `ip:port`.
    pub(crate) address: String,
    /// The file with the operator's API key.
    pub(crate) api_key_file: PathBuf,
    /// Cancelled to make the server drain and end.
    pub(crate) stop: CancellationToken,
    /// Ends when the server has.
    pub(crate) served: JoinHandle<anyhow::Result<()>>,
}

/// Runs the demo. `start` makes database and operator in a folder that it is given, starts a server
/// at the address, and returns when it serves.
pub(crate) async fn run(
    arguments: Arguments,
    start: impl AsyncFnOnce(PathBuf, SocketAddr) -> anyhow::Result<DemoServer>,
) -> anyhow::Result<ExitCode> {
    let mut interrupted = std::pin::pin!(interruption()?);
    let listen = match arguments.listen {
        Some(listen) => listen,
        // A check may run beside a demo that goes on.
        None if arguments.check => ANY_PORT.parse()?,
        None => DEFAULT_LISTEN.parse()?,
    };
    let folder =
        tempfile::Builder::new().prefix("peerage-demo-").tempdir().context("cannot make a temporary folder")?;
    let started = Instant::now();
    let running = start(folder.path().to_owned(), listen).await?;
    let DemoServer { address, api_key_file, stop, mut served } = running;
    let server = Server { address, api_key_file: Some(api_key_file), ca_file: None, timeout: DEFAULT_TIMEOUT };
    output::write(&format!("A server listens at {}, after {}.\n", server.address, seconds(started.elapsed())))?;

    let shown = tokio::select! {
        shown = show(&server) => Some(shown),
        () = &mut interrupted => None,
    };
    if let Some(Ok(differences)) = &shown {
        output::write(&verdict(differences))?;
    }
    let code = match shown {
        Some(Ok(differences)) if arguments.check => {
            if differences.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(DIFFERENT)
            }
        }
        Some(Ok(_)) => {
            output::write(&commands::text(&server))?;
            tokio::select! {
                () = &mut interrupted => {}
                ended = &mut served => {
                    ended.context("the server broke")??;
                    anyhow::bail!("the server ended by itself");
                }
            }
            ExitCode::SUCCESS
        }
        Some(Err(error)) => {
            stop.cancel();
            return Err(error);
        }
        None => ExitCode::SUCCESS,
    };
    stop.cancel();
    served.await.context("the server broke")??;
    Ok(code)
}

/// Applies the world, asks, and prints. It returns what differs from the documents.
async fn show(server: &Server) -> anyhow::Result<Vec<String>> {
    let operator = Connection::open(server).await?;
    let world =
        apply::read(WORLD).map_err(|problems| anyhow::anyhow!("{}", problems.show("deploy/demo/world.yaml")))?;
    apply_world(&operator, &world).await?;
    let backend = backend(&operator, server).await?;
    let mut asker = matrix::Asker::new(&backend);
    let mut differences = Vec::new();
    for table in matrix::tables()? {
        let (text, different) = matrix::show(&operator, &mut asker, &world, &table).await?;
        output::write(&text)?;
        differences.extend(different);
    }
    let (text, different) = stories::show(&mut asker).await?;
    output::write(&text)?;
    differences.extend(different);
    output::write(&asker.timing())?;
    Ok(differences)
}

async fn apply_world(operator: &Connection, world: &apply::World) -> anyhow::Result<()> {
    let started = Instant::now();
    let plan = apply::plan(operator, world)
        .await?
        .map_err(|problems| anyhow::anyhow!("{}", problems.show("deploy/demo/world.yaml")))?;
    let apply::Outcome { done, refusal } = apply::execute(operator, &plan).await;
    if let Some(refusal) = refusal {
        let step = plan.steps.get(done).map(apply::Step::show).unwrap_or_default();
        return Err(anyhow::Error::new(refusal).context(format!("the world stopped at `{step}`")));
    }
    output::write(&format!(
        "It holds {} accounts, {} peers, {} custom roles and {} groups now, made over gRPC in {}.\n",
        world.accounts.len(),
        world.peers.len(),
        world.roles.len(),
        world.groups.len(),
        seconds(started.elapsed())
    ))
}

/// A connection as the backend service that asks, with a key made for it.
async fn backend(operator: &Connection, server: &Server) -> anyhow::Result<Connection> {
    let key = pb::ApiKey { peer: BACKEND.to_owned(), title: "demo".to_owned(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(key), ..Default::default() };
    let answer = operator.authentication().create_api_key(request).await?.into_inner();
    Connection::open_with_key(server, &answer.key).await
}

fn verdict(differences: &[String]) -> String {
    if differences.is_empty() {
        return "Every cell is as the documents say.\n".to_owned();
    }
    let mut text = format!("{} differences from the documents:\n", differences.len());
    for difference in differences {
        text.push_str(&format!("  {}\n", output::clean(difference)));
    }
    text
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Ends with Ctrl-C or SIGTERM, both caught from this call on.
#[cfg(unix)]
fn interruption() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends with Ctrl-C.
#[cfg(not(unix))]
fn interruption() -> anyhow::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// One line of what went wrong with a question.
fn refused(status: &tonic::Status) -> String {
    format!("{}: {}", failure::short(status), status.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_world_is_right() {
        let world = apply::read(WORLD).unwrap_or_else(|problems| panic!("{}", problems.show("world.yaml")));
        assert!((45..=60).contains(&world.accounts.len()), "{}", world.accounts.len());
        assert!((480..=540).contains(&world.peers.len()), "{}", world.peers.len());
        for table in matrix::tables().unwrap() {
            matrix::check_holders(&world, &table);
        }
    }
}
