//! The services: each method reads its request, hands it on, and writes the answer.

mod access;
mod account;
mod audit;
mod authentication;
mod peer;
mod role;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::application::Ctx;
use crate::telemetry::metrics::Metrics;

/// All services over one context. What is decided is counted.
#[derive(Debug, Clone)]
pub struct Services {
    ctx: Arc<Ctx>,
    metrics: Arc<Metrics>,
    /// Says that the server stops: calls that have no end of their own end then.
    stop: CancellationToken,
}

impl Services {
    #[must_use]
    pub const fn new(ctx: Arc<Ctx>, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        Self { ctx, metrics, stop }
    }
}
