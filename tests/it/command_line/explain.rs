//! `peerage authorize --explain`, now and in the past.

use std::time::Duration;

use super::{run, said, told};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorize_explains_as_a_tree_and_as_json() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let emily = server.person_on(&msp, "emily@contosomsp.com", "roles/opspilot365.technician", &[&contoso]).await;
    let question = ["authorize", "emily@contosomsp.com", "licenses.order", "contoso", "--explain"];

    let tree = run(&server, folder.path(), &question).await;
    let text = told(&tree);
    assert_eq!(tree.status.code(), Some(1), "{text}{}", said(&tree));
    assert!(text.starts_with("REQUIRES_APPROVAL, APPROVAL_REQUIRED\n"), "{text}");
    for line in ["├─ checked before grants", "│  └─ once met: an approval", "└─ grants, 1 of 1", ": decided"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.contains(&emily.name) && !text.contains('\u{1b}'), "{text}");

    let json = run(&server, folder.path(), &[&question[..], &["-o", "json"]].concat()).await;
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["decision"]["decision"], "DECISION_REQUIRES_APPROVAL");
    assert_eq!(value["grants"][0]["outcome"], "GRANT_OUTCOME_DECIDED");

    // Before the customer was made there was nothing to decide about.
    server.advance(Duration::from_secs(60));
    let revision = value["decision"]["revision"].as_str().unwrap().to_owned();
    let then = run(&server, folder.path(), &[&question[..], &["--at-revision", &revision]].concat()).await;
    assert!(told(&then).contains(&format!("at revision {revision}, 2026-01-05T08:00:00")), "{}", told(&then));
    let then = run(&server, folder.path(), &[&question[..], &["--at", "2026-01-05T08:00:30Z"]].concat()).await;
    assert!(told(&then).contains(&format!("at revision {revision}, 2026-01-05T08:00:30")), "{}", told(&then));
    let early = run(&server, folder.path(), &[&question[..], &["--at", "2026-01-05T07:59:59Z"]].concat()).await;
    assert_eq!(early.status.code(), Some(2), "{}", told(&early));
    assert!(said(&early).contains("does not reach back that far"), "{}", said(&early));
    for wrong in
        [&["--at", "tuesday"][..], &["--at-revision", "0"], &["--at-revision", "1", "--at", "2026-01-05T08:00:30Z"]]
    {
        let output = run(&server, folder.path(), &[&question[..], wrong].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let alone = ["authorize", "me", "accounts.view", "platform", "--at-revision", "1"];
    assert_eq!(run(&server, folder.path(), &alone).await.status.code(), Some(2), "the past is explained, not decided");
    server.stop().await;
}
