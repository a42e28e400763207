//! Questions put to the engine, on the facts of a world.
//!
//! INVARIANT: this decides nothing. A check is `evaluate` with its explanation, a list is what the
//! list's own walk finds; here they are only put into the file's words.

use super::expected::{Answer, Expected, Found, Owed};
use super::given::Suspended;
use super::lists;
use super::read::{Ask, Question, Rows};
use super::stage::Stage;
use crate::application::authorize::{Answer as Decided, Subject};
use crate::application::explain::{Explained, ShownBinding, ShownCheck, ShownEntry};
use crate::application::page::Page;
use crate::decision::explain::{Entry, Explanation, Fate, Obstacle, explain, suggest};
use crate::decision::snapshot::GroupIndex;
use crate::decision::{AccountIndex, Decision, PeerIndex, Query, Reason, Snapshot};
use crate::domain::context::Context;
use crate::domain::fact::{Change, Fact};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::peer::{PeerRef, UserName};
use crate::domain::permission::PermissionName;
use crate::domain::role::Effect;
use crate::domain::time::Timestamp;
use crate::transport::grpc::convert::access::{OwnedCheck, outcome, owed, reason};
use crate::transport::grpc::convert::explain as wire;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::obligation::Obligation;

/// The time of worlds in which nothing begins or ends.
const ANY_TIME: Timestamp = Timestamp::from_micros(0);

/// What came of a question.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Answered,
    /// What differs from what is expected, a line each. Nothing where all holds.
    pub(super) differences: Vec<String>,
    /// The whole explanation of a check that does not hold, or of the first row that is not as expected.
    pub(super) why: String,
    /// The grants that the answer rests on.
    pub(super) touched: Vec<Touched>,
}

/// The answer, in the file's words.
#[derive(Debug)]
pub(super) enum Answered {
    One(Box<Answer>),
    Rows(Rows),
}

/// A grant that an answer has to do with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Touched {
    pub(super) role: RoleId,
    pub(super) place: u16,
    pub(super) how: Touch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Touch {
    Decided,
    /// Its condition alone kept it from counting.
    KeptBack,
}

/// The facts with some accounts suspended.
pub(super) fn with_suspended(stage: &mut Stage, suspended: &[Suspended]) -> anyhow::Result<Snapshot> {
    let changes: Vec<Change> = suspended
        .iter()
        .filter_map(|one| {
            let index = stage.snapshot.find_account(one.account.as_str())?;
            let before = stage.snapshot.account_fact(index)?;
            let mut after = before.clone();
            after.suspension = Some(one.scope);
            Some(Change::changed(Fact::Account(before), Fact::Account(after)))
        })
        .collect();
    Ok(stage.snapshot.with(&changes, &mut stage.compiler)?)
}

/// Puts a question.
pub(super) fn ask(stage: &mut Stage, snapshot: &Snapshot, question: &Question) -> anyhow::Result<Outcome> {
    let asker = Asker { snapshot, now: question.now.unwrap_or(ANY_TIME), context: &question.context };
    let (listed, expected) = match &question.ask {
        Ask::Check { peer, permission, account, expected } => {
            return asker.check(stage, (peer, permission, account), expected);
        }
        Ask::Accounts { peer, permission, under, rows } => {
            (asker.accounts(stage, peer, permission, under.as_ref()), rows)
        }
        Ask::Peers { account, permission, rows } => (asker.peers(stage, account, permission), rows),
        Ask::Permissions { peer, account, of, rows } => (asker.permissions(stage, peer, account, of), rows),
    };
    let differing = lists::differences(expected, &listed.rows);
    let why = match differing.first() {
        Some((row, _)) => asker.why_row(stage, &question.ask, row)?,
        None => String::new(),
    };
    let differences = differing.into_iter().map(|(_, line)| line).collect();
    Ok(Outcome { answer: Answered::Rows(listed.rows), differences, why, touched: listed.touched })
}

/// Whom, what and where a decision is about.
pub(super) type Cell<'a> = (&'a UserName, &'a PermissionName, &'a AccountId);

/// What questions are asked of.
pub(super) struct Asker<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Timestamp,
    pub(super) context: &'a Context,
}

