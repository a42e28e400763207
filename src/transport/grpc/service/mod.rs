//! The services: each method reads its request, hands it on, and writes the answer.

mod access;
mod account;
mod audit;
mod authentication;
mod peer;
mod role;

use std::sync::Arc;

use crate::application::Ctx;

/// All services over one context.
#[derive(Debug, Clone)]
pub struct Services {
    ctx: Arc<Ctx>,
}

impl Services {
    #[must_use]
    pub const fn new(ctx: Arc<Ctx>) -> Self {
        Self { ctx }
    }
}
