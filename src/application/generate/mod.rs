//! A large world from a seed, for measuring: accounts, roles, peers, bindings, groups. The same scale
//! and seed make the same world, on either database.
//!
//! It is written straight into the tables of a database that is empty, past guards and rules and without
//! the change feed; each log gets one event that says what was made. The history of policy begins anew
//! behind it, so that a process which followed it before loads everything.
//!
//! The large partner has a tenth of the peers, whose rows stand together in every order that follows
//! their making; the others belong to partners of 50 accounts. A few peers hold very many bindings,
//! others very many memberships.

mod accounts;
mod peers;
mod random;
mod roles;

use sha2::{Digest as _, Sha256};

pub use random::Random;

use super::context::Ctx;
use super::error::{Error, Result};
use super::{audit, refresh};
use crate::domain::account::Account;
use crate::domain::audit::{Change, Target, Text};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::time::Timestamp;
use crate::storage;
use crate::storage::audit::{Entry, Recording};

/// The partner to which a tenth of all peers belong.
pub const LARGE: &str = "large-partner";
/// Rows of one transaction.
const CHUNK: usize = 5_000;
/// Logs that get their event in one transaction.
const LOGS: usize = 1_000;
const ACCOUNTS_OF_A_PARTNER: usize = 50;
const DAY: i64 = 24 * 3_600 * 1_000_000;
/// When the first peer was made.
const BEGIN: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// When everything was written.
const END: Timestamp = Timestamp::from_micros(1_700_000_000_000_000 + 1_000 * DAY);

/// How large a world is, and which of that size.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub peers: usize,
    pub seed: u64,
}

/// What a world holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    pub accounts: usize,
    pub permissions: usize,
    pub roles: usize,
    pub peers: usize,
    pub bindings: usize,
    pub groups: usize,
    pub members: usize,
}

impl Scale {
    /// As DESIGN 9 describes the world of 1,000,000 peers, and in proportion.
    #[must_use]
    pub const fn of(peers: usize) -> Self {
        Self { peers, seed: 20_261_122 }
    }

    const fn accounts(self) -> usize {
        at_least(self.peers / 10, 20)
    }

    const fn roles(self) -> usize {
        at_least(self.peers / 1_000, 10)
    }

    const fn groups(self) -> usize {
        at_least(self.peers / 1_000, 10)
    }

    /// An ordinary partner in the middle of the others, and one of its customers.
    #[must_use]
    pub fn in_the_middle(self) -> (String, String) {
        let count = self.accounts();
        let partner = (count / 2 / ACCOUNTS_OF_A_PARTNER * ACCOUNTS_OF_A_PARTNER).max(count / 10);
        (format!("partner-{partner}"), format!("customer-{}", partner + 1))
    }

    /// The bindings of a peer that holds very many.
    const fn many_bindings(self) -> usize {
        at_least(self.peers / 100, 10)
    }

    /// The memberships of a peer that has very many.
    const fn many_groups(self) -> usize {
        let groups = self.groups();
        if groups < 200 { groups } else { 200 }
    }
}

const fn at_least(number: usize, least: usize) -> usize {
    if number < least { least } else { number }
}

/// Makes a world. `report` hears how many peers are written.
///
/// # Errors
/// [`Error::NotEmpty`] where the database holds more than the packs and an operator; [`Error::Store`].
pub async fn generate(ctx: &Ctx, scale: Scale, mut report: impl FnMut(usize)) -> Result<Made> {
    check_empty(ctx).await?;
    let mut random = Random::new(scale.seed);
    let permissions = roles::permissions(ctx).await?;
    let accounts = accounts::write(ctx, scale).await?;
    let roles = roles::write(ctx, scale, &mut random).await?;
    let mut logs = Counts::new(&accounts);
    let world = World { ctx, scale, accounts: &accounts, roles: &roles };
    let made = peers::write(&world, &mut random, &mut logs, &mut report).await?;
    events(ctx, &mut random, &logs).await?;
    // Whoever followed the feed so far finds another history, and loads what no change tells of.
    let transaction = ctx.store.begin_policy().await?;
    let head = transaction.head().await?;
    let digest = Sha256::new_with_prefix(head.digest).chain_update(scale.seed.to_be_bytes()).finalize();
    transaction.begin_history(digest.into()).await?;
    refresh::reload(ctx).await?;
    Ok(Made { accounts: accounts.len(), roles: roles.len(), permissions, ..made })
}

/// What peers live in.
struct World<'a> {
    ctx: &'a Ctx,
    scale: Scale,
    accounts: &'a [Account],
    roles: &'a [RoleId],
}

/// A world is made where there is none: nothing of it can be taken back.
async fn check_empty(ctx: &Ctx) -> Result<()> {
    refresh::reload(ctx).await?;
    let snapshot = ctx.snapshot();
    let root = snapshot.find_account(AccountId::platform().as_str());
    let is_empty = root.is_some_and(|root| snapshot.subtree(root).len() == 1) && snapshot.peer_count() <= 1;
    if is_empty { Ok(()) } else { Err(Error::NotEmpty) }
}

/// How many peers and bindings each log is told of.
struct Counts {
    logs: Vec<(AccountId, usize)>,
    /// The log of each account, in the order of the accounts.
    of: Vec<usize>,
}

impl Counts {
    /// Every account of the world but departments has a log of its own; the world has none of these.
    fn new(accounts: &[Account]) -> Self {
        let logs = accounts.iter().map(|account| (account.id.clone(), 0)).collect();
        Self { logs, of: (0..accounts.len()).collect() }
    }

    fn count(&mut self, account: usize) {
        let log = self.of.get(account).and_then(|log| self.logs.get_mut(*log));
        if let Some((_, count)) = log {
            *count += 1;
        }
    }
}

/// One event for each log: what was made there.
async fn events(ctx: &Ctx, random: &mut Random, counts: &Counts) -> Result<()> {
    for logs in counts.logs.chunks(LOGS) {
        let entry = |(account, peers): &(AccountId, usize)| {
            let target = Target::new("account", Text::public(format!("accounts/{account}")));
            let mut draft = audit::system_draft("generate", END, "accounts.generate", target);
            let count = Some(Text::public(peers.to_string()));
            draft.changes = vec![Change { field: "peers".to_owned(), before: None, after: count }];
            Entry { logs: vec![account.clone()], draft }
        };
        let entries: Vec<Entry> = logs.iter().map(entry).collect();
        let mut ids = Random::new(random.number());
        // Nothing in these events is personal, so that no salt is drawn.
        let (mut event_id, mut salt) = (move || ids.uuid(), || [0; 32]);
        let recording = Recording { revision: None, recorded_time: END, event_id: &mut event_id, salt: &mut salt };
        let transaction = ctx.store.begin().await?;
        storage::audit::append(transaction.connection(), &entries, recording).await?;
        transaction.commit().await?;
    }
    Ok(())
}
