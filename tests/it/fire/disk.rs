//! A disk of its own for one test, which can be full, and can turn read-only: a file with an ext4 file
//! system, mounted where nobody but the test's processes sees it. It goes when the test does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The disk. Dropping it unmounts it.
pub(super) struct Disk {
    folder: tempfile::TempDir,
    /// The process whose mount it is.
    holder: Child,
}

const MOUNT: &str = "mount -o loop,errors=remount-ro \"$1/image\" \"$1/disk\"";
const BALLAST: &str = "ballast";

impl Disk {
    /// Makes and mounts a disk of so many MiB; where this machine does not let anybody, says so aloud.
    pub(super) fn new(mebibytes: u64) -> Option<Self> {
        Self::mount(mebibytes).map_err(|why| super::tell(&format!("SKIPPED, no disk can be mounted here: {why}"))).ok()
    }

    fn mount(mebibytes: u64) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        // Others may have to pass through, such as the user of a PostgreSQL server.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        let image = std::fs::File::create(folder.path().join("image")).unwrap();
        image.set_len(mebibytes << 20).unwrap();
        // It ends when its input does, and that does when this process ends.
        let script = format!("mkfs.ext4 -q -F -m 0 \"$1/image\" && {MOUNT} && echo mounted && exec cat");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare: {error}"))?;
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        if said == "mounted\n" {
            return Ok(Self { folder, holder });
        }
        let mut why = String::new();
        holder.stderr.take().unwrap().read_to_string(&mut why).unwrap();
        holder.wait().unwrap();
        Err(why.trim().to_owned())
    }

    /// What a command begins with to see the disk.
    pub(super) fn prefix(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "--mount", "--target", &pid, "--"].map(str::to_owned).to_vec()
    }

    /// Where the disk is for those who see it.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Where this process finds its files.
    pub(super) fn seen_from_here(&self) -> PathBuf {
        let path = self.path();
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(path.strip_prefix("/").unwrap())
    }

    /// Leaves room for nothing.
    pub(super) fn fill(&self) {
        let mut ballast = std::fs::File::create(self.seen_from_here().join(BALLAST)).unwrap();
        for size in [1 << 18, 1 << 12] {
            while ballast.write_all(&vec![0x5a; size]).and_then(|()| ballast.sync_all()).is_ok() {}
        }
    }

    /// Makes room again.
    pub(super) fn make_room(&self) {
        std::fs::remove_file(self.seen_from_here().join(BALLAST)).unwrap();
    }

    /// Does what the kernel does with a disk that failed: nothing is written any more.
    pub(super) fn turn_read_only(&self) {
        self.run("mount -o remount,abort \"$1/disk\"");
    }

    /// Mounts it anew, as after a repair. Nobody may use it meanwhile.
    pub(super) fn repair(&self) {
        self.run(&format!("umount \"$1/disk\" && {MOUNT}"));
    }

    fn run(&self, script: &str) {
        let prefix = self.prefix();
        let mut command = Command::new(&prefix[0]);
        let output = command.args(&prefix[1..]).args(["sh", "-c", script, "sh"]).arg(self.folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
