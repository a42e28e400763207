//! Counts and times every call, and traces those that are sampled.
//!
//! A call pays for a few atomic additions and two looks at the clock of the machine. A span is made
//! only where it is wanted: for a sampled call under the target that is exported, for every other that
//! is no decision under one that only the logs see.
//!
//! A stream of answers ends with its trailers, which is when its code is known; everything else ends
//! with its headers, since a unary answer without a status in its headers is a good one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::telemetry::metrics::{CODES, Metrics, Work};
use crate::telemetry::sampling::{Kind, Sampling};
use crate::transport::grpc::call::TraceId;
use crate::transport::grpc::rules::{self, Found};

/// The code of a call that its caller gave up.
const CANCELLED: usize = 1;
/// The code of an answer whose status cannot be read.
const UNKNOWN: usize = 2;

/// Puts the counting before a service.
#[derive(Debug, Clone)]
pub struct ObserveLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    metrics: Arc<Metrics>,
    sampling: Sampling,
}

impl ObserveLayer {
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, sampling: Sampling) -> Self {
        Self { shared: Arc::new(Shared { metrics, sampling }) }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service whose calls are counted.
#[derive(Debug, Clone)]
pub struct Observe<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ObserveFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let found = rules::find(request.uri().path());
        let span = found.and_then(|found| span(&self.shared.sampling, found, &mut request));
        let flight = Flight::begin(Arc::clone(&self.shared), found.map(|found| found.place));
        let answers = match found.and_then(|found| found.work) {
            Some(Work::Streams) | None => Answers::Many,
            Some(Work::Decisions | Work::Reads | Work::Lists | Work::Writes | Work::Hashing) => Answers::One,
        };
        let future = match &span {
            Some(span) => span.in_scope(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        ObserveFuture { future, flight: Some(flight), span, answers }
    }
}

/// How many messages a method answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    One,
    Many,
}

/// The span of a call, if anybody wants one.
fn span(sampling: &Sampling, found: &Found, request: &mut Request<Body>) -> Option<Span> {
    let kind = if found.work == Some(Work::Decisions) { Kind::Decision } else { Kind::Other };
    if !sampling.samples(kind, request.headers()) {
        if kind == Kind::Decision || found.work.is_none() {
            return None;
        }
        let method = found.rule.method.trim_start_matches('/');
        return Some(tracing::info_span!(
            target: "peerage::call",
            "call",
            rpc.method = method,
            actor.uid = tracing::field::Empty
        ));
    }
    let method = found.rule.method.trim_start_matches('/');
    let span = tracing::info_span!(
        target: crate::telemetry::TRACED,
        "rpc",
        otel.name = method,
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.method = method,
        rpc.grpc.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        actor.uid = tracing::field::Empty,
        decision.effect = tracing::field::Empty,
    );
    if request.headers().contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&Carrier(request.headers()));
        // Without a tracer there is nobody to tell.
        let _ = span.set_parent(parent);
    }
    let id = span.context().span().span_context().trace_id();
    if id != opentelemetry::TraceId::INVALID {
        request.extensions_mut().insert(TraceId(id.to_string()));
    }
    Some(span)
}

/// The headers of a request, as the propagator reads them.
struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// A call that is counted as long as it lives; one that is dropped before its end was cancelled.
#[derive(Debug)]
struct Flight {
    shared: Arc<Shared>,
    place: Option<usize>,
    began: Instant,
    code: usize,
}

impl Flight {
    fn begin(shared: Arc<Shared>, place: Option<usize>) -> Self {
        if let Some(series) = shared.metrics.method(place) {
            shared.metrics.begin(series);
        }
        Self { shared, place, began: Instant::now(), code: CANCELLED }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(series) = self.shared.metrics.method(self.place) {
            self.shared.metrics.end(series, self.code, self.began.elapsed());
        }
    }
}

/// The number of a `grpc-status`.
fn code(value: &HeaderValue) -> usize {
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.filter(|number| *number < CODES.len()).unwrap_or(UNKNOWN)
}

fn record(span: Option<&Span>, code: usize) {
    if let Some(span) = span {
        span.record("rpc.grpc.status_code", code);
        // Of a server's own making: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        if matches!(code, 2 | 4 | 12 | 13 | 14 | 15) {
            span.record("otel.status_code", "ERROR");
        }
    }
}

pin_project! {
    /// A call on its way.
    pub struct ObserveFuture<F> {
        #[pin]
        future: F,
        flight: Option<Flight>,
        span: Option<Span>,
        answers: Answers,
    }
}

impl<F> Future for ObserveFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = {
            let _entered = this.span.as_ref().map(Span::enter);
            let Ok(response) = ready!(this.future.poll(context));
            response
        };
        let Some(mut flight) = this.flight.take() else { return Poll::Ready(Ok(response)) };
        let status = response.headers().get(Status::GRPC_STATUS).map(code);
        if status.is_none() && *this.answers == Answers::Many {
            let span = this.span.take();
            return Poll::Ready(Ok(response.map(|body| Body::new(Observed { body, flight, span }))));
        }
        flight.code = status.unwrap_or(0);
        record(this.span.as_ref(), flight.code);
        Poll::Ready(Ok(response))
    }
}

impl<F> std::fmt::Debug for ObserveFuture<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ObserveFuture")
    }
}

/// A stream of answers that is counted until its trailers.
#[derive(Debug)]
struct Observed {
    body: Body,
    flight: Flight,
    span: Option<Span>,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let _entered = this.span.as_ref().map(Span::enter);
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.flight.code = trailers.get(Status::GRPC_STATUS).map_or(UNKNOWN, code);
                    record(this.span.as_ref(), this.flight.code);
                }
            }
            Some(Err(_)) => this.flight.code = UNKNOWN,
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
