//! `peerage authorize --replay`: entries of a decision log are decided again, and held against what they
//! say.
//!
//! What is asked again is ExplainAuthorization at the revision and the time of the entry. An entry whose
//! basis is not the policy was answered before that: its caller was not to learn more, while whoever
//! replays may. Then what is held against it is what the caller was told for, such as that it held
//! nothing there. `itself` says what its fields say of each other.
//!
//! INVARIANT: nothing is called the same that was not compared.

mod itself;
mod verdict;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::connection::Connection;
use super::output::{self, Format};
use super::{FAILED, failure};
use crate::telemetry::decision_log::VERSION;
use crate::transport::grpc::pb;
use verdict::{Difference, Fate, Verdict, settled, show};

/// Something came out otherwise.
const DIFFERENT: u8 = 1;
/// What the answer is compared by.
const FIELDS: [&str; 7] =
    ["decision", "reason", "roleBinding", "role", "grantIndex", "obligations", "missingAttribute"];
/// An id that nobody has: for decisions about nobody.
const NOBODY: &str = "peers/00000000-0000-7000-8000-000000000000";

/// The parts of an entry that a replay needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    version: u64,
    #[serde(default)]
    decision_id: String,
    time: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    caller: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    peer: String,
    permission: String,
    account: String,
    #[serde(default)]
    context: Option<Value>,
    #[serde(default)]
    left_out: Vec<String>,
    basis: Basis,
    revision: String,
    /// What was decided stands here.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Entry {
    fn is_about_itself(&self) -> bool {
        !self.peer.is_empty() && self.peer == self.caller
    }
}

/// What an entry came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Basis {
    Policy,
    CallerUnbound,
    AccountMissing,
    SubjectHidden,
    CredentialEnded,
}

impl Basis {
    const fn word(self) -> &'static str {
        match self {
            Self::Policy => "POLICY",
            Self::CallerUnbound => "CALLER_UNBOUND",
            Self::AccountMissing => "ACCOUNT_MISSING",
            Self::SubjectHidden => "SUBJECT_HIDDEN",
            Self::CredentialEnded => "CREDENTIAL_ENDED",
        }
    }
}

