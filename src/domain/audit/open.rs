//! From the canonical bytes back to what a reader sees.
//!
//! INVARIANT: a personal value is shown only if its commitment stands in the bytes.
//!
//! Deliberately not here: checking leaf hashes and their chain. That is a verifier's work, and
//! docs/audit-format.md says how it is done.

use std::num::NonZeroU64;
use std::str::FromStr;

use thiserror::Error;

use super::hash::{Hash, commitment, parse_hex};
use super::wire::{Wire, WireActor, WireChange, WireCommitment, WireLinked, WireTarget, WireText};
use super::{
    ActingPeer, Actor, AuditDraft, AuditEvent, Change, FORMAT_VERSION, LinkedEvent, LogPosition, Outcome, Personal,
    PersonalValue, Target, Text,
};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::peer::PeerKind;
use crate::domain::time::Timestamp;

#[derive(Debug, Error)]
pub enum OpenError {
    #[error("the audit event is not the JSON it should be")]
    Json(#[from] serde_json::Error),
    #[error("the audit event has the unknown version `{0}`")]
    Version(String),
    #[error("member `{path}` of the audit event has a wrong value")]
    Member { path: String },
    #[error("the personal value for `{path}` is not the one the audit event committed to")]
    Commitment { path: String },
}

/// Reads an event back. Personal values stand where they belong; those that are missing from
/// `personal` were erased and show as their commitment. A value that is not the committed one is
/// an error, so that nobody is ever shown a name that the log does not vouch for.
///
/// # Errors
/// [`OpenError`] if the bytes are not an event of this version, or a personal value is not the
/// committed one.
pub fn open(bytes: &[u8], personal: &[PersonalValue]) -> Result<AuditEvent, OpenError> {
    let wire: Wire = serde_json::from_slice(bytes)?;
    if wire.version != FORMAT_VERSION {
        return Err(OpenError::Version(wire.version));
    }
    let opener = Opener { personal };
    Ok(AuditEvent {
        position: LogPosition {
            account: account("/account", &wire.account)?,
            seq: number("/seq", &wire.seq, 1)?,
            event_id: wire.event_id,
            recorded_time: time("/recorded_time", &wire.recorded_time)?,
            revision: wire.revision.map(|text| number("/revision", &text, 0)).transpose()?,
            prev_hash: hash("/prev_hash", &wire.prev_hash)?,
            linked: linked(wire.linked)?,
        },
        body: AuditDraft {
            occurred_time: time("/occurred_time", &wire.occurred_time)?,
            actor: opener.actor("/actor", wire.actor)?,
            on_behalf_of: opener.optional_peer("/on_behalf_of", wire.on_behalf_of)?,
            reporter: opener.optional_peer("/reporter", wire.reporter)?,
            session: wire.session,
            action: wire.action,
            target: opener.target(wire.target)?,
            outcome: outcome(&wire.outcome, wire.reason)?,
            elevations: wire.elevations,
            approvals: wire.approvals,
            justification: opener.optional("/justification", wire.justification)?,
            source_address: opener.optional("/source_address", wire.source_address)?,
            user_agent: opener.optional("/user_agent", wire.user_agent)?,
            trace_id: wire.trace_id,
            changes: opener.changes(wire.changes)?,
            count: wire.count.map(|text| count(&text)).transpose()?,
        },
    })
}

struct Opener<'a> {
    personal: &'a [PersonalValue],
}

