//! Which grants the tests exercise.
//!
//! A grant is exercised once it decided the answer to a check or a row of a list. One with a condition
//! also needs a check in which nothing but that condition kept it from counting: a condition that never
//! failed was never tested.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;

use super::ask::{Touch, Touched, effect};
use super::stage::Stage;
use crate::domain::role::RoleOrigin;

/// Whose grants are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Scope {
    /// Those of the roles that the world makes
    #[default]
    Own,
    /// Also those of built-in roles that somebody of the world holds
    All,
}

/// A grant: its world, its role and its place in there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) world: String,
    pub(super) role: String,
    pub(super) place: u16,
}

/// What the tests did with a grant.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) effect: &'static str,
    pub(super) pattern: String,
    pub(super) is_conditional: bool,
    pub(super) decided: usize,
    pub(super) kept_back: usize,
}

impl Grant {
    pub(super) const fn is_exercised(&self) -> bool {
        self.decided > 0 && (!self.is_conditional || self.kept_back > 0)
    }

    /// What is still to be tested.
    pub(super) const fn lack(&self) -> Option<&'static str> {
        match (self.decided > 0, self.is_conditional && self.kept_back == 0) {
            (false, true) => Some("no check is decided by it, and none in which its condition does not hold"),
            (false, false) => Some("no check is decided by it"),
            (true, true) => Some("no check in which its condition does not hold"),
            (true, false) => None,
        }
    }
}

/// What all files did with the grants of all worlds. Files that share a world add up.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    pub(super) grants: BTreeMap<Key, Grant>,
    /// What each file of a world is called here, however its tests spell its path.
    worlds: BTreeMap<PathBuf, String>,
}

impl Coverage {
    /// Counts the grants of a world, and what the tests of a file did with them.
    pub(super) fn add(&mut self, world: &str, stage: &Stage, scope: Scope, touched: &[Touched]) {
        let path = std::fs::canonicalize(world).unwrap_or_else(|_| PathBuf::from(world));
        let world = self.worlds.entry(path).or_insert_with(|| world.to_owned()).clone();
        for (index, role) in stage.snapshot.roles() {
            let is_counted = match (&role.fact.origin, scope) {
                (RoleOrigin::Custom { .. }, _) => true,
                (RoleOrigin::BuiltIn, Scope::Own) => false,
                (RoleOrigin::BuiltIn, Scope::All) => stage.snapshot.bound_by_role(index).next().is_some(),
            };
            if !is_counted {
                continue;
            }
            for (place, grant) in (0_u16..).zip(&role.fact.grants) {
                let key = Key { world: world.clone(), role: stage.names.role(&role.fact.id), place };
                let counted = self.grants.entry(key).or_insert_with(|| Grant {
                    effect: effect(grant.effect),
                    pattern: grant.pattern.to_string(),
                    is_conditional: !grant.condition.is_empty(),
                    decided: 0,
                    kept_back: 0,
                });
                let own = touched.iter().filter(|one| one.role == role.fact.id && one.place == place);
                for one in own {
                    match one.how {
                        Touch::Decided => counted.decided += 1,
                        Touch::KeptBack => counted.kept_back += 1,
                    }
                }
            }
        }
    }

    pub(super) fn exercised(&self) -> usize {
        self.grants.values().filter(|grant| grant.is_exercised()).count()
    }

    /// Whether at least so many of a hundred are exercised. Of no grants, all are.
    pub(super) fn reaches(&self, percent: u8) -> bool {
        self.exercised() * 100 >= self.grants.len() * usize::from(percent)
    }

    /// Whole percents, never rounded up to what is not reached.
    pub(super) fn percent(&self) -> usize {
        (self.exercised() * 100).checked_div(self.grants.len()).unwrap_or(100)
    }
}
