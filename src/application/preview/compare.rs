//! The differences that a caller may be told of, in order of peer, account and permission, and how many
//! there are.
//!
//! INVARIANT: work is bounded for each call. A page that has looked at enough is short, and says where
//! it goes on; counting stops there, and says so.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Cell, PREVIEW};
use crate::application::guard::View;
use crate::decision::difference::{PeerDifferences, Sides, Touch, Turn, reached, touched};
use crate::decision::{AccountIndex, Outcome, PeerIndex, Snapshot};
use crate::domain::binding::Reach;
use crate::domain::fact::Change;
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::permission::PermissionName;

/// After how much work other tasks of the thread get a turn.
const WORK_PER_TURN: usize = 5_000;

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub peer: PeerId,
    pub account: AccountId,
    pub permission: PermissionName,
    pub before: Outcome,
    pub after: Outcome,
}

/// How many differences there are, at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub is_complete: bool,
    pub gained: u64,
    pub lost: u64,
    pub changed: u64,
    pub peers: u64,
    pub accounts: u64,
}

/// Which part is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) limit: usize,
    pub(super) after: Option<&'a Cell>,
    /// After how much work it stops.
    pub(super) work_max: usize,
}

impl Cell {
    /// Whether all of a peer was read.
    fn is_past(&self, peer: PeerId) -> bool {
        peer < self.peer || (peer == self.peer && self.account.is_none())
    }

    /// Whether all of an account was read: it comes before the last one, or is the last and no
    /// permission says where in it the page ended.
    fn is_beyond(&self, peer: PeerId, account: &AccountId) -> bool {
        let is_read = |last: &AccountId| account < last || (account == last && self.permission.is_none());
        peer == self.peer && self.account.as_ref().is_some_and(is_read)
    }

    /// Whether a permission was read.
    fn has(&self, peer: PeerId, account: &AccountId, permission: &PermissionName) -> bool {
        let is_here = peer == self.peer && self.account.as_ref() == Some(account);
        is_here && self.permission.as_ref().is_some_and(|last| permission <= last)
    }
}

/// What was read.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) shown: Vec<Shown>,
    pub(super) next: Option<Cell>,
    /// Of all differences, where the reading began at the first.
    pub(super) totals: Totals,
}

/// Who is told, and of which accounts.
#[derive(Debug)]
pub(super) struct Audience<'a> {
    view: View<'a>,
    sides: Sides<'a>,
    scope: Option<AccountIndex>,
    sights: HashMap<AccountIndex, Sight>,
    /// The accounts of peers that are touched in the same places, since many are.
    alike: Option<Alike>,
    work: usize,
}

/// On which sides of the changes the caller may be told of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sight {
    before: bool,
    after: bool,
}

impl Sight {
    const FULL: Self = Self { before: true, after: true };

    /// Whether it shows a decision that turns: what is denied on a side is no right to be seen there.
    const fn shows(self, turn: Turn) -> bool {
        (self.before || matches!(turn.before, Outcome::Deny)) && (self.after || matches!(turn.after, Outcome::Deny))
    }
}

/// Places, whether they are the caller's own, and the accounts there.
type Alike = (BTreeSet<(AccountIndex, Reach)>, bool, Arc<[AccountIndex]>);

impl<'a> Audience<'a> {
    pub(super) fn new(view: View<'a>, sides: Sides<'a>, scope: Option<AccountIndex>) -> Self {
        Self { view, sides, scope, sights: HashMap::new(), alike: None, work: 0 }
    }

    /// The accounts that touches reach and the caller may be told of, in the order of their ids.
    async fn accounts(&mut self, peer: PeerIndex, touches: &BTreeSet<Touch>) -> Arc<[AccountIndex]> {
        let places: BTreeSet<(AccountIndex, Reach)> = touches.iter().map(|touch| (touch.root, touch.reach)).collect();
        let is_own = peer == self.view.actor;
        if let Some((known, known_own, accounts)) = &self.alike
            && (known, *known_own) == (&places, is_own)
        {
            return Arc::clone(accounts);
        }
        let all = reached(&self.sides, touches);
        self.work += all.len();
        let mut shown: Vec<(&AccountId, AccountIndex)> = Vec::new();
        for (place, account) in all.into_iter().enumerate() {
            if place % WORK_PER_TURN == WORK_PER_TURN - 1 {
                tokio::task::yield_now().await;
            }
            let sight = self.sight(peer, account);
            if self.is_in_scope(account)
                && (sight.before || sight.after)
                && let Some(id) = self.id(account)
            {
                shown.push((id, account));
            }
        }
        shown.sort_unstable();
        let accounts: Arc<[AccountIndex]> = shown.into_iter().map(|(_, account)| account).collect();
        self.alike = Some((places, is_own, Arc::clone(&accounts)));
        accounts
    }

    fn is_in_scope(&self, account: AccountIndex) -> bool {
        let sides = [self.sides.before, self.sides.after];
        self.scope.is_none_or(|scope| sides.iter().any(|side| side.is_within(account, scope)))
    }

    /// What the caller may be told of a peer there.
    fn sight(&mut self, peer: PeerIndex, account: AccountIndex) -> Sight {
        if peer == self.view.actor {
            return Sight::FULL;
        }
        let (Sides { before, after, .. }, view) = (self.sides, self.view);
        let holds = |snapshot: &Snapshot| View { snapshot, ..view }.may_unsuspended(PREVIEW, account);
        *self.sights.entry(account).or_insert_with(|| Sight { before: holds(before), after: holds(after) })
    }

