//! Rule 1 of DESIGN 8 on every change of policy: nobody gives, or gets the use of, more than they
//! hold.
//!
//! The changes themselves are read, not the method that made them, so that a new method is covered
//! the day it is written. What no fact shows (another peer's password, e-mail address or factor) is
//! checked by its use case through [`Holdings::may_become`].

use std::collections::BTreeMap;

use super::error::{Error, Forbidden, Result};
use super::guard::View;
use super::invariants::Ownership;
use crate::decision::administrators::newly_denied;
use crate::decision::compile::effective_requirements;
use crate::decision::holdings::{Ceiling, Excess, Holdings, Place, given_by_group, life, place_of};
use crate::decision::snapshot::{Holder, Snapshot};
use crate::decision::{AccountIndex, PeerIndex, RoleIndex};
use crate::domain::binding::{Principal, Reach};
use crate::domain::condition::Condition;
use crate::domain::fact::{AccountFact, ApiKeyFact, BindingFact, Change, Fact, MemberFact, PeerFact, RoleFact};
use crate::domain::ids::{AccountId, PeerId, RoleId};
use crate::domain::peer::PeerStatus;
use crate::domain::role::{Effect, Grant, RoleOrigin, RoleRules};
use crate::domain::time::{Timestamp, Window};

/// Judges what an actor's changes would give to anyone.
///
/// # Errors
/// [`Error::Escalation`] names the first right beyond the actor's own.
pub fn check(actor: &View<'_>, after: &Snapshot, changes: &[Change], ownership: Ownership) -> Result<()> {
    let judge = Judge { before: actor.snapshot, after, holdings: actor.holdings(after), actor, ownership };
    for change in changes {
        judge.own_link(change)?;
        judge.change(change).map_err(|excess| escalation(after, excess))?;
    }
    judge.denials(changes)
}

/// The error of an excess.
#[must_use]
pub fn escalation(snapshot: &Snapshot, excess: Excess) -> Error {
    let account = snapshot.account_id(excess.account).cloned().unwrap_or_else(AccountId::platform);
    Error::Escalation { pattern: excess.pattern, account }
}

struct Judge<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    holdings: Holdings<'a>,
    actor: &'a View<'a>,
    ownership: Ownership,
}

type Verdict = std::result::Result<(), Excess>;

