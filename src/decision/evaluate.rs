//! One decision: a walk over the bindings that reach the account, in the order of DESIGN 2.
//!
//! INVARIANT: no lock, no wait, no I/O, no allocation on the way to ALLOW or DENY. What cannot be
//! found is denied.

use std::hint::black_box;

use super::compile::Naming;
use super::condition::{Missing, Verdict};
use super::snapshot::{
    AccountIndex, BindingRecord, GroupIndex, Path, PeerIndex, PeerView, PermissionIndex, RoleIndex, SCAN_MAX, Snapshot,
};
use crate::domain::account::PartnerAccess;
use crate::domain::binding::{Mode, Reach};
use crate::domain::context::Context;
use crate::domain::ids::BindingId;
use crate::domain::peer::PeerStatus;
use crate::domain::permission::Permission;
use crate::domain::role::{Effect, Requirements};
use crate::domain::time::{Timestamp, Window};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The subject; `None` where nobody has that name.
    pub peer: Option<PeerIndex>,
    pub permission: PermissionIndex,
    pub account: AccountIndex,
    pub now: Timestamp,
    pub context: &'a Context,
}

/// The four answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Allow,
    Deny,
    RequiresStepUp,
    RequiresApproval,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    Allowed,
    StepUpRequired,
    ApprovalRequired,
    SubjectUnknown,
    SubjectDisabled,
    SubjectExpired,
    SubjectHomeSuspended,
    /// What was presented for the subject has ended; no evaluation of a peer gives it.
    SubjectSessionEnded,
    AccountSuspended,
    DenyGrant,
    PartnerAccessSessionRequired,
    PartnerAccessBlocked,
    EligibleNotActive,
    /// Some condition needs what the request does not say.
    MissingAttribute,
    NoMatchingGrant,
}

/// The grant that decided, and how the peer came by it. Of MISSING_ATTRIBUTE it is the grant that would
/// decide if what is missing were such that its condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deciding {
    pub binding: BindingId,
    pub group: Option<GroupIndex>,
    pub role: RoleIndex,
    /// Its place in the role's list of grants.
    pub grant: u16,
    /// Whether the binding, and the membership that leads to it, count without an elevation.
    pub binding_mode: Mode,
    pub membership_mode: Mode,
}

/// An answer with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    pub outcome: Outcome,
    pub reason: Reason,
    pub deciding: Option<Deciding>,
    /// What is still to be met where the outcome is a requirement.
    pub unmet: Requirements,
    /// What the deciding grant's condition needs and the request lacks, where the answer rests on that.
    pub missing: Option<Missing>,
}

impl Decision {
    /// A denial that no grant decides.
    #[must_use]
    pub const fn deny(reason: Reason) -> Self {
        let unmet = Requirements { step_up: None, approval: false };
        Self { outcome: Outcome::Deny, reason, deciding: None, unmet, missing: None }
    }

    /// The name of what is missing, as the deciding grant's condition has it.
    #[must_use]
    pub fn missing_attribute<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a str> {
        let (missing, deciding) = (self.missing?, self.deciding?);
        let grant = snapshot.role(deciding.role)?.fact.grants.get(usize::from(deciding.grant))?;
        Some(missing.name(&grant.condition))
    }

    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self.outcome, Outcome::Allow)
    }
}

/// A class of grants that matched, as one of a binding.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    binding: &'a BindingRecord,
    group: Option<GroupIndex>,
    membership: Mode,
    naming: &'a Naming,
    /// What its condition needs and the request lacks.
    missing: Option<Missing>,
}

/// What the walk has seen so far.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    query: &'a Query<'a>,
    path: Path,
    permission: &'a Permission,
    access: PartnerAccess,
    denied: Option<Candidate<'a>>,
    /// Denied unless what the request lacks should be otherwise.
    perhaps_denied: Option<Candidate<'a>>,
    allowed: Option<Candidate<'a>>,
    eligible: Option<Candidate<'a>>,
    /// Would match, raised or not, if what the request lacks were right.
    lacking: Option<Candidate<'a>>,
    kept_out: bool,
}

/// Answers a query.
#[must_use]
pub fn evaluate(snapshot: &Snapshot, query: &Query<'_>) -> Decision {
    decide::<true>(snapshot, query)
}

/// What the answer would be if neither the account nor any above it were suspended: whether that is
/// all that stands in the way.
#[must_use]
pub fn evaluate_unsuspended(snapshot: &Snapshot, query: &Query<'_>) -> Decision {
    decide::<false>(snapshot, query)
}

