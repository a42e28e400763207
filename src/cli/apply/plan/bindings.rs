//! Role bindings of their own section.
//!
//! A binding has no key that people chose. One of the file is there where the server has one of the
//! same holder, role and account, with the same reach and mode if there are several; a single one that
//! differs in reach, mode, window or justification is updated.

use std::collections::HashSet;

use super::peers::{accounts_of, is_access};
use super::roles::Use;
use super::{Call, Planner, Stay, mask, unread};
use crate::cli::apply::world::{Binding, Principal};
use crate::domain::ids::AccountId;
use crate::transport::grpc::pb;

impl Planner<'_> {
    /// Compares the bindings, and returns the names of those of the server that are in the file.
    pub(super) fn bindings(&mut self) -> HashSet<String> {
        // One binding of the server answers one of the file; exact matches choose first.
        let mut taken = HashSet::new();
        let world = self.world;
        let matches: Vec<_> = world.bindings.iter().map(|binding| self.exact(binding, &mut taken)).collect();
        for (binding, exact) in world.bindings.iter().zip(matches) {
            self.needs_account(binding.account.line, &binding.account.value);
            self.needs_role(binding.role.line, &binding.role.value);
            match &binding.principal.value {
                Principal::Peer(peer) => self.needs_peer(binding.principal.line, peer),
                Principal::Group(group) => {
                    let is_unread = self.state.unread.groups.contains_key(&group.account);
                    if !is_unread
                        && !self.world.declared.has_group(group)
                        && !self.state.groups.contains_key(&group.folded())
                    {
                        let text = format!("group `{}` is neither in the file nor on the server", group.show());
                        self.problems.add(binding.principal.line, text);
                    }
                }
            }
            if let Some(why) = self.unread_binding(binding) {
                self.unknown(binding.line, what(binding), why);
                continue;
            }
            let there = exact.or_else(|| self.similar(binding, &mut taken));
            match there {
                Some(there) => self.old_binding(binding, &there),
                None => self.new_binding(binding),
            }
        }
        taken
    }

    /// The account on which a binding, its role or its group cannot be looked at, and why.
    fn unread_binding(&self, binding: &Binding) -> Option<(AccountId, String)> {
        let group = || match &binding.principal.value {
            Principal::Peer(_) => None,
            Principal::Group(group) => unread(&self.state.unread.groups, &group.account),
        };
        let on_account = unread(&self.state.unread.bindings, &binding.account.value);
        on_account.or_else(|| self.unread_role(&binding.role.value)).or_else(group)
    }

    /// Notes which bindings of the file's peers the file does not name: they stay, since nothing is ever
    /// deleted, and whoever took them out of the file should know.
    pub(super) fn stays(&mut self, named: &HashSet<String>) {
        let world = self.world;
        for peer in &world.peers {
            let key = peer.user_name.key();
            let Some(there) = self.state.held.get(&key) else { continue };
            let role = peer.role.as_ref().and_then(|role| self.role_name(&role.value));
            let accounts: Vec<String> = accounts_of(peer).into_iter().map(|id| format!("accounts/{id}")).collect();
            // The role of a first peer may be left to the account's template.
            let is_of_template = peer.role.is_none() && world.declared.has_first_peer(&peer.user_name);
            let is_of_file = |one: &pb::RoleBinding| {
                is_access(one)
                    && accounts.contains(&one.account)
                    && (is_of_template || role.as_ref() == Some(&one.role))
            };
            let left = there.iter().filter(|one| !named.contains(&one.name) && !is_of_file(one));
            let stays: Vec<Stay> = left
                .map(|one| {
                    let (role, account) = (self.role_shown(&one.role), one.account.trim_start_matches("accounts/"));
                    let what = format!("binding of {role} to {} on {account}", peer.user_name.as_str());
                    Stay { what, name: one.name.clone() }
                })
                .collect();
            self.plan.stays.extend(stays);
        }
    }

    /// A role as the file would name it, where that is known.
    fn role_shown(&self, name: &str) -> String {
        let custom = self.state.roles.iter().find(|(_, role)| role.name == name);
        match custom {
            Some(((owner, _), role)) => format!("{owner}/{}", role.title),
            None => name.trim_start_matches("roles/").to_owned(),
        }
    }

    /// The server's bindings of the same holder, role and account.
    fn candidates<'s>(&'s self, binding: &Binding) -> Vec<&'s pb::RoleBinding> {
        let principal = match &binding.principal.value {
            Principal::Peer(peer) => {
                let peer = self.state.peers.get(&peer.key());
                peer.map(|peer| pb::role_binding::Principal::Peer(peer.name.clone()))
            }
            Principal::Group(group) => {
                let group = self.state.groups.get(&group.folded());
                group.map(|(group, _)| pb::role_binding::Principal::Group(group.name.clone()))
            }
        };
        let (Some(principal), Some(role)) = (principal, self.role_name(&binding.role.value)) else { return Vec::new() };
        let there = self.state.bindings.get(&binding.account.value).into_iter().flatten();
        there.filter(|one| one.principal.as_ref() == Some(&principal) && one.role == role).collect()
    }

    fn exact(&self, binding: &Binding, taken: &mut HashSet<String>) -> Option<pb::RoleBinding> {
        let found = self.candidates(binding).into_iter().find(|one| {
            one.reach() == binding.reach
                && one.mode() == binding.mode
                && (binding.start.is_none() || one.start_time == binding.start)
                && !taken.contains(&one.name)
        })?;
        taken.insert(found.name.clone());
        Some(found.clone())
    }

    fn similar(&self, binding: &Binding, taken: &mut HashSet<String>) -> Option<pb::RoleBinding> {
        let free: Vec<_> = self.candidates(binding).into_iter().filter(|one| !taken.contains(&one.name)).collect();
        let [found] = free.as_slice() else { return None };
        taken.insert(found.name.clone());
        Some((*found).clone())
    }

    fn new_binding(&mut self, binding: &Binding) {
        let peer_kind = match &binding.principal.value {
            Principal::Peer(peer) => self.peer_kind(peer),
            Principal::Group(_) => None,
        };
        let justification = binding.justification.as_deref().unwrap_or_default();
        let (role, account, reach) = (&binding.role, &binding.account.value, binding.reach);
        self.may_give(&Use { role, account, reach, peer_kind, justification });
        let (principal, group) = match &binding.principal.value {
            Principal::Peer(peer) => {
                (Some(pb::role_binding::Principal::Peer(format!("peers/@{}", peer.as_str()))), None)
            }
            Principal::Group(group) => (None, Some(group.clone())),
        };
        let wanted = pb::RoleBinding {
            principal,
            account: format!("accounts/{}", binding.account.value),
            reach: binding.reach.into(),
            mode: binding.mode.into(),
            start_time: binding.start,
            expire_time: binding.expire,
            justification: binding.justification.clone().unwrap_or_default(),
            ..Default::default()
        };
        let call = Call::CreateBinding(binding.role.value.clone(), group, Box::new(wanted));
        self.create(what(binding), String::new(), call);
    }

    fn old_binding(&mut self, binding: &Binding, there: &pb::RoleBinding) {
        let mut wanted = pb::RoleBinding { name: there.name.clone(), etag: there.etag.clone(), ..Default::default() };
        let mut paths = Vec::new();
        if there.reach() != binding.reach {
            wanted.reach = binding.reach.into();
            paths.push("reach");
        }
        if there.mode() != binding.mode {
            wanted.mode = binding.mode.into();
            paths.push("mode");
        }
        if binding.start.is_some() && there.start_time != binding.start {
            wanted.start_time = binding.start;
            paths.push("start_time");
        }
        if binding.expire.is_some() && there.expire_time != binding.expire {
            wanted.expire_time = binding.expire;
            paths.push("expire_time");
        }
        if let Some(justification) = binding.justification.as_ref().filter(|text| **text != there.justification) {
            wanted.justification.clone_from(justification);
            paths.push("justification");
        }
        if paths.is_empty() {
            self.plan.unchanged += 1;
            return;
        }
        let request = pb::UpdateRoleBindingRequest {
            role_binding: Some(wanted),
            update_mask: mask(&paths),
            ..Default::default()
        };
        self.update(what(binding), paths.join(", "), Call::UpdateBinding(Box::new(request)));
    }
}

fn what(binding: &Binding) -> String {
    let holder = match &binding.principal.value {
        Principal::Peer(peer) => peer.as_str().to_owned(),
        Principal::Group(group) => format!("group {}", group.show()),
    };
    format!("binding of {} to {holder} on {}", binding.role.value.show(), binding.account.value)
}
