//! The tests of a file: what is asked, about whom and where, and what is expected.
//!
//! Each question of a matrix stands for itself, with the line that it comes from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::expected::{Expected, expected};
use super::given::{Situation, Suspended, items, now, situation};
use super::near;
use super::stage::Stage;
use crate::cli::apply::condition::value;
use crate::cli::apply::problems::{At, Fields, Problems};
use crate::cli::apply::read::{account_name, one_of};
use crate::cli::apply::yaml::{Node, Value};
use crate::cli::words::Word as _;
use crate::domain::context::{ATTRIBUTE_NAME_MAX, ATTRIBUTES_MAX, AttributeValue, Context};
use crate::domain::ids::AccountId;
use crate::domain::peer::UserName;
use crate::domain::permission::PermissionName;
use crate::domain::time::Timestamp;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::attribute_value::Kind;

/// A test: questions that belong together.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) title: String,
    pub(super) situation: Situation,
    pub(super) questions: Vec<Question>,
}

/// One question with what is expected of its answer.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) line: u64,
    pub(super) ask: Ask,
    pub(super) now: Option<Timestamp>,
    pub(super) context: Context,
}

/// What is asked, and what is expected.
#[derive(Debug)]
pub(super) enum Ask {
    Check { peer: UserName, permission: PermissionName, account: AccountId, expected: Box<Expected> },
    Accounts { peer: UserName, permission: PermissionName, under: Option<AccountId>, rows: Rows },
    Peers { account: AccountId, permission: PermissionName, rows: Rows },
    Permissions { peer: UserName, account: AccountId, of: Vec<String>, rows: Rows },
}

/// The rows that a list is expected to have, each with its decision.
pub(super) type Rows = BTreeMap<String, pb::Decision>;

/// Reads the tests of a file.
pub(super) fn tests(node: &Node, of_file: &Situation, stage: &Stage, problems: &mut Problems) -> Vec<Test> {
    let Value::List(tests) = &node.value else {
        problems.add(node.line, "`tests` must be a list");
        return Vec::new();
    };
    tests.iter().filter_map(|test| self::test(test, of_file, stage, problems)).collect()
}

fn test(node: &Node, of_file: &Situation, stage: &Stage, problems: &mut Problems) -> Option<Test> {
    let known = ["title", "given", "checks", "accessible_accounts", "authorized_peers", "effective_permissions"];
    let mut fields = Fields::open(node, &known, problems)?;
    fields.refuse_blanks();
    let title = fields.get("title", |title| crate::domain::text::line(title, 256));
    let situation = match fields.node("given") {
        Some(given) => situation(given, of_file, fields.problems()),
        None => of_file.clone(),
    };
    let reader = Reader { stage };
    let checks = items(&mut fields, "checks", |node, problems| reader.check(node, problems));
    let mut questions: Vec<Question> = checks.into_iter().flatten().collect();
    questions.extend(items(&mut fields, "accessible_accounts", |node, problems| reader.accounts(node, problems)));
    questions.extend(items(&mut fields, "authorized_peers", |node, problems| reader.peers(node, problems)));
    questions.extend(items(&mut fields, "effective_permissions", |node, problems| reader.permissions(node, problems)));
    for key in known.iter().skip(2) {
        // What somebody commented out would pass for good.
        if let Some(node) =
            fields.node(key).filter(|node| matches!(&node.value, Value::List(items) if items.is_empty()))
        {
            fields.problem(node.line, format!("`{key}` is empty: it expects nothing"));
        }
    }
    if known.iter().skip(2).all(|key| fields.node(key).is_none()) {
        fields.problem(node.line, "expects nothing; it needs `checks` or a list such as `accessible_accounts`");
    }
    for question in &mut questions {
        question.now = question.now.or(situation.now);
    }
    if let Some(untimed) = questions.iter().find(|question| question.now.is_none() && stage.is_timed) {
        let text = "does not say when, and the world has windows; say it in `given: { now: 2026-01-05T09:00:00Z }`";
        fields.problem(untimed.line, text);
    }
    if situation.suspended != of_file.suspended {
        situation.suspended.iter().for_each(|one| needs_account(stage, one, fields.problems()));
    }
    Some(Test { title: title?.value, situation, questions })
}

