//! A server that is asked for three times what it can do: what it still gets done, how long decisions
//! take meanwhile, and what memory it takes.
//!
//! ```text
//! tests/bench/overload               10 seconds of each
//! tests/bench/overload --seconds 30  longer
//! ```
//!
//! The best goodput of a mix is found first, with ever more callers who wait for their answers. Then
//! calls come three times as often, whether or not others are answered. Good is an answer that is right
//! and came within the caller's patience. Beside the mix, and before it, a steady stream of decisions
//! is timed: by another service, on a connection and a thread of its own, so that it is not the crowd
//! of this program that is waited for. All is one run on one machine: ratios tell, seconds do not.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use peerage::app;
use peerage::application::Clock;
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::config::Config;
use peerage::domain::peer::UserName;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::account_access_service_client::AccountAccessServiceClient;
use peerage::transport::grpc::pb::authentication_service_client::AuthenticationServiceClient;
use peerage::transport::grpc::pb::peer_service_client::PeerServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How many callers there are, each with a key and a connection of its own.
const CALLERS: usize = 24;
/// How many peers a list finds.
const PEERS: usize = 300;
/// How long a caller waits for an answer that is worth something.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many callers wait at once while the best is looked for.
const CROWDS: [usize; 4] = [4, 16, 48, 96];
/// How often decisions are asked for beside the mix.
const DECISIONS_PER_SECOND: u32 = 100;
/// How many times the best is offered.
const TIMES: f64 = 3.0;
/// The most calls that are open at once; beyond, this program would be measured.
const OPEN_MAX: usize = 20_000;
const ACCOUNT: &str = "accounts/platform";

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut seconds = 10;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().context("`--seconds` needs a value")?.parse()?,
            // cargo tells every bench that it is one.
            "--bench" => {}
            other => bail!("`{other}` is not `--seconds N`"),
        }
    }
    let folder = tempfile::tempdir()?;
    let key = prepared(folder.path()).await?;
    let mut server = Server::start(folder.path())?;
    let crowd = Arc::new(Crowd::gather(&server, &key).await?);
    let measured = measure(&server, &crowd, Duration::from_secs(seconds)).await;
    server.child.kill()?;
    server.child.wait()?;
    measured
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

async fn measure(server: &Server, crowd: &Arc<Crowd>, time: Duration) -> Result<()> {
    let at_rest = server.memory()?;
    let alone = decisions(server, crowd, time).await?;
    say(&format!("{:<34} {:>12} {:>10} {:>10} {:>10}", "", "good/s", "p50 ms", "p99 ms", "MiB"))?;
    say(&row("decisions alone", &alone, time, at_rest))?;
    let mut best: Option<(f64, Tally)> = None;
    for callers in CROWDS {
        let tally = waiting(crowd, callers, time).await;
        let rate = tally.good() as f64 / time.as_secs_f64();
        say(&row(&format!("mix, {callers} callers who wait"), &tally, time, server.memory()?))?;
        if best.as_ref().is_none_or(|(most, _)| rate > *most) {
            best = Some((rate, tally));
        }
    }
    let (most, _) = best.context("no crowd was tried")?;
    let (decided, (mixed, peak)) =
        tokio::join!(decisions(server, crowd, time), offered(server, crowd, most * TIMES, time));
    let decided = decided?;
    say(&row(&format!("mix, {TIMES} times the best offered"), &mixed, time, peak?))?;
    say(&row("decisions meanwhile", &decided, time, server.memory()?))?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = server.memory()?;
    let kept = mixed.good() as f64 / time.as_secs_f64() / most;
    let slower = decided.percentile(99) / alone.percentile(99);
    say(&format!(
        "\nGoodput under {TIMES} times the load: {kept:.2} of its best. p99 of decisions: {slower:.2} times that \
         alone, {} of {} lost. Turned away: {}, too late: {}, failed otherwise: {}. Memory: {at_rest} MiB at rest, \
         {after} MiB after.",
        decided.all() - decided.good(),
        decided.all(),
        mixed.count(Outcome::TurnedAway),
        mixed.count(Outcome::TooLate),
        mixed.count(Outcome::Failed),
    ))
}

fn row(what: &str, tally: &Tally, time: Duration, memory: u64) -> String {
    let rate = tally.good() as f64 / time.as_secs_f64();
    format!("{what:<34} {rate:>12.0} {:>10.2} {:>10.2} {memory:>10}", tally.percentile(50), tally.percentile(99))
}

