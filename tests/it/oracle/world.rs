//! Small random worlds, dense in what decisions turn on: deep trees, both scopes of suspension,
//! partner access, wildcards, reserved permissions, DENY grants, every class of requirement, label
//! conditions, windows whose ends are this very microsecond, standing and eligible members.
//!
//! Some worlds are a little larger than the pieces that a snapshot is made of (chunks of accounts
//! and peers, words of bits, long lists of bindings). Rules of use that decisions do not read, such
//! as who may be bound to what, are not kept to here.

use std::collections::BTreeMap;

use peerage::domain::account::{AccountKind, DEPTH_MAX, PartnerAccess, SuspensionScope};
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::context::Context;
use peerage::domain::fact::{AccountFact, ApiKeyFact, BindingFact, GroupFact, MemberFact, PeerFact, RoleFact};
use peerage::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use peerage::domain::peer::{PeerKind, PeerStatus};
use peerage::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use peerage::domain::role::{AssuranceLevel, Effect, Grant, Requirements, RoleOrigin, RoleRules, StepUp};
use peerage::domain::time::{Timestamp, Window};

use super::circumstances;
use super::facts::Facts;
use super::naive::Question;
use super::random::Random;

const RESOURCES: [&str; 5] = ["accounts", "billing", "devices", "licenses", "users"];
const ACTIONS: [&str; 5] = ["delete", "manage", "order", "reset", "view"];
pub(super) const LABELS: [(&str, [&str; 3]); 2] =
    [("env", ["test", "stage", "live"]), ("tier", ["gold", "silver", "iron"])];
const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;

