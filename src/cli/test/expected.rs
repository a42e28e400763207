//! What a test expects of an answer: how it is written, and how an answer differs from it.
//!
//! A word alone is a decision (`DENY`) or a reason (`NO_MATCHING_GRANT`), which no decision is called
//! like. A map says more; what it does not name is not compared.

use super::names::Names;
use crate::cli::apply::problems::{At, Fields, Problems};
use crate::cli::apply::read::{account_name, one_of};
use crate::cli::apply::world::{RoleRef, Titled};
use crate::cli::apply::yaml::{Node, Value};
use crate::cli::words::Word as _;
use crate::domain::ids::AccountId;
use crate::domain::permission::Pattern;
use crate::transport::grpc::pb;

const DECISIONS: &str = "`ALLOW`, `DENY`, `REQUIRES_STEP_UP`, `REQUIRES_APPROVAL`";
const OUTCOMES: &str = "`DECIDED`, `OUTRANKED`, `CONDITION_NOT_MET`, `ATTRIBUTE_MISSING`, `OUTSIDE_WINDOW`, \
                        `NOT_ACTIVE`, `OUT_OF_REACH`, `PARTNER_ACCESS`, `RESERVED`, `NO_MATCH`, `BARRED`";

/// What is expected of one decision. What is `None` is not compared.
#[derive(Debug, Default, Clone)]
pub(super) struct Expected {
    pub(super) decision: Option<pb::Decision>,
    pub(super) reason: Option<pb::DecisionReason>,
    pub(super) missing_attribute: Option<String>,
    /// All that is to be done first, in any order.
    pub(super) obligations: Option<Vec<Owed>>,
    pub(super) decided_by: Option<Source>,
    /// What must be among that which was looked at.
    pub(super) considered: Vec<(Source, pb::GrantOutcome)>,
}

/// Something to be done before the answer is ALLOW.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owed {
    Approval,
    Elevation,
    StepUp { level: i32, max_age_seconds: u32 },
}

impl Owed {
    pub(super) fn show(&self) -> String {
        match self {
            Self::Approval => "APPROVAL".to_owned(),
            Self::Elevation => "ELEVATION".to_owned(),
            Self::StepUp { level, max_age_seconds } => {
                let level = match pb::AssuranceLevel::of(*level) {
                    unset if unset == "-" => "NONE".to_owned(),
                    level => level,
                };
                match max_age_seconds {
                    0 => format!("step_up {level}"),
                    seconds => format!("step_up {level} within {} min", f64::from(*seconds) / 60.0),
                }
            }
        }
    }
}

/// A grant, by what is known of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Source {
    pub(super) role: Option<RoleRef>,
    pub(super) account: Option<AccountId>,
    pub(super) group: Option<Titled>,
    pub(super) grant: Option<String>,
}

impl Source {
    fn is_empty(&self) -> bool {
        self.role.is_none() && self.account.is_none() && self.group.is_none() && self.grant.is_none()
    }

    pub(super) fn show(&self) -> String {
        let parts = [
            self.grant.as_ref().map(|grant| format!("grant {grant}")),
            self.role.as_ref().map(|role| format!("role {}", role.show())),
            self.account.as_ref().map(|account| format!("bound at {account}")),
            self.group.as_ref().map(|group| format!("through group {}", group.show())),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Whether a grant is one of those meant.
    fn is(&self, found: &Found) -> bool {
        let same = |wanted: Option<String>, found: &str| wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(found));
        same(self.role.as_ref().map(RoleRef::show), &found.role)
            && same(self.account.as_ref().map(AccountId::to_string), &found.account)
            && same(self.group.as_ref().map(Titled::show), &found.group)
            && self.grant.as_ref().is_none_or(|grant| *grant == found.grant)
    }
}

/// A grant that was looked at, in the file's words.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) role: String,
    pub(super) account: String,
    /// Empty of a binding of the peer's own.
    pub(super) group: String,
    /// Empty of a role that has none for the permission.
    pub(super) grant: String,
}

impl Found {
    pub(super) fn show(&self) -> String {
        let grant = if self.grant.is_empty() { "no grant" } else { &self.grant };
        let group = if self.group.is_empty() { String::new() } else { format!(", through group {}", self.group) };
        format!("grant {grant}, role {}, bound at {}{group}", self.role, self.account)
    }
}

