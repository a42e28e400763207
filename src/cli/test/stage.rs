//! A world as the facts that decisions read: what `peerage apply` would make of it on a server that has
//! its packs and nothing else, made here in the same order and without a server.
//!
//! INVARIANT: a world from which facts come would be applied. What apply finds wrong with it is found
//! by apply's own plan; templates, settings and the rules about roles are those of the use cases. What
//! hangs on who applies it is not judged.

use std::collections::HashMap;

use uuid::Uuid;

use super::given::Registered;
use super::names::Names;
use crate::application::accounts::create::{RoleSource, Wish, plan};
use crate::application::accounts::effective;
use crate::application::invariants::{self, Ownership, Standing};
use crate::application::packs::{OPERATOR, Packs};
use crate::cli::apply;
use crate::cli::apply::problems::{At, Problems};
use crate::cli::apply::state::State;
use crate::cli::apply::world::{self, Access, World};
use crate::decision::Snapshot;
use crate::decision::compile::Compiler;
use crate::domain::account::{PartnerAccess, Settings};
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::fact::{AccountFact, BindingFact, Change, Fact, GroupFact, MemberFact, PeerFact, RoleFact};
use crate::domain::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::peer::{PeerStatus, user_name_hash};
use crate::domain::permission::{Pattern, Permission};
use crate::domain::role::{Condition, Effect, Grant, Requirements, RoleOrigin};
use crate::domain::time::{Timestamp, Window};
use crate::transport::grpc::convert::role::words;
use crate::transport::grpc::convert::{self, Fields};
use crate::transport::grpc::pb;

/// The facts of a world, and what the file calls them.
pub(super) struct Stage {
    pub(super) snapshot: Snapshot,
    pub(super) names: Names,
    /// Whether some answer may hang on the time.
    pub(super) is_timed: bool,
    pub(super) compiler: Compiler,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stage").field("snapshot", &self.snapshot.mark()).finish_non_exhaustive()
    }
}

/// A world that was made into facts, and what of the registered permissions could not be.
pub(super) struct Staged {
    pub(super) stage: Stage,
    pub(super) refused: Problems,
}

/// Makes facts of a world. Everything that is wrong with it goes to the problems.
pub(super) fn stage(
    (world, file): (&World, &str),
    registered: &[Registered],
    now: Option<Timestamp>,
    problems: &mut Problems,
) -> anyhow::Result<Staged> {
    let packs = Packs::embedded()?;
    let mut refused = Problems::default();
    let registered = distinct(registered, &packs, &mut refused);
    let state = fresh(&packs, &registered);
    problems.extend(apply::obstacles(world, &state).reworded(|text| {
        text.replace("neither in the file nor on the server", "not in the file")
            .replace("unknown to the server", "unknown")
    }));
    let mut compiler = Compiler::new()?;
    let base = base(&packs, &registered, &mut compiler)?;
    let now = now.unwrap_or(Timestamp::from_micros(0));
    let mut maker = Maker {
        packs: &packs,
        snapshot: base,
        names: Names { world: file.to_owned(), ..Names::default() },
        compiler,
        now,
        last: 0,
        open: HashMap::new(),
        problems,
    };
    maker.world(world);
    let Maker { snapshot, names, compiler, .. } = maker;
    Ok(Staged { stage: Stage { snapshot, names, is_timed: is_timed(world), compiler }, refused })
}

/// What services registered, once each and beside what the packs have already.
fn distinct<'a>(registered: &'a [Registered], packs: &Packs, problems: &mut Problems) -> Vec<&'a Permission> {
    let mut found: Vec<&Permission> = Vec::new();
    for Registered { line, permission } in registered {
        let name = &permission.name;
        if packs.catalogue().iter().any(|known| known.name == *name) {
            problems.add(*line, format!("permission `{name}` is of the role packs already"));
        } else if found.iter().any(|known| known.name == *name) {
            problems.add(*line, format!("permission `{name}` stands twice in `permissions`"));
        } else {
            found.push(permission);
        }
    }
    found
}

