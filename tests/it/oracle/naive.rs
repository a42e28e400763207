//! The naive evaluator: the rules of a decision one by one over plain lists, in loops.
//!
//! It is written from the rules alone and shares nothing with the engine but the facts and the names
//! of outcomes and reasons. Slow is fine here; clear is the point.

use peerage::decision::{Outcome, Reason};
use peerage::domain::account::{AccountKind, PartnerAccess, SuspensionScope};
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::context::Context;
use peerage::domain::fact::{AccountFact, BindingFact, PeerFact, RoleFact};
use peerage::domain::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use peerage::domain::peer::PeerStatus;
use peerage::domain::permission::{Permission, PermissionName};
use peerage::domain::role::{AssuranceLevel, Effect, Grant, Requirements, StepUp};
use peerage::domain::time::Timestamp;

use super::conditions::{self, Holds};
use super::facts::Facts;

/// What is asked, by names.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) peer: Option<PeerId>,
    pub(crate) permission: PermissionName,
    pub(crate) account: AccountId,
    pub(crate) now: Timestamp,
    pub(crate) context: Context,
}

/// The grant that decided, by names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decider {
    pub(crate) binding: BindingId,
    pub(crate) group: Option<GroupId>,
    pub(crate) role: RoleId,
    pub(crate) grant: u16,
}

/// An answer, by names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) reason: Reason,
    pub(crate) decider: Option<Decider>,
    pub(crate) unmet: Requirements,
    pub(crate) missing: Option<String>,
}

/// A matching grant of a binding that reaches the account in its window, and whose condition holds or
/// depends on what the request lacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) binding: &'a BindingFact,
    pub(crate) role: &'a RoleFact,
    pub(crate) place: u16,
    pub(crate) grant: &'a Grant,
    /// Active, and by an active membership; otherwise it waits for an elevation.
    pub(crate) active: bool,
    /// What its condition needs and the request lacks.
    pub(crate) missing: Option<&'a str>,
}

impl Line<'_> {
    /// The grant's requirements; `min_assurance` acts as a step-up of that level.
    pub(crate) fn stated(&self) -> Requirements {
        let own = self.grant.requirements;
        let least = self.role.rules.min_assurance;
        if least == AssuranceLevel::None {
            return own;
        }
        let step_up = match own.step_up {
            Some(step_up) if step_up.level >= least => step_up,
            Some(step_up) => StepUp { level: least, ..step_up },
            None => StepUp { level: least, max_age_seconds: 0 },
        };
        Requirements { step_up: Some(step_up), ..own }
    }

    fn is_allow(&self) -> bool {
        self.grant.effect == Effect::Allow
    }

    fn decider(&self) -> Decider {
        let group = match self.binding.principal {
            Principal::Peer(_) => None,
            Principal::Group(group) => Some(group),
        };
        Decider { binding: self.binding.id, group, role: self.role.id.clone(), grant: self.place }
    }

    /// Ties are broken by the lowest binding id, then by the order of grants.
    fn order(&self) -> (BindingId, u16) {
        (self.binding.id, self.place)
    }
}

