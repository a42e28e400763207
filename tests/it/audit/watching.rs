//! Watching a log: each number once and in order, whoever writes and however fast one reads, until the
//! right to it ends.

use std::sync::Arc;
use std::time::Duration;

use peerage::app;
use peerage::application::Clock;
use peerage::transport::grpc::pb;
use tonic::{Code, Status, Streaming};

use super::{AUDITOR, record, report};
use crate::support::{BEGIN_MICROS, Client, PostgresDatabase, Server, bad_fields, config, reason};

type Events = Streaming<pb::WatchAuditEventsResponse>;

async fn watch(client: &Client, account: &str, after_seq: i64) -> Result<Events, Status> {
    let request = pb::WatchAuditEventsRequest { account: account.to_owned(), after_seq, new_only: false };
    client.audit().watch_audit_events(request).await.map(tonic::Response::into_inner)
}

/// The next event, which has to come.
async fn next(events: &mut Events) -> Result<pb::AuditEvent, Status> {
    let message = tokio::time::timeout(Duration::from_secs(20), events.message()).await.expect("something comes");
    Ok(message?.expect("a stream has no end of its own").audit_event.expect("an event"))
}

async fn seqs(events: &mut Events, count: usize) -> Vec<i64> {
    let mut seqs = Vec::with_capacity(count);
    for _ in 0..count {
        seqs.push(next(events).await.unwrap().seq);
    }
    seqs
}

/// How a stream ends, whatever comes before.
async fn end(events: &mut Events) -> Status {
    loop {
        if let Err(status) = next(events).await {
            return status;
        }
    }
}

