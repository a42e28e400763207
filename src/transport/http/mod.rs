//! The HTTP port: `/livez`, `/readyz` and `/metrics`.
//!
//! It speaks plaintext wherever it listens, unlike gRPC, which does so on loopback alone: the kubelet
//! and Prometheus call from outside, nobody presents a credential here, and what is answered is one
//! word or counts of a fixed set of names. A route that carries a credential or personal data must not
//! come here before the port speaks TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::application::Ctx;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::sampled;
use crate::transport::socket::{Bounds, Incoming};

/// The content type of Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the port tells of.
#[derive(Debug, Clone)]
pub struct Watched {
    pub ctx: Arc<Ctx>,
    pub metrics: Arc<Metrics>,
    /// How long the policy may go without proof that it is current.
    pub stale_after: Duration,
    /// Set when the server was told to end, or lost a part of itself.
    pub is_draining: Arc<AtomicBool>,
}

/// How long the head of a request may take to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most connections: probes and scrapes are few.
const CONNECTIONS_MAX: usize = 256;

/// How long a connection may last.
const LIFE: Duration = Duration::from_secs(3600);

/// The bounds of the port's connections.
#[must_use]
pub const fn bounds() -> Bounds {
    Bounds {
        connections: CONNECTIONS_MAX,
        per_address: CONNECTIONS_MAX,
        handshake: HEAD_TIMEOUT,
        first_bytes: Bounds::HTTP_FIRST_BYTES,
        life: LIFE,
    }
}

/// Serves until it is told to stop, and then ends what is open.
pub async fn serve(mut incoming: Incoming, watched: Watched, stop: CancellationToken) {
    let routes = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(watched);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            Some(socket) = incoming.next() => {
                let service = TowerToHyperService::new(routes.clone());
                connections.spawn(builder.serve_connection(TokioIo::new(socket), service));
            }
        }
    }
}

/// Whether calls should be sent here, as health over gRPC says it: the schema is of this release, facts
/// are loaded and were proven current lately, no part of the server is lost, and nobody told it to end.
async fn ready(State(watched): State<Watched>) -> (StatusCode, &'static str) {
    if watched.is_draining.load(Ordering::Acquire) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if watched.ctx.policy.is_current(watched.stale_after) {
        (StatusCode::OK, "ready\n")
    } else if watched.ctx.policy.is_ready() {
        (StatusCode::SERVICE_UNAVAILABLE, "stale\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "loading\n")
    }
}

async fn metrics(State(watched): State<Watched>) -> Response {
    sampled::sample(&watched.metrics, &watched.ctx);
    match watched.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
