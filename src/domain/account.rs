//! The account tree: kinds, depth, labels, suspension, and settings that only tighten downward.
//!
//! INVARIANT: there is one PLATFORM account, the root; every other account has a parent whose kind
//! may hold it; no path is longer than [`DEPTH_MAX`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, PeerId};
use super::invalid::Invalid;
use super::password::PasswordPolicy;
use super::time::Timestamp;
use super::words::words;

/// The most levels of the tree, the root counted.
pub const DEPTH_MAX: usize = 8;
/// The longest title, in characters.
pub const TITLE_MAX: usize = 128;
/// The most labels of one account, and the longest key and value.
pub const LABELS_MAX: usize = 64;
pub const LABEL_MAX: usize = 63;
/// The longest reason that is given for an act on an account, in characters.
pub const REASON_MAX: usize = 1024;
/// The most packs that an account lists.
pub const PACKS_MAX: usize = 16;

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountKind {
    Platform,
    Partner,
    Customer,
    Department,
}

impl AccountKind {
    /// Whether an account of this kind may hold a child of that kind.
    #[must_use]
    pub const fn may_hold(self, child: Self) -> bool {
        matches!(
            (self, child),
            (Self::Platform, Self::Partner)
                | (Self::Partner, Self::Partner | Self::Customer)
                | (Self::Customer | Self::Department, Self::Department)
        )
    }
}

/// What a suspension stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SuspensionScope {
    /// The account and everything below it.
    Subtree,
    /// Only the peers homed in this very account.
    OwnPeers,
}

/// How far peers of partners may act on an account; later is stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PartnerAccess {
    #[default]
    Allowed,
    SessionOnly,
    ByApproval,
    Blocked,
}

/// What an account sets for itself and everything below. `None` inherits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_access: Option<PartnerAccess>,
    /// The packs whose roles can be assigned at this PARTNER and below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_packs: Option<Vec<String>>,
    /// What the passwords of peers homed here must be like.
    #[serde(skip_serializing_if = "PasswordPolicy::is_empty")]
    pub password_policy: PasswordPolicy,
}

impl Settings {
    /// The first setting that has no place on an account of this kind.
    #[must_use]
    pub const fn misplaced_on(&self, kind: AccountKind) -> Option<&'static str> {
        let is_limited = matches!(kind, AccountKind::Partner | AccountKind::Customer);
        if self.partner_access.is_some() && !is_limited {
            Some("partner_access")
        } else if self.role_packs.is_some() && !matches!(kind, AccountKind::Partner) {
            Some("role_packs")
        } else {
            None
        }
    }

    /// What holds at a child that sets `self` under a parent where `inherited` holds.
    #[must_use]
    pub fn under(&self, inherited: &Self) -> Self {
        Self {
            partner_access: self.partner_access.max(inherited.partner_access),
            role_packs: self.role_packs.clone().or_else(|| inherited.role_packs.clone()),
            password_policy: self.password_policy.under(&inherited.password_policy),
        }
    }

    /// The settings by which `self` would be looser than `inherited`, which a child may not be.
    #[must_use]
    pub fn looser_than(&self, inherited: &Self) -> Vec<&'static str> {
        let mut looser = Vec::new();
        if self.partner_access.is_some() && self.partner_access < inherited.partner_access {
            looser.push("partner_access");
        }
        if let (Some(own), Some(above)) = (&self.role_packs, &inherited.role_packs)
            && own.iter().any(|pack| !above.contains(pack))
        {
            looser.push("role_packs");
        }
        looser.extend(self.password_policy.looser_than(&inherited.password_policy));
        looser
    }
}

/// Why, how far and since when an account is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    pub scope: SuspensionScope,
    pub reason: String,
    pub suspend_time: Timestamp,
}

/// An open request for another owner, which the operator completes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipRequest {
    pub new_owner: PeerId,
    pub requester: PeerId,
    pub reason: String,
    pub request_time: Timestamp,
}

/// An account as its administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub parent: Option<AccountId>,
    pub kind: AccountKind,
    pub title: String,
    pub labels: BTreeMap<String, String>,
    pub suspension: Option<Suspension>,
    pub settings: Settings,
    /// The peer that was made with the account.
    pub first_peer: Option<PeerId>,
    pub ownership_request: Option<OwnershipRequest>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub version: i64,
    pub update_revision: i64,
}

/// Reads a label key: `[a-z][a-z0-9_.-]*`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn label_key(text: &str) -> Result<String, Invalid> {
    let fits = text.len() <= LABEL_MAX
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err(Invalid::Form { form: "`[a-z][a-z0-9_.-]*`, at most 63 characters" }) }
}

/// Reads a label value: `[A-Za-z0-9_.-]*`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn label_value(text: &str) -> Result<String, Invalid> {
    let fits =
        text.len() <= LABEL_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if fits { Ok(text.to_owned()) } else { Err(Invalid::Form { form: "`[A-Za-z0-9_.-]*`, at most 63 characters" }) }
}

words! {
    AccountKind { Platform = "PLATFORM", Partner = "PARTNER", Customer = "CUSTOMER", Department = "DEPARTMENT" }
    SuspensionScope { Subtree = "SUBTREE", OwnPeers = "OWN_PEERS" }
    PartnerAccess { Allowed = "ALLOWED", SessionOnly = "SESSION_ONLY", ByApproval = "BY_APPROVAL", Blocked = "BLOCKED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_nest_as_the_tree_says() {
        use AccountKind::{Customer, Department, Partner, Platform};
        let legal = [
            (Platform, Partner),
            (Partner, Partner),
            (Partner, Customer),
            (Customer, Department),
            (Department, Department),
        ];
        for parent in [Platform, Partner, Customer, Department] {
            for child in [Platform, Partner, Customer, Department] {
                assert_eq!(parent.may_hold(child), legal.contains(&(parent, child)), "{parent:?} {child:?}");
            }
        }
    }

    #[test]
    fn settings_only_tighten_downward() {
        let above = Settings {
            partner_access: Some(PartnerAccess::SessionOnly),
            role_packs: Some(vec!["keepit".into()]),
            ..Settings::default()
        };
        let loose = Settings {
            partner_access: Some(PartnerAccess::Allowed),
            role_packs: Some(vec!["keepit".into(), "mspcontrol".into()]),
            ..Settings::default()
        };
        assert_eq!(loose.looser_than(&above), ["partner_access", "role_packs"]);
        assert!(Settings::default().looser_than(&above).is_empty());
        assert_eq!(Settings::default().under(&above), above);
        let tight = Settings { partner_access: Some(PartnerAccess::Blocked), ..Settings::default() };
        assert_eq!(tight.under(&above).partner_access, Some(PartnerAccess::Blocked));
    }
}
