//! A PostgreSQL server of a test's own, to be killed: by the programs that `tests/run` names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::disk::Disk;
use crate::support;

/// A cluster in a folder; dropping it ends it.
pub(super) struct Cluster {
    folder: tempfile::TempDir,
    data: PathBuf,
    bin: PathBuf,
    /// What its programs are called by, to see the disk that they are on.
    prefix: Vec<String>,
    /// As whom it runs where the caller is root, whom PostgreSQL refuses.
    user: Option<(u32, u32)>,
    port: String,
    server: Option<Child>,
}

const PASSWORD: &str = "of-a-cluster-that-lives-for-one-test";

impl Cluster {
    /// Makes and starts a cluster. On a disk of their own are its tables alone; log and write-ahead log
    /// stay beside it, since without room for that PostgreSQL stops as a whole.
    pub(super) async fn start(disk: Option<&Disk>) -> Self {
        let bin = PathBuf::from(
            std::env::var("PEERAGE_TEST_POSTGRES_BIN")
                .expect("PEERAGE_TEST_POSTGRES_BIN names the folder of initdb and postgres; tests/run finds it"),
        );
        let folder = tempfile::tempdir().unwrap();
        let user = std::env::var("PEERAGE_TEST_POSTGRES_USER").ok().filter(|name| !name.is_empty());
        let user = user.map(|name| (id("-u", &name), id("-g", &name)));
        let data = disk.map_or_else(|| folder.path().join("data"), |disk| disk.path().join("data"));
        let prefix = disk.map(Disk::prefix).unwrap_or_default();
        let port = support::free_address().rsplit_once(':').unwrap().1.to_owned();
        let mut cluster = Self { data, bin, prefix, user, port, server: None, folder };
        let password = cluster.folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        cluster.hand_over(cluster.folder.path());
        cluster.hand_over(&password);
        if let Some(disk) = disk {
            cluster.hand_over(&disk.seen_from_here());
        }
        let made = cluster.initialize(&password);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.run().await;
        cluster
    }

    fn initialize(&self, password: &Path) -> Output {
        let mut initdb = self.command("initdb");
        initdb.args(["--username", "peerage", "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
        initdb.args(["--no-sync", "--wal-segsize", "1", "--pgdata"]).arg(&self.data);
        initdb.arg("--pwfile").arg(password).arg("--waldir").arg(self.folder.path().join("wal"));
        initdb.output().unwrap()
    }

    /// Gives a file or folder to the server's user.
    fn hand_over(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut words: Vec<OsString> = self.prefix.iter().map(OsString::from).collect();
        if let Some((user, group)) = self.user {
            let (user, group) = (format!("--reuid={user}"), format!("--regid={group}"));
            words.extend(["setpriv".into(), user.into(), group.into(), "--clear-groups".into(), "--".into()]);
        }
        words.push(self.bin.join(program).into());
        let mut command = Command::new(&words[0]);
        // Each of them becomes the next, so that the process which is killed is the server.
        command.args(&words[1..]).current_dir(self.folder.path()).stdout(Stdio::null());
        command
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://peerage:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server on what it left, and waits until it answers.
    pub(super) async fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(&self.data).args(["-p", &self.port, "-c", "listen_addresses=127.0.0.1"]);
        postgres.args(["-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "min_wal_size=4MB"]);
        self.server = Some(postgres.stderr(log).spawn().unwrap());
        let answers = async {
            loop {
                let mut ready = self.command("pg_isready");
                ready.args(["--quiet", "--host", "127.0.0.1", "--port", &self.port]);
                if ready.status().unwrap().success() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let answered = tokio::time::timeout(Duration::from_secs(60), answers).await;
        assert!(answered.is_ok(), "{}", self.log());
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kills the server and all its processes at once.
    pub(super) fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.id())).unwrap_or_default();
        let _ = server.kill();
        let _ = Command::new("kill").arg("-9").args(children.split_whitespace()).stderr(Stdio::null()).status();
        let _ = server.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

fn id(which: &str, name: &str) -> u32 {
    let output = Command::new("id").args([which, name]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().expect("a user that is there")
}
