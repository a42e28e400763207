//! All rights of all peers, naively, as sets of permissions by how freely they may be used.
//!
//! Partner access and suspension limit use and not the ceiling (DESIGN 8.1), and the worlds set neither.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::context::{AttributeValue, Context};
use peerage::domain::fact::{AccountFact, BindingFact, PeerFact};
use peerage::domain::ids::{AccountId, PeerId};
use peerage::domain::peer::{PeerKind, PeerStatus};
use peerage::domain::role::{Effect, Grant, Requirements};
use peerage::domain::time::{Timestamp, Window};

use super::super::oracle::conditions::{self, Holds};
use super::super::oracle::facts::Facts;
use super::super::oracle::naive::{Line, Question, names};

/// What is looked at; the last one makes a full administrator.
const WATCHED: [&str; 20] = [
    "devices.view",
    "devices.manage",
    "billing.view",
    "billing.manage",
    "peers.view",
    "peers.create",
    "peers.disable",
    "peers.reset_password",
    "roles.view",
    "roles.update",
    "role_bindings.create",
    "role_bindings.delete",
    "groups.update_members",
    "api_keys.create",
    "accounts.view",
    "accounts.update_labels",
    "accounts.move",
    "permissions.register",
    "access.check",
    "accounts.administer",
];
const ADMINISTERS: u32 = 1 << (WATCHED.len() - 1);

/// How freely: with approval and step-up at least, ... without any requirement.
const LEVELS: usize = 4;

/// For each level the permissions that may be used so freely or more.
type Cell = [u32; LEVELS];

/// Which rights of a peer are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// What it may do now.
    AsItIs,
    /// What it may do once all that waits for an elevation is raised.
    Raised,
    /// The same, were it enabled and without end.
    RaisedAndEnabled,
}

/// Rights at some moments in some circumstances.
pub struct Rights {
    moments: Vec<(Timestamp, Context)>,
    cells: HashMap<(Whose, PeerId, AccountId), Vec<Cell>>,
}

/// A right that somebody should not have.
#[derive(Debug, PartialEq, Eq)]
pub struct Excess {
    pub peer: PeerId,
    pub account: AccountId,
    pub permissions: Vec<&'static str>,
    pub level: usize,
    pub moment: (Timestamp, Context),
}

impl Rights {
    /// All rights, now and at times to come.
    pub fn of(facts: &Facts, now: Timestamp) -> Self {
        const HOUR: i64 = 3_600_000_000;
        let tier = |tier: &str| Context {
            attributes: BTreeMap::from([("tier".to_owned(), AttributeValue::Text(tier.to_owned()))]),
            source_address: None,
        };
        let contexts = [Context::default(), tier("gold"), tier("iron")];
        let times = [0, HOUR, 30 * HOUR, 24 * 365 * 10 * HOUR].map(|later| now.plus_micros(later));
        let moments: Vec<(Timestamp, Context)> =
            times.iter().flat_map(|time| contexts.iter().map(|context| (*time, context.clone()))).collect();
        let mut rights = Self { moments, cells: HashMap::new() };
        let named = Named::of(facts);
        for peer in &facts.peers {
            for whose in [Whose::AsItIs, Whose::Raised] {
                rights.add(facts, &named, peer, whose);
            }
        }
        rights
    }

    fn add(&mut self, facts: &Facts, named: &Named, peer: &PeerFact, whose: Whose) {
        for account in &facts.accounts {
            let path = facts.path(&account.id);
            let cells = self.cells_on(facts, named, (peer, whose), (&path, 0));
            self.cells.insert((whose, peer.id, account.id.clone()), cells);
        }
    }

    fn cells_on(
        &self,
        facts: &Facts,
        named: &Named,
        whose: (&PeerFact, Whose),
        path: (&[&AccountFact], usize),
    ) -> Vec<Cell> {
        self.moments.iter().map(|moment| cell(facts, named, whose, path, moment)).collect()
    }

    /// The rights of a peer on an account that may be new: then those that came down to its place before.
    fn on(&self, whose: Whose, peer: PeerId, account: &AccountFact, old: &Facts) -> Vec<Cell> {
        if let Some(here) = self.cells.get(&(whose, peer, account.id.clone())) {
            return here.clone();
        }
        let peer = old.peers.iter().find(|fact| fact.id == peer);
        let above = account.parent.as_ref().map(|parent| old.path(parent)).filter(|path| !path.is_empty());
        match (peer, above) {
            (Some(peer), Some(above)) => self.cells_on(old, &Named::of(old), (peer, whose), (&above, 1)),
            (None, _) | (_, None) => vec![Cell::default(); self.moments.len()],
        }
    }

