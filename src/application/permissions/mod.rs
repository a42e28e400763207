//! The catalogue of permissions and registering into it. What roles answer to it: [`matrix`].
//!
//! INVARIANT: the catalogue only grows, and a permission's flags never change, so that what a grant
//! means today it means tomorrow. Registering gives nobody anything unseen: who gains by a wildcard is
//! reported and confirmed first, and a reserved permission goes to the operator alone, by name.

pub mod matrix;

use serde::{Deserialize, Serialize};

use super::context::{Call, Ctx};
use super::error::{Error, Result, Taken, Violation};
use super::guard::View;
use super::packs::OPERATOR;
use super::page::Page;
use super::roles::{self, admit_anywhere};
use super::write::Write;
use crate::decision::Snapshot;
use crate::domain::audit::{Change, Target, Text};
use crate::domain::fact::Fact;
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::invalid::Invalid;
use crate::domain::permission::{CATALOGUE_MAX, Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use crate::domain::role::{Condition, Effect, GRANTS_MAX, Grant, Requirements, Role};
use crate::storage::{self, facts};

/// The most gains that one answer lists; their number is always whole.
const GAINS_MAX: usize = 10_000;
/// The most gains that an event names; their number is always whole.
const GAINS_SHOWN_MAX: usize = 100;
/// The most roles that a refusal names, since it travels in a trailer; their number is always whole.
const NAMED_MAX: usize = 20;
/// Why a permission that is registered again keeps its flags, and what to do instead.
const FLAGS_STAY: &str =
    "the permission was registered so and flags never change; send it as it stands, or register another name";

/// Which permissions are listed, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct ListPermissions {
    pub resource: Option<String>,
    pub feature: Option<String>,
    pub owner: Option<PermissionOwner>,
    pub privileged: Option<bool>,
    pub reserved: Option<bool>,
    pub from_outside: Option<bool>,
    pub on_suspended: Option<bool>,
    pub after: Option<PermissionName>,
    pub limit: usize,
}

impl ListPermissions {
    fn holds(&self, permission: &Permission) -> bool {
        let flag = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        let flags = permission.flags;
        self.resource.as_deref().is_none_or(|resource| resource == permission.name.resource())
            && self.feature.as_deref().is_none_or(|feature| feature == permission.feature)
            && self.owner.as_ref().is_none_or(|owner| *owner == permission.owner)
            && flag(self.privileged, flags.privileged)
            && flag(self.reserved, flags.reserved)
            && flag(self.from_outside, flags.from_outside)
            && flag(self.on_suspended, flags.on_suspended)
            && self.after.as_ref().is_none_or(|after| permission.name > *after)
    }
}

/// Lists the catalogue.
///
/// # Errors
/// [`Error::Denied`] where the caller may view roles nowhere.
pub fn list(ctx: &Ctx, call: &Call, request: &ListPermissions) -> Result<Page<Permission, PermissionName>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    admit_anywhere(&view, roles::VIEW)?;
    let mut found: Vec<&Permission> =
        snapshot.permissions().iter().filter(|permission| request.holds(permission)).collect();
    found.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    let found = found.into_iter().take(request.limit + 1).cloned().collect();
    Ok(Page::cut(found, request.limit as u64, |permission| permission.name.clone()))
}

/// A permission as a service would have it.
#[derive(Debug, Clone)]
pub struct NewPermission {
    pub name: PermissionName,
    pub title: String,
    pub feature: String,
    pub flags: PermissionFlags,
}

/// A wish to register permissions.
#[derive(Debug, Clone)]
pub struct RegisterPermissions {
    pub permissions: Vec<NewPermission>,
    /// Whose they are; the caller's home without it.
    pub owner: Option<AccountId>,
    pub confirm_gains: bool,
}

/// A role that gains a permission by a wildcard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    pub role: RoleId,
    pub permission: PermissionName,
    pub pattern: Pattern,
}

/// What was registered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registered {
    pub permissions: Vec<Permission>,
    pub gains: Vec<Gain>,
    pub gain_count: usize,
    pub update_revision: i64,
}