impl Asker<'_> {
    fn check(&self, stage: &mut Stage, cell: Cell<'_>, expected: &Expected) -> anyhow::Result<Outcome> {
        let (_, permission, account) = cell;
        let Some(query) = self.query(stage, cell) else {
            anyhow::bail!("the world has no permission `{permission}` or no account `{account}`")
        };
        let explanation = explain(self.snapshot, &query);
        let answer = self.answer(stage, &explanation, permission, account);
        let differences = expected.differences(&answer);
        let why = if differences.is_empty() { String::new() } else { self.why(stage, cell)? };
        let touched = self.touched(&explanation);
        Ok(Outcome { answer: Answered::One(Box::new(answer)), differences, why, touched })
    }

    pub(super) fn peer(&self, stage: &Stage, name: &UserName) -> Option<PeerIndex> {
        let (id, _) = stage.names.peers.get(&name.key())?;
        self.snapshot.find_peer(*id)
    }

    fn query<'q>(&'q self, stage: &Stage, (peer, permission, account): Cell<'_>) -> Option<Query<'q>> {
        Some(Query {
            peer: self.peer(stage, peer),
            permission: self.snapshot.find_permission(permission.as_str())?,
            account: self.snapshot.find_account(account.as_str())?,
            now: self.now,
            context: self.context,
        })
    }

    fn account_name(&self, account: AccountIndex) -> String {
        self.snapshot.account_id(account).map(AccountId::to_string).unwrap_or_default()
    }

    fn group_name(&self, stage: &Stage, group: GroupIndex) -> String {
        self.snapshot.group(group).map(|group| stage.names.group(group.id)).unwrap_or_default()
    }

    fn found(&self, stage: &Stage, entry: &Entry<'_>) -> Found {
        let role = self.snapshot.role(entry.binding.role);
        Found {
            role: role.map(|role| stage.names.role(&role.fact.id)).unwrap_or_default(),
            account: self.account_name(entry.binding.account),
            group: entry.through.map(|through| self.group_name(stage, through.group)).unwrap_or_default(),
            grant: entry.grant.map(|(_, grant)| grant.pattern.to_string()).unwrap_or_default(),
        }
    }

    fn answer(
        &self,
        stage: &Stage,
        explanation: &Explanation<'_>,
        permission: &PermissionName,
        account: &AccountId,
    ) -> Answer {
        let decision = explanation.decision;
        let mut obligations: Vec<Owed> = owed(decision.unmet, permission, account).iter().filter_map(owes).collect();
        if decision.reason == Reason::EligibleNotActive {
            obligations.push(Owed::Elevation);
        }
        // The one that decided stands first.
        let decider = explanation.entries.first().filter(|entry| is_decider(&decision, entry));
        Answer {
            decision: outcome(decision.outcome),
            reason: reason(decision.reason),
            missing_attribute: decision.missing_attribute(self.snapshot).unwrap_or_default().to_owned(),
            obligations,
            decided_by: decider.map(|entry| self.found(stage, entry)),
            considered: explanation.entries.iter().map(|entry| (self.found(stage, entry), outcomes(entry))).collect(),
        }
    }

    /// The explanation as `peerage authorize --explain` shows it, in the file's words.
    pub(super) fn why(&self, stage: &mut Stage, cell: Cell<'_>) -> anyhow::Result<String> {
        let Some(query) = self.query(stage, cell) else { return Ok(String::new()) };
        let explanation = explain(self.snapshot, &query);
        let (peer, permission, account) = cell;
        let check = OwnedCheck {
            subject: Subject::Peer(PeerRef::UserName(peer.clone())),
            permission: permission.clone(),
            account: account.clone(),
            context: self.context.clone(),
        };
        let entries: Vec<ShownEntry> = explanation.entries.iter().map(|entry| self.shown(entry)).collect();
        let explained = Explained {
            snapshot: std::sync::Arc::new(self.snapshot.clone()),
            subject: query.peer,
            answer: Decided { decision: explanation.decision, revision: self.snapshot.revision() },
            time: self.now,
            is_first_page: true,
            checks: explanation
                .checks
                .iter()
                .map(|checked| ShownCheck {
                    check: checked.check,
                    passed: checked.passed,
                    account: checked.account.and_then(|account| self.snapshot.account_id(account)).cloned(),
                    access: checked.access,
                    expire: checked.expire,
                })
                .collect(),
            suggestions: suggest(self.snapshot, &query, &explanation, &[], &mut stage.compiler)?,
            total: entries.len(),
            entries: Page { items: entries, next: None },
        };
        let text = wire::response(&explained, &check, uuid::Uuid::nil(), String::new()).text;
        // Neither a revision nor a time that nobody gave says anything of a world in a file.
        let lines = text.lines().filter(|line| !line.starts_with("at revision "));
        Ok(stage.names.readable(&lines.collect::<Vec<_>>().join("\n")))
    }

    fn shown(&self, entry: &Entry<'_>) -> ShownEntry {
        ShownEntry {
            binding: Some(ShownBinding {
                id: entry.binding.id,
                reach: entry.binding.reach,
                mode: entry.binding.mode,
                window: entry.window,
                membership: entry.through.map(|through| (through.mode, through.window)),
            }),
            via_group: entry.through.is_some(),
            group: entry.through.and_then(|through| self.snapshot.group(through.group)).map(|group| group.id),
            account: self.snapshot.account_id(entry.binding.account).cloned(),
            role: self.snapshot.role(entry.binding.role).map(|role| role.fact.id.clone()),
            grant: entry.grant.map(|(place, grant)| (place, grant.clone())),
            effect: entry.effect(),
            stated: entry.stated,
            obstacles: entry.obstacles.clone(),
            missing: entry.missing.map(ToOwned::to_owned),
            parts: entry.parts.clone(),
            fate: entry.fate,
            is_redacted: false,
        }
    }

    /// The grant that decided, and those that only their conditions kept from counting.
    fn touched(&self, explanation: &Explanation<'_>) -> Vec<Touched> {
        let by_condition = [Obstacle::ConditionNotMet, Obstacle::AttributeMissing];
        let mut touched = Vec::new();
        for entry in &explanation.entries {
            let Some(role) = self.snapshot.role(entry.binding.role) else { continue };
            let Some((place, _)) = entry.grant else { continue };
            let is_kept_back =
                !entry.obstacles.is_empty() && entry.obstacles.iter().all(|one| by_condition.contains(one));
            let how = if is_kept_back {
                Touch::KeptBack
            } else if is_decider(&explanation.decision, entry) {
                Touch::Decided
            } else {
                continue;
            };
            touched.push(Touched { role: role.fact.id.clone(), place, how });
        }
        touched
    }
}