/// The answer to a question.
pub(crate) fn answer(facts: &Facts, question: &Question) -> Answer {
    let (peer, permission) = match admit(facts, question) {
        Ok(admitted) => admitted,
        Err(reason) => return deny(reason, None),
    };
    let lines = matching(facts, question, peer, permission);

    // A DENY grant of any binding that applies wins over everything, also where its condition lacks
    // something; one whose condition holds is named first.
    let denies = lines.iter().filter(|line| line.active && !line.is_allow());
    if let Some(line) = denies.min_by_key(|line| (line.missing.is_some(), line.order())) {
        return deny(Reason::DenyGrant, Some(line));
    }

    // An ALLOW grant whose condition lacks something does not match.
    let (lacking, lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.missing.is_some());

    // Partner access takes ALLOW grants away, whether they are active or wait for an elevation.
    let access = access(facts, question, peer);
    if !counts(access, permission) && lines.iter().any(Line::is_allow) {
        let reason = match access {
            PartnerAccess::Blocked => Reason::PartnerAccessBlocked,
            PartnerAccess::Allowed | PartnerAccess::SessionOnly | PartnerAccess::ByApproval => {
                Reason::PartnerAccessSessionRequired
            }
        };
        // What decided is the account's setting, not a grant.
        return deny(reason, None);
    }

    if let Some(line) = best(lines.iter().filter(|line| line.is_allow() && line.active)) {
        // A question by name brings no session and no approval, so whatever is stated is unmet.
        let unmet = line.stated();
        let (outcome, reason) = match (unmet.step_up, unmet.approval) {
            (None, false) => (Outcome::Allow, Reason::Allowed),
            (Some(_), false) => (Outcome::RequiresStepUp, Reason::StepUpRequired),
            (_, true) => (Outcome::RequiresApproval, Reason::ApprovalRequired),
        };
        return Answer { outcome, reason, decider: Some(line.decider()), unmet, missing: None };
    }
    if let Some(line) = best(lines.iter().filter(|line| line.is_allow())) {
        return deny(Reason::EligibleNotActive, Some(line));
    }
    if let Some(line) = best(lacking.iter().filter(|line| line.is_allow())) {
        return deny(Reason::MissingAttribute, Some(line));
    }
    deny(Reason::NoMatchingGrant, None)
}

/// The lines that apply once partner access has taken away what it takes: what casbin is given.
/// Nothing applies for a subject, or on an account, that is not let through at all.
pub(crate) fn applying<'a>(facts: &'a Facts, question: &Question) -> Vec<Line<'a>> {
    let Ok((peer, permission)) = admit(facts, question) else { return Vec::new() };
    let allowed = counts(access(facts, question, peer), permission);
    let mut lines = reaching(facts, question, peer);
    lines.retain(|line| line.active && (!line.is_allow() || (allowed && line.missing.is_none())));
    lines
}

fn deny(reason: Reason, line: Option<&Line<'_>>) -> Answer {
    Answer {
        outcome: Outcome::Deny,
        reason,
        decider: line.map(Line::decider),
        unmet: Requirements::default(),
        missing: line.and_then(|line| line.missing).map(str::to_owned),
    }
}

/// Whether the subject may act at all, and on an account in this state.
fn admit<'a>(facts: &'a Facts, question: &Question) -> Result<(&'a PeerFact, &'a Permission), Reason> {
    let peer = facts.peers.iter().find(|peer| Some(peer.id) == question.peer).ok_or(Reason::SubjectUnknown)?;
    match peer.status {
        PeerStatus::Enabled => {}
        PeerStatus::Disabled => return Err(Reason::SubjectDisabled),
        PeerStatus::Deleted => return Err(Reason::SubjectUnknown),
    }
    if peer.expire_time.is_some_and(|end| question.now >= end) {
        return Err(Reason::SubjectExpired);
    }
    let home = facts.path(&peer.home);
    let own_peers_stopped = home.first().is_none_or(|own| own.suspension == Some(SuspensionScope::OwnPeers));
    if own_peers_stopped || is_suspended(&home) {
        return Err(Reason::SubjectHomeSuspended);
    }
    let permission = facts
        .permissions
        .iter()
        .find(|permission| permission.name == question.permission)
        .expect("only registered permissions are asked for");
    if is_suspended(&facts.path(&question.account)) && !permission.flags.on_suspended {
        return Err(Reason::AccountSuspended);
    }
    Ok((peer, permission))
}

fn is_suspended(path: &[&AccountFact]) -> bool {
    path.iter().any(|account| account.suspension == Some(SuspensionScope::Subtree))
}

