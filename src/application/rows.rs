//! New rows that a change gathers until its end, where many go into one statement.
//!
//! INVARIANT: a row is here only if its fact is among the changes, so that checks which read the facts
//! know of it. Rows that are changed or removed are written at once, and are none of these.

use super::error::{Error, Result, Taken};
use crate::domain::binding::Binding;
use crate::domain::peer::{Peer, UserName};
use crate::storage::passwords::StoredPassword;
use crate::storage::{self, Connection, Constraint, StoreError};

/// New rows, in the order in which one may name another.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) peers: Vec<Peer>,
    pub(super) bindings: Vec<Binding>,
    /// First passwords of these peers.
    pub(super) passwords: Vec<StoredPassword>,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    peers: usize,
    bindings: usize,
    passwords: usize,
}

impl Rows {
    pub(super) const fn sizes(&self) -> Sizes {
        Sizes { peers: self.peers.len(), bindings: self.bindings.len(), passwords: self.passwords.len() }
    }

    /// Forgets the rows beyond these.
    pub(super) fn truncate(&mut self, sizes: Sizes) {
        self.peers.truncate(sizes.peers);
        self.bindings.truncate(sizes.bindings);
        self.passwords.truncate(sizes.passwords);
    }

    /// Writes the rows.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] and [`StoreError::Conflict`] where somebody took a user name meanwhile,
    /// whom only a missing lock lets through.
    pub(super) async fn insert(&self, conn: &impl Connection) -> Result<()> {
        let names: Vec<&UserName> = self.peers.iter().map(|peer| &peer.user_name).collect();
        storage::peers::free_user_names(conn, &names).await?;
        storage::peers::insert_many(conn, &self.peers).await.map_err(|error| self.taken(error))?;
        storage::bindings::insert_many(conn, &self.bindings).await?;
        storage::passwords::insert_many(conn, &self.passwords).await?;
        Ok(())
    }

    fn taken(&self, error: StoreError) -> Error {
        match (error.constraint(), self.peers.as_slice()) {
            (Some(Constraint::UserName), [peer]) => {
                Error::AlreadyExists { what: Taken::UserName, name: format!("peers/@{}", peer.user_name.as_str()) }
            }
            (Some(Constraint::UserName), _) => Error::Store(StoreError::Conflict(None)),
            _ => Error::Store(error),
        }
    }
}
