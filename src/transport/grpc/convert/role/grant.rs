//! The grants of roles on the wire: patterns and requirements. Their conditions are read next door.

use std::collections::BTreeSet;

use super::{condition, words};
use crate::domain::invalid::Invalid;
use crate::domain::permission::Pattern;
use crate::domain::role::{
    AssuranceLevel, CONDITION_PARTS_MAX, CONDITIONS_MAX, Condition, GRANTS_MAX, Grant, Requirements, StepUp,
};
use crate::transport::grpc::convert::Fields;
use crate::transport::grpc::pb;

/// Reads the grants of a role: at least one, each only once.
pub fn grants(fields: &mut Fields, field: &str, grants: &[pb::Grant]) -> Option<Vec<Grant>> {
    if grants.is_empty() {
        fields.refuse(field, Invalid::Missing);
        return None;
    }
    if grants.len() > GRANTS_MAX {
        fields.refuse(field, Invalid::TooMany { max: GRANTS_MAX });
        return None;
    }
    let mut found: Vec<Grant> = Vec::with_capacity(grants.len());
    let mut fits = true;
    for (place, wire) in grants.iter().enumerate() {
        let field = format!("{field}[{place}]");
        match grant(fields, &field, wire) {
            Some(grant) if found.contains(&grant) => {
                fields.refuse(field, Invalid::Duplicate { value: grant.pattern.to_string() });
                fits = false;
            }
            Some(grant) => found.push(grant),
            None => fits = false,
        }
    }
    let conditions: BTreeSet<&Condition> =
        found.iter().map(|grant| &grant.condition).filter(|condition| !condition.is_empty()).collect();
    if conditions.len() > CONDITIONS_MAX {
        fields.refuse(field, Invalid::NotAllowed { why: "its grants have more than 32 different conditions" });
        return None;
    }
    if conditions.iter().map(|condition| condition.parts()).sum::<usize>() > CONDITION_PARTS_MAX {
        let why = "its conditions have more than 256 windows, attributes and labels in all";
        fields.refuse(field, Invalid::NotAllowed { why });
        return None;
    }
    fits.then_some(found)
}

fn grant(fields: &mut Fields, field: &str, grant: &pb::Grant) -> Option<Grant> {
    let pattern = fields.required(format!("{field}.permission"), &grant.permission, Pattern::parse);
    let effect = fields.take(format!("{field}.effect"), words::effect(grant.effect));
    let requirements = requirements(fields, &format!("{field}.requirements"), grant.requirements.as_ref());
    let condition = condition::condition(fields, &format!("{field}.condition"), grant.condition.as_ref());
    let grant = Grant { pattern: pattern?, effect: effect?, requirements: requirements?, condition: condition? };
    fields.take(format!("{field}.requirements"), grant.check())?;
    Some(grant)
}

fn requirements(fields: &mut Fields, field: &str, requirements: Option<&pb::Requirements>) -> Option<Requirements> {
    let Some(requirements) = requirements else { return Some(Requirements::default()) };
    let step_up = match &requirements.step_up {
        None => None,
        Some(wire) => Some(step_up(fields, &format!("{field}.step_up"), wire)?),
    };
    Some(Requirements { step_up, approval: requirements.approval.is_some() })
}

fn step_up(fields: &mut Fields, field: &str, step_up: &pb::StepUpRequirement) -> Option<StepUp> {
    let level = fields.take(format!("{field}.min_assurance"), words::assurance(step_up.min_assurance));
    let max_age_seconds = match &step_up.max_age {
        None => Some(0),
        Some(age) => fields.take(format!("{field}.max_age"), seconds(age)),
    };
    let step_up = StepUp { level: level?, max_age_seconds: max_age_seconds? };
    if step_up.level == AssuranceLevel::None && step_up.max_age_seconds == 0 {
        fields.refuse(field, Invalid::NotAllowed { why: "a step-up without level and age asks for nothing" });
        return None;
    }
    Some(step_up)
}

fn seconds(age: &prost_types::Duration) -> Result<u32, Invalid> {
    let seconds = u32::try_from(age.seconds).ok().filter(|seconds| *seconds > 0 && age.nanos == 0);
    seconds.ok_or(Invalid::Form { form: "a positive number of whole seconds" })
}

/// Writes a grant.
#[must_use]
pub fn to_pb(grant: &Grant) -> pb::Grant {
    let requirements = grant.requirements;
    let step_up = requirements.step_up.map(|step_up| pb::StepUpRequirement {
        min_assurance: words::assurance_to_pb(step_up.level).into(),
        max_age: (step_up.max_age_seconds > 0)
            .then(|| prost_types::Duration { seconds: i64::from(step_up.max_age_seconds), nanos: 0 }),
    });
    pb::Grant {
        permission: grant.pattern.to_string(),
        effect: words::effect_to_pb(grant.effect).into(),
        requirements: (requirements != Requirements::default()).then(|| pb::Requirements {
            step_up,
            approval: requirements.approval.then_some(pb::ApprovalRequirement {}),
        }),
        condition: condition::to_pb(&grant.condition),
    }
}