/// Replays what a file holds.
pub(super) async fn run(file: &Path, connection: &Connection, format: Format) -> anyhow::Result<ExitCode> {
    let mut input = open(file)?;
    let replayer = Replayer { connection, checks_everywhere: OnceCell::new() };
    let (mut counts, mut number, mut line) = (BTreeMap::<Fate, usize>::new(), 0_usize, Vec::new());
    loop {
        line.clear();
        let length = input.read_until(b'\n', &mut line).with_context(|| format!("cannot read `{}`", file.display()))?;
        if length == 0 {
            break;
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (id, verdict) = match read(&line) {
            Ok(entry) => {
                let verdict = replayer.replay(&entry).await.with_context(|| format!("line {number}"))?;
                let verdict = verdict.beside(itself::contradictions(&entry));
                (entry.decision_id, verdict)
            }
            Err(error) => (String::new(), Verdict::new(Fate::Unreadable, format!("{error:#}"))),
        };
        *counts.entry(verdict.fate).or_default() += 1;
        show(format, number, &id, &verdict)?;
    }
    let told: Vec<String> = counts.iter().map(|(fate, count)| format!("{count} {}", fate.phrase())).collect();
    let total: usize = counts.values().sum();
    let what = if total == 1 { "entry" } else { "entries" };
    output::note(&format!("{total} {what}{}{}", if told.is_empty() { "" } else { ": " }, told.join(", ")))?;
    let has = |fate| counts.contains_key(&fate);
    Ok(if has(Fate::Different) {
        ExitCode::from(DIFFERENT)
    } else if has(Fate::Refused) || has(Fate::Unreadable) {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn open(file: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn read(line: &[u8]) -> anyhow::Result<Entry> {
    let entry: Entry = serde_json::from_slice(line).context("no entry of a decision log")?;
    let version = entry.version;
    anyhow::ensure!(version == u64::from(VERSION), "an entry of version {version}, which this release does not read");
    Ok(entry)
}

/// Asks again.
struct Replayer<'a> {
    connection: &'a Connection,
    /// Whether the caller may ask about every account, and so can tell a missing one.
    checks_everywhere: OnceCell<bool>,
}

impl Replayer<'_> {
    async fn replay(&self, entry: &Entry) -> anyhow::Result<Verdict> {
        if entry.basis == Basis::CredentialEnded {
            // When a server forgets a key that is over, no history says.
            let told = denied(pb::DecisionReason::SubjectSessionEnded);
            return Ok(match compare(entry, &told) {
                differences if differences.is_empty() => {
                    Verdict::new(Fate::NotReplayable, "a presented key was over, which the policy does not decide")
                }
                differences => Verdict { fate: Fate::Different, why: String::new(), differences },
            });
        }
        if !entry.left_out.is_empty() {
            let why = format!("the entry leaves out {}", entry.left_out.join(" and "));
            return Ok(Verdict::new(Fate::NotReplayable, why));
        }
        let request = match request(entry) {
            Ok(request) => request,
            Err(error) => return Ok(Verdict::new(Fate::Unreadable, format!("{error:#}"))),
        };
        match self.connection.access().explain_authorization(request).await {
            Ok(response) => judge(entry, &response.into_inner()),
            Err(status) => self.refused(entry, status).await,
        }
    }

    /// What it says of an entry that it cannot be asked about.
    async fn refused(&self, entry: &Entry, status: Status) -> anyhow::Result<Verdict> {
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        Ok(match (status.code(), reason.as_str()) {
            (Code::FailedPrecondition, "REVISION_NOT_KEPT") => {
                Verdict::new(Fate::NotKept, format!("revision {} is not kept any more", entry.revision))
            }
            (Code::InvalidArgument, "PERMISSION_UNKNOWN") => {
                Verdict::different("permission", entry.permission.as_str(), Value::Null)
            }
            (Code::InvalidArgument, _) => Verdict::new(Fate::Unreadable, failure::details(&status).join("; ")),
            (Code::NotFound, _) if !self.checks_everywhere().await? => Verdict::new(
                Fate::Refused,
                format!("{} was missing, or you may not ask about it: the two look the same", entry.account),
            ),
            (Code::NotFound, _) if entry.basis == Basis::AccountMissing => {
                settled(compare(entry, &denied(pb::DecisionReason::NoMatchingGrant)), "")
            }
            (Code::NotFound, _) => Verdict::different("account", entry.account.as_str(), Value::Null),
            // The next one may be answered.
            (Code::OutOfRange | Code::FailedPrecondition | Code::PermissionDenied, _) => {
                Verdict::new(Fate::Refused, status.message())
            }
            _ => return Err(status.into()),
        })
    }

    async fn checks_everywhere(&self) -> anyhow::Result<bool> {
        let ask = async || {
            // An explanation is no decision, and so a replay adds nothing to the log.
            let request = pb::ExplainAuthorizationRequest {
                permission: "access.check".to_owned(),
                account: "accounts/platform".to_owned(),
                page_size: 1,
                ..Default::default()
            };
            let answer = self.connection.access().explain_authorization(request).await?.into_inner().decision;
            Ok(answer.is_some_and(|answer| answer.decision() == pb::Decision::Allow))
        };
        self.checks_everywhere.get_or_try_init(ask).await.copied()
    }
}

/// The same question about then. What an entry and the contract's JSON have in common is read as such.
fn request(entry: &Entry) -> anyhow::Result<pb::ExplainAuthorizationRequest> {
    let mut fields = json!({
        "peer": if entry.peer.is_empty() { NOBODY } else { &entry.peer },
        "permission": entry.permission,
        "account": entry.account,
        "atRevision": entry.revision,
        "evaluateTime": entry.time,
        // The deciding grant comes first, and no other is compared.
        "pageSize": 1,
    });
    if let (Some(fields), Some(context)) = (fields.as_object_mut(), &entry.context) {
        fields.insert("context".to_owned(), context.clone());
    }
    output::from_json(fields).context("no entry of a decision log")
}

fn judge(entry: &Entry, explained: &pb::ExplainAuthorizationResponse) -> anyhow::Result<Verdict> {
    let answer = explained.decision.clone().unwrap_or_default();
    let holds_nothing = explained.total_size == 0;
    let told = match entry.basis {
        Basis::CallerUnbound if holds_nothing && answer.reason() != pb::DecisionReason::SubjectUnknown => {
            denied(pb::DecisionReason::NoMatchingGrant)
        }
        Basis::SubjectHidden if holds_nothing => denied(pb::DecisionReason::SubjectUnknown),
        // One who asks about itself is told no more than it was then.
        Basis::AccountMissing if !explained.checks.is_empty() => {
            return Ok(Verdict::different("account", Value::Null, entry.account.as_str()));
        }
        Basis::Policy
        | Basis::CallerUnbound
        | Basis::AccountMissing
        | Basis::SubjectHidden
        | Basis::CredentialEnded => object(&answer)?,
    };
    let mut differences = compare(entry, &told);
    let basis = match entry.basis {
        Basis::Policy if holds_nothing && entry.is_about_itself() => Some(Basis::CallerUnbound),
        Basis::CallerUnbound | Basis::SubjectHidden if !holds_nothing => Some(Basis::Policy),
        Basis::Policy
        | Basis::CallerUnbound
        | Basis::AccountMissing
        | Basis::SubjectHidden
        | Basis::CredentialEnded => None,
    };
    if let Some(basis) = basis {
        differences.push(Difference {
            field: "basis",
            logged: entry.basis.word().into(),
            replayed: basis.word().into(),
        });
        return Ok(settled(differences, ""));
    }
    if !differences.is_empty() && entry.basis == Basis::Policy && explained.checks.is_empty() {
        return Ok(Verdict::new(Fate::Refused, "it is about you, and not for you to know; others may replay it"));
    }
    let is_hidden = answer.role.is_empty() && explained.grants.first().is_some_and(|grant| grant.redacted);
    if is_hidden {
        differences.retain(|one| matches!(one.field, "decision" | "reason"));
        return Ok(settled(differences, "what decided is not for you to see, and was not compared"));
    }
    Ok(settled(differences, ""))
}

/// A denial that nothing else is told about.
fn denied(reason: pb::DecisionReason) -> Map<String, Value> {
    let fields = [("decision", pb::Decision::Deny.as_str_name()), ("reason", reason.as_str_name())]
        .map(|(name, value)| (name.to_owned(), Value::from(value)));
    fields.into_iter().collect()
}

fn object(answer: &pb::AuthorizeResponse) -> anyhow::Result<Map<String, Value>> {
    match output::json(answer)? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Ok(Map::new()),
    }
}

/// Where an entry and an answer differ.
fn compare(entry: &Entry, told: &Map<String, Value>) -> Vec<Difference> {
    // The contract's JSON leaves out what is zero, and an entry may.
    let get = |fields: &Map<String, Value>, field: &str| {
        fields.get(field).filter(|value| value.as_i64() != Some(0)).cloned().unwrap_or(Value::Null)
    };
    let differs = |field: &'static str| {
        let (logged, replayed) = (get(&entry.rest, field), get(told, field));
        (logged != replayed).then_some(Difference { field, logged, replayed })
    };
    FIELDS.into_iter().filter_map(differs).collect()
}
