//! The log of decisions: that it holds every one, what it leaves out, that it never stands in a
//! decision's way, and that what it holds is decided alike again.

mod page;
mod pressure;
mod replay;
mod tampering;

use std::path::{Path, PathBuf};
use std::time::Duration;

use peerage::config::Config;
use serde_json::Value;

use crate::support::Server;

/// A server that logs its decisions to a file of its own.
async fn logging(folder: &Path, change: impl FnOnce(&mut Config)) -> (Server, PathBuf) {
    let path = folder.join("decisions.jsonl");
    let to = path.to_str().unwrap().to_owned();
    let server = Server::start_with(|config| {
        config.decision_log.to = Some(to);
        config.http.listen = Some(([127, 0, 0, 1], 0).into());
        change(config);
    })
    .await;
    (server, path)
}

/// How many entries came to that, as the metrics say.
async fn count(server: &Server, result: &str) -> u64 {
    let (_, text) = crate::server::get(&server.http_address(), "/metrics").await;
    let name = format!("peerage_decision_log_entries_total{{result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

/// Waits until so many entries came to that.
async fn until(server: &Server, result: &str, wanted: u64) {
    let reached = async {
        while count(server, result).await < wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the entries are written in time");
}

/// The entries of a file, of which every line is one.
fn entries(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has an end");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
