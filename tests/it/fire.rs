//! The store under fire: processes, databases and disks that end in the middle of writes. What was
//! acknowledged is there, nothing is half there, and whoever goes on asking gets each thing once.
//!
//! How often is set by `PEERAGE_TEST_KILLS` and `PEERAGE_TEST_DATABASE_KILLS`; `tests/fire/run` takes
//! the full numbers.

mod cluster;
mod disk;
mod full;
mod kills;
mod ledger;
mod process;

/// A number that the environment may set.
fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Says something that a run is to be remembered by, whether or not it fails.
fn tell(what: &str) {
    use std::io::Write as _;
    // The harness keeps what `eprintln` writes, unless a test fails.
    let _ = writeln!(std::io::stderr(), "fire: {what}");
}

/// Pauses of differing lengths, the same ones in each run. Where they fall in the work of a server is
/// up to the machine.
struct Pauses(u64);

impl Pauses {
    /// A pause of up to so many milliseconds.
    async fn up_to(&mut self, milliseconds: u64) {
        // Xorshift: any generator that visits the whole range does.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let micros = self.0 % (milliseconds * 1000);
        tokio::time::sleep(std::time::Duration::from_micros(micros)).await;
    }
}
