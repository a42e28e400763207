//! What a decision came from: everything that was looked at, and what became of it.
//!
//! INVARIANT: this is no second truth. The verdict is that of `evaluate`; the trace only says which
//! parts led to it, and `tests/it/oracle` computes the verdict again from those parts.
//!
//! Bindings count that stand on the account or above it, whether or not they apply; what a peer holds
//! elsewhere has nothing to do with the question. Who may see which part is for the application to
//! say.

mod change;
mod meet;
mod suggest;

use super::compile::effective_requirements;
use super::condition::{PartFate, Prepared, Verdict};
use super::evaluate::{Decision, Query, Reason, evaluate};
use super::snapshot::{AccountIndex, BindingRecord, GroupIndex, Path, PeerView, RoleRecord, Snapshot};
use crate::domain::account::{PartnerAccess, SuspensionScope};
use crate::domain::binding::{Mode, Reach};
use crate::domain::peer::PeerStatus;
use crate::domain::permission::Permission;
use crate::domain::role::{Effect, Grant, Requirements};
use crate::domain::time::{Timestamp, Window};

pub use change::Alteration;
pub use suggest::{Assignable, Suggestion, suggest};

/// What is looked at before grants, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    SubjectKnown,
    /// Of a presented key or session. Whoever looked it up knows; the engine decides about peers.
    CredentialLive,
    SubjectEnabled,
    SubjectNotExpired,
    HomeActive,
    AccountActive,
    PartnerAccess,
}

/// What one check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    pub check: Check,
    pub passed: bool,
    /// The account where it was found.
    pub account: Option<AccountIndex>,
    /// The mode that is set there, for partner access.
    pub access: Option<PartnerAccess>,
    /// When the subject ends.
    pub expire: Option<Timestamp>,
}

impl Checked {
    /// A check of which there is nothing more to say.
    #[must_use]
    pub const fn plain(check: Check, passed: bool) -> Self {
        Self { check, passed, account: None, access: None, expire: None }
    }
}

/// What keeps a grant from counting, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obstacle {
    OutOfReach,
    OutsideWindow,
    Reserved,
    ConditionNotMet,
    AttributeMissing,
    PartnerAccess,
    NotActive,
}

/// What became of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    Decided,
    Outranked,
    /// It counts, but the decision fell before grants were looked at.
    Barred,
    /// The first of its obstacles.
    KeptBack(Obstacle),
    /// The role has no grant that names the permission.
    NoMatch,
}

/// The membership through which a peer has a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Through {
    pub group: GroupIndex,
    pub mode: Mode,
    pub window: Window,
}

/// A grant that names the permission, or a binding without such a grant.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub binding: &'a BindingRecord,
    /// The binding's own window.
    pub window: Window,
    pub through: Option<Through>,
    /// The grant and its place in the role.
    pub grant: Option<(u16, &'a Grant)>,
    /// What must be met, the role's own demand included.
    pub stated: Requirements,
    pub obstacles: Vec<Obstacle>,
    /// The attribute that the condition asks for and the request lacks. A DENY counts then.
    pub missing: Option<&'a str>,
    /// What became of each part of the condition.
    pub parts: Vec<PartFate>,
    pub fate: Fate,
}

impl Entry<'_> {
    /// Whether the grant gives or takes away; `None` of a binding without one.
    #[must_use]
    pub fn effect(&self) -> Option<Effect> {
        self.grant.map(|(_, grant)| grant.effect)
    }

    /// Its place in an order that stays the same at one revision: the one that decided, then grants,
    /// then bindings without one.
    fn order(&self, is_first: bool) -> impl Ord + use<> {
        let counts = match self.fate {
            Fate::Decided | Fate::Outranked | Fate::Barred => 0,
            Fate::KeptBack(_) => 1,
            Fate::NoMatch => 2,
        };
        let place = self.grant.map(|(place, _)| place);
        (!is_first, counts, self.binding.id, self.through.map(|through| through.group), place)
    }
}

/// A decision with everything that led to it.
#[derive(Debug, Clone)]
pub struct Explanation<'a> {
    pub decision: Decision,
    pub checks: Vec<Checked>,
    /// The one that decided first.
    pub entries: Vec<Entry<'a>>,
}

/// Explains a decision.
#[must_use]
pub fn explain<'a>(snapshot: &'a Snapshot, query: &Query<'_>) -> Explanation<'a> {
    let decision = evaluate(snapshot, query);
    let peer = query.peer.and_then(|peer| snapshot.peer(peer)).filter(|peer| peer.status() != PeerStatus::Deleted);
    let (Some(peer), Some(permission)) = (peer, snapshot.permission(query.permission)) else {
        let checks = vec![Checked::plain(Check::SubjectKnown, false)];
        return Explanation { decision, checks, entries: Vec::new() };
    };
    let path = snapshot.path(query.account);
    let trace = Trace { snapshot, query, path, permission, access: snapshot.partner_access(&path, peer.home()) };
    let mut entries = trace.entries(&peer);
    trace.settle(&decision, &mut entries);
    Explanation { decision, checks: trace.checks(&peer), entries }
}

