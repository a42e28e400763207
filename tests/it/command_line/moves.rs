//! What `peerage accounts move` says of those who keep their access.

use super::{run, run_as, said, told, words};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_names_the_bindings_of_outsiders_that_stay() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let old = server.partner("old-msp", &["mspcontrol"]).await;
    let new = server.partner("new-msp", &["mspcontrol"]).await;
    let contoso = server.customer("contoso", &old).await;
    let role = "roles/mspcontrol.help_desk";
    let mike = server.person(&old, "mike", role).await;
    let on_contoso = server.bind(&mike.name, role, &contoso).await;
    let another = server.bind(&mike.name, "roles/mspcontrol.read_only", &contoso).await;
    // Those who belong to the new place, or to the account itself, are no outsiders.
    let john = server.person(&new, "john", role).await;
    let of_new = server.bind(&john.name, role, &contoso).await;
    let emily = server.person(&contoso, "emily", role).await;
    let moved = run(&server, folder.path(), &words("accounts move contoso --to new-msp -o json")).await;
    assert!(moved.status.success(), "{}", said(&moved));
    let account: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(account["parentAccount"], "accounts/new-msp");
    assert!(said(&moved).contains("2 bindings on contoso and below stay in force"), "{}", said(&moved));
    for (binding, role) in [(&on_contoso, "help_desk"), (&another, "read_only")] {
        let line = format!("{binding}: mspcontrol.{role} to {} (home: old-msp) on contoso", mike.name);
        assert!(said(&moved).contains(&line), "{}", said(&moved));
    }
    assert!(!said(&moved).contains(&of_new) && !said(&moved).contains(&emily.name), "{}", said(&moved));
    // Where nobody stays behind there is nothing to say.
    server.customer("empty", &old).await;
    let quiet = run(&server, folder.path(), &words("accounts move empty --to new-msp")).await;
    assert!(quiet.status.success() && said(&quiet).is_empty(), "{}{}", told(&quiet), said(&quiet));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_done_although_the_bindings_there_cannot_be_listed() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let old = server.partner("old-msp", &["mspcontrol"]).await;
    server.partner("new-msp", &["mspcontrol"]).await;
    server.customer("contoso", &old).await;
    // Who moves accounts need not see who holds what on them.
    let blind = server.custom_role("accounts/platform", &["*.*", "!role_bindings.view"]).await;
    let mover = server.person("accounts/platform", "mover", &blind).await;
    let key = server.key_of(&mover.name).await;
    let moved = run_as(&server, folder.path(), &key, &words("accounts move contoso --to new-msp -o json")).await;
    assert!(moved.status.success(), "{}", said(&moved));
    let account: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(account["parentAccount"], "accounts/new-msp");
    let note = said(&moved);
    assert!(note.contains("you may not see which bindings"), "{note}");
    server.stop().await;
}
