//! What the fields of an entry say of each other, for which nobody has to be asked.
//!
//! How often a caller asked, with which key and by which of the methods leaves no trace in the policy, so
//! that a log that was changed there alone cannot be told from one that was not.

use serde_json::Value;
use uuid::{Uuid, Version};

use super::{Basis, Difference, Entry};
use crate::domain::time::Timestamp;

/// The methods whose decisions are logged.
const METHODS: [&str; 2] =
    ["peerage.v1.AccountAccessService/Authorize", "peerage.v1.AccountAccessService/BatchAuthorize"];
const CALLER: &str = "CALLER";
const TOKEN: &str = "TOKEN";

/// Where the fields of an entry contradict each other.
pub(super) fn contradictions(entry: &Entry) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |field, logged: &str, replayed: Value| {
        let logged = if logged.is_empty() { Value::Null } else { logged.into() };
        found.push(Difference { field, logged, replayed });
    };
    if !is_of_its_time(entry) {
        differ("decisionId", &entry.decision_id, format!("an id of {}", entry.time).into());
    }
    if !METHODS.contains(&entry.method.as_str()) {
        differ("method", &entry.method, Value::Null);
    }
    if entry.subject == CALLER && entry.peer != entry.caller {
        differ("caller", &entry.caller, entry.peer.as_str().into());
    }
    let fits = match entry.basis {
        Basis::Policy => true,
        Basis::CallerUnbound | Basis::AccountMissing => entry.is_about_itself(),
        Basis::SubjectHidden => !entry.peer.is_empty() && !entry.is_about_itself(),
        Basis::CredentialEnded => entry.subject == TOKEN && entry.peer.is_empty(),
    };
    if !fits {
        differ("basis", entry.basis.word(), Basis::Policy.word().into());
    }
    found
}

/// Whether the id was made when the decision was: a UUIDv7 begins with its millisecond.
fn is_of_its_time(entry: &Entry) -> bool {
    let Ok(time) = Timestamp::parse_rfc3339(&entry.time) else { return true };
    let id = Uuid::parse_str(&entry.decision_id).ok().filter(|id| id.get_version() == Some(Version::SortRand));
    let millis = id.map(|id| i128::from(id.as_u64_pair().0 >> 16));
    millis == Some(i128::from(time.as_micros().div_euclid(1000)))
}