/// Whether a decision fell before grants were looked at.
#[must_use]
pub const fn is_before_grants(reason: Reason) -> bool {
    match reason {
        Reason::SubjectUnknown
        | Reason::SubjectDisabled
        | Reason::SubjectExpired
        | Reason::SubjectHomeSuspended
        | Reason::SubjectSessionEnded
        | Reason::AccountSuspended => true,
        Reason::Allowed
        | Reason::StepUpRequired
        | Reason::ApprovalRequired
        | Reason::DenyGrant
        | Reason::PartnerAccessSessionRequired
        | Reason::PartnerAccessBlocked
        | Reason::EligibleNotActive
        | Reason::MissingAttribute
        | Reason::NoMatchingGrant => false,
    }
}

/// What a walk needs to know.
struct Trace<'a, 'q> {
    snapshot: &'a Snapshot,
    query: &'q Query<'q>,
    path: Path,
    permission: &'a Permission,
    access: PartnerAccess,
}

impl<'a> Trace<'a, '_> {
    fn checks(&self, peer: &PeerView<'_>) -> Vec<Checked> {
        let expire = (peer.expire() != Timestamp::MAX).then(|| peer.expire());
        let mut checks = vec![
            Checked::plain(Check::SubjectKnown, true),
            Checked::plain(Check::SubjectEnabled, peer.status() == PeerStatus::Enabled),
            Checked { expire, ..Checked::plain(Check::SubjectNotExpired, peer.expire() > self.query.now) },
        ];
        let homes = self.snapshot.path(peer.home());
        let stopped = suspended(self.snapshot, &homes, Some(peer.home()));
        checks.extend(found(Check::HomeActive, false, stopped));
        let stopped = suspended(self.snapshot, &self.path, None);
        checks.extend(found(Check::AccountActive, self.permission.flags.on_suspended, stopped));
        checks.extend(self.partner_access(peer));
        checks
    }

    /// Every account whose mode limits the peer.
    fn partner_access(&self, peer: &PeerView<'_>) -> Vec<Checked> {
        let mut checks = Vec::new();
        for account in limiting(self.snapshot, &self.path, peer.home()) {
            let Some(record) = self.snapshot.account(account) else { continue };
            let mode = record.partner_access;
            let passed = !is_kept_out(mode, self.permission);
            let check = Checked::plain(Check::PartnerAccess, passed);
            checks.push(Checked { account: Some(account), access: Some(mode), ..check });
        }
        if checks.is_empty() {
            checks.push(Checked::plain(Check::PartnerAccess, true));
        }
        checks
    }

    fn entries(&self, peer: &PeerView<'a>) -> Vec<Entry<'a>> {
        let mut entries = Vec::new();
        for binding in peer.bindings() {
            self.binding(binding, peer.binding_window(binding), None, &mut entries);
        }
        for membership in peer.memberships() {
            let Some(group) = self.snapshot.group(membership.group) else { continue };
            let window = peer.membership_window(membership);
            let through = Through { group: membership.group, mode: membership.mode, window };
            for binding in group.bindings() {
                self.binding(binding, group.binding_window(binding), Some(through), &mut entries);
            }
        }
        entries
    }

    fn binding(
        &self,
        binding: &'a BindingRecord,
        window: Window,
        through: Option<Through>,
        entries: &mut Vec<Entry<'a>>,
    ) {
        let role = self.snapshot.role(binding.role).filter(|_| self.path.contains(binding.account));
        let Some(role) = role else { return };
        let before = entries.len();
        let whole = Entry {
            binding,
            window,
            through,
            grant: None,
            stated: Requirements::default(),
            obstacles: self.obstacles(binding, window, through),
            missing: None,
            parts: Vec::new(),
            fate: Fate::NoMatch,
        };
        for (place, grant) in (0_u16..).zip(&role.fact.grants) {
            if grant.pattern.can_name(&self.permission.name) {
                entries.push(self.grant(&whole, role, place, grant));
            }
        }
        if entries.len() == before {
            entries.push(whole);
        }
    }

    /// What keeps a whole binding from counting.
    fn obstacles(&self, binding: &BindingRecord, window: Window, through: Option<Through>) -> Vec<Obstacle> {
        let now = self.query.now;
        let mut obstacles = Vec::new();
        if binding.reach != Reach::Subtree && binding.account != self.query.account {
            obstacles.push(Obstacle::OutOfReach);
        }
        if !window.contains(now) || through.is_some_and(|through| !through.window.contains(now)) {
            obstacles.push(Obstacle::OutsideWindow);
        }
        if binding.mode != Mode::Active || through.is_some_and(|through| through.mode != Mode::Active) {
            obstacles.push(Obstacle::NotActive);
        }
        obstacles
    }

    fn grant(&self, whole: &Entry<'a>, role: &'a RoleRecord, place: u16, grant: &'a Grant) -> Entry<'a> {
        let mut entry = Entry {
            grant: Some((place, grant)),
            stated: effective_requirements(grant, &role.fact.rules),
            ..whole.clone()
        };
        // What casbin said of the grants of this class decides, as it does in `evaluate`.
        let is_named = role.compiled.classes_naming(self.query.permission).any(|class| class.grants.contains(&place));
        if !is_named || !grant.pattern.matches(self.permission) {
            entry.obstacles.push(Obstacle::Reserved);
        }
        let condition = Self::condition(role, place);
        let Query { now, context, .. } = *self.query;
        entry.parts = match condition {
            Some(Some(condition)) => condition.parts(self.snapshot, &self.path, now, context),
            Some(None) | None => Vec::new(),
        };
        // Asked as `evaluate` asks it.
        let verdict = match condition {
            Some(None) => Verdict::Holds,
            Some(Some(condition)) => condition.verdict(self.snapshot, &self.path, now, context),
            None => Verdict::Fails,
        };
        match verdict {
            Verdict::Holds => {}
            Verdict::Fails => entry.obstacles.push(Obstacle::ConditionNotMet),
            Verdict::Lacks(missing) => {
                entry.missing = Some(missing.name(&grant.condition));
                if grant.effect == Effect::Allow {
                    entry.obstacles.push(Obstacle::AttributeMissing);
                }
            }
        }
        if grant.effect == Effect::Allow && is_kept_out(self.access, self.permission) {
            entry.obstacles.push(Obstacle::PartnerAccess);
        }
        entry.obstacles.sort_unstable();
        entry
    }

    /// A grant's condition, if it has one; nothing of a grant that is in no class.
    fn condition(role: &RoleRecord, place: u16) -> Option<Option<&Prepared>> {
        let class = role.compiled.classes.iter().find(|class| class.grants.contains(&place));
        class.map(|class| class.condition.as_deref())
    }

    /// Says what became of each, and puts them in order.
    fn settle(&self, decision: &Decision, entries: &mut [Entry<'_>]) {
        let is_deciding = |entry: &Entry<'_>| {
            decision.deciding.is_some_and(|deciding| {
                deciding.binding == entry.binding.id
                    && deciding.group == entry.through.map(|through| through.group)
                    && entry.grant.is_some_and(|(place, _)| place == deciding.grant)
            })
        };
        for entry in entries.iter_mut() {
            entry.fate = match (entry.grant, entry.obstacles.first()) {
                (None, _) => Fate::NoMatch,
                (Some(_), Some(obstacle)) => Fate::KeptBack(*obstacle),
                (Some(_), None) if is_before_grants(decision.reason) => Fate::Barred,
                (Some(_), None) if is_deciding(entry) => Fate::Decided,
                (Some(_), None) => Fate::Outranked,
            };
        }
        entries.sort_by_cached_key(|entry| entry.order(is_deciding(entry)));
    }
}

/// The accounts whose suspension stops what lies at the beginning of a path: those that are suspended
/// with everything below, and for a home also one whose own peers are.
fn suspended(snapshot: &Snapshot, path: &Path, home: Option<AccountIndex>) -> Vec<AccountIndex> {
    let stops = |account: &AccountIndex| {
        let scope = snapshot.account(*account).and_then(|record| record.suspension);
        match scope {
            Some(SuspensionScope::Subtree) => true,
            Some(SuspensionScope::OwnPeers) => home == Some(*account),
            None => false,
        }
    };
    path.as_slice().iter().copied().filter(stops).collect()
}

/// The accounts of a path whose partner access limits a peer.
fn limiting(snapshot: &Snapshot, path: &Path, home: AccountIndex) -> Vec<AccountIndex> {
    if snapshot.account(home).is_some_and(|record| record.parent().is_none()) {
        return Vec::new();
    }
    let limits = |account: &AccountIndex| {
        let mode = snapshot.account(*account).map(|record| record.partner_access);
        mode.is_some_and(|mode| mode > PartnerAccess::Allowed) && !snapshot.is_within(home, *account)
    };
    path.as_slice().iter().copied().filter(limits).collect()
}

/// Whether a mode keeps ALLOW grants of a permission from counting.
const fn is_kept_out(access: PartnerAccess, permission: &Permission) -> bool {
    match access {
        PartnerAccess::Allowed => false,
        PartnerAccess::SessionOnly | PartnerAccess::ByApproval => !permission.flags.from_outside,
        PartnerAccess::Blocked => true,
    }
}

fn found(check: Check, passed: bool, accounts: Vec<AccountIndex>) -> Vec<Checked> {
    if accounts.is_empty() {
        return vec![Checked::plain(check, true)];
    }
    let at = |account| Checked { account: Some(account), ..Checked::plain(check, passed) };
    accounts.into_iter().map(at).collect()
}