/// A migrated database with an operator, whose key is returned.
async fn prepared(folder: &std::path::Path) -> Result<String> {
    let mut config = Config::default();
    config.database.url = format!("sqlite:{}", folder.join("peerage.db").display());
    app::migrate(&config, Clock::System).await?;
    let ctx = app::context(app::connect(&config).await?, Clock::System)?;
    app::load(&ctx).await?;
    let operator = bootstrap(&ctx, UserName::parse("operator")?, OperatorKey::New).await?;
    ctx.store.close().await?;
    Ok(operator.key.context("the operator's key")?.expose().to_owned())
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts the server, on a core of its own where there are two.
    fn start(folder: &std::path::Path) -> Result<Self> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let url = format!("sqlite:{}", folder.join("peerage.db").display());
        let program = env!("CARGO_BIN_EXE_peerage");
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0", program, "serve", "--database", &url, "--listen", &address]);
        command.env("PEERAGE_LOG__FILTER", "error").stdout(Stdio::null());
        let child = command.spawn().context("cannot start the server by `taskset`")?;
        Ok(Self { child, address })
    }

    /// The memory that it holds, in MiB.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no memory is told")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes >> 10)
    }
}

/// One who calls.
struct Caller {
    channel: Channel,
    key: MetadataValue<Ascii>,
    peer: String,
}

struct Crowd {
    callers: Vec<Caller>,
    next: AtomicUsize,
}

impl Crowd {
    /// Makes the peers that lists find, some of whom call.
    async fn gather(server: &Server, key: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{}", server.address))?.connect_lazy();
        let operator = Caller { channel, key: format!("Bearer {key}").parse()?, peer: "peers/me".to_owned() };
        let began = Instant::now();
        while operator.decide().await.is_err() {
            anyhow::ensure!(began.elapsed() < Duration::from_secs(30), "the server does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut callers = Vec::new();
        for number in 0..PEERS {
            let peer = operator.person(number).await?;
            if callers.len() < CALLERS {
                let channel = Endpoint::from_shared(format!("http://{}", server.address))?.connect_lazy();
                callers.push(Caller { channel, key: operator.key_of(&peer).await?, peer });
            }
        }
        Ok(Self { callers, next: AtomicUsize::new(0) })
    }

    fn caller(&self, number: usize) -> Result<&Caller, Status> {
        self.callers.get(number % CALLERS).ok_or_else(|| Status::internal("no caller"))
    }

    /// The next call of the mix: by tens five decisions, two reads, two lists and a write.
    async fn call(&self) -> Result<(), Status> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let caller = self.caller(number / 10)?;
        match number % 10 {
            0 | 2 | 4 | 6 | 8 => caller.decide().await,
            1 | 5 => caller.read().await,
            3 | 7 => caller.list().await,
            _ => caller.write(number).await,
        }
    }
}

impl Caller {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.key.clone());
        request.set_timeout(PATIENCE);
        request
    }

    async fn decide(&self) -> Result<(), Status> {
        let request = pb::AuthorizeRequest {
            permission: "accounts.view".to_owned(),
            account: "accounts/platform".to_owned(),
            ..pb::AuthorizeRequest::default()
        };
        AccountAccessServiceClient::new(self.channel.clone()).authorize(self.request(request)).await.map(drop)
    }

    async fn read(&self) -> Result<(), Status> {
        let request = pb::GetPeerRequest { name: self.peer.clone(), ..pb::GetPeerRequest::default() };
        PeerServiceClient::new(self.channel.clone()).get_peer(self.request(request)).await.map(drop)
    }

    async fn list(&self) -> Result<(), Status> {
        let request = pb::ListPeersRequest {
            account: ACCOUNT.to_owned(),
            order_by: "user_name".to_owned(),
            page_size: 50,
            ..pb::ListPeersRequest::default()
        };
        PeerServiceClient::new(self.channel.clone()).list_peers(self.request(request)).await.map(drop)
    }

    async fn write(&self, number: usize) -> Result<(), Status> {
        let request = pb::UpdatePeerRequest {
            peer: Some(pb::Peer {
                name: self.peer.clone(),
                company_name: format!("Company {number}"),
                ..pb::Peer::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["company_name".to_owned()] }),
            ..pb::UpdatePeerRequest::default()
        };
        PeerServiceClient::new(self.channel.clone()).update_peer(self.request(request)).await.map(drop)
    }

    /// Makes a person who may see all and change peers.
    async fn person(&self, number: usize) -> Result<String, Status> {
        let request = pb::CreatePeerRequest {
            peer: Some(pb::Peer {
                user_name: format!("person-{number}@example.com"),
                display_name: format!("Person {number}"),
                kind: pb::PeerKind::Person.into(),
                home_account: "accounts/platform".to_owned(),
                ..pb::Peer::default()
            }),
            role: "roles/core.operator".to_owned(),
            access: Some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::All(true)) }),
            justification: "bench".to_owned(),
            ..pb::CreatePeerRequest::default()
        };
        let made = PeerServiceClient::new(self.channel.clone()).create_peer(self.request(request)).await?;
        Ok(made.into_inner().name)
    }

    async fn key_of(&self, peer: &str) -> Result<MetadataValue<Ascii>> {
        let api_key = pb::ApiKey { peer: peer.to_owned(), title: "bench".to_owned(), ..pb::ApiKey::default() };
        let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..pb::CreateApiKeyRequest::default() };
        let made = AuthenticationServiceClient::new(self.channel.clone()).create_api_key(self.request(request)).await?;
        Ok(format!("Bearer {}", made.into_inner().key).parse()?)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    /// The server said that it has no room.
    TurnedAway,
    TooLate,
    Failed,
}

