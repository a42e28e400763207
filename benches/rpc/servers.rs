//! Servers, each in a process of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A server, which ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    /// The server as it ships, over a database, on one core.
    pub(crate) fn peerage(url: &str, core: usize, settings: &[(&str, &str)]) -> Result<Self> {
        let address = free_address()?;
        let mut command = on_core(core, env!("CARGO_BIN_EXE_peerage"));
        command.args(["serve", "--database", url, "--listen", &address]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
            command.env_remove(name);
        }
        command.env("PEERAGE_LOG__FILTER", "error").envs(settings.iter().copied());
        Self::start(command, address)
    }

    /// Starts what listens at an address.
    pub(crate) fn start(mut command: Command, address: String) -> Result<Self> {
        let child = command.stdout(Stdio::null()).spawn().context("cannot start a server by `taskset`")?;
        Ok(Self { child, address })
    }

    /// The processor time of the process so far (proc(5): `utime` and `stime`, in ticks of 10 ms).
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("a process has a name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on one core.
pub(crate) fn on_core(core: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

pub(crate) fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
