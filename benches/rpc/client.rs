//! A client that costs little: prepared bytes over HTTP/2, nothing decoded but the status.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, Version};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::servers::Server;

/// How long a server may take to load its world.
const START_MAX: Duration = Duration::from_secs(120);
/// The most calls that are open at once where they come by the clock.
const OPEN_MAX: usize = 10_000;
/// What small frames of answers may cost in memory, in bytes, before the connection is given up.
const DATA_FRAME_BUDGET: usize = 64 << 20;
/// The first part of a measure, in which caches fill, does not count.
const WARM_UP: Duration = Duration::from_millis(500);

/// How calls come.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// So many on each connection, each of whom waits for its answer.
    Waiting(usize),
    /// So many a second, answered or not.
    Offered(u64),
    /// One after the other on one connection.
    Alone,
}

/// What came of it.
pub(crate) struct Measured {
    calls: usize,
    wall: Duration,
    /// In microseconds, in order.
    latencies: Vec<f64>,
    /// The processor time that the server took meanwhile.
    server: Duration,
}

impl Measured {
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of the server's processor time for a call.
    pub(crate) fn cost(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.calls as f64
    }

    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let place = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// Connections to one server, with what they ask.
pub(crate) struct Crowd<'a> {
    server: &'a Server,
    connections: Vec<SendRequest<Bytes>>,
    shared: Arc<Shared>,
}

struct Shared {
    head: Request<()>,
    questions: Vec<Bytes>,
    next: AtomicUsize,
    is_over: AtomicBool,
}

impl<'a> Crowd<'a> {
    /// Connects to a server, to call one method of AccountAccessService.
    pub(crate) async fn connect(
        server: &'a Server,
        (method, questions): (&str, &[Bytes]),
        key: &str,
        connections: usize,
    ) -> Result<Self> {
        let address = &server.address;
        let head = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!("http://{address}/peerage.v1.AccountAccessService/{method}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("authorization", format!("Bearer {key}"))
            .body(())?;
        let shared =
            Shared { head, questions: questions.to_vec(), next: AtomicUsize::new(0), is_over: AtomicBool::new(false) };
        let mut crowd = Self { server, connections: Vec::new(), shared: Arc::new(shared) };
        let began = Instant::now();
        while crowd.connections.len() < connections {
            match connection(address).await {
                Ok(connection) => crowd.connections.push(connection),
                Err(error) if began.elapsed() > START_MAX => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        let mut first = crowd.connections.first().context("a connection")?.clone();
        while let Err(error) = call(&mut first, &crowd.shared).await {
            ensure!(began.elapsed() < START_MAX, "the server does not answer: {error:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(crowd)
    }

    /// Calls for a while.
    pub(crate) async fn run(&self, load: Load, time: Duration) -> Result<Measured> {
        self.shared.is_over.store(false, Ordering::Relaxed);
        let (began, before) = (Instant::now(), self.server.processor_time()?);
        let mut tasks = tokio::task::JoinSet::new();
        match load {
            Load::Waiting(streams) => {
                for connection in self.connections.iter().flat_map(|one| std::iter::repeat_n(one, streams)) {
                    tasks.spawn(in_turn(connection.clone(), Arc::clone(&self.shared)));
                }
            }
            Load::Alone => {
                let connection = self.connections.first().context("a connection")?;
                tasks.spawn(in_turn(connection.clone(), Arc::clone(&self.shared)));
            }
            Load::Offered(rate) => {
                let each = rate / self.connections.len() as u64;
                for connection in &self.connections {
                    tasks.spawn(by_the_clock(connection.clone(), Arc::clone(&self.shared), each));
                }
            }
        }
        tokio::time::sleep(WARM_UP + time).await;
        self.shared.is_over.store(true, Ordering::Relaxed);
        let mut calls = Vec::new();
        for answered in tasks.join_all().await {
            calls.extend(answered?);
        }
        let server = self.server.processor_time()? - before;
        let counted = |(at, _): &&(Instant, Duration)| (WARM_UP..WARM_UP + time).contains(&at.duration_since(began));
        let mut latencies: Vec<f64> = calls.iter().filter(counted).map(|(_, took)| took.as_secs_f64() * 1e6).collect();
        latencies.sort_by(f64::total_cmp);
        Ok(Measured { calls: calls.len(), wall: time, latencies, server })
    }
}

async fn connection(address: &str) -> Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Answers are small and many: what h2 takes by itself for a flood is what is measured here.
    let mut builder = h2::client::Builder::new();
    let (sender, connection) = builder.data_frame_budget(DATA_FRAME_BUDGET).handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender.ready().await?)
}

/// When calls were answered, and how long they took.
type Answered = Result<Vec<(Instant, Duration)>>;

async fn in_turn(mut connection: SendRequest<Bytes>, shared: Arc<Shared>) -> Answered {
    let mut answered = Vec::new();
    while !shared.is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        call(&mut connection, &shared).await?;
        answered.push((Instant::now(), began.elapsed()));
    }
    Ok(answered)
}

/// Latency counts from the moment at which a call was due: one that waits for the one before is late.
async fn by_the_clock(connection: SendRequest<Bytes>, shared: Arc<Shared>, rate: u64) -> Answered {
    let (began, mut sent) = (Instant::now(), 0_u64);
    let (mut tasks, mut answered) = (tokio::task::JoinSet::new(), Vec::new());
    let room = Arc::new(Semaphore::new(OPEN_MAX));
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    while !shared.is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        while sent < (began.elapsed().as_secs_f64() * rate as f64) as u64 {
            let due = began + Duration::from_secs_f64(sent as f64 / rate as f64);
            sent += 1;
            let (mut connection, shared) = (connection.clone(), Arc::clone(&shared));
            let permit = Arc::clone(&room).acquire_owned().await?;
            tasks.spawn(async move {
                call(&mut connection, &shared).await?;
                drop(permit);
                anyhow::Ok((Instant::now(), due.elapsed()))
            });
        }
        while let Some(done) = tasks.try_join_next() {
            answered.push(done??);
        }
    }
    for done in tasks.join_all().await {
        answered.push(done?);
    }
    Ok(answered)
}

/// Asks the next question and reads the answer to its end.
async fn call(connection: &mut SendRequest<Bytes>, shared: &Shared) -> Result<()> {
    std::future::poll_fn(|context| connection.poll_ready(context)).await?;
    let number = shared.next.fetch_add(1, Ordering::Relaxed);
    let question = shared.questions.get(number % shared.questions.len()).context("a question")?.clone();
    let (answer, mut body) = connection.send_request(shared.head.clone(), false)?;
    body.send_data(question, true)?;
    let mut answer = answer.await?.into_body();
    while let Some(data) = answer.data().await {
        answer.flow_control().release_capacity(data?.len())?;
    }
    let trailers = answer.trailers().await?.context("gRPC ends with trailers")?;
    let status = trailers.get("grpc-status").context("gRPC ends with a status")?;
    ensure!(status == "0", "the call failed: {status:?} {:?}", trailers.get("grpc-message"));
    Ok(())
}
