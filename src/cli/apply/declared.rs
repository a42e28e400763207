//! What a file declares, by key and line, also where the rest of an item is wrong. So a reference to
//! such an item is no second mistake, and an item that stands twice is found whatever else is wrong
//! with it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use super::problems::Problems;
use super::read::account_name;
use super::world::Titled;
use super::yaml::{Node, Value};
use crate::domain::ids::AccountId;
use crate::domain::peer::UserName;

/// The line that each key stands in first.
type Lines<K> = HashMap<K, u64>;

/// Keys of the items of a file.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    accounts: Lines<AccountId>,
    /// By folded user name.
    peers: Lines<String>,
    first_peers: Lines<String>,
    /// By owner and folded title.
    roles: Lines<(String, String)>,
    groups: Lines<(String, String)>,
}

impl Declared {
    /// Looks through the sections of a file, and says what stands there twice.
    pub(super) fn of(root: &Node, problems: &mut Problems) -> Self {
        let mut declared = Self::default();
        for account in items(root, "accounts") {
            if let Some(id) = text(account, "id").and_then(|id| account_name(id).ok()) {
                let name = id.to_string();
                once(&mut declared.accounts, account.line, id, ("account", &name), problems);
            }
            if let Some(first) = text(account, "first_peer").and_then(|name| UserName::parse(name).ok()) {
                declared.first_peers.insert(first.key(), account.line);
            }
        }
        for peer in items(root, "peers") {
            if let Some(name) = text(peer, "user_name").and_then(|name| UserName::parse(name).ok()) {
                once(&mut declared.peers, peer.line, name.key(), ("peer", name.as_str()), problems);
            }
        }
        for role in items(root, "roles") {
            if let Some(titled) = titled(role, "owner") {
                once(&mut declared.roles, role.line, titled.folded(), ("role", &titled.show()), problems);
            }
        }
        for group in items(root, "groups") {
            if let Some(titled) = titled(group, "account") {
                once(&mut declared.groups, group.line, titled.folded(), ("group", &titled.show()), problems);
            }
        }
        declared
    }

    pub(super) fn has_account(&self, id: &AccountId) -> bool {
        self.accounts.contains_key(id)
    }

    pub(super) fn has_peer(&self, user_name: &UserName) -> bool {
        self.peers.contains_key(&user_name.key())
    }

    /// Whether an account of the file names this one as its first peer.
    pub(super) fn has_first_peer(&self, user_name: &UserName) -> bool {
        self.first_peers.contains_key(&user_name.key())
    }

    pub(super) fn has_role(&self, role: &Titled) -> bool {
        self.roles.contains_key(&role.folded())
    }

    pub(super) fn has_group(&self, group: &Titled) -> bool {
        self.groups.contains_key(&group.folded())
    }
}

fn items<'n>(root: &'n Node, section: &str) -> &'n [Node] {
    match find(root, section).map(|node| &node.value) {
        Some(Value::List(items)) => items,
        Some(Value::Empty | Value::Text(_) | Value::Map(_)) | None => &[],
    }
}

fn find<'n>(map: &'n Node, wanted: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &map.value else { return None };
    let found = entries.iter().find(|(key, _)| matches!(&key.value, Value::Text(name) if name == wanted));
    found.map(|(_, node)| node)
}

fn text<'n>(item: &'n Node, key: &str) -> Option<&'n str> {
    match &find(item, key)?.value {
        Value::Text(text) => Some(text),
        Value::Empty | Value::List(_) | Value::Map(_) => None,
    }
}

/// The key of a role or a group.
fn titled(item: &Node, owner: &str) -> Option<Titled> {
    let account = account_name(text(item, owner)?).ok()?;
    Titled::parse(&format!("{account}/{}", text(item, "title")?)).ok()
}

fn once<K: Eq + Hash>(lines: &mut Lines<K>, line: u64, key: K, (what, name): (&str, &str), problems: &mut Problems) {
    match lines.entry(key) {
        Entry::Occupied(first) => problems.add(line, format!("{what} `{name}` stands in line {} already", first.get())),
        Entry::Vacant(place) => {
            place.insert(line);
        }
    }
}
