//! Checks and decisions on the wire.

use std::collections::BTreeMap;
use std::net::IpAddr;

use uuid::Uuid;

use super::{Fields, account_name, peer_name, request_id};
use crate::application::authorize::{Answer, Consistency, Subject};
use crate::decision::evaluate::Deciding;
use crate::decision::{Outcome, Reason, Snapshot};
use crate::domain::binding::Mode;
use crate::domain::context::{ATTRIBUTE_NAME_MAX, ATTRIBUTE_TEXT_MAX, ATTRIBUTES_MAX, AttributeValue, Context};
use crate::domain::ids::AccountId;
use crate::domain::invalid::Invalid;
use crate::domain::permission::{APPROVE, PermissionName};
use crate::domain::role::{AssuranceLevel, Requirements, StepUp};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::authorize_request::Subject as PbSubject;
use crate::transport::grpc::pb::batch_authorize_item::Subject as PbItemSubject;
use crate::transport::grpc::pb::batch_authorize_request::DefaultSubject;

/// Bounds, from the contract.
const TOKEN_MAX: usize = 4096;
const SOURCE_ADDRESS_MAX: usize = 45;
/// The most checks of a batch.
pub const ITEMS_MAX: usize = 1000;

/// A check as it was read, owning its values.
#[derive(Debug, Clone)]
pub struct OwnedCheck {
    pub subject: Subject,
    pub permission: PermissionName,
    pub account: AccountId,
    pub context: Context,
}

/// Reads one check.
pub fn authorize(fields: &mut Fields, request: &pb::AuthorizeRequest) -> Option<(OwnedCheck, Consistency)> {
    let subject = match &request.subject {
        None => Some(Subject::Caller),
        Some(PbSubject::Peer(peer)) => fields.take("peer", peer_name(peer)).map(Subject::Peer),
        Some(PbSubject::Token(text)) => token(fields, "token", text),
    };
    let permission = fields.required("permission", &request.permission, PermissionName::parse);
    let account = fields.required("account", &request.account, account_name);
    let context = context(fields, "context", request.context.as_ref());
    fields.unsupported("approval", !request.approval.is_empty());
    if !request.request_id.is_empty() && request_id(&request.request_id).is_none() {
        fields.refuse("request_id", Invalid::Form { form: "a UUID with hyphens" });
    }
    let consistency = consistency(fields, request.consistency.as_ref());
    let check = OwnedCheck { subject: subject?, permission: permission?, account: account?, context: context? };
    Some((check, consistency?))
}

/// The parts of a batch that are right or wrong as a whole.
pub fn batch(fields: &mut Fields, request: &pb::BatchAuthorizeRequest) -> Option<(Consistency, Context)> {
    if request.items.is_empty() {
        fields.refuse("items", Invalid::Missing);
    }
    fields.at_most("items", &request.items, ITEMS_MAX);
    let context = context(fields, "default_context", request.default_context.as_ref());
    match &request.default_subject {
        None => {}
        Some(DefaultSubject::DefaultPeer(peer)) => {
            fields.take("default_peer", peer_name(peer));
        }
        Some(DefaultSubject::DefaultToken(text)) => {
            token(fields, "default_token", text);
        }
    }
    fields.optional("default_permission", &request.default_permission, PermissionName::parse);
    fields.optional("default_account", &request.default_account, account_name);
    let consistency = consistency(fields, request.consistency.as_ref());
    Some((consistency?, context?))
}

/// Reads one item of a batch over its defaults, but for the context: that of the batch is read once.
pub fn item(
    fields: &mut Fields,
    item: &pb::BatchAuthorizeItem,
    defaults: &pb::BatchAuthorizeRequest,
) -> Option<OwnedCheck> {
    let subject = match (&item.subject, &defaults.default_subject) {
        (Some(PbItemSubject::Peer(peer)), _) | (None, Some(DefaultSubject::DefaultPeer(peer))) => {
            fields.take("peer", peer_name(peer)).map(Subject::Peer)
        }
        (Some(PbItemSubject::Token(text)), _) | (None, Some(DefaultSubject::DefaultToken(text))) => {
            token(fields, "token", text)
        }
        (None, None) => Some(Subject::Caller),
    };
    let permission = either(&item.permission, &defaults.default_permission);
    let permission = fields.required("permission", permission, PermissionName::parse);
    let account = fields.required("account", either(&item.account, &defaults.default_account), account_name);
    let context = context(fields, "context", item.context.as_ref());
    Some(OwnedCheck { subject: subject?, permission: permission?, account: account?, context: context? })
}

/// What an item says, or else the default of its batch.
const fn either<'a>(own: &'a str, default: &'a str) -> &'a str {
    if own.is_empty() { default } else { own }
}

