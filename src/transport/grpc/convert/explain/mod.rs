//! Explanations on the wire. What of them a caller may see was said before: what comes here is shown.

mod parts;
mod text;

use uuid::Uuid;

use super::access::{self, OwnedCheck};
use super::role::{condition, grant, words};
use super::{Fields, account_name, page, parse_time, peer_name, time};
use crate::application::authorize::{Consistency, Subject};
use crate::application::explain::{Explained, Place, ShownCheck, ShownEntry};
use crate::application::page::{Tokens, Wanted};
use crate::application::past::At;
use crate::decision::explain::{Alteration, Check, Fate, Obstacle, Suggestion};
use crate::decision::snapshot::GroupIndex;
use crate::decision::{AccountIndex, Outcome, Snapshot};
use crate::domain::account::PartnerAccess;
use crate::domain::ids::BindingId;
use crate::domain::invalid::Invalid;
use crate::domain::page::{DEFAULT, size};
use crate::domain::permission::PermissionName;
use crate::domain::role::Effect;
use crate::domain::time::Window;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::explain_authorization_request::{At as PbAt, Subject as PbSubject};
use crate::transport::grpc::pb::suggested_change::Change;

/// A request as it was read.
#[derive(Debug, Clone)]
pub struct OwnedAsk {
    pub check: OwnedCheck,
    pub consistency: Consistency,
    pub at: Option<At>,
    pub page: Wanted<Place>,
}

/// Reads a request.
pub fn request(fields: &mut Fields, tokens: &Tokens, request: &pb::ExplainAuthorizationRequest) -> Option<OwnedAsk> {
    let subject = match &request.subject {
        None => Some(Subject::Caller),
        Some(PbSubject::Peer(peer)) => fields.take("peer", peer_name(peer)).map(Subject::Peer),
        Some(PbSubject::Token(text)) => {
            if request.at.is_some() {
                let why = "keys are known to the present alone; ask about their peer";
                fields.refuse("token", Invalid::NotAllowed { why });
            }
            access::token(fields, "token", text)
        }
    };
    let permission = fields.required("permission", &request.permission, PermissionName::parse);
    let account = fields.required("account", &request.account, account_name);
    let context = access::context(fields, "context", request.context.as_ref());
    let consistency = access::consistency(fields, request.consistency.as_ref());
    let evaluate_time = match &request.evaluate_time {
        None => Some(None),
        Some(time) => fields.take("evaluate_time", parse_time(time)).map(Some),
    };
    if request.evaluate_time.is_some() && !matches!(request.at, Some(PbAt::AtRevision(_))) {
        let why = "it goes with `at_revision`; at other moments windows are judged then";
        fields.refuse("evaluate_time", Invalid::NotAllowed { why });
    }
    let at = match &request.at {
        None => Some(None),
        Some(PbAt::AtRevision(revision)) if *revision >= 1 => {
            evaluate_time.map(|time| Some(At::Revision(*revision, time)))
        }
        Some(PbAt::AtRevision(_)) => {
            fields.refuse("at_revision", Invalid::OutOfRange { min: 1, max: i64::MAX });
            None
        }
        Some(PbAt::AtTime(time)) => fields.take("at_time", parse_time(time)).map(|time| Some(At::Time(time))),
    };
    let limit = fields.take("page_size", size(request.page_size));
    let after = page::after(fields, tokens, &request.page_token);
    let limit = usize::try_from(limit?).unwrap_or(usize::try_from(DEFAULT).unwrap_or(1));
    Some(OwnedAsk {
        check: OwnedCheck { subject: subject?, permission: permission?, account: account?, context: context? },
        consistency: consistency?,
        at: at?,
        page: Wanted { after: after?, limit },
    })
}

/// Writes a page of an explanation.
#[must_use]
pub fn response(
    explained: &Explained,
    check: &OwnedCheck,
    decision_id: Uuid,
    next_page_token: String,
) -> pb::ExplainAuthorizationResponse {
    let snapshot = &*explained.snapshot;
    let peer = explained.subject.and_then(|peer| snapshot.peer_id(peer)).map(|id| format!("peers/{id}"));
    let names = Names { snapshot, peer: peer.unwrap_or_default(), check };
    let mut response = pb::ExplainAuthorizationResponse {
        decision: Some(access::answer(snapshot, &explained.answer, check, decision_id)),
        grants: explained.entries.items.iter().map(|entry| names.grant(entry)).collect(),
        next_page_token,
        checks: explained.checks.iter().map(checked).collect(),
        suggestions: explained.suggestions.iter().map(|suggestion| names.suggestion(suggestion)).collect(),
        text: String::new(),
        evaluate_time: Some(time(explained.time)),
        total_size: i32::try_from(explained.total).unwrap_or(i32::MAX),
    };
    response.text = text::page(&response, check, explained.is_first_page.then_some(names.peer.as_str()));
    response
}

