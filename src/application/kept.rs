//! The snapshot in a file beside the server, to start from: a start from rows reads the whole database.
//!
//! INVARIANT: nothing of a file is believed before its seal is found right. The seal is made with a key
//! that lies in the database: what was damaged, cut or made up, or belongs to another database, is no
//! file of this server's. That the facts are those of the database's history at all, [`super::start`]
//! finds out.
//!
//! A file holds what facts hold: no personal data but uids, no secrets but hashes of API keys, whose
//! 256 random bits nobody guesses, and of user names, which can be guessed. Nobody but its owner may
//! read it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::context::Ctx;
use super::error::Result;
use crate::crypto::file_seal::{FileSeal, SEAL};
use crate::decision::Snapshot;
use crate::decision::compile::Compiler;
use crate::decision::snapshot::image::{FORM, ImageError};
use crate::domain::fact::Mark;
use crate::storage::secrets::{self, Purpose};

const MAGIC: &[u8; 8] = b"PRGSNAP\n";
/// Facts are read by the release that wrote them alone: another may mean something else by them.
const RELEASE: &str = env!("CARGO_PKG_VERSION");
const BUFFER: usize = 1 << 18;

/// Why a file is not started from.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("there is none yet")]
    Absent,
    #[error("it cannot be read or written")]
    Io(#[source] io::Error),
    #[error("it is no snapshot")]
    NoSnapshot,
    #[error("another release wrote it")]
    OtherRelease,
    #[error("it is damaged, or of another database")]
    WrongSeal,
    #[error("its facts cannot be read")]
    Image(#[source] ImageError),
    #[error("it is ahead of the database")]
    Ahead,
    #[error("the database has gone further than is worth following")]
    Behind,
    #[error("the database has another history")]
    OtherHistory(#[source] Box<super::Error>),
    #[error("another server is writing it")]
    Busy,
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Absent } else { Self::Io(error) }
    }
}

/// Where the snapshot is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    path: PathBuf,
}

/// The key of the seal, which is the same in every process.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl SealKey {
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealKey(<redacted>)")
    }
}

/// Finds the key; `None` where nobody kept anything yet.
///
/// # Errors
/// [`super::Error::Store`] where the database is not there.
pub async fn find_seal_key(ctx: &Ctx) -> Result<Option<SealKey>> {
    Ok(secrets::find(ctx.store.reader(), Purpose::SnapshotFile).await?.map(SealKey))
}

/// Finds the key, or makes one.
///
/// # Errors
/// [`super::Error::Store`] where there is none, and the database takes no writes.
pub async fn seal_key(ctx: &Ctx) -> Result<SealKey> {
    if let Some(key) = find_seal_key(ctx).await? {
        return Ok(key);
    }
    let transaction = ctx.store.begin().await?;
    let new = ctx.entropy.bytes()?;
    let key = secrets::keep(transaction.connection(), Purpose::SnapshotFile, new, ctx.clock.now()).await?;
    transaction.commit().await?;
    Ok(SealKey(key))
}

