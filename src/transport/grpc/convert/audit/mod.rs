//! Audit events on the wire: the readable event, and beside it the exact bytes that were hashed.

mod list;
mod report;

pub use list::list;
pub use report::reports;

use super::time;
use crate::application::audit::{ListedEvent, Reported};
use crate::domain::audit::{ActingPeer, Actor, Change, Outcome, Personal, Target, Text, sentence};
use crate::domain::ids::AccountId;
use crate::domain::peer::PeerKind;
use crate::domain::user_agent;
use crate::transport::grpc::pb;

/// Writes an event.
#[must_use]
pub fn to_pb(listed: &ListedEvent) -> pb::AuditEvent {
    let (sealed, position, body) = (&listed.sealed, &listed.event.position, &listed.event.body);
    let agent = body.user_agent.as_ref().and_then(Personal::value).unwrap_or_default();
    pb::AuditEvent {
        name: format!("accounts/{}/auditEvents/{}", sealed.account, sealed.seq),
        uid: sealed.event_id.to_string(),
        account: format!("accounts/{}", sealed.account),
        seq: sealed.seq,
        occur_time: Some(time(body.occurred_time)),
        record_time: Some(time(position.recorded_time)),
        actor: Some(actor(&body.actor)),
        on_behalf_of: body.on_behalf_of.as_ref().map(acting_peer),
        reporter: body.reporter.as_ref().map(acting_peer),
        session: body.session.clone().unwrap_or_default(),
        action: body.action.clone(),
        target: Some(target(&body.target, sentence::account(&listed.event))),
        outcome: outcome(&body.outcome).into(),
        reason: body.outcome.reason().unwrap_or_default().to_owned(),
        revision: position.revision.unwrap_or_default(),
        elevations: body.elevations.iter().map(|id| format!("elevations/{id}")).collect(),
        approvals: body.approvals.iter().map(|id| format!("approvals/{id}")).collect(),
        justification: body.justification.as_ref().map(personal),
        source_address: body.source_address.as_ref().map(personal),
        user_agent: body.user_agent.as_ref().map(personal),
        browser: user_agent::browser(agent),
        operating_system: user_agent::operating_system(agent),
        trace_id: body.trace_id.clone().unwrap_or_default(),
        changes: body.changes.iter().map(change).collect(),
        linked_events: position
            .linked
            .iter()
            .map(|link| pb::AuditLink {
                account: format!("accounts/{}", link.account),
                seq: link.seq,
                event_uid: link.event_id.to_string(),
            })
            .collect(),
        repeat_count: body.count.and_then(|count| i64::try_from(count.get()).ok()).unwrap_or_default(),
        canonical_bytes: sealed.bytes.clone().into(),
        leaf_hash: sealed.leaf_hash.to_vec().into(),
        prev_hash: sealed.prev_hash.to_vec().into(),
        personal_values: sealed
            .personal
            .iter()
            .map(|value| pb::AuditPersonalValue {
                path: value.path.clone(),
                value: value.value.clone(),
                salt: value.salt.to_vec().into(),
            })
            .collect(),
        summary: listed.summary.clone(),
    }
}

/// Says where a reported event stands.
#[must_use]
pub fn reported(reported: &Reported) -> pb::AuditLink {
    pb::AuditLink {
        account: format!("accounts/{}", reported.account),
        seq: reported.seq,
        event_uid: reported.event_id.to_string(),
    }
}

fn actor(actor: &Actor) -> pb::AuditActor {
    match actor {
        Actor::Peer(peer) => acting_peer(peer),
        Actor::System { name } => pb::AuditActor {
            kind: pb::AuditActorKind::System.into(),
            system_name: name.clone(),
            ..pb::AuditActor::default()
        },
        Actor::Anonymous => pb::AuditActor { kind: pb::AuditActorKind::Anonymous.into(), ..pb::AuditActor::default() },
    }
}

fn acting_peer(peer: &ActingPeer) -> pb::AuditActor {
    let kind = match peer.kind {
        PeerKind::Person => pb::AuditActorKind::Person,
        PeerKind::Device => pb::AuditActorKind::Device,
        PeerKind::Integration => pb::AuditActorKind::Integration,
    };
    pb::AuditActor {
        kind: kind.into(),
        peer: format!("peers/{}", peer.uid),
        home_account: format!("accounts/{}", peer.home_account),
        display_name: peer.display_name.as_ref().map(personal),
        system_name: String::new(),
    }
}

fn target(target: &Target, account: &AccountId) -> pb::AuditTarget {
    pb::AuditTarget {
        kind: target.kind.clone(),
        target_name: Some(text(&target.name)),
        account: format!("accounts/{account}"),
        display_name: target.display_name.as_ref().map(personal),
    }
}

fn change(change: &Change) -> pb::AuditChange {
    pb::AuditChange {
        field: change.field.clone(),
        before: change.before.as_ref().map(text),
        after: change.after.as_ref().map(text),
    }
}

const fn outcome(outcome: &Outcome) -> pb::AuditOutcome {
    match outcome {
        Outcome::Success => pb::AuditOutcome::Success,
        Outcome::Denied { .. } => pb::AuditOutcome::Denied,
        Outcome::Failed { .. } => pb::AuditOutcome::Failed,
    }
}

fn text(text: &Text) -> pb::AuditText {
    match text {
        Text::Public(value) => pb::AuditText { value: value.clone(), erased: false },
        Text::Personal(value) => personal(value),
    }
}

fn personal(personal: &Personal) -> pb::AuditText {
    match personal {
        Personal::Value(value) => pb::AuditText { value: value.clone(), erased: false },
        Personal::Erased(_) => pb::AuditText { value: String::new(), erased: true },
    }
}
