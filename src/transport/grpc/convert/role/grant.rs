//! The grants of roles on the wire: patterns, requirements, conditions.

use std::collections::{BTreeMap, BTreeSet};

use super::{unbuilt, words};
use crate::domain::account::{label_key, label_value};
use crate::domain::invalid::Invalid;
use crate::domain::permission::Pattern;
use crate::domain::role::{AssuranceLevel, CONDITIONS_MAX, Condition, GRANTS_MAX, Grant, Requirements, StepUp};
use crate::transport::grpc::convert::Fields;
use crate::transport::grpc::pb;

/// Bounds of conditions, from the contract.
const LABELS_MAX: usize = 32;
const LABEL_VALUES_MAX: usize = 64;

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
    fits.then_some(found)
}

fn grant(fields: &mut Fields, field: &str, grant: &pb::Grant) -> Option<Grant> {
    let pattern = fields.required(format!("{field}.permission"), &grant.permission, Pattern::parse);
    let effect = fields.take(format!("{field}.effect"), words::effect(grant.effect));
    let requirements = requirements(fields, &format!("{field}.requirements"), grant.requirements.as_ref());
    let condition = condition(fields, &format!("{field}.condition"), grant.condition.as_ref());
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

fn condition(fields: &mut Fields, field: &str, condition: Option<&pb::Condition>) -> Option<Condition> {
    let Some(condition) = condition else { return Some(Condition::default()) };
    unbuilt::refuse(fields, field, condition);
    let field = format!("{field}.account_labels");
    if condition.account_labels.len() > LABELS_MAX {
        fields.refuse(field, Invalid::TooMany { max: LABELS_MAX });
        return None;
    }
    let mut account_labels = BTreeMap::new();
    let mut fits = true;
    for (place, label) in condition.account_labels.iter().enumerate() {
        match label_match(fields, &format!("{field}[{place}]"), label) {
            Some((key, _)) if account_labels.contains_key(&key) => {
                fields.refuse(&field, Invalid::Duplicate { value: key });
                fits = false;
            }
            Some((key, values)) => {
                account_labels.insert(key, values);
            }
            None => fits = false,
        }
    }
    fits.then_some(Condition { account_labels })
}

fn label_match(fields: &mut Fields, field: &str, label: &pb::AccountLabelMatch) -> Option<(String, Vec<String>)> {
    let key = fields.required(format!("{field}.key"), &label.key, label_key);
    let field = format!("{field}.values");
    if label.values.is_empty() {
        fields.refuse(&field, Invalid::Missing);
    }
    if label.values.len() > LABEL_VALUES_MAX {
        fields.refuse(&field, Invalid::TooMany { max: LABEL_VALUES_MAX });
        return None;
    }
    let read = |(place, value): (usize, &String)| fields.take(format!("{field}[{place}]"), label_value(value));
    let mut values: Vec<String> = label.values.iter().enumerate().filter_map(read).collect();
    let is_whole = !values.is_empty() && values.len() == label.values.len();
    // Order means nothing here, and two conditions that say the same are the same.
    values.sort_unstable();
    values.dedup();
    Some((key?, is_whole.then_some(values)?))
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
    let labels = grant.condition.account_labels.iter();
    let account_labels: Vec<pb::AccountLabelMatch> =
        labels.map(|(key, values)| pb::AccountLabelMatch { key: key.clone(), values: values.clone() }).collect();
    pb::Grant {
        permission: grant.pattern.to_string(),
        effect: words::effect_to_pb(grant.effect).into(),
        requirements: (requirements != Requirements::default()).then(|| pb::Requirements {
            step_up,
            approval: requirements.approval.then_some(pb::ApprovalRequirement {}),
        }),
        condition: (!grant.condition.is_empty()).then(|| pb::Condition { account_labels, ..pb::Condition::default() }),
    }
}
