//! A snapshot from all facts at once, for start-up and for generated worlds.
//!
//! The same as applying each fact as a change, only that every chunk is packed once.

use super::{Snapshot, SnapshotError};
use crate::decision::compile::Compiler;
use crate::domain::fact::{Change, Fact};

impl Snapshot {
    /// Loads facts, each kind after those it names: permissions, accounts (parents first), roles,
    /// groups, peers, members, bindings, API keys.
    ///
    /// # Errors
    /// [`SnapshotError`] where they do not fit together.
    pub fn load(
        revision: i64,
        facts: impl IntoIterator<Item = Fact>,
        compiler: &mut Compiler,
    ) -> Result<Self, SnapshotError> {
        let changes: Vec<Change> = facts.into_iter().map(Change::made).collect();
        let mut snapshot = Self::default().with(&changes, compiler)?;
        snapshot.revision = revision;
        Ok(snapshot)
    }
}