/// The strictest of the modes on the target's path that limit the peer.
fn access(facts: &Facts, question: &Question, peer: &PeerFact) -> PartnerAccess {
    let mut strictest = PartnerAccess::Allowed;
    let home = facts.accounts.iter().find(|account| account.id == peer.home);
    if home.is_some_and(|home| home.kind == AccountKind::Platform) {
        return strictest;
    }
    for account in facts.path(&question.account) {
        if !facts.is_within(&peer.home, &account.id) {
            strictest = strictest.max(account.partner_access);
        }
    }
    strictest
}

/// Whether ALLOW grants of the permission count under a mode.
fn counts(access: PartnerAccess, permission: &Permission) -> bool {
    match access {
        PartnerAccess::Allowed => true,
        PartnerAccess::SessionOnly | PartnerAccess::ByApproval => permission.flags.from_outside,
        PartnerAccess::Blocked => false,
    }
}

/// Every grant of every binding of the peer that is on the account or reaches down to it, is inside
/// its window, and whose condition does not fail.
fn reaching<'a>(facts: &'a Facts, question: &Question, peer: &PeerFact) -> Vec<Line<'a>> {
    let path = facts.path(&question.account);
    let mut lines = Vec::new();
    for binding in &facts.bindings {
        let membership = match binding.principal {
            Principal::Peer(holder) if holder == peer.id => Mode::Active,
            Principal::Peer(_) => continue,
            Principal::Group(group) => {
                let member = facts.members.iter().find(|member| member.group == group && member.peer == peer.id);
                match member {
                    Some(member) if is_open(member.window.start(), member.window.expire(), question.now) => member.mode,
                    Some(_) | None => continue,
                }
            }
        };
        let reaches = match binding.reach {
            Reach::AccountOnly => binding.account == question.account,
            Reach::Subtree => path.iter().any(|account| account.id == binding.account),
        };
        if !reaches || !is_open(binding.window.start(), binding.window.expire(), question.now) {
            continue;
        }
        let active = binding.mode == Mode::Active && membership == Mode::Active;
        let Some(role) = facts.roles.iter().find(|role| role.id == binding.role) else { continue };
        for (place, grant) in (0_u16..).zip(&role.grants) {
            match conditions::holds(&grant.condition, &path, question) {
                Holds::Yes => lines.push(Line { binding, role, place, grant, active, missing: None }),
                Holds::Lacks(missing) => {
                    lines.push(Line { binding, role, place, grant, active, missing: Some(missing) });
                }
                Holds::No => {}
            }
        }
    }
    lines
}

fn matching<'a>(facts: &'a Facts, question: &Question, peer: &PeerFact, permission: &Permission) -> Vec<Line<'a>> {
    let mut lines = reaching(facts, question, peer);
    lines.retain(|line| names(line.grant, permission));
    lines
}

/// Half-open: the start counts, the end no longer does.
fn is_open(start: Option<Timestamp>, expire: Option<Timestamp>, now: Timestamp) -> bool {
    start.is_none_or(|start| start <= now) && expire.is_none_or(|expire| now < expire)
}

/// A literal names itself, `*` anything; a reserved permission is named literally only.
pub(crate) fn names(grant: &Grant, permission: &Permission) -> bool {
    let pattern = grant.pattern.as_str();
    if pattern == permission.name.as_str() {
        return true;
    }
    if permission.flags.reserved {
        return false;
    }
    let (own_resource, own_action) = pattern.split_once('.').expect("a pattern has two segments");
    let (resource, action) = permission.name.as_str().split_once('.').expect("a name has two segments");
    (own_resource == "*" || own_resource == resource) && (own_action == "*" || own_action == action)
}

/// The line with the least unmet requirements; ties go to the fewest stated, then to the order.
fn best<'a, 'b: 'a>(lines: impl Iterator<Item = &'a Line<'b>>) -> Option<&'a Line<'b>> {
    lines.min_by_key(|line| {
        let stated = line.stated();
        let unmet = match (stated.step_up.is_some(), stated.approval) {
            (false, false) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (true, true) => 3,
        };
        (unmet, u8::from(stated.step_up.is_some()) + u8::from(stated.approval), line.order())
    })
}
