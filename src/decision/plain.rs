//! A decision by plain casbin: the lines that apply to a subject go into one enforcer, and it is asked.
//!
//! It goes its own way to the same answer: no compiled roles, no classes, no ranking. Which lines apply is said
//! by the facts; what they amount to, by casbin and the model that compiles roles too. Far too slow to
//! decide by, it is what a sample of decisions is compared with while a server runs.

use casbin::{CoreApi as _, DefaultModel, Enforcer, NullAdapter};
use futures_util::FutureExt as _;

use super::compile::{CompileError, MODEL, effective_requirements, line};
use super::condition::{Conditions, Verdict};
use super::evaluate::{Outcome, Query, subject_fault};
use super::snapshot::Snapshot;
use crate::domain::account::PartnerAccess;
use crate::domain::binding::{Mode, Reach};
use crate::domain::permission::Permission;
use crate::domain::role::{Effect, Grant};

/// The name under which all lines that apply stand.
const SUBJECT: &str = "subject";
/// Which requirements count as met, in the order in which outcomes rank.
const STAGES: [(&[&str], Outcome); 3] = [
    (&["none"], Outcome::Allow),
    (&["none", "step_up"], Outcome::RequiresStepUp),
    (&["none", "step_up", "approval", "both"], Outcome::RequiresApproval),
];
/// Where a line of the model has its requirement and its effect.
const REQUIREMENT: usize = 4;
const EFFECT: usize = 5;

/// One enforcer, whose lines are exchanged for each question.
pub struct Plain {
    enforcer: Enforcer,
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Plain").finish_non_exhaustive()
    }
}

impl Plain {
    /// Makes an enforcer over the model.
    ///
    /// # Errors
    /// [`CompileError`] where casbin does not take the model.
    pub fn new() -> Result<Self, CompileError> {
        // casbin's constructors are async for the sake of adapters that do I/O; none is used here.
        let model = DefaultModel::from_str(MODEL).now_or_never().ok_or(CompileError::Pending)??;
        let enforcer = Enforcer::new_raw(model, NullAdapter).now_or_never().ok_or(CompileError::Pending)??;
        Ok(Self { enforcer })
    }

    /// What casbin answers to a query.
    ///
    /// # Errors
    /// [`CompileError`] where casbin cannot answer.
    pub fn outcome(&mut self, snapshot: &Snapshot, query: &Query<'_>) -> Result<Outcome, CompileError> {
        let Some(permission) = snapshot.permission(query.permission) else { return Ok(Outcome::Deny) };
        let lines: Vec<Vec<String>> = applying(snapshot, query, permission)
            .into_iter()
            .filter(|grant| grant.pattern.can_name(&permission.name))
            .map(|grant| line(SUBJECT, &grant))
            .collect();
        for (met, outcome) in STAGES {
            let counts = |line: &&Vec<String>| {
                let at = |place: usize| line.get(place).map_or("", String::as_str);
                at(EFFECT) == "deny" || met.contains(&at(REQUIREMENT))
            };
            let model = self.enforcer.get_mut_model();
            model.clear_policy();
            for line in lines.iter().filter(counts) {
                // A line that is there already means the same twice.
                model.add_policy("p", "p", line.clone());
            }
            let reserved = if permission.flags.reserved { "yes" } else { "no" };
            if self.enforcer.enforce((SUBJECT, permission.name.resource(), permission.name.action(), reserved))? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Deny)
    }
}

/// The grants that count for the subject there and then, each with all that it demands.
fn applying(snapshot: &Snapshot, query: &Query<'_>, permission: &Permission) -> Vec<Grant> {
    let Some((index, peer)) = query.peer.and_then(|peer| Some((peer, snapshot.peer(peer)?))) else {
        return Vec::new();
    };
    let path = snapshot.path(query.account);
    let is_there = snapshot.account(query.account).is_some_and(|account| !account.gone);
    let is_stopped = subject_fault(snapshot, &peer, query.now).is_some()
        || snapshot.is_suspended(&path) && !permission.flags.on_suspended;
    if !is_there || is_stopped {
        return Vec::new();
    }
    let is_let_in = match snapshot.partner_access(&path, peer.home()) {
        PartnerAccess::Allowed => true,
        PartnerAccess::SessionOnly | PartnerAccess::ByApproval => permission.flags.from_outside,
        PartnerAccess::Blocked => false,
    };
    let mut grants = Vec::new();
    for held in snapshot.held(index) {
        let binding = held.binding;
        let reaches = match binding.reach {
            Reach::Subtree => path.contains(binding.account),
            Reach::AccountOnly => binding.account == query.account,
        };
        let Some(role) = snapshot.role(binding.role) else { continue };
        if !reaches || held.mode != Mode::Active || !held.window.contains(query.now) {
            continue;
        }
        for grant in &role.fact.grants {
            let verdict = if grant.condition.is_empty() {
                Verdict::Holds
            } else {
                let condition = Conditions::default().ready(&grant.condition, grant.effect);
                condition.verdict(snapshot, &path, query.now, query.context)
            };
            let counts = match (grant.effect, verdict) {
                (_, Verdict::Fails) | (Effect::Allow, Verdict::Lacks(_)) => false,
                (Effect::Deny, Verdict::Holds | Verdict::Lacks(_)) => true,
                (Effect::Allow, Verdict::Holds) => is_let_in,
            };
            if counts {
                let requirements = effective_requirements(grant, &role.fact.rules);
                grants.push(Grant { requirements, ..grant.clone() });
            }
        }
    }
    grants
}
