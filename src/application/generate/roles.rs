//! The catalogue of a world, filled up to its size, and custom roles of some thirty permissions each.

use super::{BEGIN, CHUNK, Random, Scale};
use crate::application::context::Ctx;
use crate::application::error::{Error, Result};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::permission::{Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use crate::domain::role::{Effect, Grant, Requirements, Role, RoleOrigin, RoleRules};
use crate::storage::{permissions, roles};

/// How many permissions a world has.
const PERMISSIONS: usize = 512;
/// How many grants a role has.
const GRANTS: usize = 30;

/// Adds what the packs leave of the catalogue. Returns how many permissions there are then.
pub(super) async fn permissions(ctx: &Ctx) -> Result<usize> {
    let known = ctx.snapshot().permissions().len();
    let added = (known..PERMISSIONS).map(|number| {
        let (feature, action) = (number / 4, ["view", "create", "update", "delete"].get(number % 4).unwrap_or(&"view"));
        Ok(Permission {
            name: PermissionName::parse(&format!("world_{feature}.{action}")).map_err(wrong)?,
            title: format!("World {feature}: {action}"),
            feature: format!("World {feature}"),
            flags: PermissionFlags::default(),
            owner: PermissionOwner::Account(AccountId::platform()),
        })
    });
    let added = added.collect::<Result<Vec<Permission>>>()?;
    let transaction = ctx.store.begin().await?;
    permissions::insert_many(transaction.connection(), &added, 0).await?;
    transaction.commit().await?;
    Ok(known + added.len())
}

pub(super) async fn write(ctx: &Ctx, scale: Scale, random: &mut Random) -> Result<Vec<RoleId>> {
    let mut made = Vec::with_capacity(scale.roles());
    let known: Vec<PermissionName> = {
        let snapshot = ctx.snapshot();
        let ordinary = snapshot.permissions().iter().filter(|one| !one.flags.reserved && !one.flags.privileged);
        ordinary.map(|permission| permission.name.clone()).collect()
    };
    let numbers: Vec<usize> = (0..scale.roles()).collect();
    for chunk in numbers.chunks(CHUNK) {
        let transaction = ctx.store.begin().await?;
        for number in chunk {
            let role = role(random, *number, &known)?;
            roles::insert(transaction.connection(), &role).await?;
            made.push(role.id);
        }
        transaction.commit().await?;
    }
    Ok(made)
}

/// A role of the platform, usable everywhere; one of fifty denies something.
fn role(random: &mut Random, number: usize, known: &[PermissionName]) -> Result<Role> {
    let mut names: Vec<&PermissionName> = (0..GRANTS).filter_map(|_| random.pick(known)).collect();
    names.sort();
    names.dedup();
    let grants = names.into_iter().enumerate().map(|(place, name)| {
        let is_denied = place == 0 && number % 50 == 49;
        let pattern = Pattern::parse(name.as_str()).map_err(wrong)?;
        let effect = if is_denied { Effect::Deny } else { Effect::Allow };
        Ok(Grant { pattern, effect, requirements: Requirements::default(), condition: Default::default() })
    });
    let id = random.uuid().to_string();
    Ok(Role {
        id: RoleId::parse(&id).map_err(wrong)?,
        origin: RoleOrigin::Custom { owner: AccountId::platform(), inheritable: true },
        title: format!("Role {number}"),
        description: String::new(),
        grants: grants.collect::<Result<_>>()?,
        rules: RoleRules::default(),
        copied_from: None,
        create_time: BEGIN,
        update_time: BEGIN,
        version: 1,
        update_revision: 0,
    })
}

fn wrong(why: crate::domain::invalid::Invalid) -> Error {
    Error::Internal(why.into())
}