/// Adds permissions to the catalogue, or changes title and feature of one's own.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`]; [`Error::AlreadyExists`] where one is somebody else's,
/// [`Error::Invalid`] where a flag would change, [`Error::LimitReached`] where the catalogue is full;
/// [`Error::GainsUnconfirmed`] where roles gain by wildcards and nobody confirmed it.
pub async fn register(ctx: &Ctx, call: &Call, request: RegisterPermissions) -> Result<Registered> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let view = write.view()?;
    let permit = view.admit_at("permissions.register", &AccountId::platform())?;
    let owner = owner(&view, request.owner)?;
    let before = std::sync::Arc::clone(write.before());
    let plan = Plan::make(&before, request.permissions, &PermissionOwner::Account(owner))?;
    let gains = Gains::of(&before, &plan.new);
    if gains.count > 0 && !request.confirm_gains {
        let Gains { roles, role_count, count: gain_count, .. } = gains;
        return Err(Error::GainsUnconfirmed { roles, role_count, gain_count });
    }
    let operator = match plan.reserved().next() {
        Some(_) => Some(operator(&write, &plan).await?),
        None => None,
    };
    // Recorded before the facts change, while looking at what comes of the change costs nothing.
    let target = Target::new("account", Text::public("accounts/platform"));
    write.act(permit.account(), "permissions.register", target)?.changes =
        plan.shown().into_iter().chain(gains.shown()).collect();

    for permission in &plan.new {
        write.change(&permit, None, Some(Fact::Permission(permission.clone())));
    }
    for (old, new) in &plan.changed {
        write.change(&permit, Some(Fact::Permission(old.clone())), Some(Fact::Permission(new.clone())));
    }
    if let Some((old, new)) = &operator {
        write.change(&permit, Some(Fact::Role(facts::role(old))), Some(Fact::Role(facts::role(new))));
    }
    let revision = write.revision();
    storage::permissions::insert_many(write.connection(), &plan.new, revision).await?;
    for (_, permission) in &plan.changed {
        storage::permissions::update(write.connection(), permission, revision).await?;
    }
    if let Some((_, role)) = operator {
        let role = Role { update_revision: revision, ..role };
        storage::roles::update(write.connection(), &role).await?;
    }
    let Gains { listed: gains, count: gain_count, .. } = gains;
    write.commit(Registered { permissions: plan.all, gains, gain_count, update_revision: revision }).await
}

/// The account that permissions are registered for, which the caller must see.
fn owner(view: &View<'_>, named: Option<AccountId>) -> Result<AccountId> {
    match named {
        Some(id) => view.admit_at("accounts.view", &id).map(|_| id),
        None => {
            let home = view.snapshot.peer(view.actor).and_then(|peer| view.snapshot.account_id(peer.home()));
            home.cloned().ok_or_else(|| Error::Internal(anyhow::anyhow!("the caller has no home")))
        }
    }
}

/// What registering changes.
#[derive(Debug)]
struct Plan {
    /// Everything as it will stand, in the order of the request.
    all: Vec<Permission>,
    new: Vec<Permission>,
    changed: Vec<(Permission, Permission)>,
}

impl Plan {
    fn make(before: &Snapshot, wanted: Vec<NewPermission>, owner: &PermissionOwner) -> Result<Self> {
        let mut plan = Self { all: Vec::with_capacity(wanted.len()), new: Vec::new(), changed: Vec::new() };
        let mut violations = Vec::new();
        for (place, wanted) in wanted.into_iter().enumerate() {
            let NewPermission { name, title, feature, flags } = wanted;
            let permission = Permission { name, title, feature, flags, owner: owner.clone() };
            let known = before.find_permission(permission.name.as_str()).and_then(|index| before.permission(index));
            match known {
                None => plan.new.push(permission.clone()),
                Some(old) if old.owner != *owner => {
                    return Err(Error::AlreadyExists { what: Taken::Permission, name: permission.name.to_string() });
                }
                Some(old) if old.flags != permission.flags => {
                    for (flag, registered) in changed_flags(old.flags, permission.flags) {
                        let why = Invalid::MustBe { value: registered, why: FLAGS_STAY };
                        violations.push(Violation::new(format!("permissions[{place}].{flag}"), why));
                    }
                }
                Some(old) if *old != permission => plan.changed.push((old.clone(), permission.clone())),
                Some(_) => {}
            }
            plan.all.push(permission);
        }
        if !violations.is_empty() {
            return Err(Error::Invalid(violations));
        }
        if before.permissions().len() + plan.new.len() > CATALOGUE_MAX {
            return Err(Error::LimitReached { of: "permissions", most: CATALOGUE_MAX });
        }
        Ok(plan)
    }

    fn reserved(&self) -> impl Iterator<Item = &Permission> {
        self.new.iter().filter(|permission| permission.flags.reserved)
    }

    /// The permissions as the event shows them, one line each.
    fn shown(&self) -> Vec<Change> {
        let text = |permission: &Permission| Some(Text::public(shown(permission)));
        let new = self.new.iter().map(|permission| (permission, None, text(permission)));
        let changed = self.changed.iter().map(|(old, permission)| (permission, text(old), text(permission)));
        new.chain(changed)
            .map(|(permission, before, after)| Change { field: permission.name.to_string(), before, after })
            .collect()
    }
}

