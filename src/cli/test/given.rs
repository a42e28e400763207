//! What a file takes as given beside its world: the time, suspended accounts, and permissions that
//! services registered; and where the world stands, if it stands elsewhere.

use crate::cli::apply::problems::{Fields, Problems, read};
use crate::cli::apply::read::account_name;
use crate::cli::apply::yaml::{Node, Value};
use crate::cli::time;
use crate::domain::account::SuspensionScope;
use crate::domain::ids::AccountId;
use crate::domain::permission::{Permission, PermissionFlags, PermissionName, PermissionOwner};
use crate::domain::time::Timestamp;

/// What holds for all tests of a file.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The file of the world, as it is written, and the line.
    pub(super) world: Option<(u64, String)>,
    pub(super) permissions: Vec<Registered>,
    pub(super) situation: Situation,
}

/// What can be otherwise from test to test.
#[derive(Debug, Default, Clone)]
pub(super) struct Situation {
    pub(super) now: Option<Timestamp>,
    pub(super) suspended: Vec<Suspended>,
}

/// An account that is suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suspended {
    pub(super) line: u64,
    pub(super) account: AccountId,
    pub(super) scope: SuspensionScope,
}

/// A permission that a service registered.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) line: u64,
    pub(super) permission: Permission,
}

/// Reads what a file takes as given.
pub(super) fn given(node: &Node, problems: &mut Problems) -> Given {
    let known = ["world", "now", "suspended", "permissions"];
    let Some(mut fields) = Fields::open(node, &known, problems) else { return Given::default() };
    let world = fields.find("world", |path| if path.is_empty() { Err("must be a path") } else { Ok(path.to_owned()) });
    let situation = read_situation(&mut fields);
    let permissions = items(&mut fields, "permissions", permission);
    Given { world: world.map(|at| (at.line, at.value)), permissions, situation }
}

/// Reads what a test takes as given: what it does not say is as the file says.
pub(super) fn situation(node: &Node, of_file: &Situation, problems: &mut Problems) -> Situation {
    let Some(mut fields) = Fields::open(node, &["now", "suspended"], problems) else { return of_file.clone() };
    let says_suspended = fields.node("suspended").is_some();
    let own = read_situation(&mut fields);
    Situation {
        now: own.now.or(of_file.now),
        suspended: if says_suspended { own.suspended } else { of_file.suspended.clone() },
    }
}

fn read_situation(fields: &mut Fields<'_, '_>) -> Situation {
    Situation { now: now(fields), suspended: items(fields, "suspended", suspended) }
}

/// A time.
pub(super) fn now(fields: &mut Fields<'_, '_>) -> Option<Timestamp> {
    match fields.find("now", time::parse) {
        Some(now) => super::stage::moment(&now.value),
        // What is wrong was named and the file is refused, so that any time will do: it was said.
        None => fields.node("now").map(|_| Timestamp::from_micros(0)),
    }
}

/// Each item of a list.
pub(super) fn items<T>(
    fields: &mut Fields<'_, '_>,
    key: &str,
    read: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let Some(node) = fields.node(key) else { return Vec::new() };
    let Value::List(items) = &node.value else {
        fields.problem(node.line, format!("`{key}` must be a list"));
        return Vec::new();
    };
    items.iter().filter_map(|item| read(item, fields.problems())).collect()
}

/// An account alone, or a map with the scope of its suspension.
fn suspended(node: &Node, problems: &mut Problems) -> Option<Suspended> {
    if matches!(node.value, Value::Text(_)) {
        let account = read("suspended", node, account_name, problems)?;
        return Some(Suspended { line: account.line, account: account.value, scope: SuspensionScope::Subtree });
    }
    let mut fields = Fields::open(node, &["account", "scope"], problems)?;
    let account = fields.get("account", account_name);
    let scope = fields.find("scope", |word| match word {
        "SUBTREE" => Ok(SuspensionScope::Subtree),
        "OWN_PEERS" => Ok(SuspensionScope::OwnPeers),
        _ => Err("must be `SUBTREE` or `OWN_PEERS`"),
    });
    let account = account?;
    let scope = scope.map_or(SuspensionScope::Subtree, |scope| scope.value);
    Some(Suspended { line: account.line, account: account.value, scope })
}

/// A permission as the role packs write it; its texts may be left out.
fn permission(node: &Node, problems: &mut Problems) -> Option<Registered> {
    let mut fields = Fields::open(node, &["name", "title", "feature", "flags"], problems)?;
    let name = fields.get("name", PermissionName::parse);
    let text = |written: &str| Ok::<_, &str>(written.to_owned());
    let (title, feature) = (fields.find("title", text), fields.find("feature", text));
    let mut flags = PermissionFlags::default();
    let known = "must be one of `privileged`, `reserved`, `from_outside`, `on_suspended`";
    for flag in fields.list("flags", |flag| Ok::<_, &str>(flag.to_owned())).unwrap_or_default() {
        match flag.value.as_str() {
            "privileged" => flags.privileged = true,
            "reserved" => flags.reserved = true,
            "from_outside" => flags.from_outside = true,
            "on_suspended" => flags.on_suspended = true,
            other => fields.problem(flag.line, format!("`flags` {known}, not `{other}`")),
        }
    }
    let name = name?;
    let permission = Permission {
        title: title.map_or_else(|| name.value.to_string(), |title| title.value),
        feature: feature.map_or_else(|| name.value.resource().to_owned(), |feature| feature.value),
        name: name.value,
        flags,
        owner: PermissionOwner::Account(AccountId::platform()),
    };
    Some(Registered { line: node.line, permission })
}
