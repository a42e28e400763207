//! What a peer holds, compared with what it would give: nobody gives, or gets the use of, more than
//! they hold (DESIGN 8, rule 1).
//!
//! Grants are compared as they are written, not by the permissions they name today: a wildcard needs
//! a wildcard, since it will name tomorrow's permissions too. Partner access and suspension do not
//! count here; they limit the use of a right, not the ceiling.

use std::collections::BTreeSet;

use super::compile::effective_requirements;
use super::snapshot::{
    AccountIndex, BindingRecord, GroupIndex, Held, Holder, PeerIndex, RoleIndex, RoleRecord, Snapshot,
};
use crate::domain::binding::{Mode, Reach};
use crate::domain::ids::RoleId;
use crate::domain::permission::Pattern;
use crate::domain::role::{Condition, Effect, Grant, Requirements, RoleRules};
use crate::domain::time::{Timestamp, Window};

/// Where and when a right would be given.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub account: AccountIndex,
    pub reach: Reach,
    pub window: Window,
}

/// Whether `grantable_roles` of the actor's roles count. They do not when the actor would take over
/// a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    OwnAndGrantable,
    OwnOnly,
}

/// The first thing that the actor would give and does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    pub pattern: Pattern,
    pub account: AccountIndex,
}

/// A role that counts for the actor, with the window in which it does.
struct Right<'a> {
    role: &'a RoleRecord,
    account: AccountIndex,
    reach: Reach,
    window: Window,
}

/// The standing rights of one peer, ready to be compared with.
///
/// INVARIANT: rights, and the tree they reach down, are read before the changes that are judged; what
/// would be given is read after. Otherwise one could give oneself the ceiling, or move an account
/// under it, in the very change that needs it. An account made by the changes stands where its
/// nearest older ancestor does.
pub struct Holdings<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    held: Vec<Right<'a>>,
    now: Timestamp,
}