/// A permission with its flags and its owner.
fn shown(permission: &Permission) -> String {
    let flags = changed_flags(PermissionFlags::default(), permission.flags).map(|(flag, _)| flag.to_owned());
    let owner = match &permission.owner {
        PermissionOwner::Account(account) => format!("owner accounts/{account}"),
        PermissionOwner::Pack(pack) => format!("owner {pack}"),
    };
    let more: Vec<String> = flags.chain([owner]).collect();
    format!("{}: {} ({})", permission.feature, permission.title, more.join(", "))
}

/// The names of the flags that differ, with what they were before.
fn changed_flags(before: PermissionFlags, after: PermissionFlags) -> impl Iterator<Item = (&'static str, bool)> {
    [
        ("privileged", before.privileged, after.privileged),
        ("reserved", before.reserved, after.reserved),
        ("from_outside", before.from_outside, after.from_outside),
        ("on_suspended", before.on_suspended, after.on_suspended),
    ]
    .into_iter()
    .filter_map(|(flag, before, after)| (before != after).then_some((flag, before)))
}

/// Which roles gain new permissions by their wildcards.
#[derive(Debug, Default)]
struct Gains {
    /// The first of them, by role.
    listed: Vec<Gain>,
    count: usize,
    /// The first roles that gain anything.
    roles: Vec<RoleId>,
    role_count: usize,
}

impl Gains {
    fn of(before: &Snapshot, new: &[Permission]) -> Self {
        let mut gains = Self::default();
        let mut roles: Vec<_> = before.roles().map(|(_, role)| &role.fact).collect();
        roles.sort_unstable_by(|left, right| left.id.cmp(&right.id));
        for role in roles {
            let wildcards: Vec<&Grant> = role.grants.iter().filter(|grant| grant.pattern.literal().is_none()).collect();
            let count_before = gains.count;
            for permission in new {
                if let Some(pattern) = gained(&wildcards, permission) {
                    gains.add(&role.id, permission, pattern);
                }
            }
            if gains.count > count_before {
                gains.role_count += 1;
                if gains.roles.len() < NAMED_MAX {
                    gains.roles.push(role.id.clone());
                }
            }
        }
        gains
    }

    /// The gains as the event shows them: the first of them, one line each, and how many there are.
    fn shown(&self) -> impl Iterator<Item = Change> {
        let line = |Gain { role, permission, pattern }: &Gain| format!("roles/{role}: {permission} by {pattern}");
        let lines = self.listed.iter().take(GAINS_SHOWN_MAX).map(move |gain| ("gains", line(gain)));
        let count = (self.count > 0).then(|| ("gain_count", self.count.to_string()));
        lines.chain(count).map(|(field, after)| Change {
            field: field.to_owned(),
            before: None,
            after: Some(Text::public(after)),
        })
    }

    fn add(&mut self, role: &RoleId, permission: &Permission, pattern: &Pattern) {
        self.count += 1;
        if self.listed.len() < GAINS_MAX {
            let (role, permission) = (role.clone(), permission.name.clone());
            self.listed.push(Gain { role, permission, pattern: pattern.clone() });
        }
    }
}

/// The pattern by which a role with these wildcards gains a permission. What the role takes away
/// again, whatever else holds, it does not gain.
fn gained<'a>(wildcards: &[&'a Grant], permission: &Permission) -> Option<&'a Pattern> {
    let matching = || wildcards.iter().filter(|grant| grant.pattern.matches(permission));
    if matching().any(|grant| grant.effect == Effect::Deny && grant.condition.is_empty()) {
        return None;
    }
    matching().find(|grant| grant.effect == Effect::Allow).map(|grant| &grant.pattern)
}

/// The operator's role before and after it gets every new reserved permission by name.
async fn operator(write: &Write<'_>, plan: &Plan) -> Result<(Role, Role)> {
    let id = RoleId::parse(OPERATOR).map_err(|why| Error::invalid("role", why))?;
    let before = storage::roles::get(write.connection(), &id).await?;
    let grant = |permission: &Permission| Grant {
        pattern: Pattern::from(&permission.name),
        effect: Effect::Allow,
        requirements: Requirements::default(),
        condition: Condition::default(),
    };
    let grants: Vec<Grant> = before.grants.iter().cloned().chain(plan.reserved().map(grant)).collect();
    if grants.len() > GRANTS_MAX {
        return Err(Error::LimitReached { of: "grants of the operator's role", most: GRANTS_MAX });
    }
    let after = Role { grants, update_time: write.now(), version: before.version + 1, ..before.clone() };
    Ok((before, after))
}