    fn id(&self, account: AccountIndex) -> Option<&'a AccountId> {
        let Sides { before, after, .. } = self.sides;
        before.account_id(account).or_else(|| after.account_id(account))
    }

    fn permission(&self, turn: Turn) -> Option<PermissionName> {
        let found =
            self.sides.after.permission(turn.permission).or_else(|| self.sides.before.permission(turn.permission));
        found.map(|permission| permission.name.clone())
    }
}

/// Reads differences until the page is full; from the beginning, on to count them all.
pub(super) async fn read(mut audience: Audience<'_>, changes: &[Change], reading: Reading<'_>) -> Found {
    let sides = audience.sides;
    let touched = touched(&sides, changes);
    let mut tally = Tally::new(reading);
    let mut rested = 0;
    for (id, (peer, touches)) in &touched {
        if reading.after.is_some_and(|after| after.is_past(*id)) {
            continue;
        }
        let accounts = audience.accounts(*peer, touches).await;
        let mut differences = PeerDifferences::of(sides, *peer, touches);
        let mut worked = 0;
        for account in accounts.iter() {
            let Some(name) = audience.id(*account) else { continue };
            if reading.after.is_some_and(|after| after.is_beyond(*id, name)) {
                continue;
            }
            let turns = differences.at(*account);
            audience.work += 1 + differences.work() - worked;
            worked = differences.work();
            let sight = audience.sight(*peer, *account);
            let turns: Vec<Turn> = turns.iter().copied().filter(|turn| sight.shows(*turn)).collect();
            tally.cell(&audience, (*id, *account, name), &turns);
            if tally.is_done() || audience.work > reading.work_max {
                return tally.stopped(&audience);
            }
            if audience.work - rested > WORK_PER_TURN {
                rested = audience.work;
                tokio::task::yield_now().await;
            }
        }
        tally.last = Some((*id, None));
        if audience.work > reading.work_max {
            return tally.stopped(&audience);
        }
    }
    tally.ended()
}

/// What is shown and counted so far.
struct Tally<'a> {
    reading: Reading<'a>,
    shown: Vec<Shown>,
    /// Whether there are differences that the page has no room for.
    has_more: bool,
    /// The last account that was read of a peer, or none where it was all of them.
    last: Option<(PeerId, Option<AccountIndex>)>,
    totals: Totals,
    /// The last peer that has a difference.
    peer: Option<PeerId>,
    accounts: HashSet<AccountIndex>,
}

impl<'a> Tally<'a> {
    fn new(reading: Reading<'a>) -> Self {
        let (shown, totals, accounts) = (Vec::new(), Totals::default(), HashSet::new());
        Self { reading, shown, has_more: false, last: None, totals, peer: None, accounts }
    }

    /// Takes in the differences of a peer on an account.
    fn cell(
        &mut self,
        audience: &Audience<'_>,
        (peer, account, name): (PeerId, AccountIndex, &AccountId),
        turns: &[Turn],
    ) {
        self.last = Some((peer, Some(account)));
        for turn in turns {
            self.count(*turn);
            let Some(permission) = audience.permission(*turn) else { continue };
            if self.reading.after.is_some_and(|after| after.has(peer, name, &permission)) {
                continue;
            }
            if self.shown.len() >= self.reading.limit {
                self.has_more = true;
                continue;
            }
            let (before, after) = (turn.before, turn.after);
            self.shown.push(Shown { peer, account: name.clone(), permission, before, after });
        }
        if !turns.is_empty() {
            self.totals.peers += u64::from(self.peer != Some(peer));
            self.peer = Some(peer);
            self.accounts.insert(account);
        }
    }

    const fn count(&mut self, turn: Turn) {
        let counter = match turn.after {
            Outcome::Allow => &mut self.totals.gained,
            Outcome::Deny => &mut self.totals.lost,
            Outcome::RequiresStepUp | Outcome::RequiresApproval => &mut self.totals.changed,
        };
        *counter += 1;
    }

    /// Whether the page knows all it tells. The first one counts as well.
    const fn is_done(&self) -> bool {
        self.has_more && self.reading.after.is_some()
    }

    fn stopped(self, audience: &Audience<'_>) -> Found {
        let is_full = self.shown.len() >= self.reading.limit;
        let last_read = self.last.map(|(peer, account)| {
            let account = account.and_then(|account| audience.id(account).cloned());
            Cell { peer, account, permission: None }
        });
        let next = if is_full { self.last_shown() } else { last_read };
        self.found(next, false)
    }

    fn ended(self) -> Found {
        let next = if self.has_more { self.last_shown() } else { None };
        self.found(next, true)
    }

    fn last_shown(&self) -> Option<Cell> {
        let shown = self.shown.last()?;
        Some(Cell {
            peer: shown.peer,
            account: Some(shown.account.clone()),
            permission: Some(shown.permission.clone()),
        })
    }

    fn found(self, next: Option<Cell>, is_complete: bool) -> Found {
        let accounts = u64::try_from(self.accounts.len()).unwrap_or(u64::MAX);
        Found { totals: Totals { is_complete, accounts, ..self.totals }, shown: self.shown, next }
    }
}
