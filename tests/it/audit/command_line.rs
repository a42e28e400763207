//! `peerage audit`, as a person at a terminal or a script runs it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use peerage::app;
use peerage::application::Clock;
use peerage::transport::grpc::pb;

use super::{record, report};
use crate::support::{BEGIN_MICROS, Server, config, free_address};

fn command(address: &str, folder: &Path, key: &str, arguments: &[&str]) -> Command {
    let file = folder.join("api.key");
    std::fs::write(&file, key).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("PEERAGE_ADDRESS", address).env("PEERAGE_API_KEY_FILE", file);
    command
}

async fn run(server: &Server, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = command(&server.address(), folder, server.operator_key(), arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn told(server: &Server, folder: &Path, arguments: &[&str]) -> String {
    let output = run(server, folder, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A customer with an event by Emily Chen and one more.
async fn world(server: &Server) -> String {
    let msp = server.partner("msp", &["opspilot365"]).await;
    let customer = server.customer("contoso-corp", &msp).await;
    let other = server.customer("fabrikam", &msp).await;
    server.person_on(&msp, "emily@contosomsp.com", "roles/opspilot365.technician", &[&other]).await;
    let emily =
        pb::ReportedEvent { actor: "peers/@emily@contosomsp.com".to_owned(), ..report(&customer, "jane@contoso.com") };
    let denied = pb::ReportedEvent {
        outcome: pb::AuditOutcome::Denied.into(),
        reason: "NOT_TODAY".to_owned(),
        ..report(&customer, "joe@contoso.com")
    };
    record(&server.operator(), vec![emily, denied]).await.unwrap();
    customer
}

const SENTENCE: &str = "emily@contosomsp.com modified user in contoso-corp (Reset password for jane@contoso.com)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_44_audit_list_shows_sentences_to_people_and_events_to_scripts() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    world(&server).await;
    let folder = folder.path();
    let of_corp = ["audit", "list", "--account", "contoso-corp"];
    let list = |more: &[&'static str]| [&of_corp[..], more].concat();
    let table = told(&server, folder, &of_corp).await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(lines[0].starts_with("TIME") && lines[0].ends_with("WHAT"), "{table}");
    assert!(
        lines[2].ends_with(SENTENCE) && lines[2].contains("contoso-corp") && lines[2].contains("SUCCESS"),
        "{table}"
    );
    assert!(lines[1].contains("DENIED") && lines[3].contains("added account"), "{table}");
    for (flags, lines) in [
        (&["--actor", "emily@contosomsp.com"][..], 2),
        (&["--actor", "me"], 3),
        (&["--reporter", "me", "--outcome", "denied"], 2),
        (&["--action", "users.reset_password", "--query", "JANE"], 2),
        (&["--reason", "NOT_TODAY"], 2),
        (&["--target", "accounts/contoso-corp"], 2),
        (&["--filter", "outcome = DENIED OR action = accounts.create"], 3),
        (&["--from", "2026-01-05T08:00:01Z"], 1),
        (&["--until", "2026-01-05T08:00:01Z", "--limit", "2"], 3),
    ] {
        let text = told(&server, folder, &list(flags)).await;
        assert_eq!(text.lines().count(), lines, "{flags:?}: {text}");
    }
    let json = told(&server, folder, &list(&["--oldest-first", "-o", "json"])).await;
    let events: serde_json::Value = serde_json::from_str(&json).unwrap();
    let seqs: Vec<_> = events.as_array().unwrap().iter().map(|event| event["seq"].as_str().unwrap()).collect();
    assert_eq!(seqs, ["1", "2", "3"]);
    assert_eq!(events[1]["summary"], SENTENCE);
    let below = told(&server, folder, &["audit", "list", "--account", "msp", "--descendants"]).await;
    assert_eq!(below.matches("Reset password for jane@contoso.com").count(), 1, "{below}");
    let wrong = run(&server, folder, &list(&["--filter", "secret = x"])).await;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("field `filter`"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_tail_shows_the_last_events_in_their_order() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    world(&server).await;
    let folder = folder.path();
    let tail = async |more: &[&str]| {
        told(&server, folder, &[&["audit", "tail", "--account", "contoso-corp"], more].concat()).await
    };
    let text = tail(&["-n", "2"]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with(SENTENCE) && lines[1].contains("DENIED"), "{text}");
    assert_eq!(tail(&[]).await.lines().count(), 3);
    assert_eq!(tail(&["-n", "0"]).await, "");
    assert_eq!(tail(&["--after-seq", "1"]).await, text);
    let json = tail(&["--after-seq", "2", "-o", "json"]).await;
    let event: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((json.lines().count(), event["seq"].as_str()), (1, Some("3")));
    server.stop().await;
}

/// A command that goes on, with the lines that it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines }
    }

    /// The number of the next event that is printed.
    fn seq(&self) -> i64 {
        let line = self.lines.recv_timeout(Duration::from_secs(30)).expect("a line comes");
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        event["seq"].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_tail_follows_across_a_restart_and_prints_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display());
    let address = free_address();
    let listen = address.parse().unwrap();
    let server = Server::start_as(&url, tempfile::tempdir().unwrap(), |config| config.listen = listen).await;
    let customer = world(&server).await;
    let key = server.operator_key().to_owned();
    let arguments = ["audit", "tail", "--account", "contoso-corp", "-n", "1", "--follow", "-o", "json"];
    let following = Following::start(command(&address, folder.path(), &key, &arguments));
    assert_eq!(following.seq(), 3);
    record(&server.operator(), vec![report(&customer, "a"), report(&customer, "b")]).await.unwrap();
    assert_eq!([following.seq(), following.seq()], [4, 5]);
    server.stop().await;

    let again = peerage::config::Config { listen, ..config(&url) };
    let running = app::start(&again, Clock::Manual(Arc::new(BEGIN_MICROS.into()))).await.unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let client = crate::support::Client::new(channel, &key);
    for number in 0..40 {
        record(&client, vec![report(&customer, &number.to_string())]).await.unwrap();
    }
    let seqs: Vec<i64> = (0..40).map(|_| following.seq()).collect();
    assert_eq!(seqs, (6..46).collect::<Vec<_>>());
    drop((following, client));
    running.stop().await.unwrap();
}
