//! A server that starts: from all rows, and from the file that it kept with what was changed since.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::gifts::{Caller, Gift};
use crate::say;
use crate::servers::Server;

const ROUNDS: usize = 3;
/// How long a server may take to keep its first snapshot.
const KEPT_MAX: Duration = Duration::from_secs(60);
/// So long that only the snapshot of the start is kept.
const HOUR: &str = "3600000";

pub(crate) async fn measure(url: &str, key: &str, gifts: &[Gift]) -> Result<()> {
    let first = gifts.first().context("there are gifts")?;
    for _ in 0..ROUNDS {
        started("from rows", url, &[], (key, first)).await?;
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("snapshot");
    let path = file.to_str().context("a folder has a name")?;
    // A file that cannot be used is warned of.
    let settings =
        [("PEERAGE_SNAPSHOT__FILE", path), ("PEERAGE_SNAPSHOT__INTERVAL_MS", HOUR), ("PEERAGE_LOG__FILTER", "warn")];
    let server = started("from rows, to keep a file", url, &settings, (key, first)).await?;
    let began = Instant::now();
    while !file.exists() {
        ensure!(began.elapsed() < KEPT_MAX, "the snapshot was not kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (caller, mut given) = (Caller::of(&server, key)?, 0);
    for gift in gifts {
        given += usize::from(caller.give(gift).await?);
    }
    drop(server);
    // A server that has started keeps what it has then in place of what it started from.
    let kept = std::fs::read(&file)?;
    for _ in 0..ROUNDS {
        std::fs::write(&file, &kept)?;
        started(&format!("from the file and {given} changes"), url, &settings, (key, first)).await?;
    }
    Ok(())
}

async fn started(from: &str, url: &str, settings: &[(&str, &str)], (key, gift): (&str, &Gift)) -> Result<Server> {
    let began = Instant::now();
    let server = Server::peerage(url, 0, settings)?;
    Caller::of(&server, key)?.first_decision(gift).await?;
    let (took, worked) = (began.elapsed(), server.processor_time()?);
    let (took, worked) = (took.as_secs_f64(), worked.as_secs_f64());
    say(&format!("started {from}: first decision after {took:.2} s, {worked:.2} s of the server's processor time"))?;
    Ok(server)
}
