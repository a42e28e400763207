//! `peerage access`: the lists as people and scripts see them.

use serde_json::Value;

use super::{run, run_as, said, told};
use crate::support::Server;

const TECHNICIAN: &str = "roles/opspilot365.technician";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_shows_where_who_and_what() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let fabrikam = server.customer("fabrikam", &msp).await;
    let emily = server.person_on(&msp, "emily@contosomsp.com", TECHNICIAN, &[&contoso, &fabrikam]).await;
    let ask = async |arguments: &[&str]| {
        let output = run(&server, folder.path(), &[&["access"], arguments].concat()).await;
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        told(&output)
    };
    let rows = |text: &str| {
        let lines = text.lines().map(|line| line.split_whitespace().map(ToOwned::to_owned).collect());
        lines.collect::<Vec<Vec<String>>>()
    };

    let accounts = rows(&ask(&["accounts", "emily@contosomsp.com", "users.view"]).await);
    assert_eq!(accounts[0], ["ACCOUNT", "KIND", "TITLE", "DECISION", "BINDING"]);
    assert_eq!(accounts[1][..4], ["contoso", "CUSTOMER", "contoso", "ALLOW"]);
    assert_eq!((accounts.len(), accounts[2][0].as_str()), (3, "fabrikam"));
    let below = ask(&["accounts", "emily@contosomsp.com", "users.view", "--under", "fabrikam", "--latest"]).await;
    assert_eq!(rows(&below)[1..].iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["fabrikam"]);
    let waiting = ["accounts", "emily@contosomsp.com", "licenses.order", "--filter", "kind = CUSTOMER"];
    for (decision, count) in [("requires-approval", 2), ("ALLOW", 0)] {
        let json = ask(&[&waiting[..], &["--decision", decision, "-o", "json"]].concat()).await;
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json.as_array().unwrap().len(), count, "{json}");
        assert!(json.as_array().unwrap().iter().all(|row| row["decision"] == "DECISION_REQUIRES_APPROVAL"));
    }

    let peers = ask(&["peers", "contoso", "users.view", "--filter", "home_account = accounts/contoso-msp"]).await;
    let peers = rows(&peers);
    assert_eq!(peers[0], ["PEER", "USER", "NAME", "KIND", "HOME", "DECISION", "BINDING"]);
    let uid = emily.name.strip_prefix("peers/").unwrap();
    assert_eq!(peers[1][..5], [uid, "emily@contosomsp.com", "PERSON", "contoso-msp", "ALLOW"]);
    assert_eq!(peers.len(), 2);

    let permissions = rows(&ask(&["permissions", "emily@contosomsp.com", "contoso"]).await);
    assert_eq!(permissions[0], ["PERMISSION", "DECISION", "ROLE", "BINDING"]);
    let order = permissions.iter().find(|row| row[0] == "licenses.order").unwrap();
    assert_eq!(order[1..3], ["REQUIRES_APPROVAL", "opspilot365.technician"]);
    assert_eq!(rows(&ask(&["permissions", "emily@contosomsp.com", "contoso", "--limit", "2"]).await).len(), 3);

    // One asks about oneself with any key; about others one is told that there is nobody.
    let own = run_as(&server, folder.path(), &emily.key, &["access", "accounts", "me", "users.view"]).await;
    assert_eq!(rows(&told(&own)).len(), 3, "{}", said(&own));
    let other = run_as(&server, folder.path(), &emily.key, &["access", "accounts", "operator", "users.view"]).await;
    assert_eq!(other.status.code(), Some(2));
    assert!(said(&other).contains("peers/@operator"), "{}", said(&other));
    server.stop().await;
}
