//! Connections before they carry a call: accepted, counted, secured, and closed where they say nothing.
//!
//! A connection takes a place of the whole and one of its address, which it gives back when it is
//! dropped. Its TLS handshake runs in a task of its own within a time, so that a slow client keeps
//! nobody else from being accepted, and what comes first after it (the preface of HTTP/2, or the head
//! of a request) must come within the same time again. What is slow later is ended by the keepalive,
//! by a call's own time, and by the connection's age.
//!
//! INVARIANT: no lock is held across a wait, and none is taken once a connection is open until it ends.

mod held;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::held::Places;
pub use self::held::{Origin, Socket};
use self::tls::Tls;
use crate::telemetry::metrics::{ConnectionRefusal, Metrics};

/// Connections that are ready and wait to be served.
const READY_MAX: usize = 64;
/// How long accepting rests when the system has no more descriptors to give.
const REST: Duration = Duration::from_millis(50);

/// Bounds of a port's connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub connections: usize,
    pub per_address: usize,
    /// How long a handshake may take, and after it the first bytes.
    pub handshake: Duration,
    /// How many bytes show that a client speaks at all.
    pub first_bytes: usize,
    /// How long a connection may last, with the calls that it carries then.
    pub life: Duration,
}

/// Connections as they become ready. Dropping it closes the port.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<Socket>,
}

impl Incoming {
    /// The next connection; `None` never comes while the port is open.
    pub async fn next(&mut self) -> Option<Socket> {
        self.ready.recv().await
    }
}

impl futures_util::Stream for Incoming {
    type Item = std::io::Result<Socket>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.ready.poll_recv(context).map(|socket| socket.map(Ok))
    }
}

/// Connections, and the work that accepts them, which ends when they are dropped.
pub fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    bounds: Bounds,
    metrics: Arc<Metrics>,
) -> (Incoming, impl Future<Output = ()> + Send + 'static) {
    let (sender, ready) = mpsc::channel(READY_MAX);
    (Incoming { ready }, run(listener, tls, bounds, metrics, sender))
}

/// Ends, with every handshake in it, when nobody receives any more.
async fn run(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    bounds: Bounds,
    metrics: Arc<Metrics>,
    sender: mpsc::Sender<Socket>,
) {
    let places = Arc::new(Places::new(bounds, Arc::clone(&metrics)));
    let mut handshakes = JoinSet::new();
    loop {
        let (stream, address) = tokio::select! {
            () = sender.closed() => return,
            Some(_) = handshakes.join_next(), if !handshakes.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            },
        };
        // Closed at once: a client that is told nothing tries again later, and costs no handshake.
        let Some(place) = places.take(address.ip()) else { continue };
        let (tls, sender, metrics) = (tls.clone(), sender.clone(), Arc::clone(&metrics));
        handshakes.spawn(async move {
            let secured = tokio::time::timeout(bounds.handshake, secure(stream, tls.as_deref())).await;
            match secured {
                Ok(Ok(stream)) => {
                    let socket = Socket::new(stream, Origin { address }, place, bounds);
                    let _ = sender.send(socket).await;
                }
                Ok(Err(error)) => {
                    metrics.connection_refused(ConnectionRefusal::Handshake);
                    tracing::debug!(error = %error, "a handshake failed");
                }
                Err(_) => metrics.connection_refused(ConnectionRefusal::Handshake),
            }
        });
    }
}

/// A stream of bytes, encrypted or not.
type Stream = held::Stream;

async fn secure(stream: TcpStream, tls: Option<&Tls>) -> std::io::Result<Stream> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => Ok(Stream::Tls(Box::new(tls.acceptor().accept(stream).await?))),
        None => Ok(Stream::Plain(stream)),
    }
}

impl Bounds {
    /// The bytes that an HTTP/2 client opens with: its preface and the head of its settings. A request
    /// of HTTP/1 that carries a gRPC-web call is never shorter.
    pub const GRPC_FIRST_BYTES: usize = 33;
    /// The shortest line that a request of HTTP/1 can begin with.
    pub const HTTP_FIRST_BYTES: usize = 16;
}

/// Where a listener listens, or why it cannot.
///
/// # Errors
/// Where the address is taken or not of this machine.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    use anyhow::Context as _;
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
