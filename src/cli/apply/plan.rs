//! The difference between a world and a server, as steps in an order that works: accounts from the
//! top down with their first peers, custom roles, peers, groups, bindings.
//!
//! INVARIANT: no step deletes or takes anything away; what the file does not name stays as it is.
//! What cannot be reached by creating and updating is a problem of the file, found before any step.

use std::collections::HashMap;

use prost_types::FieldMask;

use super::grants::{normal, same_rules};
use super::problems::{At, Problems};
use super::references::may_hold;
use super::state::State;
use super::world::{Account, Role, RoleRef, Titled, World};
use crate::cli::words::Word as _;
use crate::domain::ids::AccountId;
use crate::domain::permission::Pattern;
use crate::transport::grpc::pb;

mod bindings;
mod groups;
mod packs;
mod peers;
mod roles;

pub(super) use peers::lacks_access;

/// What is to be done, and how much is right already.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) unchanged: usize,
    /// Bindings of the file's peers that the file does not name, and that stay nevertheless.
    pub(crate) stays: Vec<Stay>,
    /// Entries of the file that would need a look at what cannot be read, and are left alone.
    pub(crate) unknown: Vec<Unknown>,
    /// Names of custom roles and groups that are there, by owner and folded title.
    pub(super) names: Names,
}

/// The server's names of what the file calls by owner and title.
#[derive(Debug, Default, Clone)]
pub(super) struct Names {
    pub(super) roles: HashMap<(String, String), String>,
    pub(super) groups: HashMap<(String, String), String>,
}

/// An entry of which nobody could say whether the server has it.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) line: u64,
    pub(crate) what: String,
    /// The account on which it could not be looked at, and why.
    pub(crate) account: String,
    pub(crate) account_line: Option<u64>,
    pub(crate) why: String,
}

/// What is there, is not in the file, and stays.
#[derive(Debug)]
pub(crate) struct Stay {
    /// What people are told, such as `binding of core.auditor to emily on contoso`.
    pub(crate) what: String,
    /// The server's name of it.
    pub(crate) name: String,
}

/// One call, and what people are told about it.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// What is created or changed, such as `account contoso-corp`.
    pub(crate) what: String,
    pub(crate) detail: String,
    pub(super) call: Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Update,
}

impl Step {
    pub(crate) fn show(&self) -> String {
        let sign = match self.action {
            Action::Create => '+',
            Action::Update => '~',
        };
        let detail = if self.detail.is_empty() { String::new() } else { format!(" ({})", self.detail) };
        format!("{sign} {}{detail}", self.what)
    }
}

/// The request of a step. Roles and groups that may be made by an earlier step are named as in the
/// file, and found when the step's turn comes.
#[derive(Debug)]
pub(super) enum Call {
    CreateAccount(Box<pb::CreateAccountRequest>),
    UpdateAccount(Box<pb::UpdateAccountRequest>),
    MoveAccount(pb::MoveAccountRequest),
    CreateRole(Titled, Box<pb::Role>),
    UpdateRole(Box<pb::UpdateRoleRequest>),
    CreatePeer(RoleRef, Box<pb::CreatePeerRequest>),
    UpdatePeer(Box<pb::UpdatePeerRequest>),
    EnablePeer(String),
    DisablePeer(String),
    CreateGroup(Titled, pb::Group),
    UpdateGroup(Box<pb::UpdateGroupRequest>),
    AddMember(Titled, pb::GroupMember),
    CreateBinding(RoleRef, Option<Titled>, Box<pb::RoleBinding>),
    UpdateBinding(Box<pb::UpdateRoleBindingRequest>),
}

/// Compares a world with what the server has: what is to be done, and everything in the file that cannot
/// become true by creating and updating.
pub(super) fn plan(world: &World, state: &State) -> (Plan, Problems) {
    let mut planner = Planner { world, state, plan: Plan::default(), problems: Problems::default() };
    planner.plan.names = Names {
        roles: state.roles.iter().map(|(key, role)| (key.clone(), role.name.clone())).collect(),
        groups: state.groups.iter().map(|(key, (group, _))| (key.clone(), group.name.clone())).collect(),
    };
    for account in &world.accounts {
        planner.account(account);
    }
    for role in &world.roles {
        planner.role(role);
    }
    planner.peers();
    for group in &world.groups {
        planner.group(group);
    }
    let named = planner.bindings();
    planner.stays(&named);
    let Planner { plan, problems, .. } = planner;
    (plan, problems)
}