impl Kept {
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a snapshot in place of the one before, which stays whole until then.
    ///
    /// # Errors
    /// [`Unusable::Io`]; [`Unusable::Busy`] while another process does.
    pub fn write(&self, snapshot: &Snapshot, key: &SealKey) -> std::result::Result<(), Unusable> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let new = PathBuf::from(new);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&new);
        let file = file.map_err(Unusable::Io)?;
        // Who had to open it before another one put it in place would write into what is in place.
        let is_own = || Ok::<_, io::Error>(file.metadata()?.ino() == std::fs::metadata(&new)?.ino());
        if file.try_lock().is_err() || !is_own().unwrap_or(false) {
            return Err(Unusable::Busy);
        }
        let write = || {
            file.set_len(0)?;
            let sealing = Sealing { to: &file, seal: FileSeal::new(&key.0) };
            let mut to = BufWriter::with_capacity(BUFFER, sealing);
            to.write_all(&head(snapshot.mark()))?;
            snapshot.write_image(&mut to)?;
            let Sealing { mut to, seal } = to.into_inner().map_err(io::IntoInnerError::into_error)?;
            to.write_all(&seal.finish())?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            // The new name lasts when the folder does.
            self.path.parent().map_or(Ok(()), |folder| {
                File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()
            })
        };
        write().map_err(Unusable::Io)
    }

    /// Reads the snapshot that was written last.
    ///
    /// # Errors
    /// [`Unusable`] where there is none, or it is not one of this release and this database, or not all
    /// of it.
    pub fn read(&self, key: &SealKey, compiler: &mut Compiler) -> std::result::Result<Snapshot, Unusable> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let Some(sealed) = length.checked_sub(SEAL as u64) else { return Err(Unusable::NoSnapshot) };
        let mark = read_head(&mut file)?;
        // All of it, before any of it is understood.
        file.seek(SeekFrom::Start(0))?;
        let mut whole = BufReader::with_capacity(BUFFER, Sealed::new(&file, sealed, key));
        io::copy(&mut whole, &mut io::sink()).map_err(Unusable::Io)?;
        whole.into_inner().finish()?;
        file.seek(SeekFrom::Start(0))?;
        let mut again = BufReader::with_capacity(BUFFER, Sealed::new(&file, sealed, key));
        again.read_exact(&mut vec![0; head(mark).len()]).map_err(Unusable::Io)?;
        let snapshot = Snapshot::read_image(&mut again, mark, compiler).map_err(Unusable::Image)?;
        // What was understood is what was found right, whoever wrote into the file meanwhile.
        again.into_inner().finish()?;
        Ok(snapshot)
    }
}

/// What a file begins with.
fn head(mark: Mark) -> Vec<u8> {
    let mut head = Vec::from(MAGIC);
    head.extend(FORM.to_be_bytes());
    head.push(RELEASE.len() as u8);
    head.extend(RELEASE.as_bytes());
    head.extend(mark.revision.to_be_bytes());
    head.extend(mark.digest);
    head
}

fn read_head(file: &mut File) -> std::result::Result<Mark, Unusable> {
    let short = |_| Unusable::NoSnapshot;
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).map_err(short)?;
    if magic != *MAGIC {
        return Err(Unusable::NoSnapshot);
    }
    let expected = head(Mark::default());
    let numbers = size_of::<i64>() + 32;
    let release = expected.get(MAGIC.len()..expected.len() - numbers).unwrap_or_default();
    let mut found = vec![0; release.len()];
    file.read_exact(&mut found).map_err(short)?;
    if found != release {
        return Err(Unusable::OtherRelease);
    }
    let (mut revision, mut digest) = ([0; 8], [0; 32]);
    file.read_exact(&mut revision).map_err(short)?;
    file.read_exact(&mut digest).map_err(short)?;
    Ok(Mark { revision: i64::from_be_bytes(revision), digest })
}

/// Bytes on their way into a file, with their seal.
struct Sealing<'a> {
    to: &'a File,
    seal: FileSeal,
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.seal.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The bytes before the seal of a file, which is compared in the end.
struct Sealed<'a> {
    from: io::Take<&'a File>,
    seal: FileSeal,
}

impl<'a> Sealed<'a> {
    fn new(file: &'a File, length: u64, key: &SealKey) -> Self {
        Self { from: file.take(length), seal: FileSeal::new(&key.0) }
    }

    fn finish(self) -> std::result::Result<(), Unusable> {
        let Self { from, seal } = self;
        let (is_read, mut found) = (from.limit() == 0, [0; SEAL]);
        from.into_inner().read_exact(&mut found).map_err(|_| Unusable::WrongSeal)?;
        if is_read && seal.is(&found) { Ok(()) } else { Err(Unusable::WrongSeal) }
    }
}

impl Read for Sealed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.seal.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}
