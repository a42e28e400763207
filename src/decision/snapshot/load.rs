//! A snapshot from all facts, one by one, for start-up and for generated worlds.
//!
//! The same as applying each fact as a change, only that chunks are packed when enough of them are
//! open: beside the snapshot itself only those are held. Facts of peers that come in the order of
//! their peers open each chunk once; any other order is right too, and slower.

use super::edits::PeerEdits;
use super::{Snapshot, SnapshotError};
use crate::decision::compile::Compiler;
use crate::domain::fact::{Change, Fact, Mark};

/// How many chunks of peers may be open.
const OPEN_MAX: usize = 64;

/// A snapshot in the making.
pub struct Loader<'a> {
    snapshot: Snapshot,
    peers: PeerEdits,
    compiler: &'a mut Compiler,
}

impl<'a> Loader<'a> {
    #[must_use]
    pub fn new(compiler: &'a mut Compiler) -> Self {
        Self { snapshot: Snapshot::default(), peers: PeerEdits::default(), compiler }
    }

    /// Takes a fact in. Each kind comes after those it names: permissions, accounts (parents first),
    /// roles, groups, peers, members, bindings, API keys.
    ///
    /// # Errors
    /// [`SnapshotError`] where it does not fit to the facts before it.
    pub fn take(&mut self, fact: Fact) -> Result<(), SnapshotError> {
        self.snapshot.change(&Change::made(fact), &mut self.peers, self.compiler)?;
        if self.peers.open() > OPEN_MAX {
            std::mem::take(&mut self.peers).flush(&mut self.snapshot);
        }
        Ok(())
    }

    /// The snapshot of all facts taken.
    #[must_use]
    pub fn finish(mut self, mark: Mark) -> Snapshot {
        self.peers.flush(&mut self.snapshot);
        self.snapshot.marked(mark)
    }
}

impl std::fmt::Debug for Loader<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Loader").field("open", &self.peers.open()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Loads facts, in the order of [`Loader::take`].
    ///
    /// # Errors
    /// [`SnapshotError`] where they do not fit together.
    pub fn load(
        revision: i64,
        facts: impl IntoIterator<Item = Fact>,
        compiler: &mut Compiler,
    ) -> Result<Self, SnapshotError> {
        let mut loader = Loader::new(compiler);
        for fact in facts {
            loader.take(fact)?;
        }
        Ok(loader.finish(Mark { revision, ..Mark::default() }))
    }
}