/// What apply finds on a server that has its packs and nothing else.
fn fresh(packs: &Packs, registered: &[&Permission]) -> State {
    let roles = packs.roles().map(|role| {
        let rules = convert::role::rules_to_pb(&role.fact.rules);
        (role.fact.id.clone(), pb::Role { rules: Some(rules), ..Default::default() })
    });
    let permissions = packs.catalogue().iter().chain(registered.iter().copied());
    State::fresh(
        roles.collect(),
        packs.iter().map(|pack| pack.id.clone()).collect(),
        permissions.map(|permission| permission.name.to_string()).collect(),
    )
}

/// The catalogue, the built-in roles and the root. The operator holds what services reserve, too.
fn base(packs: &Packs, registered: &[&Permission], compiler: &mut Compiler) -> anyhow::Result<Snapshot> {
    let permissions = packs.catalogue().iter().chain(registered.iter().copied());
    let reserved = registered.iter().filter(|permission| permission.flags.reserved);
    let reserved: Vec<Grant> = reserved
        .map(|permission| Grant {
            pattern: Pattern::from(&permission.name),
            effect: Effect::Allow,
            requirements: Requirements::default(),
            condition: Condition::default(),
        })
        .collect();
    let roles = packs.roles().map(|role| {
        let mut fact = RoleFact::clone(&role.fact);
        if fact.id.as_str() == OPERATOR {
            fact.grants.extend(reserved.iter().cloned());
        }
        Fact::Role(fact)
    });
    let root = Fact::Account(AccountFact::root());
    let facts = permissions.cloned().map(Fact::Permission).chain([root]).chain(roles);
    Ok(Snapshot::load(1, facts, compiler)?)
}

/// Whether a world has anything that begins or ends.
fn is_timed(world: &World) -> bool {
    let weekly = |grant: &pb::Grant| grant.condition.as_ref().is_some_and(|when| !when.weekly_windows.is_empty());
    world.peers.iter().any(|peer| peer.profile.expire_time.is_some())
        || world.roles.iter().any(|role| role.grants.iter().any(weekly))
        || world.bindings.iter().any(|binding| binding.start.is_some() || binding.expire.is_some())
        || world.groups.iter().flat_map(|group| &group.members).any(|one| one.start.is_some() || one.expire.is_some())
}

/// Makes one fact after another.
struct Maker<'a> {
    packs: &'a Packs,
    snapshot: Snapshot,
    names: Names,
    compiler: Compiler,
    now: Timestamp,
    /// The number of the last id.
    last: u128,
    /// When each of the bindings is open that differ in nothing but that.
    open: HashMap<(Principal, RoleId, AccountId, Reach, Mode), Vec<Window>>,
    problems: &'a mut Problems,
}

/// A role that somebody gets.
struct Given<'a> {
    line: u64,
    principal: Principal,
    role: &'a RoleId,
    account: &'a AccountId,
    reach: Reach,
    mode: Mode,
    window: Window,
    ownership: Ownership,
}

