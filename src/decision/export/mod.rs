//! The policy of a subtree in casbin's terms: a model, and lines that any casbin reads and decides alike.
//!
//! Everything that casbin has no word for is resolved by which lines are written. A line names one
//! permission, never a wildcard, so that reserved permissions need no rule. Where a line holds is a set
//! of accounts, worked out from reach, conditions, suspension and partner access; groups, windows and
//! the states of peers show only in who holds what. `g` and `g2` are two steps deep at most, whatever the
//! tree: stock casbin follows ten.
//!
//! INVARIANT: one snapshot, one time, one context. What is held in memory beside the snapshot is bounded
//! by the accounts of the subtree and the bindings of one account, not by the lines.
//! INVARIANT: no value holds a comma, a quote, a bracket, a `#` or a space, whatever people typed: names
//! are account ids, role ids and uids, so that readers with and without quoting take the same lines.

mod region;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::compile::Class;
use super::condition::Verdict;
use super::evaluate::subject_fault;
use super::snapshot::{AccountIndex, Holder, PeerIndex, RoleIndex, Snapshot};
use crate::domain::account::PartnerAccess;
use crate::domain::binding::{Mode, Reach};
use crate::domain::context::Context;
use crate::domain::ids::PeerId;
use crate::domain::permission::PermissionFlags;
use crate::domain::role::{AssuranceLevel, Effect};
use crate::domain::time::Timestamp;
use region::{Place, Regions};

/// The model of every export.
pub const MODEL: &str = include_str!("model.conf");

/// How much is gathered before it is handed out, unless nothing more comes.
const PIECE: usize = 64 * 1024;

/// What partner access takes from a peer depends on its home in one of these ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Origin {
    /// Inside none of the accounts that limit others here.
    Outside,
    /// Inside this one, and those around it.
    Inside(AccountIndex),
    /// At the root, which nothing limits.
    Root,
}

/// A role on an account, as peers of one origin hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Share {
    role: RoleIndex,
    account: AccountIndex,
    reach: Reach,
    origin: Origin,
}

/// The lines that are still to come.
#[derive(Debug)]
enum Stage {
    /// Where each account from this place on lies.
    Tree(usize),
    /// What is held on each account from this place on.
    Holders(usize),
}

/// An export in progress.
#[derive(Debug)]
pub struct Export {
    snapshot: Arc<Snapshot>,
    root: AccountIndex,
    now: Timestamp,
    context: Context,
    accounts: Vec<AccountIndex>,
    stage: Stage,
    /// Shares of the account that was read last, each with a home of its holders and with them.
    shares: VecDeque<(Share, AccountIndex, BTreeSet<PeerId>)>,
    /// Sets of accounts that have a name, by the hash of what is in them.
    scopes: HashMap<[u8; 32], usize>,
    text: String,
}

