//! A disk that is full, and one that turned read-only: writes are refused with an answer that says so,
//! decisions and reads go on, nothing is half there, and room is all that it takes to go on.

use std::path::Path;
use std::time::{Duration, Instant};

use peerage::transport::grpc::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::cluster::Cluster;
use super::disk::Disk;
use super::ledger::{self, Writer};
use super::process::{self, Database, HOME, Process};
use crate::support::{Client, reason};

const WRITERS: usize = 4;
/// More writes than the disks of these tests can take.
const WRITES_MAX: usize = 20_000;

/// A database on a disk, made beside it.
async fn on(disk: &Disk) -> Database {
    let folder = tempfile::tempdir().unwrap();
    let made = Database::new(format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display())).await;
    copied(folder.path(), &disk.seen_from_here());
    Database { url: format!("sqlite:{}", disk.path().join("peerage.db").display()), key: made.key }
}

fn copied(from: &Path, to: &Path) {
    for file in ["peerage.db", "peerage.db-wal"].iter().filter(|file| from.join(file).exists()) {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// Takes the database of a server that ended to where this process can read it.
fn taken_out(disk: &Disk, to: &Path) -> String {
    copied(&disk.seen_from_here(), to);
    format!("sqlite:{}", to.join("peerage.db").display())
}

/// Writes until one is refused.
async fn until_refused(crew: &mut [Writer], operator: &Client) -> Status {
    for turn in 0..WRITES_MAX {
        if let Err(status) = crew[turn % WRITERS].step(operator).await {
            return status;
        }
    }
    panic!("{WRITES_MAX} writes found room on a full disk");
}

fn assert_refused(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"), "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    for word in ["disk", "sqlite", "extend", "I/O", "/"] {
        assert!(!status.message().contains(word), "text of the driver leaves: {status:?}");
    }
}

/// Decisions, reads, lists and probes, while nothing can be written.
async fn assert_answers(server: &Process) {
    let operator = server.operator();
    for _ in 0..10 {
        let decided = operator.ask("peers/me", "accounts.view", HOME).await.unwrap();
        assert_eq!(decided.decision(), pb::Decision::Allow);
        let request = pb::GetPeerRequest { name: "peers/me".to_owned(), ..Default::default() };
        operator.peers().get_peer(request).await.unwrap();
        let request =
            pb::ListPeersRequest { account: HOME.to_owned(), page_size: 2, count_total: true, ..Default::default() };
        assert!(!operator.peers().list_peers(request).await.unwrap().into_inner().next_page_token.is_empty());
    }
    assert_eq!(server.get("/livez").await.0, 200);
    // To be taken out of rotation would end decisions, which need no disk; a restart would not help.
    assert_eq!(server.get("/readyz").await, (200, "ready\n".to_owned()));
}

/// Asks for what was refused until it is granted, by the same server.
async fn heal(crew: &mut [Writer], operator: &Client) -> Duration {
    let began = Instant::now();
    for writer in crew.iter_mut() {
        while let Err(status) = writer.step(operator).await {
            assert_refused(&status);
            assert!(began.elapsed() < Duration::from_secs(20), "{status:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    began.elapsed()
}

/// Writes, fills the disk, sees what happens, makes room, and writes on.
async fn fills_up(disk: &Disk, server: &Process, crew: &mut [Writer]) {
    let operator = server.operator();
    process::build(&operator).await;
    for turn in 0..40 {
        crew[turn % WRITERS].step(&operator).await.unwrap();
    }
    disk.fill();
    assert_refused(&until_refused(crew, &operator).await);
    for _ in 0..5 {
        for writer in crew.iter_mut().filter(|writer| writer.is_in_doubt()) {
            // A small write may still fit where a large one did not.
            let _ = writer.step(&operator).await.map_err(|status| assert_refused(&status));
        }
    }
    assert_answers(server).await;
    disk.make_room();
    let healed = heal(crew, &operator).await;
    for turn in 0..40 {
        crew[turn % WRITERS].step(&operator).await.unwrap();
    }
    let granted: usize = crew.iter().map(Writer::granted).sum();
    super::tell(&format!("a full disk: {granted} writes kept, healed {healed:.0?} after there was room"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_stops_writes_alone_and_only_while_it_is_full() {
    let Some(disk) = Disk::new(24) else { return };
    let database = on(&disk).await;
    let mut server = Process::serve(&database, &disk.prefix()).await;
    let mut crew = Writer::crew(WRITERS);
    fills_up(&disk, &server, &mut crew).await;
    assert!(server.lives());
    server.kill();
    let folder = tempfile::tempdir().unwrap();
    ledger::assert_kept(&taken_out(&disk, folder.path()), &crew).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgresql_stops_writes_alone_and_only_while_it_is_full() {
    let Some(disk) = Disk::new(96) else { return };
    let cluster = Cluster::start(Some(&disk)).await;
    let database = Database::new(cluster.url()).await;
    let mut server = Process::serve(&database, &[]).await;
    let mut crew = Writer::crew(WRITERS);
    fills_up(&disk, &server, &mut crew).await;
    assert!(server.lives());
    server.kill();
    ledger::assert_kept(&database.url, &crew).await;
}

/// What the server counted of its log of decisions, by result.
async fn logged(server: &Process, result: &str) -> u64 {
    let name = format!("peerage_decision_log_entries_total{{result=\"{result}\"}} ");
    let (_, text) = server.get("/metrics").await;
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_log_of_decisions_costs_entries_and_leaves_whole_lines() {
    let Some(disk) = Disk::new(8) else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = Database::new(format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display())).await;
    let place = disk.path().join("decisions.jsonl");
    let setting = format!("PEERAGE_DECISION_LOG__TO={}", place.display());
    let mut prefix = disk.prefix();
    prefix.extend(["env".to_owned(), setting]);
    let mut server = Process::serve(&database, &prefix).await;
    let operator = server.operator();
    let item = pb::BatchAuthorizeItem {
        permission: "accounts.view".to_owned(),
        account: "accounts/platform".to_owned(),
        ..Default::default()
    };
    let request = pb::BatchAuthorizeRequest { items: vec![item; 1000], ..Default::default() };
    let mut decided = 0;
    let mut decide = async |rounds: u64| {
        for _ in 0..rounds {
            let response = operator.access().batch_authorize(request.clone()).await.unwrap().into_inner();
            decided += u64::try_from(response.results.len()).unwrap();
        }
    };
    decide(1).await;
    disk.fill();
    let began = Instant::now();
    while logged(&server, "failed").await == 0 {
        decide(1).await;
        assert!(began.elapsed() < Duration::from_secs(60), "the disk is full");
    }
    disk.make_room();
    let before = logged(&server, "written").await;
    while logged(&server, "written").await < before + 1000 {
        decide(1).await;
        assert!(began.elapsed() < Duration::from_secs(120), "the disk has room");
    }
    let settled = async {
        loop {
            let (written, lost) = (logged(&server, "written").await, logged(&server, "failed").await);
            let dropped = logged(&server, "dropped").await;
            if written + lost + dropped == decided {
                return (written, lost + dropped);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (written, lost) = tokio::time::timeout(Duration::from_secs(60), settled).await.expect("each is counted");
    assert!(server.lives());
    server.kill();
    let text = std::fs::read_to_string(disk.seen_from_here().join("decisions.jsonl")).unwrap();
    for line in text.lines() {
        let _: serde_json::Value = serde_json::from_str(line).expect("no line is torn");
    }
    assert_eq!(u64::try_from(text.lines().count()).unwrap(), written, "what is counted as written is there");
    super::tell(&format!("a full disk under the log of decisions: {written} written, {lost} lost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turned_read_only_stops_writes_alone_and_keeps_what_was_acknowledged() {
    let Some(disk) = Disk::new(24) else { return };
    let database = on(&disk).await;
    let mut server = Process::serve(&database, &disk.prefix()).await;
    let operator = server.operator();
    process::build(&operator).await;
    let mut crew = Writer::crew(WRITERS);
    for turn in 0..40 {
        crew[turn % WRITERS].step(&operator).await.unwrap();
    }
    disk.turn_read_only();
    for writer in &mut crew {
        assert_refused(&writer.step(&operator).await.unwrap_err());
    }
    assert_answers(&server).await;
    server.kill();

    // One that starts on such a disk answers as well.
    let mut server = Process::serve(&database, &disk.prefix()).await;
    for writer in &mut crew {
        assert_refused(&writer.step(&server.operator()).await.unwrap_err());
    }
    assert_answers(&server).await;
    server.kill();

    disk.repair();
    let mut server = Process::serve(&database, &disk.prefix()).await;
    ledger::settle(&server.operator(), &mut crew).await;
    server.kill();
    let folder = tempfile::tempdir().unwrap();
    ledger::assert_kept(&taken_out(&disk, folder.path()), &crew).await;
}
