//! The services: each method reads its request, hands it on, and writes the answer.

mod access;
mod account;
mod audit;
mod authentication;
mod peer;
mod role;

use std::sync::Arc;

use crate::application::Ctx;
use crate::telemetry::metrics::Metrics;

/// All services over one context. What is decided is counted.
#[derive(Debug, Clone)]
pub struct Services {
    ctx: Arc<Ctx>,
    metrics: Arc<Metrics>,
}

impl Services {
    #[must_use]
    pub const fn new(ctx: Arc<Ctx>, metrics: Arc<Metrics>) -> Self {
        Self { ctx, metrics }
    }
}
