//! Role packs: whether the server has those that the file names, and whether a role's pack is on where
//! the role is to be given, as the accounts will be once the file is applied.
//!
//! What the caller may not see is not judged here: the server does.

use super::Planner;
use crate::cli::apply::problems::At;
use crate::cli::apply::world::{Account, RoleRef};
use crate::domain::account::DEPTH_MAX;
use crate::domain::ids::AccountId;
use crate::domain::permission::CORE_PACK;
use crate::transport::grpc::pb;

/// The packs that are on at an account.
enum On {
    All,
    These(Vec<String>),
    Unknown,
}

impl On {
    fn lacks(&self, pack: &str) -> bool {
        match self {
            Self::These(packs) => pack != CORE_PACK && packs.iter().all(|on| on != pack),
            Self::All | Self::Unknown => false,
        }
    }

    fn of(packs: &[String]) -> Self {
        if packs.is_empty() { Self::All } else { Self::These(packs.to_vec()) }
    }
}

impl Planner<'_> {
    /// The packs that an account is to choose from: known to the server, and on at its parent.
    pub(super) fn may_choose(&mut self, account: &Account) {
        let above = self.packs_at(&account.parent.value);
        for At { line, value: pack } in account.role_packs.iter().flatten() {
            let parent = &account.parent.value;
            if self.is_known_pack(*line, pack) && *pack != CORE_PACK && above.lacks(pack) {
                self.problems.add(*line, format!("role pack `{pack}` is not on at `{parent}`, which is above"));
            }
        }
    }

    /// The pack whose template a new account names.
    pub(super) fn may_follow(&mut self, account: &Account) {
        let Some(At { line, value: pack }) = &account.template else { return };
        if self.is_known_pack(*line, pack) && self.packs_at(&account.id).lacks(pack) {
            self.problems.add(*line, format!("role pack `{pack}` of `template` is not on at `{}`", account.id));
        }
    }

    /// The pack of a role must be on where the role is to be given.
    pub(super) fn pack_is_on(&mut self, role: &At<RoleRef>, account: &AccountId) {
        let RoleRef::Id(id) = &role.value else { return };
        let Some(pack) = id.pack().filter(|_| self.state.role_ids.contains_key(id)) else { return };
        if self.packs_at(account).lacks(pack) {
            let text =
                format!("role `{id}` is of the pack `{pack}`, which is not among the `role_packs` of `{account}`");
            self.problems.add(role.line, text);
        }
    }

    fn is_known_pack(&mut self, line: u64, pack: &str) -> bool {
        let is_known = self.state.packs.as_ref().is_none_or(|packs| packs.contains(pack));
        if !is_known {
            self.problems.add(line, format!("role pack `{pack}` is unknown to the server"));
        }
        is_known
    }

    /// The packs of the account itself, or else of the nearest above that has some.
    fn packs_at(&self, account: &AccountId) -> On {
        let mut at = account.clone();
        for _ in 0..=DEPTH_MAX {
            if at == AccountId::platform() {
                return On::All;
            }
            let of_file = self.world.accounts.iter().find(|account| account.id == at);
            let there = self.state.accounts.get(&at);
            let own = match (of_file.and_then(|account| account.role_packs.as_ref()), there) {
                (Some(packs), _) => packs.iter().map(|pack| pack.value.clone()).collect(),
                (None, Some(there)) => own_packs(there),
                (None, None) => Vec::new(),
            };
            if !own.is_empty() {
                return On::These(own);
            }
            at = match (of_file, there) {
                (Some(account), _) => account.parent.value.clone(),
                (None, Some(there)) if !self.world.declared.has_account(&at) => match parent(there) {
                    Some(parent) if self.names(&parent) => parent,
                    _ => return there.effective_settings.as_ref().map_or(On::Unknown, |all| On::of(&all.role_packs)),
                },
                // What is wrong in itself is not in the world, and what it says is not known.
                (None, _) => return On::Unknown,
            };
        }
        On::Unknown
    }

    fn names(&self, account: &AccountId) -> bool {
        self.world.declared.has_account(account) || self.state.accounts.contains_key(account)
    }
}

fn own_packs(there: &pb::Account) -> Vec<String> {
    there.settings.as_ref().map(|settings| settings.role_packs.clone()).unwrap_or_default()
}

fn parent(there: &pb::Account) -> Option<AccountId> {
    AccountId::parse(there.parent_account.strip_prefix("accounts/")?).ok()
}