fn checked(checked: &ShownCheck) -> pb::CheckTrace {
    pb::CheckTrace {
        check: match checked.check {
            Check::SubjectKnown => pb::AuthorizationCheck::SubjectKnown,
            Check::CredentialLive => pb::AuthorizationCheck::CredentialLive,
            Check::SubjectEnabled => pb::AuthorizationCheck::SubjectEnabled,
            Check::SubjectNotExpired => pb::AuthorizationCheck::SubjectNotExpired,
            Check::HomeActive => pb::AuthorizationCheck::HomeActive,
            Check::AccountActive => pb::AuthorizationCheck::AccountActive,
            Check::PartnerAccess => pb::AuthorizationCheck::PartnerAccess,
        }
        .into(),
        passed: checked.passed,
        account: checked.account.as_ref().map(|id| format!("accounts/{id}")).unwrap_or_default(),
        partner_access: checked.access.map_or(pb::PartnerAccessMode::Unspecified, partner_access).into(),
        expire_time: checked.expire.map(time),
    }
}

const fn partner_access(access: PartnerAccess) -> pb::PartnerAccessMode {
    match access {
        PartnerAccess::Allowed => pb::PartnerAccessMode::Allowed,
        PartnerAccess::SessionOnly => pb::PartnerAccessMode::SessionOnly,
        PartnerAccess::ByApproval => pb::PartnerAccessMode::ByApproval,
        PartnerAccess::Blocked => pb::PartnerAccessMode::Blocked,
    }
}

#[must_use]
pub const fn obstacle(obstacle: Obstacle) -> pb::GrantOutcome {
    match obstacle {
        Obstacle::OutOfReach => pb::GrantOutcome::OutOfReach,
        Obstacle::OutsideWindow => pb::GrantOutcome::OutsideWindow,
        Obstacle::Reserved => pb::GrantOutcome::Reserved,
        Obstacle::ConditionNotMet => pb::GrantOutcome::ConditionNotMet,
        Obstacle::AttributeMissing => pb::GrantOutcome::AttributeMissing,
        Obstacle::PartnerAccess => pb::GrantOutcome::PartnerAccess,
        Obstacle::NotActive => pb::GrantOutcome::NotActive,
    }
}

#[must_use]
pub const fn fate(fate: Fate) -> pb::GrantOutcome {
    match fate {
        Fate::Decided => pb::GrantOutcome::Decided,
        Fate::Outranked => pb::GrantOutcome::Outranked,
        Fate::Barred => pb::GrantOutcome::Barred,
        Fate::KeptBack(first) => obstacle(first),
        Fate::NoMatch => pb::GrantOutcome::NoMatch,
    }
}

/// What names are made from.
struct Names<'a> {
    snapshot: &'a Snapshot,
    peer: String,
    check: &'a OwnedCheck,
}

