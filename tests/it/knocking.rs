//! Callers who are refused again and again: every refusal is in the log, counted if not one by one, and
//! nobody can fill the log or keep the disk busy by knocking.

use std::time::Duration;

use peerage::application::refusals::{self, Due};
use peerage::transport::grpc::pb;
use sea_orm::ConnectionTrait as _;

use crate::support::{Server, TestPeer, reason, request_id};

/// A server with a technician of a customer, who may view peers there and nowhere else.
async fn scene() -> (Server, String, TestPeer) {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let desk = server.person(&customer, "desk", "roles/mspcontrol.help_desk").await;
    (server, customer, desk)
}

/// The refusals of a method in a log: how often each event counts.
async fn refused(server: &Server, account: &str, action: &str) -> Vec<i64> {
    let request = pb::ListAuditEventsRequest { account: account.to_owned(), page_size: 1000, ..Default::default() };
    let events = server.operator().audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    let denied = |event: &pb::AuditEvent| event.action == action && event.outcome() == pb::AuditOutcome::Denied;
    events.iter().filter(|event| denied(event)).map(|event| event.repeat_count.max(1)).collect()
}

/// Waits until the refusals of a method come to a sum. The server writes what is due once a second.
async fn until_refused(server: &Server, account: &str, action: &str, sum: i64) -> Vec<i64> {
    let reached = async {
        loop {
            let counts = refused(server, account, action).await;
            if counts.iter().sum::<i64>() == sum {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect("all refusals are recorded in time")
}

async fn knock(desk: &TestPeer, name: &str) -> String {
    let request = pb::GetPeerRequest { name: name.to_owned(), ..Default::default() };
    reason(&desk.client.peers().get_peer(request).await.unwrap_err())
}

async fn sql(server: &Server, statement: &str) {
    let transaction = server.running().ctx().store.begin().await.unwrap();
    transaction.connection().execute_unprepared(statement).await.unwrap();
    transaction.commit().await.unwrap();
}

const BREAK: &str = "CREATE TRIGGER full BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no room'); END";
const MEND: &str = "DROP TRIGGER full";

#[tokio::test]
async fn who_varies_the_name_gets_a_few_events_and_one_that_counts_the_rest() {
    let (server, customer, desk) = scene().await;
    for _ in 0..200 {
        assert_eq!(knock(&desk, &format!("peers/{}", request_id())).await, "RESOURCE_NOT_FOUND");
    }
    let at_once = refused(&server, &customer, "peers.view").await;
    assert!((1..=20).contains(&at_once.len()), "{} events for 200 names", at_once.len());
    server.advance(Duration::from_secs(60));
    let counts = until_refused(&server, &customer, "peers.view", 200).await;
    assert_eq!(counts.len(), at_once.len() + 1, "one event for all others, and nothing is lost");
    // The next minute has a budget of its own.
    knock(&desk, &format!("peers/{}", request_id())).await;
    assert_eq!(refused(&server, &customer, "peers.view").await.len(), counts.len() + 1);
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_that_could_not_be_recorded_is_recorded_later() {
    let (server, customer, desk) = scene().await;
    let name = format!("peers/{}", request_id());
    sql(&server, BREAK).await;
    assert_eq!(knock(&desk, &name).await, "INTERNAL_ERROR");
    assert_eq!(knock(&desk, &name).await, "INTERNAL_ERROR", "the next one is no repeat of what is not recorded");
    sql(&server, MEND).await;
    until_refused(&server, &customer, "peers.view", 2).await;
    server.stop().await;
}

#[tokio::test]
async fn repeats_that_could_not_be_recorded_are_still_owed() {
    let (server, customer, desk) = scene().await;
    let name = format!("peers/{}", request_id());
    for _ in 0..5 {
        assert_eq!(knock(&desk, &name).await, "RESOURCE_NOT_FOUND");
    }
    assert_eq!(refused(&server, &customer, "peers.view").await, [1]);
    sql(&server, BREAK).await;
    server.advance(Duration::from_secs(60));
    // Fails here or at the worker, whoever is first.
    drop(refusals::flush(server.running().ctx(), Due::Over).await);
    sql(&server, MEND).await;
    assert_eq!(until_refused(&server, &customer, "peers.view", 5).await, [1, 4]);
    server.stop().await;
}

#[tokio::test]
async fn what_was_refused_in_the_last_minute_is_recorded_when_the_server_stops() {
    use peerage::app;
    use peerage::application::Clock;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display());
    let server = Server::start_on(&url, tempfile::tempdir().unwrap()).await;
    let kind = pb::PeerKind::Integration;
    let desk = server.peer("accounts/platform", "desk", "roles/core.backend_service", kind, &[]).await;
    for _ in 0..5 {
        let request = pb::ListPeersRequest { account: "accounts/platform".to_owned(), ..Default::default() };
        desk.client.peers().list_peers(request).await.unwrap_err();
    }
    server.stop().await;
    let ctx = app::context(app::connect(&crate::support::config(&url)).await.unwrap(), Clock::System).unwrap();
    let platform = peerage::domain::ids::AccountId::platform();
    let events = peerage::storage::audit::events_after(ctx.store.reader(), &platform, 0, 1000).await.unwrap();
    let counts: Vec<u64> = events
        .iter()
        .map(|event| peerage::domain::audit::open(&event.bytes, &event.personal).unwrap().body)
        .filter(|body| body.action == "peers.view")
        .map(|body| body.count.map_or(1, std::num::NonZeroU64::get))
        .collect();
    assert_eq!(counts, [1, 4]);
}
