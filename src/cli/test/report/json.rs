//! For scripts: every expectation, with what was asked, what is expected and what the answer is.
//! Names are those of the file, words those of the contract.

use serde_json::{Map, Value, json};

use super::Report;
use crate::cli::test::ask::Answered;
use crate::cli::test::coverage::Coverage;
use crate::cli::test::expected::{Answer, Expected, Found, Owed};
use crate::cli::test::read::{Ask, Rows};
use crate::cli::test::run::{Case, Ran};
use crate::cli::words::Word as _;
use crate::domain::account::SuspensionScope;
use crate::domain::context::Context;

pub(super) fn write(report: &Report) -> anyhow::Result<String> {
    let mut value = json!({
        "total": report.total(),
        "failed": report.failed(),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
    });
    if let (Some(coverage), Some(object)) = (&report.coverage, value.as_object_mut()) {
        object.insert("coverage".to_owned(), self::coverage(coverage, report.required));
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

fn file(ran: &Ran) -> Value {
    json!({
        "file": ran.suite.file,
        "total": ran.cases.len(),
        "failed": ran.failed(),
        "cases": ran.cases.iter().map(|case| self::case(ran, case)).collect::<Vec<_>>(),
    })
}

fn case(ran: &Ran, case: &Case) -> Value {
    let mut value = json!({
        "test": ran.title(case),
        "line": case.question.line,
        "holds": case.holds(),
        "differences": case.outcome.differences,
        "asked": asked(case),
        "suspended": suspended(ran, case),
        "expected": expected(&case.question.ask),
        "actual": match &case.outcome.answer {
            Answered::One(answer) => self::answer(answer),
            Answered::Rows(rows) => self::rows(rows),
        },
    });
    if let Some(object) = value.as_object_mut().filter(|_| !case.outcome.why.is_empty()) {
        object.insert("why".to_owned(), json!(case.outcome.why));
    }
    value
}

fn asked(case: &Case) -> Value {
    let mut asked = match &case.question.ask {
        Ask::Check { peer, permission, account, .. } => json!({
            "kind": "check", "peer": peer.as_str(), "permission": permission.as_str(), "account": account.as_str(),
        }),
        Ask::Accounts { peer, permission, under, .. } => json!({
            "kind": "accessible_accounts", "peer": peer.as_str(), "permission": permission.as_str(),
            "under": under.as_ref().map(|under| under.as_str()),
        }),
        Ask::Peers { account, permission, .. } => json!({
            "kind": "authorized_peers", "account": account.as_str(), "permission": permission.as_str(),
        }),
        Ask::Permissions { peer, account, of, .. } => json!({
            "kind": "effective_permissions", "peer": peer.as_str(), "account": account.as_str(), "of": of,
        }),
    };
    if let Some(object) = asked.as_object_mut() {
        if let Some(now) = case.question.now {
            object.insert("now".to_owned(), json!(now.to_rfc3339()));
        }
        context(&case.question.context, object);
    }
    asked
}

fn context(context: &Context, object: &mut Map<String, Value>) {
    if let Some(address) = context.source_address {
        object.insert("source_address".to_owned(), json!(address.to_string()));
    }
    if !context.attributes.is_empty() {
        object.insert("resource".to_owned(), json!(context.attributes));
    }
}

fn suspended(ran: &Ran, case: &Case) -> Value {
    let test = ran.suite.tests.get(case.test);
    let suspended = test.map_or(&[][..], |test| &test.situation.suspended);
    let scope = |scope| match scope {
        SuspensionScope::Subtree => "SUBTREE",
        SuspensionScope::OwnPeers => "OWN_PEERS",
    };
    suspended.iter().map(|one| json!({ "account": one.account.as_str(), "scope": scope(one.scope) })).collect()
}

fn expected(ask: &Ask) -> Value {
    match ask {
        Ask::Check { expected, .. } => one_expected(expected),
        Ask::Accounts { rows, .. } | Ask::Peers { rows, .. } | Ask::Permissions { rows, .. } => self::rows(rows),
    }
}

fn one_expected(expected: &Expected) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(key.to_owned(), value);
        }
    };
    put("decision", expected.decision.map(|decision| json!(decision.word())));
    put("reason", expected.reason.map(|reason| json!(reason.word())));
    put("missing_attribute", expected.missing_attribute.as_ref().map(|name| json!(name)));
    put("obligations", expected.obligations.as_deref().map(owed));
    put("decided_by", expected.decided_by.as_ref().map(|source| json!(source.show())));
    let considered = expected.considered.iter();
    let considered: Vec<_> =
        considered.map(|(source, outcome)| json!({ "grant": source.show(), "outcome": outcome.word() })).collect();
    put("considered", (!considered.is_empty()).then(|| json!(considered)));
    Value::Object(object)
}

fn answer(answer: &Answer) -> Value {
    json!({
        "decision": answer.decision.word(),
        "reason": answer.reason.word(),
        "missing_attribute": answer.missing_attribute,
        "obligations": owed(&answer.obligations),
        "decided_by": answer.decided_by.as_ref().map(found),
        "considered": answer.considered.iter().map(|(source, outcomes)| {
            let mut value = found(source);
            if let Some(object) = value.as_object_mut() {
                let words: Vec<_> = outcomes.iter().map(|outcome| outcome.word()).collect();
                object.insert("outcomes".to_owned(), json!(words));
            }
            value
        }).collect::<Vec<_>>(),
    })
}

fn found(found: &Found) -> Value {
    json!({ "grant": found.grant, "role": found.role, "bound_at": found.account, "group": found.group })
}

fn owed(owed: &[Owed]) -> Value {
    let mut sorted: Vec<_> = owed.to_vec();
    sorted.sort();
    sorted.iter().map(|one| json!(one.show())).collect()
}

fn rows(rows: &Rows) -> Value {
    rows.iter().map(|(name, decision)| (name.clone(), json!(decision.word()))).collect::<Map<_, _>>().into()
}

fn coverage(coverage: &Coverage, required: Option<u8>) -> Value {
    let grants = coverage.grants.iter().map(|(key, grant)| {
        json!({
            "world": key.world,
            "role": key.role,
            "grant": key.place,
            "effect": grant.effect,
            "pattern": grant.pattern,
            "conditional": grant.is_conditional,
            "decided": grant.decided,
            "kept_back": grant.kept_back,
            "exercised": grant.is_exercised(),
        })
    });
    json!({
        "exercised": coverage.exercised(),
        "total": coverage.grants.len(),
        "percent": coverage.percent(),
        "required": required,
        "grants": grants.collect::<Vec<_>>(),
    })
}
