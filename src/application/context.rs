//! What every use case works with: the store, the published snapshot, the clock, randomness, and who
//! is calling.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::OnceCell;
use uuid::Uuid;

use super::audit::news::News;
use super::error::{Error, Result};
use super::page;
use super::pool::Pool;
use super::published::Published;
use super::refusals::Refusals;
use super::shadow::Shadow;
use super::stage::Stage;
use super::uses::Uses;
use crate::crypto::page_token::PageKey;
use crate::decision::compile::Compiler;
use crate::decision::{Snapshot, SnapshotError};
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

/// How many ids a thread draws the random bytes of at once.
const IDS: usize = 64;

thread_local! {
    /// Random bytes of ids, and how many ids are left in them.
    static ID_BYTES: RefCell<([[u8; 10]; IDS], usize)> = const { RefCell::new(([[0; 10]; IDS], 0)) };
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
    getrandom::fill(bytes).map_err(|error| Error::Internal(anyhow::anyhow!("no randomness: {error}")))
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
        fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A UUIDv7 (RFC 9562) of a time.
    ///
    /// An id is no secret and each decision has one, so that its random bytes come from a store of the
    /// thread's own: asking the operating system for each costs more than the decision.
    ///
    /// # Errors
    /// As [`Entropy::bytes`].
    pub fn uuid(self, now: Timestamp) -> Result<Uuid> {
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        let random = ID_BYTES.with_borrow_mut(|(store, left)| {
            if *left == 0 {
                fill(store.as_flattened_mut())?;
                *left = store.len();
            }
            *left -= 1;
            store.get(*left).copied().ok_or_else(|| Error::Internal(anyhow::anyhow!("the store of ids is uneven")))
        })?;
        Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
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
    pub refusals: Arc<Refusals>,
    pub uses: Uses,
    pub news: Arc<News>,
    pub shadow: Shadow,
    pub policy: Arc<Published>,
    pub pools: Pools,
    page_key: OnceCell<PageKey>,
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
        let policy = Arc::new(Published::new(snapshot, compiler));
        Self {
            store,
            clock,
            entropy: Entropy,
            packs,
            refusals: Arc::default(),
            uses: Uses::default(),
            news: Arc::default(),
            shadow: Shadow::default(),
            policy,
            pools,
            page_key: OnceCell::new(),
        }
    }

    /// The published snapshot, without waiting.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.policy.snapshot()
    }

    /// The published snapshot for one decision: cheaper than [`Ctx::snapshot`], not to be kept across
    /// a wait.
    #[must_use]
    pub fn snapshot_guard(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.policy.snapshot_guard()
    }

    /// The key of page tokens, which is the same in every process and never changes. `peerage migrate`
    /// makes it, so that lists need no store that takes writes.
    ///
    /// # Errors
    /// [`super::Error::Store`] where the database is not there.
    pub async fn page_key(&self) -> Result<&PageKey> {
        self.page_key.get_or_try_init(|| page::key(self)).await
    }

    /// As [`Published::compile`].
    ///
    /// # Errors
    /// [`SnapshotError`] where the changes do not fit.
    pub fn compile<T>(&self, work: impl FnOnce(&mut Compiler) -> std::result::Result<T, SnapshotError>) -> Result<T> {
        self.policy.compile(work)
    }
}

/// Who is calling, and by which credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller {
    pub peer: PeerId,
    pub api_key: ApiKeyId,
    /// SHA-256 of the key that was presented: by it every later look at the policy tells whether the
    /// credential still counts.
    pub key_hash: [u8; 32],
    /// Where the call came from, for the conditions of what the caller holds itself.
    pub source_address: Option<IpAddr>,
}

/// What a call was named by its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestId {
    /// However it was spelled.
    Uuid(Uuid),
    /// No UUID. Such a call changes nothing; it lives on so that all else that is wrong with it can be
    /// said too.
    Malformed,
}

/// One call of one method.
#[derive(Debug, Clone)]
pub struct Call {
    pub caller: Caller,
    /// The full gRPC method, such as `/peerage.v1.PeerService/CreatePeer`.
    pub method: &'static str,
    /// The permission that the method needs, the first where several will do; none where callers need
    /// none.
    pub permission: Option<&'static str>,
    /// Makes a repeat of the same call harmless (AIP-155).
    pub request_id: Option<RequestId>,
    /// SHA-256 of the message as this server would write it, to tell a repeat from another request
    /// under the same id. How the client ordered its fields and the entries of its maps is not in it.
    pub body_hash: [u8; 32],
    /// All checks, no change (AIP-163).
    pub validate_only: bool,
    /// Where the change is tried out together with others, none of which is made.
    pub stage: Option<Arc<Stage>>,
    pub user_agent: Option<String>,
    pub trace_id: Option<String>,
}