/// One decision, in the file's words.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) decision: pb::Decision,
    pub(super) reason: pb::DecisionReason,
    pub(super) missing_attribute: String,
    pub(super) obligations: Vec<Owed>,
    pub(super) decided_by: Option<Found>,
    pub(super) considered: Vec<(Found, Vec<pb::GrantOutcome>)>,
}

/// Reads a word or a map.
pub(super) fn expected(node: &Node, names: &Names, problems: &mut Problems) -> Option<Expected> {
    match &node.value {
        Value::Text(word) => self::word(word).map_or_else(
            || {
                let text = format!(
                    "expects `{word}`, which is neither a decision ({DECISIONS}) nor a reason such as `NO_MATCHING_GRANT`"
                );
                problems.add(node.line, text);
                None
            },
            Some,
        ),
        Value::Map(_) => map(node, names, problems),
        Value::Empty | Value::List(_) => {
            problems.add(node.line, "expects a decision, a reason, or a map of both and more");
            None
        }
    }
}

fn word(word: &str) -> Option<Expected> {
    if let Some(decision) = pb::Decision::parse(word) {
        return Some(Expected { decision: Some(decision), ..Expected::default() });
    }
    let reason = pb::DecisionReason::parse(word)?;
    Some(Expected { decision: Some(decision_of(reason)), reason: Some(reason), ..Expected::default() })
}

/// Each reason belongs to one decision.
const fn decision_of(reason: pb::DecisionReason) -> pb::Decision {
    match reason {
        pb::DecisionReason::Allowed => pb::Decision::Allow,
        pb::DecisionReason::StepUpRequired => pb::Decision::RequiresStepUp,
        pb::DecisionReason::ApprovalRequired => pb::Decision::RequiresApproval,
        pb::DecisionReason::Unspecified
        | pb::DecisionReason::SubjectUnknown
        | pb::DecisionReason::SubjectDisabled
        | pb::DecisionReason::SubjectExpired
        | pb::DecisionReason::SubjectHomeSuspended
        | pb::DecisionReason::SubjectSessionEnded
        | pb::DecisionReason::AccountSuspended
        | pb::DecisionReason::DenyGrant
        | pb::DecisionReason::PartnerAccessSessionRequired
        | pb::DecisionReason::PartnerAccessBlocked
        | pb::DecisionReason::EligibleNotActive
        | pb::DecisionReason::MissingAttribute
        | pb::DecisionReason::PolicyStale
        | pb::DecisionReason::NoMatchingGrant => pb::Decision::Deny,
    }
}

fn map(node: &Node, names: &Names, problems: &mut Problems) -> Option<Expected> {
    let known =
        ["decision", "reason", "missing_attribute", "obligations", "role", "bound_at", "group", "grant", "considered"];
    let mut fields = Fields::open(node, &known, problems)?;
    fields.refuse_blanks();
    let decision = fields.find("decision", one_of(pb::Decision::parse, DECISIONS)).map(|at| at.value);
    let reason = fields
        .find("reason", |word| pb::DecisionReason::parse(word).ok_or("must be a reason such as `NO_MATCHING_GRANT`"));
    if let (Some(decision), Some(reason)) = (decision, &reason)
        && decision_of(reason.value) != decision
    {
        let (reason, line) = (reason.value.word(), reason.line);
        fields.problem(line, format!("reason `{reason}` never comes with decision `{}`", decision.word()));
    }
    let missing = fields.find("missing_attribute", |name| Ok::<_, &str>(name.to_owned()));
    let decided_by = source(&mut fields, "bound_at", names);
    let says_obligations = fields.node("obligations").is_some();
    let obligations = super::given::items(&mut fields, "obligations", owed);
    let considered = super::given::items(&mut fields, "considered", |node, problems| considered(node, names, problems));
    let reason = reason.map(|at| at.value);
    let expected = Expected {
        decision: decision.or(reason.map(decision_of)),
        reason,
        missing_attribute: missing.map(|at| at.value),
        obligations: says_obligations.then_some(obligations),
        decided_by: (!decided_by.is_empty()).then_some(decided_by),
        considered,
    };
    if expected.decision.is_none() {
        fields.problem(node.line, "lacks `decision` or `reason`");
        return None;
    }
    Some(expected)
}