/// Whether an entry is the one that the decision names.
fn is_decider(decision: &Decision, entry: &Entry<'_>) -> bool {
    decision.deciding.is_some_and(|deciding| {
        deciding.binding == entry.binding.id
            && deciding.group == entry.through.map(|through| through.group)
            && entry.grant.is_some_and(|(place, _)| place == deciding.grant)
    })
}

/// What became of an entry, and everything else that stands in its way.
fn outcomes(entry: &Entry<'_>) -> Vec<pb::GrantOutcome> {
    let first = wire::fate(entry.fate);
    // A role without a grant for the permission has come to its end, whatever its binding is like.
    let others = entry.obstacles.iter().map(|one| wire::obstacle(*one)).filter(|_| entry.fate != Fate::NoMatch);
    let mut all: Vec<pb::GrantOutcome> = std::iter::once(first).chain(others).collect();
    all.dedup();
    all
}

fn owes(obligation: &pb::Obligation) -> Option<Owed> {
    Some(match obligation.obligation.as_ref()? {
        Obligation::Approval(_) => Owed::Approval,
        Obligation::Elevation(_) => Owed::Elevation,
        Obligation::StepUp(owed) => Owed::StepUp {
            level: owed.min_assurance,
            max_age_seconds: owed.max_age.as_ref().map_or(0, |age| u32::try_from(age.seconds).unwrap_or(u32::MAX)),
        },
    })
}

/// Whether a grant gives or takes away, as a word.
pub(super) const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "ALLOW",
        Effect::Deny => "DENY",
    }
}
