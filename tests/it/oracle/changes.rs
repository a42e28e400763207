//! A snapshot that followed changes answers like one loaded from scratch.
//!
//! Random revisions, each of a few changes such as the server makes, are applied one upon the other.
//! Every few revisions all questions of the world are put to both snapshots, and what they tell
//! guards and lists is compared; some questions go to the naive evaluator too. A snapshot from
//! before must still answer as it did: the two share memory. And with the changes undone, newest first,
//! the later one answers like the one before.

use peerage::decision::Snapshot;
use peerage::decision::compile::Compiler;
use peerage::domain::account::{AccountKind, DEPTH_MAX};
use peerage::domain::binding::Principal;
use peerage::domain::fact::{AccountFact, BindingFact, Change, Fact, MemberFact, PeerFact, RoleFact};
use peerage::domain::ids::{AccountId, GroupId, PeerId};
use peerage::domain::permission::{Permission, PermissionFlags};
use peerage::domain::role::RoleOrigin;

use super::facts::Facts;
use super::naive::{self, Answer};
use super::world::Maker;
use super::{fast, size};

const REVISIONS: u64 = 3_000;
const REVISIONS_PER_WORLD: u64 = 30;
/// Worlds are compared after so many revisions; a failing one is gone through again one by one.
const COMPARED_EVERY: u64 = 5;
/// Small worlds have fewer questions than this, and are asked all of them.
const QUESTIONS: usize = 8_000;
const NAIVE_QUESTIONS: usize = 40;

#[test]
fn a_changed_snapshot_answers_like_one_loaded_from_scratch() {
    let revisions = size("PEERAGE_ORACLE_REVISIONS", REVISIONS);
    let mut compiler = Compiler::new().unwrap();
    for seed in 0..revisions.div_ceil(REVISIONS_PER_WORLD) {
        if let Err(first) = follow(seed, COMPARED_EVERY, &mut compiler) {
            let closer = follow(seed, 1, &mut compiler).err().unwrap_or(first);
            panic!("seed {seed}: {closer}");
        }
    }
}

/// Changes one world again and again; says where the two snapshots part.
fn follow(seed: u64, every: u64, compiler: &mut Compiler) -> Result<(), String> {
    let mut maker = Maker::new(seed + 1_000_000);
    let mut facts = maker.world(seed % 20 == 19);
    let mut gone = Vec::new();
    let mut snapshot = Snapshot::load(1, facts.all(), compiler).unwrap();
    let (mut before, mut before_facts) = (snapshot.clone(), facts.clone());
    let mut before_answers = answers(&before, &before_facts, &maker);
    let mut since = Vec::new();
    for revision in 2..2 + REVISIONS_PER_WORLD {
        let changes = revision_of(&mut maker, &mut facts, &mut gone);
        since.extend(changes.iter().cloned());
        snapshot = snapshot
            .apply(revision.cast_signed(), &changes, compiler)
            .map_err(|error| format!("revision {revision}: {error}: {}", text(&changes)))?;
        if revision % every != 0 {
            continue;
        }
        let scratch = Snapshot::load(revision.cast_signed(), facts.all(), compiler).unwrap();
        let after_answers = answers(&snapshot, &facts, &maker);
        let at = |what: String| Err(format!("revision {revision}: {what}\nchanges: {}", text(&changes)));
        if let Some(difference) = first_difference(&facts, &maker, &after_answers, &answers(&scratch, &facts, &maker)) {
            return at(difference);
        }
        let (own, other) = (fast::picture(&snapshot, &facts, &gone), fast::picture(&scratch, &facts, &gone));
        if own != other {
            let only_own: Vec<_> = own.difference(&other).collect();
            let only_other: Vec<_> = other.difference(&own).collect();
            return at(format!("changed only: {only_own:#?}\nscratch only: {only_other:#?}"));
        }
        // The same facts are the same bytes, whatever led to them, and lead to the same facts again.
        let bytes = fast::image(&snapshot);
        let read = Snapshot::read_image(&mut &bytes[..], snapshot.mark(), compiler).unwrap();
        if bytes != fast::image(&scratch) || bytes != fast::image(&read) {
            return at("the bytes of the same facts differ".to_owned());
        }
        let (own, other) = (fast::picture(&read, &facts, &gone), fast::picture(&scratch, &facts, &gone));
        if own != other {
            return at("what was read from bytes is something else".to_owned());
        }
        for _ in 0..NAIVE_QUESTIONS {
            let question = maker.question(&facts);
            let (own, naive) = (fast::answer(&snapshot, &question), naive::answer(&facts, &question));
            if own != naive {
                return at(format!("{question:#?}\nchanged: {own:?}\nnaive: {naive:?}"));
            }
        }
        if answers(&before, &before_facts, &maker) != before_answers {
            return at("the snapshot before it changed its answers".to_owned());
        }
        // Going back leads to where it came from.
        let undone = snapshot.without(since.iter().rev(), compiler).map_err(|error| format!("undoing: {error}"))?;
        if let Some(difference) =
            first_difference(&before_facts, &maker, &answers(&undone, &before_facts, &maker), &before_answers)
        {
            return at(format!("undone: {difference}"));
        }
        let (own, other) = (fast::picture(&undone, &before_facts, &[]), fast::picture(&before, &before_facts, &[]));
        if own != other {
            let only_own: Vec<_> = own.difference(&other).collect();
            let only_other: Vec<_> = other.difference(&own).collect();
            return at(format!("undone only: {only_own:#?}\nbefore only: {only_other:#?}"));
        }
        if fast::image(&undone) != fast::image(&before) {
            return at("the bytes of the facts before differ".to_owned());
        }
        since.clear();
        (before, before_facts, before_answers) = (snapshot.clone(), facts.clone(), after_answers);
    }
    Ok(())
}

