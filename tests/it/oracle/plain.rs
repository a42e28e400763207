//! Plain casbin as an oracle: the lines that apply to a subject go into one enforcer under one role,
//! and it is asked. Which lines apply is said by the naive evaluator; what they amount to, by casbin.

use casbin::{CoreApi as _, DefaultModel, Enforcer, NullAdapter};
use futures_util::FutureExt as _;
use peerage::decision::Outcome;
use peerage::decision::compile::{MODEL, line};
use peerage::domain::permission::Permission;
use peerage::domain::role::Grant;

use super::naive::Line;

/// One enforcer, whose lines are exchanged for each question.
pub(crate) struct Plain {
    enforcer: Enforcer,
}

/// The column of a policy line that holds its requirement.
const REQUIREMENT: usize = 4;
const EFFECT: usize = 5;

impl Plain {
    pub(crate) fn new() -> Self {
        let model = DefaultModel::from_str(MODEL).now_or_never().unwrap().unwrap();
        Self { enforcer: Enforcer::new_raw(model, NullAdapter).now_or_never().unwrap().unwrap() }
    }

    /// Asks with ever more of the ALLOW lines: those without requirement, those that want a step-up
    /// too, all of them. The first that casbin allows says what is still to be met.
    pub(crate) fn outcome(&mut self, lines: &[Line<'_>], permission: &Permission) -> Outcome {
        let lines: Vec<Vec<String>> = lines
            .iter()
            .map(|own| line("subject", &Grant { requirements: own.stated(), ..own.grant.clone() }))
            .collect();
        let stages: [(&[&str], Outcome); 3] = [
            (&["none"], Outcome::Allow),
            (&["none", "step_up"], Outcome::RequiresStepUp),
            (&["none", "step_up", "approval", "both"], Outcome::RequiresApproval),
        ];
        for (requirements, outcome) in stages {
            let some = lines
                .iter()
                .filter(|line| line[EFFECT] == "deny" || requirements.contains(&line[REQUIREMENT].as_str()))
                .cloned()
                .collect();
            if self.allows(some, permission) {
                return outcome;
            }
        }
        Outcome::Deny
    }

    fn allows(&mut self, lines: Vec<Vec<String>>, permission: &Permission) -> bool {
        let model = self.enforcer.get_mut_model();
        model.clear_policy();
        for line in lines {
            // A line that is there already means the same twice.
            model.add_policy("p", "p", line);
        }
        let reserved = if permission.flags.reserved { "yes" } else { "no" };
        let request = ("subject", permission.name.resource(), permission.name.action(), reserved);
        self.enforcer.enforce(request).unwrap()
    }
}
