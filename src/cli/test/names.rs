//! What the file calls things that have no id before a server made them.

use std::collections::{BTreeMap, HashMap};

use crate::cli::apply::world::{RoleRef, Titled};
use crate::domain::ids::{BindingId, GroupId, PeerId, RoleId};

/// Names of the file by the ids that stand for them here, and the reverse.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The file of the world.
    pub(super) world: String,
    /// By folded user name.
    pub(super) peers: BTreeMap<String, (PeerId, String)>,
    /// By owner and folded title.
    pub(super) roles: BTreeMap<(String, String), (RoleId, String)>,
    pub(super) groups: BTreeMap<(String, String), (GroupId, String)>,
    /// The line that each binding comes from.
    pub(super) bindings: HashMap<BindingId, u64>,
}

impl Names {
    pub(super) fn role(&self, id: &RoleId) -> String {
        let custom = self.roles.values().find(|(known, _)| known == id);
        custom.map_or_else(|| id.to_string(), |(_, shown)| shown.clone())
    }

    pub(super) fn group(&self, id: GroupId) -> String {
        let known = self.groups.values().find(|(known, _)| *known == id);
        known.map_or_else(|| id.to_string(), |(_, shown)| shown.clone())
    }

    pub(super) fn peer(&self, id: PeerId) -> String {
        let known = self.peers.values().find(|(known, _)| *known == id);
        known.map_or_else(|| id.to_string(), |(_, shown)| shown.clone())
    }

    pub(super) fn find_role(&self, role: &RoleRef) -> Option<RoleId> {
        match role {
            RoleRef::Id(id) => Some(id.clone()),
            RoleRef::Titled(titled) => self.roles.get(&titled.folded()).map(|(id, _)| id.clone()),
        }
    }

    pub(super) fn find_group(&self, group: &Titled) -> Option<GroupId> {
        self.groups.get(&group.folded()).map(|(id, _)| *id)
    }

    /// A text in which ids stand as the file calls what they name.
    pub(super) fn readable(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut put = |from: String, to: String| {
            if text.contains(&from) {
                text = text.replace(&from, &to);
            }
        };
        for (id, shown) in self.peers.values() {
            put(format!("peers/{id}"), shown.clone());
        }
        for (id, shown) in self.roles.values() {
            put(format!("roles/{id}"), shown.clone());
        }
        for (id, shown) in self.groups.values() {
            put(format!("groups/{id}"), shown.clone());
        }
        for (id, line) in &self.bindings {
            put(format!("roleBindings/{id}"), format!("the binding of {}:{line}", self.world));
        }
        text
    }
}
