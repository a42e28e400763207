//! What a role's grants mean, asked of casbin once and kept as bitsets.
//!
//! Grants that share effect, requirements and condition form a [`Class`], so that casbin's verdicts
//! also say under which requirement and condition a permission is granted. casbin is asked grant by
//! grant, and only about permissions whose name the pattern can be read as: an enforcer over all lines
//! of a role, put to the whole catalogue, costs the product of the two, and a change of policy waits
//! for it (docs/adr/0004).
//!
//! INVARIANT: casbin sees only effects `allow` and `deny` and validated patterns; any other effect
//! string would make it panic.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use casbin::{CoreApi as _, DefaultModel, EnforceContext, Enforcer, NullAdapter};
use futures_util::FutureExt as _;

use super::condition::{Prepared, Zones};
use crate::domain::permission::{Pattern, Permission};
use crate::domain::role::{AssuranceLevel, Effect, Grant, Requirements, RoleRules, StepUp};

/// The casbin model, the meaning of every decision.
pub const MODEL: &str = include_str!("model.conf");

/// casbin could not answer. Nothing is decided then.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("casbin refused a role's grants")]
    Casbin(#[from] casbin::Error),
    #[error("casbin waited where it must answer at once")]
    Pending,
}

/// A set of permissions by their place in the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    #[inline]
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    fn put(&mut self, index: usize, value: bool) {
        if self.0.len() <= index / 64 {
            if !value {
                return;
            }
            self.0.resize(index / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(index / 64) {
            *word = *word & !(1 << (index % 64)) | u64::from(value) << (index % 64);
        }
    }
}

/// Grants of one role that differ only in their patterns.
#[derive(Debug, Clone)]
pub struct Class {
    pub effect: Effect,
    /// What must be met, the role's own `min_assurance` included.
    pub requirements: Requirements,
    pub condition: Option<Arc<Prepared>>,
    pub bits: Bits,
    /// Places of the grants in the role, in order.
    pub grants: Vec<u16>,
}

/// A role as the evaluator reads it.
#[derive(Debug, Clone, Default)]
pub struct CompiledRole {
    /// Permissions that any class names: most bindings are passed over by this one test.
    pub any: Bits,
    pub classes: Vec<Class>,
}

/// Asks casbin. One enforcer is kept and its lines are exchanged, since making one costs more than
/// asking it.
pub struct Compiler {
    enforcer: Enforcer,
    zones: Zones,
}

impl std::fmt::Debug for Compiler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Compiler").finish_non_exhaustive()
    }
}

impl Compiler {
    /// Makes a compiler over the model.
    ///
    /// # Errors
    /// [`CompileError`] where casbin does not take the model.
    pub fn new() -> Result<Self, CompileError> {
        // casbin's constructors are async for the sake of adapters that do I/O; none is used here.
        let model = DefaultModel::from_str(MODEL).now_or_never().ok_or(CompileError::Pending)??;
        let enforcer = Enforcer::new_raw(model, NullAdapter).now_or_never().ok_or(CompileError::Pending)??;
        Ok(Self { enforcer, zones: Zones::default() })
    }

    /// Compiles a role over the whole catalogue.
    ///
    /// # Errors
    /// [`CompileError`] where casbin cannot answer.
    pub fn compile<'a>(
        &mut self,
        grants: &[Grant],
        rules: &RoleRules,
        catalogue: impl IntoIterator<Item = (usize, &'a Permission)>,
    ) -> Result<CompiledRole, CompileError> {
        let mut role = CompiledRole { any: Bits::default(), classes: classes(grants, rules, &mut self.zones) };
        self.extend(&mut role, grants, catalogue)?;
        Ok(role)
    }

    /// Asks again about some permissions only: new ones, or ones whose flags changed.
    ///
    /// # Errors
    /// [`CompileError`] where casbin cannot answer.
    pub fn extend<'a>(
        &mut self,
        role: &mut CompiledRole,
        grants: &[Grant],
        permissions: impl IntoIterator<Item = (usize, &'a Permission)>,
    ) -> Result<(), CompileError> {
        let permissions: Vec<(usize, &Permission)> = permissions.into_iter().collect();
        // Grants that differ in requirement or condition alone name the same permissions.
        let mut asked: BTreeMap<(Effect, &Pattern), Vec<usize>> = BTreeMap::new();
        for class in &mut role.classes {
            for (place, _) in &permissions {
                class.bits.put(*place, false);
            }
            for grant in class.grants.iter().filter_map(|place| grants.get(usize::from(*place))) {
                let named = match asked.entry((grant.effect, &grant.pattern)) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(self.named(grant, &permissions)?),
                };
                for place in named {
                    class.bits.put(*place, true);
                }
            }
        }
        for (place, _) in &permissions {
            let any = role.classes.iter().any(|class| class.bits.contains(*place));
            role.any.put(*place, any);
        }
        Ok(())
    }

    /// The places of the permissions that a grant names.
    fn named(&mut self, grant: &Grant, permissions: &[(usize, &Permission)]) -> Result<Vec<usize>, CompileError> {
        let can_name = |(_, permission): &&(usize, &Permission)| grant.pattern.can_name(&permission.name);
        let mut nameable = permissions.iter().filter(can_name).peekable();
        if nameable.peek().is_some() {
            let model = self.enforcer.get_mut_model();
            model.clear_policy();
            model.add_policy("p", "p", line(ASKED, grant));
        }
        let mut named = Vec::new();
        for (place, permission) in nameable {
            if names(&self.enforcer, grant.effect, permission)? {
                named.push(*place);
            }
        }
        Ok(named)
    }
}

