//! Peers from a table and back, by the commands that people and scripts run.

use std::path::Path;

use peerage::transport::grpc::pb;
use serde_json::Value;

use crate::command_line::{run, run_as, said, told};
use crate::support::{Client, Server};

const READ_ONLY: &str = "roles/mspcontrol.read_only";

async fn world() -> (Server, tempfile::TempDir) {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    server.customer("contoso", &msp).await;
    server.customer("fabrikam", &msp).await;
    (server, tempfile::tempdir().unwrap())
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), text).unwrap();
}

async fn get(client: &Client, user_name: &str) -> Option<pb::Peer> {
    let request = pb::GetPeerRequest { name: format!("peers/@{user_name}"), read_mask: None };
    client.peers().get_peer(request).await.ok().map(tonic::Response::into_inner)
}

async fn count(client: &Client, account: &str) -> i64 {
    let request = pb::ListPeersRequest { account: account.to_owned(), count_total: true, ..Default::default() };
    client.peers().list_peers(request).await.unwrap().into_inner().total_size
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_peers_is_imported_as_it_stands() {
    let (server, folder) = world().await;
    let operator = server.operator();
    // A byte order mark, CR LF, quotes, a guarded telephone number, columns in an order of their own.
    let table = "\u{FEFF}first_name,user_name,home_account,role,accounts,phone_number,company_name,state,country,city,\
        two_factor_provider,expire_time\r\n\
        Zoë,zoe@contoso.com,contoso-msp,mspcontrol.read_only,contoso fabrikam,'+41 44 123 45 67,\
        \"Contoso, \"\"Ltd\"\"\",,ch,Zürich,TOTP,2030-01-01T00:00:00.5Z\r\n\
        \r\n\
        Amir,amir@contoso.com,contoso-msp,mspcontrol.read_only,all,,,DISABLED,,,,\r\n";
    write(folder.path(), "peers.csv", table);

    let dry = run(&server, folder.path(), &["peers", "import", "peers.csv", "--dry-run"]).await;
    assert!(dry.status.success(), "{}", said(&dry));
    assert_eq!(told(&dry), "2 peers would be created, 0 were there already, 0 refused\n");
    assert!(get(&operator, "zoe@contoso.com").await.is_none(), "a dry run makes nothing");

    let first = run(&server, folder.path(), &["peers", "import", "peers.csv"]).await;
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(told(&first), "2 peers created, 0 were there already, 0 refused\n");
    let zoe = get(&operator, "zoe@contoso.com").await.unwrap();
    assert_eq!((zoe.first_name.as_str(), zoe.company_name.as_str()), ("Zoë", "Contoso, \"Ltd\""));
    assert_eq!((zoe.phone_number.as_str(), zoe.default_role.as_str()), ("+41441234567", READ_ONLY));
    assert_eq!((zoe.kind(), zoe.two_factor_provider()), (pb::PeerKind::Person, pb::TwoFactorProvider::Totp));
    assert_eq!(
        zoe.address.as_ref().map(|address| (address.country.as_str(), address.city.as_str())),
        Some(("CH", "Zürich"))
    );
    assert_eq!(zoe.tenant_access, Some(pb::TenantAccess { all: false, account_count: 2 }));
    assert_eq!(zoe.expire_time.unwrap().nanos, 500_000_000);
    assert!(server.may(&zoe.name, "websites.view", "accounts/fabrikam").await);
    assert!(!server.may(&zoe.name, "websites.view", "accounts/contoso-msp").await);
    let amir = get(&operator, "amir@contoso.com").await.unwrap();
    assert_eq!(amir.state(), pb::PeerState::Disabled);

    // Once more: everything is there, in whatever form the table writes it.
    let again = run(&server, folder.path(), &["peers", "import", "peers.csv", "-o", "json"]).await;
    assert!(again.status.success(), "{}", said(&again));
    let summary: Value = serde_json::from_str(told(&again).lines().last().unwrap()).unwrap();
    assert_eq!(
        summary["summary"],
        serde_json::json!({ "created": 0, "alreadyThere": 2, "refused": 0, "dryRun": false, "complete": true })
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_every_wrong_line_is_named_and_can_be_mended() {
    let (server, folder) = world().await;
    let operator = server.operator();
    server.person("accounts/contoso-msp", "taken", READ_ONLY).await;
    let table = "user_name,email,role,accounts,country,password\n\
        good,good@contoso.com,mspcontrol.read_only,all,CH,\n\
        two words,no address,mspcontrol.read_only,,Helvetia,\n\
        short,,mspcontrol.read_only\n\
        nowhere,,mspcontrol.read_only,nowhere-at-all,,\n\
        good,,mspcontrol.read_only,all,,\n\
        taken,,mspcontrol.administrator,contoso,,\n\
        weak,,mspcontrol.read_only,all,,password\n\
        \"multi\nline\",,mspcontrol.read_only,all,,\n\
        last,,mspcontrol.read_only,all,,\n";
    write(folder.path(), "peers.csv", table);
    let arguments = ["peers", "import", "peers.csv", "--home", "contoso-msp", "--errors", "refused.csv"];
    let output = run(&server, folder.path(), &arguments).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(told(&output), "2 peers created, 0 were there already, 7 refused\n");
    let errors = said(&output);
    let lines: Vec<&str> = errors.lines().collect();
    let starts = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for start in [
        "line 3: user_name: must look like",
        "line 3: email: must look like",
        "line 3: accounts: must be set",
        "line 3: country: ",
        "line 4: has 3 cells, and the header 6",
        "line 5: there is no account `accounts/nowhere-at-all` (RESOURCE_NOT_FOUND)",
        "line 6: user_name: is that of a peer that is not as this line says: email, country (USER_NAME_TAKEN)",
        "line 7: user_name: is that of a peer that is not as this line says: role, accounts (USER_NAME_TAKEN)",
        "line 8: password: must be at least 15",
        "line 9: user_name: ",
    ] {
        assert!(starts(start), "{start}\n{errors}");
    }
    assert_eq!(lines.len(), 10, "{errors}");
    assert!(!errors.contains("\u{1b}"));
    assert!(get(&operator, "last").await.is_some());

    // What was refused is a table of its own, which can be imported once it is mended.
    let refused = std::fs::read_to_string(folder.path().join("refused.csv")).unwrap();
    assert_eq!(refused.lines().next(), Some("user_name,email,role,accounts,country,password,line,error"));
    assert!(refused.contains("weak,,mspcontrol.read_only,all,,password,8,password: must be at least 15"), "{refused}");
    let kept = refused.lines().filter(|line| line.starts_with("user_name,") || line.starts_with("nowhere"));
    let mended = kept.collect::<Vec<_>>().join("\n");
    let mended = mended.replace("nowhere-at-all", "contoso").replacen("nowhere", "somewhere", 1);
    write(folder.path(), "mended.csv", mended);
    let output = run(&server, folder.path(), &["peers", "import", "mended.csv", "--home", "contoso-msp"]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(get(&operator, "somewhere").await.is_some());

    for (name, text, why) in [
        ("empty.csv", "", "the file is empty"),
        ("unknown.csv", "user_name,nickname\n", "`nickname`"),
        ("semicolons.csv", "user_name;role\n", "--delimiter"),
        ("bare.csv", "user_name,role,accounts\n", "no column `home_account`"),
    ] {
        write(folder.path(), name, text);
        let output = run(&server, folder.path(), &["peers", "import", name]).await;
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(said(&output).contains(why), "{name}: {}", said(&output));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_cut_off_goes_on_without_duplicates() {
    let (server, folder) = world().await;
    let operator = server.operator();
    let mut table = String::from("user_name,home_account,role,accounts,first_name\n");
    for number in 0..240 {
        let accounts = ["all", "contoso", "fabrikam contoso-msp"][number % 3];
        table += &format!("peer-{number},contoso-msp,mspcontrol.read_only,{accounts},Number {number}\n");
    }
    write(folder.path(), "peers.csv", &table);
    // Cut off within a line, as by a full disk or a pulled plug.
    let middle = table.match_indices("peer-130,").next().unwrap().0 + 12;
    write(folder.path(), "half.csv", &table[..middle]);
    let half = run(&server, folder.path(), &["peers", "import", "half.csv", "--batch-size", "50"]).await;
    assert_eq!(half.status.code(), Some(1));
    assert_eq!(count(&operator, "accounts/contoso-msp").await, 130);
    let whole = run(&server, folder.path(), &["peers", "import", "peers.csv", "--batch-size", "70"]).await;
    assert!(whole.status.success(), "{}", said(&whole));
    assert_eq!(told(&whole), "110 peers created, 130 were there already, 0 refused\n");
    assert_eq!(count(&operator, "accounts/contoso-msp").await, 240);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_can_be_imported_again() {
    let (server, folder) = world().await;
    let operator = server.operator();
    let table = "user_name,home_account,role,accounts,display_name,company_name,mobile_phone,person,street_address,city,\
        country,region,postal_code,language,time_zone,secondary_email,org_user,mail_format,state,kind\n\
        first,contoso-msp,mspcontrol.read_only,all,=1+1,-5 degrees,+41791234567,,\"Street 1\",Bern,CH,CH-BE,3000,de-CH,\
        Europe/Zurich,a@b.example,'=x,PLAIN_TEXT,,\n\
        second,contoso-msp,mspcontrol.help_desk,contoso fabrikam,@home,'quoted',,first,,,,,,,,,,,DISABLED,\n\
        agent,contoso,mspcontrol.device,all,\"a,b\",,,,,,,,,,,,,,,DEVICE\n";
    write(folder.path(), "peers.csv", table);
    let output = run(&server, folder.path(), &["peers", "import", "peers.csv"]).await;
    assert!(output.status.success(), "{}", said(&output));
    let output = run(
        &server,
        folder.path(),
        &["peers", "export", "out.csv", "--account", "contoso-msp", "--order-by", "user_name"],
    )
    .await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("3 peers written"), "{}", said(&output));
    let exported = std::fs::read_to_string(folder.path().join("out.csv")).unwrap();
    // No cell begins as a formula would.
    for formula in [",=", ",+", ",-", ",@", "\n=", "\n+", "\n-", "\n@"] {
        assert!(!exported.contains(formula), "{formula}: {exported}");
    }

    // Into the same platform, where all of it is there, and into an empty one.
    let again = run(&server, folder.path(), &["peers", "import", "out.csv"]).await;
    assert_eq!(told(&again), "0 peers created, 3 were there already, 0 refused\n", "{}", said(&again));
    let (other, elsewhere) = world().await;
    write(elsewhere.path(), "out.csv", &exported);
    let moved = run(&other, elsewhere.path(), &["peers", "import", "out.csv"]).await;
    assert_eq!(told(&moved), "3 peers created, 0 were there already, 0 refused\n", "{}", said(&moved));
    let output =
        run(&other, elsewhere.path(), &["peers", "export", "--account", "contoso-msp", "--order-by", "user_name"])
            .await;
    assert_eq!(told(&output), exported);
    let first = get(&other.operator(), "first").await.unwrap();
    assert_eq!((first.display_name.as_str(), first.org_user.as_str()), ("=1+1", "=x"));
    let second = get(&other.operator(), "second").await.unwrap();
    assert_eq!(second.person, first.name);

    // The same filters as the list, and columns by choice.
    let arguments = ["peers", "export", "--account", "contoso-msp", "--kind", "DEVICE", "--columns", "kind,user_name"];
    let output = run(&server, folder.path(), &arguments).await;
    assert_eq!(told(&output), "kind,user_name\r\nDEVICE,agent\r\n");

    // A caller sees no more in a table than in a list, and gives no more than it holds.
    let reader = server.person("accounts/contoso", "reader", READ_ONLY).await;
    let output = run_as(&server, folder.path(), &reader.key, &["peers", "export", "--account", "contoso-msp"]).await;
    assert_eq!(output.status.code(), Some(2));
    let output = run_as(&server, folder.path(), &reader.key, &["peers", "import", "peers.csv"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("PERMISSION_DENIED"), "{}", said(&output));
    assert!(get(&operator, "first").await.is_some());
    server.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_lines_go_to_no_file_that_is_there() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    server.partner("contoso-msp", &["mspcontrol"]).await;
    let table = "user_name,role,accounts\ngood,mspcontrol.read_only,all\nbad,nothing,all\n";
    write(folder.path(), "peers.csv", table);
    let arguments = ["peers", "import", "peers.csv", "--home", "contoso-msp", "--errors", "peers.csv", "--dry-run"];
    let output = run(&server, folder.path(), &arguments).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("`peers.csv`"), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(folder.path().join("peers.csv")).unwrap(), table);
    server.stop().await;
}
