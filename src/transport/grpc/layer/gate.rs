//! The first gate: who is calling, may they call this method at all, and how long may it take.
//!
//! A method without a rule is refused, a call without a credential answered before its body is
//! read. Nothing here waits: keys are looked up by their SHA-256 in the snapshot. The timer of a call
//! is made when the call first waits, which a decision does not.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response, header};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::application::error::Unauthenticated;
use crate::application::guard::View;
use crate::application::{Caller, Ctx, Error};
use crate::config::{Limits, MessageBytes};
use crate::crypto::api_key::hash_presented;
use crate::telemetry::metrics::{AuthFailure, Metrics, Work};
use crate::transport::grpc::call::{self, LacksAll};
use crate::transport::grpc::rules::{self, Access, Found, Size};
use crate::transport::grpc::status;

/// What is kept of a call's time for saying that it is over.
const WAY_BACK: Duration = Duration::from_millis(20);

/// Puts the gate before a service.
#[derive(Debug, Clone)]
pub struct GateLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ctx: Arc<Ctx>,
    metrics: Arc<Metrics>,
    /// The longest that a call may take, whatever its caller says.
    call_timeout: Duration,
    sizes: MessageBytes,
}

impl GateLayer {
    #[must_use]
    pub fn new(ctx: Arc<Ctx>, metrics: Arc<Metrics>, limits: &Limits) -> Self {
        let (call_timeout, sizes) = (limits.call_timeout(), limits.message_bytes);
        Self { shared: Arc::new(Shared { ctx, metrics, call_timeout, sizes }) }
    }
}

/// How long a call may still take.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLeft(pub(super) Duration);

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub struct Gate<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = GateFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match admit(&self.shared, &request) {
            Ok(Admitted { caller, work, size, lacks_all }) => {
                let time = self.shared.time(request.headers(), work);
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                    if lacks_all {
                        request.extensions_mut().insert(LacksAll);
                    }
                    if let Some(time) = time.filter(|_| work != Some(Work::Decisions)) {
                        request.extensions_mut().insert(TimeLeft(time));
                    }
                }
                let message_max = self.shared.most(size);
                GateFuture::Admitted { future: self.inner.call(request), time, timer: None, message_max }
            }
            Err(Refusal::Status(status)) => GateFuture::Refused { status: Some(*status) },
            Err(Refusal::Permission { caller, method, permission }) => {
                let call = call::describe(caller, method, request.headers(), request.extensions());
                let ctx = Arc::clone(&self.shared.ctx);
                let note = async move { Ok(call::not_permitted(&ctx, &call, permission).await.into_http()) };
                GateFuture::Noted { note: Box::pin(note) }
            }
        }
    }
}

