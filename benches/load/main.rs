//! What the snapshot of a large world costs: memory by kind of fact, time to make it, time to write it
//! to a file and read it back.
//!
//! Memory is what was asked of the allocator, counted call by call, so that the figures are the same on
//! every run; what the process holds of the machine stands beside it.

mod facts;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use peak_alloc::PeakAlloc;
use peerage::application::kept::{Kept, SealKey};
use peerage::decision::compile::Compiler;
use peerage::decision::{Loader, Snapshot};
use peerage::domain::fact::{Fact, Mark};

use facts::World;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> Result<()> {
    let mut peers = 1_000_000;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--peers" => {
                let text = arguments.next().context("`--peers` needs a number")?;
                peers = text.parse().with_context(|| format!("`{text}` is not a number"))?;
            }
            // cargo tells every bench that it is one.
            "--bench" => {}
            other => bail!("`{other}` is not --peers N"),
        }
    }
    let world = World::of(peers);
    let mut compiler = Compiler::new()?;
    say(&format!("{world:?}\n"))?;
    let snapshot = load(world, &mut compiler)?;
    say(&format!("{:?}\n", snapshot.sizes()))?;
    file(snapshot, &mut compiler)
}

/// Writes a snapshot to a file and starts from that, as a server does.
fn file(snapshot: Snapshot, compiler: &mut Compiler) -> Result<()> {
    let (folder, key) = (tempfile::tempdir()?, SealKey::new([7; 32]));
    let kept = Kept::new(folder.path().join("snapshot"));
    HEAP.reset_peak_usage();
    let (started, held) = (Instant::now(), HEAP.current_usage());
    kept.write(&snapshot, &key)?;
    let (took, peak) = (started.elapsed(), HEAP.peak_usage() - held);
    let size = std::fs::metadata(kept.path())?.len();
    say(&format!(
        "written to a file of {:.1} MB in {:.2} s, with {:.1} MB more\n",
        size as f64 / 1e6,
        took.as_secs_f64(),
        megabytes(peak)
    ))?;
    drop(snapshot);
    HEAP.reset_peak_usage();
    let (started, empty) = (Instant::now(), HEAP.current_usage());
    let read = kept.read(&key, compiler)?;
    let took = started.elapsed();
    let (live, peak) = (HEAP.current_usage() - empty, HEAP.peak_usage() - empty);
    let (live, peak) = (megabytes(live), megabytes(peak));
    say(&format!("read in {:.2} s: live heap {live:.1} MB, peak {peak:.1} MB\n", took.as_secs_f64()))?;
    anyhow::ensure!(read.mark() == Mark { revision: 1, ..Mark::default() }, "another snapshot came back");
    Ok(())
}

/// Loads a world kind by kind.
fn load(world: World, compiler: &mut Compiler) -> Result<Snapshot> {
    HEAP.reset_peak_usage();
    let (started, empty) = (Instant::now(), HEAP.current_usage());
    let mut loader = Loader::new(compiler);
    let mut making = Duration::ZERO;
    for (kind, facts) in world.kinds() {
        let (begun, before) = (Instant::now(), HEAP.current_usage());
        let (mut count, mut spent) = (0_usize, Duration::ZERO);
        for facts in Batches(facts) {
            // Making a fact is not what is measured.
            let (facts, taking) = (facts?, Instant::now());
            count += facts.len();
            for fact in facts {
                loader.take(fact)?;
            }
            spent += taking.elapsed();
        }
        making += begun.elapsed() - spent;
        let grown = megabytes(HEAP.current_usage()) - megabytes(before);
        say(&format!("  {count:>9} {kind:12} {grown:>8.1} MB  {:>8.1} ms\n", spent.as_secs_f64() * 1e3))?;
    }
    let finishing = Instant::now();
    let snapshot = loader.finish(Mark { revision: 1, ..Mark::default() });
    say(&format!("  {:24}{:>11}  {:>8.1} ms\n", "finish", "", finishing.elapsed().as_secs_f64() * 1e3))?;
    let spent = started.elapsed() - making;
    let (live, peak) = (HEAP.current_usage() - empty, HEAP.peak_usage() - empty);
    say(&format!(
        "live heap {:.1} MB, peak {:.1} MB, resident {}, loaded in {:.2} s\n",
        megabytes(live),
        megabytes(peak),
        resident()?,
        spent.as_secs_f64()
    ))?;
    Ok(snapshot)
}

/// Facts by the thousand.
struct Batches<I>(I);

impl<I: Iterator<Item = Result<Fact>>> Iterator for Batches<I> {
    type Item = Result<Vec<Fact>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch: Result<Vec<Fact>> = self.0.by_ref().take(1_000).collect();
        batch.as_ref().map_or(true, |facts| !facts.is_empty()).then_some(batch)
    }
}

/// What the kernel says that the process holds, now and at most.
fn resident() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map_or("?", str::trim);
    Ok(format!("{} (at most {})", of("VmRSS:"), of("VmHWM:")))
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
