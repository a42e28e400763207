//! What a replay says of entries that were changed, that are too old, that lack something, that are none,
//! and to those who may not ask.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use peerage::transport::grpc::pb;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{entries, logging, until};
use crate::bindings::{bind, binding, unbind, until as ending};
use crate::command_line::{run, run_as, said, told};
use crate::conditions::{context, is_text, text, when};
use crate::roles::with_approval;
use crate::support::policy::{allow, create_role, role};
use crate::support::{Client, Server};

async fn ask(client: &Client, peer: &str, permission: &str, account: &str, context: Option<pb::DecisionContext>) {
    let request = pb::AuthorizeRequest {
        subject: Some(pb::authorize_request::Subject::Peer(peer.to_owned())),
        permission: permission.to_owned(),
        account: account.to_owned(),
        context,
        ..Default::default()
    };
    client.access().authorize(request).await.unwrap();
}

/// Replays entries as the operator; what came of each, and the exit code.
async fn replay(server: &Server, folder: &Path, entries: &[Value]) -> (Vec<Value>, Option<i32>) {
    let text: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
    std::fs::write(folder.join("some.jsonl"), text).unwrap();
    results(&run(server, folder, &["authorize", "--replay", "some.jsonl", "-o", "json"]).await)
}

fn results(output: &Output) -> (Vec<Value>, Option<i32>) {
    let lines = told(output);
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), output.status.code())
}

