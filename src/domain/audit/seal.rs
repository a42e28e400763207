//! From a draft to the canonical bytes.
//!
//! INVARIANT: a personal value reaches the bytes through `Sealer::personal` alone, as a commitment.
//!
//! Deliberately not here: bounds on the fields. The API checks them, and an act that happened must
//! never go unrecorded because its description is unusual.

use thiserror::Error;

use super::hash::{commitment, leaf_hash, to_hex};
use super::wire::{Wire, WireActor, WireChange, WireCommitment, WireLinked, WirePeer, WireTarget, WireText};
use super::{
    ActingPeer, Actor, AuditDraft, Change, FORMAT_VERSION, LinkedEvent, LogPosition, Personal, PersonalValue,
    SealedEvent, Target, Text,
};
use crate::domain::ids::AccountId;
use crate::domain::peer::PeerKind;

#[derive(Debug, Error)]
#[error("cannot encode the audit event")]
pub struct SealError(#[from] serde_json::Error);

/// Turns a draft into the exact bytes of one event of one log.
///
/// `salts` is asked once for each personal value and must answer 32 fresh random bytes. An act
/// that is recorded in several logs is sealed once for each, with salts of its own.
///
/// # Errors
/// [`SealError`] if the encoder fails; no draft is known for which it does.
pub fn seal(
    draft: &AuditDraft,
    position: LogPosition,
    salts: &mut dyn FnMut() -> [u8; 32],
) -> Result<SealedEvent, SealError> {
    let mut sealer = Sealer { salts, personal: Vec::new() };
    let wire = sealer.event(draft, &position);
    let bytes = serde_json_canonicalizer::to_vec(&wire)?;
    Ok(SealedEvent {
        leaf_hash: leaf_hash(&bytes),
        bytes,
        personal: sealer.personal,
        account: position.account,
        seq: position.seq,
        event_id: position.event_id,
        prev_hash: position.prev_hash,
    })
}

struct Sealer<'a> {
    salts: &'a mut dyn FnMut() -> [u8; 32],
    personal: Vec<PersonalValue>,
}

impl Sealer<'_> {
    fn event(&mut self, draft: &AuditDraft, position: &LogPosition) -> Wire {
        Wire {
            version: FORMAT_VERSION.to_owned(),
            account: position.account.as_str().to_owned(),
            seq: position.seq.to_string(),
            event_id: position.event_id,
            prev_hash: to_hex(&position.prev_hash),
            occurred_time: draft.occurred_time.to_rfc3339(),
            recorded_time: position.recorded_time.to_rfc3339(),
            actor: self.actor(&draft.actor),
            on_behalf_of: self.optional_peer("/on_behalf_of", draft.on_behalf_of.as_ref()),
            reporter: self.optional_peer("/reporter", draft.reporter.as_ref()),
            session: draft.session.clone(),
            action: draft.action.clone(),
            target: self.target(&draft.target, &position.account),
            outcome: draft.outcome.as_str().to_owned(),
            reason: draft.outcome.reason().map(str::to_owned),
            revision: position.revision.map(|revision| revision.to_string()),
            elevations: draft.elevations.clone(),
            approvals: draft.approvals.clone(),
            justification: self.optional("/justification", draft.justification.as_ref()),
            source_address: self.optional("/source_address", draft.source_address.as_ref()),
            user_agent: self.optional("/user_agent", draft.user_agent.as_ref()),
            trace_id: draft.trace_id.clone(),
            changes: self.changes(&draft.changes),
            linked: position.linked.iter().map(wire_linked).collect(),
            count: draft.count.map(|count| count.to_string()),
        }
    }

    fn actor(&mut self, actor: &Actor) -> WireActor {
        match actor {
            Actor::Peer(peer) => self.peer("/actor", peer),
            Actor::System { name } => WireActor::System { name: name.clone() },
            Actor::Anonymous => WireActor::Anonymous,
        }
    }

    fn optional_peer(&mut self, path: &str, peer: Option<&ActingPeer>) -> Option<WireActor> {
        peer.map(|peer| self.peer(path, peer))
    }

    fn peer(&mut self, path: &str, peer: &ActingPeer) -> WireActor {
        let path = format!("{path}/display_name");
        let wire = WirePeer {
            uid: peer.uid.as_uuid(),
            home_account: peer.home_account.as_str().to_owned(),
            display_name: self.optional(&path, peer.display_name.as_ref()),
        };
        match peer.kind {
            PeerKind::Person => WireActor::Person(wire),
            PeerKind::Device => WireActor::Device(wire),
            PeerKind::Integration => WireActor::Integration(wire),
        }
    }

    fn target(&mut self, target: &Target, log: &AccountId) -> WireTarget {
        WireTarget {
            kind: target.kind.clone(),
            name: self.text("/target/name", &target.name),
            account: target
                .account
                .as_ref()
                .map(AccountId::as_str)
                .filter(|account| *account != log.as_str())
                .map(str::to_owned),
            display_name: self.optional("/target/display_name", target.display_name.as_ref()),
        }
    }

    fn changes(&mut self, changes: &[Change]) -> Vec<WireChange> {
        let mut wire = Vec::with_capacity(changes.len());
        for (index, change) in changes.iter().enumerate() {
            let mut side = |name: &str, text: &Option<Text>| {
                let path = format!("/changes/{index}/{name}");
                text.as_ref().map(|text| self.text(&path, text))
            };
            wire.push(WireChange {
                field: change.field.clone(),
                before: side("before", &change.before),
                after: side("after", &change.after),
            });
        }
        wire
    }

    fn text(&mut self, path: &str, text: &Text) -> WireText {
        match text {
            Text::Public(value) => WireText::Public(value.clone()),
            Text::Personal(personal) => WireText::Committed(self.personal(path, personal)),
        }
    }

    fn optional(&mut self, path: &str, personal: Option<&Personal>) -> Option<WireCommitment> {
        personal.map(|personal| self.personal(path, personal))
    }

    fn personal(&mut self, path: &str, personal: &Personal) -> WireCommitment {
        let hash = match personal {
            Personal::Value(value) => {
                let salt = (self.salts)();
                let commitment = commitment(&salt, value);
                self.personal.push(PersonalValue { path: path.to_owned(), value: value.clone(), salt, commitment });
                commitment
            }
            Personal::Erased(commitment) => *commitment,
        };
        WireCommitment { hmac_sha256: to_hex(&hash) }
    }
}

fn wire_linked(linked: &LinkedEvent) -> WireLinked {
    WireLinked { account: linked.account.as_str().to_owned(), seq: linked.seq.to_string(), event_id: linked.event_id }
}