#[inline]
fn decide<const SUSPENSION_COUNTS: bool>(snapshot: &Snapshot, query: &Query<'_>) -> Decision {
    let Some(peer) = query.peer.and_then(|peer| snapshot.peer(peer)) else {
        return Decision::deny(Reason::SubjectUnknown);
    };
    // In a large world each of these is far away in memory. Begun one after the other, before anything
    // depends on what they say, they are waited for together.
    let group = peer.memberships().first().and_then(|membership| snapshot.group(membership.group));
    let home = snapshot.account(peer.home()).map(|home| home.suspension);
    black_box((home, peer.bindings().first().map(|binding| binding.account)));
    black_box(group.and_then(|group| group.bindings().first()).map(|binding| binding.account));
    let path = snapshot.path(query.account);
    if let Some(reason) = subject_fault(snapshot, &peer, query.now) {
        return Decision::deny(reason);
    }
    let Some(permission) = snapshot.permission(query.permission) else {
        return Decision::deny(Reason::NoMatchingGrant);
    };
    if snapshot.account(query.account).is_none_or(|account| account.gone) {
        return Decision::deny(Reason::NoMatchingGrant);
    }
    if SUSPENSION_COUNTS && !permission.flags.on_suspended && snapshot.is_suspended(&path) {
        return Decision::deny(Reason::AccountSuspended);
    }
    let access = snapshot.partner_access(&path, peer.home());
    let mut walk = Walk {
        snapshot,
        query,
        path,
        permission,
        access,
        denied: None,
        perhaps_denied: None,
        allowed: None,
        eligible: None,
        lacking: None,
        kept_out: false,
    };
    walk.peer(&peer);
    walk.decide()
}

/// Why a peer cannot act at all: the first point of DESIGN 2.
#[must_use]
pub fn subject_fault(snapshot: &Snapshot, peer: &PeerView<'_>, now: Timestamp) -> Option<Reason> {
    match peer.status() {
        PeerStatus::Deleted => Some(Reason::SubjectUnknown),
        PeerStatus::Disabled => Some(Reason::SubjectDisabled),
        PeerStatus::Enabled if peer.expire() <= now => Some(Reason::SubjectExpired),
        PeerStatus::Enabled => (!snapshot.is_home_active(peer.home())).then_some(Reason::SubjectHomeSuspended),
    }
}

impl<'a> Walk<'a> {
    fn peer(&mut self, peer: &PeerView<'a>) {
        let now = self.query.now;
        self.bindings(peer.bindings(), |binding| peer.binding_window(binding), None, Mode::Active);
        for membership in peer.memberships() {
            if !peer.membership_window(membership).contains(now) {
                continue;
            }
            if let Some(group) = self.snapshot.group(membership.group) {
                let window = |binding: &BindingRecord| group.binding_window(binding);
                self.bindings(group.bindings(), window, Some(membership.group), membership.mode);
            }
        }
    }

    /// Visits those of a holder's bindings that stand on the path. They are in order of account.
    fn bindings(
        &mut self,
        bindings: &'a [BindingRecord],
        window: impl Fn(&BindingRecord) -> Window,
        group: Option<GroupIndex>,
        membership: Mode,
    ) {
        if bindings.len() <= SCAN_MAX {
            for binding in bindings {
                if self.path.contains(binding.account) {
                    self.binding(binding, &window, group, membership);
                }
            }
            return;
        }
        for place in 0..self.path.as_slice().len() {
            let Some(account) = self.path.as_slice().get(place).copied() else { break };
            let first = bindings.partition_point(|binding| binding.account < account);
            let here = bindings.iter().skip(first).take_while(|binding| binding.account == account);
            for binding in here {
                self.binding(binding, &window, group, membership);
            }
        }
    }

    #[inline]
    fn binding(
        &mut self,
        binding: &'a BindingRecord,
        window: impl Fn(&BindingRecord) -> Window,
        group: Option<GroupIndex>,
        membership: Mode,
    ) {
        let reaches = binding.reach == Reach::Subtree || binding.account == self.query.account;
        if !reaches || !window(binding).contains(self.query.now) {
            return;
        }
        let Some(role) = self.snapshot.role(binding.role) else { return };
        for naming in role.compiled.namings(self.query.permission) {
            let mut missing = None;
            if naming.is_conditional {
                let Query { now, context, .. } = *self.query;
                let condition = role.compiled.class(naming).and_then(|class| class.condition.as_ref());
                match condition.map(|condition| condition.verdict(self.snapshot, &self.path, now, context)) {
                    Some(Verdict::Holds) => {}
                    Some(Verdict::Lacks(lacks)) => missing = Some(lacks),
                    Some(Verdict::Fails) => continue,
                    // A class that is not there is a fault, and fails closed.
                    None if naming.effect == Effect::Allow => continue,
                    None => {}
                }
            }
            self.candidate(Candidate { binding, group, membership, naming, missing });
        }
    }

