//! Peers: those that are missing, and what differs about those that are there.

use super::roles::Use;
use super::{Call, Planner, mask, unread};
use crate::cli::apply::problems::At;
use crate::cli::apply::world::{Access, Account, Peer, RoleRef};
use crate::cli::words::Word as _;
use crate::domain::ids::AccountId;
use crate::domain::peer::UserName;
use crate::transport::grpc::pb;

impl Planner<'_> {
    /// A peer must be in the file or on the server.
    pub(super) fn needs_peer(&mut self, line: u64, user_name: &UserName) {
        let key = user_name.key();
        if !self.state.peers.contains_key(&key) && !self.world.declared.has_peer(user_name) {
            let text = format!("peer `{}` is neither in the file nor on the server", user_name.as_str());
            self.problems.add(line, text);
        }
    }

    /// The kind of a peer, in the file or on the server.
    pub(super) fn peer_kind(&self, user_name: &UserName) -> Option<pb::PeerKind> {
        let key = user_name.key();
        let of_file = self.world.peers.iter().find(|peer| peer.user_name.key() == key).map(|peer| peer.kind);
        of_file.or_else(|| self.state.peers.get(&key).map(pb::Peer::kind))
    }

    /// The first peer of a new account, as its creation makes it.
    pub(super) fn first_peer(&mut self, account: &Account) -> Option<pb::FirstPeer> {
        let key = account.first_peer.as_ref()?.value.key();
        let world = self.world;
        let peer = world.peers.iter().find(|peer| peer.user_name.key() == key)?;
        let role = match &peer.role {
            Some(role) => format!("roles/{}", role.value.show()),
            None => String::new(),
        };
        if let Some(role) = &peer.role {
            self.says_enough(peer, role);
            self.pack_is_on(role, &account.id);
        }
        let justification = peer.justification.clone();
        let mut wanted = wanted(peer);
        wanted.home_account = String::new();
        Some(pb::FirstPeer { peer: Some(wanted), role, justification })
    }

    pub(super) fn peers(&mut self) {
        let world = self.world;
        for peer in &world.peers {
            self.needs_account(peer.home.line, &peer.home.value);
            if let Some(role) = &peer.role {
                self.needs_role(role.line, &role.value);
            }
            if let Some(Access::Accounts(accounts)) = &peer.access {
                accounts.iter().for_each(|account| self.needs_account(account.line, &account.value));
            }
            let there = self.state.peers.get(&peer.user_name.key());
            match there {
                Some(there) => self.old_peer(peer, there),
                None if self.is_made_with_its_account(peer) => {
                    if peer.disabled == Some(true) {
                        self.disable(peer);
                    }
                }
                None => self.new_peer(peer),
            }
        }
    }

    fn is_made_with_its_account(&self, peer: &Peer) -> bool {
        self.world.declared.has_first_peer(&peer.user_name) && !self.state.accounts.contains_key(&peer.home.value)
    }

    fn new_peer(&mut self, peer: &Peer) {
        let name = peer.user_name.as_str();
        let is_first = self.world.declared.has_first_peer(&peer.user_name);
        if !is_first && peer.role.is_none() && peer.access.is_none() {
            self.problems.add(peer.line, lacks_access(name));
        }
        let Some(role) = &peer.role else {
            // A first peer whose account is there already has no template to take its role from.
            self.problems.add(peer.line, format!("peer `{name}` is to be created, and lacks `role`"));
            return;
        };
        self.says_enough(peer, role);
        if let Some(why) = self.unread_role(&role.value) {
            self.unknown(peer.line, format!("peer {name}"), why);
            return;
        }
        for account in accounts_of(peer) {
            self.may_give(&given(peer, role, account));
        }
        let (scope, where_to) = match &peer.access {
            Some(Access::Accounts(accounts)) => {
                let names = accounts.iter().map(|account| format!("accounts/{}", account.value)).collect();
                let where_to = match accounts.as_slice() {
                    [one] => one.value.to_string(),
                    many => format!("{} accounts", many.len()),
                };
                (pb::peer_access::Scope::Accounts(pb::AccountList { accounts: names }), where_to)
            }
            Some(Access::All) | None => (pb::peer_access::Scope::All(true), format!("all of {}", peer.home.value)),
        };
        let request = pb::CreatePeerRequest {
            peer: Some(wanted(peer)),
            access: Some(pb::PeerAccess { scope: Some(scope) }),
            justification: peer.justification.clone(),
            disabled: peer.disabled.unwrap_or(false),
            ..Default::default()
        };
        let detail = format!("{} on {where_to}", role.value.show());
        self.create(format!("peer {name}"), detail, Call::CreatePeer(role.value.clone(), Box::new(request)));
    }

    fn old_peer(&mut self, peer: &Peer, there: &pb::Peer) {
        let before = self.mark();
        let name = peer.user_name.as_str();
        let home = format!("accounts/{}", peer.home.value);
        if there.kind() != peer.kind || there.home_account != home {
            let kind = there.kind().word();
            let text = format!("peer `{name}` is a {kind} at home in `{}`, which never change", there.home_account);
            self.problems.add(peer.line, text);
            return;
        }
        if there.state() == pb::PeerState::Deleted {
            self.problems
                .add(peer.line, format!("peer `{name}` is deleted; bring it back with `peerage peers undelete`"));
            return;
        }
        let paths: Vec<_> =
            peer.profile_paths.iter().copied().filter(|path| differs(path, &peer.profile, there)).collect();
        if !paths.is_empty() {
            let mut wanted = peer.profile.clone();
            wanted.name.clone_from(&there.name);
            wanted.etag.clone_from(&there.etag);
            let request = pb::UpdatePeerRequest { peer: Some(wanted), update_mask: mask(&paths), ..Default::default() };
            self.update(format!("peer {name}"), paths.join(", "), Call::UpdatePeer(Box::new(request)));
        }
        match (peer.disabled, there.state()) {
            (Some(true), pb::PeerState::Enabled) => self.disable(peer),
            (Some(false), pb::PeerState::Disabled) => {
                let call = Call::EnablePeer(there.name.clone());
                self.update(format!("peer {name}"), "enabled".to_owned(), call);
            }
            _ => {}
        }
        if let Some(role) = &peer.role {
            self.accesses(peer, role, there);
        }
        self.settle(before);
    }

    fn disable(&mut self, peer: &Peer) {
        let name = peer.user_name.as_str();
        self.update(format!("peer {name}"), "disabled".to_owned(), Call::DisablePeer(format!("peers/@{name}")));
    }

    /// The role of a peer that is there, on each of its accounts.
    fn accesses(&mut self, peer: &Peer, wanted: &At<RoleRef>, there: &pb::Peer) {
        let role = &wanted.value;
        let role_name = self.role_name(role);
        for account in accounts_of(peer) {
            let holds = self.state.bindings.get(account).into_iter().flatten().any(|binding| {
                binding.principal == Some(pb::role_binding::Principal::Peer(there.name.clone()))
                    && Some(&binding.role) == role_name.as_ref()
                    && is_access(binding)
            });
            if holds {
                continue;
            }
            let what = format!("binding of {} to {} on {account}", role.show(), peer.user_name.as_str());
            let hidden = unread(&self.state.unread.bindings, account).or_else(|| self.unread_role(role));
            if let Some(why) = hidden {
                self.unknown(wanted.line, what, why);
                continue;
            }
            self.may_give(&given(peer, wanted, account));
            let binding = pb::RoleBinding {
                principal: Some(pb::role_binding::Principal::Peer(there.name.clone())),
                account: format!("accounts/{account}"),
                reach: pb::Reach::Subtree.into(),
                mode: pb::BindingMode::Active.into(),
                justification: peer.justification.clone(),
                ..Default::default()
            };
            self.create(what, String::new(), Call::CreateBinding(role.clone(), None, Box::new(binding)));
        }
    }

    /// The server's name of a role, where it is there already.
    pub(super) fn role_name(&self, role: &RoleRef) -> Option<String> {
        match role {
            RoleRef::Id(id) => Some(format!("roles/{id}")),
            RoleRef::Titled(titled) => self.state.roles.get(&titled.folded()).map(|role| role.name.clone()),
        }
    }
}

