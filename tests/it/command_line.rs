//! The commands that are clients, as a person at a terminal or a script runs them.

mod access;
mod apply;
mod casbin;
mod expectations;
mod explain;
mod moves;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use peerage::transport::grpc::pb;

use crate::support::{Server, policy};

/// Runs the program as the operator's client of a server.
pub(crate) async fn run(server: &Server, folder: &Path, arguments: &[&str]) -> Output {
    run_as(server, folder, server.operator_key(), arguments).await
}

/// Runs the program as a client of a server, with a key in a file.
pub(crate) async fn run_as(server: &Server, folder: &Path, key_text: &str, arguments: &[&str]) -> Output {
    let key = folder.join("api.key");
    std::fs::write(&key, key_text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .args(arguments)
        .env("PEERAGE_ADDRESS", server.address())
        .env("PEERAGE_API_KEY_FILE", key);
    // The server lives in this runtime, so waiting for the command must not hold it up.
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn revision(server: &Server) -> i64 {
    server.decide("peers/me", "accounts.view", "accounts/platform").await.revision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_makes_a_world_once_and_twice_changes_nothing() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/demo/world.yaml");
    let world = world.to_str().unwrap();

    let before = revision(&server).await;
    let dry = run(&server, folder.path(), &["apply", "-f", world, "--dry-run"]).await;
    assert!(dry.status.success(), "{}", said(&dry));
    assert!(told(&dry).contains("+ account contoso-msp"), "{}", told(&dry));
    assert_eq!(revision(&server).await, before, "a dry run changes nothing");

    let first = run(&server, folder.path(), &["apply", "-f", world]).await;
    assert!(first.status.success(), "{}", said(&first));
    let after = revision(&server).await;
    assert!(after > before + 500);
    assert!(server.may("peers/@emily@contosomsp.com", "users.reset_password", "accounts/contoso-corp").await);

    let second = run(&server, folder.path(), &["apply", "-f", world]).await;
    assert!(second.status.success(), "{}", said(&second));
    assert_eq!(revision(&server).await, after, "applying twice changes nothing: {}", told(&second));
    assert!(!told(&second).contains("stays:"), "all that is bound is in the file: {}", told(&second));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_file_names_every_bad_line_and_changes_nothing() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let file = "accounts:\n\
        - { id: Contoso, kind: PARTNER, parent: platform, title: Contoso }\n\
        - { id: good-msp, kind: PARTNER, parent: platform, title: Good }\n\
        - { id: other, kind: CLIENT, parent: good-msp, title: Other }\n\
        peers:\n\
        - { user_name: \"two words\", home: good-msp, role: core.auditor }\n\
        - { user_name: someone, home: nowhere-at-all, role: core.auditor }\n\
        colors: []\n";
    std::fs::write(folder.path().join("wrong.yaml"), file).unwrap();
    let before = revision(&server).await;
    let output = run(&server, folder.path(), &["apply", "-f", "wrong.yaml"]).await;
    assert_eq!(output.status.code(), Some(2));
    for line in [2, 4, 6, 7, 8] {
        assert!(said(&output).contains(&format!("wrong.yaml:{line}:")), "line {line}: {}", said(&output));
    }
    assert!(!said(&output).contains("wrong.yaml:3:"), "{}", said(&output));
    assert_eq!(revision(&server).await, before);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_in_the_middle_stops_and_a_rerun_goes_on() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    // The caller is an administrator of one partner. The second peer's user name is that of somebody
    // homed at another, whom the caller cannot see: only the server knows that it is taken.
    let other = server.partner("other-msp", &["mspcontrol"]).await;
    server.person(&other, "taken", "roles/mspcontrol.help_desk").await;
    let own = server.partner("new-msp", &["mspcontrol"]).await;
    let admin = server.person(&own, "admin", "roles/mspcontrol.administrator").await;
    let file = |name: &str| {
        format!(
            "peers:\n\
             - {{ user_name: first, home: new-msp, role: mspcontrol.help_desk, access: all }}\n\
             - {{ user_name: {name}, home: new-msp, role: mspcontrol.help_desk, access: all }}\n\
             - {{ user_name: third, home: new-msp, role: mspcontrol.help_desk, access: all }}\n"
        )
    };
    std::fs::write(folder.path().join("world.yaml"), file("taken")).unwrap();
    let stopped = run_as(&server, folder.path(), &admin.key, &["apply", "-f", "world.yaml"]).await;
    assert_eq!(stopped.status.code(), Some(1), "{}{}", told(&stopped), said(&stopped));
    assert!(said(&stopped).contains("USER_NAME_TAKEN"), "{}", said(&stopped));
    assert!(server.may("peers/@first", "peers.unlock", "accounts/new-msp").await, "what came before is done");

    std::fs::write(folder.path().join("world.yaml"), file("second")).unwrap();
    let on = run_as(&server, folder.path(), &admin.key, &["apply", "-f", "world.yaml"]).await;
    assert!(on.status.success(), "{}", said(&on));
    for name in ["peers/@first", "peers/@second", "peers/@third"] {
        assert!(server.may(name, "peers.unlock", "accounts/new-msp").await, "{name}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorize_tells_scripts_by_its_exit_code() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    server.person_on(&msp, "emily@contosomsp.com", "roles/opspilot365.technician", &[&contoso]).await;
    for (permission, account, code) in [
        ("users.view", "contoso", 0),
        ("licenses.order", "contoso", 1),
        ("billing.manage", "contoso", 1),
        ("no.such", "contoso", 2),
        ("users.view", "nowhere", 2),
    ] {
        let arguments = ["authorize", "emily@contosomsp.com", permission, account];
        let output = run(&server, folder.path(), &arguments).await;
        assert_eq!(output.status.code(), Some(code), "{permission} {account}: {}{}", told(&output), said(&output));
    }
    let json =
        run(&server, folder.path(), &["authorize", "emily@contosomsp.com", "users.view", "contoso", "-o", "json"])
            .await;
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["decision"], "DECISION_ALLOW");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_tables_for_people_and_json_for_scripts() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let create = run(
        &server,
        folder.path(),
        &["accounts", "create", "contoso-msp", "--kind", "partner", "--parent", "platform", "--title", "Contoso MSP"],
    )
    .await;
    assert!(create.status.success(), "{}", said(&create));
    let table = run(&server, folder.path(), &["accounts", "list"]).await;
    assert!(told(&table).contains("contoso-msp") && told(&table).contains("Contoso MSP"), "{}", told(&table));
    for arguments in [
        &["accounts", "list", "-o", "json"][..],
        &["peers", "list", "--account", "platform", "-o", "json"],
        &["roles", "list", "-o", "json"],
        &["roles", "permissions", "-o", "json"],
        &["keys", "list", "-o", "json"],
    ] {
        let output = run(&server, folder.path(), arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!value.as_array().unwrap().is_empty(), "{arguments:?}");
    }
    let unknown = run(&server, folder.path(), &["accounts", "get", "nowhere"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("RESOURCE_NOT_FOUND"), "{}", said(&unknown));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_is_no_answer() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    // Whoever listens here hangs up at once, sometimes while the client still writes.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let hang_up = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_zero_linger().unwrap();
        }
    });
    for _ in 0..10 {
        for arguments in [&["authorize", "emily", "users.view", "contoso"][..], &["accounts", "list"]] {
            let arguments = [arguments, &["--address", &address]].concat();
            let output = run(&server, folder.path(), &arguments).await;
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(said(&output).starts_with("error: "), "{}", said(&output));
        }
    }
    hang_up.abort();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_still_learns_the_answer() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let key = folder.path().join("api.key");
    std::fs::write(&key, server.operator_key()).unwrap();
    let unread = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
        command.args(arguments).env("PEERAGE_ADDRESS", server.address()).env("PEERAGE_API_KEY_FILE", &key);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(child.stdout.take());
        tokio::task::spawn_blocking(move || child.wait().unwrap().code())
    };
    let denied = ["authorize", "peers/@nobody", "accounts.view", "platform"];
    assert_eq!(unread(&denied).await.unwrap(), Some(1));
    assert_eq!(unread(&["accounts", "list"]).await.unwrap(), Some(0));
    // A key that nobody read is lost, and that is an error.
    assert_eq!(unread(&["keys", "create", "me"]).await.unwrap(), Some(2));
    server.stop().await;
}

