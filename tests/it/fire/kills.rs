//! The server is killed while eight writers write, on each database; and PostgreSQL is, while the
//! server goes on.

use std::time::{Duration, Instant};

use tonic::Code;

use super::cluster::Cluster;
use super::ledger::{self, Writer};
use super::process::{self, Database, HOME, Process};
use super::{Pauses, setting};
use crate::support::{PostgresDatabase, reason};

const WRITERS: usize = 8;
/// How long a crew writes at most before its server is killed, in milliseconds.
const LIFE_MAX: u64 = 250;
/// What a start over a small world may take.
const START_MAX: Duration = Duration::from_secs(2);

/// Kills a server again and again while it writes, and now and then while it starts.
async fn server_is_killed(database: &Database, times: usize) {
    let mut crew = Writer::crew(WRITERS);
    let mut pauses = Pauses(0x5eed);
    let (mut starts, mut doubts) = (Vec::new(), 0);
    let server = Process::serve(database, &[]).await;
    process::build(&server.operator()).await;
    drop(server);
    for round in 0..times {
        if round % 5 == 4 {
            let mut server = Process::spawn(database, &[]);
            pauses.up_to(LIFE_MAX).await;
            server.kill();
        }
        let mut server = Process::spawn(database, &[]);
        starts.push(server.serving().await);
        let operator = server.operator();
        ledger::settle(&operator, &mut crew).await;
        ledger::assert_gapless(&database.url).await;
        let mut writers = tokio::task::JoinSet::new();
        for mut writer in crew.drain(..) {
            let operator = operator.clone();
            writers.spawn(async move {
                writer.until_the_end(&operator).await;
                writer
            });
        }
        pauses.up_to(LIFE_MAX).await;
        server.kill();
        crew = writers.join_all().await;
        doubts += crew.iter().filter(|writer| writer.is_in_doubt()).count();
    }
    let mut server = Process::serve(database, &[]).await;
    let operator = server.operator();
    ledger::settle(&operator, &mut crew).await;
    server.kill();
    ledger::assert_kept(&database.url, &crew).await;

    starts.sort();
    let granted: usize = crew.iter().map(Writer::granted).sum();
    let (usual, longest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    super::tell(&format!(
        "{times} kills of the server: {granted} writes kept, {doubts} in doubt and settled, \
         starts of {usual:.0?}, the longest {longest:.0?}"
    ));
    assert!(granted > times, "the writers got to write");
    assert!(usual < START_MAX, "a start took {usual:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_on_sqlite_loses_nothing_and_halves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::new(format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display())).await;
    server_is_killed(&database, setting("PEERAGE_TEST_KILLS", 5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_on_postgresql_loses_nothing_and_halves_nothing() {
    let postgres = PostgresDatabase::create().await;
    let database = Database::new(postgres.url.clone()).await;
    server_is_killed(&database, setting("PEERAGE_TEST_KILLS", 5)).await;
    postgres.drop().await;
}

/// Writes on whatever comes: each wish is asked for until it is granted.
async fn until_told(
    mut writer: Writer,
    operator: crate::support::Client,
    stop: tokio_util::sync::CancellationToken,
) -> Writer {
    while !stop.is_cancelled() || writer.is_in_doubt() {
        let Err(status) = writer.step(&operator).await else { continue };
        // What a caller is told while the database is away; anything else would be a fault.
        let told = reason(&status);
        assert!(["STORE_UNAVAILABLE", "CONCURRENT_CHANGE", "OVERLOADED"].contains(&told.as_str()), "{status:?}");
        assert!(status.code() != Code::Internal && !status.message().contains("postgres"), "{status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_killed_under_a_server_is_found_again_and_nothing_is_lost() {
    let mut cluster = Cluster::start(None).await;
    let database = Database::new(cluster.url()).await;
    let mut server = Process::serve(&database, &[]).await;
    let operator = server.operator();
    process::build(&operator).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let mut writers = tokio::task::JoinSet::new();
    for writer in Writer::crew(WRITERS) {
        writers.spawn(until_told(writer, operator.clone(), stop.clone()));
    }
    let mut pauses = Pauses(0xf17e);
    let (times, mut healed) = (setting("PEERAGE_TEST_DATABASE_KILLS", 3), Vec::new());
    for _ in 0..times {
        pauses.up_to(LIFE_MAX * 4).await;
        cluster.kill();
        // Decisions need no database, and probes tell no orchestrator to make things worse.
        let decided = operator.ask("peers/me", "accounts.view", HOME).await.expect("a decision without a database");
        assert_eq!(decided.decision(), peerage::transport::grpc::pb::Decision::Allow);
        assert_eq!(server.get("/livez").await.0, 200);
        cluster.run().await;
        let back = Instant::now();
        // One that stands beside the others writes as soon as anyone can.
        while let Err(status) = operator.auth().list_api_keys(keys()).await {
            assert!(back.elapsed() < Duration::from_secs(30), "{status:?}");
        }
        healed.push(back.elapsed());
    }
    stop.cancel();
    let crew = tokio::time::timeout(Duration::from_secs(60), writers.join_all()).await.expect("all is granted in time");
    assert!(server.lives(), "the server went on");
    assert_eq!(server.get("/readyz").await, (200, "ready\n".to_owned()));
    server.kill();
    ledger::assert_kept(&database.url, &crew).await;
    healed.sort();
    let granted: usize = crew.iter().map(Writer::granted).sum();
    let longest = healed[healed.len() - 1];
    super::tell(&format!(
        "{times} kills of PostgreSQL: {granted} writes kept, reads again after {longest:.0?} at most"
    ));
    assert!(granted > times, "the writers got to write");
}

fn keys() -> peerage::transport::grpc::pb::ListApiKeysRequest {
    peerage::transport::grpc::pb::ListApiKeysRequest { peer: "peers/me".to_owned(), ..Default::default() }
}