/// How calls came out, and how long the good ones took.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<Vec<(Outcome, Duration)>>>);

impl Tally {
    async fn time(&self, call: impl Future<Output = Result<(), Status>>) {
        let began = Instant::now();
        let answer = call.await;
        let took = began.elapsed();
        let outcome = match answer.as_ref().map_err(Status::code) {
            Ok(()) if took <= PATIENCE => Outcome::Good,
            Ok(()) | Err(Code::DeadlineExceeded | Code::Cancelled) => Outcome::TooLate,
            Err(Code::ResourceExhausted) => Outcome::TurnedAway,
            Err(_) => Outcome::Failed,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((outcome, took));
    }

    fn count(&self, wanted: Outcome) -> usize {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|(outcome, _)| *outcome == wanted).count()
    }

    fn good(&self) -> usize {
        self.count(Outcome::Good)
    }

    fn all(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// In milliseconds, of good calls.
    fn percentile(&self, percent: usize) -> f64 {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<Duration> =
            calls.iter().filter(|(outcome, _)| *outcome == Outcome::Good).map(|(_, took)| *took).collect();
        times.sort_unstable();
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// So many callers, each of whom waits for an answer before the next call.
async fn waiting(crowd: &Arc<Crowd>, callers: usize, time: Duration) -> Tally {
    let (tally, is_over) = (Tally::default(), Arc::new(AtomicBool::new(false)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (crowd, tally, is_over) = (Arc::clone(crowd), tally.clone(), Arc::clone(&is_over));
        tasks.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                tally.time(crowd.call()).await;
            }
        });
    }
    tokio::time::sleep(time).await;
    is_over.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    tally
}

/// Calls that come by the clock, answered or not. Returns the most memory that the server took too.
async fn offered(server: &Server, crowd: &Arc<Crowd>, rate: f64, time: Duration) -> (Tally, Result<u64>) {
    let (tally, mut tasks, mut peak) = (Tally::default(), tokio::task::JoinSet::new(), Ok(0));
    let (began, mut sent) = (Instant::now(), 0_usize);
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    while began.elapsed() < time {
        ticks.tick().await;
        let due = (began.elapsed().as_secs_f64() * rate) as usize;
        while sent < due {
            sent += 1;
            if tasks.len() < OPEN_MAX {
                let (crowd, tally) = (Arc::clone(crowd), tally.clone());
                tasks.spawn(async move { tally.time(crowd.call()).await });
            }
        }
        while tasks.try_join_next().is_some() {}
        peak = server.memory().map(|now| now.max(peak.unwrap_or(0)));
    }
    tasks.join_all().await;
    (tally, peak)
}

/// A steady stream of decisions.
async fn decisions(server: &Server, crowd: &Crowd, time: Duration) -> Result<Tally> {
    let caller = crowd.caller(0)?;
    let (address, key, peer) = (server.address.clone(), caller.key.clone(), caller.peer.clone());
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
            let caller = Arc::new(Caller { channel, key, peer });
            let (tally, began, mut tasks) = (Tally::default(), Instant::now(), tokio::task::JoinSet::new());
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / DECISIONS_PER_SECOND);
            while began.elapsed() < time {
                ticks.tick().await;
                let (caller, tally) = (Arc::clone(&caller), tally.clone());
                tasks.spawn(async move { tally.time(caller.decide()).await });
            }
            tasks.join_all().await;
            anyhow::Ok(tally)
        })
    };
    tokio::task::spawn_blocking(run).await?
}