/// Why a call ends at the gate.
enum Refusal {
    Status(Box<Status>),
    /// The caller is known, and holds the method's permission nowhere: that is for the log.
    Permission {
        caller: Caller,
        method: &'static str,
        permission: &'static str,
    },
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// A call that goes on.
struct Admitted {
    caller: Option<Caller>,
    work: Option<Work>,
    size: Size,
    /// Whether it goes on only to be told which permission is missing.
    lacks_all: bool,
}

/// Who is calling, or what ends the call.
fn admit(shared: &Shared, request: &Request<Body>) -> Result<Admitted, Refusal> {
    let Some(found) = rules::find(request.uri().path()) else { return Err(status::unknown_method().into()) };
    let Found { rule, work, size, .. } = *found;
    if rule.access == Access::Public {
        return Ok(Admitted { caller: None, work, size, lacks_all: false });
    }
    let ctx = &shared.ctx;
    if !ctx.policy.is_ready() {
        return Err(status::from_error(&Error::NotReady).into());
    }
    let refuse = |error| {
        if let Error::Unauthenticated(why) = error {
            shared.metrics.auth_failed(failure(why));
        }
        Refusal::from(status::from_error(&error))
    };
    let unauthenticated = |why| refuse(Error::Unauthenticated(why));
    let key = bearer(request.headers()).ok_or_else(|| unauthenticated(Unauthenticated::CredentialMissing))?;
    let hash = hash_presented(key).ok_or_else(|| unauthenticated(Unauthenticated::CredentialMalformed))?;
    let source_address = call::source_address(request.extensions());
    let snapshot = ctx.snapshot_guard();
    let now = ctx.clock.now();
    let (view, caller) = View::of_key(&snapshot, hash, source_address, now).map_err(refuse)?;
    ctx.uses.note(caller.api_key, now);
    let lacks_all = match rule.access {
        Access::Permission(permissions) => !permissions.iter().any(|permission| view.may_anywhere(permission)),
        Access::Public | Access::Authenticated | Access::Oneself(_) => false,
    };
    if lacks_all && !rule.depends_on_fields() {
        let permission = rule.permission().unwrap_or_default();
        return Err(Refusal::Permission { caller, method: rule.method, permission });
    }
    if work != Some(Work::Decisions) {
        tracing::Span::current().record("actor.uid", tracing::field::display(caller.peer));
    }
    Ok(Admitted { caller: Some(caller), work, size, lacks_all })
}

const fn failure(why: Unauthenticated) -> AuthFailure {
    match why {
        Unauthenticated::CredentialMissing => AuthFailure::Missing,
        Unauthenticated::CredentialMalformed => AuthFailure::Malformed,
        Unauthenticated::CredentialUnknown => AuthFailure::Unknown,
        Unauthenticated::CredentialExpired => AuthFailure::Expired,
        Unauthenticated::PeerDisabled => AuthFailure::PeerDisabled,
        Unauthenticated::PeerExpired => AuthFailure::PeerExpired,
        Unauthenticated::HomeSuspended => AuthFailure::HomeSuspended,
    }
}

impl Shared {
    /// The largest request, in bytes.
    const fn most(&self, size: Size) -> usize {
        match size {
            Size::Decisions => self.sizes.decisions,
            Size::Calls => self.sizes.calls,
            Size::Bulk => self.sizes.bulk,
        }
    }

    /// How long a call may take: what its caller gives it and the server allows, and for streams what
    /// the caller gives alone.
    fn time(&self, headers: &HeaderMap, work: Option<Work>) -> Option<Duration> {
        let given = call::given_time(headers).map(sooner);
        match work {
            None | Some(Work::Streams) => given,
            Some(Work::Decisions | Work::Reads | Work::Lists | Work::Writes | Work::Hashing) => {
                Some(given.map_or(self.call_timeout, |given| given.min(self.call_timeout)))
            }
        }
    }
}

/// A little less than what a caller gives. tonic counts that too and ends the call in words of its own,
/// which are not those of the contract.
fn sooner(given: Duration) -> Duration {
    given.saturating_sub((given / 10).min(WAY_BACK))
}

/// An answer in which the codec, and not a service, says what was wrong with the request. Those have
/// no details, and codes that blame the server.
fn explained(response: Response<Body>, message_max: usize) -> Response<Body> {
    let headers = response.headers();
    let Some(code) = headers.get(Status::GRPC_STATUS) else { return response };
    if code == "0" || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    let code = Code::from_bytes(code.as_bytes());
    if code == Code::OutOfRange {
        status::too_large(message_max).into_http()
    } else if code == Code::Internal {
        status::unreadable().into_http()
    } else {
        response
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_start())
}

pin_project! {
    /// The answer of a service, of the gate, or of the clock.
    #[project = Projected]
    pub enum GateFuture<F> {
        Admitted {
            #[pin]
            future: F,
            time: Option<Duration>,
            // Apart from the call, so that one that waits for nothing does not carry it along.
            timer: Option<Pin<Box<tokio::time::Sleep>>>,
            message_max: usize,
        },
        Refused {
            status: Option<Status>,
        },
        Noted {
            note: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
        },
    }
}

impl<F> Future for GateFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Admitted { future, time, timer, message_max } => {
                if let Poll::Ready(response) = future.poll(context) {
                    return Poll::Ready(response.map(|response| explained(response, *message_max)));
                }
                let Some(time) = *time else { return Poll::Pending };
                let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
                ready!(timer.as_mut().poll(context));
                Poll::Ready(Ok(status::deadline_passed().into_http()))
            }
            Projected::Refused { status } => {
                let status = status.take().unwrap_or_else(status::not_built);
                Poll::Ready(Ok(status.into_http()))
            }
            Projected::Noted { note } => note.as_mut().poll(context),
        }
    }
}

impl<F> std::fmt::Debug for GateFuture<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("GateFuture")
    }
}