fn with(entry: &Value, field: &str, value: Value) -> Value {
    let mut changed = entry.clone();
    changed[field] = value;
    changed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_changed_is_different_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = logging(folder.path(), |_| {}).await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let tenant = server.customer("tenant", &msp).await;
    let grants = [with_approval(allow("peers.view")), when(allow("ftp.view"), is_text("ring", "gold"))];
    let wanted = create_role(&operator, role(&msp, &grants)).await.unwrap().name;
    let ann = server.person(&msp, "ann", &wanted).await.name;
    let ben = server.person_on(&msp, "ben", &wanted, &[&tenant]).await.name;
    let extra = server.custom_role(&msp, &["ftp.update"]).await;
    let wish = ending(binding(&ann, &extra, &tenant), server.time(600));
    let brief = bind(&operator, wish).await.unwrap().name;
    server.advance(Duration::from_secs(60));
    ask(&operator, &ann, "ftp.view", &tenant, Some(context("192.0.2.1", &[("ring", text("gold"))]))).await;
    ask(&operator, &ann, "peers.view", &tenant, None).await;
    ask(&operator, &ann, "ftp.update", &tenant, None).await;
    server.advance(Duration::from_secs(60));
    unbind(&operator, &brief).await.unwrap();
    server.advance(Duration::from_secs(3600));
    ask(&operator, &ann, "ftp.update", &tenant, None).await;
    let other = server.customer("other", &msp).await;
    let dan = server.person(&tenant, "dan", "roles/mspcontrol.help_desk").await;
    ask(&dan.client, "peers/me", "ftp.view", &other, None).await;
    until(&server, "written", 5).await;
    let logged = entries(&path);
    let [under_condition, owing, in_window, after, about_itself] = &logged[..] else { panic!("{logged:?}") };
    let (verdicts, code) = replay(&server, folder.path(), &logged).await;
    assert!(verdicts.iter().all(|verdict| verdict["result"] == "SAME") && code == Some(0), "{verdicts:?}");

    let earlier = (in_window["revision"].as_str().unwrap().parse::<i64>().unwrap() - 1).to_string();
    for (changed, field) in [
        (with(under_condition, "decision", json!("DECISION_DENY")), "decision"),
        (with(under_condition, "reason", json!("DECISION_REASON_DENY_GRANT")), "reason"),
        (with(under_condition, "role", json!(extra)), "role"),
        (with(under_condition, "roleBinding", in_window["roleBinding"].clone()), "roleBinding"),
        (with(under_condition, "grantIndex", json!(0)), "grantIndex"),
        (with(under_condition, "missingAttribute", json!("ring")), "missingAttribute"),
        (with(under_condition, "obligations", owing["obligations"].clone()), "obligations"),
        (with(owing, "obligations", json!([])), "obligations"),
        (with(under_condition, "peer", json!(ben)), "roleBinding"),
        (with(under_condition, "context", json!({"resourceAttributes": {"ring": {"stringValue": "tin"}}})), "decision"),
        (with(under_condition, "context", json!({})), "reason"),
        (with(under_condition, "permission", json!("ftp.update")), "roleBinding"),
        (with(under_condition, "permission", json!("no.such")), "permission"),
        (with(under_condition, "account", json!("accounts/elsewhere")), "account"),
        (with(under_condition, "basis", json!("CALLER_UNBOUND")), "basis"),
        (with(under_condition, "basis", json!("SUBJECT_HIDDEN")), "basis"),
        (with(after, "basis", json!("CALLER_UNBOUND")), "basis"),
        (with(after, "basis", json!("CREDENTIAL_ENDED")), "basis"),
        (with(about_itself, "basis", json!("POLICY")), "basis"),
        (with(about_itself, "caller", json!(ben)), "caller"),
        (with(about_itself, "peer", json!(ann)), "caller"),
        (with(after, "subject", json!("CALLER")), "caller"),
        (with(after, "method", json!("peerage.v1.PeerService/GetPeer")), "method"),
        (with(after, "decisionId", in_window["decisionId"].clone()), "decisionId"),
        (with(after, "decisionId", json!("0b1f9e9c-7a33-4c0e-8d9e-3f0d6f3a7b11")), "decisionId"),
        (with(after, "basis", json!("ACCOUNT_MISSING")), "account"),
        (with(after, "basis", json!("CREDENTIAL_ENDED")), "reason"),
        (with(in_window, "time", after["time"].clone()), "decision"),
        (with(in_window, "revision", json!(earlier)), "decision"),
        (with(in_window, "revision", after["revision"].clone()), "decision"),
        (with(after, "revision", in_window["revision"].clone()), ""),
    ] {
        let (verdicts, code) = replay(&server, folder.path(), &[logged[1].clone(), changed.clone()]).await;
        assert_eq!(verdicts[0]["result"], "SAME");
        if field.is_empty() {
            // What it rests on otherwise leads to the same answer.
            assert_eq!((&verdicts[1]["result"], code), (&json!("SAME"), Some(0)), "{changed}");
            continue;
        }
        assert_eq!((&verdicts[1]["result"], code), (&json!("DIFFERENT"), Some(1)), "{changed}\n{verdicts:?}");
        let differences = verdicts[1]["differences"].as_array().unwrap();
        assert!(differences.iter().any(|one| one["field"] == field), "{field}: {verdicts:?}");
    }

    // As people see it.
    let lie = with(in_window, "decision", json!("DECISION_DENY"));
    std::fs::write(folder.path().join("lie.jsonl"), format!("{}\n\n{lie}\n", logged[0])).unwrap();
    let output = run(&server, folder.path(), &["authorize", "--replay", "lie.jsonl"]).await;
    let text = told(&output);
    assert!(text.starts_with("     1  SAME            ") && text.contains("\n     3  DIFFERENT       "), "{text}");
    assert!(text.contains("\n        decision: logged DECISION_DENY, replayed DECISION_ALLOW\n"), "{text}");
    assert!(said(&output).contains("2 entries: 1 the same, 1 different"), "{}", said(&output));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_decided_again_is_named_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = logging(folder.path(), |config| config.decision_log.source_address = false).await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let (tenant, other) = (server.customer("tenant", &msp).await, server.customer("other", &msp).await);
    let ann = server.person(&msp, "ann", "roles/mspcontrol.help_desk").await;
    let service = ("rmm", "roles/core.backend_service", pb::PeerKind::Integration);
    let checker = server.peer(&tenant, service.0, service.1, service.2, &[&tenant]).await;
    ask(&operator, &ann.name, "ftp.view", &other, None).await;
    server.customer("later", &msp).await;
    ask(&operator, &ann.name, "ftp.view", &tenant, Some(context("", &[("ring", text("gold"))]))).await;
    ask(&operator, &ann.name, "ftp.view", &tenant, Some(context("192.0.2.1", &[]))).await;
    until(&server, "written", 3).await;
    let logged = entries(&path);
    assert_eq!(logged[2]["leftOut"], json!(["sourceAddress"]));
    assert!(logged[2].get("context").is_none() && logged[1]["context"]["resourceAttributes"]["ring"].is_object());

    // Who may ask about one account alone, and who it is about.
    let arguments = ["authorize", "--replay", "decisions.jsonl", "-o", "json"];
    let words = |verdicts: &[Value]| -> Vec<String> {
        verdicts.iter().map(|verdict| verdict["result"].as_str().unwrap().to_owned()).collect()
    };
    for (key, expected, exit) in [
        (server.operator_key(), ["SAME", "SAME", "NOT_REPLAYABLE"], 0),
        (checker.key.as_str(), ["REFUSED", "SAME", "NOT_REPLAYABLE"], 2),
        (ann.key.as_str(), ["SAME", "SAME", "NOT_REPLAYABLE"], 0),
    ] {
        let (verdicts, code) = results(&run_as(&server, folder.path(), key, &arguments).await);
        assert_eq!((words(&verdicts), code), (expected.map(ToOwned::to_owned).to_vec(), Some(exit)), "{verdicts:?}");
    }

    // Lines that are no entries, each by itself.
    let good = logged[1].to_string();
    let lines = [
        "",
        &good,
        "torn {\"version\":1,",
        "{}",
        &with(&logged[1], "version", json!(2)).to_string(),
        &with(&logged[1], "time", json!("yesterday")).to_string(),
        &with(&logged[1], "basis", json!("GUESSWORK")).to_string(),
        &with(&logged[1], "account", json!("accounts/No Such Name")).to_string(),
        &with(&logged[1], "context", json!({"resourceAttributes": {"ring": 7}})).to_string(),
        &with(&logged[1], "revision", json!("9000")).to_string(),
        &good,
    ];
    std::fs::write(folder.path().join("odd.jsonl"), lines.join("\n")).unwrap();
    let output = run(&server, folder.path(), &["authorize", "--replay", "odd.jsonl", "-o", "json"]).await;
    let (verdicts, code) = results(&output);
    let unreadable = std::iter::repeat_n("UNREADABLE", 7);
    let expected: Vec<&str> = ["SAME"].into_iter().chain(unreadable).chain(["REFUSED", "SAME"]).collect();
    assert_eq!((words(&verdicts), code), (expected.iter().map(ToString::to_string).collect(), Some(2)), "{verdicts:?}");
    assert_eq!(verdicts[0]["line"], 2, "lines are counted as they stand in the file");

    // The history ends behind the first.
    let kept = logged[1]["revision"].as_str().unwrap();
    let store = &server.running().ctx().store;
    let transaction = store.begin().await.unwrap();
    let forget = format!("DELETE FROM policy_changes WHERE revision < {kept}");
    transaction.connection().execute_unprepared(&forget).await.unwrap();
    transaction.commit().await.unwrap();
    let (verdicts, code) = replay(&server, folder.path(), &logged).await;
    assert_eq!(
        (words(&verdicts), code),
        (["NOT_KEPT", "SAME", "NOT_REPLAYABLE"].map(ToOwned::to_owned).to_vec(), Some(0))
    );

    for wrong in [&["authorize", "--replay", "nowhere.jsonl"][..], &["authorize", "me", "a.b", "c", "--replay", "x"]] {
        assert_eq!(run(&server, folder.path(), wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    server.stop().await;
}