    /// What somebody gained that the actor did not have before.
    pub fn gained_beyond(
        &self,
        actor: PeerId,
        after: &Self,
        whose: Whose,
        (before, facts): (&Facts, &Facts),
    ) -> Option<Excess> {
        for account in &facts.accounts {
            let own = self.on(Whose::AsItIs, actor, account, before);
            for peer in &facts.peers {
                let old = self.on(whose, peer.id, account, before);
                let now = after.on(whose, peer.id, account, facts);
                for (place, (old, now)) in old.iter().zip(&now).enumerate() {
                    for level in 0..LEVELS {
                        let excess = now[level] & !old[level] & !own[place][level];
                        if excess != 0 {
                            return Some(self.excess(peer.id, account, excess, level, place));
                        }
                    }
                }
            }
        }
        None
    }

    /// What a peer holds, or would hold, that the actor does not.
    pub fn beyond(&self, actor: PeerId, taken: PeerId, facts: &Facts, now: Timestamp) -> Option<Excess> {
        let mut held = Self { moments: self.moments.clone(), cells: HashMap::new() };
        assert_eq!(held.moments[0].0, now, "rights are computed where the clock moves");
        let peer = facts.peers.iter().find(|peer| peer.id == taken)?;
        held.add(facts, &Named::of(facts), peer, Whose::RaisedAndEnabled);
        for account in &facts.accounts {
            let own = self.on(Whose::AsItIs, actor, account, facts);
            let theirs = held.on(Whose::RaisedAndEnabled, taken, account, facts);
            for (place, (own, theirs)) in own.iter().zip(&theirs).enumerate() {
                for level in 0..LEVELS {
                    if theirs[level] & !own[level] != 0 {
                        return Some(self.excess(taken, account, theirs[level] & !own[level], level, place));
                    }
                }
            }
        }
        None
    }

    fn excess(&self, peer: PeerId, account: &AccountFact, bits: u32, level: usize, place: usize) -> Excess {
        let named = WATCHED.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        let permissions = named.map(|(_, name)| *name).collect();
        Excess { peer, account: account.id.clone(), permissions, level, moment: self.moments[place].clone() }
    }

    /// The accounts that have a full administrator (DESIGN 8.3).
    pub fn administered(&self, facts: &Facts) -> BTreeSet<AccountId> {
        let named = Named::of(facts);
        let is_full = |peer: &&PeerFact| {
            let cells = self.cells.get(&(Whose::AsItIs, peer.id, peer.home.clone()));
            let always = |cells: &Vec<Cell>| cells.iter().all(|cell| cell[LEVELS - 1] & ADMINISTERS != 0);
            peer.kind == PeerKind::Person
                && peer.expire_time.is_none()
                && cells.is_some_and(always)
                && administers_for_good(facts, &named, peer, self.moments[0].0)
        };
        facts.peers.iter().filter(is_full).map(|peer| peer.home.clone()).collect()
    }
}

/// Whether one grant without requirement or condition makes a peer its home's administrator and does not
/// end, and no DENY ever takes that away: at other times or in other circumstances than those looked at,
/// the right may be another one.
fn administers_for_good(facts: &Facts, named: &Named, peer: &PeerFact, now: Timestamp) -> bool {
    let path = facts.path(&peer.home);
    let (mut allowed, mut denied) = (false, false);
    for binding in &facts.bindings {
        let reaches = match binding.reach {
            Reach::AccountOnly => binding.account == peer.home,
            Reach::Subtree => path.iter().any(|account| account.id == binding.account),
        };
        let Some((Mode::Active, during)) = membership(facts, peer, binding).filter(|_| reaches) else { continue };
        let windows = [binding.window, during];
        if binding.mode != Mode::Active || windows.iter().any(|window| window.is_over(now)) {
            continue;
        }
        let lasts = windows.iter().all(|window| window.contains(now) && window.expire().is_none());
        let role = facts.roles.iter().find(|role| role.id == binding.role);
        let of_role = role.into_iter().flat_map(|role| (0_u16..).zip(&role.grants).map(move |grant| (role, grant)));
        for (role, (place, grant)) in of_role.filter(|(_, (_, grant))| named.bits(grant) & ADMINISTERS != 0) {
            match grant.effect {
                Effect::Deny => denied |= conditions::labels_hold(&grant.condition, &path),
                Effect::Allow => {
                    let line = Line { binding, role, place, grant, active: true, missing: None };
                    let is_free = line.stated() == Requirements::default() && grant.condition.is_empty();
                    allowed |= lasts && is_free;
                }
            }
        }
    }
    allowed && !denied
}