impl Judge<'_> {
    fn change(&self, change: &Change) -> Verdict {
        match (&change.before, &change.after) {
            (before, Some(Fact::Binding(after))) => {
                let before = before.as_ref().and_then(Fact::as_binding);
                self.binding(before, Some(after))
            }
            (Some(Fact::Binding(before)), None) => self.binding(Some(before), None),
            (_, Some(Fact::Member(after))) => self.member_made(after),
            (Some(Fact::Member(before)), None) => self.member_gone(before),
            (Some(Fact::Role(before)), Some(Fact::Role(after))) => self.role_changed(before, after),
            (None, Some(Fact::Role(after))) => self.role_made(after),
            (Some(Fact::Peer(before)), Some(Fact::Peer(after))) => {
                self.linked(before.person, after)?;
                self.peer_changed(before, after)
            }
            (None, Some(Fact::Peer(after))) => self.linked(None, after),
            (None, Some(Fact::ApiKey(after))) => self.api_key_made(after),
            (Some(Fact::Account(before)), Some(Fact::Account(after))) => self.account_changed(before, after),
            (None, Some(Fact::Account(after))) => self.account_made(after),
            // A new group gives nothing by itself, what is gone gives nothing, and registering a permission has its own rule.
            _ => Ok(()),
        }
    }

    /// Where and when a binding counts; not behind the end of the peer that has it.
    fn place(&self, binding: &BindingFact) -> Option<Place> {
        let account = self.after.find_account(binding.account.as_str())?;
        let life = match binding.principal {
            Principal::Peer(peer) => life(self.after, self.after.find_peer(peer)?)?,
            Principal::Group(_) => Window::ALWAYS,
        };
        Some(Place { account, reach: binding.reach, window: binding.window.intersect(life)? })
    }

    fn binding(&self, before: Option<&BindingFact>, after: Option<&BindingFact>) -> Verdict {
        if let Some(after) = after
            && !before.is_some_and(|before| is_within(after, before))
            && let (Some(role), Some(place)) = (self.after.find_role(&after.role), self.place(after))
        {
            let is_founding = self.ownership == Ownership::Changing && self.before.account(place.account).is_none();
            match self.holdings.may_give_role(role, place, Ceiling::OwnAndGrantable) {
                Err(_) if is_founding => self.holdings.may_found(role, place)?,
                other => other?,
            }
        }
        // What is gone may have been a DENY. On a deleted account there is nothing left to gain, and
        // nobody to gain it where the peer or the group went too.
        if let Some(before) = before
            && !after.is_some_and(|after| is_within(before, after))
            && holder(self.after, before.principal).is_some()
            && let (Some(role), Some(place)) = (self.grants(&before.role), self.place(before))
        {
            self.holdings.may_lift_denials(&role.grants, place)?;
        }
        Ok(())
    }

    fn grants(&self, role: &RoleId) -> Option<&RoleFact> {
        let index = self.before.find_role(role)?;
        self.before.role(index).map(|record| &*record.fact)
    }

    fn member_made(&self, member: &MemberFact) -> Verdict {
        let (Some(group), Some(peer)) = (self.after.find_group(member.group), self.after.find_peer(member.peer)) else {
            return Ok(());
        };
        for (role, place) in given_by_group(self.after, group, peer, member.window) {
            self.holdings.may_give_role(role, place, Ceiling::OwnAndGrantable)?;
        }
        Ok(())
    }

    fn member_gone(&self, member: &MemberFact) -> Verdict {
        let (Some(group), Some(peer)) = (self.before.find_group(member.group), self.after.find_peer(member.peer))
        else {
            return Ok(());
        };
        for (role, place) in given_by_group(self.before, group, peer, member.window) {
            let is_gone = self.after.account(place.account).is_none_or(|account| account.gone);
            if let Some(record) = self.before.role(role).filter(|_| !is_gone) {
                self.holdings.may_lift_denials(&record.fact.grants, place)?;
            }
        }
        Ok(())
    }

    /// A custom role is made at its owner: whoever makes it must be able to give it there.
    fn role_made(&self, role: &RoleFact) -> Verdict {
        match self.owner_place(role) {
            Some(place) => self.holdings.may_give_grants(&role.grants, &role.rules, place),
            None => Ok(()),
        }
    }

    fn owner_place(&self, role: &RoleFact) -> Option<Place> {
        let RoleOrigin::Custom { owner, .. } = &role.origin else { return None };
        // A role by itself gives nothing for any length of time, so only this moment is compared.
        let now = self.actor.now;
        let window = Window::parse(Some(now), Some(now.plus_micros(1))).ok()?;
        let account = self.after.find_account(owner.as_str())?;
        Some(Place { account, reach: Reach::Subtree, window })
    }

    /// Every existing binding of an edited role is checked for what the edit adds.
    fn role_changed(&self, before: &RoleFact, after: &RoleFact) -> Verdict {
        // Registering a reserved permission names it in the operator's role. Nobody can hold what was not
        // there before, and whoever registers holds a reserved permission already.
        let is_new = |grant: &Grant| {
            grant.pattern.literal().is_some_and(|name| self.before.find_permission(name.as_str()).is_none())
        };
        let mut added = added_grants(before, after);
        if after.origin == RoleOrigin::BuiltIn {
            added.retain(|grant| !is_new(grant));
        }
        let lifted = lifted_denials(before, after);
        let Some(index) = self.before.find_role(&after.id) else { return Ok(()) };
        for place in self.owner_place(after).into_iter().chain(self.places(index)) {
            self.holdings.may_give_grants(&added, &after.rules, place)?;
            self.holdings.may_lift_denials(&lifted, place)?;
        }
        Ok(())
    }

    fn places(&self, role: RoleIndex) -> Vec<Place> {
        let bound = self.before.bound_by_role(role);
        bound
            .filter_map(|(holder, id)| place_of(self.before, holder, self.before.binding(holder, id)?))
            .filter(|place| !place.window.is_over(self.actor.now))
            .collect()
    }

    /// Whoever enables, restores or prolongs a peer gets the use of what that peer holds.
    fn peer_changed(&self, before: &PeerFact, after: &PeerFact) -> Verdict {
        let is_restored = before.status == PeerStatus::Deleted && after.status != PeerStatus::Deleted;
        let is_enabled = before.status == PeerStatus::Disabled && after.status == PeerStatus::Enabled;
        let end = |fact: &PeerFact| fact.expire_time.unwrap_or(Timestamp::MAX);
        let is_prolonged = end(after) > end(before);
        match self.before.find_peer(after.id) {
            Some(peer) if is_restored || is_enabled || is_prolonged => self.holdings.may_become(peer),
            _ => Ok(()),
        }
    }

    /// Whoever says that two peers are one human says whose requests they may not approve.
    fn linked(&self, before: Option<PeerId>, after: &PeerFact) -> Verdict {
        if before == after.person {
            return Ok(());
        }
        let linked = [before, after.person, Some(after.id)].into_iter().flatten();
        let known = linked.filter_map(|peer| self.before.find_peer(peer)).filter(|peer| *peer != self.actor.actor);
        known.into_iter().try_for_each(|peer| self.holdings.may_become(peer))
    }

    /// Nobody takes away a link that is about themselves.
    fn own_link(&self, change: &Change) -> Result<()> {
        let (Some(Fact::Peer(before)), Some(Fact::Peer(after))) = (&change.before, &change.after) else {
            return Ok(());
        };
        let Some(old) = before.person.filter(|_| before.person != after.person) else { return Ok(()) };
        let own = self.before.peer_id(self.actor.actor);
        if own == Some(old) || own == Some(before.id) {
            return Err(Error::Forbidden { rule: Forbidden::OwnPersonLink, subject: format!("peers/{}", before.id) });
        }
        Ok(())
    }

    /// A DENY reaches whoever it is bound to and so could lock out those who administer from above, the
    /// operator first: it is for those who have a say at the peer's home.
    fn denials(&self, changes: &[Change]) -> Result<()> {
        for denied in newly_denied(self.before, self.after, changes, self.actor.now) {
            let Some(home) = self.after.peer(denied.peer).map(|peer| peer.home()) else { continue };
            let is_below = self.after.is_within(home, denied.account);
            let is_own = denied.peer == self.actor.actor;
            if !is_own && !is_below && !self.actor.may("role_bindings.create", home) {
                let subject = peer_name(self.after, denied.peer);
                return Err(Error::Forbidden { rule: Forbidden::DenialOfOthers, subject });
            }
        }
        Ok(())
    }

    fn api_key_made(&self, key: &ApiKeyFact) -> Verdict {
        match self.after.find_peer(key.peer) {
            Some(peer) if peer != self.actor.actor => self.holdings.may_become(peer),
            _ => Ok(()),
        }
    }

    fn account_changed(&self, before: &AccountFact, after: &AccountFact) -> Verdict {
        let Some(account) = self.before.find_account(after.id.as_str()) else { return Ok(()) };
        if before.parent != after.parent {
            self.moved(account)?;
        }
        // A move changes the labels that the account inherits.
        if before.labels != after.labels || before.parent != after.parent {
            let (old, new) = (self.before.path(account), self.after.path(account));
            let changed = |key: &String| self.before.label(&old, key) != self.after.label(&new, key);
            self.relabelled(account, &changed)?;
        }
        Ok(())
    }

    /// Who is bound above under a condition on a label gains a new account that carries it.
    fn account_made(&self, account: &AccountFact) -> Verdict {
        let parent = account.parent.as_ref().and_then(|parent| self.before.find_account(parent.as_str()));
        let (Some(parent), Some(index)) = (parent, self.after.find_account(account.id.as_str())) else { return Ok(()) };
        let above = self.before.path(parent);
        let changed = |key: &String| {
            account.labels.get(key).is_some_and(|value| self.before.label(&above, key) != Some(value.as_str()))
        };
        self.relabelled(index, &changed)
    }

    /// Who is bound above the new place gains what lies below; who was denied above the old place is
    /// denied no longer. The actor must have held both on the account before the move.
    fn moved(&self, account: AccountIndex) -> Verdict {
        let (old, new) = (self.before.path(account), self.after.path(account));
        for (gained, ancestor) in
            new.as_slice().iter().filter(|ancestor| !old.contains(**ancestor)).map(|ancestor| (true, *ancestor)).chain(
                old.as_slice().iter().filter(|ancestor| !new.contains(**ancestor)).map(|ancestor| (false, *ancestor)),
            )
        {
            for (holder, id) in self.before.bound_at(ancestor) {
                let Some(binding) = self.before.binding(holder, id).filter(|one| one.reach == Reach::Subtree) else {
                    continue;
                };
                let Some(place) = place_of(self.before, holder, binding) else { continue };
                if place.window.is_over(self.actor.now) {
                    continue;
                }
                let here = Place { account, ..place };
                if gained {
                    self.holdings.may_give_role(binding.role, here, Ceiling::OwnOnly)?;
                } else if let Some(role) = self.before.role(binding.role) {
                    self.holdings.may_lift_denials(&role.fact.grants, here)?;
                }
            }
        }
        Ok(())
    }

    /// Whether an ALLOW begins to count by its labels, or a DENY ceases to, at an account or below. An
    /// account that is new is compared with its parent.
    fn gives_more(&self, grant: &Grant, top: AccountIndex, reach: Reach) -> bool {
        let accounts = match reach {
            Reach::Subtree => self.after.subtree(top),
            Reach::AccountOnly => vec![top],
        };
        accounts.into_iter().any(|account| {
            let known = |one: &AccountIndex| self.before.account(*one).is_some_and(|record| !record.gone);
            let path = self.after.path(account);
            let old = path.as_slice().iter().copied().find(known);
            let held = old.is_some_and(|old| self.before.labels_hold(&self.before.path(old), &grant.condition));
            let holds = self.after.labels_hold(&path, &grant.condition);
            match grant.effect {
                Effect::Allow => holds && !held,
                Effect::Deny => held && !holds,
            }
        })
    }

    /// A grant under a condition on a changed label may begin to count, and a DENY may cease to: the
    /// actor must hold, without that demand of labels, all that any such grant names.
    fn relabelled(&self, account: AccountIndex, changed: &dyn Fn(&String) -> bool) -> Verdict {
        let path = self.after.path(account);
        let places = path.as_slice().iter().copied().chain(self.before.subtree(account).into_iter().skip(1));
        for bound in places {
            for (holder, id) in self.before.bound_at(bound) {
                let Some(binding) = self.before.binding(holder, id) else { continue };
                let Some(role) = self.before.role(binding.role) else { continue };
                let is_above = bound != account && path.contains(bound);
                if is_above && binding.reach == Reach::AccountOnly {
                    continue;
                }
                let top = if is_above { account } else { bound };
                let on_labels = |grant: &&Grant| grant.condition.account_labels.keys().any(changed);
                let touched = role.fact.grants.iter().filter(on_labels);
                let touched: Vec<Grant> = touched
                    .filter(|grant| self.gives_more(grant, top, binding.reach))
                    .map(whatever_the_labels)
                    .collect();
                let Some(place) = place_of(self.before, holder, binding) else { continue };
                if touched.is_empty() || place.window.is_over(self.actor.now) {
                    continue;
                }
                let here = if is_above { Place { account, ..place } } else { place };
                let plain = RoleRules { grantable_roles: Vec::new(), ..role.fact.rules.clone() };
                self.holdings.may_give_grants(&touched, &plain, here)?;
            }
        }
        Ok(())
    }
}