impl Names<'_> {
    fn account(&self, account: AccountIndex) -> String {
        self.snapshot.account_id(account).map(|id| format!("accounts/{id}")).unwrap_or_default()
    }

    fn group(&self, group: GroupIndex) -> String {
        self.snapshot.group(group).map(|group| format!("groups/{}", group.id)).unwrap_or_default()
    }

    fn grant(&self, entry: &ShownEntry) -> pb::GrantTrace {
        let (start, expire) = ends(entry.binding.as_ref().map(|binding| binding.window));
        let membership = entry.binding.as_ref().and_then(|binding| binding.membership);
        let (membership_start, membership_expire) = ends(membership.map(|(_, window)| window));
        let shown = entry.grant.as_ref().map(|(place, shown)| (*place, grant::to_pb(shown)));
        let (place, pattern, condition) = match shown {
            Some((place, shown)) => (i32::from(place), shown.permission, shown.condition),
            None => (0, String::new(), None),
        };
        let owes = entry.effect == Some(Effect::Allow);
        let binding = entry.binding.as_ref();
        pb::GrantTrace {
            role_binding: binding.map(|binding| format!("roleBindings/{}", binding.id)).unwrap_or_default(),
            group: entry.group.map(|group| format!("groups/{group}")).unwrap_or_default(),
            bound_account: entry.account.as_ref().map(|id| format!("accounts/{id}")).unwrap_or_default(),
            role: entry.role.as_ref().map(|role| format!("roles/{role}")).unwrap_or_default(),
            grant_index: place,
            pattern,
            effect: entry.effect.map_or(pb::GrantEffect::Unspecified, words::effect_to_pb).into(),
            outcome: fate(entry.fate).into(),
            missing_attribute: entry.missing.clone().unwrap_or_default(),
            unmet_obligations: if owes {
                access::owed(entry.stated, &self.check.permission, &self.check.account)
            } else {
                Vec::new()
            },
            obstacles: entry.obstacles.iter().map(|one| obstacle(*one).into()).collect(),
            reach: binding.map_or(pb::Reach::Unspecified, |binding| words::reach_to_pb(binding.reach)).into(),
            mode: binding.map_or(pb::BindingMode::Unspecified, |binding| words::mode_to_pb(binding.mode)).into(),
            start_time: start,
            expire_time: expire,
            via_group: entry.via_group,
            membership_mode: membership
                .map_or(pb::BindingMode::Unspecified, |(mode, _)| words::mode_to_pb(mode))
                .into(),
            membership_start_time: membership_start,
            membership_expire_time: membership_expire,
            condition,
            redacted: entry.is_redacted,
            condition_parts: entry.parts.iter().map(parts::to_pb).collect(),
        }
    }

    fn suggestion(&self, suggestion: &Suggestion) -> pb::Suggestion {
        let decision = suggestion.decision;
        let owes = match decision.outcome {
            Outcome::RequiresStepUp | Outcome::RequiresApproval => decision.unmet,
            Outcome::Allow | Outcome::Deny => Default::default(),
        };
        let changes: Vec<pb::SuggestedChange> = suggestion
            .alterations
            .iter()
            .map(|alteration| pb::SuggestedChange { change: Some(self.change(alteration)) })
            .collect();
        let obligations = access::owed(owes, &self.check.permission, &self.check.account);
        let text = text::suggestion(&changes, &obligations);
        pb::Suggestion { changes, decision: access::outcome(decision.outcome).into(), obligations, text }
    }

    fn change(&self, alteration: &Alteration) -> Change {
        let binding = |binding: &BindingId| format!("roleBindings/{binding}");
        let elevation = |role_binding: String, group: String| {
            Change::Elevate(pb::ElevationObligation { method: pb::REQUEST_ELEVATION.to_owned(), role_binding, group })
        };
        match alteration {
            Alteration::ElevateBinding { binding: id, .. } => elevation(binding(id), String::new()),
            Alteration::ElevateMembership(group) => elevation(String::new(), self.group(*group)),
            Alteration::RenewBinding { binding: id, .. } => Change::RenewRoleBinding(binding(id)),
            Alteration::RenewMembership(group) => Change::RenewMembership(self.group(*group)),
            Alteration::RemoveBinding { binding: id, .. } => Change::RemoveRoleBinding(binding(id)),
            Alteration::LeaveGroup(group) => Change::LeaveGroup(self.group(*group)),
            Alteration::WaitUntil(moment) => Change::WaitUntil(time(*moment)),
            Alteration::Resume(account) => Change::ResumeAccount(self.account(*account)),
            Alteration::AllowPartnerAccess(account) => Change::AllowPartnerAccess(self.account(*account)),
            Alteration::EnablePeer => Change::EnablePeer(self.peer.clone()),
            Alteration::RenewPeer => Change::RenewPeer(self.peer.clone()),
            Alteration::SetLabel { account, key, value } => Change::SetLabel(pb::SuggestedLabel {
                account: self.account(*account),
                key: key.clone(),
                value: value.clone(),
            }),
            Alteration::SayAttribute { name, value } => {
                let (attribute, value) = (name.clone(), Some(condition::value_to_pb(value)));
                Change::SetAttribute(pb::SuggestedAttribute { attribute, value })
            }
            Alteration::ActFrom(address) => Change::ActFrom(address.to_string()),
            Alteration::BindRole { role, account, reach } => Change::BindRole(pb::SuggestedBinding {
                role: self.snapshot.role(*role).map(|role| format!("roles/{}", role.fact.id)).unwrap_or_default(),
                account: self.account(*account),
                reach: words::reach_to_pb(*reach).into(),
            }),
        }
    }
}

fn ends(window: Option<Window>) -> (Option<prost_types::Timestamp>, Option<prost_types::Timestamp>) {
    let window = window.unwrap_or(Window::ALWAYS);
    (window.start().map(time), window.expire().map(time))
}
