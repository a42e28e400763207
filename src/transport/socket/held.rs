//! An open connection, and the places that it holds while it is open.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::Bounds;
use crate::telemetry::metrics::{ConnectionRefusal, Metrics};

/// Who is at the other end; every request of the connection carries it.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub address: SocketAddr,
}

/// Bytes to and from a client.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An open connection.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    origin: Origin,
    place: Place,
    /// How many bytes are missing until it counts as speaking.
    missing: usize,
    /// When it is closed whatever goes on: first as one that does not speak, then as one that is old.
    ends: Pin<Box<Sleep>>,
}

impl Socket {
    pub(super) fn new(stream: Stream, origin: Origin, place: Place, bounds: Bounds) -> Self {
        let ends = Box::pin(tokio::time::sleep(bounds.handshake));
        Self { stream, origin, place, missing: bounds.first_bytes, ends }
    }
}

impl Connected for Socket {
    type ConnectInfo = Origin;

    fn connect_info(&self) -> Origin {
        self.origin
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut socket.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        };
        if socket.missing > 0 {
            socket.missing = socket.missing.saturating_sub(buffer.filled().len() - before);
            if socket.missing == 0 {
                socket.ends.as_mut().reset(Instant::now() + socket.place.places.bounds.life);
            }
        }
        // A connection that is served is always read from, so that this is asked until it ends.
        if read.is_pending() && socket.ends.as_mut().poll(context).is_ready() {
            if socket.missing > 0 {
                socket.place.places.metrics.connection_refused(ConnectionRefusal::Silent);
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}

/// How many connections are open, in all and by address.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    metrics: Arc<Metrics>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(super) fn new(bounds: Bounds, metrics: Arc<Metrics>) -> Self {
        Self { bounds, metrics, open: Mutex::default() }
    }

    /// A place for a connection from an address, if there is one left.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let refused = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let of_address = open.by_address.get(&address).copied().unwrap_or(0);
            if open.count >= self.bounds.connections {
                Some(ConnectionRefusal::Limit)
            } else if of_address >= self.bounds.per_address {
                Some(ConnectionRefusal::AddressLimit)
            } else {
                open.count += 1;
                open.by_address.insert(address, of_address + 1);
                None
            }
        };
        if let Some(why) = refused {
            self.metrics.connection_refused(why);
            return None;
        }
        self.metrics.connections().inc();
        Some(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.metrics.connections().dec();
        let mut open = self.places.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.count = open.count.saturating_sub(1);
        let left = open.by_address.get(&self.address).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            open.by_address.remove(&self.address);
        } else {
            open.by_address.insert(self.address, left);
        }
    }
}