impl Maker<'_> {
    fn world(&mut self, world: &World) {
        for account in &world.accounts {
            self.account(account, world);
        }
        for role in &world.roles {
            self.role(role);
        }
        for peer in &world.peers {
            if world.accounts.iter().all(|account| !is_first(account, peer)) {
                self.peer_with_access(peer);
            }
        }
        for group in &world.groups {
            self.group(group);
        }
        for binding in &world.bindings {
            self.binding(binding);
        }
    }

    /// Ids in the order of the file, as those of a server are in the order of making.
    fn id(&mut self) -> Uuid {
        self.last += 1;
        Uuid::from_u128((0x7_u128 << 76) | (0x8_u128 << 60) | self.last)
    }

    /// Takes a fact in, unless a rule is against it.
    fn make(&mut self, line: u64, fact: Fact, ownership: Ownership) {
        let change = [Change::made(fact)];
        let after = match self.snapshot.with(&change, &mut self.compiler) {
            Ok(after) => after,
            // What is wrong with what it names was said there.
            Err(_) if !self.problems.is_empty() => return,
            Err(error) => return self.problems.add(line, error.to_string()),
        };
        let standing = (ownership, Standing::Operator);
        match invariants::check(&self.snapshot, &after, &change, standing, self.now) {
            Ok(()) => self.snapshot = after,
            // Apply's plan says the same in words of the file.
            Err(_) if self.problems.has(line) => {}
            Err(error) => self.problems.add(line, error.to_string()),
        }
    }

    fn account(&mut self, account: &world::Account, world: &World) {
        let Some(parent) = self.snapshot.find_account(account.parent.value.as_str()) else { return };
        let Some(kind) = words::account_kind(account.kind.into()).ok() else { return };
        let settings = Settings {
            partner_access: account.partner_access.and_then(partner_access),
            role_packs: account.role_packs.as_ref().filter(|packs| !packs.is_empty()).map(|packs| texts(packs)),
            ..Settings::default()
        };
        let first = account.first_peer.as_ref().and_then(|_| world.peers.iter().find(|peer| is_first(account, peer)));
        let role = first.and_then(|first| first.role.as_ref()).and_then(|role| self.names.find_role(&role.value));
        let wish = Wish {
            id: &account.id,
            kind,
            settings: &settings,
            template: account.template.as_ref().map(|template| template.value.as_str()),
            first_peer: first.map(|_| role.as_ref()),
        };
        let made = match plan(self.packs, &wish, &effective(&self.snapshot, parent)) {
            Ok(made) => made,
            Err(error) => return self.problems.add(account.line, error.to_string()),
        };
        let fact = AccountFact {
            partner_access: made.settings.partner_access.unwrap_or_default(),
            labels: account.labels.clone(),
            role_packs: made.settings.role_packs,
            ..AccountFact::new(account.id.clone(), Some(account.parent.value.clone()), kind)
        };
        self.make(account.line, Fact::Account(fact), Ownership::Fixed);
        let (Some(first), Some((role, source))) = (first, made.role) else { return };
        let Some(peer) = self.peer(first) else { return };
        let ownership = match source {
            RoleSource::Template => Ownership::Changing,
            RoleSource::Request => Ownership::Fixed,
        };
        self.give(Given { ownership, ..at_home(first.line, peer, &role, &account.id) });
    }

    fn role(&mut self, role: &world::Role) {
        let mut fields = Fields::default();
        let grants = convert::role::grant::grants(&mut fields, "grants", &role.grants);
        let rules = convert::role::rules(&mut fields, "rules", &role.rules.clone().unwrap_or_default());
        for violation in fields.into_violations() {
            self.problems.add(role.line, format!("`{}` {}", violation.field, violation.why));
        }
        let (Some(grants), Some(rules)) = (grants, rules) else { return };
        let id = RoleId::custom(self.id());
        let origin =
            RoleOrigin::Custom { owner: role.key.account.clone(), inheritable: role.inheritable.unwrap_or(false) };
        self.names.roles.insert(role.key.folded(), (id.clone(), role.key.show()));
        self.make(role.line, Fact::Role(RoleFact { id, origin, grants, rules }), Ownership::Fixed);
    }

    fn peer(&mut self, peer: &world::Peer) -> Option<PeerId> {
        let kind = words::peer_kind(peer.kind.into()).ok()?;
        let id = PeerId::from(self.id());
        let key = peer.user_name.key();
        let fact = PeerFact {
            id,
            user_name_hash: user_name_hash(&key),
            kind,
            home: peer.home.value.clone(),
            status: if peer.disabled == Some(true) { PeerStatus::Disabled } else { PeerStatus::Enabled },
            expire_time: peer.profile.expire_time.as_ref().and_then(moment),
            person: None,
        };
        self.names.peers.insert(key, (id, peer.user_name.as_str().to_owned()));
        self.make(peer.line, Fact::Peer(fact), Ownership::Fixed);
        Some(id)
    }

    fn peer_with_access(&mut self, peer: &world::Peer) {
        let Some(id) = self.peer(peer) else { return };
        let Some(role) = peer.role.as_ref().and_then(|role| self.names.find_role(&role.value)) else { return };
        match &peer.access {
            Some(Access::Accounts(accounts)) => {
                for account in accounts {
                    self.give(at_home(account.line, id, &role, &account.value));
                }
            }
            Some(Access::All) | None => self.give(at_home(peer.line, id, &role, &peer.home.value)),
        }
    }

    fn group(&mut self, group: &world::Group) {
        let id = GroupId::from(self.id());
        self.names.groups.insert(group.key.folded(), (id, group.key.show()));
        self.make(group.line, Fact::Group(GroupFact { id, account: group.key.account.clone() }), Ownership::Fixed);
        for member in &group.members {
            let Some((peer, _)) = self.names.peers.get(&member.peer.value.key()) else { continue };
            let (peer, window) = (*peer, window(member.start.as_ref(), member.expire.as_ref()));
            let Ok(mode) = words::mode(member.mode.into()) else { continue };
            self.make(member.peer.line, Fact::Member(MemberFact { group: id, peer, mode, window }), Ownership::Fixed);
        }
    }

    fn binding(&mut self, binding: &world::Binding) {
        let principal = match &binding.principal.value {
            world::Principal::Peer(name) => self.names.peers.get(&name.key()).map(|(id, _)| Principal::Peer(*id)),
            world::Principal::Group(group) => self.names.find_group(group).map(Principal::Group),
        };
        let (Some(principal), Some(role)) = (principal, self.names.find_role(&binding.role.value)) else { return };
        let (Ok(reach), Ok(mode)) = (words::reach(binding.reach.into()), words::mode(binding.mode.into())) else {
            return;
        };
        self.give(Given {
            line: binding.line,
            principal,
            role: &role,
            account: &binding.account.value,
            reach,
            mode,
            window: window(binding.start.as_ref(), binding.expire.as_ref()),
            ownership: Ownership::Fixed,
        });
    }

    fn give(&mut self, given: Given<'_>) {
        let same = (given.principal, given.role.clone(), given.account.clone(), given.reach, given.mode);
        let open = self.open.entry(same).or_default();
        if open.iter().any(|other| other.intersect(given.window).is_some()) {
            let role = self.names.role(given.role);
            let text =
                format!("the same binding of role `{role}` on `{}` is there for some of that time", given.account);
            return self.problems.add(given.line, text);
        }
        open.push(given.window);
        let id = BindingId::from(self.id());
        self.names.bindings.insert(id, given.line);
        let fact = BindingFact {
            id,
            principal: given.principal,
            role: given.role.clone(),
            account: given.account.clone(),
            reach: given.reach,
            mode: given.mode,
            window: given.window,
        };
        self.make(given.line, Fact::Binding(fact), given.ownership);
    }
}