fn answers(snapshot: &Snapshot, facts: &Facts, maker: &Maker) -> Vec<Answer> {
    fast::questions(facts, maker.now, QUESTIONS).map(|question| fast::answer(snapshot, &question)).collect()
}

fn first_difference(facts: &Facts, maker: &Maker, own: &[Answer], other: &[Answer]) -> Option<String> {
    let questions = fast::questions(facts, maker.now, QUESTIONS);
    let differing = questions.zip(own.iter().zip(other)).find(|(_, (own, other))| own != other);
    differing.map(|(question, (own, other))| format!("{question:#?}\nchanged: {own:?}\nscratch: {other:?}"))
}

fn text(changes: &[Change]) -> String {
    serde_json::to_string_pretty(changes).unwrap()
}

/// One revision of a few changes; the facts are changed along.
pub(super) fn revision_of(maker: &mut Maker, facts: &mut Facts, gone: &mut Vec<Fact>) -> Vec<Change> {
    let mut revision = Revision { facts, gone, changes: Vec::new() };
    let acts = 1 + maker.random.below(3);
    while revision.changes.len() < acts {
        revision.act(maker);
    }
    revision.changes
}

struct Revision<'a> {
    facts: &'a mut Facts,
    gone: &'a mut Vec<Fact>,
    changes: Vec<Change>,
}

