//! Brings the database up to the packs of this release, in one change of policy.
//!
//! Nothing is ever taken away: what has vanished from the packs stays, because bindings may rest on
//! it. What a pack's role says now applies to whoever holds it already.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{OPERATOR, Pack, PackRole, Packs};
use crate::application::context::Ctx;
use crate::application::error::{Error, Result, Taken};
use crate::application::write::Write;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::account::{Account, AccountKind, Settings};
use crate::domain::audit::{Change, Target, Text};
use crate::domain::fact::{Fact, RoleFact};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::permission::{CATALOGUE_MAX, Pattern, Permission, PermissionName, PermissionOwner};
use crate::domain::role::{Condition, Effect, Grant, Requirements, Role, RoleOrigin, RoleRules};
use crate::domain::time::Timestamp;
use crate::storage::packs::LoadedPack;
use crate::storage::{self, facts};

/// Makes the root account, permissions, built-in roles and digests what the packs say, with one event
/// in the platform's log. Does nothing where every digest is the stored one.
///
/// # Errors
/// [`Error::AlreadyExists`] where a service registered a permission otherwise than a pack lists it;
/// [`Error::Precondition`] where a changed role would leave an account without its last
/// administrator; [`Error::Store`] where the database is not there.
pub async fn install(ctx: &Ctx) -> Result<()> {
    let mut write = Write::begin_system(ctx, "packs").await?;
    let loaded = storage::packs::list(write.connection()).await?;
    let stale: Vec<&Pack> = ctx.packs.iter().filter(|pack| digest_of(&loaded, &pack.id) != Some(pack.digest)).collect();
    if stale.is_empty() {
        return write.commit(()).await;
    }
    let ids: Vec<RoleId> = ctx.packs.roles().map(|role| role.fact.id.clone()).collect();
    let stored = storage::roles::find_many(write.connection(), &ids).await?;
    let mut plan = Plan::make(&ctx.packs, write.before(), stored, write.now())?;

    let root = root(&mut write).await?;
    let mut changes: Vec<Change> = stale.iter().map(|pack| digest_change(&loaded, pack)).collect();
    changes.extend(plan.changes()?);
    // The act is recorded before roles change, while looking at what comes of the changes costs little.
    write.act(root, "packs.install", Target::new("account", Text::public("accounts/platform")))?.changes = changes;

    for (before, after) in &plan.permissions {
        write.change_as_system(before.clone().map(Fact::Permission), Some(Fact::Permission(after.clone())))?;
    }
    for (before, after) in &plan.roles {
        let before = before.as_ref().map(|role| Fact::Role(facts::role(role)));
        write.change_as_system(before, Some(Fact::Role(facts::role(after))))?;
    }
    let revision = write.revision();
    for (_, role) in &mut plan.roles {
        role.update_revision = revision;
    }
    plan.save(&write, revision).await?;
    for pack in stale {
        let loaded = LoadedPack { id: pack.id.clone(), digest: pack.digest, update_revision: revision };
        storage::packs::save(write.connection(), &loaded).await?;
    }
    write.commit(()).await
}

/// The root of the tree, made if it is not there.
async fn root(write: &mut Write<'_>) -> Result<AccountIndex> {
    let id = AccountId::platform();
    if write.before().find_account(id.as_str()).is_none() {
        let now = write.now();
        let account = Account {
            id: id.clone(),
            parent: None,
            kind: AccountKind::Platform,
            title: "Platform".to_owned(),
            labels: Default::default(),
            suspension: None,
            settings: Settings::default(),
            first_peer: None,
            ownership_request: None,
            create_time: now,
            update_time: now,
            version: 1,
            update_revision: write.before().revision() + 1,
        };
        write.change_as_system(None, Some(Fact::Account(facts::account(&account))))?;
        storage::accounts::insert(write.connection(), &account).await?;
    }
    let missing = || Error::Internal(anyhow::anyhow!("the root account is missing"));
    write.after()?.find_account(id.as_str()).ok_or_else(missing)
}

/// What has to change, each with what is there now.
#[derive(Debug)]
struct Plan {
    permissions: Vec<(Option<Permission>, Permission)>,
    roles: Vec<(Option<Role>, Role)>,
}

impl Plan {
    fn make(packs: &Packs, before: &Snapshot, stored: Vec<Role>, now: Timestamp) -> Result<Self> {
        let permissions = permissions(packs, before)?;
        // Services may have registered reserved permissions too.
        let is_changed = |known: &&Permission| permissions.iter().any(|(_, after)| after.name == known.name);
        let kept = before.permissions().iter().filter(|known| !is_changed(known));
        let all = kept.chain(permissions.iter().map(|(_, after)| after));
        let reserved: Vec<&PermissionName> =
            all.filter(|permission| permission.flags.reserved).map(|permission| &permission.name).collect();
        let mut stored: HashMap<RoleId, Role> = stored.into_iter().map(|role| (role.id.clone(), role)).collect();
        let mut roles = Vec::new();
        for role in packs.roles() {
            let old = stored.remove(&role.fact.id);
            let grants = if role.fact.id.as_str() == OPERATOR {
                with_reserved(&role.fact, old.as_ref(), &reserved)
            } else {
                role.fact.grants.clone()
            };
            roles.extend(changed(role, grants, old, now));
        }
        Ok(Self { permissions, roles })
    }