impl Export {
    /// Begins an export of an account and all below it.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, root: AccountIndex, now: Timestamp, context: Context) -> Self {
        let accounts = snapshot.subtree(root);
        let mut text = String::new();
        if let Some(id) = snapshot.account_id(root) {
            text = format!("# accounts/{id} at revision {}, {}\n", snapshot.revision(), now.to_rfc3339());
        }
        Self {
            snapshot,
            root,
            now,
            context,
            accounts,
            stage: Stage::Tree(0),
            shares: VecDeque::new(),
            scopes: HashMap::new(),
            text,
        }
    }

    /// The revision that is exported.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.snapshot.revision()
    }

    /// The next lines, whole, of at most so many bytes as long as no line is longer; `None` at the end.
    pub fn next(&mut self, most: usize) -> Option<String> {
        while self.text.len() < PIECE.min(most) && self.step() {}
        if self.text.len() <= most {
            return (!self.text.is_empty()).then(|| std::mem::take(&mut self.text));
        }
        let fits = self.text.as_bytes().iter().take(most).rposition(|byte| *byte == b'\n');
        let end = fits.or_else(|| self.text.find('\n')).map_or(self.text.len(), |place| place + 1);
        let rest = self.text.split_off(end);
        Some(std::mem::replace(&mut self.text, rest))
    }

    /// Writes a few more lines; says whether there may be others.
    fn step(&mut self) -> bool {
        if let Some((share, home, peers)) = self.shares.pop_front() {
            self.share(share, home, &peers);
            return true;
        }
        match self.stage {
            Stage::Tree(place) => match self.accounts.get(place).copied() {
                Some(account) => {
                    self.place_of(account);
                    self.stage = Stage::Tree(place + 1);
                }
                None => self.stage = Stage::Holders(0),
            },
            Stage::Holders(place) => {
                let Some(account) = self.accounts.get(place).copied() else { return false };
                self.shares = self.shares_at(account);
                self.stage = Stage::Holders(place + 1);
            }
        }
        true
    }

    fn line(&mut self, fields: &[&str]) {
        self.text.push_str(&fields.join(", "));
        self.text.push('\n');
    }

    /// Says of which subtrees an account is a part, its own among them.
    fn place_of(&mut self, account: AccountIndex) {
        let path = self.snapshot.path(account);
        for above in path.as_slice() {
            let names = (Place::Alone(account).name(&self.snapshot), Place::Whole(*above).name(&self.snapshot));
            if let (Some(own), Some(subtree)) = names {
                self.line(&["g2", &own, &subtree]);
            }
            if *above == self.root {
                break;
            }
        }
    }

    /// Who holds what on an account. What reaches down to the export from above it is held on its first.
    fn shares_at(&self, account: AccountIndex) -> VecDeque<(Share, AccountIndex, BTreeSet<PeerId>)> {
        let mut shares: BTreeMap<Share, (AccountIndex, BTreeSet<PeerId>)> = BTreeMap::new();
        let path = self.snapshot.path(account);
        let above = path.as_slice().iter().skip(1).filter(|_| account == self.root);
        for bound in std::iter::once(&account).chain(above) {
            let holders: BTreeSet<Holder> = self.snapshot.bound_at(*bound).map(|(holder, _)| holder).collect();
            for holder in holders {
                for (role, reach) in self.roles_of(holder, *bound) {
                    if *bound != account && reach == Reach::AccountOnly {
                        continue;
                    }
                    for (peer, home) in self.acting(holder) {
                        let share = Share { role, account, reach, origin: self.origin(home, account) };
                        shares.entry(share).or_insert_with(|| (home, BTreeSet::new())).1.insert(peer);
                    }
                }
            }
        }
        shares.into_iter().map(|(share, (home, peers))| (share, home, peers)).collect()
    }

    /// The roles that count for a holder on an account itself at this time.
    fn roles_of(&self, holder: Holder, account: AccountIndex) -> BTreeSet<(RoleIndex, Reach)> {
        self.snapshot
            .bound_to_at(holder, account)
            .filter(|(binding, window)| binding.mode == Mode::Active && window.contains(self.now))
            .map(|(binding, _)| (binding.role, binding.reach))
            .collect()
    }

    /// The peers behind a holder that can act at this time, with their homes.
    fn acting(&self, holder: Holder) -> Vec<(PeerId, AccountIndex)> {
        let counts = |peer: PeerIndex| {
            let view = self.snapshot.peer(peer)?;
            if subject_fault(&self.snapshot, &view, self.now).is_some() {
                return None;
            }
            if let Holder::Group(group) = holder {
                let membership = view.memberships().iter().find(|membership| membership.group == group)?;
                let is_open = view.membership_window(membership).contains(self.now);
                if membership.mode != Mode::Active || !is_open {
                    return None;
                }
            }
            Some((view.id(), view.home()))
        };
        self.snapshot.peers_of(holder).into_iter().filter_map(counts).collect()
    }

    /// What is to be known of a home to tell what partner access takes away at and below an account: the
    /// innermost around the home of those accounts that limit others there.
    fn origin(&self, home: AccountIndex, account: AccountIndex) -> Origin {
        let path = self.snapshot.path(account);
        for around in self.snapshot.path(home).as_slice() {
            let Some(record) = self.snapshot.account(*around) else { continue };
            if *around == home && record.parent().is_none() {
                return Origin::Root;
            }
            let is_near = path.contains(*around) || self.snapshot.is_within(*around, account);
            if record.partner_access != PartnerAccess::Allowed && is_near {
                return Origin::Inside(*around);
            }
        }
        Origin::Outside
    }

    /// Writes what a share allows and denies, and who has it.
    fn share(&mut self, share: Share, home: AccountIndex, peers: &BTreeSet<PeerId>) {
        let snapshot = Arc::clone(&self.snapshot);
        let Some(name) = share.name(&snapshot) else { return };
        let Some(role) = snapshot.role(share.role) else { return };
        let regions = match share.reach {
            Reach::Subtree => Regions::new(&snapshot, snapshot.subtree(share.account), Reach::Subtree),
            Reach::AccountOnly => Regions::new(&snapshot, vec![share.account], Reach::AccountOnly),
        };
        let mut has_lines = false;
        // Of each class, which its first grant stands for.
        let mut scopes: HashMap<(Option<u16>, bool, bool), Option<String>> = HashMap::new();
        for (index, permission) in snapshot.catalogue() {
            for class in role.compiled.classes_naming(index) {
                let (first, flags) = (class.grants.first().copied(), permission.flags);
                let scope = scopes.entry((first, flags.from_outside, flags.on_suspended)).or_insert_with(|| {
                    let region = regions.region(|account| self.counts(class, flags, account, home));
                    self.scope(&region)
                });
                let Some(scope) = scope.clone() else { continue };
                has_lines = true;
                let (requirement, level, max_age) = demands(class);
                let effect = match class.effect {
                    Effect::Allow => "allow",
                    Effect::Deny => "deny",
                };
                let (resource, action) = (permission.name.resource(), permission.name.action());
                self.line(&["p", &name, &scope, resource, action, requirement, level, &max_age, effect]);
            }
        }
        if has_lines {
            for peer in peers {
                self.line(&["g", &format!("peer:{peer}"), &name]);
            }
        }
    }

    /// Whether the grants of a class count on an account, as far as that account and the peer's home say.
    fn counts(&self, class: &Class, flags: PermissionFlags, account: AccountIndex, home: AccountIndex) -> bool {
        let path = self.snapshot.path(account);
        let verdict = match &class.condition {
            None => Verdict::Holds,
            Some(condition) => condition.verdict(&self.snapshot, &path, self.now, &self.context),
        };
        let holds = match verdict {
            Verdict::Holds => true,
            Verdict::Fails => false,
            // What the context does not say denies, and does not allow.
            Verdict::Lacks(_) => class.effect == Effect::Deny,
        };
        if !holds {
            return false;
        }
        let is_let_in = match self.snapshot.partner_access(&path, home) {
            PartnerAccess::Allowed => true,
            PartnerAccess::SessionOnly | PartnerAccess::ByApproval => flags.from_outside,
            PartnerAccess::Blocked => false,
        };
        match class.effect {
            Effect::Deny => true,
            Effect::Allow => is_let_in && (flags.on_suspended || !self.snapshot.is_suspended(&path)),
        }
    }

    /// The name for a set of accounts; `None` for the empty one. A set that is neither an account nor a
    /// subtree is written down where it comes up first.
    fn scope(&mut self, region: &[Place]) -> Option<String> {
        if let [place] = region {
            return place.name(&self.snapshot);
        }
        let names: Vec<String> = region.iter().filter_map(|place| place.name(&self.snapshot)).collect();
        if names.is_empty() {
            return None;
        }
        let hash = Sha256::digest(names.join("\n")).into();
        let next = self.scopes.len() + 1;
        let number = *self.scopes.entry(hash).or_insert(next);
        let scope = format!("scope:{number}");
        if number == next {
            for name in &names {
                self.line(&["g2", name, &scope]);
            }
        }
        Some(scope)
    }
}