fn source(fields: &mut Fields<'_, '_>, account: &str, names: &Names) -> Source {
    let role = fields.find("role", RoleRef::parse);
    if let Some(At { line, value: RoleRef::Titled(titled) }) = &role
        && names.find_role(&RoleRef::Titled(titled.clone())).is_none()
    {
        let near = super::near::hint(&titled.show(), names.roles.values().map(|(_, shown)| shown.as_str()));
        fields.problem(*line, format!("role `{}` is not in the file{near}", titled.show()));
    }
    let group = fields.find("group", Titled::parse);
    if let Some(group) = &group
        && names.find_group(&group.value).is_none()
    {
        let near = super::near::hint(&group.value.show(), names.groups.values().map(|(_, shown)| shown.as_str()));
        fields.problem(group.line, format!("group `{}` is not in the file{near}", group.value.show()));
    }
    Source {
        role: role.map(|at| at.value),
        account: fields.find(account, account_name).map(|at| at.value),
        group: group.map(|at| at.value),
        grant: fields.find("grant", |text| Pattern::parse(text).map(|pattern| pattern.to_string())).map(|at| at.value),
    }
}

fn considered(node: &Node, names: &Names, problems: &mut Problems) -> Option<(Source, pb::GrantOutcome)> {
    let mut fields = Fields::open(node, &["role", "bound_at", "group", "grant", "outcome"], problems)?;
    fields.refuse_blanks();
    let source = source(&mut fields, "bound_at", names);
    let outcome = fields.get("outcome", one_of(pb::GrantOutcome::parse, OUTCOMES));
    if source.is_empty() {
        fields.problem(node.line, "needs `role`, `grant`, `bound_at` or `group`");
        return None;
    }
    Some((source, outcome?.value))
}

/// `APPROVAL`, `ELEVATION`, or `step_up: { level, max_age_minutes }`.
fn owed(node: &Node, problems: &mut Problems) -> Option<Owed> {
    match &node.value {
        Value::Text(word) if word == "APPROVAL" => return Some(Owed::Approval),
        Value::Text(word) if word == "ELEVATION" => return Some(Owed::Elevation),
        Value::Map(_) => {}
        Value::Text(_) | Value::Empty | Value::List(_) => {
            problems.add(node.line, "an obligation is `APPROVAL`, `ELEVATION` or `step_up: { level: TOTP }`");
            return None;
        }
    }
    let mut fields = Fields::open(node, &["step_up"], problems)?;
    let step_up = crate::cli::apply::grants::step_up(fields.node("step_up")?, fields.problems())?;
    let seconds = step_up.max_age.map_or(0, |age| u32::try_from(age.seconds).unwrap_or(u32::MAX));
    Some(Owed::StepUp { level: step_up.min_assurance, max_age_seconds: seconds })
}

impl Expected {
    /// How an answer differs, a line each.
    pub(super) fn differences(&self, answer: &Answer) -> Vec<String> {
        let mut lines = Vec::new();
        let mut differs = |what: &str, wanted: String, got: String| {
            if wanted != got {
                lines.push(format!("expected {what} {wanted}, got {got}"));
            }
        };
        if let Some(decision) = self.decision {
            let got = answer.decision.word();
            differs("decision", decision.word().to_owned(), got.to_owned());
        }
        if let Some(reason) = self.reason {
            differs("reason", reason.word().to_owned(), answer.reason.word().to_owned());
        }
        if let Some(wanted) = &self.missing_attribute {
            differs("missing_attribute", wanted.clone(), or_none(&answer.missing_attribute));
        }
        if let Some(wanted) = &self.obligations {
            let sorted = |owed: &[Owed]| {
                let mut owed: Vec<_> = owed.to_vec();
                owed.sort();
                or_none(&owed.iter().map(Owed::show).collect::<Vec<_>>().join(", "))
            };
            differs("obligations", sorted(wanted), sorted(&answer.obligations));
        }
        if let Some(wanted) = &self.decided_by
            && !answer.decided_by.as_ref().is_some_and(|found| wanted.is(found))
        {
            let got = answer.decided_by.as_ref().map_or_else(|| "no grant".to_owned(), Found::show);
            lines.push(format!("expected it to be decided by {}, got {got}", wanted.show()));
        }
        for (wanted, outcome) in &self.considered {
            let is_there =
                answer.considered.iter().any(|(found, outcomes)| wanted.is(found) && outcomes.contains(outcome));
            if !is_there {
                lines.push(format!("expected {} to be {}, and it is not", wanted.show(), outcome.word()));
            }
        }
        lines
    }
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "none".to_owned() } else { text.to_owned() }
}
