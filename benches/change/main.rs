//! Servers and the policy that changes under them: what taking in a change costs, how soon another
//! replica decides by it, and how long a server takes to start.
//!
//! ```text
//! tests/bench/change                          1,000,000 peers, on SQLite and PostgreSQL
//! tests/bench/change --peers 100000           fewer peers
//! cargo bench --bench change -- --url URL     in that database, which is filled where it is empty
//! ```
//!
//! Each change is a binding that turns a denial into ALLOW, so that it is the decision that is waited
//! for. A start is timed from the process to its first decision. Two replicas there are on PostgreSQL
//! alone; each has a core of its own, one of which it shares with this program.

#[path = "../rpc/filled.rs"]
mod filled;
mod gifts;
#[path = "../../tests/it/oracle/random.rs"]
mod random;
mod replicas;
#[path = "../rpc/servers.rs"]
mod servers;
mod start;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use gifts::Gift;
use peerage::decision::Snapshot;
use peerage::decision::compile::Compiler;
use peerage::domain::fact::{Change, Fact};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PEERS: usize = 1_000_000;
/// How many changes are taken in here, awaited on another replica, and followed from a file.
const TAKEN: usize = 2_000;
const AWAITED: usize = 500;
const FOLLOWED: usize = 500;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut peers, mut url) = (PEERS, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--peers" => peers = value()?.parse().context("`--peers` takes a number")?,
            "--url" => url = Some(value()?),
            // cargo tells every bench that it is one.
            "--bench" => {}
            other => bail!("`{other}` is not one of --peers N, --url URL"),
        }
    }
    let url = url.context("`--url` names the database")?;
    let (key, snapshot) = filled::filled(&url, peers).await?;
    let gifts = gifts::draw(&snapshot, TAKEN)?;
    taken(&snapshot, &gifts)?;
    drop(snapshot);
    let (awaited, rest) = gifts.split_at(AWAITED);
    if !url.starts_with("sqlite:") {
        replicas::measure(&url, &key, awaited).await?;
    }
    start::measure(&url, &key, rest.get(..FOLLOWED).unwrap_or(rest)).await
}

/// Takes the changes in, each on top of a snapshot that others still hold, as under a server.
fn taken(snapshot: &Snapshot, gifts: &[Gift]) -> Result<()> {
    let mut compiler = Compiler::new()?;
    let mut current = snapshot.clone();
    let mut times = Vec::with_capacity(gifts.len());
    for gift in gifts {
        let change = Change::made(Fact::Binding(gift.fact.clone()));
        let began = Instant::now();
        let next = current.apply(current.revision() + 1, std::slice::from_ref(&change), &mut compiler)?;
        drop(std::mem::replace(&mut current, next));
        times.push(began.elapsed());
    }
    say(&format!("a binding is taken in: {}", percentiles(times, "us", 1e6)))
}

/// The median and the 99th percentile in some unit.
fn percentiles(mut times: Vec<Duration>, unit: &str, units_of_second: f64) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        times.get(times.len() * percent / 100).map_or(f64::NAN, |time| time.as_secs_f64() * units_of_second)
    };
    format!("p50 {:.1} {unit}, p99 {:.1} {unit} of {}", at(50), at(99), times.len())
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
