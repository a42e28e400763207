//! The program under measure, in processes of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// The program, where it runs and what it talks to.
pub(crate) struct Program {
    folder: PathBuf,
    url: String,
    address: String,
}

/// What a command left.
pub(crate) struct Done {
    pub(crate) told: String,
    pub(crate) peak_megabytes: u64,
}

impl Program {
    pub(crate) fn new(folder: &Path, url: &str) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.map_or_else(|_| "127.0.0.1:7843".to_owned(), |address| address.to_string());
        Self { folder: folder.to_owned(), url: url.to_owned(), address }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
            command.env_remove(name);
        }
        let key = self.folder.join("operator.key");
        if key.exists() && !arguments.contains(&"serve") {
            command.env("PEERAGE_ADDRESS", &self.address).env("PEERAGE_API_KEY_FILE", key);
        }
        command.current_dir(&self.folder).args(arguments);
        command
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join(name), text)?)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Done> {
        let out = self.folder.join("stdout");
        let child = self.command(arguments).stdout(std::fs::File::create(&out)?).spawn()?;
        let mut watched = Watched { child, peak: 0 };
        let status = loop {
            match watched.child.try_wait()? {
                Some(status) => break status,
                None => watched.look(),
            }
        };
        let told = std::fs::read_to_string(&out)?;
        ensure!(status.success(), "`peerage {}` failed: {told}", arguments.join(" "));
        Ok(Done { told, peak_megabytes: watched.peak / 1024 })
    }

    /// Starts the server.
    pub(crate) fn serve(&self) -> Result<Watched> {
        let arguments = ["serve", "--database", &self.url, "--listen", &self.address];
        let child = self.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let start = Instant::now();
        let served = Watched { child, peak: 0 };
        while start.elapsed() < START_MAX {
            if self.command(&["roles", "list", "--limit", "1"]).output()?.status.success() {
                return Ok(served);
            }
        }
        bail!("the server did not start")
    }
}

/// A process whose memory is looked at.
pub(crate) struct Watched {
    child: Child,
    /// The most memory that it held, in KiB.
    peak: u64,
}

impl Watched {
    /// Reads the high-water mark of the memory that the process held.
    fn look(&mut self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let mark = mark.and_then(|mark| mark.trim().trim_end_matches(" kB").parse().ok());
        self.peak = self.peak.max(mark.unwrap_or(0));
        #[expect(clippy::disallowed_methods, reason = "a process tells nobody when it takes more memory")]
        std::thread::sleep(Duration::from_millis(5));
    }

    /// Stops it; returns the megabytes that it held at most.
    pub(crate) fn stop(mut self) -> Result<u64> {
        self.look();
        self.child.kill().context("the server cannot be stopped")?;
        self.child.wait()?;
        Ok(self.peak / 1024)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // One that has ended already is stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
