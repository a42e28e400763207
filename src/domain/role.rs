//! Roles: named lists of grants, with rules about their use.

use serde::{Deserialize, Serialize};

use super::account::AccountKind;
use super::binding::Reach;
pub use super::condition::Condition;
use super::ids::{AccountId, RoleId};
use super::invalid::Invalid;
use super::peer::PeerKind;
use super::permission::Pattern;
use super::time::Timestamp;

/// The most grants that one role can hold.
pub const GRANTS_MAX: usize = 512;
/// The most different conditions among the grants of one role: a decision tries each in turn.
pub const CONDITIONS_MAX: usize = 32;
/// The most windows, attributes and labels in all of these together, for the same reason. Networks are
/// searched in halves and do not count.
pub const CONDITION_PARTS_MAX: usize = 256;
/// The longest title and description, in characters.
pub const TITLE_MAX: usize = 128;
pub const DESCRIPTION_MAX: usize = 1024;

/// Whether a grant gives or takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Effect {
    Allow,
    Deny,
}

/// How sure the platform is of who is acting, from weakest to strongest (NIST SP 800-63B orders an
/// e-mailed code below a TOTP code below a passkey).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AssuranceLevel {
    #[default]
    None,
    Email,
    Totp,
    Passkey,
}

/// A demand to prove one's identity again before acting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepUp {
    pub level: AssuranceLevel,
    /// How old the proof may be, in seconds; zero means any proof of this session.
    pub max_age_seconds: u32,
}

/// What must be met before an ALLOW grant allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirements {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<StepUp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

impl Requirements {
    /// none < step-up < approval < both.
    #[must_use]
    pub const fn rank(self) -> u8 {
        (self.step_up.is_some() as u8) + 2 * (self.approval as u8)
    }

    /// Whether one who holds a right under these requirements holds at least as much as under `other`:
    /// no requirement that `other` lacks, and no stronger proof.
    #[must_use]
    pub fn at_most(self, other: Self) -> bool {
        let step_up = match (self.step_up, other.step_up) {
            (None, _) => true,
            (Some(_), None) => other.approval && !self.approval,
            (Some(own), Some(other)) => {
                own.level <= other.level
                    && (own.max_age_seconds == 0
                        || (other.max_age_seconds != 0 && own.max_age_seconds >= other.max_age_seconds))
            }
        };
        step_up && (!self.approval || other.approval)
    }
}

/// One line of a role.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    pub pattern: Pattern,
    pub effect: Effect,
    #[serde(default)]
    pub requirements: Requirements,
    #[serde(default, skip_serializing_if = "Condition::is_empty")]
    pub condition: Condition,
}

impl Grant {
    /// DENY carries no requirements.
    ///
    /// # Errors
    /// [`Invalid::NotAllowed`] where it does.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.effect == Effect::Deny && self.requirements != Requirements::default() {
            return Err(Invalid::NotAllowed { why: "a DENY grant carries no requirements" });
        }
        Ok(())
    }
}

/// Where, by whom and how often a role may be used. Empty lists mean "any".
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleRules {
    pub assignable: bool,
    /// The most peers per account, members of bound groups included.
    pub max_holders: Option<u32>,
    pub peer_kinds: Vec<PeerKind>,
    pub account_kinds: Vec<AccountKind>,
    pub reaches: Vec<Reach>,
    pub requires_justification: bool,
    /// Acts as a step-up of that level on each ALLOW grant.
    pub min_assurance: AssuranceLevel,
    /// Roles that a holder may bind without holding their permissions. Built-in roles only.
    pub grantable_roles: Vec<RoleId>,
    /// The role that applies inside an account session. Built-in roles only.
    pub session_role: Option<RoleId>,
    /// What must be said of a peer that is created with the role, by path. Built-in roles only; copies
    /// keep it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer_fields: Vec<String>,
}

impl Default for RoleRules {
    fn default() -> Self {
        Self {
            assignable: true,
            max_holders: None,
            peer_kinds: Vec::new(),
            account_kinds: Vec::new(),
            reaches: Vec::new(),
            requires_justification: false,
            min_assurance: AssuranceLevel::None,
            grantable_roles: Vec::new(),
            session_role: None,
            peer_fields: Vec::new(),
        }
    }
}

impl RoleRules {
    /// Whether these rules let nothing through that `source` refuses: a copy may only tighten.
    #[must_use]
    pub fn at_least_as_strict_as(&self, source: &Self) -> bool {
        fn narrower<T: PartialEq>(own: &[T], source: &[T]) -> bool {
            source.is_empty() || (!own.is_empty() && own.iter().all(|item| source.contains(item)))
        }
        let holders = match (self.max_holders, source.max_holders) {
            (_, None) => true,
            (Some(own), Some(source)) => own <= source,
            (None, Some(_)) => false,
        };
        (!self.assignable || source.assignable)
            && holders
            && narrower(&self.peer_kinds, &source.peer_kinds)
            && narrower(&self.account_kinds, &source.account_kinds)
            && narrower(&self.reaches, &source.reaches)
            && (self.requires_justification || !source.requires_justification)
            && self.min_assurance >= source.min_assurance
            && source.peer_fields.iter().all(|field| self.peer_fields.contains(field))
    }
}

/// Where a role comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RoleOrigin {
    /// From a role pack: read-only, usable wherever the pack is.
    BuiltIn,
    /// Made by people for an account; usable below it when `inheritable`.
    Custom { owner: AccountId, inheritable: bool },
}

/// A role as its administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub id: RoleId,
    pub origin: RoleOrigin,
    pub title: String,
    pub description: String,
    pub grants: Vec<Grant>,
    pub rules: RoleRules,
    pub copied_from: Option<RoleId>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub version: i64,
    pub update_revision: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_ordered() {
        let totp = StepUp { level: AssuranceLevel::Totp, max_age_seconds: 900 };
        let none = Requirements::default();
        let step_up = Requirements { step_up: Some(totp), approval: false };
        let approval = Requirements { step_up: None, approval: true };
        let both = Requirements { step_up: Some(totp), approval: true };
        let ordered = [none, step_up, approval, both];
        for (index, lower) in ordered.iter().enumerate() {
            for (other, higher) in ordered.iter().enumerate() {
                assert_eq!(lower.at_most(*higher), index <= other, "{lower:?} {higher:?}");
            }
        }
        assert!(ordered.iter().map(|requirements| requirements.rank()).eq(0..4));
    }

    #[test]
    fn copies_only_tighten() {
        let source = RoleRules { max_holders: Some(2), peer_kinds: vec![PeerKind::Person], ..RoleRules::default() };
        assert!(source.at_least_as_strict_as(&source));
        assert!(!RoleRules::default().at_least_as_strict_as(&source));
        let tighter = RoleRules { max_holders: Some(1), requires_justification: true, ..source.clone() };
        assert!(tighter.at_least_as_strict_as(&source));
        assert!(!source.at_least_as_strict_as(&tighter));
    }
}
