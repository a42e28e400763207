//! Grants and rules of custom roles, written as in the role packs. Their conditions are read next door.

use super::condition;
use super::problems::{At, Fields, Problems};
use super::yaml::{self, Node, Value};
use crate::cli::words::Word;
use crate::domain::permission::Pattern;
use crate::domain::role::GRANTS_MAX;
use crate::transport::grpc::pb;

const SECONDS_PER_MINUTE: i64 = 60;
const MAX_AGE_MINUTES: i64 = 30 * 24 * 60;

/// Reads a file that is a list of grants.
pub(crate) fn parse_file(text: &str) -> Result<Vec<pb::Grant>, Problems> {
    let root = yaml::parse(text)?;
    let mut problems = Problems::default();
    let grants = grants(&root, &mut problems);
    problems.into_result(grants)
}

/// Reads a list of grants.
pub(crate) fn grants(node: &Node, problems: &mut Problems) -> Vec<pb::Grant> {
    let Value::List(items) = &node.value else {
        problems.add(node.line, "grants must be a list such as `- { allow: devices.view }`");
        return Vec::new();
    };
    if items.is_empty() || items.len() > GRANTS_MAX {
        problems.add(node.line, format!("a role has between 1 and {GRANTS_MAX} grants"));
    }
    items.iter().filter_map(|item| grant(item, problems)).collect()
}

fn grant(node: &Node, problems: &mut Problems) -> Option<pb::Grant> {
    let mut fields = Fields::open(node, &["allow", "deny", "approval", "step_up", "when"], problems)?;
    let pattern = |text: &str| Pattern::parse(text).map(|pattern| pattern.to_string());
    let allow = fields.find("allow", pattern);
    let deny = fields.find("deny", pattern);
    let is_one = fields.node("allow").is_some() != fields.node("deny").is_some();
    if !is_one {
        fields.problem(node.line, "needs exactly one of `allow` and `deny`");
    }
    let approval = fields.flag("approval").unwrap_or(false);
    let step_up = fields.node("step_up").map(|step_up| self::step_up(step_up, fields.problems()));
    if fields.node("deny").is_some() && (approval || step_up.is_some()) {
        fields.problem(node.line, "a DENY grant carries no requirements");
    }
    let condition = fields.node("when").map(|when| condition::condition(when, fields.problems()));
    let requirements = (approval || step_up.is_some()).then(|| pb::Requirements {
        step_up: step_up.flatten(),
        approval: approval.then_some(pb::ApprovalRequirement {}),
    });
    let effect = if allow.is_some() { pb::GrantEffect::Allow } else { pb::GrantEffect::Deny };
    let permission = allow.or(deny)?.value;
    Some(pb::Grant { permission, effect: effect.into(), requirements, condition: condition.flatten() })
}

pub(crate) fn step_up(node: &Node, problems: &mut Problems) -> Option<pb::StepUpRequirement> {
    let mut fields = Fields::open(node, &["level", "max_age_minutes"], problems)?;
    let level = fields.get("level", |text| match text {
        text if text.eq_ignore_ascii_case("NONE") => Ok(pb::AssuranceLevel::Unspecified),
        text => pb::AssuranceLevel::parse(text).ok_or("must be `NONE`, `EMAIL`, `TOTP` or `PASSKEY`"),
    })?;
    let max_age = fields.find("max_age_minutes", minutes);
    Some(pb::StepUpRequirement {
        min_assurance: level.value.into(),
        max_age: max_age.map(|age| prost_types::Duration { seconds: age.value * SECONDS_PER_MINUTE, nanos: 0 }),
    })
}

fn minutes(text: &str) -> Result<i64, String> {
    let minutes = text.parse().ok().filter(|minutes| (1..=MAX_AGE_MINUTES).contains(minutes));
    minutes.ok_or_else(|| format!("must be a number from 1 to {MAX_AGE_MINUTES}"))
}

const RULES: [&str; 6] =
    ["max_holders", "peer_kinds", "account_kinds", "reaches", "requires_justification", "min_assurance"];