impl Share {
    /// Such as `role:msp-panel.owner@contoso`; what differs from a subtree and from peers of outside is
    /// said behind it.
    fn name(&self, snapshot: &Snapshot) -> Option<String> {
        let mut name = format!("role:{}@{}", snapshot.role(self.role)?.fact.id, snapshot.account_id(self.account)?);
        if self.reach == Reach::AccountOnly {
            name.push_str("+account_only");
        }
        match self.origin {
            Origin::Outside => {}
            // Writing to a text does not fail.
            Origin::Inside(account) => write!(name, "+inside={}", snapshot.account_id(account)?).ok()?,
            Origin::Root => name.push_str("+root"),
        }
        Some(name)
    }
}

/// What a class wants to be met: its name, the level of a step-up and how old that may be in seconds.
fn demands(class: &Class) -> (&'static str, &'static str, String) {
    let requirement = match class.requirements.rank() {
        0 => "none",
        1 => "step_up",
        2 => "approval",
        _ => "both",
    };
    let level = match class.requirements.step_up.map(|step_up| step_up.level) {
        None | Some(AssuranceLevel::None) => "none",
        Some(AssuranceLevel::Email) => "email",
        Some(AssuranceLevel::Totp) => "totp",
        Some(AssuranceLevel::Passkey) => "passkey",
    };
    (requirement, level, class.requirements.step_up.map_or(0, |step_up| step_up.max_age_seconds).to_string())
}