/// What comes with a peer: for an account and everything below, from now on.
fn at_home<'a>(line: u64, peer: PeerId, role: &'a RoleId, account: &'a AccountId) -> Given<'a> {
    Given {
        line,
        principal: Principal::Peer(peer),
        role,
        account,
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::ALWAYS,
        ownership: Ownership::Fixed,
    }
}

fn is_first(account: &world::Account, peer: &world::Peer) -> bool {
    account.first_peer.as_ref().is_some_and(|first| first.value.key() == peer.user_name.key())
}

fn texts(items: &[At<String>]) -> Vec<String> {
    items.iter().map(|item| item.value.clone()).collect()
}

pub(super) fn moment(time: &prost_types::Timestamp) -> Option<Timestamp> {
    convert::parse_time(time).ok()
}

fn window(start: Option<&prost_types::Timestamp>, expire: Option<&prost_types::Timestamp>) -> Window {
    // The order of the two was checked where the file was read.
    Window::parse(start.and_then(moment), expire.and_then(moment)).unwrap_or(Window::ALWAYS)
}

const fn partner_access(mode: pb::PartnerAccessMode) -> Option<PartnerAccess> {
    match mode {
        pb::PartnerAccessMode::Unspecified => None,
        pb::PartnerAccessMode::Allowed => Some(PartnerAccess::Allowed),
        pb::PartnerAccessMode::SessionOnly => Some(PartnerAccess::SessionOnly),
        pb::PartnerAccessMode::ByApproval => Some(PartnerAccess::ByApproval),
        pb::PartnerAccessMode::Blocked => Some(PartnerAccess::Blocked),
    }
}
