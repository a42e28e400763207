//! Where lines go: standard output, or a file that is rotated by its size.
//!
//! INVARIANT: what is written is whole lines. A write that broke off in the middle of one is cut back
//! to the last whole line, and where nothing can be cut, as in a pipe, the torn line is ended before
//! the next.
//! INVARIANT: nothing is kept open that has another name by now: who moves or deletes the file finds
//! the next lines in a new one.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::{DecisionLog as Settings, STDOUT};

/// How much is written at once to a file.
const FILE_BYTES: usize = 64 << 10;
/// And to what may be shared with other writers: what is not longer than this comes through a pipe in
/// one piece (POSIX calls it PIPE_BUF).
const PIPE_BYTES: usize = 4096;
/// For its owner to write and its group to read, as other logs.
const MODE: u32 = 0o640;

/// The place, and what of it is open.
#[derive(Debug)]
pub(super) struct Output {
    /// None is standard output, which is open for good.
    path: Option<PathBuf>,
    max_bytes: u64,
    keep: u32,
    file: Option<File>,
    /// Whether the last line there has no end.
    is_torn: bool,
    /// Whether the file is too long because it cannot be renamed, which was said then.
    is_stuck: bool,
}

/// What came of lines that could not all be written.
#[derive(Debug)]
pub(super) struct Broken {
    /// How many bytes of whole lines were.
    pub(super) written: usize,
    pub(super) error: io::Error,
}

