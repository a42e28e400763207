//! How much a snapshot holds, for whoever watches the server.

use super::Snapshot;

/// Counts of facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub accounts: usize,
    pub peers: usize,
    pub roles: usize,
    pub bindings: usize,
    pub groups: usize,
    pub permissions: usize,
    pub api_keys: usize,
}

impl Snapshot {
    /// How many facts of each kind are here.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        Sizes {
            accounts: self.account_places.len(),
            peers: self.peer_places.len(),
            roles: self.role_places.len(),
            bindings: self.binding_count,
            groups: self.groups.len(),
            permissions: self.catalogue.permissions.len(),
            api_keys: self.api_keys.len(),
        }
    }
}
