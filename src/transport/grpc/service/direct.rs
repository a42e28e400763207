//! The short way of Authorize. What tonic does for any method (routes, a decoder and an encoder of
//! streams, each with its buffers and boxes) costs more than the decision.
//!
//! INVARIANT: only what is plain goes this way: one message that is not compressed, within bounds,
//! readable, and alone. Everything else goes on to tonic, whole, which answers it as it does for other
//! methods. Both ways end in `Services::authorize_one`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;
use prost::Message as _;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::Services;
use crate::application::Caller;
use crate::transport::grpc::pb;
use crate::transport::grpc::status::from_error;

const METHOD: &str = "/peerage.v1.AccountAccessService/Authorize";
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// What stands before a message: whether it is compressed, and how long it is.
const PREFIX: usize = 5;

/// Puts the short way before the services.
#[derive(Debug, Clone)]
pub struct DirectLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    services: Services,
    /// The longest message, in bytes.
    message_max: usize,
}

impl DirectLayer {
    #[must_use]
    pub fn new(services: Services, message_max: usize) -> Self {
        Self { shared: Arc::new(Shared { services, message_max }) }
    }
}

impl<S> Layer<S> for DirectLayer {
    type Service = Direct<S>;

    fn layer(&self, inner: S) -> Direct<S> {
        Direct { inner, shared: Arc::clone(&self.shared) }
    }
}

/// The services, with a short way to one method.
#[derive(Debug, Clone)]
pub struct Direct<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Direct<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = DirectFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let caller = if is_plain(&request) { request.extensions().get::<Caller>().copied() } else { None };
        let Some(caller) = caller else { return DirectFuture::Other { future: self.inner.call(request) } };
        // The clone takes the place of the service that was found ready.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);
        DirectFuture::Direct { future: Box::pin(shared.answer(inner, request, caller)) }
    }
}

fn is_plain(request: &Request<Body>) -> bool {
    let headers = request.headers();
    request.uri().path() == METHOD
        && request.version() == Version::HTTP_2
        && headers.get(header::CONTENT_TYPE) == Some(&CONTENT_TYPE)
        && !headers.contains_key(ENCODING)
}

impl Shared {
    async fn answer<S>(
        self: Arc<Self>,
        mut inner: S,
        mut request: Request<Body>,
        caller: Caller,
    ) -> Result<Response<Body>, Infallible>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let first = next_frame(request.body_mut()).await;
        let message = first.as_ref().and_then(|frame| self.read(frame));
        // What follows the message is the end, or else this is no call for the short way.
        let second = if message.is_some() { next_frame(request.body_mut()).await } else { None };
        let (Some(message), None) = (message, &second) else {
            let request = request.map(|rest| Body::new(Again { begun: [first, second], rest }));
            return inner.call(request).await;
        };
        let time = message.consistency.as_ref().map(|_| self.services.time_in(request.headers()));
        let answered = self.services.authorize_one(caller, &message, time).await;
        Ok(answered.map_or_else(|error| from_error(&error).into_http(), |answer| response(&answer)))
    }

    /// The message that a frame is, if that is all it is.
    fn read(&self, frame: &Result<Frame<Bytes>, Status>) -> Option<pb::AuthorizeRequest> {
        let data = frame.as_ref().ok()?.data_ref()?;
        let (prefix, message) = data.split_at_checked(PREFIX)?;
        let length = prefix.strip_prefix(&[0])?.try_into().map(u32::from_be_bytes).ok()?;
        let is_whole = usize::try_from(length).is_ok_and(|length| length == message.len());
        (is_whole && message.len() <= self.message_max).then(|| pb::AuthorizeRequest::decode(message).ok()).flatten()
    }
}

async fn next_frame(body: &mut Body) -> Option<Result<Frame<Bytes>, Status>> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

fn response(answer: &pb::AuthorizeResponse) -> Response<Body> {
    let length = answer.encoded_len();
    let mut data = Vec::with_capacity(PREFIX + length);
    data.put_u8(0);
    // INVARIANT: an answer has bounded texts, so that its length fits.
    data.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    answer.encode_raw(&mut data);
    let mut response = Response::new(Body::new(Answer { data: Some(data.into()), is_told: false }));
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response
}

/// An answer: its message, and that all went well.
#[derive(Debug)]
struct Answer {
    data: Option<Bytes>,
    is_told: bool,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(data) = this.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if std::mem::replace(&mut this.is_told, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(Code::Ok as u16));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_told
    }
}

pin_project! {
    /// A request whose first frames were looked at.
    struct Again {
        begun: [Option<Result<Frame<Bytes>, Status>>; 2],
        #[pin]
        rest: Body,
    }
}

impl HttpBody for Again {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        match this.begun.iter_mut().find_map(Option::take) {
            Some(frame) => Poll::Ready(Some(frame)),
            None => this.rest.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.begun.iter().all(Option::is_none) && self.rest.is_end_stream()
    }
}

pin_project! {
    /// A call on the short way, or on the long one.
    #[project = Projected]
    pub enum DirectFuture<F> {
        Direct {
            future: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
        },
        Other {
            #[pin]
            future: F,
        },
    }
}

impl<F> Future for DirectFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Direct { future } => future.as_mut().poll(context),
            Projected::Other { future } => future.poll(context),
        }
    }
}

impl<F> std::fmt::Debug for DirectFuture<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DirectFuture")
    }
}