impl std::fmt::Debug for Holdings<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Holdings").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl<'a> Holdings<'a> {
    /// Collects what a peer holds by standing right: eligible bindings and memberships do not count. What
    /// is still to begin counts only where it takes away.
    #[must_use]
    pub fn of(before: &'a Snapshot, after: &'a Snapshot, peer: PeerIndex, now: Timestamp) -> Self {
        let held = lasting(before, peer)
            .filter(|held| held.mode == Mode::Active && !held.window.is_over(now))
            .filter_map(|Held { binding, window, .. }| {
                Some(Right { role: before.role(binding.role)?, account: binding.account, reach: binding.reach, window })
            })
            .collect();
        Self { before, after, held, now }
    }

    /// Whether the actor may give a role at a place.
    ///
    /// # Errors
    /// [`Excess`] names the first grant beyond the actor's own.
    pub fn may_give_role(&self, role: RoleIndex, place: Place, ceiling: Ceiling) -> Result<(), Excess> {
        let Some(record) = self.after.role(role) else { return Ok(()) };
        if ceiling == Ceiling::OwnAndGrantable && self.may_grant_by_name(record, place) {
            return Ok(());
        }
        self.may_give_grants(&record.fact.grants, &record.fact.rules, place)?;
        self.may_pass_on(record, place, &mut BTreeSet::new())
    }

    /// Whether the actor may give, or act with, all that a role names for others: what its holders may grant
    /// beyond their own, and what they act with in sessions. The actor's own role that names the same covers
    /// it; without one, all of what is named counts, and what that names in turn.
    fn may_pass_on(&self, role: &RoleRecord, place: Place, seen: &mut BTreeSet<RoleId>) -> Result<(), Excess> {
        let rules = &role.fact.rules;
        let sessions = rules
            .session_role
            .as_ref()
            .filter(|name| !self.reaching(place).any(|held| held.role.fact.rules.session_role.as_ref() == Some(name)));
        for name in rules.grantable_roles.iter().chain(sessions) {
            let Some(named) = self.after.find_role(name).and_then(|index| self.after.role(index)) else { continue };
            if seen.insert(name.clone()) && !self.may_grant_by_name(named, place) {
                self.may_give_grants(&named.fact.grants, &named.fact.rules, place)?;
                self.may_pass_on(named, place, seen)?;
            }
        }
        Ok(())
    }

    /// Whether the actor may give the first peer of a new account its template's role. What only a grant
    /// that names it gives comes with the account, and takes nothing from anyone above.
    ///
    /// # Errors
    /// [`Excess`] names the first grant beyond the actor's own.
    pub fn may_found(&self, role: RoleIndex, place: Place) -> Result<(), Excess> {
        let Some(record) = self.after.role(role) else { return Ok(()) };
        let grants = record.fact.grants.iter().filter(|grant| !self.is_reserved(&grant.pattern));
        self.may_give_grants(&grants.cloned().collect::<Vec<_>>(), &record.fact.rules, place)
    }

    /// Whether a role of the actor's that covers the place lists the role as grantable.
    fn may_grant_by_name(&self, role: &RoleRecord, place: Place) -> bool {
        self.reaching(place).any(|held| held.role.fact.rules.grantable_roles.contains(&role.fact.id))
    }

    /// The actor's roles that give all they have at all of a place.
    fn reaching(&self, place: Place) -> impl Iterator<Item = &Right<'a>> {
        self.held.iter().filter(move |held| self.reaches(held, place))
    }

    /// Whether the actor may give these grants at a place.
    ///
    /// # Errors
    /// [`Excess`] names the first grant beyond the actor's own.
    pub fn may_give_grants(&self, grants: &[Grant], rules: &RoleRules, place: Place) -> Result<(), Excess> {
        let denied: Vec<&Pattern> =
            grants.iter().filter(|grant| is_plain_deny(grant)).map(|grant| &grant.pattern).collect();
        for grant in grants.iter().filter(|grant| grant.effect == Effect::Allow) {
            // What the same role takes away again is not given.
            if denied.iter().any(|pattern| self.names_all(pattern, &grant.pattern)) {
                continue;
            }
            let requirements = effective_requirements(grant, rules);
            if !self.holds(&grant.pattern, requirements, &grant.condition, place, &denied) {
                return Err(Excess { pattern: grant.pattern.clone(), account: place.account });
            }
        }
        Ok(())
    }

    /// Whether the actor may let a DENY go: to lift it is to give what it took away.
    ///
    /// # Errors
    /// [`Excess`] names the first DENY that may not be lifted.
    pub fn may_lift_denials(&self, grants: &[Grant], place: Place) -> Result<(), Excess> {
        for grant in grants.iter().filter(|grant| grant.effect == Effect::Deny) {
            if !self.holds(&grant.pattern, Requirements::default(), &Condition::default(), place, &[]) {
                return Err(Excess { pattern: grant.pattern.clone(), account: place.account });
            }
        }
        Ok(())
    }

    /// Whether the actor holds all that another peer holds or is eligible for, everywhere. For acts
    /// by which the actor could become that peer.
    ///
    /// # Errors
    /// [`Excess`] names the first grant beyond the actor's own.
    pub fn may_become(&self, target: PeerIndex) -> Result<(), Excess> {
        self.covers(target, Ceiling::OwnOnly)
    }

    /// Whether the actor may invite a peer: it could give the peer all that it holds.
    ///
    /// # Errors
    /// [`Excess`] names the first grant beyond what the actor may give.
    pub fn may_invite(&self, target: PeerIndex) -> Result<(), Excess> {
        self.covers(target, Ceiling::OwnAndGrantable)
    }

    fn covers(&self, target: PeerIndex, ceiling: Ceiling) -> Result<(), Excess> {
        // The target's own end does not count: it may be prolonged when whoever became it waits for that.
        for Held { binding, window, .. } in self.after.held(target) {
            if !window.is_over(self.now) {
                let place = Place { account: binding.account, reach: binding.reach, window };
                self.may_give_role(binding.role, place, ceiling)?;
            }
        }
        Ok(())
    }

    fn holds(
        &self,
        pattern: &Pattern,
        requirements: Requirements,
        condition: &Condition,
        place: Place,
        denied_too: &[&Pattern],
    ) -> bool {
        let given = self.reaching(place).any(|held| {
            held.role.fact.grants.iter().any(|own| {
                own.effect == Effect::Allow
                    && self.names_all(&own.pattern, pattern)
                    && effective_requirements(own, &held.role.fact.rules).at_most(requirements)
                    && (own.condition.is_empty() || own.condition == *condition)
            })
        });
        given && !self.is_denied(pattern, place, denied_too)
    }

    /// Whether a pattern names all that another one does. No wildcard names a reserved permission, neither to
    /// give it nor to take it away.
    fn names_all(&self, wide: &Pattern, narrow: &Pattern) -> bool {
        if self.is_reserved(narrow) { wide == narrow } else { wide.covers(narrow) }
    }

    fn is_reserved(&self, pattern: &Pattern) -> bool {
        let permission = self.after.find_permission(pattern.as_str());
        permission.and_then(|index| self.after.permission(index)).is_some_and(|permission| permission.flags.reserved)
    }

    /// Whether a DENY of the actor's takes some of a pattern away, at the place or below. A DENY under
    /// a condition counts as if the condition held.
    fn is_denied(&self, pattern: &Pattern, place: Place, denied_too: &[&Pattern]) -> bool {
        self.held.iter().filter(|held| self.touches(held, place)).any(|held| {
            held.role.fact.grants.iter().any(|own| {
                own.effect == Effect::Deny
                    && own.pattern.overlaps(pattern)
                    && !denied_too.iter().any(|too| self.names_all(too, &own.pattern))
            })
        })
    }

    /// Whether a binding of the actor's gives its rights at all of a place.
    fn reaches(&self, held: &Right<'_>, place: Place) -> bool {
        let far_enough = match (held.reach, place.reach) {
            (Reach::Subtree, _) => self.lies_within(place.account, held.account),
            (Reach::AccountOnly, Reach::AccountOnly) => held.account == place.account,
            (Reach::AccountOnly, Reach::Subtree) => false,
        };
        far_enough && held.window.contains(self.now) && held.window.covers(place.window, self.now)
    }

    /// Whether a binding of the actor's has effect at some of a place: now, or while what is given there
    /// would count.
    fn touches(&self, held: &Right<'_>, place: Place) -> bool {
        if !held.window.contains(self.now) && held.window.intersect(place.window).is_none() {
            return false;
        }
        let from_above = match held.reach {
            Reach::Subtree => self.lies_within(place.account, held.account),
            Reach::AccountOnly => held.account == place.account,
        };
        from_above || (place.reach == Reach::Subtree && self.lies_within(held.account, place.account))
    }

    fn lies_within(&self, account: AccountIndex, ancestor: AccountIndex) -> bool {
        let path = self.after.path(account);
        let anchor = path.as_slice().iter().copied().find(|account| self.before.account(*account).is_some());
        anchor.is_some_and(|anchor| self.before.is_within(anchor, ancestor))
    }
}