pub(in crate::cli::apply) fn lacks_access(user_name: &str) -> String {
    format!("peer `{user_name}` lacks `access`: `all`, or a list of accounts")
}

/// The role of a peer on one of its accounts.
fn given<'a>(peer: &'a Peer, role: &'a At<RoleRef>, account: &'a AccountId) -> Use<'a> {
    let (peer_kind, justification) = (Some(peer.kind), peer.justification.as_str());
    Use { role, account, reach: pb::Reach::Subtree, peer_kind, justification }
}

/// The accounts on which a peer is to hold its role.
pub(super) fn accounts_of(peer: &Peer) -> Vec<&AccountId> {
    match &peer.access {
        Some(Access::Accounts(accounts)) => accounts.iter().map(|account| &account.value).collect(),
        Some(Access::All) | None => vec![&peer.home.value],
    }
}

/// Whether a binding is of the form that a peer's access has.
pub(super) fn is_access(binding: &pb::RoleBinding) -> bool {
    binding.reach() == pb::Reach::Subtree && binding.mode() == pb::BindingMode::Active
}

/// Whether the file says something of a new peer.
pub(super) fn is_said(path: &str, peer: &Peer) -> bool {
    peer.profile_paths.contains(&path) && differs(path, &peer.profile, &pb::Peer::default())
}

fn wanted(peer: &Peer) -> pb::Peer {
    pb::Peer {
        user_name: peer.user_name.as_str().to_owned(),
        kind: peer.kind.into(),
        home_account: format!("accounts/{}", peer.home.value),
        ..peer.profile.clone()
    }
}

/// Whether a field that the file names has another value on the server.
fn differs(path: &str, wanted: &pb::Peer, there: &pb::Peer) -> bool {
    match path {
        "display_name" => wanted.display_name != there.display_name,
        "first_name" => wanted.first_name != there.first_name,
        "last_name" => wanted.last_name != there.last_name,
        "company_name" => wanted.company_name != there.company_name,
        "email" => wanted.email != there.email,
        "secondary_email" => wanted.secondary_email != there.secondary_email,
        "phone_number" => wanted.phone_number != there.phone_number,
        "mobile_phone" => wanted.mobile_phone != there.mobile_phone,
        "fax" => wanted.fax != there.fax,
        "org_user" => wanted.org_user != there.org_user,
        "language" => wanted.language != there.language,
        "time_zone" => wanted.time_zone != there.time_zone,
        "two_factor_provider" => wanted.two_factor_provider != there.two_factor_provider,
        "mail_format" => wanted.mail_format != there.mail_format,
        "expire_time" => wanted.expire_time != there.expire_time,
        _ => true,
    }
}
