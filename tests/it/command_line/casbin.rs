//! `peerage policy`: files for casbin, and policies from files.

use super::{run, said, told};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_written_whole_or_not_at_all_and_read_back() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso]).await;
    let export = ["policy", "export", "--account", "contoso", "--out", "out/deep"];

    let done = run(&server, folder.path(), &export).await;
    assert!(done.status.success() && told(&done).contains("lines at revision"), "{}", said(&done));
    let read = |name: &str| std::fs::read_to_string(folder.path().join("out/deep").join(name));
    assert!(read("model.conf").unwrap().contains("[matchers]"));
    let policy = read("policy.csv").unwrap();
    let line = format!("g, {}, role:opspilot365.technician@contoso\n", emily.name.replace("peers/", "peer:"));
    assert!(policy.contains(&line), "{policy}");

    // What is there is kept, and a refused export leaves nothing behind.
    let again = run(&server, folder.path(), &export).await;
    assert_eq!((again.status.code(), read("policy.csv").unwrap()), (Some(2), policy));
    let missing = run(&server, folder.path(), &["policy", "export", "--account", "nowhere", "--out", "none"]).await;
    assert_eq!(missing.status.code(), Some(2), "{}", told(&missing));
    assert!(!folder.path().join("none").exists());
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    let missing = ["policy", "export", "--account", "nowhere", "--out", "mine/new/newer"];
    assert_eq!(run(&server, folder.path(), &missing).await.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path().join("mine")).unwrap().count(), 0, "what was there stays");

    let circumstances =
        ["--at", "2027-01-01T00:00:00Z", "--attribute", "ring=2", "--source-address", "203.0.113.7", "--latest"];
    let other = ["policy", "export", "--account", "contoso", "--out", "office"];
    let done = run(&server, folder.path(), &[&other[..], &circumstances].concat()).await;
    assert!(done.status.success(), "{}", said(&done));

    std::fs::write(folder.path().join("mine.csv"), "p, desk, contoso, users, view\ng, emily, desk\nnonsense\n")
        .unwrap();
    let import = ["policy", "import", "mine.csv", "--account", "contoso"];
    let wrong = run(&server, folder.path(), &import).await;
    assert!(wrong.status.code() == Some(2) && said(&wrong).contains("policy[3]"), "{}", said(&wrong));
    assert!(!said(&wrong).contains("names all"), "{}", said(&wrong));
    let many: String = (0..60).map(|number| format!("g, nobody{number}, desk\n")).collect();
    std::fs::write(folder.path().join("many.csv"), format!("p, desk, contoso, users, view\n{many}")).unwrap();
    let many = run(&server, folder.path(), &["policy", "import", "many.csv", "--account", "contoso"]).await;
    assert!(said(&many).contains("`--skip-wrong-lines --dry-run` names all 60 wrong lines"), "{}", said(&many));
    let dry = run(&server, folder.path(), &[&import[..], &["--skip-wrong-lines", "--dry-run"]].concat()).await;
    assert!(told(&dry).contains("1 roles and 1 bindings") && said(&dry).contains("line 3"), "{}", said(&dry));
    assert!(told(&dry).contains("nothing was changed"), "{}", told(&dry));
    std::fs::write(folder.path().join("more.csv"), "p, more, contoso, ftp, update\ng, emily, more\n").unwrap();
    let more = ["policy", "import", "more.csv", "--account", "contoso", "--dry-run"];
    let dry = told(&run(&server, folder.path(), &more).await);
    assert!(dry.contains("emily gains ftp.update on contoso") && dry.contains("1 gained, 0 lost"), "{dry}");
    let dry = told(&run(&server, folder.path(), &[&more[..], &["-o", "json"]].concat()).await);
    let json: serde_json::Value = serde_json::from_str(&dry).unwrap();
    assert_eq!((&json["dryRun"], &json["roleCount"]), (&true.into(), &1.into()), "{json}");
    assert_eq!(json["differences"][0]["permission"], "ftp.update", "{json}");
    let made = run(&server, folder.path(), &[&import[..], &["--skip-wrong-lines", "-o", "json"]].concat()).await;
    let json: serde_json::Value = serde_json::from_str(&told(&made)).unwrap();
    assert_eq!((&json["roleCount"], &json["roleBindingCount"]), (&1.into(), &1.into()), "{json}");
    server.stop().await;
}