/// Reads a role's rules of use.
pub(super) fn rules(node: &Node, problems: &mut Problems) -> Option<pb::RoleRules> {
    let mut fields = Fields::open(node, &RULES, problems)?;
    let max_holders = fields.find("max_holders", |text| {
        text.parse::<i32>().ok().filter(|count| *count > 0).ok_or("must be a number above 0")
    });
    let rules = pb::RoleRules {
        max_holders: max_holders.map_or(0, |count| count.value),
        peer_kinds: words(&mut fields, "peer_kinds", pb::PeerKind::parse),
        account_kinds: words(&mut fields, "account_kinds", pb::AccountKind::parse),
        reaches: words(&mut fields, "reaches", pb::Reach::parse),
        requires_justification: fields.flag("requires_justification").unwrap_or(false),
        min_assurance: fields
            .find("min_assurance", |text| pb::AssuranceLevel::parse(text).ok_or("must be `EMAIL`, `TOTP` or `PASSKEY`"))
            .map_or(0, |level| level.value.into()),
        ..Default::default()
    };
    Some(rules)
}

fn words<T: Into<i32>>(fields: &mut Fields<'_, '_>, key: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<i32> {
    let read = |text: &str| parse(text).map(|word| (word, text.to_owned())).ok_or("is not a word of the role packs");
    let list = fields.list(key, read);
    let mut words: Vec<i32> = Vec::new();
    for At { line, value: (word, text) } in list.unwrap_or_default() {
        let word = word.into();
        if words.contains(&word) {
            fields.problem(line, format!("`{key}` contains `{text}` more than once"));
        } else {
            words.push(word);
        }
    }
    words
}

/// The form in which grants are compared: what says nothing is left out, what has no order is sorted.
pub(super) fn normal(grants: &[pb::Grant]) -> Vec<pb::Grant> {
    let mut grants = grants.to_vec();
    for grant in &mut grants {
        grant.requirements.take_if(|requirements| *requirements == pb::Requirements::default());
        grant.condition.take_if(|condition| *condition == pb::Condition::default());
        if let Some(condition) = &mut grant.condition {
            condition::normalize(condition);
        }
    }
    grants
}

/// Whether the rules that a role has are those that the file wants.
pub(super) fn same_rules(has: Option<&pb::RoleRules>, wants: &pb::RoleRules) -> bool {
    let mut has = has.cloned().unwrap_or_default();
    // Fixed for custom roles, and no part of the file.
    has.assignable = None;
    has.grantable_roles.clear();
    has.session_role.clear();
    has.peer_fields.clear();
    has == *wants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_read_as_in_the_packs() {
        let grants = parse_file(
            "- { allow: devices.view }\n- { allow: licenses.order, approval: true }\n- { deny: devices.delete }\n\
             - { allow: '*.*', when: { account_labels: { env: [test] } } }\n\
             - { allow: a.b, step_up: { level: TOTP, max_age_minutes: 15 } }\n",
        )
        .unwrap();
        assert_eq!(grants.len(), 5);
        assert_eq!(grants[1].requirements.as_ref().unwrap().approval, Some(pb::ApprovalRequirement {}));
        assert_eq!(grants[2].effect(), pb::GrantEffect::Deny);
        assert_eq!(grants[3].condition.as_ref().unwrap().account_labels[0].values, ["test"]);
        assert_eq!(grants[4].requirements.as_ref().unwrap().step_up.as_ref().unwrap().max_age.unwrap().seconds, 900);
        assert_eq!(normal(&grants), grants);
    }

    #[test]
    fn every_bad_grant_is_named() {
        let problems = parse_file(
            "- { allow: devices }\n- { allow: a.b, deny: a.c }\n- { deny: a.b, approval: true }\n- x\n\
             - { alow: a.b }\n- { allow: a.b, approval: maybe }\n",
        )
        .unwrap_err();
        let shown = problems.show("g");
        for line in 1..=6 {
            assert!(shown.contains(&format!("g:{line}: ")), "{line}: {shown}");
        }
    }
}
