//! Web pages: gRPC-web beside gRPC on one port, for the origins on a list.
//!
//! Only what a browser sends goes through here; a native call is told by its HTTP version, method and
//! content type, and passes by. Credentials of the browser itself (cookies) are never asked for, and
//! there is no wildcard: a page presents an API key or token in `authorization`, and only pages of the
//! listed origins get to read an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response, Version, header};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service};
use tower_http::cors::CorsLayer;

/// How long a browser may remember what it was allowed.
const PREFLIGHT_LIFE: Duration = Duration::from_secs(600);
/// What pages may send along.
const REQUEST_HEADERS: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-user-agent"),
];
/// What pages may read of an answer that has no body.
const RESPONSE_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// Lets web pages of some origins in, or none.
#[derive(Debug, Clone)]
pub struct WebLayer {
    cors: Option<Arc<CorsLayer>>,
}

impl WebLayer {
    /// # Errors
    /// Where an origin cannot stand in a header.
    pub fn new(origins: &[String]) -> Result<Self, header::InvalidHeaderValue> {
        if origins.is_empty() {
            return Ok(Self { cors: None });
        }
        let origins: Vec<HeaderValue> = origins.iter().map(|origin| origin.parse()).collect::<Result<_, _>>()?;
        let cors = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::POST])
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(RESPONSE_HEADERS)
            .max_age(PREFLIGHT_LIFE);
        Ok(Self { cors: Some(Arc::new(cors)) })
    }
}

impl<S> Layer<S> for WebLayer {
    type Service = Web<S>;

    fn layer(&self, inner: S) -> Web<S> {
        Web { inner, cors: self.cors.clone() }
    }
}

/// A service that web pages can call. It is copied for every call, so that what pages need is put
/// together only when one calls.
#[derive(Debug, Clone)]
pub struct Web<S> {
    inner: S,
    cors: Option<Arc<CorsLayer>>,
}

impl<S> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = WebFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match &self.cors {
            Some(cors) if is_of_browser(&request) => {
                // The clone takes the place of the service that was found ready.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                let mut web = cors.layer(GrpcWebLayer::new().layer(inner));
                WebFuture::Web { future: Box::pin(web.call(request)) }
            }
            _ => WebFuture::Native { future: self.inner.call(request) },
        }
    }
}

fn is_of_browser(request: &Request<Body>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    request.version() != Version::HTTP_2
        || request.method() == Method::OPTIONS
        || content_type.is_some_and(|value| value.starts_with(b"application/grpc-web"))
}

pin_project! {
    /// A call of gRPC, or of gRPC-web.
    #[project = Projected]
    pub enum WebFuture<F> {
        Native {
            #[pin]
            future: F,
        },
        Web {
            future: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
        },
    }
}

impl<F> Future for WebFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Native { future } => future.poll(context),
            Projected::Web { future } => future.as_mut().poll(context),
        }
    }
}

impl<F> std::fmt::Debug for WebFuture<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("WebFuture")
    }
}
