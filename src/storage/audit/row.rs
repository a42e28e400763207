//! Rows of sealed events and of the personal values beside them.
//!
//! The bytes are stored as they were sealed. No personal value stands in a column of the event:
//! erasing one must leave nothing behind. What makes it be found by a search stands in its own row.

use std::collections::BTreeMap;

use crate::domain::audit::{Actor, AuditDraft, PersonalValue, SealedEvent, Text};
use crate::domain::ids::AccountId;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::storage::code::fixed;
use crate::storage::entity::{audit_event, audit_personal};
use crate::storage::error::StoreError;

const EVENTS: &str = "audit_events";
const PERSONAL: &str = "audit_personal";

/// How much of a text is looked at by a search, in characters.
const SEARCHED_MAX: usize = 1000;
/// How many public texts of an event a search looks at.
const SEARCHED_TEXTS_MAX: usize = 64;
/// The paths of personal values that a search does not look at. What a client says it is tells little
/// and is long.
const UNSEARCHED: &[&str] = &["/user_agent"];

pub(super) fn event(
    event: &SealedEvent,
    draft: &AuditDraft,
    (recorded_time, order_time): (Timestamp, i64),
) -> audit_event::Model {
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
        reason: draft.outcome.reason().map(str::to_owned),
        reporter: draft.reporter.as_ref().map(|peer| format!("peers/{}", peer.uid)),
        order_time,
        search_key: search_key(draft),
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
        value_key: if UNSEARCHED.contains(&value.path.as_str()) { String::new() } else { key(&value.value) },
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

/// The public texts of an event, a line each, as a search compares them.
fn search_key(draft: &AuditDraft) -> String {
    let public = |text: &Text| match text {
        Text::Public(text) => Some(key(text)),
        Text::Personal(_) => None,
    };
    let system = match &draft.actor {
        Actor::System { name } => Some(key(name)),
        Actor::Peer(_) | Actor::Anonymous => None,
    };
    let texts = [Some(key(&draft.action)), public(&draft.target.name), system, draft.outcome.reason().map(key)];
    let changed = draft.changes.iter().flat_map(|change| [&change.before, &change.after]).flatten().filter_map(public);
    let mut joined = String::new();
    for text in texts.into_iter().flatten().chain(changed).take(SEARCHED_TEXTS_MAX) {
        if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(&text);
    }
    joined
}

fn key(value: &str) -> String {
    let start: String = value.chars().take(SEARCHED_MAX).collect();
    text::fold(&start).replace('\n', " ")
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