/// A provider with a customer, whose log has one event.
async fn customer(server: &Server) -> String {
    let msp = server.partner("msp", &["opspilot365"]).await;
    server.customer("contoso", &msp).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_44_watchers_of_two_processes_see_each_event_once_while_both_write() {
    const EACH: usize = 30;
    let database = PostgresDatabase::create().await;
    let server = Server::start_on(&database.url, tempfile::tempdir().unwrap()).await;
    let clock = Clock::Manual(Arc::new(BEGIN_MICROS.into()));
    let other = app::start(&config(&database.url), clock).await.unwrap();
    let customer = customer(&server).await;
    let elsewhere = server.operator_at(&other.address().to_string());
    let clients = [server.operator(), elsewhere];
    let mut watchers = Vec::new();
    for client in &clients {
        // The other process may not have heard of the account yet.
        let mut events = loop {
            match watch(client, &customer, 0).await {
                Ok(events) => break events,
                Err(status) => assert_eq!(status.code(), Code::NotFound),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        watchers.push(tokio::spawn(async move { seqs(&mut events, 1 + 4 * EACH).await }));
    }
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (client, customer) = (clients[writer % 2].clone(), customer.clone());
        writers.push(tokio::spawn(async move {
            for number in 0..EACH {
                record(&client, vec![report(&customer, &format!("{writer}-{number}"))]).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let wanted: Vec<i64> = (1..=1 + 4 * i64::try_from(EACH).unwrap()).collect();
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), wanted);
    }
    drop(clients);
    other.stop().await.unwrap();
    server.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_up_nobody_and_misses_nothing() {
    const BATCHES: i64 = 20;
    let server = Server::start().await;
    let customer = customer(&server).await;
    let client = server.operator();
    let mut slow = watch(&client, &customer, 0).await.unwrap();
    let mut fast = watch(&client, &customer, 0).await.unwrap();
    // More than flow control lets out unread.
    let long = "x".repeat(4000);
    let events: Vec<_> = (0..50)
        .map(|_| pb::ReportedEvent {
            justification: "y".repeat(1000),
            target_name: super::personal(&long[..500]),
            ..report(&customer, "")
        })
        .collect();
    let last = 1 + BATCHES * 50;
    for batch in 0..BATCHES {
        record(&client, events.clone()).await.unwrap();
        let first = if batch == 0 { 1 } else { 2 + batch * 50 };
        let wanted: Vec<i64> = (first..2 + (batch + 1) * 50).collect();
        assert_eq!(seqs(&mut fast, wanted.len()).await, wanted);
    }
    assert_eq!(seqs(&mut slow, usize::try_from(last).unwrap()).await, (1..=last).collect::<Vec<_>>());
    drop((slow, fast));
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_goes_on_behind_any_number() {
    let server = Server::start().await;
    let customer = customer(&server).await;
    let client = server.operator();
    record(&client, (0..9).map(|number| report(&customer, &number.to_string())).collect()).await.unwrap();
    let mut seen = Vec::new();
    for take in [3, 1, 6] {
        let mut events = watch(&client, &customer, seen.last().copied().unwrap_or(0)).await.unwrap();
        seen.extend(seqs(&mut events, take).await);
        // The connection drops here, with more on its way.
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    // A number that is still to come, and whatever comes next.
    let mut later = watch(&client, &customer, 11).await.unwrap();
    let request = pb::WatchAuditEventsRequest { account: customer.clone(), new_only: true, ..Default::default() };
    let mut new = client.audit().watch_audit_events(request).await.unwrap().into_inner();
    record(&client, vec![report(&customer, "a"), report(&customer, "b")]).await.unwrap();
    assert_eq!(seqs(&mut new, 2).await, [11, 12]);
    assert_eq!(seqs(&mut later, 1).await, [12]);
    drop((later, new));
    server.stop().await;
}

#[tokio::test]
async fn a_stream_ends_when_the_right_to_it_does() {
    let server = Server::start().await;
    let customer = customer(&server).await;
    let operator = server.operator();
    let watcher = async |name: &str| {
        let peer = server.person_on("accounts/msp", name, AUDITOR, &[&customer]).await;
        let mut events = watch(&peer.client, &customer, 0).await.unwrap();
        next(&mut events).await.unwrap();
        (peer, events)
    };
    // The role is taken away.
    let (peer, mut events) = watcher("unbound").await;
    let request = pb::ListRoleBindingsRequest { account: customer.clone(), ..Default::default() };
    let bindings = operator.roles().list_role_bindings(request).await.unwrap().into_inner().role_bindings;
    let holder = pb::role_binding::Principal::Peer(peer.name.clone());
    let binding = bindings.into_iter().find(|binding| binding.principal == Some(holder.clone())).unwrap();
    let request = pb::DeleteRoleBindingRequest { name: binding.name, ..Default::default() };
    operator.roles().delete_role_binding(request).await.unwrap();
    let status = end(&mut events).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"));

    // The key is revoked.
    let (peer, mut events) = watcher("revoked").await;
    let request = pb::ListApiKeysRequest { peer: peer.name, ..Default::default() };
    let keys = operator.auth().list_api_keys(request).await.unwrap().into_inner().api_keys;
    let request = pb::RevokeApiKeyRequest { name: keys[0].name.clone(), ..Default::default() };
    operator.auth().revoke_api_key(request).await.unwrap();
    let status = end(&mut events).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "CREDENTIAL_INVALID"));

    // The right is denied, and the account can still be seen.
    let (peer, mut events) = watcher("denied").await;
    let deny = server.custom_role("accounts/msp", &["accounts.view", "!audit.view"]).await;
    server.bind(&peer.name, &deny, &customer).await;
    let status = end(&mut events).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));

    // Time is over, which no change tells.
    let peer = server.person("accounts/msp", "timed", "roles/opspilot365.read_only").await;
    let role = server.custom_role("accounts/msp", &["accounts.view", "audit.view"]).await;
    let binding = pb::RoleBinding {
        expire_time: Some(server.time(60)),
        ..crate::support::policy::binding(&peer.name, &role, &customer)
    };
    crate::support::policy::bind(&operator, binding).await.unwrap();
    let mut events = watch(&peer.client, &customer, 0).await.unwrap();
    next(&mut events).await.unwrap();
    server.advance(Duration::from_secs(60));
    let status = end(&mut events).await;
    assert!(matches!(status.code(), Code::NotFound | Code::PermissionDenied), "{status:?}");
    drop(events);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_its_streams_at_once() {
    let server = Server::start().await;
    let customer = customer(&server).await;
    let mut events = watch(&server.operator(), &customer, 0).await.unwrap();
    next(&mut events).await.unwrap();
    let began = std::time::Instant::now();
    let stopping = tokio::spawn(server.stop());
    let status = end(&mut events).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NOT_READY"));
    drop(events);
    stopping.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "nothing waited for the stream");
}

#[tokio::test]
async fn streams_of_one_caller_are_bounded_and_what_is_wrong_is_named() {
    let server = Server::start_with(|config| config.admission.streams.per_caller = 3).await;
    let customer = customer(&server).await;
    let department = server.department("sales", &customer).await;
    let client = server.operator();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(watch(&client, &customer, 0).await.unwrap());
    }
    let status = watch(&client, &customer, 0).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    open.clear();
    for (field, wrong) in [
        ("account", pb::WatchAuditEventsRequest { account: "contoso".to_owned(), ..Default::default() }),
        ("account", pb::WatchAuditEventsRequest { account: department, ..Default::default() }),
        ("after_seq", pb::WatchAuditEventsRequest { account: customer.clone(), after_seq: -1, new_only: false }),
        ("after_seq", pb::WatchAuditEventsRequest { account: customer, after_seq: 1, new_only: true }),
    ] {
        let refused = async {
            loop {
                let status = client.audit().watch_audit_events(wrong.clone()).await.unwrap_err();
                // The streams that were let go give their places back when the server hears of it.
                if status.code() != Code::ResourceExhausted {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let status = tokio::time::timeout(Duration::from_secs(20), refused).await.unwrap();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    server.stop().await;
}
