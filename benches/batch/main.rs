//! How many checks of batches a core gets done: in process, and over BatchAuthorize.
//!
//! ```text
//! tests/bench/batch                     100,000 peers, three rounds of five seconds each
//! tests/bench/batch --peers 1000000     the world of DESIGN 9; --rounds N, --seconds N
//! tests/bench/batch --url URL           in that database, which is filled where it is empty
//! ```
//!
//! Both are asked the same, 1,000 checks at a time, each of them another one. In process a decision
//! begins with numbers; over gRPC with names, and every answer is written with its id and its reasons.
//! The server has the first core, and its processor time tells what a check costs it, whether or not the
//! client keeps it busy.

#[expect(dead_code, reason = "only the other bench offers calls by the clock")]
#[path = "../rpc/client.rs"]
mod client;
#[path = "../rpc/filled.rs"]
mod filled;
#[path = "../rpc/questions.rs"]
mod questions;
#[path = "../../tests/it/oracle/random.rs"]
mod random;
#[path = "../rpc/servers.rs"]
mod servers;

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use client::{Crowd, Load};
use peerage::application::Clock;
use peerage::decision::{Query, Snapshot, evaluate};
use peerage::domain::context::Context;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_authorize_item::Subject;
use questions::{Named, Question, framed, questions};
use servers::Server;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Checks of a batch.
const CHECKS: usize = 1_000;
/// Enough to keep a core busy.
const CONNECTIONS: usize = 2;
const STREAMS: usize = 2;

#[tokio::main]
async fn main() -> Result<()> {
    let (mut peers, mut rounds, mut time, mut url) = (100_000, 3, Duration::from_secs(5), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--peers" => peers = value()?.parse()?,
            "--rounds" => rounds = value()?.parse()?,
            "--seconds" => time = Duration::from_secs(value()?.parse()?),
            "--url" => url = Some(value()?),
            // cargo tells every bench that it is one.
            "--bench" => {}
            other => bail!("`{other}` is not one of --peers N, --rounds N, --seconds N, --url URL"),
        }
    }
    let folder = tempfile::tempdir()?;
    let own = || format!("sqlite:{}", folder.path().join("peerage.db").display());
    let url = url.unwrap_or_else(own);
    let (key, snapshot) = filled::filled(&url, peers).await?;
    let questions = questions(&snapshot)?;
    let batches: Vec<_> =
        questions.chunks_exact(CHECKS).map(|batch| request(&snapshot, batch)).collect::<Result<_>>()?;
    let server = Server::peerage(&url, 0, &[])?;
    let crowd = Crowd::connect(&server, ("BatchAuthorize", &batches), &key, CONNECTIONS).await?;
    say(&format!(
        "{:<8} {:>12} {:>22} {:>22} {:>22}",
        "round", "ratio", "in process, checks/s", "gRPC, checks/s", "gRPC, checks/s of core"
    ))?;
    for round in 1..=rounds {
        let here = in_process(&snapshot, &questions, time);
        let there = crowd.run(Load::Waiting(STREAMS), time).await?;
        let of_core = CHECKS as f64 * 1e6 / there.cost();
        let rate = there.rate() * CHECKS as f64;
        say(&format!("{round:<8} {:>12.3} {here:>22.0} {rate:>22.0} {of_core:>22.0}", of_core / here))?;
    }
    Ok(())
}

/// A batch as it goes over the wire.
fn request(snapshot: &Snapshot, batch: &[Question]) -> Result<bytes::Bytes> {
    let item = |question: &Question| {
        let Named { peer, permission, account } = question.named(snapshot)?;
        let subject = Some(Subject::Peer(peer));
        Ok(pb::BatchAuthorizeItem { permission, account, subject, ..pb::BatchAuthorizeItem::default() })
    };
    let items = batch.iter().map(item).collect::<Result<_>>()?;
    Ok(framed(&pb::BatchAuthorizeRequest { items, ..pb::BatchAuthorizeRequest::default() }))
}

/// How many checks a second one thread answers.
fn in_process(snapshot: &Snapshot, questions: &[Question], time: Duration) -> f64 {
    let now = Clock::System.now();
    let query = |question: &Question| {
        let Question { peer, permission, account } = *question;
        Query { peer: Some(peer), permission, account, now, context: Context::UNKNOWN }
    };
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < time {
        for batch in questions.chunks_exact(CHECKS) {
            let answers: Vec<_> =
                batch.iter().map(|question| evaluate(snapshot, black_box(&query(question)))).collect();
            done += black_box(answers).len();
        }
    }
    done as f64 / began.elapsed().as_secs_f64()
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