struct Reader<'a> {
    stage: &'a Stage,
}

const CIRCUMSTANCES: [&str; 3] = ["now", "source_address", "resource"];

impl Reader<'_> {
    fn check(&self, node: &Node, problems: &mut Problems) -> Option<Vec<Question>> {
        let known = ["peer", "peers", "account", "accounts", "permission", "permissions", "expect"];
        let mut fields = Fields::open(node, &[&known[..], &CIRCUMSTANCES].concat(), problems)?;
        fields.refuse_blanks();
        let peers = one_or_many(&mut fields, "peer", "peers", UserName::parse);
        let accounts = one_or_many(&mut fields, "account", "accounts", account_name);
        let (at, context) = circumstances(&mut fields);
        let asked = self.asked(&mut fields, node)?;
        let may_be_unknown =
            asked.iter().all(|(_, _, expected)| expected.reason == Some(pb::DecisionReason::SubjectUnknown));
        for peer in &peers {
            if !may_be_unknown {
                self.needs_peer(&mut fields, peer);
            }
        }
        accounts.iter().for_each(|account| self.needs_account(&mut fields, account));
        let mut questions = Vec::new();
        for peer in &peers {
            for account in &accounts {
                for (line, permission, expected) in &asked {
                    let ask = Ask::Check {
                        peer: peer.value.clone(),
                        permission: permission.clone(),
                        account: account.value.clone(),
                        expected: Box::new(expected.clone()),
                    };
                    questions.push(Question { line: *line, ask, now: at, context: context.clone() });
                }
            }
        }
        Some(questions)
    }

    /// The permissions of a check, each with what is expected: `permissions` with one expectation for
    /// all, or a map from permissions to expectations.
    fn asked(&self, fields: &mut Fields<'_, '_>, node: &Node) -> Option<Vec<(u64, PermissionName, Expected)>> {
        let names = &self.stage.names;
        let Some(expect) = fields.node("expect") else {
            fields.problem(node.line, "lacks `expect`");
            return None;
        };
        if fields.node("permission").is_some() || fields.node("permissions").is_some() {
            let permissions = one_or_many(fields, "permission", "permissions", PermissionName::parse);
            permissions.iter().for_each(|permission| self.needs_permission(fields, permission));
            let expected = expected(expect, names, fields.problems())?;
            let each = permissions.into_iter().map(|at| (at.line, at.value, expected.clone()));
            return Some(each.collect());
        }
        let Value::Map(entries) = &expect.value else {
            fields.problem(
                expect.line,
                "`expect` is a map such as `{ devices.view: ALLOW }`, or a decision beside `permissions`",
            );
            return None;
        };
        if entries.is_empty() {
            fields.problem(expect.line, "`expect` is empty: it expects nothing");
        }
        let mut found = Vec::new();
        for (key, value) in entries {
            let name = crate::cli::apply::problems::read("expect", key, PermissionName::parse, fields.problems());
            if let Some(name) = &name {
                self.needs_permission(fields, name);
            }
            let expected = expected(value, names, fields.problems());
            if let (Some(name), Some(expected)) = (name, expected) {
                found.push((name.line, name.value, expected));
            }
        }
        Some(found)
    }

    fn accounts(&self, node: &Node, problems: &mut Problems) -> Option<Question> {
        let known = ["peer", "permission", "under", "expect"];
        let mut fields = Fields::open(node, &[&known[..], &CIRCUMSTANCES].concat(), problems)?;
        fields.refuse_blanks();
        let peer = fields.get("peer", UserName::parse);
        let permission = fields.get("permission", PermissionName::parse);
        let under = fields.find("under", account_name);
        let (at, context) = circumstances(&mut fields);
        let rows = rows(&mut fields, node, |fields, written| {
            let account = crate::cli::apply::problems::read("expect", written, account_name, fields.problems())?;
            self.needs_account(fields, &account);
            Some(account.value.to_string())
        });
        peer.iter().for_each(|peer| self.needs_peer(&mut fields, peer));
        permission.iter().for_each(|permission| self.needs_permission(&mut fields, permission));
        under.iter().for_each(|under| self.needs_account(&mut fields, under));
        let ask = Ask::Accounts {
            peer: peer?.value,
            permission: permission?.value,
            under: under.map(|at| at.value),
            rows: rows?,
        };
        Some(Question { line: node.line, ask, now: at, context })
    }

    fn peers(&self, node: &Node, problems: &mut Problems) -> Option<Question> {
        let known = ["account", "permission", "expect"];
        let mut fields = Fields::open(node, &[&known[..], &CIRCUMSTANCES].concat(), problems)?;
        fields.refuse_blanks();
        let account = fields.get("account", account_name);
        let permission = fields.get("permission", PermissionName::parse);
        let (at, context) = circumstances(&mut fields);
        let rows = rows(&mut fields, node, |fields, written| {
            let peer = crate::cli::apply::problems::read("expect", written, UserName::parse, fields.problems())?;
            self.needs_peer(fields, &peer);
            let known = self.stage.names.peers.get(&peer.value.key());
            known.map(|(_, shown)| shown.clone())
        });
        account.iter().for_each(|account| self.needs_account(&mut fields, account));
        permission.iter().for_each(|permission| self.needs_permission(&mut fields, permission));
        let ask = Ask::Peers { account: account?.value, permission: permission?.value, rows: rows? };
        Some(Question { line: node.line, ask, now: at, context })
    }

    fn permissions(&self, node: &Node, problems: &mut Problems) -> Option<Question> {
        let known = ["peer", "account", "of", "expect"];
        let mut fields = Fields::open(node, &[&known[..], &CIRCUMSTANCES].concat(), problems)?;
        fields.refuse_blanks();
        let peer = fields.get("peer", UserName::parse);
        let account = fields.get("account", account_name);
        let of = fields.list("of", |text| {
            let is_known = self.stage.snapshot.permissions().iter().any(|known| known.name.resource() == text);
            if is_known { Ok(text.to_owned()) } else { Err("must be the first part of a permission") }
        });
        let (at, context) = circumstances(&mut fields);
        let rows = rows(&mut fields, node, |fields, written| {
            let name = crate::cli::apply::problems::read("expect", written, PermissionName::parse, fields.problems())?;
            self.needs_permission(fields, &name);
            Some(name.value.to_string())
        });
        peer.iter().for_each(|peer| self.needs_peer(&mut fields, peer));
        account.iter().for_each(|account| self.needs_account(&mut fields, account));
        let of = of.unwrap_or_default().into_iter().map(|at| at.value).collect();
        let ask = Ask::Permissions { peer: peer?.value, account: account?.value, of, rows: rows? };
        Some(Question { line: node.line, ask, now: at, context })
    }

    fn needs_peer(&self, fields: &mut Fields<'_, '_>, peer: &At<UserName>) {
        let known = &self.stage.names.peers;
        if !known.contains_key(&peer.value.key()) {
            let near = near::hint(peer.value.as_str(), known.values().map(|(_, shown)| shown.as_str()));
            fields.problem(peer.line, format!("peer `{}` is not in the file{near}", peer.value.as_str()));
        }
    }

    fn needs_account(&self, fields: &mut Fields<'_, '_>, account: &At<AccountId>) {
        check_account(self.stage, account.line, &account.value, fields.problems());
    }

    fn needs_permission(&self, fields: &mut Fields<'_, '_>, permission: &At<PermissionName>) {
        let snapshot = &self.stage.snapshot;
        if snapshot.find_permission(permission.value.as_str()).is_none() {
            let all = snapshot.permissions().iter().map(|known| known.name.as_str());
            let near = near::hint(permission.value.as_str(), all);
            let text = format!("permission `{}` is not registered{near}", permission.value);
            fields.problem(permission.line, text);
        }
    }
}

