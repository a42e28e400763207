//! What a decision over gRPC costs beside a call that does nothing: the same messages and metadata, the
//! same runtime and allocator, the same client, in turn on one core.
//!
//! ```text
//! tests/bench/rpc                     100,000 peers, three rounds of five seconds each
//! tests/bench/rpc --peers 1000000     the world of DESIGN 9; --rounds N, --seconds N
//! tests/bench/rpc --url URL           in that database, which is filled where it is empty
//! ```
//!
//! The no-op is a tonic server without layers that answers each request with one and the same message.
//! Authorize is `peerage serve` as it ships: keys checked, metrics on, every request another one. Both
//! have the first core, the client the others; it sends prepared bytes, so that the servers are what is
//! measured. Where it is the client that is at its end all the same, the processor time that a call
//! took of the server still tells, and is printed beside the rate.

mod client;
mod filled;
mod noop;
mod questions;
#[path = "../../tests/it/oracle/random.rs"]
mod random;
mod servers;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use client::{Crowd, Load, Measured};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::authorize_request::Subject;
use questions::{Named, framed, questions};
use servers::{Server, free_address, on_core};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections and streams of each, as many as keep a core busy.
const CONNECTIONS: usize = 8;
const STREAMS: usize = 32;
/// How much of its best is asked of a server when its latency is measured.
const CALM: f64 = 0.6;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--noop", address] => noop::serve(address),
        _ => measure(Options::read(arguments)?),
    }
}

struct Options {
    peers: usize,
    rounds: usize,
    time: Duration,
    url: Option<String>,
}

impl Options {
    fn read(arguments: Vec<String>) -> Result<Self> {
        let mut options = Self { peers: 100_000, rounds: 3, time: Duration::from_secs(5), url: None };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                "--peers" => options.peers = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.time = Duration::from_secs(value()?.parse()?),
                "--url" => options.url = Some(value()?),
                // cargo tells every bench that it is one.
                "--bench" => {}
                other => bail!("`{other}` is not one of --peers N, --rounds N, --seconds N, --url URL"),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn measure(options: Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own = || format!("sqlite:{}", folder.path().join("peerage.db").display());
    let url = options.url.unwrap_or_else(own);
    let (key, snapshot) = filled::filled(&url, options.peers).await?;
    let request = |Named { peer, permission, account }| {
        let subject = Some(Subject::Peer(peer));
        framed(&pb::AuthorizeRequest { permission, account, subject, ..pb::AuthorizeRequest::default() })
    };
    let named = questions(&snapshot)?.into_iter().map(|question| question.named(&snapshot));
    let questions: Vec<_> = named.map(|named| named.map(request)).collect::<Result<_>>()?;
    let noop = noop_server()?;
    let authorize = Server::peerage(&url, 0, &[])?;
    let mut contenders = Vec::new();
    for (name, server) in [("no-op", &noop), ("Authorize", &authorize)] {
        let crowd = Crowd::connect(server, ("Authorize", &questions), &key, CONNECTIONS).await?;
        contenders.push((name, crowd, Vec::new()));
    }
    say(&format!(
        "{} peers, {} requests, {CONNECTIONS} connections x {STREAMS} streams",
        options.peers,
        questions.len()
    ))?;
    say(&format!(
        "{:<12} {:>8} {:>12} {:>16} {:>10} {:>10}",
        "", "round", "calls/s", "server us/call", "p50 us", "p99 us"
    ))?;
    for round in 1..=options.rounds {
        for (name, crowd, results) in &mut contenders {
            let measured = crowd.run(Load::Waiting(STREAMS), options.time).await?;
            say(&row(name, round, &measured))?;
            results.push(measured);
        }
    }
    let median = |results: &[Measured], of: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = results.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let [(.., noop_results), (.., results)] = contenders.as_slice() else { bail!("there are two servers") };
    let ratio = |of| median(results, of) / median(noop_results, of);
    let (rate, cost) = (ratio(Measured::rate), ratio(Measured::cost));
    let best: Vec<f64> = contenders.iter().map(|(.., results)| median(results, Measured::rate)).collect();
    let mut calm = Vec::new();
    for ((name, crowd, _), best) in contenders.iter().zip(best) {
        let load = Load::Offered((best * CALM) as u64);
        let measured = crowd.run(load, options.time).await?;
        say(&row(&format!("{name}, {:.0} %", CALM * 100.0), 0, &measured))?;
        calm.push(measured.percentile(99));
    }
    for (name, crowd, _) in &contenders {
        let alone = crowd.run(Load::Alone, options.time).await?;
        say(&row(&format!("{name}, 1 x 1"), 0, &alone))?;
    }
    let [noop_calm, calm] = calm.as_slice() else { bail!("there are two servers") };
    say(&format!(
        "\nAuthorize against the no-op: {rate:.3} of its rate, {:.3} by the server's processor time; p99 at {:.0} % load \
         {:.2} times its.",
        1.0 / cost,
        CALM * 100.0,
        calm / noop_calm
    ))
}

/// This program again, as the server that does nothing.
fn noop_server() -> Result<Server> {
    let address = free_address()?;
    let mut command = on_core(0, std::env::current_exe()?);
    command.args(["--noop", &address]);
    Server::start(command, address)
}

fn row(name: &str, round: usize, measured: &Measured) -> String {
    format!(
        "{name:<16} {round:>4} {:>12.0} {:>16.2} {:>10.1} {:>10.1}",
        measured.rate(),
        measured.cost(),
        measured.percentile(50),
        measured.percentile(99)
    )
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
