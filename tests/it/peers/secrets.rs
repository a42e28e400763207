//! A password that was given stands nowhere: in no log line at the highest level, in no event, in no
//! answer, and in no file of the server.

use std::path::Path;
use std::process::{Command, Stdio};

use peerage::transport::grpc::pb;
use tonic::transport::Endpoint;

use super::*;
use crate::support::{self, Client, reason, request_id};

const FIRST: &str = "zebra-umbrella-quartz-first-secret";
const SECOND: &str = "velvet-hammock-plasma-second-secret";
const WEAK: &str = "weaksecretweaksecretweaksecret";
const UNLIKE: &str = "walrus-pickle-cobalt-unlike-secret";

fn peerage(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments);
    command
}

/// Good and bad calls with passwords; returns all that was answered and logged as events.
async fn use_passwords(client: &Client) -> String {
    let mut said = String::new();
    let with = |request: pb::CreatePeerRequest, password: &str, again: &str| pb::CreatePeerRequest {
        password: password.into(),
        confirm_password: again.into(),
        request_id: request_id(),
        ..request
    };
    let home = "accounts/platform";
    let role = "roles/core.auditor";
    for (name, password, again) in [
        ("one", FIRST, FIRST),
        ("two", WEAK, WEAK),
        ("three", FIRST, UNLIKE),
        ("one", FIRST, FIRST),
        ("", FIRST, FIRST),
    ] {
        said += &format!("{:?}\n", create(client, with(wish(home, name, role), password, again)).await);
    }
    for (name, password, again) in
        [("one", SECOND, SECOND), ("one", SECOND, UNLIKE), ("nobody", SECOND, SECOND), ("one", WEAK, WEAK)]
    {
        let request = pb::SetPasswordRequest {
            name: format!("peers/@{name}"),
            password: password.into(),
            confirm_password: again.into(),
            request_id: request_id(),
            ..pb::SetPasswordRequest::default()
        };
        said += &format!("{request:?}\n{:?}\n", client.peers().set_password(request.clone()).await);
    }
    let request = pb::ListAuditEventsRequest { account: home.into(), page_size: 1000, ..Default::default() };
    let events = client.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    for event in &events {
        said += &String::from_utf8_lossy(&event.canonical_bytes);
    }
    said.push_str(&format!("{events:?}"));
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_line_no_event_and_no_file_holds_a_password() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["migrate"][..], &["bootstrap", "--key-file", "operator.key"]] {
        assert!(peerage(folder.path(), arguments).output().unwrap().status.success());
    }
    let listen = support::free_address();
    let log = std::fs::File::create(folder.path().join("server.log")).unwrap();
    let mut command = peerage(folder.path(), &["serve", "--listen", &listen]);
    command.env("PEERAGE_LOG__FILTER", "trace").stderr(Stdio::from(log));
    let mut child = command.spawn().unwrap();
    let channel = Endpoint::from_shared(format!("http://{listen}")).unwrap().connect_lazy();
    support::until_serving(channel.clone()).await;
    let key = std::fs::read_to_string(folder.path().join("operator.key")).unwrap();
    let client = Client::new(channel, key.trim());

    let said = use_passwords(&client).await;
    assert!(said.contains("peers.reset_password"), "the calls were made: {said}");
    let made = made_up(&client).await;
    // The files are read while the server runs, with what it has not folded into the database yet.
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = files.iter().find(|(name, _)| name.ends_with("server.log")).unwrap();
    assert!(log.1.len() > 10_000, "the log is at its highest level");
    for secret in [FIRST, SECOND, WEAK, UNLIKE, &made] {
        assert!(!said.contains(secret), "an answer or an event holds a password");
        for (name, bytes) in &files {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{name} holds a password");
        }
    }
    assert!(!said.contains("argon2id"), "nor is a hash shown");
}

async fn made_up(client: &Client) -> String {
    let response = client.peers().generate_password(pb::GeneratePasswordRequest::default()).await.unwrap();
    assert!(!format!("{response:?}").contains(&response.get_ref().password));
    let weak = pb::SetPasswordRequest { name: "peers/@one".into(), ..Default::default() };
    let status = client.peers().set_password(weak).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_FIELDS");
    response.into_inner().password
}