/// How and when a peer is among the holders of a binding, if it is.
fn membership(facts: &Facts, peer: &PeerFact, binding: &BindingFact) -> Option<(Mode, Window)> {
    match binding.principal {
        Principal::Peer(holder) => (holder == peer.id).then_some((Mode::Active, Window::ALWAYS)),
        Principal::Group(group) => {
            let member = facts.members.iter().find(|member| member.group == group && member.peer == peer.id);
            member.map(|member| (member.mode, member.window))
        }
    }
}

/// Which of the watched permissions a pattern names.
struct Named(HashMap<String, u32>);

impl Named {
    fn of(facts: &Facts) -> Self {
        let mut named = HashMap::new();
        for grant in facts.roles.iter().flat_map(|role| &role.grants) {
            named.entry(grant.pattern.as_str().to_owned()).or_insert_with(|| {
                let bit = |(place, name): (usize, &&str)| {
                    let permission = facts.permissions.iter().find(|permission| permission.name.as_str() == *name)?;
                    names(grant, permission).then_some(1_u32 << place)
                };
                WATCHED.iter().enumerate().filter_map(bit).sum()
            });
        }
        Self(named)
    }

    fn bits(&self, grant: &Grant) -> u32 {
        self.0.get(grant.pattern.as_str()).copied().unwrap_or_default()
    }
}

/// The rights on the account that the path begins with, or so many levels below it.
fn cell(
    facts: &Facts,
    named: &Named,
    (peer, whose): (&PeerFact, Whose),
    (path, below): (&[&AccountFact], usize),
    (now, context): &(Timestamp, Context),
) -> Cell {
    let is_enabled = peer.status == PeerStatus::Enabled && peer.expire_time.is_none_or(|end| *now < end);
    if !is_enabled && whose != Whose::RaisedAndEnabled {
        return Cell::default();
    }
    let question = Question {
        peer: Some(peer.id),
        permission: facts.permissions[0].name.clone(),
        account: path[0].id.clone(),
        now: *now,
        context: context.clone(),
    };
    let (mut cell, mut denied) = (Cell::default(), 0);
    for binding in &facts.bindings {
        let Some(at) = path.iter().position(|account| account.id == binding.account) else { continue };
        if (at + below > 0 && binding.reach == Reach::AccountOnly) || !binding.window.contains(*now) {
            continue;
        }
        let Some((membership, during)) = membership(facts, peer, binding) else { continue };
        if !during.contains(*now) {
            continue;
        }
        let active = binding.mode == Mode::Active && membership == Mode::Active;
        if !active && whose == Whose::AsItIs {
            continue;
        }
        let Some(role) = facts.roles.iter().find(|role| role.id == binding.role) else { continue };
        // Whoever raises a binding comes under its DENY grants with it.
        let (mut given, mut taken) = (Cell::default(), 0);
        for (place, grant) in (0_u16..).zip(&role.grants) {
            let holds = conditions::holds(&grant.condition, path, &question);
            match (grant.effect, holds) {
                (Effect::Deny, Holds::Yes | Holds::Lacks(_)) => taken |= named.bits(grant),
                (Effect::Allow, Holds::Yes) => {
                    let line = Line { binding, role, place, grant, active, missing: None };
                    let stated = line.stated();
                    let level = match (stated.step_up.is_some(), stated.approval) {
                        (false, false) => 3,
                        (true, false) => 2,
                        (false, true) => 1,
                        (true, true) => 0,
                    };
                    for level in &mut given[..=level] {
                        *level |= named.bits(grant);
                    }
                }
                (Effect::Allow | Effect::Deny, _) => {}
            }
        }
        denied |= if active { taken } else { 0 };
        for (level, given) in cell.iter_mut().zip(given) {
            *level |= given & !taken;
        }
    }
    cell.map(|level| level & !denied)
}