/// The role that the enforcer knows while it is asked.
const ASKED: &str = "asked";

/// Whether the line that the enforcer holds names a permission.
fn names(enforcer: &Enforcer, effect: Effect, permission: &Permission) -> Result<bool, CompileError> {
    let reserved = if permission.flags.reserved { "yes" } else { "no" };
    let request = (ASKED, permission.name.resource(), permission.name.action(), reserved);
    Ok(match effect {
        Effect::Allow => enforcer.enforce(request)?,
        Effect::Deny => {
            let context =
                EnforceContext { r_type: "r".into(), p_type: "p".into(), e_type: "e2".into(), m_type: "m".into() };
            !enforcer.enforce_with_context(context, request)?
        }
    })
}

/// The casbin policy line of a grant, under the given role name.
#[must_use]
pub fn line(role: &str, grant: &Grant) -> Vec<String> {
    let condition = if grant.condition.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&grant.condition).unwrap_or_else(|_| "unreadable".to_owned())
    };
    let requirement = match grant.requirements.rank() {
        0 => "none",
        1 => "step_up",
        2 => "approval",
        _ => "both",
    };
    let effect = match grant.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    vec![
        role.to_owned(),
        grant.pattern.resource().to_owned(),
        grant.pattern.action().to_owned(),
        condition,
        requirement.to_owned(),
        effect.to_owned(),
    ]
}

/// What a grant demands in a role with these rules: `min_assurance` is a step-up of that level.
#[must_use]
pub fn effective_requirements(grant: &Grant, rules: &RoleRules) -> Requirements {
    if grant.effect == Effect::Deny || rules.min_assurance == AssuranceLevel::None {
        return grant.requirements;
    }
    let own = grant.requirements.step_up.unwrap_or(StepUp { level: AssuranceLevel::None, max_age_seconds: 0 });
    let step_up = StepUp { level: own.level.max(rules.min_assurance), ..own };
    Requirements { step_up: Some(step_up), ..grant.requirements }
}

fn classes(grants: &[Grant], rules: &RoleRules, zones: &mut Zones) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    for (place, grant) in grants.iter().enumerate() {
        let Ok(place) = u16::try_from(place) else { break };
        let requirements = effective_requirements(grant, rules);
        let same = classes.iter_mut().find(|class| {
            class.effect == grant.effect
                && class.requirements == requirements
                && match &class.condition {
                    Some(prepared) => *prepared.condition() == grant.condition,
                    None => grant.condition.is_empty(),
                }
        });
        match same {
            Some(class) => class.grants.push(place),
            None => classes.push(Class {
                effect: grant.effect,
                requirements,
                condition: (!grant.condition.is_empty())
                    .then(|| Arc::new(Prepared::new(&grant.condition, grant.effect, zones))),
                bits: Bits::default(),
                grants: vec![place],
            }),
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::condition::Condition;
    use crate::domain::permission::{PermissionFlags, PermissionName, PermissionOwner};

    fn permission(name: &str, reserved: bool) -> Permission {
        Permission {
            name: PermissionName::parse(name).unwrap(),
            title: String::new(),
            feature: String::new(),
            flags: PermissionFlags { reserved, ..PermissionFlags::default() },
            owner: PermissionOwner::Pack("core".into()),
        }
    }

    fn grant(pattern: &str, effect: Effect, approval: bool) -> Grant {
        Grant {
            pattern: Pattern::parse(pattern).unwrap(),
            effect,
            requirements: Requirements { step_up: None, approval },
            condition: Condition::default(),
        }
    }

    #[test]
    fn casbin_and_patterns_agree() {
        let catalogue: Vec<Permission> = ["devices.view", "devices.manage", "users.view", "accounts.create_partner"]
            .iter()
            .map(|name| permission(name, *name == "accounts.create_partner"))
            .collect();
        let grants = [
            grant("devices.*", Effect::Allow, false),
            grant("*.view", Effect::Allow, true),
            grant("users.view", Effect::Deny, false),
            grant("*.*", Effect::Deny, false),
            grant("accounts.create_partner", Effect::Allow, false),
        ];
        let role =
            Compiler::new().unwrap().compile(&grants, &RoleRules::default(), catalogue.iter().enumerate()).unwrap();
        assert_eq!(role.classes.len(), 3);
        for class in &role.classes {
            for (place, permission) in catalogue.iter().enumerate() {
                let expected = class.grants.iter().any(|grant| grants[usize::from(*grant)].pattern.matches(permission));
                assert_eq!(class.bits.contains(place), expected, "{class:?} {permission:?}");
            }
        }
    }

    #[test]
    fn asking_again_takes_back_what_no_longer_holds() {
        let grants = [grant("*.view", Effect::Allow, false), grant("devices.*", Effect::Allow, false)];
        let before = permission("devices.view", false);
        let mut compiler = Compiler::new().unwrap();
        let mut role = compiler.compile(&grants, &RoleRules::default(), [(3, &before)]).unwrap();
        assert!(role.any.contains(3));
        let reserved = permission("devices.view", true);
        compiler.extend(&mut role, &grants, [(3, &reserved)]).unwrap();
        assert!(!role.any.contains(3) && !role.classes[0].bits.contains(3));
    }

    #[test]
    fn a_role_without_grants_names_nothing() {
        let catalogue = [permission("devices.view", false)];
        let role = Compiler::new().unwrap().compile(&[], &RoleRules::default(), catalogue.iter().enumerate()).unwrap();
        assert!(!role.any.contains(0));
    }
}