    fn candidate(&mut self, candidate: Candidate<'a>) {
        let is_active = candidate.binding.mode == Mode::Active && candidate.membership == Mode::Active;
        let kept = |kept: &mut Option<Candidate<'a>>| keep_least(kept, candidate);
        let is_kept_out = match self.access {
            PartnerAccess::Allowed => false,
            PartnerAccess::SessionOnly | PartnerAccess::ByApproval => !self.permission.flags.from_outside,
            PartnerAccess::Blocked => true,
        };
        match (candidate.naming.effect, is_active, candidate.missing) {
            // An eligible DENY takes nothing away until it is raised.
            (Effect::Deny, false, _) => {}
            (Effect::Deny, true, None) => kept(&mut self.denied),
            (Effect::Deny, true, Some(_)) => kept(&mut self.perhaps_denied),
            // It does not match, and so neither partner access nor an elevation has to do with it.
            (Effect::Allow, _, Some(_)) => kept(&mut self.lacking),
            (Effect::Allow, _, None) if is_kept_out => self.kept_out = true,
            (Effect::Allow, true, None) => kept(&mut self.allowed),
            (Effect::Allow, false, None) => kept(&mut self.eligible),
        }
    }

    fn decide(&self) -> Decision {
        let deny = |reason, candidate: Option<Candidate<'_>>| Decision {
            deciding: candidate.map(Candidate::deciding),
            missing: candidate.and_then(|candidate| candidate.missing),
            ..Decision::deny(reason)
        };
        if let Some(denied) = self.denied.or(self.perhaps_denied) {
            return deny(Reason::DenyGrant, Some(denied));
        }
        let Some(allowed) = self.allowed else {
            if self.kept_out {
                return match self.access {
                    PartnerAccess::Blocked => deny(Reason::PartnerAccessBlocked, None),
                    PartnerAccess::Allowed | PartnerAccess::SessionOnly | PartnerAccess::ByApproval => {
                        deny(Reason::PartnerAccessSessionRequired, None)
                    }
                };
            }
            return match (self.eligible, self.lacking) {
                (Some(eligible), _) => deny(Reason::EligibleNotActive, Some(eligible)),
                (None, Some(lacking)) => deny(Reason::MissingAttribute, Some(lacking)),
                (None, None) => deny(Reason::NoMatchingGrant, None),
            };
        };
        let unmet = match allowed.naming.rank {
            0 => Requirements::default(),
            _ => self.requirements(&allowed),
        };
        let (outcome, reason) = match (unmet.step_up, unmet.approval) {
            (None, false) => (Outcome::Allow, Reason::Allowed),
            (Some(_), false) => (Outcome::RequiresStepUp, Reason::StepUpRequired),
            (_, true) => (Outcome::RequiresApproval, Reason::ApprovalRequired),
        };
        Decision { outcome, reason, deciding: Some(allowed.deciding()), unmet, missing: None }
    }

    /// What the class of a candidate demands.
    fn requirements(&self, candidate: &Candidate<'_>) -> Requirements {
        let role = self.snapshot.role(candidate.binding.role);
        let class = role.and_then(|role| role.compiled.class(candidate.naming));
        // A class that is not there is a fault, and fails closed.
        class.map_or(Requirements { step_up: None, approval: true }, |class| class.requirements)
    }
}

impl Candidate<'_> {
    /// What is compared to find the one that decides: unmet requirements first, then how many are
    /// stated, then the binding, then the order of grants.
    ///
    /// Nothing here can meet a requirement yet: only a session can have stepped up, and an approval
    /// is spent by RPCs of its own. Unmet and stated are therefore the same.
    fn is_before(&self, other: &Self) -> bool {
        let rank = |one: &Self| {
            let stated = one.naming.rank;
            (stated, stated.count_ones(), one.binding.id, one.naming.grant)
        };
        rank(self) < rank(other)
    }

    fn deciding(self) -> Deciding {
        Deciding {
            binding: self.binding.id,
            group: self.group,
            role: self.binding.role,
            grant: self.naming.grant,
            binding_mode: self.binding.mode,
            membership_mode: self.membership,
        }
    }
}

fn keep_least<'a>(kept: &mut Option<Candidate<'a>>, candidate: Candidate<'a>) {
    if kept.is_none_or(|kept| candidate.is_before(&kept)) {
        *kept = Some(candidate);
    }
}
