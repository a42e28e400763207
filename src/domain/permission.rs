//! Permissions, exactly `resource.action`, and the patterns by which grants name several.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, is_segment};
use super::invalid::Invalid;

/// What whoever decides an approval must hold, beside what is asked for.
pub const APPROVE: &str = "approvals.decide";

/// The pack of what this service itself does. Its roles can be given everywhere.
pub const CORE_PACK: &str = "core";

/// The name of a permission, such as `licenses.order`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionName(Box<str>);

impl PermissionName {
    /// The longest name, in characters.
    pub const MAX: usize = 127;

    /// Reads a permission name.
    ///
    /// # Errors
    /// [`Invalid::Form`] unless it is `resource.action`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text.split_once('.') {
            Some((resource, action)) if is_segment(resource) && is_segment(action) => Ok(Self(text.into())),
            _ => Err(Invalid::Form { form: "`resource.action`, each `[a-z][a-z0-9_]*` of at most 63 characters" }),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn resource(&self) -> &str {
        self.0.split_once('.').map_or("", |(resource, _)| resource)
    }

    #[must_use]
    pub fn action(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, action)| action)
    }
}

// The derived `Hash` of a newtype over `str` is that of `str`, so a map may be asked by text.
impl std::borrow::Borrow<str> for PermissionName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PermissionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a grant names: each segment a literal or `*` alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// Reads a pattern such as `devices.*`.
    ///
    /// # Errors
    /// [`Invalid::Form`] unless each of the two segments is a literal or `*`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = |segment: &str| segment == "*" || is_segment(segment);
        match text.split_once('.') {
            Some((resource, action)) if fits(resource) && fits(action) => Ok(Self(text.into())),
            _ => Err(Invalid::Form { form: "`resource.action`, either of which may be `*` alone" }),
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn resource(&self) -> &str {
        self.0.split_once('.').map_or("", |(resource, _)| resource)
    }

    #[must_use]
    pub fn action(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, action)| action)
    }

    /// The permission that this pattern names literally.
    #[must_use]
    pub fn literal(&self) -> Option<PermissionName> {
        PermissionName::parse(&self.0).ok()
    }

    /// Whether this pattern can be read as the name, were the permission not reserved.
    #[must_use]
    pub fn can_name(&self, name: &PermissionName) -> bool {
        let can = |pattern: &str, text: &str| pattern == text || pattern == "*";
        can(self.resource(), name.resource()) && can(self.action(), name.action())
    }

    /// Whether this pattern names the permission; a reserved one only literally.
    #[must_use]
    pub fn matches(&self, permission: &Permission) -> bool {
        let matches = |pattern: &str, text: &str| pattern == text || (pattern == "*" && !permission.flags.reserved);
        matches(self.resource(), permission.name.resource()) && matches(self.action(), permission.name.action())
    }

    /// Whether every permission that `other` can ever name is named by this pattern too: a wildcard
    /// needs a wildcard. Reserved permissions are the caller's to exclude.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let covers = |own: &str, other: &str| own == "*" || own == other;
        covers(self.resource(), other.resource()) && covers(self.action(), other.action())
    }

    /// Whether some permission may be named by both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let overlaps = |own: &str, other: &str| own == "*" || other == "*" || own == other;
        overlaps(self.resource(), other.resource()) && overlaps(self.action(), other.action())
    }
}

impl From<&PermissionName> for Pattern {
    fn from(name: &PermissionName) -> Self {
        Self(name.as_str().into())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What is special about a permission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PermissionFlags {
    /// Gives power over others. A mark in the catalogue for whoever reads it: no decision asks for it.
    pub privileged: bool,
    /// Only a grant that names it literally matches, never a wildcard.
    pub reserved: bool,
    /// Counts for a partner's peers also where the customer lets them in by session or approval only.
    pub from_outside: bool,
    /// Goes on while the account is suspended.
    pub on_suspended: bool,
}

/// Who registered a permission.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PermissionOwner {
    /// A role pack, by its name.
    Pack(String),
    /// A service, under the account it registered for.
    Account(AccountId),
}

/// An entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permission {
    pub name: PermissionName,
    pub title: String,
    pub feature: String,
    pub flags: PermissionFlags,
    pub owner: PermissionOwner,
}

/// Bounds of the catalogue's texts, in characters.
pub const TITLE_MAX: usize = 128;
/// The most permissions that can be registered.
pub const CATALOGUE_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    fn permission(name: &str, reserved: bool) -> Permission {
        Permission {
            name: PermissionName::parse(name).unwrap(),
            title: String::new(),
            feature: String::new(),
            flags: PermissionFlags { reserved, ..PermissionFlags::default() },
            owner: PermissionOwner::Pack("core".into()),
        }
    }

    #[test]
    fn patterns_match_by_whole_segments() {
        for (text, name, matches) in [
            ("*.*", "devices.view", true),
            ("devices.*", "devices.view", true),
            ("*.view", "devices.view", true),
            ("*.view", "devices.manage", false),
            ("devices.view", "devices.view", true),
            ("devices.view", "devices.view_all", false),
        ] {
            assert_eq!(pattern(text).matches(&permission(name, false)), matches, "{text} {name}");
        }
        for bad in ["", "devices", "*", "dev*.view", "devices.view.x", "Devices.view", "devices.", "**.view"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reserved_permission_is_matched_literally_only() {
        let reserved = permission("accounts.create_partner", true);
        for text in ["*.*", "accounts.*", "*.create_partner"] {
            assert!(!pattern(text).matches(&reserved), "{text}");
        }
        assert!(pattern("accounts.create_partner").matches(&reserved));
    }

    #[test]
    fn a_wildcard_needs_a_wildcard() {
        assert!(pattern("*.*").covers(&pattern("devices.*")));
        assert!(pattern("devices.*").covers(&pattern("devices.view")));
        assert!(!pattern("devices.view").covers(&pattern("devices.*")));
        assert!(!pattern("devices.*").covers(&pattern("*.view")));
        assert!(pattern("devices.*").overlaps(&pattern("*.view")));
        assert!(!pattern("devices.*").overlaps(&pattern("users.*")));
    }
}