/// Makes worlds, facts and questions from one seed.
pub(crate) struct Maker {
    pub(crate) random: Random,
    pub(crate) now: Timestamp,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut micros = 1_800_000_000_000_000 + i64::try_from(random.below(1_000_000_000_000)).unwrap();
        if random.chance(40) {
            // Where weekly windows begin and end.
            micros -= micros % MINUTE;
        }
        Self { random, now: Timestamp::from_micros(micros) }
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        *self.random.pick(items).unwrap()
    }

    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.random.below(high - low + 1)
    }

    /// A whole world. `large` ones reach beyond one chunk of accounts and peers and one word of bits.
    pub(crate) fn world(&mut self, large: bool) -> Facts {
        let mut facts = Facts::default();
        let sizes = if large { [80, 75, 8, 280, 40] } else { [0; 5] };
        for _ in 0..self.between(8, 18) + sizes[0] {
            let permission = self.permission(&facts);
            facts.permissions.extend(permission);
        }
        facts.accounts.push(self.root());
        for _ in 0..self.between(4, 16) + sizes[1] {
            let account = self.account(&facts);
            facts.accounts.extend(account);
        }
        for _ in 0..self.between(3, 7) + sizes[2] {
            let role = self.role(&facts);
            facts.roles.push(role);
        }
        for _ in 0..self.between(1, 4) {
            let group = GroupFact { id: GroupId::from(self.random.uuid()), account: self.some_account(&facts) };
            facts.groups.push(group);
        }
        for _ in 0..self.between(3, 9) + sizes[3] {
            let peer = self.peer(&facts);
            facts.peers.push(peer);
        }
        for _ in 0..self.between(2, 10) + sizes[4] {
            if let Some(member) = self.member(&facts)
                && !facts.members.iter().any(|known| (known.group, known.peer) == (member.group, member.peer))
            {
                facts.members.push(member);
            }
        }
        for _ in 0..self.between(6, 26) + sizes[3] {
            let binding = self.binding(&facts);
            facts.bindings.extend(binding);
        }
        if large || self.random.chance(15) {
            self.heap_bindings(&mut facts);
        }
        for _ in 0..self.between(0, 3) {
            let key = self.api_key(&facts);
            facts.api_keys.extend(key);
        }
        facts
    }

    /// Gives one peer or group far more bindings than the others have.
    fn heap_bindings(&mut self, facts: &mut Facts) {
        let Some(principal) = self.principal(facts) else { return };
        for _ in 0..self.between(15, 70) {
            if let Some(binding) = self.binding(facts) {
                facts.bindings.push(BindingFact { principal, ..binding });
            }
        }
    }

    pub(crate) fn permission(&mut self, facts: &Facts) -> Option<Permission> {
        let (resource, action) = (self.pick(&RESOURCES), self.pick(&ACTIONS));
        let mut name = format!("{resource}.{action}");
        let is_known = |name: &str| facts.permissions.iter().any(|known| known.name.as_str() == name);
        if is_known(&name) {
            // Beyond the small set there are actions that no literal pattern names, only wildcards.
            name = format!("{resource}.{action}_{}", facts.permissions.len());
        }
        if is_known(&name) {
            return None;
        }
        Some(Permission {
            name: PermissionName::parse(&name).unwrap(),
            title: name,
            feature: String::new(),
            flags: self.flags(),
            owner: PermissionOwner::Pack("core".into()),
        })
    }

    pub(crate) fn flags(&mut self) -> PermissionFlags {
        PermissionFlags {
            privileged: self.random.chance(20),
            reserved: self.random.chance(15),
            from_outside: self.random.chance(35),
            on_suspended: self.random.chance(35),
        }
    }

    fn root(&mut self) -> AccountFact {
        AccountFact {
            id: AccountId::platform(),
            parent: None,
            kind: AccountKind::Platform,
            suspension: self.random.chance(3).then_some(SuspensionScope::OwnPeers),
            partner_access: PartnerAccess::Allowed,
            labels: self.labels(20),
            role_packs: None,
            password_policy: Default::default(),
        }
    }

    /// An account below a random one, often below the youngest, so that some paths get long.
    pub(crate) fn account(&mut self, facts: &Facts) -> Option<AccountFact> {
        let youngest = facts.accounts.last().filter(|_| self.random.chance(55));
        let parent = youngest.or_else(|| self.random.pick(&facts.accounts))?;
        if facts.path(&parent.id).len() >= DEPTH_MAX {
            return None;
        }
        let kinds: &[AccountKind] = match parent.kind {
            AccountKind::Platform => &[AccountKind::Partner],
            AccountKind::Partner => &[AccountKind::Partner, AccountKind::Customer],
            AccountKind::Customer | AccountKind::Department => &[AccountKind::Department],
        };
        let kind = self.pick(kinds);
        let number = self.random.number();
        Some(AccountFact {
            id: AccountId::parse(&format!("a{number:x}")).unwrap(),
            parent: Some(parent.id.clone()),
            kind,
            suspension: self.suspension(),
            partner_access: self.partner_access(kind),
            labels: self.labels(30),
            role_packs: None,
            password_policy: Default::default(),
        })
    }

    pub(crate) fn suspension(&mut self) -> Option<SuspensionScope> {
        match self.random.below(100) {
            0..4 => Some(SuspensionScope::Subtree),
            4..8 => Some(SuspensionScope::OwnPeers),
            _ => None,
        }
    }

    /// Set on partners and customers only.
    pub(crate) fn partner_access(&mut self, kind: AccountKind) -> PartnerAccess {
        match kind {
            AccountKind::Partner | AccountKind::Customer if self.random.chance(25) => {
                self.pick(&[PartnerAccess::SessionOnly, PartnerAccess::ByApproval, PartnerAccess::Blocked])
            }
            AccountKind::Platform | AccountKind::Partner | AccountKind::Customer | AccountKind::Department => {
                PartnerAccess::Allowed
            }
        }
    }

    pub(crate) fn labels(&mut self, percent: usize) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (key, values) in LABELS {
            if self.random.chance(percent) {
                labels.insert(key.to_owned(), self.pick(&values).to_owned());
            }
        }
        labels
    }

    pub(crate) fn role(&mut self, facts: &Facts) -> RoleFact {
        let (id, origin) = if self.random.chance(50) {
            let number = self.random.number();
            (RoleId::parse(&format!("core.role_{number:x}")).unwrap(), RoleOrigin::BuiltIn)
        } else {
            let origin = RoleOrigin::Custom { owner: self.some_account(facts), inheritable: self.random.chance(70) };
            (RoleId::custom(self.random.uuid()), origin)
        };
        let min_assurance = if self.random.chance(15) { self.level() } else { AssuranceLevel::None };
        let rules = RoleRules { min_assurance, ..RoleRules::default() };
        RoleFact { id, origin, grants: self.grants(facts), rules }
    }

    pub(crate) fn grants(&mut self, facts: &Facts) -> Vec<Grant> {
        let mut grants = Vec::new();
        for _ in 0..self.between(0, 7) {
            grants.push(self.grant(facts));
        }
        grants
    }

    fn grant(&mut self, facts: &Facts) -> Grant {
        let (resource, action) = (self.pick(&RESOURCES), self.pick(&ACTIONS));
        let pattern = match self.random.below(10) {
            0..4 => match self.random.pick(&facts.permissions) {
                Some(permission) => permission.name.as_str().to_owned(),
                None => "*.*".to_owned(),
            },
            // Registered or not: it may come to mean something later.
            4 => format!("{resource}.{action}"),
            5..7 => format!("{resource}.*"),
            7..9 => format!("*.{action}"),
            _ => "*.*".to_owned(),
        };
        let effect = if self.random.chance(15) { Effect::Deny } else { Effect::Allow };
        let requirements = match effect {
            Effect::Allow => self.requirements(),
            Effect::Deny => Requirements::default(),
        };
        let condition = circumstances::condition(self);
        Grant { pattern: Pattern::parse(&pattern).unwrap(), effect, requirements, condition }
    }

    fn requirements(&mut self) -> Requirements {
        let step_up = StepUp { level: self.level(), max_age_seconds: self.pick(&[0, 300, 900]) };
        match self.random.below(10) {
            0..4 => Requirements::default(),
            4..6 => Requirements { step_up: Some(step_up), approval: false },
            6..8 => Requirements { step_up: None, approval: true },
            _ => Requirements { step_up: Some(step_up), approval: true },
        }
    }

    fn level(&mut self) -> AssuranceLevel {
        self.pick(&[AssuranceLevel::Email, AssuranceLevel::Totp, AssuranceLevel::Passkey])
    }

    /// What a request says of itself, often too little.
    pub(crate) fn context(&mut self) -> Context {
        circumstances::context(self)
    }

    pub(crate) fn peer(&mut self, facts: &Facts) -> PeerFact {
        let home = if self.random.chance(12) { AccountId::platform() } else { self.some_account(facts) };
        let person = self.random.pick(&facts.peers).map(|peer| peer.id).filter(|_| self.random.chance(10));
        PeerFact {
            id: PeerId::from(self.random.uuid()),
            user_name_hash: self.random.uuid().as_u128(),
            kind: self.pick(&[PeerKind::Person, PeerKind::Device, PeerKind::Integration]),
            home,
            status: self.status(),
            expire_time: self.peer_end(),
            person,
        }
    }

    pub(crate) fn status(&mut self) -> PeerStatus {
        match self.random.below(100) {
            0..6 => PeerStatus::Disabled,
            6..10 => PeerStatus::Deleted,
            _ => PeerStatus::Enabled,
        }
    }

    pub(crate) fn peer_end(&mut self) -> Option<Timestamp> {
        self.random.chance(20).then(|| self.moment())
    }

    /// A time just before, at, just after, or well away from now.
    pub(crate) fn moment(&mut self) -> Timestamp {
        let distance = self.pick(&[-HOUR, -1, 0, 1, HOUR, HOUR, 24 * HOUR]);
        self.now.plus_micros(distance)
    }

    pub(crate) fn window(&mut self) -> Window {
        if self.random.chance(60) {
            return Window::ALWAYS;
        }
        let early = self.pick(&[-24 * HOUR, -HOUR, -HOUR, -1, 0, 1]);
        let start = self.random.chance(60).then(|| self.now.plus_micros(early));
        let expire = self.random.chance(70).then(|| self.moment());
        Window::parse(start, expire).unwrap_or(Window::ALWAYS)
    }

    pub(crate) fn mode(&mut self) -> Mode {
        if self.random.chance(72) { Mode::Active } else { Mode::Eligible }
    }

    pub(crate) fn member(&mut self, facts: &Facts) -> Option<MemberFact> {
        let (group, peer) = (self.random.pick(&facts.groups)?.id, self.random.pick(&facts.peers)?.id);
        Some(MemberFact { group, peer, mode: self.mode(), window: self.window() })
    }

    fn principal(&mut self, facts: &Facts) -> Option<Principal> {
        let group = self.random.pick(&facts.groups).map(|group| Principal::Group(group.id));
        let peer = self.random.pick(&facts.peers).map(|peer| Principal::Peer(peer.id));
        if self.random.chance(35) { group.or(peer) } else { peer.or(group) }
    }

    pub(crate) fn binding(&mut self, facts: &Facts) -> Option<BindingFact> {
        Some(BindingFact {
            id: BindingId::from(self.random.uuid()),
            principal: self.principal(facts)?,
            role: self.random.pick(&facts.roles)?.id.clone(),
            account: self.some_account(facts),
            reach: if self.random.chance(65) { Reach::Subtree } else { Reach::AccountOnly },
            mode: self.mode(),
            window: self.window(),
        })
    }

    pub(crate) fn api_key(&mut self, facts: &Facts) -> Option<ApiKeyFact> {
        let peer = self.random.pick(&facts.peers)?.id;
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(self.random.uuid().as_bytes());
        hash[16..].copy_from_slice(self.random.uuid().as_bytes());
        Some(ApiKeyFact { id: ApiKeyId::from(self.random.uuid()), peer, hash, expire_time: self.peer_end() })
    }

    pub(crate) fn some_account(&mut self, facts: &Facts) -> AccountId {
        self.random.pick(&facts.accounts).unwrap().id.clone()
    }

    /// A question: mostly one that some binding and some grant have to do with.
    pub(crate) fn question(&mut self, facts: &Facts) -> Question {
        let distance = self.pick(&[-1, 0, 0, 0, 1]);
        let mut question = Question {
            context: self.context(),
            peer: self.random.pick(&facts.peers).map(|peer| peer.id),
            permission: self.random.pick(&facts.permissions).unwrap().name.clone(),
            account: self.some_account(facts),
            now: self.now.plus_micros(distance),
        };
        if self.random.chance(1) {
            question.peer = None;
        }
        let binding = self.random.pick(&facts.bindings).filter(|_| self.random.chance(75));
        let Some(binding) = binding else { return question };
        question.peer = match binding.principal {
            Principal::Peer(peer) => Some(peer),
            Principal::Group(group) => {
                let members: Vec<_> = facts.members.iter().filter(|member| member.group == group).collect();
                self.random.pick(&members).map(|member| member.peer).or(question.peer)
            }
        };
        let below: Vec<_> =
            facts.accounts.iter().filter(|account| facts.is_within(&account.id, &binding.account)).collect();
        if self.random.chance(85) {
            question.account = self.random.pick(&below).unwrap().id.clone();
        }
        if self.random.chance(50)
            && let Some(role) = facts.roles.iter().find(|role| role.id == binding.role)
        {
            let named: Vec<_> = facts
                .permissions
                .iter()
                .filter(|permission| role.grants.iter().any(|grant| grant.pattern.matches(permission)))
                .collect();
            if let Some(permission) = self.random.pick(&named) {
                question.permission = permission.name.clone();
            }
        }
        question
    }
}
