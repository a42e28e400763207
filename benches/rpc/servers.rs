//! The two servers, each in a process of its own on the first core.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::client::Measured;
use crate::questions::DATABASE;

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn noop() -> Result<Self> {
        let this = std::env::current_exe()?;
        let address = free_address()?;
        Self::start(Command::new("taskset").args(["--cpu-list", "0"]).arg(this).args(["--noop", &address]), &address)
    }

    /// The server as it ships, over the world in a folder.
    pub(crate) fn authorize(folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let url = format!("sqlite:{}", folder.join(DATABASE).display());
        let program = env!("CARGO_BIN_EXE_peerage");
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", "0", program, "serve", "--database", &url, "--listen", &address]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
            command.env_remove(name);
        }
        Self::start(command.env("PEERAGE_LOG__FILTER", "error"), &address)
    }

    fn start(command: &mut Command, address: &str) -> Result<Self> {
        let child = command.stdout(Stdio::null()).spawn().context("cannot start a server by `taskset`")?;
        Ok(Self { child, address: address.to_owned() })
    }

    /// Measures calls, and the processor time that the server took meanwhile.
    pub(crate) async fn while_serving(&self, calls: impl Future<Output = Result<Measured>>) -> Result<Measured> {
        let before = self.processor_micros()?;
        let mut measured = calls.await?;
        measured.server_micros = self.processor_micros()? - before;
        Ok(measured)
    }

    /// The processor time of the process so far (proc(5): `utime` and `stime`, in ticks of 10 ms).
    fn processor_micros(&self) -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("a process has a name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(ticks * 10_000)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
