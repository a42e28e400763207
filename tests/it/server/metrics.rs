//! The HTTP port: probes, and metrics whose labels nobody outside can write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peerage::telemetry::metrics::{AuthFailure, CODES, ConnectionRefusal, DecisionOutcome, ShedReason, Work};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::rules::RULES;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Request;

use crate::support::Server;

/// Asks by HTTP/1.1; returns the status line's code and the body.
pub(crate) async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (code, body.to_owned())
}

pub(super) fn with_http(config: &mut peerage::config::Config) {
    config.http.listen = Some(([127, 0, 0, 1], 0).into());
}

/// One sample: its name, its labels, its value.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let read = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let pairs = labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
        let label = |pair: &str| {
            let (key, value) = pair.split_once("=\"").unwrap();
            (key.to_owned(), value.trim_end_matches('"').to_owned())
        };
        (name.to_owned(), pairs.map(label).collect(), value.parse().unwrap())
    };
    lines.map(read).collect()
}

/// The value of the one sample with this name and this label.
pub(super) fn value(text: &str, name: &str, label: Option<(&str, &str)>) -> f64 {
    let fits = |(sample, labels, _): &(String, BTreeMap<String, String>, f64)| {
        sample == name && label.is_none_or(|(key, value)| labels.get(key).is_some_and(|found| found == value))
    };
    let found: Vec<f64> = samples(text).into_iter().filter(fits).map(|(_, _, value)| value).collect();
    found.iter().sum()
}

#[tokio::test]
async fn probes_tell_whether_calls_should_come() {
    let server = Server::start_with(|config| {
        with_http(config);
        config.shutdown.drain_delay_ms = 2_000;
    })
    .await;
    let http = server.http_address();
    assert_eq!(get(&http, "/livez").await, (200, "alive\n".to_owned()));
    assert_eq!(get(&http, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(&http, "/").await.0, 404);
    // The snapshot is followed once a second, which makes the server ready again.
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        server.running().ctx().policy.set_ready(false);
        seen.insert(get(&http, "/readyz").await);
    }
    assert!(seen.contains(&(503, "loading\n".to_owned())), "{seen:?}");
    let stopping = tokio::spawn(server.stop());
    let draining = async {
        while get(&http, "/readyz").await != (503, "draining\n".to_owned()) {}
        assert_eq!(get(&http, "/livez").await.0, 200, "draining is no reason to be killed");
    };
    tokio::time::timeout(Duration::from_secs(10), draining).await.unwrap();
    stopping.await.unwrap();
}

#[tokio::test]
async fn calls_decisions_and_the_snapshot_are_counted() {
    let server = Server::start_with(with_http).await;
    server.partner("counted", &["mspcontrol"]).await;
    let customer = server.customer("customer", "accounts/counted").await;
    let person = server.person(&customer, "counted@example.com", "roles/mspcontrol.customer_admin_peer").await;
    for _ in 0..5 {
        assert!(server.may(&person.name, "accounts.administer", &customer).await);
    }
    assert!(!server.may(&person.name, "accounts.administer", "accounts/platform").await);
    server.client("prg_nothing").ask("peers/me", "accounts.view", "accounts/counted").await.unwrap_err();
    server.anonymous().ask("peers/me", "accounts.view", "accounts/counted").await.unwrap_err();

    let (code, text) = get(&server.http_address(), "/metrics").await;
    assert_eq!(code, 200);
    let authorize = "peerage.v1.AccountAccessService/Authorize";
    assert!(text.contains(&format!("peerage_rpc_requests_total{{code=\"OK\",method=\"{authorize}\"}} 6")), "{text}");
    assert!(
        text.contains(&format!("peerage_rpc_requests_total{{code=\"UNAUTHENTICATED\",method=\"{authorize}\"}} 2")),
        "{text}"
    );
    let count = |name, label| value(&text, name, Some(label));
    assert_eq!(count("peerage_rpc_duration_seconds_count", ("method", authorize)), 8.0);
    assert_eq!(count("peerage_rpc_in_flight", ("method", authorize)), 0.0);
    assert_eq!(count("peerage_decisions_total", ("outcome", "allow")), 5.0);
    assert_eq!(count("peerage_decisions_total", ("outcome", "deny")), 1.0);
    assert_eq!(count("peerage_auth_failures_total", ("reason", "credential_malformed")), 1.0);
    assert_eq!(count("peerage_auth_failures_total", ("reason", "credential_missing")), 1.0);
    assert_eq!(count("peerage_snapshot_facts", ("kind", "peers")), 2.0);
    assert_eq!(count("peerage_snapshot_facts", ("kind", "bindings")), 2.0);
    assert!(count("peerage_database_connections", ("pool", "writer")) >= 1.0);
    let revision = server.running().ctx().snapshot().revision();
    assert_eq!(value(&text, "peerage_snapshot_revision", None), revision as f64);
    assert_eq!(value(&text, "peerage_connections", None), 2.0, "one of gRPC, one of this scrape");
    server.stop().await;
}

