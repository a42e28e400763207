//! What a role's grants mean, asked of casbin once and kept by permission.
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

use super::condition::{Conditions, Prepared};
use super::snapshot::PermissionIndex;
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

/// Grants of one role that differ only in their patterns.
#[derive(Debug, Clone)]
pub struct Class {
    pub effect: Effect,
    /// What must be met, the role's own `min_assurance` included.
    pub requirements: Requirements,
    pub condition: Option<Arc<Prepared>>,
    /// Places of the grants in the role, in order.
    pub grants: Vec<u16>,
}

/// That a class names a permission, with all that most decisions need to know of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    permission: PermissionIndex,
    /// The place of the class in the role.
    class: u16,
    /// The place in the role of the first grant of the class that names the permission.
    pub grant: u16,
    pub effect: Effect,
    /// [`Requirements::rank`] of the class.
    pub rank: u8,
    pub is_conditional: bool,
}

/// Permissions by their place, folded into 512 bits: what is not among them is not named, and nothing
/// more of the role is read.
#[derive(Debug, Clone, Copy, Default)]
struct Sieve([u64; 8]);

impl Sieve {
    #[inline]
    fn holds(&self, permission: PermissionIndex) -> bool {
        let (word, bit) = Self::place(permission);
        self.0.get(word).is_some_and(|bits| bits >> bit & 1 == 1)
    }

    fn put(&mut self, permission: PermissionIndex) {
        let (word, bit) = Self::place(permission);
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= 1 << bit;
        }
    }

    const fn place(permission: PermissionIndex) -> (usize, usize) {
        (permission.place() / 64 % 8, permission.place() % 64)
    }
}

/// A role as the evaluator reads it.
#[derive(Debug, Clone, Default)]
pub struct CompiledRole {
    sieve: Sieve,
    pub classes: Arc<[Class]>,
    /// In order of permission and class: a decision finds what the role says of one permission in halves
    /// and reads no pattern.
    namings: Arc<[Naming]>,
}

impl CompiledRole {
    /// What the role says of a permission, class by class.
    #[inline]
    pub fn namings(&self, permission: PermissionIndex) -> impl Iterator<Item = &Naming> {
        let namings = if self.sieve.holds(permission) { &*self.namings } else { &[] };
        let first = namings.partition_point(|naming| naming.permission < permission);
        namings.iter().skip(first).take_while(move |naming| naming.permission == permission)
    }

    #[inline]
    #[must_use]
    pub fn class(&self, naming: &Naming) -> Option<&Class> {
        self.classes.get(usize::from(naming.class))
    }

    /// The classes that name a permission.
    pub fn classes_naming(&self, permission: PermissionIndex) -> impl Iterator<Item = &Class> {
        self.namings(permission).filter_map(|naming| self.class(naming))
    }

    /// How many permissions it names.
    #[must_use]
    pub fn size(&self) -> usize {
        self.namings.chunk_by(|one, other| one.permission == other.permission).count()
    }

    /// Whether any grant names a permission.
    #[must_use]
    pub fn names(&self, permission: PermissionIndex) -> bool {
        self.namings(permission).next().is_some()
    }
}

