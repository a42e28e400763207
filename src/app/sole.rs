//! One server on one SQLite file: a second one would follow the first a second late, fight it for the
//! write lock, and drain and purge beside it, without anybody having wanted that. Several servers are
//! what PostgreSQL is for.
//!
//! The lock is on a file beside the database and goes with the process, however that ends. `migrate`
//! and `bootstrap` do their work beside a server and take none.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Proof that no other process serves the file. Dropping it lets the next one.
#[derive(Debug)]
pub(super) struct Sole {
    _lock: File,
}

impl Sole {
    /// Claims a database file.
    ///
    /// # Errors
    /// Where another server has it, or no lock can be had.
    pub(super) fn of(database: &Path) -> anyhow::Result<Self> {
        // Whatever way leads to the database, there is one lock.
        let found = database.canonicalize().with_context(|| format!("cannot find `{}`", database.display()))?;
        let mut path = found.into_os_string();
        path.push(".lock");
        let path = Path::new(&path);
        let opened = match OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path) {
            // A server answers also from a disk that takes no writes; a lock needs none.
            Err(error) if error.kind() == ErrorKind::ReadOnlyFilesystem => File::open(path),
            opened => opened,
        };
        let lock = opened.with_context(|| format!("cannot open `{}`", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "another server runs on `{}`, and SQLite is for one; several share a PostgreSQL database",
                database.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(anyhow::Error::new(error).context(format!("cannot lock `{}`", path.display())))
            }
        }
    }
}
