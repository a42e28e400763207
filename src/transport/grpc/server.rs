//! The server: its layers in their order, the services behind them, and their health.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::server::HealthReporter;
use tonic_health::{ServingStatus, pb::health_server::HealthServer, server::HealthService};

use super::layer::admission::{AdmissionLayer, Room};
use super::layer::gate::GateLayer;
use super::layer::observe::ObserveLayer;
use super::layer::web::WebLayer;
use super::pb;
use super::pb::account_access_service_server::AccountAccessServiceServer;
use super::pb::account_service_server::AccountServiceServer;
use super::pb::audit_service_server::AuditServiceServer;
use super::pb::authentication_service_server::AuthenticationServiceServer;
use super::pb::peer_service_server::PeerServiceServer;
use super::pb::role_service_server::RoleServiceServer;
use super::service::Services;
use super::service::direct::DirectLayer;
use crate::application::Ctx;
use crate::config::{Config, Limits, MessageBytes};
use crate::telemetry::decision_log::DecisionLog;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::sampling::Sampling;
use crate::transport::socket::{Bounds, Incoming};

/// The names under which health is reported: the server as a whole, and each service.
pub const HEALTH_NAMES: &[&str] = &[
    "",
    "peerage.v1.AccountAccessService",
    "peerage.v1.AccountService",
    "peerage.v1.AuditService",
    "peerage.v1.AuthenticationService",
    "peerage.v1.PeerService",
    "peerage.v1.RoleService",
];

/// How many changes may be under way: one holds the lock, the others come to it or are on their way
/// back.
const WRITERS: usize = 4;

/// Sets the health of the server and of every service.
pub async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(*name, status).await;
    }
}

/// What the server is made of.
#[derive(Debug)]
pub struct Parts {
    pub ctx: Arc<Ctx>,
    pub metrics: Arc<Metrics>,
    pub decision_log: Option<Arc<DecisionLog>>,
    pub health: HealthService,
}

/// Serves until it is told to stop, and then until the calls in flight have ended.
///
/// # Errors
/// Where the server cannot be built or fails.
pub async fn serve(config: &Config, parts: Parts, incoming: Incoming, stop: CancellationToken) -> anyhow::Result<()> {
    let Parts { ctx, metrics, decision_log, health } = parts;
    let limits = &config.limits;
    let services = Services::new(Arc::clone(&ctx), Arc::clone(&metrics), limits.call_timeout(), stop.clone());
    let services = services.logging(decision_log);
    let direct = DirectLayer::new(services.clone(), limits.message_bytes.decisions);
    let routes = routes(services, limits.message_bytes, health)?;
    let room = room(config, ctx.store.is_embedded());
    // The order of the layers, outermost first.
    Server::builder()
        .accept_http1(!config.web.allowed_origins.is_empty())
        .max_concurrent_streams(limits.streams_per_connection)
        .http2_max_header_list_size(limits.header_bytes)
        .http2_keepalive_interval(Some(Duration::from_millis(limits.keepalive_interval_ms)))
        .http2_keepalive_timeout(Some(Duration::from_millis(limits.keepalive_timeout_ms)))
        .max_connection_age(Duration::from_millis(limits.connection_age_ms))
        .layer(WebLayer::new(&config.web.allowed_origins)?)
        .layer(ObserveLayer::new(Arc::clone(&metrics), Sampling::new(&config.telemetry)))
        .layer(GateLayer::new(ctx, Arc::clone(&metrics), limits))
        .layer(AdmissionLayer::new(&config.admission, limits.message_bytes, room, metrics))
        .layer(direct)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await?;
    Ok(())
}

/// The bounds of the port's connections.
#[must_use]
pub const fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        connections: limits.connections,
        per_address: limits.connections_per_address,
        handshake: limits.handshake_timeout(),
        first_bytes: Bounds::GRPC_FIRST_BYTES,
        life: Duration::from_millis(limits.connection_age_ms + limits.connection_age_grace_ms),
    }
}

/// What the server has for calls: no kind of work may take the connections of another. Reads and lists
/// share the pool of readers; changes take turns on a connection of their own, behind which a few may
/// stand. An embedded database reads on the cores that decisions need, so that more readers than these
/// only stand in the way.
fn room(config: &Config, is_embedded: bool) -> Room {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let connections = config.database.max_connections as usize / 2;
    let readers = if is_embedded { connections.min(cores) } else { connections };
    Room { readers: readers.max(1), writers: WRITERS, cores }
}

/// Every service.
fn routes(
    services: Services,
    most: MessageBytes,
    health: HealthService,
) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Admission bounds single methods further.
    let MessageBytes { decisions, bulk, .. } = most;
    Ok(Routes::new(AccountAccessServiceServer::new(services.clone()).max_decoding_message_size(decisions))
        .add_service(AccountServiceServer::new(services.clone()).max_decoding_message_size(bulk))
        .add_service(AuditServiceServer::new(services.clone()).max_decoding_message_size(bulk))
        .add_service(AuthenticationServiceServer::new(services.clone()).max_decoding_message_size(bulk))
        .add_service(PeerServiceServer::new(services.clone()).max_decoding_message_size(bulk))
        .add_service(RoleServiceServer::new(services).max_decoding_message_size(bulk))
        .add_service(HealthServer::new(health))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .prepare())
}
