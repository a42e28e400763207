//! The server as a process: how it starts, what stops it from starting, and how it ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::support::{self, Client, Server};

mod admission;
mod capture;
mod limits;
mod metrics;
mod probes;
mod telemetry;
mod tls;
mod web;

pub(crate) use metrics::get;

/// The program, without anything of this environment that it would read.
fn peerage(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    peerage(folder, arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A database with an operator, in a folder of its own.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["migrate"][..], &["bootstrap", "--key-file", "operator.key"]] {
        let output = run(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
    folder
}

struct Process {
    child: Child,
    channel: Channel,
    key: String,
}

impl Process {
    async fn serve(folder: &Path, arguments: &[&str]) -> Self {
        let listen = support::free_address();
        let mut command = peerage(folder, &["serve", "--listen", &listen]);
        let logs = std::fs::File::create(folder.join("serve.log")).unwrap();
        let child = command.args(arguments).stderr(logs).spawn().unwrap();
        let channel = Endpoint::from_shared(format!("http://{listen}")).unwrap().connect_lazy();
        support::until_serving(channel.clone()).await;
        let key = std::fs::read_to_string(folder.join("operator.key")).unwrap().trim().to_owned();
        Self { child, channel, key }
    }

    fn client(&self) -> Client {
        Client::new(self.channel.clone(), &self.key)
    }

    fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_server_is_migrated_bootstrapped_once_and_served() {
    let folder = prepared();
    let mode = std::fs::metadata(folder.path().join("operator.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = run(folder.path(), &["bootstrap", "--key-file", "second.key"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("bootstrap works once"), "{}", said(&again));
    assert!(!folder.path().join("second.key").exists(), "nothing is left behind");
    let again = run(folder.path(), &["bootstrap", "--key-file", "operator.key"]);
    assert!(said(&again).contains("cannot create `operator.key`"), "{}", said(&again));
    assert!(run(folder.path(), &["migrate"]).status.success(), "a second migration changes nothing");

    let mut process = Process::serve(folder.path(), &["--database", "sqlite:peerage.db"]).await;
    let answer = process.client().ask("peers/me", "accounts.administer", "accounts/platform").await.unwrap();
    assert_eq!(answer.decision(), pb::Decision::Allow);
    process.terminate();
    let status = tokio::task::spawn_blocking(move || process.child.wait().unwrap()).await.unwrap();
    assert!(status.success(), "SIGTERM ends a server well: {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_end_lets_calls_in_flight_end() {
    let folder = prepared();
    let mut process = Process::serve(folder.path(), &[]).await;
    let client = process.client();
    let answer = client.ask("peers/me", "accounts.view", "accounts/platform").await.unwrap();
    // A call that waits for the next revision is in flight until somebody writes.
    let (waiter, next) = (client.clone(), answer.revision + 1);
    let waiting = tokio::spawn(async move {
        let request = pb::AuthorizeRequest {
            permission: "accounts.view".to_owned(),
            account: "accounts/platform".to_owned(),
            consistency: Some(pb::Consistency {
                requirement: Some(pb::consistency::Requirement::AtLeastRevision(next)),
            }),
            ..Default::default()
        };
        waiter.access().authorize(request).await
    });
    let mut health = tonic_health::pb::health_client::HealthClient::new(process.channel.clone());
    let watch = tonic_health::pb::HealthCheckRequest { service: "peerage.v1.PeerService".to_owned() };
    let mut watched = health.watch(watch).await.unwrap().into_inner();
    let serving = tonic_health::pb::health_check_response::ServingStatus::Serving;
    assert_eq!(watched.message().await.unwrap().unwrap().status(), serving);
    process.terminate();
    let not_serving = tonic_health::pb::health_check_response::ServingStatus::NotServing;
    assert_eq!(watched.message().await.unwrap().unwrap().status(), not_serving, "it says so first");
    drop(watched);
    // Calls go on for the drain delay, so that clients can turn away in peace.
    let key = pb::ApiKey { peer: "peers/me".to_owned(), title: "late".to_owned(), ..Default::default() };
    let write = pb::CreateApiKeyRequest { api_key: Some(key), ..Default::default() };
    client.auth().create_api_key(write).await.unwrap();
    let answer = waiting.await.unwrap().unwrap().into_inner();
    assert!(answer.revision >= next, "the call in flight got its answer");
    let ended = tokio::task::spawn_blocking(move || process.child.wait().unwrap());
    assert!(tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_that_go_to_a_file_hold_no_colors() {
    let folder = prepared();
    let mut process = Process::serve(folder.path(), &[]).await;
    process.terminate();
    assert!(tokio::task::spawn_blocking(move || process.child.wait().unwrap()).await.unwrap().success());
    let logs = std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(logs.contains("INFO") && !logs.contains('\u{1b}'), "{logs}");
}

#[test]
fn a_wrong_setting_stops_the_start_with_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong.toml"), "listen = \"0.0.0.0:1\"\n").unwrap();
    std::fs::write(folder.path().join("unknown.toml"), "[database]\nulr = \"sqlite:x\"\n").unwrap();
    for (arguments, part) in [
        (&["serve", "--config", "wrong.toml"][..], "allow_plaintext"),
        (&["config", "check", "--config", "wrong.toml"], "beyond loopback"),
        (&["config", "check", "--config", "unknown.toml"], "ulr"),
        (&["config", "check", "--config", "missing.toml"], "missing.toml"),
        (&["serve", "--listen", "nowhere"], "listen"),
        (&["serve", "--database", "mysql://x"], "database.url"),
        (&["serve", "--database", "sqlite:nothing.db"], "database"),
        (&["migrate", "--database", "postgres://127.0.0.1:1/x"], "database"),
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = said(&output);
        assert!(text.contains(part), "{arguments:?}: {text}");
        assert_eq!(text.trim().lines().count(), 1, "{arguments:?}: {text}");
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/peerage.example.toml");
    let output = run(folder.path(), &["config", "check", "--config", example.to_str().unwrap()]);
    assert!(output.status.success(), "the documented example is good: {}", said(&output));
}

#[test]
fn config_check_finds_every_wrong_setting_at_once_and_what_serve_would_find() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let check = |text: &str| {
        std::fs::write(folder.path().join("peerage.toml"), text).unwrap();
        run(folder.path(), &["config", "check", "--config", "peerage.toml"])
    };
    let many = "listen = \"0.0.0.0:1\"\n[follow]\nstale_after_ms = 1\n[telemetry]\nsample_ratio = 2.0\n\
                [tls]\ncertificate_file = \"none.pem\"\nkey_file = \"none.key\"\n\
                [decision_log]\nto = \"missing/decisions.jsonl\"\nkeep = 0\n";
    let output = check(many);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.starts_with("error: 6 settings are wrong\n"), "{text}");
    for name in [
        "follow.stale_after_ms",
        "telemetry.sample_ratio",
        "none.pem",
        "none.key",
        "decision_log.keep",
        "decision_log.to",
    ] {
        assert_eq!(text.lines().filter(|line| line.contains(name)).count(), 1, "{name}: {text}");
    }
    for wrong in ["missing/decisions.jsonl", "logs", "file/decisions.jsonl", "/proc/decisions.jsonl"] {
        let output = check(&format!("[decision_log]\nto = \"{wrong}\"\n"));
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", said(&output));
        assert!(said(&output).contains("`decision_log.to`: cannot write"), "{wrong}: {}", said(&output));
        assert_eq!(said(&output).trim().lines().count(), 1, "{}", said(&output));
    }
    for good in ["logs/decisions.jsonl", "file", "stdout", "/dev/null"] {
        let output = check(&format!("[decision_log]\nto = \"{good}\"\n"));
        assert!(output.status.success(), "{good}: {}", said(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path().join("logs")).unwrap().count(), 0, "a check makes nothing");
}

/// The flags of clients say nothing to a server, which would go on as if it had not heard them.
#[test]
fn a_server_takes_no_flag_of_a_client() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&["serve"][..], &["migrate"], &["bootstrap", "--key-file", "k"], &["config", "check"]] {
        let output = run(folder.path(), &[command, &["--address", "127.0.0.1:1"]].concat());
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(said(&output).starts_with("error: unexpected argument '--address' found"), "{}", said(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was begun");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_one_sqlite_file_is_refused() {
    let folder = prepared();
    let first = Process::serve(folder.path(), &["--database", "sqlite:peerage.db"]).await;
    std::os::unix::fs::symlink("peerage.db", folder.path().join("other.db")).unwrap();
    for url in ["sqlite:peerage.db", "sqlite:./peerage.db?mode=rw", "sqlite:other.db"] {
        let second = run(folder.path(), &["serve", "--database", url, "--listen", "127.0.0.1:0"]);
        assert_eq!(second.status.code(), Some(2), "{url}: {}", said(&second));
        assert!(said(&second).contains("another server runs on"), "{url}: {}", said(&second));
        assert_eq!(said(&second).trim().lines().count(), 1, "{}", said(&second));
    }
    // What is no server works beside one.
    assert!(run(folder.path(), &["migrate"]).status.success());
    let Process { mut child, .. } = first;
    // The system takes the lock from a process that had no time to.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut next = Process::serve(folder.path(), &[]).await;
    next.terminate();
    assert!(tokio::task::spawn_blocking(move || next.child.wait().unwrap()).await.unwrap().success());
    // And from one that ended well, for the next.
    let Process { mut child, .. } = Process::serve(folder.path(), &[]).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_server_refuses_a_database_that_was_not_migrated() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.db"), "").unwrap();
    let output = run(folder.path(), &["serve", "--database", "sqlite:empty.db", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("run `peerage migrate`"), "{}", said(&output));
}

#[tokio::test]
async fn reflection_shows_the_contract_to_whoever_has_a_credential() {
    use futures_util::StreamExt as _;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let server = Server::start().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    // A client asks on as it reads, and ends its stream last.
    let asked = futures_util::stream::iter([request]).chain(futures_util::stream::pending());
    let mut request = Request::new(asked);
    request.metadata_mut().insert("authorization", format!("Bearer {}", server.operator_key()).parse().unwrap());
    let mut client = ServerReflectionClient::new(server.channel());
    let mut answers = client.server_reflection_info(request).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else { panic!("{answer:?}") };
    let names: Vec<String> = services.service.into_iter().map(|service| service.name).collect();
    for name in support::services() {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    drop((client, answers));
    server.stop().await;
}

#[tokio::test]
async fn a_method_that_is_not_there_is_unimplemented() {
    let server = Server::start().await;
    for method in ["/peerage.v1.PeerService/BecomeRoot", "/peerage.v1.NoService/Do", "/"] {
        let status = server.raw_operator().call_empty(method).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{method}");
    }
    server.stop().await;
}
