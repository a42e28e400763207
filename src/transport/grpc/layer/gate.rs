//! The first gate: who is calling, may they call this method at all, and how long may it take.
//!
//! A method without a rule is refused, a call without a credential answered before its body is
//! read. Nothing here waits: keys are looked up by their SHA-256 in the snapshot.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response, header};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::application::error::Unauthenticated;
use crate::application::guard::View;
use crate::application::{Caller, Ctx, Error, refusals};
use crate::crypto::api_key::hash_presented;
use crate::transport::grpc::rules::{self, Access};
use crate::transport::grpc::{call, status};

/// Puts the gate before a service.
#[derive(Debug, Clone)]
pub struct GateLayer {
    ctx: Arc<Ctx>,
}

impl GateLayer {
    #[must_use]
    pub const fn new(ctx: Arc<Ctx>) -> Self {
        Self { ctx }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, ctx: Arc::clone(&self.ctx) }
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub struct Gate<S> {
    inner: S,
    ctx: Arc<Ctx>,
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
        match admit(&self.ctx, &request) {
            Ok(caller) => {
                let deadline = timeout(request.headers()).map(tokio::time::sleep);
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                GateFuture::Admitted { future: self.inner.call(request), deadline }
            }
            Err(Refusal::Status(status)) => GateFuture::Refused { status: Some(*status) },
            Err(Refusal::Permission { caller, method, permission }) => {
                let call = call::describe(caller, method, request.headers(), request.extensions());
                let ctx = Arc::clone(&self.ctx);
                let note = async move {
                    let status = match refusals::note_at_gate(&ctx, &call, permission).await {
                        Ok(()) => status::not_permitted(permission),
                        Err(error) => status::from_error(&error),
                    };
                    Ok(status.into_http())
                };
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

/// Who is calling, or what ends the call.
fn admit(ctx: &Ctx, request: &Request<Body>) -> Result<Option<Caller>, Refusal> {
    let Some(rule) = rules::find(request.uri().path()) else { return Err(status::not_built().into()) };
    if rule.access == Access::Public {
        return Ok(None);
    }
    if !ctx.policy.is_ready() {
        return Err(status::from_error(&Error::NotReady).into());
    }
    let refuse = |why| Refusal::from(status::from_error(&Error::Unauthenticated(why)));
    let key = bearer(request.headers()).ok_or_else(|| refuse(Unauthenticated::CredentialMissing))?;
    let hash = hash_presented(key).ok_or_else(|| refuse(Unauthenticated::CredentialMalformed))?;
    let snapshot = ctx.snapshot_guard();
    let now = ctx.clock.now();
    let (view, caller) = View::of_key(&snapshot, hash, now).map_err(|error| status::from_error(&error))?;
    ctx.uses.note(caller.api_key, now);
    if let Access::Permission(permissions) = rule.access
        && !permissions.iter().any(|permission| view.may_anywhere(permission))
    {
        let permission = rule.permission().unwrap_or_default();
        return Err(Refusal::Permission { caller, method: rule.method, permission });
    }
    Ok(Some(caller))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim_start())
}

/// The time that the caller gives the call: `grpc-timeout`, at most eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

pin_project! {
    /// The answer of a service, of the gate, or of the clock.
    #[project = Projected]
    pub enum GateFuture<F> {
        Admitted {
            #[pin]
            future: F,
            #[pin]
            deadline: Option<tokio::time::Sleep>,
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
            Projected::Admitted { future, deadline } => {
                if let Poll::Ready(response) = future.poll(context) {
                    return Poll::Ready(response);
                }
                match deadline.as_pin_mut() {
                    Some(deadline) => {
                        ready!(deadline.poll(context));
                        Poll::Ready(Ok(status::deadline_passed().into_http()))
                    }
                    None => Poll::Pending,
                }
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
