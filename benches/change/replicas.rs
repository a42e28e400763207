//! Two replicas: one takes the change, the other is asked until it decides by it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::gifts::{Caller, Gift};
use crate::servers::Server;
use crate::{percentiles, say};

/// How long a replica may go on without a change.
const BEHIND_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn measure(url: &str, key: &str, gifts: &[Gift]) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let (one, other) = (Server::peerage(url, 0, &[])?, Server::peerage(url, cores - 1, &[])?);
    let (here, there) = (Caller::of(&one, key)?, Caller::of(&other, key)?);
    let first = gifts.first().context("there are gifts")?;
    tokio::try_join!(here.first_decision(first), there.first_decision(first))?;
    let (mut writes, mut behind) = (Vec::new(), Vec::new());
    for gift in gifts {
        ensure!(!there.is_allowed(gift).await?, "it was allowed before");
        let began = Instant::now();
        if !here.give(gift).await? {
            continue;
        }
        writes.push(began.elapsed());
        let written = Instant::now();
        while !there.is_allowed(gift).await? {
            ensure!(written.elapsed() < BEHIND_MAX, "the other replica never learned of a change");
        }
        behind.push(written.elapsed());
        ensure!(here.is_allowed(gift).await?, "the next decision here did not know of a change");
    }
    ensure!(behind.len() > gifts.len() / 4, "most bindings were refused");
    say(&format!("the binding is written: {}", percentiles(writes, "ms", 1e3)))?;
    say(&format!("another replica decides by it after that: {}", percentiles(behind, "ms", 1e3)))
}
