//! The services that the server offers, and their health.

use std::sync::Arc;

use tonic::service::Routes;
use tonic_health::server::HealthReporter;
use tonic_health::{ServingStatus, pb::health_server::HealthServer, server::HealthService};

use super::pb;
use super::pb::account_access_service_server::AccountAccessServiceServer;
use super::pb::account_service_server::AccountServiceServer;
use super::pb::audit_service_server::AuditServiceServer;
use super::pb::authentication_service_server::AuthenticationServiceServer;
use super::pb::peer_service_server::PeerServiceServer;
use super::pb::role_service_server::RoleServiceServer;
use super::service::Services;
use crate::application::{Ctx, photos};

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

/// The largest request, in bytes; of peers, one with a photo and what stands around it.
pub const MESSAGE_MAX: usize = 4 << 20;
pub const PEER_MESSAGE_MAX: usize = photos::BYTES_MAX + (64 << 10);

/// Sets the health of the server and of every service.
pub async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(*name, status).await;
    }
}

/// Every service. The gate stands before them all.
///
/// # Errors
/// Where the descriptor cannot be reflected, which the build would have to have broken.
pub fn routes(ctx: &Arc<Ctx>, health: HealthService) -> Result<Routes, tonic_reflection::server::Error> {
    let services = Services::new(Arc::clone(ctx));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Routes::new(AccountAccessServiceServer::new(services.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(AccountServiceServer::new(services.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(AuditServiceServer::new(services.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(AuthenticationServiceServer::new(services.clone()).max_decoding_message_size(MESSAGE_MAX))
        .add_service(PeerServiceServer::new(services.clone()).max_decoding_message_size(PEER_MESSAGE_MAX))
        .add_service(RoleServiceServer::new(services).max_decoding_message_size(MESSAGE_MAX))
        .add_service(HealthServer::new(health))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .prepare())
}
