//! The smallest changes that would make a denial an ALLOW.
//!
//! INVARIANT: a suggestion is true, and nothing of it can be left out. Each is tried on a copy of the
//! facts before it is given, and so is every part of it; what was not tried is not said.
//!
//! Not every way there is is looked for: of what nearly matched, the few that lack least; of roles to
//! bind, those that the application brings; of what denies, taking it away or waiting for its end.

use super::change::{Alteration, altered};
use super::meet::meeting;
use super::{Check, Entry, Explanation, Obstacle};
use crate::decision::compile::Compiler;
use crate::decision::evaluate::{Decision, Outcome, Query, evaluate};
use crate::decision::snapshot::{AccountIndex, GroupIndex, PeerIndex, RoleIndex, Snapshot, SnapshotError};
use crate::domain::binding::{Mode, Reach};
use crate::domain::role::Effect;
use crate::domain::time::Timestamp;

/// The most changes of one suggestion: of more, nobody would say that they are small.
const CHANGES_MAX: usize = 8;
/// The most suggestions.
const SUGGESTIONS_MAX: usize = 16;
/// The most grants that nearly matched to be looked at.
const NEAR_MAX: usize = 8;
/// The most copies of the facts that are tried. Whoever holds thousands of bindings makes each dear.
const TRIALS_MAX: usize = 500;

/// A role that could be bound to the subject at the account, or at one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignable {
    pub role: RoleIndex,
    pub account: AccountIndex,
    pub reach: Reach,
}

/// Changes of which all are needed, and what is decided after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub alterations: Vec<Alteration>,
    pub decision: Decision,
}

/// Finds changes after which a decision would be ALLOW, or ALLOW once its obligations are met. The
/// smallest come first.
///
/// # Errors
/// [`SnapshotError`] where a copy of the facts cannot be changed.
pub fn suggest(
    snapshot: &Snapshot,
    query: &Query<'_>,
    explanation: &Explanation<'_>,
    assignable: &[Assignable],
    compiler: &mut Compiler,
) -> Result<Vec<Suggestion>, SnapshotError> {
    let decision = explanation.decision;
    match decision.outcome {
        Outcome::Allow => return Ok(Vec::new()),
        Outcome::RequiresStepUp | Outcome::RequiresApproval => {
            return Ok(vec![Suggestion { alterations: Vec::new(), decision }]);
        }
        Outcome::Deny => {}
    }
    let is_known = explanation.checks.iter().all(|checked| checked.check != Check::SubjectKnown || checked.passed);
    let Some(peer) = query.peer.filter(|_| is_known) else { return Ok(Vec::new()) };
    let mut search = Search { snapshot, query, peer, trials: 0, found: Vec::new() };
    for way in ways(snapshot, query, explanation, assignable) {
        search.go(way, compiler)?;
    }
    let mut found = search.found;
    found.sort_by_key(|suggestion| (suggestion.alterations.len(), suggestion.decision.unmet.rank()));
    found.truncate(SUGGESTIONS_MAX);
    Ok(found)
}

/// Sets of changes that may do, each with more in it than may be needed.
fn ways(
    snapshot: &Snapshot,
    query: &Query<'_>,
    explanation: &Explanation<'_>,
    assignable: &[Assignable],
) -> Vec<Vec<Alteration>> {
    let base = before_grants(explanation);
    let mut near: Vec<(usize, Vec<Alteration>)> = explanation
        .entries
        .iter()
        .filter(|entry| entry.effect() == Some(Effect::Allow))
        .filter_map(|entry| Some((entry.obstacles.len(), lacking(snapshot, query, entry)?)))
        .collect();
    near.sort_by_key(|(obstacles, _)| *obstacles);
    near.truncate(NEAR_MAX);
    let bound = assignable
        .iter()
        .map(|one| vec![Alteration::BindRole { role: one.role, account: one.account, reach: one.reach }]);
    let gains: Vec<Vec<Alteration>> = near.into_iter().map(|(_, gain)| gain).chain(bound).collect();
    let mut ways = Vec::new();
    for denial in denials(explanation) {
        for gain in &gains {
            let mut way = gain.clone();
            way.extend(base.iter().chain(&denial).cloned());
            let way = tidy(way);
            if way.len() <= CHANGES_MAX && !ways.contains(&way) {
                ways.push(way);
            }
        }
    }
    ways
}

/// What would take away all that stands before grants.
fn before_grants(explanation: &Explanation<'_>) -> Vec<Alteration> {
    let mut changes = Vec::new();
    for checked in explanation.checks.iter().filter(|checked| !checked.passed) {
        match (checked.check, checked.account) {
            (Check::SubjectEnabled, _) => changes.push(Alteration::EnablePeer),
            (Check::SubjectNotExpired, _) => changes.push(Alteration::RenewPeer),
            (Check::HomeActive | Check::AccountActive, Some(account)) => changes.push(Alteration::Resume(account)),
            (Check::PartnerAccess, Some(account)) => changes.push(Alteration::AllowPartnerAccess(account)),
            (Check::SubjectKnown | Check::CredentialLive, _)
            | (Check::HomeActive | Check::AccountActive | Check::PartnerAccess, None) => {}
        }
    }
    changes
}