    async fn save(&self, write: &Write<'_>, revision: i64) -> Result<()> {
        let made = self.permissions.iter().filter(|(before, _)| before.is_none()).map(|(_, after)| after.clone());
        let made: Vec<Permission> = made.collect();
        storage::permissions::insert_many(write.connection(), &made, revision).await?;
        for (_, after) in self.permissions.iter().filter(|(before, _)| before.is_some()) {
            storage::permissions::update(write.connection(), after, revision).await?;
        }
        for (before, after) in &self.roles {
            match before {
                None => storage::roles::insert(write.connection(), after).await?,
                Some(_) => storage::roles::update(write.connection(), after).await?,
            }
        }
        Ok(())
    }

    fn changes(&self) -> Result<Vec<Change>> {
        let permissions = self.permissions.iter().map(|(before, after)| {
            change(
                format!("permissions.{}", after.name),
                before.as_ref().map(PermissionText::of),
                PermissionText::of(after),
            )
        });
        let roles = self.roles.iter().map(|(before, after)| {
            change(format!("roles.{}", after.id), before.as_ref().map(RoleText::of), RoleText::of(after))
        });
        permissions.chain(roles).collect()
    }
}

/// The permissions that are new or that their pack describes otherwise now.
fn permissions(packs: &Packs, before: &Snapshot) -> Result<Vec<(Option<Permission>, Permission)>> {
    let mut plan = Vec::new();
    for wanted in packs.catalogue() {
        let known = before.find_permission(wanted.name.as_str()).and_then(|index| before.permission(index));
        match known {
            None => plan.push((None, wanted.clone())),
            Some(known) if known == wanted => {}
            Some(known) => match known.owner {
                PermissionOwner::Pack(_) => plan.push((Some(known.clone()), wanted.clone())),
                // It belongs to the service that registered it first, which nobody overrules.
                PermissionOwner::Account(_) if is_same(known, wanted) => {}
                PermissionOwner::Account(_) => {
                    return Err(Error::AlreadyExists { what: Taken::Permission, name: wanted.name.to_string() });
                }
            },
        }
    }
    let made = plan.iter().filter(|(known, _)| known.is_none()).count();
    if before.permissions().len() + made > CATALOGUE_MAX {
        return Err(Error::LimitReached { of: "permissions", most: CATALOGUE_MAX });
    }
    Ok(plan)
}

fn is_same(left: &Permission, right: &Permission) -> bool {
    (&left.title, &left.feature, left.flags) == (&right.title, &right.feature, right.flags)
}

/// The operator's grants: the pack's, and one for each reserved permission that the pack does not
/// name. Those it holds already keep their order, so that a role that says the same stays the same.
fn with_reserved(wanted: &RoleFact, old: Option<&Role>, reserved: &[&PermissionName]) -> Vec<Grant> {
    let held = old.into_iter().flat_map(|role| &role.grants).filter_map(|grant| grant.pattern.literal());
    let held: Vec<PermissionName> = held.filter(|name| reserved.contains(&name)).collect();
    let mut grants = wanted.grants.clone();
    for name in held.iter().chain(reserved.iter().copied()) {
        let pattern = Pattern::from(name);
        if !grants.iter().any(|grant| grant.pattern == pattern) {
            let (requirements, condition) = (Requirements::default(), Condition::default());
            grants.push(Grant { pattern, effect: Effect::Allow, requirements, condition });
        }
    }
    grants
}

/// A role beside what it was, unless it was the same.
fn changed(wanted: &PackRole, grants: Vec<Grant>, old: Option<Role>, now: Timestamp) -> Option<(Option<Role>, Role)> {
    let new = Role {
        id: wanted.fact.id.clone(),
        origin: RoleOrigin::BuiltIn,
        title: wanted.title.clone(),
        description: wanted.description.clone(),
        grants,
        rules: wanted.fact.rules.clone(),
        copied_from: None,
        create_time: old.as_ref().map_or(now, |old| old.create_time),
        update_time: now,
        version: old.as_ref().map_or(1, |old| old.version + 1),
        update_revision: 0,
    };
    let is_same = old.as_ref().is_some_and(|old| RoleText::of(old) == RoleText::of(&new));
    (!is_same).then_some((old, new))
}

/// What the audit log says of a role.
#[derive(PartialEq, Eq, Serialize)]
struct RoleText<'a> {
    title: &'a str,
    description: &'a str,
    grants: &'a [Grant],
    rules: &'a RoleRules,
}

impl<'a> RoleText<'a> {
    fn of(role: &'a Role) -> Self {
        Self { title: &role.title, description: &role.description, grants: &role.grants, rules: &role.rules }
    }
}

/// What the audit log says of a permission.
#[derive(Serialize)]
struct PermissionText<'a> {
    title: &'a str,
    feature: &'a str,
    flags: crate::domain::permission::PermissionFlags,
}

impl<'a> PermissionText<'a> {
    fn of(permission: &'a Permission) -> Self {
        Self { title: &permission.title, feature: &permission.feature, flags: permission.flags }
    }
}

fn change<T: Serialize>(field: String, before: Option<T>, after: T) -> Result<Change> {
    let text = |value: &T| match serde_json::to_string(value) {
        Ok(text) => Ok(Text::public(text)),
        Err(error) => Err(Error::Internal(error.into())),
    };
    Ok(Change { field, before: before.as_ref().map(text).transpose()?, after: Some(text(&after)?) })
}

fn digest_of(loaded: &[LoadedPack], pack: &str) -> Option<[u8; 32]> {
    loaded.iter().find(|known| known.id == pack).map(|known| known.digest)
}

fn digest_change(loaded: &[LoadedPack], pack: &Pack) -> Change {
    let text = |digest: [u8; 32]| Text::public(hex(digest));
    let before = digest_of(loaded, &pack.id).map(text);
    Change { field: format!("packs.{}", pack.id), before, after: Some(text(pack.digest)) }
}

fn hex(digest: [u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