/// A line of the program's arguments, without quotes.
fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_stand_in_either_case_in_files_and_on_the_command_line() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    for (id, kind) in [("upper-msp", "PARTNER"), ("lower-msp", "partner")] {
        let line = format!("accounts create {id} --kind {kind} --parent platform --title MSP --role-pack mspcontrol");
        let made = run(&server, folder.path(), &words(&line)).await;
        assert!(made.status.success(), "{}", said(&made));
        assert!(told(&made).contains("PARTNER"), "one form is printed: {}", told(&made));
    }
    let file = "accounts:\n\
        - { id: upper, kind: CUSTOMER, parent: upper-msp, title: Upper, settings: { partner_access: SESSION_ONLY } }\n\
        - { id: lower, kind: customer, parent: lower-msp, title: Lower, settings: { partner_access: session-only } }\n";
    std::fs::write(folder.path().join("world.yaml"), file).unwrap();
    let applied = run(&server, folder.path(), &["apply", "-f", "world.yaml"]).await;
    assert!(applied.status.success(), "{}", said(&applied));
    for id in ["upper", "lower"] {
        let request = pb::GetAccountRequest { name: format!("accounts/{id}"), read_mask: None };
        let account = server.operator().accounts().get_account(request).await.unwrap().into_inner();
        assert_eq!(account.kind(), pb::AccountKind::Customer);
        assert_eq!(account.settings.unwrap().partner_access(), pb::PartnerAccessMode::SessionOnly);
    }
    for scope in ["own-peers", "OWN_PEERS"] {
        let line = format!("accounts suspend upper --scope {scope} --reason test");
        assert!(run(&server, folder.path(), &words(&line)).await.status.success());
        assert!(run(&server, folder.path(), &words("accounts resume upper")).await.status.success());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_limit_an_unknown_name_and_another_verb_are_met_with_help() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    server.person_on(&msp, "emily@contosomsp.com", "roles/opspilot365.technician", &[&contoso]).await;
    for limit in ["0", "-1", "many", "1000001"] {
        for list in ["accounts list", "peers list", "roles list", "roles permissions", "roles bindings", "keys list"] {
            let output = run(&server, folder.path(), &words(&format!("{list} --limit {limit}"))).await;
            assert_eq!(output.status.code(), Some(2), "{list} {limit}: {}", told(&output));
            assert!(said(&output).contains("must be a number from 1 to 1000000"), "{}", said(&output));
        }
    }
    let one = run(&server, folder.path(), &words("accounts list --limit 1 -o json")).await;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&one.stdout).unwrap().as_array().unwrap().len(), 1);

    for line in ["authorize emily users.view contoso", "peers get emily"] {
        let output = run(&server, folder.path(), &words(line)).await;
        let text = said(&output);
        assert!(text.contains("is named `emily`") && text.contains("emily@contosomsp.com"), "{line}: {text}");
        assert!(text.contains("peerage peers list"), "{text}");
    }
    let known = run(&server, folder.path(), &words("authorize emily@contosomsp.com billing.manage contoso")).await;
    assert!(!said(&known).contains("hint"), "{}", said(&known));
    for line in ["accounts show contoso-msp", "peers show me", "roles show opspilot365.technician"] {
        let output = run(&server, folder.path(), &words(line)).await;
        assert!(output.status.success(), "{line}: {}", said(&output));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_variable_counts_as_unset() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let call = async |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
            command.env_remove(name);
        }
        command.current_dir(folder.path()).args(arguments).envs(variables.iter().copied());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    let address = server.address();
    let variables = [
        ("PEERAGE_ADDRESS", address.as_str()),
        ("PEERAGE_API_KEY", server.operator_key()),
        ("PEERAGE_API_KEY_FILE", ""),
        ("PEERAGE_CA_FILE", ""),
        ("PEERAGE_CONFIG", ""),
    ];
    let listed = call(&["accounts", "list"], &variables).await;
    assert!(listed.status.success(), "{}", said(&listed));
    let nobody = call(&["accounts", "list"], &[("PEERAGE_ADDRESS", ""), ("PEERAGE_API_KEY", "")]).await;
    assert!(said(&nobody).contains("no API key: set PEERAGE_API_KEY"), "{}", said(&nobody));
    let unreachable = call(&["accounts", "list"], &[("PEERAGE_ADDRESS", ""), ("PEERAGE_API_KEY", "prg_x")]).await;
    assert!(!said(&unreachable).contains("`` is no address"), "{}", said(&unreachable));
    let settings = [
        ("PEERAGE_CONFIG", ""),
        ("PEERAGE_LISTEN", ""),
        ("PEERAGE_ALLOW_PLAINTEXT", ""),
        ("PEERAGE_DATABASE__URL", ""),
        ("PEERAGE_DATABASE__MAX_CONNECTIONS", ""),
        ("PEERAGE_LOG__FORMAT", ""),
        ("PEERAGE_TLS__CERTIFICATE_FILE", ""),
    ];
    let checked = call(&["config", "check"], &settings).await;
    assert!(checked.status.success(), "{}", said(&checked));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_undone_is_looked_at_first_and_needs_a_yes() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let contoso = server.customer("contoso", &msp).await;
    server.department("sales", &contoso).await;
    let role = "roles/mspcontrol.help_desk";
    let emily = server.person(&contoso, "emily@contoso.example", role).await;
    let mike = server.person(&msp, "mike", role).await;
    let custom = pb::Role { title: "Night shift".to_owned(), ..policy::role(&msp, &[policy::allow("peers.view")]) };
    let custom = policy::create_role(&server.operator(), custom).await.unwrap().name;
    let binding = server.bind(&mike.name, role, &contoso).await;
    let request = pb::ListApiKeysRequest { peer: mike.name.clone(), ..Default::default() };
    let keys = server.operator().auth().list_api_keys(request).await.unwrap().into_inner().api_keys;

    let before = revision(&server).await;
    let commands = [
        (format!("keys revoke {}", keys[0].name), "last used"),
        (format!("roles unbind {binding}"), "contoso"),
        (format!("roles delete {custom}"), "Night shift"),
        ("peers delete mike".to_owned(), "undelete"),
        ("accounts delete contoso --cascade".to_owned(), "accounts below"),
    ];
    for (command, shown) in &commands {
        let refused = run(&server, folder.path(), &words(command)).await;
        assert_eq!(refused.status.code(), Some(2), "{command}");
        assert!(said(&refused).contains("`--yes`"), "{command}: {}", said(&refused));
        let dry = run(&server, folder.path(), &words(&format!("{command} --dry-run"))).await;
        assert!(dry.status.success(), "{command}: {}", said(&dry));
        assert!(told(&dry).contains("nothing was changed") && told(&dry).contains(shown), "{}", told(&dry));
        let json = run(&server, folder.path(), &words(&format!("{command} --dry-run -o json"))).await;
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["dryRun"], true);
    }
    let dry = told(&run(&server, folder.path(), &words("accounts delete contoso --cascade --dry-run -o json")).await);
    let dry: serde_json::Value = serde_json::from_str(&dry).unwrap();
    assert_eq!((&dry["accounts below"], &dry["peers"], &dry["role bindings"]), (&"1".into(), &"1".into(), &"2".into()));
    // What would be refused is refused in a dry run too.
    let refused = run(&server, folder.path(), &words("accounts delete contoso-msp --dry-run")).await;
    assert!(said(&refused).contains("ACCOUNT_NOT_EMPTY"), "{}", said(&refused));
    assert_eq!(revision(&server).await, before, "nothing was changed");

    for (command, _) in &commands {
        let done = run(&server, folder.path(), &words(&format!("{command} --yes"))).await;
        assert!(done.status.success(), "{command}: {}", said(&done));
    }
    assert!(revision(&server).await > before);
    assert_eq!(
        emily.client.ask("peers/me", "peers.view", &contoso).await.unwrap_err().code(),
        tonic::Code::Unauthenticated
    );
    server.stop().await;
}