pub(super) fn token(fields: &mut Fields, field: &str, text: &str) -> Option<Subject> {
    if text.len() > TOKEN_MAX {
        fields.refuse(field, Invalid::TooLong { max: TOKEN_MAX });
        return None;
    }
    Some(Subject::Token(text.to_owned()))
}

/// Reads the circumstances of a check.
pub fn context(fields: &mut Fields, field: &str, context: Option<&pb::DecisionContext>) -> Option<Context> {
    let Some(context) = context else { return Some(Context::default()) };
    let path = format!("{field}.resource_attributes");
    let is_counted = context.resource_attributes.len() <= ATTRIBUTES_MAX;
    if !is_counted {
        fields.refuse(&path, Invalid::TooMany { max: ATTRIBUTES_MAX });
    }
    let read = |(name, value): (&String, &pb::AttributeValue)| {
        fields.take(&path, attribute(name, value)).map(|value| (name.clone(), value))
    };
    let attributes: Option<BTreeMap<_, _>> = context.resource_attributes.iter().map(read).collect();
    let source_address = source_address(fields, format!("{field}.source_address"), &context.source_address);
    is_counted.then_some(Context { attributes: attributes?, source_address: source_address? })
}

fn attribute(name: &str, value: &pb::AttributeValue) -> Result<AttributeValue, Invalid> {
    use pb::attribute_value::Kind;
    if name.is_empty() {
        return Err(Invalid::Missing);
    }
    if name.chars().count() > ATTRIBUTE_NAME_MAX {
        return Err(Invalid::TooLong { max: ATTRIBUTE_NAME_MAX });
    }
    match &value.kind {
        Some(Kind::StringValue(text)) if text.chars().count() > ATTRIBUTE_TEXT_MAX => {
            Err(Invalid::TooLong { max: ATTRIBUTE_TEXT_MAX })
        }
        Some(Kind::StringValue(text)) => Ok(AttributeValue::Text(text.clone())),
        Some(Kind::IntValue(number)) => Ok(AttributeValue::Int(*number)),
        Some(Kind::BoolValue(truth)) => Ok(AttributeValue::Bool(*truth)),
        None => Err(Invalid::Missing),
    }
}

/// An address that is unset is unknown; of a wrong one there is nothing.
fn source_address(fields: &mut Fields, field: String, text: &str) -> Option<Option<IpAddr>> {
    if text.is_empty() {
        return Some(None);
    }
    let address = (text.len() <= SOURCE_ADDRESS_MAX).then(|| text.parse().ok()).flatten();
    fields.take(field, address.ok_or(Invalid::Form { form: "an IPv4 or IPv6 address" })).map(Some)
}

pub(super) fn consistency(fields: &mut Fields, consistency: Option<&pb::Consistency>) -> Option<Consistency> {
    use pb::consistency::Requirement;
    let mut not_false = |field: &str, value, consistency| {
        let why = Invalid::MustBe { value: true, why: "a demand that is not meant is left out" };
        if value { Some(consistency) } else { fields.take(field, Err(why)) }
    };
    match consistency.and_then(|consistency| consistency.requirement.as_ref()) {
        None => Some(Consistency::MinimizeLatency),
        Some(Requirement::MinimizeLatency(value)) => {
            not_false("consistency.minimize_latency", *value, Consistency::MinimizeLatency)
        }
        Some(Requirement::Latest(value)) => not_false("consistency.latest", *value, Consistency::Latest),
        Some(Requirement::AtLeastRevision(revision)) if *revision >= 0 => Some(Consistency::AtLeast(*revision)),
        Some(Requirement::AtLeastRevision(_)) => {
            fields.refuse("consistency.at_least_revision", Invalid::OutOfRange { min: 0, max: i64::MAX });
            None
        }
    }
}

/// Writes a decision.
#[must_use]
pub fn answer(snapshot: &Snapshot, answer: &Answer, check: &OwnedCheck, decision_id: Uuid) -> pb::AuthorizeResponse {
    let decision = &answer.decision;
    let mut response = pb::AuthorizeResponse {
        decision: outcome(decision.outcome).into(),
        reason: reason(decision.reason).into(),
        revision: answer.revision,
        decision_id: decision_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned(),
        role_binding: String::new(),
        role: String::new(),
        grant_index: 0,
        obligations: Vec::new(),
        missing_attribute: decision.missing_attribute(snapshot).unwrap_or_default().to_owned(),
    };
    let Some(deciding) = decision.deciding else { return response };
    if decision.reason == Reason::EligibleNotActive {
        response.obligations = elevations(snapshot, deciding);
        return response;
    }
    let binding = deciding.binding.as_uuid().hyphenated();
    response.role_binding = ["roleBindings/", binding.encode_lower(&mut Uuid::encode_buffer())].concat();
    response.role =
        snapshot.role(deciding.role).map(|role| ["roles/", role.fact.id.as_str()].concat()).unwrap_or_default();
    response.grant_index = i32::from(deciding.grant);
    response.obligations.extend(owed(decision.unmet, &check.permission, &check.account));
    response
}

