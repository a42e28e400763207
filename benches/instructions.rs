//! What one decision costs, in a small and in a large world.
//!
//! It times decisions at 1,000 and 100,000 peers. With `--count` it puts one batch once, for
//! `tests/bench/instructions`, which runs it under callgrind and collects only inside
//! [`evaluate_batch`]. There is no async runtime here and no thread besides the main one.

mod world;

#[path = "../tests/it/oracle/random.rs"]
mod random;

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use peerage::decision::{Query, Snapshot, evaluate};
use world::{Subjects, World};

const DECISIONS: usize = 20_000;
const TIMED_DECISIONS: usize = 200_000;
const SIZES: [usize; 2] = [1_000, 100_000];
const SUBJECTS: [(&str, Subjects); 3] = [
    ("ordinary", Subjects::Ordinary),
    ("many-bindings", Subjects::ManyBindings),
    ("many-groups", Subjects::ManyGroups),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut peers, mut decisions, mut counted) = (None, None, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--peers" => peers = Some(number(&value()?)?),
            "--decisions" => decisions = Some(number(&value()?)?),
            "--count" => counted = Some(subjects(&value()?)?),
            // cargo tells every bench that it is one.
            "--bench" | "--time" => {}
            other => bail!("`{other}` is not one of --time, --count SUBJECTS, --peers N, --decisions N"),
        }
    }
    if let Some(subjects) = counted {
        return count(subjects, peers.unwrap_or(1_000), decisions.unwrap_or(DECISIONS));
    }
    let sizes = peers.map_or(SIZES.to_vec(), |peers| vec![peers]);
    sizes.into_iter().try_for_each(|peers| time(peers, decisions.unwrap_or(TIMED_DECISIONS)))
}

fn number(text: &str) -> Result<usize> {
    text.parse().with_context(|| format!("`{text}` is not a number"))
}

fn subjects(text: &str) -> Result<Subjects> {
    let known = SUBJECTS.iter().find(|(name, _)| *name == text);
    known.map(|(_, subjects)| *subjects).with_context(|| format!("`{text}` is none of the kinds of subject"))
}

/// The only function in which callgrind collects. It returns what it saw, so that nothing is
/// optimized away.
#[inline(never)]
fn evaluate_batch(snapshot: &Snapshot, queries: &[Query<'_>]) -> usize {
    queries.iter().filter(|query| evaluate(snapshot, black_box(query)).is_allowed()).count()
}

/// Puts one batch once and says how large it was.
fn count(subjects: Subjects, peers: usize, decisions: usize) -> Result<()> {
    let mut world = World::new(peers)?;
    let snapshot = world.load()?;
    let queries = world.queries(&snapshot, subjects, decisions)?;
    let allowed = evaluate_batch(black_box(&snapshot), black_box(&queries));
    writeln!(std::io::stdout().lock(), "{} {allowed}", queries.len())?;
    Ok(())
}

/// Times each decision of each batch, the clock's own cost included.
fn time(peers: usize, decisions: usize) -> Result<()> {
    let started = Instant::now();
    let mut world = World::new(peers)?;
    let snapshot = world.load()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{peers} peers, made and loaded in {:.1?}", started.elapsed())?;
    for (name, subjects) in SUBJECTS {
        let queries = world.queries(&snapshot, subjects, decisions)?;
        evaluate_batch(&snapshot, &queries);
        let started = Instant::now();
        let allowed = evaluate_batch(&snapshot, black_box(&queries));
        let mean = started.elapsed().as_nanos() / queries.len().max(1) as u128;
        let mut times: Vec<Duration> = queries.iter().map(|query| timed(&snapshot, query)).collect();
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).map_or(0, Duration::as_nanos);
        let allowed = allowed * 100 / queries.len().max(1);
        writeln!(out, "  {name:14} mean {mean} ns, p50 {} ns, p99 {} ns; {allowed} % allowed", at(50), at(99))?;
    }
    Ok(())
}

fn timed(snapshot: &Snapshot, query: &Query<'_>) -> Duration {
    let started = Instant::now();
    black_box(evaluate(snapshot, black_box(query)));
    started.elapsed()
}