/// What a grant that nearly matched lacks; `None` where no small change would help.
fn lacking(snapshot: &Snapshot, query: &Query<'_>, entry: &Entry<'_>) -> Option<Vec<Alteration>> {
    let (_, grant) = entry.grant?;
    let (binding, group) = (entry.binding.id, entry.through.map(|through| through.group));
    let mut changes = Vec::new();
    for obstacle in &entry.obstacles {
        match obstacle {
            Obstacle::OutOfReach | Obstacle::Reserved => return None,
            Obstacle::OutsideWindow => changes.extend(open(entry, query.now)),
            Obstacle::ConditionNotMet | Obstacle::AttributeMissing => {
                changes.extend(meeting(snapshot, query, &grant.condition)?);
            }
            // Goes away with what stands before grants.
            Obstacle::PartnerAccess => {}
            Obstacle::NotActive => {
                if entry.binding.mode == Mode::Eligible {
                    changes.push(Alteration::ElevateBinding { binding, group });
                }
                if let Some(through) = entry.through.filter(|through| through.mode == Mode::Eligible) {
                    changes.push(Alteration::ElevateMembership(through.group));
                }
            }
        }
    }
    Some(changes)
}

/// What opens the windows of an entry.
fn open(entry: &Entry<'_>, now: Timestamp) -> Vec<Alteration> {
    let (binding, group) = (entry.binding.id, entry.through.map(|through| through.group));
    let mut changes = Vec::new();
    if entry.window.is_over(now) {
        changes.push(Alteration::RenewBinding { binding, group });
    }
    if let Some(through) = entry.through.filter(|through| through.window.is_over(now)) {
        changes.push(Alteration::RenewMembership(through.group));
    }
    let starts = [Some(entry.window), entry.through.map(|through| through.window)];
    let starts = starts.into_iter().flatten().filter_map(|window| window.start()).filter(|start| *start > now);
    changes.extend(starts.map(Alteration::WaitUntil));
    changes
}

/// Ways to be rid of every DENY that counts: the peer's own bindings are taken away, and it leaves the
/// groups through which it is denied, or those lose the binding; or time takes care of all of them.
fn denials(explanation: &Explanation<'_>) -> Vec<Vec<Alteration>> {
    let counting: Vec<&Entry<'_>> = explanation
        .entries
        .iter()
        .filter(|entry| entry.effect() == Some(Effect::Deny) && entry.obstacles.is_empty())
        .collect();
    let remove =
        |entry: &Entry<'_>, group: Option<GroupIndex>| Alteration::RemoveBinding { binding: entry.binding.id, group };
    let leaving = counting.iter().map(|entry| match entry.through {
        Some(through) => Alteration::LeaveGroup(through.group),
        None => remove(entry, None),
    });
    let removing = counting.iter().map(|entry| remove(entry, entry.through.map(|through| through.group)));
    let mut ways = vec![tidy(leaving.collect())];
    let removing = tidy(removing.collect());
    if !ways.contains(&removing) {
        ways.push(removing);
    }
    let ends = counting.iter().map(|entry| {
        let through = entry.through.and_then(|through| through.window.expire());
        entry.window.expire().into_iter().chain(through).min()
    });
    if let Some(Some(end)) = ends.collect::<Option<Vec<Timestamp>>>().map(|ends| ends.into_iter().max()) {
        ways.push(vec![Alteration::WaitUntil(end)]);
    }
    ways
}

/// Each change once, and one wait, which is the longest.
fn tidy(changes: Vec<Alteration>) -> Vec<Alteration> {
    let mut kept: Vec<Alteration> = Vec::new();
    let mut until: Option<Timestamp> = None;
    for change in changes {
        if let Alteration::WaitUntil(time) = change {
            until = until.max(Some(time));
        } else if !kept.contains(&change) {
            kept.push(change);
        }
    }
    kept.extend(until.map(Alteration::WaitUntil));
    kept
}

/// What was tried, and what was found.
struct Search<'a, 'q> {
    snapshot: &'a Snapshot,
    query: &'q Query<'q>,
    peer: PeerIndex,
    trials: usize,
    found: Vec<Suggestion>,
}

impl Search<'_, '_> {
    /// Looks for the smallest part of a set that does.
    fn go(&mut self, way: Vec<Alteration>, compiler: &mut Compiler) -> Result<(), SnapshotError> {
        if self.trials >= TRIALS_MAX || self.attempt(&way, compiler)?.is_none() {
            return Ok(());
        }
        let mut parts: Vec<u32> = (0..1 << way.len()).collect();
        parts.sort_by_key(|part| part.count_ones());
        for part in parts {
            if self.trials >= TRIALS_MAX {
                return Ok(());
            }
            let alterations: Vec<Alteration> =
                (0..).zip(&way).filter(|(place, _)| part >> place & 1 == 1).map(|(_, one)| one.clone()).collect();
            if let Some(decision) = self.attempt(&alterations, compiler)? {
                let suggestion = Suggestion { alterations, decision };
                if !self.found.contains(&suggestion) {
                    self.found.push(suggestion);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// The decision after changes, unless it still is a denial.
    fn attempt(
        &mut self,
        alterations: &[Alteration],
        compiler: &mut Compiler,
    ) -> Result<Option<Decision>, SnapshotError> {
        self.trials += 1;
        let (mut snapshot, mut now) = (self.snapshot.clone(), self.query.now);
        let mut context = self.query.context.clone();
        for alteration in alterations {
            if let Alteration::WaitUntil(time) = alteration {
                now = *time;
            } else if let Alteration::SayAttribute { name, value } = alteration {
                context.attributes.insert(name.clone(), value.clone());
            } else if let Alteration::ActFrom(address) = alteration {
                context.source_address = Some(*address);
            } else {
                snapshot = altered(&snapshot, self.peer, alteration, compiler)?;
            }
        }
        let query = Query { now, context: &context, ..*self.query };
        let decision = evaluate(&snapshot, &query);
        Ok((decision.outcome != Outcome::Deny).then_some(decision))
    }
}
