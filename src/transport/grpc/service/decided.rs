//! A decision as an entry of the decision log.
//!
//! INVARIANT: what was presented for a subject, and the user name that one was asked about by, never
//! become part of it.

use crate::application::Caller;
use crate::application::authorize::{Basis, Decided, Subject};
use crate::application::guard::View;
use crate::domain::context::{AttributeValue as Attribute, Context};
use crate::domain::peer::PeerRef;
use crate::telemetry::decision_log::{AttributeValue, Circumstances, DecisionLog, Entry, Obligation, VERSION};
use crate::transport::grpc::convert::access::OwnedCheck;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::obligation::Obligation as Owed;

/// The names in an entry of what it leaves out.
const RESOURCE_ATTRIBUTES: &str = "resourceAttributes";
const SOURCE_ADDRESS: &str = "sourceAddress";

/// Who asks for a decision, and by which method.
pub(super) struct Asked<'a> {
    pub(super) method: &'static str,
    pub(super) caller: &'a Caller,
    pub(super) check: &'a OwnedCheck,
    pub(super) context: &'a Context,
}

impl Asked<'_> {
    /// Hands a decision to the log.
    pub(super) fn log(&self, log: &DecisionLog, view: &View<'_>, decided: &Decided, response: &pb::AuthorizeResponse) {
        let attributes = || self.context.attributes.iter();
        let size = |(name, value): (&String, &Attribute)| match value {
            Attribute::Text(text) => name.len() + text.len(),
            Attribute::Int(_) | Attribute::Bool(_) => name.len(),
        };
        // A map of attributes takes room for each, whatever their texts are.
        let bytes: usize = attributes().map(|attribute| 128 + size(attribute)).sum();
        log.add(bytes, |settings| {
            let (context, left_out) = self.circumstances(settings.source_address, settings.resource_attributes);
            Entry {
                version: VERSION,
                time: view.now.to_rfc3339(),
                decision_id: response.decision_id.clone(),
                method: self.method,
                caller: format!("peers/{}", self.caller.peer),
                api_key: format!("apiKeys/{}", self.caller.api_key),
                subject: self.subject(),
                peer: self.peer(view, decided),
                permission: self.check.permission.to_string(),
                account: format!("accounts/{}", self.check.account),
                context,
                left_out,
                basis: basis(decided.basis),
                decision: response.decision().as_str_name(),
                reason: response.reason().as_str_name(),
                revision: response.revision,
                role_binding: response.role_binding.clone(),
                role: response.role.clone(),
                grant_index: (!response.role.is_empty()).then_some(response.grant_index),
                obligations: response.obligations.iter().filter_map(obligation).collect(),
                missing_attribute: response.missing_attribute.clone(),
            }
        });
    }

    /// How the subject was named.
    const fn subject(&self) -> &'static str {
        match &self.check.subject {
            Subject::Caller | Subject::Peer(PeerRef::Me) => "CALLER",
            Subject::Peer(PeerRef::Id(_)) => "PEER",
            Subject::Peer(PeerRef::UserName(_)) => "USER_NAME",
            Subject::Token(_) => "TOKEN",
        }
    }

    /// Who was asked about; one that is not there by the id that was asked for.
    fn peer(&self, view: &View<'_>, decided: &Decided) -> String {
        let found = decided.subject.and_then(|peer| view.snapshot.peer_id(peer));
        let asked = match &self.check.subject {
            Subject::Peer(PeerRef::Id(id)) => Some(*id),
            Subject::Peer(PeerRef::Me | PeerRef::UserName(_)) | Subject::Caller | Subject::Token(_) => None,
        };
        found.or(asked).map(|id| format!("peers/{id}")).unwrap_or_default()
    }

    fn circumstances(&self, with_address: bool, with_attributes: bool) -> (Circumstances, Vec<&'static str>) {
        let Context { attributes, source_address } = self.context;
        let mut left_out = Vec::new();
        let mut context = Circumstances::default();
        if with_attributes {
            let shown = |(name, shown): (&String, &Attribute)| (name.clone(), value(shown));
            context.resource_attributes = attributes.iter().map(shown).collect();
        } else if !attributes.is_empty() {
            left_out.push(RESOURCE_ATTRIBUTES);
        }
        match source_address {
            Some(address) if with_address => context.source_address = address.to_string(),
            Some(_) => left_out.push(SOURCE_ADDRESS),
            None => {}
        }
        (context, left_out)
    }
}

fn value(value: &Attribute) -> AttributeValue {
    match value {
        Attribute::Text(text) => AttributeValue::Text(text.clone()),
        Attribute::Int(number) => AttributeValue::Int(*number),
        Attribute::Bool(truth) => AttributeValue::Bool(*truth),
    }
}

const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Policy => "POLICY",
        Basis::CallerUnbound => "CALLER_UNBOUND",
        Basis::AccountMissing => "ACCOUNT_MISSING",
        Basis::SubjectHidden => "SUBJECT_HIDDEN",
        Basis::CredentialEnded => "CREDENTIAL_ENDED",
    }
}

fn obligation(obligation: &pb::Obligation) -> Option<Obligation> {
    Some(match obligation.obligation.as_ref()? {
        Owed::Approval(owed) => Obligation::Approval {
            method: owed.method.clone(),
            permission: owed.permission.clone(),
            account: owed.account.clone(),
            approver_permission: owed.approver_permission.clone(),
        },
        Owed::StepUp(owed) => Obligation::StepUp {
            min_assurance: (owed.min_assurance != 0).then(|| owed.min_assurance().as_str_name()),
            methods: owed.methods().map(|level| level.as_str_name()).collect(),
            max_age: owed.max_age.as_ref().map(|age| format!("{}s", age.seconds)),
        },
        Owed::Elevation(owed) => Obligation::Elevation {
            method: owed.method.clone(),
            role_binding: owed.role_binding.clone(),
            group: owed.group.clone(),
        },
    })
}