/// Asks casbin. One enforcer is kept and its lines are exchanged, since making one costs more than
/// asking it.
pub struct Compiler {
    enforcer: Enforcer,
    conditions: Conditions,
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
        Ok(Self { enforcer, conditions: Conditions::default() })
    }

    /// Compiles a role over the whole catalogue.
    ///
    /// # Errors
    /// [`CompileError`] where casbin cannot answer.
    pub fn compile<'a>(
        &mut self,
        grants: &[Grant],
        rules: &RoleRules,
        catalogue: impl IntoIterator<Item = (PermissionIndex, &'a Permission)>,
    ) -> Result<CompiledRole, CompileError> {
        let classes = classes(grants, rules, &mut self.conditions).into();
        let mut role = CompiledRole { sieve: Sieve::default(), classes, namings: Arc::default() };
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
        permissions: impl IntoIterator<Item = (PermissionIndex, &'a Permission)>,
    ) -> Result<(), CompileError> {
        let permissions: Vec<(PermissionIndex, &Permission)> = permissions.into_iter().collect();
        // Grants that differ in requirement or condition alone name the same permissions.
        let mut asked: BTreeMap<(Effect, &Pattern), Vec<PermissionIndex>> = BTreeMap::new();
        let mut found: BTreeMap<(PermissionIndex, u16), Naming> = BTreeMap::new();
        for (class_place, class) in (0_u16..).zip(&*role.classes) {
            for grant_place in &class.grants {
                let Some(grant) = grants.get(usize::from(*grant_place)) else { continue };
                let named = match asked.entry((grant.effect, &grant.pattern)) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(self.named(grant, &permissions)?),
                };
                for permission in named {
                    found.entry((*permission, class_place)).or_insert(Naming {
                        permission: *permission,
                        class: class_place,
                        grant: *grant_place,
                        effect: class.effect,
                        rank: class.requirements.rank(),
                        is_conditional: class.condition.is_some(),
                    });
                }
            }
        }
        let is_asked = |naming: &&Naming| permissions.iter().any(|(permission, _)| *permission == naming.permission);
        let kept = role.namings.iter().filter(|naming| !is_asked(naming)).copied();
        let mut namings: Vec<Naming> = kept.chain(found.into_values()).collect();
        namings.sort_unstable_by_key(|naming| (naming.permission, naming.class));
        role.sieve = Sieve::default();
        namings.iter().for_each(|naming| role.sieve.put(naming.permission));
        role.namings = namings.into();
        Ok(())
    }

    /// The permissions that a grant names.
    fn named(
        &mut self,
        grant: &Grant,
        permissions: &[(PermissionIndex, &Permission)],
    ) -> Result<Vec<PermissionIndex>, CompileError> {
        let can_name = |(_, permission): &&(PermissionIndex, &Permission)| grant.pattern.can_name(&permission.name);
        let mut nameable = permissions.iter().filter(can_name).peekable();
        if nameable.peek().is_some() {
            let model = self.enforcer.get_mut_model();
            model.clear_policy();
            model.add_policy("p", "p", line(ASKED, grant));
        }
        let mut named = Vec::new();
        for (index, permission) in nameable {
            if names(&self.enforcer, grant.effect, permission)? {
                named.push(*index);
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

fn classes(grants: &[Grant], rules: &RoleRules, conditions: &mut Conditions) -> Vec<Class> {
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
                condition: (!grant.condition.is_empty()).then(|| conditions.ready(&grant.condition, grant.effect)),
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

    fn index(place: usize) -> PermissionIndex {
        PermissionIndex::of(place).unwrap()
    }

    fn indexed(catalogue: &[Permission]) -> impl Iterator<Item = (PermissionIndex, &Permission)> {
        catalogue.iter().enumerate().map(|(place, permission)| (index(place), permission))
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
        let role = Compiler::new().unwrap().compile(&grants, &RoleRules::default(), indexed(&catalogue)).unwrap();
        assert_eq!(role.classes.len(), 3);
        for (index, permission) in indexed(&catalogue) {
            let named: Vec<u16> = role.namings(index).map(|naming| naming.grant).collect();
            let matches = |place: &u16| grants[usize::from(*place)].pattern.matches(permission);
            let expected: Vec<u16> =
                role.classes.iter().filter_map(|class| class.grants.iter().copied().find(matches)).collect();
            assert_eq!(named, expected, "{permission:?}");
        }
    }

    #[test]
    fn asking_again_takes_back_what_no_longer_holds() {
        let grants = [grant("*.view", Effect::Allow, false), grant("devices.*", Effect::Allow, false)];
        let before = permission("devices.view", false);
        let mut compiler = Compiler::new().unwrap();
        let mut role = compiler.compile(&grants, &RoleRules::default(), [(index(3), &before)]).unwrap();
        assert!(role.names(index(3)));
        let reserved = permission("devices.view", true);
        compiler.extend(&mut role, &grants, [(index(3), &reserved)]).unwrap();
        assert!(!role.names(index(3)));
    }

    #[test]
    fn what_is_asked_again_leaves_the_rest_as_it_was() {
        let grants = [
            grant("devices.*", Effect::Allow, false),
            grant("*.view", Effect::Allow, true),
            grant("*.*", Effect::Deny, false),
        ];
        // The last two share a bit of the sieve with the first two.
        let places = [3, 4, 515, 516].map(index);
        let named = ["devices.view", "devices.manage", "users.view", "users.manage"];
        let all = |reserved: usize| {
            let permissions = named.iter().enumerate();
            permissions.map(move |(place, name)| permission(name, place == reserved)).collect::<Vec<_>>()
        };
        let mut compiler = Compiler::new().unwrap();
        let mut compiled = |permissions: &[Permission], which: &[usize]| {
            let asked = which.iter().map(|place| (places[*place], &permissions[*place]));
            compiler.compile(&grants, &RoleRules::default(), asked).unwrap()
        };
        let said = |role: &CompiledRole| places.map(|place| role.namings(place).copied().collect::<Vec<_>>());
        let plain = all(named.len());
        let mut role = compiled(&plain, &[0, 1]);
        assert_eq!(said(&role).map(|namings| namings.len()), [3, 2, 0, 0]);
        let (whole, reserved) = (compiled(&plain, &[0, 1, 2, 3]), compiled(&all(1), &[0, 1, 2, 3]));
        let mut compiler = Compiler::new().unwrap();
        for place in [3, 2] {
            compiler.extend(&mut role, &grants, [(places[place], &plain[place])]).unwrap();
        }
        assert_eq!(said(&role), said(&whole));
        compiler.extend(&mut role, &grants, [(places[1], &all(1)[1])]).unwrap();
        assert_eq!(said(&role), said(&reserved));
        compiler.extend(&mut role, &grants, [(places[1], &plain[1])]).unwrap();
        assert_eq!(said(&role), said(&whole));
    }

    #[test]
    fn a_role_without_grants_names_nothing() {
        let catalogue = [permission("devices.view", false)];
        let role = Compiler::new().unwrap().compile(&[], &RoleRules::default(), indexed(&catalogue)).unwrap();
        assert!(!role.names(index(0)));
    }
}
