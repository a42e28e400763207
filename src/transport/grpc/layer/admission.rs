//! Which calls may begin now, by what they cost.
//!
//! Each kind of work has turns of its own ([`super::turns`]), so that decisions never wait behind
//! lists, hashing or writes, and health behind nothing. A decision does not wait at all: it is counted
//! with a few atomics, and turned away where more are under way than the server could ever answer in
//! time. While half of the room for decisions is free, anyone may use it; of the other half each caller
//! has a part, kept in a fixed table by a hash of the caller, without a lock.
//!
//! A turn begins when the whole of a request is here (the room `arrival` beside this one): a caller who is
//! slow, or never ends what it began, costs nobody else.
//!
//! A call that is turned away was not begun: the same call is good again after the delay of its
//! `RetryInfo`.

use std::convert::Infallible;
use std::hash::BuildHasher as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::arrival::{Arrivals, Refused};
use super::gate::TimeLeft;
use super::turns::{Bounds, Shed, Turn, Turns};
use crate::application::Caller;
use crate::config::{Admission as Settings, Class, MessageBytes};
use crate::domain::ids::PeerId;
use crate::telemetry::metrics::{Metrics, ShedReason, Work};
use crate::transport::grpc::rules::{self, Size};
use crate::transport::grpc::status;

/// How many entries the table of decisions by caller has.
const CALLERS: usize = 4096;
/// The part of the room for decisions that one caller may have of its second half, as one over this.
const CALLER_PART: usize = 8;
/// When a decision that was turned away is worth another try.
const DECISION_RETRY: Duration = Duration::from_millis(100);

/// What the server has, where a setting leaves a bound open.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Connections for reading, and how many changes may be under way.
    pub readers: usize,
    pub writers: usize,
    pub cores: usize,
}

/// Puts admission before a service.
#[derive(Debug, Clone)]
pub struct AdmissionLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    metrics: Arc<Metrics>,
    sizes: MessageBytes,
    arrivals: Arrivals,
    decisions: Decisions,
    turns: [(Work, Arc<Turns<PeerId>>); 5],
    longest_wait: Duration,
}

impl AdmissionLayer {
    #[must_use]
    pub fn new(settings: &Settings, sizes: MessageBytes, room: Room, metrics: Arc<Metrics>) -> Self {
        let turns = |work: Work, class: Class, (running, waiting, per_caller): (usize, usize, usize)| {
            let or = |set: usize, otherwise: usize| if set == 0 { otherwise } else { set };
            let bounds = Bounds {
                running: or(class.running, running),
                waiting: or(class.waiting, waiting),
                per_caller: or(class.per_caller, per_caller),
            };
            (work, Turns::new(bounds, metrics.running(work).cloned(), metrics.waiting(work).cloned()))
        };
        let turns = [
            turns(Work::Reads, settings.reads, (room.readers, 256, 128)),
            turns(Work::Lists, settings.lists, (room.readers, 256, 128)),
            turns(Work::Writes, settings.writes, (room.writers, 256, 128)),
            turns(Work::Hashing, settings.hashing, (room.cores * 2, 64, 16)),
            turns(Work::Streams, settings.streams, (256, 0, 32)),
        ];
        let decisions = Decisions::new(settings.decisions);
        let longest_wait = settings.longest_wait();
        let arrivals = Arrivals::new();
        Self { shared: Arc::new(Shared { metrics, sizes, arrivals, decisions, turns, longest_wait }) }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service behind admission.
#[derive(Debug, Clone)]
pub struct Admission<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Admission<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = AdmissionFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let found = rules::find(request.uri().path());
        let work = found.and_then(|found| found.work);
        let caller = request.extensions().get::<Caller>().map(|caller| caller.peer);
        let (Some(found), Some(work), Some(caller)) = (found, work, caller) else {
            return AdmissionFuture::Begun { future: self.inner.call(request), slot: None };
        };
        if work == Work::Decisions {
            return match Decisions::take(&self.shared, caller) {
                Ok(slot) => AdmissionFuture::Begun { future: self.inner.call(request), slot: Some(slot) },
                Err(why) => {
                    let shed = Shed { why, retry_after: DECISION_RETRY };
                    AdmissionFuture::Refused { status: Some(self.shared.refuse(work, shed)) }
                }
            };
        }
        // The clone takes the place of the service that was found ready.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let most = match found.size {
            Size::Calls => self.shared.sizes.calls,
            Size::Decisions => self.shared.sizes.decisions,
            Size::Bulk => self.shared.sizes.bulk,
        };
        let shared = Arc::clone(&self.shared);
        AdmissionFuture::Queued { future: Box::pin(shared.in_turn(inner, request, (work, caller), most)) }
    }
}

