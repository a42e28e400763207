//! What of an explanation its caller may see: names of what it may view now, and those that the decision
//! itself says.

use super::Asked;
use crate::application::guard::View;
use crate::application::{accounts, bindings, groups, roles};
use crate::decision::condition::{Found, Part, PartFate};
use crate::decision::explain::{Alteration, Check, Checked, Entry, Explanation, Fate, Obstacle};
use crate::decision::snapshot::{GroupIndex, RoleRecord};
use crate::decision::{AccountIndex, Reason, Snapshot};
use crate::domain::account::PartnerAccess;
use crate::domain::binding::{Mode, Reach};
use crate::domain::condition::Condition;
use crate::domain::ids::{AccountId, BindingId, GroupId, RoleId};
use crate::domain::role::{Effect, Grant, Requirements};
use crate::domain::time::{Timestamp, Window};

/// What one check found, as the caller may see it.
#[derive(Debug, Clone)]
pub struct ShownCheck {
    pub check: Check,
    pub passed: bool,
    pub account: Option<AccountId>,
    pub access: Option<PartnerAccess>,
    pub expire: Option<Timestamp>,
}

/// How a binding is held, for those who may view it.
#[derive(Debug, Clone)]
pub struct ShownBinding {
    pub id: BindingId,
    pub reach: Reach,
    pub mode: Mode,
    pub window: Window,
    /// The membership through which it is.
    pub membership: Option<(Mode, Window)>,
}

/// An entry of a trace, as the caller may see it.
#[derive(Debug, Clone)]
pub struct ShownEntry {
    pub binding: Option<ShownBinding>,
    pub via_group: bool,
    pub group: Option<GroupId>,
    pub account: Option<AccountId>,
    pub role: Option<RoleId>,
    /// The grant and its place, where the role is shown.
    pub grant: Option<(u16, Grant)>,
    pub effect: Option<Effect>,
    pub stated: Requirements,
    pub obstacles: Vec<Obstacle>,
    pub missing: Option<String>,
    /// What became of each part of its condition.
    pub parts: Vec<PartFate>,
    pub fate: Fate,
    pub is_redacted: bool,
}

/// What the caller may see of the facts that were decided on.
pub(super) struct Eyes<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) then: &'a Snapshot,
    pub(super) asked: &'a Asked,
}