fn is_plain_deny(grant: &Grant) -> bool {
    grant.effect == Effect::Deny && grant.condition.is_empty()
}

/// How long a peer itself lasts: nothing that it holds goes on behind its end.
#[must_use]
pub fn life(snapshot: &Snapshot, peer: PeerIndex) -> Option<Window> {
    let expire = snapshot.peer(peer)?.expire();
    Window::parse(None, (expire != Timestamp::MAX).then_some(expire)).ok()
}

/// What a peer has, as long as it lasts.
fn lasting(snapshot: &Snapshot, peer: PeerIndex) -> impl Iterator<Item = Held<'_>> {
    life(snapshot, peer).into_iter().flat_map(move |life| {
        snapshot.held(peer).filter_map(move |held| Some(Held { window: held.window.intersect(life)?, ..held }))
    })
}

/// Where and when a holder's binding counts. A peer's own end is one of the binding's too.
#[must_use]
pub fn place_of(snapshot: &Snapshot, holder: Holder, binding: &BindingRecord) -> Option<Place> {
    let window = match holder {
        Holder::Peer(peer) => snapshot.peer(peer)?.binding_window(binding).intersect(life(snapshot, peer)?)?,
        Holder::Group(group) => snapshot.group(group)?.binding_window(binding),
    };
    Some(Place { account: binding.account, reach: binding.reach, window })
}

/// The bindings of a group as places with roles: what a member gains while the membership is open.
#[must_use]
pub fn given_by_group(
    snapshot: &Snapshot,
    group: GroupIndex,
    member: PeerIndex,
    membership: Window,
) -> Vec<(RoleIndex, Place)> {
    let open = life(snapshot, member).and_then(|life| life.intersect(membership));
    let (Some(record), Some(open)) = (snapshot.group(group), open) else { return Vec::new() };
    record
        .bindings()
        .iter()
        .filter_map(|binding| {
            let window = record.binding_window(binding).intersect(open)?;
            Some((binding.role, Place { account: binding.account, reach: binding.reach, window }))
        })
        .collect()
}
