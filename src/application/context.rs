//! What every use case works with: the store, the published snapshot, the clock, randomness, and who
//! is calling.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use uuid::Uuid;

use super::error::{Error, Result};
use super::refusals::Refusals;
use crate::crypto::pool::Pool;
use crate::decision::compile::Compiler;
use crate::decision::{Snapshot, SnapshotError};
use crate::domain::fact::Change;
use crate::domain::ids::{ApiKeyId, PeerId};
use crate::domain::time::Timestamp;
use crate::storage::Store;

/// The only clock. Tests bring one that they move; no configuration can.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let micros = match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            Self::Manual(micros) => micros.load(Ordering::SeqCst),
        };
        Timestamp::from_micros(micros)
    }
}

/// The only source of randomness: the operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entropy;

impl Entropy {
    /// Fills an array with random bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] where the operating system has none; nothing is guessed then.
    pub fn bytes<const N: usize>(self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
        getrandom::fill(&mut bytes).map_err(|error| Error::Internal(anyhow::anyhow!("no randomness: {error}")))?;
        Ok(bytes)
    }

    /// A UUIDv7 (RFC 9562) of a time.
    ///
    /// # Errors
    /// As [`Entropy::bytes`].
    pub fn uuid(self, now: Timestamp) -> Result<Uuid> {
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()?).into_uuid())
    }
}

/// How many jobs wait for each thread of a pool before callers are turned away.
const WAITING_PER_THREAD: usize = 32;
/// The most pictures that wait to be decoded, since each is held in memory meanwhile.
const PICTURES_WAITING: usize = 8;

/// Threads for what takes long. Hashing leaves a core to everything else; pictures have a thread of
/// their own, so that they do not hold up sign-ins.
#[derive(Debug)]
pub struct Pools {
    pub hashing: Pool,
    pub pictures: Pool,
}

impl Pools {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where the operating system gives none.
    pub fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.saturating_sub(1).max(1);
        Ok(Self {
            hashing: Pool::start("hashing", threads, threads.saturating_mul(WAITING_PER_THREAD))?,
            pictures: Pool::start("pictures", 1, PICTURES_WAITING)?,
        })
    }
}

/// What use cases share.
#[derive(Debug)]
pub struct Ctx {
    pub store: Store,
    pub clock: Clock,
    pub entropy: Entropy,
    pub packs: Arc<super::packs::Packs>,
    pub refusals: Refusals,
    pub pools: Pools,
    is_ready: AtomicBool,
    snapshot: ArcSwap<Snapshot>,
    compiler: Mutex<Compiler>,
}

impl Ctx {
    #[must_use]
    pub fn new(
        store: Store,
        clock: Clock,
        packs: Arc<super::packs::Packs>,
        (snapshot, compiler): (Snapshot, Compiler),
        pools: Pools,
    ) -> Self {
        let snapshot = ArcSwap::from_pointee(snapshot);
        Self {
            store,
            clock,
            entropy: Entropy,
            packs,
            refusals: Refusals::default(),
            pools,
            is_ready: AtomicBool::new(false),
            snapshot,
            compiler: Mutex::new(compiler),
        }
    }

    /// Whether facts are loaded and followed; until then, nothing is decided.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Says whether the facts are loaded and followed.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Release);
    }

    /// The published snapshot, without waiting.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The published snapshot for one decision: cheaper than [`Ctx::snapshot`], not to be kept across
    /// a wait.
    #[must_use]
    pub fn snapshot_guard(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Publishes a snapshot unless a newer one is out already.
    pub fn publish(&self, next: Arc<Snapshot>) {
        self.snapshot.rcu(
            |current| {
                if current.revision() < next.revision() { Arc::clone(&next) } else { Arc::clone(current) }
            },
        );
    }

    /// Applies changes with the compiler that all share. The lock is held for the change only.
    ///
    /// # Errors
    /// [`SnapshotError`] where the changes do not fit.
    pub fn compile<T>(&self, work: impl FnOnce(&mut Compiler) -> std::result::Result<T, SnapshotError>) -> Result<T> {
        let mut compiler = self.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&mut compiler)?)
    }

    /// A snapshot with the changes of one more revision.
    ///
    /// # Errors
    /// [`SnapshotError`] where the changes do not fit.
    pub fn advance(&self, snapshot: &Snapshot, revision: i64, changes: &[Change]) -> Result<Snapshot> {
        self.compile(|compiler| snapshot.apply(revision, changes, compiler))
    }
}

/// Who is calling, and by which credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    pub peer: PeerId,
    pub api_key: ApiKeyId,
}

/// One call of one method.
#[derive(Debug, Clone)]
pub struct Call {
    pub caller: Caller,
    /// The full gRPC method, such as `/peerage.v1.PeerService/CreatePeer`.
    pub method: &'static str,
    /// Makes a repeat of the same call harmless (AIP-155).
    pub request_id: Option<Uuid>,
    /// SHA-256 of the request's bytes, to tell a repeat from another request under the same id.
    pub body_hash: [u8; 32],
    /// All checks, no change (AIP-163).
    pub validate_only: bool,
    pub source_address: Option<String>,
    pub user_agent: Option<String>,
    pub trace_id: Option<String>,
}
