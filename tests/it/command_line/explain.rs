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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorize_asks_under_the_circumstances_that_it_is_told() {
    use crate::conditions::{is_text, networks, when};
    use crate::support::policy::{allow, create_role, role};

    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let grants =
        [when(allow("users.view"), networks(&["192.0.2.0/24"])), when(allow("devices.view"), is_text("ring", "2"))];
    let wanted = create_role(&server.operator(), role(&msp, &grants)).await.unwrap().name;
    server.person(&msp, "emily", &wanted).await;
    for (permission, flags, code, part) in [
        ("users.view", &[][..], 1, "the source address"),
        ("users.view", &["--source-address", "192.0.2.7"], 0, "ALLOWED"),
        ("users.view", &["--source-address", "192.0.3.7"], 1, "NO_MATCHING_GRANT"),
        ("users.view", &["--source-address", "192.0.2.7", "--explain"], 0, "ALLOWED"),
        ("users.view", &["--source-address", "nowhere"], 2, "context.source_address"),
        ("devices.view", &["--attribute", "team=7"], 1, "attribute `ring`"),
        ("devices.view", &["--attribute", "ring=2"], 1, "NO_MATCHING_GRANT"),
        ("devices.view", &["--attribute", "team=7", "--attribute", "ring=\"2\""], 0, "ALLOWED"),
        ("devices.view", &["--attribute", "ring"], 2, "name=value"),
        ("devices.view", &["--attribute", "=1"], 2, "the name before `=` is missing"),
        ("devices.view", &["--attribute", "ring=1", "--attribute", "ring=2"], 2, "`--attribute ring=...` stands twice"),
    ] {
        let arguments = [&["authorize", "emily", permission, "contoso-msp"], flags].concat();
        let output = run(&server, folder.path(), &arguments).await;
        let text = format!("{}{}", told(&output), said(&output));
        assert!(output.status.code() == Some(code) && text.contains(part), "{flags:?}: {text}");
    }
    server.stop().await;
}