impl<'a> Eyes<'a> {
    /// The id of an account that the caller may know.
    pub(super) fn account(&self, account: AccountIndex) -> Option<&'a AccountId> {
        let id = self.then.account_id(account)?;
        let is_known = self.asked.is_self
            || self.asked.above.contains(id)
            || self.now(id).is_some_and(|account| accounts::is_seen(self.view, account));
        is_known.then_some(id)
    }

    fn now(&self, id: &AccountId) -> Option<AccountIndex> {
        self.view.snapshot.find_account(id.as_str())
    }

    /// Whether the caller may do something now on an account of then.
    fn may(&self, permission: &str, account: AccountIndex) -> bool {
        let now = self.then.account_id(account).and_then(|id| self.now(id));
        now.is_some_and(|account| self.view.may(permission, account))
    }

    fn sees_binding(&self, account: AccountIndex) -> bool {
        self.asked.is_self || self.may(bindings::read::VIEW, account)
    }

    fn group(&self, group: GroupIndex) -> Option<GroupId> {
        let record = self.then.group(group)?;
        (self.asked.is_self || self.may(groups::VIEW, record.account)).then_some(record.id)
    }

    pub(super) fn sees_role(&self, role: &RoleRecord) -> bool {
        self.asked.is_self || roles::is_visible(self.view, &role.fact)
    }

    /// Whether the decision may name what decided: as Authorize does, unless it stands on an account
    /// that only the past has to do with.
    pub(super) fn sees_decider(&self, explanation: &Explanation<'_>) -> bool {
        explanation.entries.first().is_none_or(|entry| self.account(entry.binding.account).is_some())
    }

    pub(super) fn check(&self, checked: &Checked) -> ShownCheck {
        let may_know_end = self.asked.is_self
            || self
                .asked
                .subject
                .and_then(|peer| self.then.peer(peer))
                .is_some_and(|peer| self.may("peers.view", peer.home()) || !checked.passed);
        ShownCheck {
            check: checked.check,
            passed: checked.passed,
            account: checked.account.and_then(|account| self.account(account)).cloned(),
            access: checked.access,
            expire: checked.expire.filter(|_| may_know_end),
        }
    }

    pub(super) fn entry(&self, entry: &Entry<'_>, explanation: &Explanation<'_>) -> ShownEntry {
        let is_decider = explanation.decision.deciding.is_some_and(|deciding| {
            deciding.binding == entry.binding.id
                && deciding.group == entry.through.map(|through| through.group)
                && entry.grant.is_some_and(|(place, _)| place == deciding.grant)
        }) && self.sees_decider(explanation);
        let is_owed = is_decider && explanation.decision.reason == Reason::EligibleNotActive;
        let group = entry.through.map(|through| through.group);
        // The decision names what is to be elevated, and not what leads to it.
        let names_group = is_owed && entry.through.is_some_and(|through| through.mode == Mode::Eligible);
        let shown_group = group.and_then(|group| {
            if names_group { self.then.group(group).map(|record| record.id) } else { self.group(group) }
        });
        let role = self.then.role(entry.binding.role).filter(|role| (is_decider && !is_owed) || self.sees_role(role));
        let names_binding = is_decider && (!is_owed || entry.binding.mode == Mode::Eligible);
        let sees_binding = names_binding || self.sees_binding(entry.binding.account);
        let binding = sees_binding.then(|| ShownBinding {
            id: entry.binding.id,
            reach: entry.binding.reach,
            mode: entry.binding.mode,
            window: entry.window,
            membership: entry.through.map(|through| (through.mode, through.window)),
        });
        let account = self.account(entry.binding.account);
        let parts = role.map_or_else(Vec::new, |_| self.parts(&entry.parts));
        let is_redacted = parts.iter().any(|part| part.found == Found::Hidden)
            || binding.is_none()
            || role.is_none()
            || account.is_none()
            || shown_group.is_some() != group.is_some();
        ShownEntry {
            binding,
            via_group: group.is_some(),
            group: shown_group,
            account: account.cloned(),
            role: role.map(|role| role.fact.id.clone()),
            grant: role.and(entry.grant).map(|(place, grant)| (place, grant.clone())),
            effect: entry.effect(),
            stated: role.map_or_else(Requirements::default, |_| entry.stated),
            obstacles: entry.obstacles.clone(),
            missing: role.and(entry.missing).map(ToOwned::to_owned),
            parts,
            fate: entry.fate,
            is_redacted,
        }
    }

    /// What became of the parts of a condition. What clocks show and what the request says is no secret; a
    /// label is for those who may view the account, since it may come from one above it.
    fn parts(&self, parts: &[PartFate]) -> Vec<PartFate> {
        let sees_labels = self.may("accounts.view", self.asked.account);
        let shown = |part: &PartFate| match part.part {
            Part::Label(_) if !sees_labels => PartFate { found: Found::Hidden, ..part.clone() },
            Part::Label(_) | Part::SourceNetworks | Part::WeeklyWindows | Part::Attribute(_) => part.clone(),
        };
        parts.iter().map(shown).collect()
    }

    /// Whether the caller sees a role among those explained that has such a condition.
    fn sees_condition(&self, explanation: &Explanation<'_>, is_such: impl Fn(&Condition) -> bool) -> bool {
        explanation.entries.iter().any(|entry| {
            entry.grant.is_some_and(|(_, grant)| is_such(&grant.condition))
                && self.then.role(entry.binding.role).is_some_and(|role| self.sees_role(role))
        })
    }

    /// Whether the caller may know all that a change names.
    pub(super) fn sees_change(&self, alteration: &Alteration, explanation: &Explanation<'_>) -> bool {
        let sees_held = |binding: &BindingId, group: Option<GroupIndex>| {
            let entry = explanation.entries.iter().find(|entry| entry.binding.id == *binding);
            entry.is_some_and(|entry| self.sees_binding(entry.binding.account))
                && group.is_none_or(|group| self.group(group).is_some())
        };
        match alteration {
            Alteration::ElevateBinding { binding, group }
            | Alteration::RenewBinding { binding, group }
            | Alteration::RemoveBinding { binding, group } => sees_held(binding, *group),
            Alteration::ElevateMembership(group)
            | Alteration::RenewMembership(group)
            | Alteration::LeaveGroup(group) => self.group(*group).is_some(),
            Alteration::Resume(account) | Alteration::AllowPartnerAccess(account) => self.account(*account).is_some(),
            Alteration::SetLabel { key, .. } => {
                self.sees_condition(explanation, |condition| condition.account_labels.contains_key(key))
            }
            Alteration::SayAttribute { name, .. } => self.sees_condition(explanation, |condition| {
                condition.resource_attributes.iter().any(|wanted| wanted.attribute() == name)
            }),
            Alteration::ActFrom(_) => {
                self.sees_condition(explanation, |condition| !condition.source_networks.is_empty())
            }
            // Roles that may be bound are looked for among those that the caller sees.
            Alteration::BindRole { .. } | Alteration::WaitUntil(_) | Alteration::EnablePeer | Alteration::RenewPeer => {
                true
            }
        }
    }
}