/// A suspended account must be in the file.
pub(super) fn needs_account(stage: &Stage, suspended: &Suspended, problems: &mut Problems) {
    check_account(stage, suspended.line, &suspended.account, problems);
}

fn check_account(stage: &Stage, line: u64, account: &AccountId, problems: &mut Problems) {
    let snapshot = &stage.snapshot;
    let Some(root) = snapshot.find_account(AccountId::platform().as_str()) else { return };
    if snapshot.find_account(account.as_str()).is_none() {
        let all = snapshot.below(root, None).map(|(name, _)| name);
        let near = near::hint(account.as_str(), all);
        problems.add(line, format!("account `{account}` is not in the file{near}"));
    }
}

/// One of `one` and `many`, and at least one item.
fn one_or_many<T, E: std::fmt::Display>(
    fields: &mut Fields<'_, '_>,
    one: &str,
    many: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<At<T>> {
    match (fields.node(one).is_some(), fields.node(many)) {
        (true, Some(node)) => {
            fields.problem(node.line, format!("needs exactly one of `{one}` and `{many}`"));
            Vec::new()
        }
        (false, Some(node)) => {
            let items = fields.list(many, parse).unwrap_or_default();
            if matches!(&node.value, Value::List(items) if items.is_empty()) {
                fields.problem(node.line, format!("`{many}` is empty"));
            }
            items
        }
        (_, None) => fields.get(one, parse).into_iter().collect(),
    }
}

/// When, from where, and on which resource something would be done.
fn circumstances(fields: &mut Fields<'_, '_>) -> (Option<Timestamp>, Context) {
    let at = now(fields);
    let address = fields.find("source_address", |text| text.parse::<IpAddr>().map_err(|_| "must be an IP address"));
    let mut context = Context { source_address: address.map(|at| at.value), ..Context::default() };
    let Some(node) = fields.node("resource") else { return (at, context) };
    let Value::Map(entries) = &node.value else {
        fields.problem(node.line, "`resource` must be a map such as `{ department: sales }`");
        return (at, context);
    };
    if entries.len() > ATTRIBUTES_MAX {
        fields.problem(node.line, format!("`resource` has more than {ATTRIBUTES_MAX} attributes"));
    }
    for (key, value) in entries {
        let name = |text: &str| match text.chars().count() {
            1..=ATTRIBUTE_NAME_MAX => Ok(text.to_owned()),
            _ => Err(format!("has names of 1 to {ATTRIBUTE_NAME_MAX} characters")),
        };
        let name = crate::cli::apply::problems::read("resource", key, name, fields.problems());
        let value = self::value(value, fields.problems()).and_then(|value| value.kind).map(|kind| match kind {
            Kind::StringValue(text) => AttributeValue::Text(text),
            Kind::IntValue(number) => AttributeValue::Int(number),
            Kind::BoolValue(truth) => AttributeValue::Bool(truth),
        });
        if let (Some(name), Some(value)) = (name, value) {
            context.attributes.insert(name.value, value);
        }
    }
    (at, context)
}

/// The rows of a list: names, which are allowed, or a map from names to decisions.
fn rows(
    fields: &mut Fields<'_, '_>,
    node: &Node,
    name: impl Fn(&mut Fields<'_, '_>, &Node) -> Option<String>,
) -> Option<Rows> {
    let Some(expect) = fields.node("expect") else {
        fields.problem(node.line, "lacks `expect`");
        return None;
    };
    let mut rows = Rows::new();
    let mut add = |fields: &mut Fields<'_, '_>, line, name: Option<String>, decision| {
        if let Some(name) = name
            && rows.insert(name.clone(), decision).is_some()
        {
            fields.problem(line, format!("`{name}` stands twice in `expect`"));
        }
    };
    match &expect.value {
        Value::List(items) => {
            for item in items {
                let found = name(fields, item);
                add(fields, item.line, found, pb::Decision::Allow);
            }
        }
        Value::Map(entries) => {
            let words = "`ALLOW`, `REQUIRES_STEP_UP`, `REQUIRES_APPROVAL`";
            let listed = |word: &str| pb::Decision::parse(word).filter(|decision| *decision != pb::Decision::Deny);
            for (key, value) in entries {
                let found = name(fields, key);
                let parse = one_of(listed, words);
                let decision = crate::cli::apply::problems::read("expect", value, parse, fields.problems());
                add(
                    fields,
                    key.line,
                    found.filter(|_| decision.is_some()),
                    decision.map_or(pb::Decision::Allow, |at| at.value),
                );
            }
        }
        Value::Empty | Value::Text(_) => {
            fields.problem(expect.line, "`expect` must be a list of names, or a map from names to decisions");
            return None;
        }
    }
    Some(rows)
}
