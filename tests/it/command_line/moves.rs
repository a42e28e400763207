//! What `peerage accounts move` says of those who keep their access.

use super::{run, said, told, words};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_names_the_bindings_of_outsiders_that_stay() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let old = server.partner("old-msp", &["mspcontrol"]).await;
    let new = server.partner("new-msp", &["mspcontrol"]).await;
    let contoso = server.customer("contoso", &old).await;
    let sales = server.department("sales", &contoso).await;
    let role = "roles/mspcontrol.help_desk";
    let mike = server.person(&old, "mike", role).await;
    let on_contoso = server.bind(&mike.name, role, &contoso).await;
    let on_sales = server.bind(&mike.name, role, &sales).await;
    // Those who belong to the new place, or to the account itself, are no outsiders.
    let john = server.person(&new, "john", role).await;
    let of_new = server.bind(&john.name, role, &contoso).await;
    let emily = server.person(&contoso, "emily", role).await;
    let moved = run(&server, folder.path(), &words("accounts move contoso --to new-msp -o json")).await;
    assert!(moved.status.success(), "{}", said(&moved));
    let account: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(account["parentAccount"], "accounts/new-msp");
    assert!(said(&moved).contains("2 bindings on contoso and below stay in force"), "{}", said(&moved));
    for (binding, account) in [(&on_contoso, "contoso"), (&on_sales, "sales")] {
        let line = format!("{binding}: mspcontrol.help_desk to {} (home: old-msp) on {account}", mike.name);
        assert!(said(&moved).contains(&line), "{}", said(&moved));
    }
    assert!(!said(&moved).contains(&of_new) && !said(&moved).contains(&emily.name), "{}", said(&moved));
    // Nothing is left to say once they are gone.
    for binding in [on_contoso, on_sales] {
        let gone = run(&server, folder.path(), &words(&format!("roles unbind {binding} --yes"))).await;
        assert!(gone.status.success(), "{}", said(&gone));
    }
    let back = run(&server, folder.path(), &words("accounts move sales --to contoso")).await;
    assert!(back.status.success() && !said(&back).contains("stay in force"), "{}{}", told(&back), said(&back));
    server.stop().await;
}
