//! What one decision costs, in a small, a large and a very large world.
//!
//! ```text
//! cargo bench --bench decision                       1,000, 100,000 and 1,000,000 peers
//! cargo bench --bench decision -- --peers 100000     one of them; --decisions N
//! ```
//!
//! Every request is another one. Each decision is timed by itself, less what looking at the clock takes,
//! and many are timed at once, which is what a batch of checks takes. With `--count` it puts one batch
//! once, for `tests/bench/instructions`, which runs it under callgrind and collects only inside
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

/// As the server's, since where records lie decides how far they are.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DECISIONS: usize = 20_000;
const TIMED_DECISIONS: usize = 200_000;
const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
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
            "--bench" => {}
            other => bail!("`{other}` is not one of --count SUBJECTS, --peers N, --decisions N"),
        }
    }
    if let Some(subjects) = counted {
        return count(subjects, peers.unwrap_or(1_000), decisions.unwrap_or(DECISIONS));
    }
    let sizes = peers.map_or(SIZES.to_vec(), |peers| vec![peers]);
    measure(&sizes, decisions.unwrap_or(TIMED_DECISIONS))
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

/// What decisions took: nanoseconds.
struct Times {
    p50: f64,
    p99: f64,
    /// Of one among many that are timed at once.
    among_many: f64,
}

/// Times decisions in worlds of these sizes, and compares each with the first.
fn measure(sizes: &[usize], decisions: usize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let clock = percentile(&(0..decisions).map(|_| timed(|| ())).collect::<Vec<_>>(), 50);
    writeln!(out, "the clock's own {clock:.0} ns are taken off; of each world {decisions} decisions of each kind")?;
    writeln!(
        out,
        "{:>9} {:<14} {:>8} {:>8} {:>9} {:>9} {:>9} {:>12} {:>9}",
        "peers", "subjects", "p50 x", "p99 x", "p50 ns", "p99 ns", "among ns", "million/s", "allowed"
    )?;
    let mut first: Vec<Times> = Vec::new();
    for peers in sizes {
        let mut world = World::new(*peers)?;
        let snapshot = world.load()?;
        for (place, (name, subjects)) in SUBJECTS.iter().enumerate() {
            let queries = world.queries(&snapshot, *subjects, decisions)?;
            let (times, allowed) = times(&snapshot, &queries, clock);
            let small = first.get(place).unwrap_or(&times);
            writeln!(
                out,
                "{peers:>9} {name:<14} {:>8.2} {:>8.2} {:>9.0} {:>9.0} {:>9.0} {:>12.2} {:>7} %",
                times.p50 / small.p50,
                times.p99 / small.p99,
                times.p50,
                times.p99,
                times.among_many,
                1e3 / times.among_many,
                allowed * 100 / decisions.max(1),
            )?;
            if first.len() == place {
                first.push(times);
            }
        }
    }
    Ok(())
}

fn times(snapshot: &Snapshot, queries: &[Query<'_>], clock: f64) -> (Times, usize) {
    let began = Instant::now();
    let allowed = evaluate_batch(snapshot, black_box(queries));
    let among_many = began.elapsed().as_nanos() as f64 / queries.len().max(1) as f64;
    let each: Vec<Duration> =
        queries.iter().map(|query| timed(|| black_box(evaluate(snapshot, black_box(query))))).collect();
    (Times { p50: percentile(&each, 50) - clock, p99: percentile(&each, 99) - clock, among_many }, allowed)
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// In nanoseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() * percent / 100).map_or(f64::NAN, |time| time.as_nanos() as f64)
}
