//! Readiness when the policy grows stale, and when a part of the server is lost: both ports say it, and
//! whoever asked for life alone is told to be patient.

use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::metrics::{get, value, with_http};
use crate::support::Server;

async fn health(channel: &Channel) -> ServingStatus {
    let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    answer.expect("health answers").into_inner().status()
}

/// Waits until both ports say the same of the server; returns how long it took.
async fn until(http: &str, channel: &Channel, code: u16, text: &str, status: ServingStatus) -> Duration {
    let began = Instant::now();
    loop {
        let said = (get(http, "/readyz").await, health(channel).await);
        if said == ((code, text.to_owned()), status) {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{said:?}");
        assert_eq!(get(http, "/livez").await.0, 200, "whatever it is, to be killed would not help");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_proven_current_makes_the_server_unready_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display());
    let server = Server::start_as(&url, folder, |config| {
        with_http(config);
        config.follow.stale_after_ms = 2_000;
    })
    .await;
    let (http, channel) = (server.http_address(), server.channel());
    until(&http, &channel, 200, "ready\n", ServingStatus::Serving).await;
    // Without its row, nobody can tell what was committed.
    let elsewhere = sea_orm::Database::connect(url).await.unwrap();
    elsewhere.execute_unprepared("ALTER TABLE policy_revision RENAME TO hidden").await.unwrap();
    let took = until(&http, &channel, 503, "stale\n", ServingStatus::NotServing).await;
    assert!(took >= Duration::from_millis(500), "{took:?}: a poll that fails is no reason yet");
    let (_, metrics) = get(&http, "/metrics").await;
    assert!(value(&metrics, "peerage_snapshot_age_seconds", None) >= 2.0, "{metrics}");
    elsewhere.execute_unprepared("ALTER TABLE hidden RENAME TO policy_revision").await.unwrap();
    until(&http, &channel, 200, "ready\n", ServingStatus::Serving).await;
    elsewhere.close().await.unwrap();
    server.stop().await;
}

#[cfg(feature = "fault-injection")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_a_part_of_itself_says_so_and_ends() {
    use crate::support::{free_address, until_serving};

    let folder = super::prepared();
    let (listen, http) = (free_address(), free_address());
    let mut command = super::peerage(folder.path(), &["serve", "--listen", &listen]);
    command.env("PEERAGE_HTTP__LISTEN", &http).env("PEERAGE_SHUTDOWN__DRAIN_DELAY_MS", "2000");
    command.env("PEERAGE_FAULT__LOSE_DUTY_AFTER_MS", "1000");
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{listen}")).unwrap().connect_lazy();
    until_serving(channel.clone()).await;
    assert_eq!(get(&http, "/readyz").await, (200, "ready\n".to_owned()));
    until(&http, &channel, 503, "draining\n", ServingStatus::NotServing).await;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("a part of the server ended by itself"), "{said}");
}