/// What is still to be met, approvals first.
pub fn owed(unmet: Requirements, permission: &PermissionName, account: &AccountId) -> Vec<pb::Obligation> {
    let approval = unmet.approval.then(|| {
        pb::obligation::Obligation::Approval(pb::ApprovalObligation {
            method: pb::REQUEST_APPROVAL.to_owned(),
            permission: permission.to_string(),
            account: format!("accounts/{account}"),
            approver_permission: APPROVE.to_owned(),
        })
    });
    let step_up = unmet.step_up.map(|wanted| pb::obligation::Obligation::StepUp(step_up(wanted)));
    approval.into_iter().chain(step_up).map(obligation).collect()
}

fn obligation(obligation: pb::obligation::Obligation) -> pb::Obligation {
    pb::Obligation { obligation: Some(obligation) }
}

/// One elevation raises one of the two: a binding and the membership that leads to it may both wait.
fn elevations(snapshot: &Snapshot, deciding: Deciding) -> Vec<pb::Obligation> {
    let elevation = |role_binding, group| {
        let method = pb::REQUEST_ELEVATION.to_owned();
        let elevation = pb::ElevationObligation { method, role_binding, group };
        obligation(pb::obligation::Obligation::Elevation(elevation))
    };
    let group = deciding.group.and_then(|group| snapshot.group(group));
    let membership = (deciding.membership_mode == Mode::Eligible)
        .then(|| elevation(String::new(), group.map(|group| format!("groups/{}", group.id)).unwrap_or_default()));
    let binding = (deciding.binding_mode == Mode::Eligible)
        .then(|| elevation(format!("roleBindings/{}", deciding.binding), String::new()));
    membership.into_iter().chain(binding).collect()
}

fn step_up(wanted: StepUp) -> pb::StepUpObligation {
    let levels = [AssuranceLevel::Email, AssuranceLevel::Totp, AssuranceLevel::Passkey];
    let methods = levels.into_iter().filter(|level| *level >= wanted.level).map(|level| assurance(level).into());
    pb::StepUpObligation {
        min_assurance: assurance(wanted.level).into(),
        methods: methods.collect(),
        max_age: (wanted.max_age_seconds > 0)
            .then(|| prost_types::Duration { seconds: i64::from(wanted.max_age_seconds), nanos: 0 }),
    }
}

/// Writes an assurance level.
#[must_use]
pub const fn assurance(level: AssuranceLevel) -> pb::AssuranceLevel {
    match level {
        AssuranceLevel::None => pb::AssuranceLevel::Unspecified,
        AssuranceLevel::Email => pb::AssuranceLevel::Email,
        AssuranceLevel::Totp => pb::AssuranceLevel::Totp,
        AssuranceLevel::Passkey => pb::AssuranceLevel::Passkey,
    }
}

#[must_use]
pub const fn outcome(outcome: Outcome) -> pb::Decision {
    match outcome {
        Outcome::Allow => pb::Decision::Allow,
        Outcome::Deny => pb::Decision::Deny,
        Outcome::RequiresStepUp => pb::Decision::RequiresStepUp,
        Outcome::RequiresApproval => pb::Decision::RequiresApproval,
    }
}

#[must_use]
pub const fn reason(reason: Reason) -> pb::DecisionReason {
    match reason {
        Reason::Allowed => pb::DecisionReason::Allowed,
        Reason::StepUpRequired => pb::DecisionReason::StepUpRequired,
        Reason::ApprovalRequired => pb::DecisionReason::ApprovalRequired,
        Reason::SubjectUnknown => pb::DecisionReason::SubjectUnknown,
        Reason::SubjectDisabled => pb::DecisionReason::SubjectDisabled,
        Reason::SubjectExpired => pb::DecisionReason::SubjectExpired,
        Reason::SubjectHomeSuspended => pb::DecisionReason::SubjectHomeSuspended,
        Reason::SubjectSessionEnded => pb::DecisionReason::SubjectSessionEnded,
        Reason::AccountSuspended => pb::DecisionReason::AccountSuspended,
        Reason::DenyGrant => pb::DecisionReason::DenyGrant,
        Reason::PartnerAccessSessionRequired => pb::DecisionReason::PartnerAccessSessionRequired,
        Reason::PartnerAccessBlocked => pb::DecisionReason::PartnerAccessBlocked,
        Reason::EligibleNotActive => pb::DecisionReason::EligibleNotActive,
        Reason::MissingAttribute => pb::DecisionReason::MissingAttribute,
        Reason::NoMatchingGrant => pb::DecisionReason::NoMatchingGrant,
    }
}
