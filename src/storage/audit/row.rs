//! Rows of sealed events and of the personal values beside them.
//!
//! The bytes are stored as they were sealed. No personal value stands in a column of the event:
//! erasing one must leave nothing behind.

use std::collections::BTreeMap;

use crate::domain::audit::{Actor, AuditDraft, PersonalValue, SealedEvent, Text};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage::code::fixed;
use crate::storage::entity::{audit_event, audit_personal};
use crate::storage::error::StoreError;

const EVENTS: &str = "audit_events";
const PERSONAL: &str = "audit_personal";

pub(super) fn event(event: &SealedEvent, draft: &AuditDraft, recorded_time: Timestamp) -> audit_event::Model {
    audit_event::Model {
        account_id: event.account.to_string(),
        seq: event.seq,
        event_id: event.event_id,
        recorded_time: recorded_time.as_micros(),
        occurred_time: draft.occurred_time.as_micros(),
        action: draft.action.clone(),
        actor: actor(&draft.actor),
        target: target(&draft.target.name),
        outcome: draft.outcome.as_str().to_owned(),
        bytes: event.bytes.clone(),
        leaf_hash: event.leaf_hash.to_vec(),
        prev_hash: event.prev_hash.to_vec(),
    }
}

pub(super) fn personal(event: &SealedEvent) -> Vec<audit_personal::Model> {
    let row = |value: &PersonalValue| audit_personal::Model {
        account_id: event.account.to_string(),
        seq: event.seq,
        path: value.path.clone(),
        value: value.value.clone(),
        salt: value.salt.to_vec(),
        commitment: value.commitment.to_vec(),
    };
    event.personal.iter().map(row).collect()
}

pub(super) fn read(
    account: &AccountId,
    row: audit_event::Model,
    personal: &mut BTreeMap<i64, Vec<audit_personal::Model>>,
) -> Result<SealedEvent, StoreError> {
    let key = format!("{account}/{}", row.seq);
    let values = personal.remove(&row.seq).unwrap_or_default();
    let value = |value: audit_personal::Model| {
        Ok(PersonalValue {
            salt: fixed(&value.salt, PERSONAL, &key)?,
            commitment: fixed(&value.commitment, PERSONAL, &key)?,
            path: value.path,
            value: value.value,
        })
    };
    Ok(SealedEvent {
        account: account.clone(),
        seq: row.seq,
        event_id: row.event_id,
        prev_hash: fixed(&row.prev_hash, EVENTS, &key)?,
        leaf_hash: fixed(&row.leaf_hash, EVENTS, &key)?,
        bytes: row.bytes,
        personal: values.into_iter().map(value).collect::<Result<_, StoreError>>()?,
    })
}

fn actor(actor: &Actor) -> Option<String> {
    match actor {
        Actor::Peer(peer) => Some(format!("peers/{}", peer.uid)),
        Actor::System { name } => Some(name.clone()),
        Actor::Anonymous => None,
    }
}

fn target(name: &Text) -> Option<String> {
    match name {
        Text::Public(name) => Some(name.clone()),
        Text::Personal(_) => None,
    }
}
