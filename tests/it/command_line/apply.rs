//! What `peerage apply` says of a file before it changes anything, and of what it leaves alone.

use super::{revision, run, run_as, said, told, words};
use crate::support::{Server, free_address};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_wrong_with_a_file_is_said_at_once() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("good-msp", &["mspcontrol"]).await;
    server.department("unit", &server.customer("corp", &msp).await).await;
    let file = "accounts:\n\
        - { id: broken, kind: CLIENT, parent: good-msp, title: Broken, first_peer: first }\n\
        - { id: below, kind: DEPARTMENT, parent: broken, title: Below }\n\
        - { id: misplaced, kind: CUSTOMER, parent: unit, title: Misplaced }\n\
        - { id: broken, kind: CUSTOMER, parent: good-msp, title: Broken once more }\n\
        roles:\n\
        - { owner: good-msp, title: Night, grants: [{ allow: no.such_thing }] }\n\
        - { owner: good-msp, title: Late, grants: [{ allow: two, deny: one }] }\n\
        peers:\n\
        - { user_name: first, home: broken }\n\
        - { user_name: emily, home: good-msp, role: mspcontrol.help_desk, access: [broken], email: nowhere }\n\
        - { user_name: mike, home: good-msp, role: mspcontrol.no_such, access: all, phone_number: '1' }\n\
        - { user_name: sarah, home: missing, role: good-msp/Late, access: all }\n\
        groups:\n\
        - { account: good-msp, title: On call, members: [emily, nobody], colors: [] }\n\
        bindings:\n\
        - { group: good-msp/On call, role: mspcontrol.help_desk, account: below }\n\
        - { peer: mike, role: mspcontrol.help_desk, account: missing }\n\
        - { peer: sarah, role: mspcontrol.device, account: corp }\n\
        - { peer: mike, role: mspcontrol.help_desk, account: unit }\n";
    std::fs::write(folder.path().join("wrong.yaml"), file).unwrap();
    let lines = |output: &std::process::Output| -> Vec<u64> {
        let shown = said(output);
        let lines = shown.lines().filter_map(|line| line.trim().strip_prefix("wrong.yaml:")?.split(':').next());
        let mut lines: Vec<u64> = lines.filter_map(|line| line.parse().ok()).collect();
        lines.dedup();
        lines
    };
    let before = revision(&server).await;
    let output = run(&server, folder.path(), &["apply", "-f", "wrong.yaml"]).await;
    assert_eq!(output.status.code(), Some(2));
    // What refers to an item that is wrong is not wrong itself.
    assert_eq!(lines(&output), [2, 4, 5, 7, 8, 11, 12, 13, 15, 17, 18, 19, 20], "{}", said(&output));
    assert_eq!(revision(&server).await, before);

    // Without a server, the file is still wrong in itself.
    let nobody = free_address();
    let output = run(&server, folder.path(), &["apply", "-f", "wrong.yaml", "--address", &nobody]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(lines(&output), [2, 5, 8, 11, 12, 15], "{}", said(&output));
    assert!(said(&output).contains("the server was not asked"), "{}", said(&output));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bindings_that_the_file_does_not_name_stay_and_are_named() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let emily = server.person(&msp, "emily", "roles/mspcontrol.help_desk").await;
    let named = server.bind(&emily.name, "roles/mspcontrol.help_desk", &contoso).await;
    let old = server.bind(&emily.name, "roles/mspcontrol.administrator", &contoso).await;
    // Mike is not in the file, so what he holds is not its business.
    server.person(&msp, "mike", "roles/mspcontrol.help_desk").await;
    let file = "peers:\n\
        - { user_name: emily, home: contoso-msp, role: mspcontrol.help_desk, access: all }\n\
        bindings:\n\
        - { peer: emily, role: mspcontrol.help_desk, account: contoso }\n";
    std::fs::write(folder.path().join("world.yaml"), file).unwrap();
    let before = revision(&server).await;
    let shown = run(&server, folder.path(), &["apply", "-f", "world.yaml"]).await;
    assert!(shown.status.success(), "{}", said(&shown));
    let line = format!("stays: binding of mspcontrol.administrator to emily on contoso ({old})\n");
    assert!(told(&shown).contains(&line), "{}", told(&shown));
    assert_eq!(told(&shown).matches("stays:").count(), 1, "{}", told(&shown));
    assert!(!told(&shown).contains(&named), "{}", told(&shown));
    let json = run(&server, folder.path(), &["apply", "-f", "world.yaml", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let stays = serde_json::json!([{ "what": "binding of mspcontrol.administrator to emily on contoso", "name": old }]);
    assert_eq!(json["stays"], stays);
    assert_eq!(revision(&server).await, before, "nothing was changed");

    // One who may not look at the bindings learns nothing of them, and is not stopped.
    let desk = server.person(&msp, "desk", &server.custom_role(&msp, &["accounts.view", "peers.view"]).await).await;
    let file = "peers:\n- { user_name: emily, home: contoso-msp, role: mspcontrol.help_desk, access: all }\n";
    std::fs::write(folder.path().join("peers.yaml"), file).unwrap();
    let shown = run_as(&server, folder.path(), &desk.key, &["apply", "-f", "peers.yaml", "--dry-run"]).await;
    assert!(!told(&shown).contains("stays:"), "{}{}", told(&shown), said(&shown));
    server.stop().await;
}

/// The file that the help shows, as somebody would copy it.
fn example(help: &str) -> String {
    let lines = help.lines().skip_while(|line| line.trim() != "accounts:");
    lines.take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_that_the_help_prints_applies_to_a_fresh_server() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let help = run(&server, folder.path(), &words("apply --help")).await;
    let file = example(&told(&help));
    assert!(file.contains("bindings:"), "{}", told(&help));
    std::fs::write(folder.path().join("world.yaml"), file).unwrap();
    let applied = run(&server, folder.path(), &words("apply -f world.yaml")).await;
    assert!(applied.status.success(), "{}{}", told(&applied), said(&applied));
    let before = revision(&server).await;
    let again = run(&server, folder.path(), &words("apply -f world.yaml")).await;
    assert!(again.status.success(), "{}", said(&again));
    assert!(told(&again).starts_with("0 to create, 0 to update"), "{}", told(&again));
    assert_eq!(revision(&server).await, before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_there_may_leave_out_its_role_and_access() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    server.person(&msp, "mike", "roles/core.auditor").await;
    let file = "peers:\n- { user_name: mike, home: contoso-msp, display_name: Renamed }\n";
    std::fs::write(folder.path().join("world.yaml"), file).unwrap();
    let applied = run(&server, folder.path(), &words("apply -f world.yaml")).await;
    assert!(applied.status.success(), "{}", said(&applied));
    assert!(told(&applied).starts_with("~ peer mike (display_name)\n"), "{}", told(&applied));

    let file = "peers:\n\
        - { user_name: nobody, home: contoso-msp, display_name: Nobody }\n\
        - { user_name: mike, home: contoso-msp, role: core.auditor }\n\
        - { user_name: sarah, home: contoso-msp, role: opspilot365.read_only, access: all }\n";
    std::fs::write(folder.path().join("world.yaml"), file).unwrap();
    let refused = run(&server, folder.path(), &words("apply -f world.yaml --dry-run")).await;
    assert_eq!(refused.status.code(), Some(2));
    for text in [
        "world.yaml:2: peer `nobody` is to be created, and lacks `role`",
        "world.yaml:2: peer `nobody` lacks `access`",
        "world.yaml:3: peer `mike` lacks `access`",
        "world.yaml:4: peer `sarah` lacks `display_name`, which role `opspilot365.read_only` asks for",
    ] {
        assert!(said(&refused).contains(text), "{text}: {}", said(&refused));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_that_are_unknown_or_off_are_found_before_anything_begins() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("good-msp", &["mspcontrol"]).await;
    server.customer("corp", &msp).await;
    let file = "accounts:\n\
        - { id: a-msp, kind: PARTNER, parent: platform, title: A, settings: { role_packs: [nosuch] } }\n\
        - { id: b-msp, kind: PARTNER, parent: platform, title: B, template: nopack }\n\
        - { id: c-corp, kind: CUSTOMER, parent: good-msp, title: C, template: keepit }\n\
        - { id: d-msp, kind: PARTNER, parent: platform, title: D, settings: { role_packs: [opspilot365] } }\n\
        - { id: d-corp, kind: CUSTOMER, parent: d-msp, title: D }\n\
        - { id: e-corp, kind: CUSTOMER, parent: good-msp, title: E, template: core }\n\
        peers:\n\
        - { user_name: mike, home: good-msp, role: opspilot365.read_only, access: [corp], display_name: Mike }\n\
        - { user_name: emily, home: d-msp, role: mspcontrol.help_desk, access: [d-corp] }\n\
        - { user_name: sarah, home: d-msp, role: opspilot365.read_only, access: [d-corp], display_name: Sarah }\n\
        bindings:\n\
        - { peer: sarah, role: keepit.master_admin, account: d-corp }\n";
    std::fs::write(folder.path().join("packs.yaml"), file).unwrap();
    let before = revision(&server).await;
    for command in ["apply -f packs.yaml --dry-run", "apply -f packs.yaml"] {
        let refused = run(&server, folder.path(), &words(command)).await;
        assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
        for text in [
            "packs.yaml:2: role pack `nosuch` is unknown",
            "packs.yaml:3: role pack `nopack` is unknown",
            "packs.yaml:4: role pack `keepit` of `template` is not on at `c-corp`",
            "packs.yaml:7: account `e-corp`: FAILED_PRECONDITION (TEMPLATE_NOT_AVAILABLE)",
            "packs.yaml:9: role `opspilot365.read_only` is of the pack `opspilot365`",
            "packs.yaml:10: role `mspcontrol.help_desk` is of the pack `mspcontrol`",
            "packs.yaml:13: role `keepit.master_admin` is of the pack `keepit`",
        ] {
            assert!(said(&refused).contains(text), "{text}: {}", said(&refused));
        }
        for right in [5, 6, 11] {
            assert!(!said(&refused).contains(&format!("packs.yaml:{right}:")), "{right}: {}", said(&refused));
        }
        assert_eq!(revision(&server).await, before);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_left_alone_and_named() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let file = |title: &str| {
        format!(
            "accounts:\n\
             - {{ id: msp, kind: PARTNER, parent: platform, title: {title}, settings: {{ role_packs: [mspcontrol] }} }}\n\
             - {{ id: corp, kind: CUSTOMER, parent: msp, title: Corp }}\n\
             peers:\n\
             - {{ user_name: emily, home: msp, role: mspcontrol.help_desk, access: [corp] }}\n\
             - {{ user_name: mike, home: msp, role: mspcontrol.help_desk, access: all }}\n\
             groups:\n\
             - {{ account: corp, title: Desk, members: [mike] }}\n\
             bindings:\n\
             - {{ peer: mike, role: mspcontrol.read_only, account: corp }}\n\
             - {{ group: corp/Desk, role: mspcontrol.read_only, account: corp }}\n"
        )
    };
    std::fs::write(folder.path().join("world.yaml"), file("One")).unwrap();
    let first = run(&server, folder.path(), &words("apply -f world.yaml")).await;
    assert!(first.status.success(), "{}", said(&first));
    // A suspended account is read like any other.
    let suspend = words("accounts suspend corp --scope SUBTREE --reason unpaid");
    assert!(run(&server, folder.path(), &suspend).await.status.success());
    let before = revision(&server).await;
    let again = run(&server, folder.path(), &words("apply -f world.yaml")).await;
    assert!(again.status.success() && !told(&again).contains("unknown"), "{} {}", told(&again), said(&again));
    assert_eq!(revision(&server).await, before, "{}", told(&again));
    // Who may not look at groups and bindings applies what is left.
    let rights = ["accounts.view", "accounts.update", "peers.view", "roles.view"];
    let clerk =
        server.person("accounts/platform", "clerk", &server.custom_role("accounts/platform", &rights).await).await;
    let key = server.key_of(&clerk.name).await;
    std::fs::write(folder.path().join("world.yaml"), file("Two")).unwrap();
    let json = run_as(&server, folder.path(), &key, &words("apply -f world.yaml -o json")).await;
    assert!(json.status.success(), "{}", said(&json));
    assert!(said(&json).contains("account `corp` (line 3) cannot be read"), "{}", said(&json));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["steps"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["steps"][0]["done"], true, "{json}");
    let unknown = json["unknown"].to_string();
    for text in [
        "binding of mspcontrol.help_desk to emily on corp",
        "group corp/Desk",
        "binding of mspcontrol.read_only to mike on corp",
        "binding of mspcontrol.read_only to group corp/Desk on corp",
    ] {
        assert!(unknown.contains(text), "{text}: {unknown}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_in_files_have_conditions() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    server.partner("contoso-msp", &["opspilot365"]).await;
    let file = |condition: &str| {
        let grant = format!("{{ allow: users.view, when: {condition} }}");
        let file = format!("roles:\n- {{ owner: contoso-msp, title: Late, inheritable: true, grants: [{grant}] }}\n");
        std::fs::write(folder.path().join("world.yaml"), file).unwrap();
    };
    let apply = async || {
        let applied = run(&server, folder.path(), &words("apply -f world.yaml")).await;
        assert!(applied.status.success(), "{}", said(&applied));
    };
    file(
        "{ source_networks: [192.0.2.0/24, 10.0.0.0/8], account_labels: { env: [test, stage] }, \
         weekly_windows: [{ days: [friday, MONDAY], start_minute: 540, end_minute: 1020, time_zone: europe/vienna }], \
         resource_attributes: [{ attribute: tier, any_of: [gold, 7] }] }",
    );
    apply().await;
    let made = revision(&server).await;
    // Said in another order, it is the same.
    file(
        "{ weekly_windows: [{ days: [MONDAY, FRIDAY], start_minute: 540, end_minute: 1020, time_zone: Europe/Vienna }], \
         account_labels: { env: [stage, test] }, source_networks: [10.0.0.0/8, 192.0.2.0/24], \
         resource_attributes: [{ attribute: tier, any_of: [7, gold] }] }",
    );
    apply().await;
    assert_eq!(revision(&server).await, made);
    // A narrower one is an edit.
    file("{ source_networks: [10.0.0.0/8] }");
    apply().await;
    assert!(revision(&server).await > made);

    let roles = run(&server, folder.path(), &words("roles list --account contoso-msp -o json")).await;
    let roles: serde_json::Value = serde_json::from_str(&told(&roles)).unwrap();
    let late = roles.as_array().unwrap().iter().find(|role| role["title"] == "Late").unwrap();
    assert_eq!(late["grants"][0]["condition"]["sourceNetworks"], serde_json::json!(["10.0.0.0/8"]));
    let name = late["name"].as_str().unwrap();
    let shown = run(&server, folder.path(), &["roles", "get", name]).await;
    assert!(told(&shown).contains("10.0.0.0/8"), "{}", told(&shown));

    file("{ source_networks: [10.0.0.1/8] }");
    let refused = run(&server, folder.path(), &words("apply -f world.yaml")).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("world.yaml:2: `source_networks`"), "{}", said(&refused));
    server.stop().await;
}