impl Revision<'_> {
    fn made(&mut self, fact: Fact) {
        self.facts.put(fact.clone());
        self.changes.push(Change::made(fact));
    }

    fn changed(&mut self, before: Fact, after: Fact) {
        self.facts.put(after.clone());
        self.changes.push(Change::changed(before, after));
    }

    fn gone(&mut self, fact: Fact) {
        self.facts.drop(&fact.key());
        self.gone.push(fact.clone());
        self.changes.push(Change::gone(fact));
    }

    fn act(&mut self, maker: &mut Maker) {
        match maker.random.below(22) {
            0..3 => {
                if let Some(binding) = maker.binding(self.facts) {
                    self.made(Fact::Binding(binding));
                }
            }
            3..5 => self.change_binding(maker),
            5 | 6 => {
                if let Some(binding) = maker.random.pick(&self.facts.bindings).cloned() {
                    self.gone(Fact::Binding(binding));
                }
            }
            7 | 8 => self.put_member(maker),
            9 => {
                if let Some(member) = maker.random.pick(&self.facts.members).cloned() {
                    self.gone(Fact::Member(member));
                }
            }
            10 => self.group(maker),
            11 | 12 => self.edit_role(maker),
            13 => self.role(maker),
            14 => self.move_account(maker),
            15 | 16 => self.change_account(maker),
            17 => self.account(maker),
            18 => self.peer(maker),
            19 => self.change_peer(maker),
            20 => self.permission(maker),
            _ => self.api_key(maker),
        }
    }

    /// What UpdateRoleBinding changes, and now and then where, what or how far.
    fn change_binding(&mut self, maker: &mut Maker) {
        let Some(before) = maker.random.pick(&self.facts.bindings).cloned() else { return };
        let mut after = BindingFact { mode: maker.mode(), window: maker.window(), ..before.clone() };
        if maker.random.chance(40)
            && let Some(other) = maker.binding(self.facts)
        {
            after = BindingFact { id: before.id, principal: before.principal, ..other };
        }
        self.changed(Fact::Binding(before), Fact::Binding(after));
    }

    fn put_member(&mut self, maker: &mut Maker) {
        let Some(member) = maker.member(self.facts) else { return };
        let same = |known: &&MemberFact| (known.group, known.peer) == (member.group, member.peer);
        match self.facts.members.iter().find(same).cloned() {
            Some(before) => self.changed(Fact::Member(before), Fact::Member(member)),
            None => self.made(Fact::Member(member)),
        }
    }

    fn group(&mut self, maker: &mut Maker) {
        match maker.random.pick(&self.facts.groups).cloned() {
            Some(group) if maker.random.chance(40) => self.drop_group(group.id),
            Some(_) | None => {
                let (id, account) = (GroupId::from(maker.random.uuid()), maker.some_account(self.facts));
                self.made(Fact::Group(peerage::domain::fact::GroupFact { id, account }));
            }
        }
    }

    fn drop_group(&mut self, id: GroupId) {
        self.drop_bindings(|binding| binding.principal == Principal::Group(id));
        self.drop_members(|member| member.group == id);
        if let Some(group) = self.facts.groups.iter().find(|group| group.id == id).cloned() {
            self.gone(Fact::Group(group));
        }
    }

    fn drop_bindings(&mut self, which: impl Fn(&BindingFact) -> bool) {
        let some: Vec<_> = self.facts.bindings.iter().filter(|binding| which(binding)).cloned().collect();
        some.into_iter().for_each(|binding| self.gone(Fact::Binding(binding)));
    }

    fn drop_members(&mut self, which: impl Fn(&MemberFact) -> bool) {
        let some: Vec<_> = self.facts.members.iter().filter(|member| which(member)).cloned().collect();
        some.into_iter().for_each(|member| self.gone(Fact::Member(member)));
    }

    fn edit_role(&mut self, maker: &mut Maker) {
        let Some(before) = maker.random.pick(&self.facts.roles).cloned() else { return };
        let mut after = before.clone();
        match maker.random.below(4) {
            0 => after.grants = maker.grants(self.facts),
            1 => after.rules = maker.role(self.facts).rules,
            2 => {
                let more = maker.grants(self.facts);
                let place = maker.random.below(after.grants.len() + 1);
                after.grants.splice(place..place, more);
            }
            _ => drop(after.grants.pop()),
        }
        self.changed(Fact::Role(before), Fact::Role(after));
    }

    fn role(&mut self, maker: &mut Maker) {
        let drops = maker.random.chance(40);
        let Some(role) = maker.random.pick(&self.facts.roles).filter(|_| drops).cloned() else {
            let role = maker.role(self.facts);
            return self.made(Fact::Role(role));
        };
        self.drop_role(role);
    }

    fn drop_role(&mut self, role: RoleFact) {
        self.drop_bindings(|binding| binding.role == role.id);
        self.gone(Fact::Role(role));
    }

    fn move_account(&mut self, maker: &mut Maker) {
        let Some(before) = maker.random.pick(&self.facts.accounts).cloned() else { return };
        let paths: Vec<_> = self.facts.accounts.iter().map(|account| self.facts.path(&account.id)).collect();
        let depth = self.facts.path(&before.id).len();
        let below = paths.iter().filter(|path| path.iter().any(|above| above.id == before.id));
        let height = below.map(|path| path.len() - depth + 1).max().unwrap_or(1);
        let parents: Vec<AccountId> = self
            .facts
            .accounts
            .iter()
            .filter(|parent| {
                parent.kind.may_hold(before.kind)
                    && !self.facts.is_within(&parent.id, &before.id)
                    && self.facts.path(&parent.id).len() + height <= DEPTH_MAX
            })
            .map(|parent| parent.id.clone())
            .collect();
        if let Some(parent) = maker.random.pick(&parents) {
            let after = AccountFact { parent: Some(parent.clone()), ..before.clone() };
            self.changed(Fact::Account(before), Fact::Account(after));
        }
    }

    fn change_account(&mut self, maker: &mut Maker) {
        let Some(before) = maker.random.pick(&self.facts.accounts).cloned() else { return };
        let mut after = before.clone();
        match maker.random.below(4) {
            0 => after.labels = maker.labels(40),
            1 => after.partner_access = maker.partner_access(before.kind),
            2 => after.role_packs = maker.random.chance(50).then(|| vec!["keepit".to_owned()]),
            _ if before.kind == AccountKind::Platform => {}
            _ => {
                after.suspension = match before.suspension {
                    Some(_) => None,
                    None => maker.suspension(),
                }
            }
        }
        self.changed(Fact::Account(before), Fact::Account(after));
    }

    fn account(&mut self, maker: &mut Maker) {
        let is_leaf = |account: &&AccountFact| {
            account.kind != AccountKind::Platform
                && !self.facts.accounts.iter().any(|other| other.parent.as_ref() == Some(&account.id))
        };
        let leaves: Vec<AccountFact> = self.facts.accounts.iter().filter(is_leaf).cloned().collect();
        match maker.random.pick(&leaves) {
            Some(leaf) if maker.random.chance(40) => self.drop_account(leaf),
            Some(_) | None => {
                if let Some(account) = maker.account(self.facts) {
                    self.made(Fact::Account(account));
                }
            }
        }
    }

    /// DeleteAccount with cascade of a leaf: what is owned by, homed in or bound at it goes first.
    fn drop_account(&mut self, leaf: &AccountFact) {
        self.drop_bindings(|binding| binding.account == leaf.id);
        let groups: Vec<GroupId> =
            self.facts.groups.iter().filter(|group| group.account == leaf.id).map(|group| group.id).collect();
        groups.into_iter().for_each(|group| self.drop_group(group));
        let peers: Vec<PeerFact> = self.facts.peers.iter().filter(|peer| peer.home == leaf.id).cloned().collect();
        peers.into_iter().for_each(|peer| self.drop_peer(peer));
        let is_owned = |role: &&RoleFact| matches!(&role.origin, RoleOrigin::Custom { owner, .. } if *owner == leaf.id);
        let roles: Vec<RoleFact> = self.facts.roles.iter().filter(is_owned).cloned().collect();
        roles.into_iter().for_each(|role| self.drop_role(role));
        self.gone(Fact::Account(leaf.clone()));
    }

    /// The purge of a peer, and of what it has.
    fn drop_peer(&mut self, peer: PeerFact) {
        let id: PeerId = peer.id;
        self.drop_bindings(|binding| binding.principal == Principal::Peer(id));
        self.drop_members(|member| member.peer == id);
        let keys: Vec<_> = self.facts.api_keys.iter().filter(|key| key.peer == id).cloned().collect();
        keys.into_iter().for_each(|key| self.gone(Fact::ApiKey(key)));
        self.gone(Fact::Peer(peer));
    }

    fn peer(&mut self, maker: &mut Maker) {
        match maker.random.pick(&self.facts.peers).cloned() {
            Some(peer) if maker.random.chance(40) => self.drop_peer(peer),
            Some(_) | None => {
                let peer = maker.peer(self.facts);
                let principal = Principal::Peer(peer.id);
                self.made(Fact::Peer(peer));
                // As CreatePeer does, in one revision.
                if let Some(binding) = maker.binding(self.facts) {
                    self.made(Fact::Binding(BindingFact { principal, ..binding }));
                }
            }
        }
    }

    fn change_peer(&mut self, maker: &mut Maker) {
        let Some(before) = maker.random.pick(&self.facts.peers).cloned() else { return };
        let mut after = before.clone();
        match maker.random.below(5) {
            0 | 1 => after.status = maker.status(),
            2 => after.expire_time = maker.peer_end(),
            3 => {
                after.user_name_hash = maker.random.uuid().as_u128();
                self.gone.push(Fact::Peer(before.clone()));
            }
            _ => after.person = maker.random.pick(&self.facts.peers).map(|peer| peer.id),
        }
        self.changed(Fact::Peer(before), Fact::Peer(after));
    }

    /// RegisterPermissions: a new one, or other flags of a known one.
    fn permission(&mut self, maker: &mut Maker) {
        if maker.random.chance(40)
            && let Some(before) = maker.random.pick(&self.facts.permissions).cloned()
        {
            // Whether it is reserved is what roles are compiled again for.
            let reserved = before.flags.reserved != maker.random.chance(50);
            let after = Permission { flags: PermissionFlags { reserved, ..maker.flags() }, ..before.clone() };
            return self.changed(Fact::Permission(before), Fact::Permission(after));
        }
        if let Some(permission) = maker.permission(self.facts) {
            self.made(Fact::Permission(permission));
        }
    }

    fn api_key(&mut self, maker: &mut Maker) {
        match maker.random.pick(&self.facts.api_keys).cloned() {
            Some(key) if maker.random.chance(50) => self.gone(Fact::ApiKey(key)),
            Some(_) | None => {
                if let Some(key) = maker.api_key(self.facts) {
                    self.made(Fact::ApiKey(key));
                }
            }
        }
    }
}