impl Output {
    /// Opens the place. A pipe or a device is opened with the first line: to open a pipe that nobody
    /// reads is to wait.
    ///
    /// # Errors
    /// Where the file is none or cannot be had. What may pass, as a full disk, is none.
    pub(super) fn open(to: &str, settings: &Settings) -> io::Result<Self> {
        let (max_bytes, keep) = (settings.max_bytes, settings.keep);
        if to == STDOUT {
            let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            return Ok(Self { path: None, max_bytes, keep, file: Some(file), is_torn: false, is_stuck: false });
        }
        let path = PathBuf::from(to);
        let is_file = fs::metadata(&path).map_or(true, |found| found.is_file() || found.is_dir());
        let mut output =
            Self { path: Some(path.clone()), max_bytes, keep, file: None, is_torn: false, is_stuck: false };
        if is_file {
            match output.reopen(&path) {
                Err(error) if is_lasting(&error) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(output)
    }

    /// How much is to be written at once, unless a line is longer.
    pub(super) const fn write_size(&self) -> usize {
        if self.path.is_some() { FILE_BYTES } else { PIPE_BYTES }
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// What the system reports, and how much was written. The next write begins anew.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Broken> {
        let mut written = 0;
        let Err(error) = self.try_write(lines, &mut written) else { return Ok(()) };
        let whole = lines.get(..written).unwrap_or_default();
        let whole = whole.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.cut(written - whole);
        // A file is opened anew, since what is wrong may be that it is not there any more.
        if self.path.is_some() {
            self.file = None;
        }
        Err(Broken { written: whole, error })
    }

    fn try_write(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        self.make_ready(lines.len())?;
        let Self { file: Some(file), is_torn, .. } = self else { return Err(ErrorKind::NotFound.into()) };
        if *is_torn {
            file.write_all(b"\n")?;
            *is_torn = false;
        }
        while let Some(rest) = lines.get(*written..).filter(|rest| !rest.is_empty()) {
            match file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => *written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sees to it that the open file is the one of that name, and has room.
    fn make_ready(&mut self, length: usize) -> io::Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let found = match &self.file {
            Some(file) => Some(file.metadata()?).filter(|open| is_named(&path, open)),
            None => None,
        };
        let found = match found {
            Some(found) => found,
            None => self.reopen(&path)?,
        };
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let is_full = found.is_file() && found.len() > 0 && found.len().saturating_add(length) > self.max_bytes;
        if is_full {
            match self.rotate(&path) {
                Ok(()) => {
                    self.is_stuck = false;
                    self.reopen(&path)?;
                }
                // A file that is too long is better than none.
                Err(error) if !self.is_stuck => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the decision log cannot be rotated");
                    self.is_stuck = true;
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn reopen(&mut self, path: &Path) -> io::Result<Metadata> {
        self.file = None;
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        let found = file.metadata()?;
        // A process that was killed may have left a torn line.
        self.is_torn = found.is_file() && found.len() > 0 && !ends_with_newline(path)?;
        self.file = Some(file);
        Ok(found)
    }

    /// Gives each older file the next number, the open one the first. The last is gone.
    fn rotate(&self, path: &Path) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            renamed(&numbered(path, number), &numbered(path, number + 1))?;
        }
        renamed(path, &numbered(path, 1))
    }

    /// Takes the bytes of a torn line away, which takes no room on the disk.
    fn cut(&mut self, torn: usize) {
        let (Some(file), Ok(torn @ 1..)) = (&self.file, u64::try_from(torn)) else { return };
        let is_cut = match file.metadata() {
            Ok(found) if found.is_file() => file.set_len(found.len().saturating_sub(torn)).is_ok(),
            Ok(_) | Err(_) => false,
        };
        self.is_torn = !is_cut;
    }
}

/// Whether the file of that name is the one that is open.
fn is_named(path: &Path, open: &Metadata) -> bool {
    // What cannot be looked at is kept: to open it would fail as well.
    match fs::metadata(path) {
        Ok(found) => (found.dev(), found.ino()) == (open.dev(), open.ino()),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

fn ends_with_newline(path: &Path) -> io::Result<bool> {
    let mut last = [0];
    let mut file = match File::open(path) {
        Ok(file) => file,
        // Whoever may write and not read cannot know; an empty line does no harm.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(false),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Renames a file, unless it is not there: others may have moved it away a moment ago.
fn renamed(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// `decisions.jsonl.1` for the first of `decisions.jsonl`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Whether [`Output::open`] would have the place, found out without making a file.
///
/// # Errors
/// As there.
pub(super) fn check(to: &str) -> io::Result<()> {
    if to == STDOUT {
        return Ok(());
    }
    let path = Path::new(to);
    let found = match fs::metadata(path) {
        Ok(found) if found.is_file() || found.is_dir() => OpenOptions::new().append(true).open(path).map(drop),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // The file that is tried with has no name.
            fs::metadata(folder).and_then(|_| tempfile::tempfile_in(folder)).map(drop)
        }
        Err(error) => Err(error),
    };
    found.or_else(|error| if is_lasting(&error) { Err(error) } else { Ok(()) })
}

/// Whether an error is one of the settings, that waiting mends not.
fn is_lasting(error: &io::Error) -> bool {
    [
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::IsADirectory,
        ErrorKind::NotADirectory,
        ErrorKind::InvalidInput,
        ErrorKind::InvalidFilename,
    ]
    .contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(path: &Path, max_bytes: u64, keep: u32) -> Output {
        let settings = Settings { max_bytes, keep, ..Settings::default() };
        Output::open(path.to_str().unwrap(), &settings).unwrap()
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_full_file_becomes_the_first_of_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut output = output(&path, 10, 2);
        for line in ["one\n", "two\n", "three\n", "four\n", "a line longer than all\n", "six\n"] {
            output.write(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path), "six\n");
        assert_eq!(read(&numbered(&path, 1)), "a line longer than all\n");
        assert_eq!(read(&numbered(&path, 2)), "four\n");
        assert!(!numbered(&path, 3).exists());
    }

    #[test]
    fn a_file_that_was_moved_or_deleted_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("moved"));
        let mut output = output(&path, 1 << 20, 1);
        output.write(b"one\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        output.write(b"two\n").unwrap();
        assert_eq!((read(&moved).as_str(), read(&path).as_str()), ("one\n", "two\n"));
        fs::remove_file(&path).unwrap();
        output.write(b"three\n").unwrap();
        assert_eq!(read(&path), "three\n");
        // Emptied in place, as some rotate.
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        output.write(b"four\n").unwrap();
        assert_eq!(read(&path), "four\n");
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "whole\ntor").unwrap();
        output(&path, 1 << 20, 1).write(b"next\n").unwrap();
        assert_eq!(read(&path), "whole\ntor\nnext\n");
    }

    #[test]
    fn a_torn_line_is_cut_away_where_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut output = output(&path, 1 << 20, 1);
        output.write(b"one\ntor").unwrap();
        output.cut(3);
        output.write(b"two\n").unwrap();
        assert_eq!(read(&path), "one\ntwo\n");
    }

    #[test]
    fn a_device_without_room_takes_nothing_and_is_left_when_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut output = output(&path, 1 << 20, 1);
        for _ in 0..3 {
            let broken = output.write(b"lost\n").unwrap_err();
            assert_eq!((broken.written, broken.error.kind()), (0, ErrorKind::StorageFull));
        }
        fs::remove_file(&path).unwrap();
        output.write(b"kept\n").unwrap();
        assert_eq!(read(&path), "kept\n");
    }

    #[test]
    fn what_can_never_be_written_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for wrong in ["nowhere/log", "file/log", "."] {
            let to = folder.path().join(wrong);
            assert!(Output::open(to.to_str().unwrap(), &Settings::default()).is_err(), "{wrong}");
        }
    }
}