impl Opener<'_> {
    fn actor(&self, path: &str, actor: WireActor) -> Result<Actor, OpenError> {
        let (kind, wire) = match actor {
            WireActor::Person(wire) => (PeerKind::Person, wire),
            WireActor::Device(wire) => (PeerKind::Device, wire),
            WireActor::Integration(wire) => (PeerKind::Integration, wire),
            WireActor::System { name } => return Ok(Actor::System { name }),
            WireActor::Anonymous => return Ok(Actor::Anonymous),
        };
        let display_name = format!("{path}/display_name");
        Ok(Actor::Peer(ActingPeer {
            uid: PeerId::from(wire.uid),
            kind,
            home_account: account(&format!("{path}/home_account"), &wire.home_account)?,
            display_name: self.optional(&display_name, wire.display_name)?,
        }))
    }

    fn optional_peer(&self, path: &str, actor: Option<WireActor>) -> Result<Option<ActingPeer>, OpenError> {
        match actor.map(|actor| self.actor(path, actor)).transpose()? {
            Some(Actor::Peer(peer)) => Ok(Some(peer)),
            Some(Actor::System { .. } | Actor::Anonymous) => Err(wrong(&format!("{path}/kind"))),
            None => Ok(None),
        }
    }

    fn target(&self, target: WireTarget) -> Result<Target, OpenError> {
        Ok(Target {
            kind: target.kind,
            name: self.text("/target/name", target.name)?,
            account: target.account.map(|text| account("/target/account", &text)).transpose()?,
            display_name: self.optional("/target/display_name", target.display_name)?,
        })
    }

    fn changes(&self, changes: Vec<WireChange>) -> Result<Vec<Change>, OpenError> {
        let mut opened = Vec::with_capacity(changes.len());
        for (index, change) in changes.into_iter().enumerate() {
            let side = |name: &str, text: Option<WireText>| {
                let path = format!("/changes/{index}/{name}");
                text.map(|text| self.text(&path, text)).transpose()
            };
            opened.push(Change {
                field: change.field,
                before: side("before", change.before)?,
                after: side("after", change.after)?,
            });
        }
        Ok(opened)
    }

    fn text(&self, path: &str, text: WireText) -> Result<Text, OpenError> {
        match text {
            WireText::Public(value) => Ok(Text::Public(value)),
            WireText::Committed(wire) => self.personal(path, &wire).map(Text::Personal),
        }
    }

    fn optional(&self, path: &str, wire: Option<WireCommitment>) -> Result<Option<Personal>, OpenError> {
        wire.map(|wire| self.personal(path, &wire)).transpose()
    }

    fn personal(&self, path: &str, wire: &WireCommitment) -> Result<Personal, OpenError> {
        let committed = hash(&format!("{path}/hmac_sha256"), &wire.hmac_sha256)?;
        let Some(found) = self.personal.iter().find(|found| found.path == path) else {
            return Ok(Personal::Erased(committed));
        };
        if commitment(&found.salt, &found.value) != committed {
            return Err(OpenError::Commitment { path: path.to_owned() });
        }
        Ok(Personal::Value(found.value.clone()))
    }
}

fn linked(linked: Vec<WireLinked>) -> Result<Vec<LinkedEvent>, OpenError> {
    let mut opened = Vec::with_capacity(linked.len());
    for (index, event) in linked.into_iter().enumerate() {
        opened.push(LinkedEvent {
            account: account(&format!("/linked/{index}/account"), &event.account)?,
            seq: number(&format!("/linked/{index}/seq"), &event.seq, 1)?,
            event_id: event.event_id,
        });
    }
    Ok(opened)
}

fn outcome(text: &str, reason: Option<String>) -> Result<Outcome, OpenError> {
    match (text, reason) {
        ("SUCCESS", None) => Ok(Outcome::Success),
        ("DENIED", Some(reason)) => Ok(Outcome::Denied { reason }),
        ("FAILED", Some(reason)) => Ok(Outcome::Failed { reason }),
        ("SUCCESS" | "DENIED" | "FAILED", _) => Err(wrong("/reason")),
        (_, _) => Err(wrong("/outcome")),
    }
}

fn account(path: &str, text: &str) -> Result<AccountId, OpenError> {
    AccountId::parse(text).map_err(|_| wrong(path))
}

fn hash(path: &str, text: &str) -> Result<Hash, OpenError> {
    parse_hex(text).ok_or_else(|| wrong(path))
}

fn count(text: &str) -> Result<NonZeroU64, OpenError> {
    exact(text).ok_or_else(|| wrong("/count"))
}

fn number(path: &str, text: &str, least: i64) -> Result<i64, OpenError> {
    exact(text).filter(|number| *number >= least).ok_or_else(|| wrong(path))
}

/// Parses a number, and only in the one form that sealing writes.
fn exact<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|number| number.to_string() == text)
}

fn time(path: &str, text: &str) -> Result<Timestamp, OpenError> {
    Timestamp::parse_rfc3339(text).ok().filter(|time| time.to_rfc3339() == text).ok_or_else(|| wrong(path))
}

fn wrong(path: &str) -> OpenError {
    OpenError::Member { path: path.to_owned() }
}