#[tokio::test]
async fn labels_come_from_fixed_sets_whatever_is_sent() {
    let server = Server::start_with(with_http).await;
    let garbage = "garbage-7f3a";
    for method in ["Nope", "Nope@example.com", "%22%7D", "Authorize/../../x"] {
        let path = format!("/{garbage}.{method}/{garbage}");
        let _ = server.raw_operator().call_empty(&path).await;
        let _ = server.raw_operator().call_empty(&format!("/peerage.v1.PeerService/{garbage}{method}")).await;
    }
    // A health check that watches has no end.
    for rule in RULES.iter().filter(|rule| !rule.method.ends_with("/Watch")) {
        let _ = server.raw_operator().call_empty(rule.method).await;
        let _ = server.raw_operator().call(rule.method, vec![0xff; 40]).await;
    }
    let agent = format!("{garbage}\"}} 1 peers/{}", crate::support::request_id());
    let mut request = Request::new(pb::AuthorizeRequest {
        permission: format!("{garbage}.view"),
        account: format!("accounts/{garbage}"),
        ..Default::default()
    });
    request.metadata_mut().insert("x-user-agent", agent.parse().unwrap());
    let _ = server.operator().access().authorize(request).await;

    let (_, text) = get(&server.http_address(), "/metrics").await;
    assert!(!text.contains(garbage) && !text.contains('@'), "{text}");
    let methods = RULES.iter().map(|rule| rule.method.trim_start_matches('/')).chain(["unknown"]);
    let sets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([
        ("method", methods.collect()),
        ("code", CODES.into()),
        ("outcome", DecisionOutcome::TEXTS.iter().copied().collect()),
        ("class", Work::TEXTS.iter().copied().collect()),
        ("reason", [AuthFailure::TEXTS, ShedReason::TEXTS, ConnectionRefusal::TEXTS].concat().into_iter().collect()),
        ("kind", ["accounts", "peers", "roles", "bindings", "groups", "permissions", "api_keys"].into()),
        ("pool", ["writer", "reader"].into()),
        ("threads", ["hashing", "pictures"].into()),
        ("state", ["idle", "used", "taken", "limit"].into()),
        ("result", ["alike", "different", "dropped", "failed", "written"].into()),
        ("version", [env!("CARGO_PKG_VERSION")].into()),
    ]);
    let samples = samples(&text);
    for (name, labels, _) in &samples {
        for (key, value) in labels {
            if key == "le" {
                assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{name} {value}");
                continue;
            }
            let set = sets.get(key.as_str()).unwrap_or_else(|| panic!("{name} has the label {key}"));
            assert!(set.contains(value.as_str()), "{name} has {key}={value}");
        }
    }
    assert!(value(&text, "peerage_rpc_requests_total", Some(("method", "unknown"))) >= 8.0);
    let internal = value(&text, "peerage_rpc_requests_total", Some(("code", "INTERNAL")));
    assert_eq!(internal, 0.0, "what a caller garbles is no fault of the server");
    server.stop().await;
}

/// Sends every method what it cannot read, under names that are new each time.
async fn knock(server: &Server, round: usize) {
    for rule in RULES.iter().filter(|rule| !rule.method.ends_with("/Watch")) {
        let _ = server.raw_operator().call(rule.method, format!("garbage {round}").into_bytes()).await;
        let _ = server.raw_operator().call_empty(&format!("{}{round}", rule.method)).await;
    }
    let stranger = server.client(&format!("prg_{round}_unknown"));
    let _ = stranger.ask(&format!("peers/@stranger-{round}"), "accounts.view", "accounts/platform").await;
}

#[tokio::test]
async fn no_series_begins_because_of_who_calls_or_what_is_there() {
    let server = Server::start_with(with_http).await;
    let series = async || -> BTreeSet<(String, BTreeMap<String, String>)> {
        let (_, text) = get(&server.http_address(), "/metrics").await;
        // Which codes a method answered with is known by the end alone, and is bounded by itself.
        let kept = samples(&text).into_iter().filter(|(name, _, _)| name != "peerage_rpc_requests_total");
        kept.map(|(name, labels, _)| (name, labels)).collect()
    };
    knock(&server, 0).await;
    let before = series().await;
    for round in 1..4 {
        let partner = server.partner(&format!("partner-{round}"), &["mspcontrol"]).await;
        let customer = server.customer(&format!("customer-{round}"), &partner).await;
        let person = server.person(&customer, &format!("p{round}@example.com"), "roles/mspcontrol.read_only").await;
        person.client.ask("peers/me", "accounts.view", &customer).await.unwrap();
        server.custom_role(&partner, &["devices.view"]).await;
        knock(&server.reconnected(), round).await;
    }
    let grown: Vec<_> = series().await.difference(&before).cloned().collect();
    assert!(grown.is_empty(), "{grown:?}");
    assert!(before.len() > 100, "{before:?}");
    server.stop().await;
}
