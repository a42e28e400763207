//! The log gives way to decisions: a queue that is full, a disk that is full, files that are moved away,
//! and a server that stops.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use peerage::app;
use peerage::application::Clock;
use peerage::transport::grpc::pb;
use serde_json::Value;

use super::{count, entries, logging, until};
use crate::support::{self, Server};

/// Has the server decide about so many things in one call; returns the ids of the decisions.
async fn decide(server: &Server, checks: usize) -> Vec<String> {
    let item = pb::BatchAuthorizeItem {
        permission: "accounts.view".to_owned(),
        account: "accounts/platform".to_owned(),
        ..Default::default()
    };
    let request = pb::BatchAuthorizeRequest { items: vec![item; checks], ..Default::default() };
    let response = server.operator().access().batch_authorize(request).await.unwrap().into_inner();
    let id = |result: pb::BatchAuthorizeResult| match result.result.unwrap() {
        pb::batch_authorize_result::Result::Decision(answer) => answer.decision_id,
        pb::batch_authorize_result::Result::Error(error) => panic!("{error:?}"),
    };
    response.results.into_iter().map(id).collect()
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn id(entry: &Value) -> String {
    entry["decisionId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_do_not_wait_for_a_log_that_nobody_reads_and_what_is_dropped_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    pipe(&folder.path().join("decisions.jsonl"));
    let (server, path) = logging(folder.path(), |config| config.decision_log.queue_bytes = 64 << 10).await;
    // An entry without circumstances takes a KiB of the queue. Nobody opened the pipe to read, so that
    // none is written.
    let first = decide(&server, 1000).await;
    decide(&server, 500).await;
    assert_eq!(count(&server, "dropped").await, 1500 - 64);
    assert_eq!(count(&server, "written").await, 0);

    // Whoever reads gets those that came first, and then what comes.
    let reading = tokio::task::spawn_blocking(move || {
        let mut reader = BufReader::new(std::fs::File::open(path).unwrap());
        let mut lines = move || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            id(&serde_json::from_str(&line).unwrap())
        };
        let found: Vec<String> = (0..64).map(|_| lines()).collect();
        (found, lines)
    });
    let (found, lines) = tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap().unwrap();
    assert_eq!(found, first[..64]);
    until(&server, "written", 64).await;
    let next = decide(&server, 1).await;
    assert_eq!(tokio::task::spawn_blocking(lines).await.unwrap(), next[0]);
    assert_eq!((count(&server, "dropped").await, count(&server, "failed").await), (1436, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stops_although_nobody_takes_its_last_entries() {
    let folder = tempfile::tempdir().unwrap();
    pipe(&folder.path().join("decisions.jsonl"));
    let (server, _) = logging(folder.path(), |_| {}).await;
    decide(&server, 10).await;
    tokio::time::timeout(Duration::from_secs(60), server.stop()).await.expect("it stops all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_writes_what_is_queued() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = logging(folder.path(), |_| {}).await;
    let asked: BTreeSet<String> = decide(&server, 100).await.into_iter().collect();
    server.stop().await;
    assert_eq!(entries(&path).iter().map(id).collect::<BTreeSet<_>>(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_costs_entries_and_no_decision_and_is_written_again_when_it_has_some() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (server, path) = logging(folder.path(), |_| {}).await;
    decide(&server, 300).await;
    until(&server, "failed", 300).await;
    std::fs::remove_file(&path).unwrap();
    let kept = decide(&server, 20).await;
    until(&server, "written", 20).await;
    assert_eq!(entries(&path).iter().map(id).collect::<Vec<_>>(), kept);
    assert_eq!((count(&server, "failed").await, count(&server, "dropped").await), (300, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_lost_where_files_are_rotated_and_moved_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = logging(folder.path(), |config| {
        config.decision_log.max_bytes = 1 << 20;
        config.decision_log.keep = 100;
        config.decision_log.queue_bytes = 64 << 20;
    })
    .await;
    let mut asked = BTreeSet::new();
    for round in 0..12 {
        let (one, other) = tokio::join!(decide(&server, 500), decide(&server, 500));
        asked.extend(one.into_iter().chain(other));
        // As a tool would that rotates by itself, whether or not there is a file at the moment.
        if round % 3 == 2 {
            let _ = std::fs::rename(&path, folder.path().join(format!("moved-{round}")));
        }
    }
    until(&server, "written", 12_000).await;
    assert_eq!((count(&server, "failed").await, count(&server, "dropped").await), (0, 0));
    server.stop().await;
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 5, "{files:?}");
    let mut found = Vec::new();
    for file in &files {
        assert!(std::fs::metadata(file).unwrap().len() <= 1 << 20, "{}", file.display());
        found.extend(entries(file).iter().map(id));
    }
    assert_eq!(found.len(), 12_000, "none is there twice");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn allows_and_all_else_are_sampled_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = logging(folder.path(), |config| config.decision_log.allow_ratio = 0.25).await;
    decide(&server, 1000).await;
    decide(&server, 1000).await;
    let mut denied = Vec::new();
    for _ in 0..20 {
        let unknown = format!("peers/{}", support::request_id());
        denied.push(server.decide(&unknown, "accounts.view", "accounts/platform").await.decision_id);
    }
    server.stop().await;
    let logged = entries(&path);
    let (allows, others): (Vec<_>, Vec<_>) = logged.iter().partition(|entry| entry["decision"] == "DECISION_ALLOW");
    // Of 2,000 coins that fall so once in four, fewer or more than this come once in 10^20 times.
    assert!((300..700).contains(&allows.len()), "{}", allows.len());
    assert_eq!(others.into_iter().map(id).collect::<Vec<_>>(), denied);
}

#[tokio::test]
async fn a_server_does_not_start_with_a_log_that_it_can_never_write() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("peerage.db").display());
    let mut config = support::config(&url);
    app::migrate(&config, Clock::System).await.unwrap();
    for to in [folder.path().join("nowhere/decisions.jsonl"), folder.path().to_owned()] {
        config.decision_log.to = Some(to.to_str().unwrap().to_owned());
        let error = format!("{:#}", app::start(&config, Clock::System).await.unwrap_err());
        assert!(error.contains("`decision_log.to`") && error.contains(to.to_str().unwrap()), "{error}");
    }
    config.decision_log.to = None;
    app::start(&config, Clock::System).await.unwrap().stop().await.unwrap();
}
