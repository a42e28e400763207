//! The services: each method reads its request, hands it on, and writes the answer.

mod access;
mod access_lists;
mod account;
mod audit;
mod authentication;
mod decided;
pub mod direct;
mod explain;
mod peer;
mod role;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;

use crate::application::Ctx;
use crate::telemetry::decision_log::DecisionLog;
use crate::telemetry::metrics::Metrics;
use crate::transport::grpc::call;

/// All services over one context. What is decided is counted, and logged where there is a log.
#[derive(Debug, Clone)]
pub struct Services {
    ctx: Arc<Ctx>,
    metrics: Arc<Metrics>,
    decision_log: Option<Arc<DecisionLog>>,
    /// The longest that a call may take, whatever its caller says.
    call_timeout: Duration,
    /// Says that the server stops: calls that have no end of their own end then.
    stop: CancellationToken,
}

impl Services {
    #[must_use]
    pub const fn new(ctx: Arc<Ctx>, metrics: Arc<Metrics>, call_timeout: Duration, stop: CancellationToken) -> Self {
        Self { ctx, metrics, decision_log: None, call_timeout, stop }
    }

    /// The same, with a log of decisions.
    #[must_use]
    pub fn logging(self, decision_log: Option<Arc<DecisionLog>>) -> Self {
        Self { decision_log, ..self }
    }

    /// How long a call with this metadata may take.
    fn time_of(&self, metadata: &MetadataMap) -> Duration {
        self.time_in(metadata.as_ref())
    }

    /// As [`Services::time_of`], by the headers that carry it.
    fn time_in(&self, headers: &HeaderMap) -> Duration {
        call::given_time(headers).map_or(self.call_timeout, |given| given.min(self.call_timeout))
    }
}