struct Planner<'a> {
    world: &'a World,
    state: &'a State,
    plan: Plan,
    problems: Problems,
}

impl Planner<'_> {
    fn create(&mut self, what: String, detail: String, call: Call) {
        self.plan.steps.push(Step { action: Action::Create, what, detail, call });
    }

    fn update(&mut self, what: String, detail: String, call: Call) {
        self.plan.steps.push(Step { action: Action::Update, what, detail, call });
    }

    /// How many parts of the plan there are.
    fn mark(&self) -> usize {
        self.plan.steps.len() + self.plan.unknown.len()
    }

    /// Counts something as right where nothing since `before` touches it.
    fn settle(&mut self, before: usize) {
        if self.mark() == before {
            self.plan.unchanged += 1;
        }
    }

    /// Leaves an entry alone, since what is on an account cannot be read.
    fn unknown(&mut self, line: u64, what: String, (account, why): (AccountId, String)) {
        let account_line = self.world.accounts.iter().find(|one| one.id == account).map(|one| one.line);
        self.plan.unknown.push(Unknown { line, what, account: account.to_string(), account_line, why });
    }

    /// An account must be in the file or on the server.
    fn needs_account(&mut self, line: u64, id: &AccountId) {
        let is_known = self.state.accounts.contains_key(id) || self.world.declared.has_account(id);
        if !is_known {
            self.problems.add(line, format!("account `{id}` is neither in the file nor on the server"));
        }
    }

    fn account(&mut self, account: &Account) {
        self.needs_account(account.parent.line, &account.parent.value);
        self.needs_room(account);
        match self.state.accounts.get(&account.id) {
            None => self.new_account(account),
            Some(there) => self.old_account(account, there),
        }
    }

    /// The kind of a parent that stands in the file is checked there.
    fn needs_room(&mut self, account: &Account) {
        let parent = &account.parent.value;
        let Some(there) = self.state.accounts.get(parent).filter(|_| !self.world.declared.has_account(parent)) else {
            return;
        };
        if *parent != AccountId::platform() && !may_hold(there.kind(), account.kind) {
            let (id, kind) = (&account.id, account.kind.word());
            let text = format!("account `{id}` of kind {kind} cannot stand below one of kind {}", there.kind().word());
            self.problems.add(account.line, text);
        }
    }

    fn new_account(&mut self, account: &Account) {
        let parent = &account.parent.value;
        self.may_choose(account);
        self.may_follow(account);
        let wants_settings = account.role_packs.is_some() || account.partner_access.is_some();
        let settings = wants_settings.then(|| pb::AccountSettings {
            role_packs: packs(account.role_packs.as_deref().unwrap_or_default()),
            partner_access: account.partner_access.map_or(0, i32::from),
            ..Default::default()
        });
        let request = pb::CreateAccountRequest {
            account_id: account.id.to_string(),
            account: Some(pb::Account {
                parent_account: format!("accounts/{parent}"),
                kind: account.kind.into(),
                title: account.title.clone(),
                labels: account.labels.clone().into_iter().collect(),
                settings,
                ..Default::default()
            }),
            first_peer: self.first_peer(account),
            template: account.template.as_ref().map(|pack| pack.value.clone()).unwrap_or_default(),
            ..Default::default()
        };
        let mut detail = format!("{} below {parent}", account.kind.word());
        if let Some(first) = &account.first_peer {
            detail.push_str(&format!(", first peer {}", first.value.as_str()));
        }
        self.create(format!("account {}", account.id), detail, Call::CreateAccount(Box::new(request)));
    }

    fn old_account(&mut self, account: &Account, there: &pb::Account) {
        let before = self.mark();
        if there.kind() != account.kind {
            let text =
                format!("account `{}` is a {} on the server, which never changes", account.id, there.kind().word());
            self.problems.add(account.line, text);
            return;
        }
        let settings = there.settings.clone().unwrap_or_default();
        let mut wanted = pb::Account { name: there.name.clone(), ..Default::default() };
        let mut wanted_settings = pb::AccountSettings::default();
        let mut paths = Vec::new();
        if there.title != account.title {
            wanted.title.clone_from(&account.title);
            paths.push("title");
        }
        if account.labels.iter().any(|(key, value)| there.labels.get(key) != Some(value)) {
            wanted.labels.clone_from(&there.labels);
            wanted.labels.extend(account.labels.clone());
            wanted.etag.clone_from(&there.etag);
            paths.push("labels");
        }
        if let Some(wanted) = account.role_packs.as_deref().map(packs)
            && sorted(&wanted) != sorted(&settings.role_packs)
        {
            self.may_choose(account);
            wanted_settings.role_packs = wanted;
            paths.push("settings.role_packs");
        }
        if let Some(mode) = account.partner_access
            && settings.partner_access() != mode
        {
            wanted_settings.partner_access = mode.into();
            paths.push("settings.partner_access");
        }
        let what = format!("account {}", account.id);
        if !paths.is_empty() {
            wanted.settings = Some(wanted_settings);
            let request = pb::UpdateAccountRequest {
                account: Some(wanted),
                update_mask: mask(&paths),
                justification: "as the applied file says".to_owned(),
                ..Default::default()
            };
            self.update(what.clone(), paths.join(", "), Call::UpdateAccount(Box::new(request)));
        }
        let parent = format!("accounts/{}", account.parent.value);
        if there.parent_account != parent {
            let detail = format!("moves to {}", account.parent.value);
            let request =
                pb::MoveAccountRequest { name: there.name.clone(), destination_parent: parent, ..Default::default() };
            self.update(what, detail, Call::MoveAccount(request));
        }
        self.settle(before);
    }

    fn role(&mut self, role: &Role) {
        self.needs_account(role.line, &role.key.account);
        for grant in &role.grants {
            let literal = Pattern::parse(&grant.permission).ok().and_then(|pattern| pattern.literal());
            if literal.is_some_and(|name| !self.state.permissions.contains(name.as_str())) {
                let text = format!("role `{}`: permission `{}` is not registered", role.key.show(), grant.permission);
                self.problems.add(role.line, text);
            }
        }
        let what = format!("role {}", role.key.show());
        if let Some(why) = unread(&self.state.unread.roles, &role.key.account) {
            self.unknown(role.line, what, why);
            return;
        }
        let Some(there) = self.state.roles.get(&role.key.folded()) else {
            let wanted = pb::Role {
                title: role.key.title.clone(),
                description: role.description.clone().unwrap_or_default(),
                owner_account: format!("accounts/{}", role.key.account),
                inheritable: role.inheritable.unwrap_or(false),
                grants: role.grants.clone(),
                rules: role.rules.clone(),
                ..Default::default()
            };
            let detail = format!("{} grants", role.grants.len());
            self.create(what, detail, Call::CreateRole(role.key.clone(), Box::new(wanted)));
            return;
        };
        let before = self.mark();
        let mut wanted = pb::Role { name: there.name.clone(), etag: there.etag.clone(), ..Default::default() };
        let mut paths = Vec::new();
        if let Some(description) = role.description.as_ref().filter(|description| **description != there.description) {
            wanted.description.clone_from(description);
            paths.push("description");
        }
        if let Some(inheritable) = role.inheritable.filter(|inheritable| *inheritable != there.inheritable) {
            wanted.inheritable = inheritable;
            paths.push("inheritable");
        }
        if normal(&there.grants) != normal(&role.grants) {
            wanted.grants.clone_from(&role.grants);
            paths.push("grants");
        }
        if let Some(rules) = role.rules.as_ref().filter(|rules| !same_rules(there.rules.as_ref(), rules)) {
            wanted.rules = Some(rules.clone());
            paths.push("rules");
        }
        if !paths.is_empty() {
            let request = pb::UpdateRoleRequest { role: Some(wanted), update_mask: mask(&paths), ..Default::default() };
            self.update(what, paths.join(", "), Call::UpdateRole(Box::new(request)));
        }
        self.settle(before);
    }
}

pub(super) fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// The account and why what is on it cannot be read, where that is so.
fn unread(unread: &HashMap<AccountId, String>, account: &AccountId) -> Option<(AccountId, String)> {
    unread.get_key_value(account).map(|(account, why)| (account.clone(), why.clone()))
}

fn packs(listed: &[At<String>]) -> Vec<String> {
    listed.iter().map(|pack| pack.value.clone()).collect()
}

fn sorted(texts: &[String]) -> Vec<&String> {
    let mut sorted: Vec<_> = texts.iter().collect();
    sorted.sort();
    sorted
}