impl Shared {
    async fn in_turn<S>(
        self: Arc<Self>,
        mut inner: S,
        request: Request<Body>,
        (work, caller): (Work, PeerId),
        most: usize,
    ) -> Result<Response<Body>, Infallible>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        let left = request.extensions().get::<TimeLeft>().map_or(Duration::MAX, |left| left.0);
        let Some((_, turns)) = self.turns.iter().find(|(other, _)| *other == work) else {
            return inner.call(request).await;
        };
        let request = match work {
            // A stream of requests, as of reflection, has answers before its end.
            Work::Streams => request,
            Work::Decisions | Work::Reads | Work::Lists | Work::Writes | Work::Hashing => {
                let (parts, body) = request.into_parts();
                match self.arrivals.whole(body, caller, most, left).await {
                    Ok(body) => Request::from_parts(parts, body),
                    Err(Refused::Shed(shed)) => return Ok(self.refuse(work, shed).into_http()),
                    Err(Refused::Status(status)) => return Ok(status.into_http()),
                }
            }
        };
        let turn = match turns.take(caller, left.min(self.longest_wait)).await {
            Ok(turn) => turn,
            Err(shed) => return Ok(self.refuse(work, shed).into_http()),
        };
        let response = inner.call(request).await?;
        if work == Work::Streams {
            return Ok(response.map(|body| Body::new(Held { body, _turn: turn })));
        }
        Ok(response)
    }

    fn refuse(&self, work: Work, shed: Shed) -> Status {
        self.metrics.shed(work, shed.why);
        status::shed(shed.why, work.text(), shed.retry_after)
    }
}

/// Decisions under way, in all and by caller.
#[derive(Debug)]
struct Decisions {
    most: usize,
    count: AtomicUsize,
    callers: Box<[AtomicUsize]>,
    hasher: foldhash::fast::RandomState,
}

/// A decision under way.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    caller: Option<usize>,
}

impl Decisions {
    fn new(most: usize) -> Self {
        Self {
            most,
            count: AtomicUsize::new(0),
            callers: (0..CALLERS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    fn take(shared: &Arc<Shared>, caller: PeerId) -> Result<Slot, ShedReason> {
        let decisions = &shared.decisions;
        let before = decisions.count.fetch_add(1, Ordering::Relaxed);
        // From here on the drop of the slot takes back what was added.
        let mut slot = Slot { shared: Arc::clone(shared), caller: None };
        if before >= decisions.most {
            return Err(ShedReason::Full);
        }
        if before >= decisions.most / 2 {
            let place = usize::try_from(decisions.hasher.hash_one(caller) % CALLERS as u64).unwrap_or(0);
            if let Some(of_caller) = decisions.callers.get(place) {
                slot.caller = Some(place);
                if of_caller.fetch_add(1, Ordering::Relaxed) >= (decisions.most / CALLER_PART).max(1) {
                    return Err(ShedReason::Caller);
                }
            }
        }
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let decisions = &self.shared.decisions;
        decisions.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(of_caller) = self.caller.and_then(|place| decisions.callers.get(place)) {
            of_caller.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pin_project! {
    /// A call that began, that waits for its turn, or that was turned away.
    #[project = Projected]
    pub enum AdmissionFuture<F> {
        Begun {
            #[pin]
            future: F,
            slot: Option<Slot>,
        },
        Queued {
            future: Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>,
        },
        Refused {
            status: Option<Status>,
        },
    }
}

impl<F> Future for AdmissionFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Begun { future, .. } => future.poll(context),
            Projected::Queued { future } => future.as_mut().poll(context),
            Projected::Refused { status } => {
                Poll::Ready(Ok(status.take().unwrap_or_else(status::not_built).into_http()))
            }
        }
    }
}

impl<F> std::fmt::Debug for AdmissionFuture<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("AdmissionFuture")
    }
}

/// A stream of answers that has its turn until it ends.
#[derive(Debug)]
struct Held {
    body: Body,
    _turn: Turn<PeerId>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
