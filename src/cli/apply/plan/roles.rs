//! Roles that the file names: whether they are there, and whether their rules of use let them be given
//! as the file says. The server would refuse the step, but only after those before it were done.

use super::peers::is_said;
use super::{Planner, unread};
use crate::cli::apply::problems::At;
use crate::cli::apply::world::{Peer, RoleRef};
use crate::cli::words::Word as _;
use crate::domain::ids::AccountId;
use crate::transport::grpc::pb;

/// A role that is to be given.
pub(super) struct Use<'a> {
    pub(super) role: &'a At<RoleRef>,
    pub(super) account: &'a AccountId,
    pub(super) reach: pb::Reach,
    /// The kind of the peer; none of a group, whose members each have their own.
    pub(super) peer_kind: Option<pb::PeerKind>,
    pub(super) justification: &'a str,
}

impl Planner<'_> {
    pub(super) fn needs_role(&mut self, line: u64, role: &RoleRef) {
        let is_known = match role {
            RoleRef::Id(id) => self.state.role_ids.contains_key(id) || self.state.unread.role_ids.contains_key(id),
            RoleRef::Titled(_) if self.unread_role(role).is_some() => true,
            RoleRef::Titled(titled) => {
                self.state.roles.contains_key(&titled.folded()) || self.world.declared.has_role(titled)
            }
        };
        if !is_known {
            self.problems.add(line, format!("role `{}` is neither in the file nor on the server", role.show()));
        }
    }

    /// The owner of a custom role whose roles cannot be read, and why.
    pub(super) fn unread_role(&self, role: &RoleRef) -> Option<(AccountId, String)> {
        match role {
            RoleRef::Id(_) => None,
            RoleRef::Titled(titled) => unread(&self.state.unread.roles, &titled.account),
        }
    }

    /// The rules of a role as they will be.
    fn rules(&self, role: &RoleRef) -> Option<pb::RoleRules> {
        match role {
            RoleRef::Id(id) => self.state.role_ids.get(id)?.rules.clone(),
            RoleRef::Titled(titled) => {
                let key = titled.folded();
                let of_file = self.world.roles.iter().find(|role| role.key.folded() == key);
                let on_server = || self.state.roles.get(&key).and_then(|role| role.rules.clone());
                of_file.and_then(|role| role.rules.clone()).or_else(on_server)
            }
        }
    }

    /// A role may ask for more of whom it is made for, such as a name to show.
    pub(super) fn says_enough(&mut self, peer: &Peer, role: &At<RoleRef>) {
        let there = match &role.value {
            RoleRef::Id(id) => self.state.role_ids.get(id),
            RoleRef::Titled(titled) => self.state.roles.get(&titled.folded()),
        };
        let asked = there.and_then(|role| role.rules.as_ref()).map_or(&[][..], |rules| &rules.peer_fields);
        for path in asked.iter().filter(|path| !is_said(path, peer)) {
            let (name, role) = (peer.user_name.as_str(), role.value.show());
            self.problems.add(peer.line, format!("peer `{name}` lacks `{path}`, which role `{role}` asks for"));
        }
    }

    /// The kind of an account, in the file or on the server.
    fn account_kind(&self, id: &AccountId) -> Option<pb::AccountKind> {
        let of_file = self.world.accounts.iter().find(|account| account.id == *id).map(|account| account.kind);
        of_file.or_else(|| self.state.accounts.get(id).map(pb::Account::kind))
    }

    /// The rules of a role must let it be given so.
    pub(super) fn may_give(&mut self, given: &Use<'_>) {
        self.pack_is_on(given.role, given.account);
        let Some(rules) = self.rules(&given.role.value) else { return };
        let account_kind = self.account_kind(given.account);
        let allows = |list: &[i32], one: Option<i32>| list.is_empty() || one.is_none_or(|one| list.contains(&one));
        let mut wrong = Vec::new();
        if rules.assignable == Some(false) {
            wrong.push("is given and taken with its account alone".to_owned());
        }
        if !allows(&rules.peer_kinds, given.peer_kind.map(i32::from)) {
            let kind = given.peer_kind.map_or("", |kind| kind.word());
            wrong.push(format!("is not for peers of kind {kind}"));
        }
        if !allows(&rules.account_kinds, account_kind.map(i32::from)) {
            let kind = account_kind.map_or("", |kind| kind.word());
            wrong.push(format!("is not for `{}`, which is a {kind}", given.account));
        }
        if !allows(&rules.reaches, Some(given.reach.into())) {
            wrong.push(format!("is not bound with reach {}", given.reach.word()));
        }
        if rules.requires_justification && given.justification.is_empty() {
            wrong.push("is given with a `justification` only".to_owned());
        }
        for why in wrong {
            self.problems.add(given.role.line, format!("role `{}` {why}", given.role.value.show()));
        }
    }
}