/// The grant as if its labels held, a DENY as the ALLOW that its end would give: that one under no
/// condition at all, since a DENY counts also where a request does not say what its condition asks.
fn whatever_the_labels(grant: &Grant) -> Grant {
    let condition = match grant.effect {
        Effect::Allow => Condition { account_labels: BTreeMap::new(), ..grant.condition.clone() },
        Effect::Deny => Condition::default(),
    };
    Grant { effect: Effect::Allow, condition, ..grant.clone() }
}

/// Whether a binding gives no more than another of the same holder.
fn is_within(inner: &BindingFact, outer: &BindingFact) -> bool {
    let reach = inner.reach == outer.reach || outer.reach == Reach::Subtree;
    inner.principal == outer.principal
        && inner.role == outer.role
        && inner.account == outer.account
        && reach
        && inner.mode >= outer.mode
        && outer.window.covers(inner.window, Timestamp::MIN)
}

/// ALLOW grants that no grant before covered.
fn added_grants(before: &RoleFact, after: &RoleFact) -> Vec<Grant> {
    let was_given = |grant: &Grant| {
        before.grants.iter().any(|old| {
            old.effect == Effect::Allow
                && old.pattern.covers(&grant.pattern)
                && (old.pattern == grant.pattern || grant.pattern.literal().is_none())
                && effective_requirements(old, &before.rules).at_most(effective_requirements(grant, &after.rules))
                && (old.condition.is_empty() || old.condition == grant.condition)
        })
    };
    let new = after.grants.iter().filter(|grant| grant.effect == Effect::Allow && !was_given(grant));
    // The DENY grants of the role go along: what it denies itself it does not give.
    let denials = after.grants.iter().filter(|grant| grant.effect == Effect::Deny);
    new.chain(denials).cloned().collect()
}

/// DENY grants that no DENY after covers.
fn lifted_denials(before: &RoleFact, after: &RoleFact) -> Vec<Grant> {
    let is_kept = |grant: &Grant| {
        after.grants.iter().any(|new| {
            new.effect == Effect::Deny
                && new.pattern.covers(&grant.pattern)
                && (new.pattern == grant.pattern || grant.pattern.literal().is_none())
                && (new.condition.is_empty() || new.condition == grant.condition)
        })
    };
    before.grants.iter().filter(|grant| grant.effect == Effect::Deny && !is_kept(grant)).cloned().collect()
}

/// The holder of a principal, if it is known.
#[must_use]
pub fn holder(snapshot: &Snapshot, principal: Principal) -> Option<Holder> {
    match principal {
        Principal::Peer(peer) => snapshot.find_peer(peer).map(Holder::Peer),
        Principal::Group(group) => snapshot.find_group(group).map(Holder::Group),
    }
}

/// The name of a peer for an error.
pub(super) fn peer_name(snapshot: &Snapshot, peer: PeerIndex) -> String {
    snapshot.peer_id(peer).map_or_else(|| "peers/?".to_owned(), |id| format!("peers/{id}"))
}
