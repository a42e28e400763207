//! `--dry-run` of the commands that change rights.

use peerage::transport::grpc::pb;

use crate::command_line::{run, run_as, said, told};
use crate::support::{Server, request_id};

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_who_gains_and_loses_and_changes_nothing() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    server.partner("other-msp", &["mspcontrol"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let role = server.custom_role(&msp, &["ftp.view", "ftp.update"]).await;
    let role_id = role.trim_start_matches("roles/");
    server.person(&msp, "emily", &role).await;
    let mike = server.person(&contoso, "mike", "roles/mspcontrol.web_developer").await;
    let bound = server.bind(&mike.name, "roles/mspcontrol.help_desk", &contoso).await;
    let bound = bound.trim_start_matches("roleBindings/");
    let revision = async || server.decide("peers/me", "accounts.view", "accounts/platform").await.revision;
    let before = revision().await;

    let up = format!("roles bind mike {role_id} contoso-msp");
    let down = format!("roles unbind {bound}");
    let commands = [
        (up.as_str(), "mike gains ftp.update, ftp.view on contoso-msp"),
        (&down, "mike loses"),
        ("accounts move contoso --to other-msp", "emily loses ftp.update, ftp.view on contoso"),
        ("accounts suspend contoso --scope SUBTREE --reason unpaid", "emily loses ftp.update, ftp.view on contoso"),
        (
            "accounts update contoso --partner-access BLOCKED --justification asked",
            "emily loses ftp.update, ftp.view on contoso",
        ),
        ("accounts delete contoso --cascade", "emily loses ftp.update, ftp.view on contoso"),
        ("peers disable emily", "emily loses ftp.update, ftp.view on contoso, contoso-msp"),
        ("peers update emily --expires 2030-01-01T00:00:00Z", "Nobody that you may know of"),
        ("peers delete emily", "emily loses ftp.update, ftp.view on contoso, contoso-msp"),
    ];
    for (command, shown) in commands {
        let dry = run(&server, folder.path(), &words(&format!("{command} --dry-run"))).await;
        assert!(dry.status.success(), "{command}: {}", said(&dry));
        assert!(told(&dry).contains("nothing was changed") && told(&dry).contains(shown), "{command}: {}", told(&dry));
        let json = run(&server, folder.path(), &words(&format!("{command} --dry-run -o json"))).await;
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["dryRun"], true);
        assert_eq!(json["totals"]["isComplete"], true, "{json}");
        let rows = json["differences"].as_array().unwrap();
        let lost = json["totals"]["lostCount"].as_str().unwrap_or("0");
        assert_eq!(rows.iter().filter(|row| row["after"] == "DECISION_DENY").count().to_string(), lost, "{json}");
    }
    // A file: what is there already is previewed, the rest is named.
    let file = "bindings:\n- { peer: mike, role: mspcontrol.administrator, account: contoso }\n";
    std::fs::write(folder.path().join("world.yaml"), file).unwrap();
    let dry = run(&server, folder.path(), &words("apply -f world.yaml --dry-run")).await;
    assert!(dry.status.success() && told(&dry).contains("mike gains"), "{}{}", told(&dry), said(&dry));
    let json = run(&server, folder.path(), &words("apply -f world.yaml --dry-run -o json")).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["totals"]["isComplete"], &json["dryRun"]), (&true.into(), &true.into()), "{json}");
    assert!(told(&dry).ends_with("A dry run: nothing was changed.\n"), "{}", told(&dry));
    assert_eq!(revision().await, before, "nothing was changed");

    // What would be refused is refused.
    let refused = run(&server, folder.path(), &words("accounts resume contoso --dry-run")).await;
    assert!(said(&refused).contains("ACCOUNT_NOT_SUSPENDED"), "{}", said(&refused));
    // Who may not preview has every check run, and learns nothing else.
    let rights = ["accounts.view", "peers.view", "roles.view", "role_bindings.*", "ftp.*"];
    let blind = server.custom_role(&msp, &rights).await;
    let blind = server.person(&msp, "blind", &blind).await;
    let dry = run_as(&server, folder.path(), &blind.key, &words(&format!("{up} --dry-run"))).await;
    assert!(dry.status.success() && told(&dry).contains("`policy.preview`"), "{}{}", told(&dry), said(&dry));
    assert!(!told(&dry).contains("mike gains"), "{}", told(&dry));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_of_what_is_new_says_what_it_would_make_and_who_gains() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let mike = server.person(&contoso, "mike", "roles/mspcontrol.help_desk").await;
    let gone = pb::DeletePeerRequest { name: mike.name.clone(), request_id: request_id(), ..Default::default() };
    server.operator().peers().delete_peer(gone).await.unwrap();
    std::fs::write(folder.path().join("grants.yaml"), "- { allow: ftp.view }\n").unwrap();
    let revision = async || server.decide("peers/me", "accounts.view", "accounts/platform").await.revision;
    let before = revision().await;

    let commands = [
        ("roles create Night --owner contoso-msp --grants grants.yaml", "Nobody that you may know of gains", "totals"),
        ("peers undelete mike", "Nobody that you may know of gains", "totals"),
        ("roles copy mspcontrol.help_desk --owner contoso --title Desk", "make role `Desk` of contoso, with", "role"),
        (
            "peers create ana --home contoso --role mspcontrol.help_desk --access contoso",
            "make PERSON ana of contoso. The peer gains role mspcontrol.help_desk on contoso, with everything below",
            "peer",
        ),
        (
            "accounts create lab --kind DEPARTMENT --parent contoso --title Lab",
            "make DEPARTMENT lab in contoso. Whoever holds rights on contoso or above, with everything below, holds them",
            "account",
        ),
        (
            "accounts create tailspin --kind CUSTOMER --parent contoso-msp --title T --first-peer tia",
            "Its first peer tia gains the role of the account template there.",
            "account",
        ),
    ];
    for (command, shown, field) in commands {
        let dry = run(&server, folder.path(), &words(&format!("{command} --dry-run"))).await;
        assert!(dry.status.success(), "{command}: {}", said(&dry));
        assert!(told(&dry).contains("nothing was changed") && told(&dry).contains(shown), "{command}: {}", told(&dry));
        let json = run(&server, folder.path(), &words(&format!("{command} --dry-run -o json"))).await;
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert!(json["dryRun"] == true && json[field].is_object(), "{command}: {json}");
    }
    assert_eq!(revision().await, before, "nothing was changed");
    let refused = run(&server, folder.path(), &words("peers undelete mia --dry-run")).await;
    assert!(said(&refused).contains("RESOURCE_NOT_FOUND"), "{}", said(&refused));
    let two = "accounts create contoso --kind CUSTOMER --parent contoso-msp --title Taken --dry-run";
    let refused = run(&server, folder.path(), &words(two)).await;
    assert!(said(&refused).contains("ACCOUNT_ID_TAKEN"), "{}", said(&refused));
    server.stop().await;
}
