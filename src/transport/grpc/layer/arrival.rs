//! Requests are taken in before they get a turn, so that a caller who begins a call and never ends it
//! holds up nobody's work.
//!
//! INVARIANT: what is held of requests that wait is bounded: so many small ones, so few large ones, and
//! of both a part only by one caller.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::turns::{Bounds, Shed, Turns};
use crate::domain::ids::PeerId;
use crate::transport::grpc::status;

/// A request of no more bytes is small. HTTP/2 lets a caller send about as many unasked (RFC 9113,
/// section 6.9.2).
const SMALL: usize = 64 << 10;
/// How many may be on their way at once.
const SMALL_ONES: Bounds = Bounds { running: 4096, waiting: 0, per_caller: 512 };
const LARGE_ONES: Bounds = Bounds { running: 32, waiting: 0, per_caller: 4 };
/// How long a caller may let the next bytes be waited for.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The requests that are on their way.
#[derive(Debug)]
pub(super) struct Arrivals {
    small: Arc<Turns<PeerId>>,
    large: Arc<Turns<PeerId>>,
}

/// Why a request was not taken in.
pub(super) enum Refused {
    Shed(Shed),
    Status(Status),
}

impl Arrivals {
    pub(super) fn new() -> Self {
        Self { small: Turns::new(SMALL_ONES, None, None), large: Turns::new(LARGE_ONES, None, None) }
    }

    /// Waits for the whole of a request, of at most so many bytes and at most so long.
    pub(super) async fn whole(&self, body: Body, caller: PeerId, most: usize, time: Duration) -> Result<Body, Refused> {
        let taken = tokio::time::timeout(time, self.take(body, caller, most)).await;
        taken.unwrap_or_else(|_| Err(Refused::Status(status::deadline_passed())))
    }

    async fn take(&self, mut body: Body, caller: PeerId, most: usize) -> Result<Body, Refused> {
        let slot = |turns: &Arc<Turns<PeerId>>| {
            let turns = Arc::clone(turns);
            async move { turns.take(caller, Duration::ZERO).await.map_err(Refused::Shed) }
        };
        let (mut turn, mut is_large) = (slot(&self.small).await?, false);
        let (mut frames, mut length) = (VecDeque::new(), 0_usize);
        loop {
            let next = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let next = tokio::time::timeout(PAUSE_MAX, next).await;
            let Some(frame) = next.map_err(|_| Refused::Status(status::deadline_passed()))? else { break };
            // Trailers of a request say nothing in gRPC.
            let Ok(data) = frame.map_err(Refused::Status)?.into_data() else { continue };
            length = length.saturating_add(data.len());
            if length > most {
                return Err(Refused::Status(status::too_large(most)));
            }
            if length > SMALL && !is_large {
                (turn, is_large) = (slot(&self.large).await?, true);
            }
            frames.push_back(data);
        }
        drop(turn);
        Ok(Body::new(Whole { frames, length: length as u64 }))
    }
}

/// A request that is here.
#[derive(Debug)]
struct Whole {
    frames: VecDeque<Bytes>,
    length: u64,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let data = this.frames.pop_front();
        this.length -= data.as_ref().map_or(0, |data| data.len() as u64);
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
