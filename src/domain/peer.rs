//! Peers: identities that can act.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::ids::{AccountId, PeerId, RoleId};
use super::invalid::Invalid;
use super::text;
use super::time::Timestamp;
use super::words::words;

/// Bounds, in characters. 254 is the longest address that RFC 5321 can carry.
pub const USER_NAME_MAX: usize = 254;
pub const EMAIL_MAX: usize = 254;
pub const NAME_MAX: usize = 128;
pub const FIELD_MAX: usize = 256;
/// A deleted peer can be undeleted for 30 days.
pub const PURGE_AFTER_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;

/// What a peer is. DEVICE and INTEGRATION are the system peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PeerKind {
    Person,
    Device,
    Integration,
}

impl PeerKind {
    #[must_use]
    pub const fn is_system(self) -> bool {
        matches!(self, Self::Device | Self::Integration)
    }
}

/// Whether a peer can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PeerStatus {
    Enabled,
    Disabled,
    Deleted,
}

/// The format of mail to a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MailFormat {
    #[default]
    Html,
    PlainText,
}

/// The second factor a peer must use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TwoFactor {
    #[default]
    None,
    Email,
    Totp,
}

/// Everything about a peer that its administrators type in and no decision reads. Text that is not there
/// is not stored, since most of it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub first_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_name: String,
    /// The person's name as shown, or the service label of a system peer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub company_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secondary_email: String,
    pub mail_format: MailFormat,
    pub two_factor: TwoFactor,
    pub require_external_login: bool,
    pub password_never_expires: bool,
    /// The organizational user that the peer is bound to, in the tenant's directory.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub org_user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub street_address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub city: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub postal_code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phone_number: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mobile_phone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fax: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub language: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time_zone: String,
}

impl Profile {
    /// The name shown in lists: the display name, or first and last name.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.display_name.is_empty() {
            format!("{} {}", self.first_name, self.last_name).trim().to_owned()
        } else {
            self.display_name.clone()
        }
    }
}

/// A peer as its administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub id: PeerId,
    pub user_name: UserName,
    pub kind: PeerKind,
    pub home: AccountId,
    pub status: PeerStatus,
    pub profile: Profile,
    pub expire_time: Option<Timestamp>,
    /// Another peer of the same human.
    pub person: Option<PeerId>,
    pub default_role: Option<RoleId>,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub delete_time: Option<Timestamp>,
    pub last_login_time: Option<Timestamp>,
    pub last_active_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<PhotoReference>,
    pub version: i64,
    pub update_revision: i64,
}

/// Which photo a peer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoReference {
    /// The same for the same picture.
    pub etag: String,
    pub update_time: Timestamp,
}

/// What a peer signs in with: unique on the platform by NFKC case folding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserName(String);

impl UserName {
    /// Reads a user name: 1 to 254 characters, no spaces, no `/`; it may be an e-mail address.
    ///
    /// # Errors
    /// [`Invalid`] naming the first thing that is wrong.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let name = text::line(name, USER_NAME_MAX)?;
        if name.chars().any(|character| character.is_whitespace() || character == '/') {
            return Err(Invalid::Form { form: "a user name without spaces and `/`" });
        }
        // Where a request names a peer these mean somebody, whatever the user name says.
        if text::fold(&name) == "me" || PeerId::parse(&name).is_ok() {
            return Err(Invalid::NotAllowed { why: "`me` and uids name peers by themselves" });
        }
        Ok(Self(name))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which user names are compared.
    #[must_use]
    pub fn key(&self) -> String {
        text::fold(&self.0)
    }

    /// By what the facts know it.
    #[must_use]
    pub fn hash(&self) -> u128 {
        user_name_hash(&self.key())
    }
}

/// The first 16 bytes of the SHA-256 of a folded user name, the first byte the most significant.
#[must_use]
pub fn user_name_hash(key: &str) -> u128 {
    let hash = Sha256::digest(key.as_bytes());
    hash.iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

/// How a request names a peer: by uid, as the caller, or by user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerRef {
    Id(PeerId),
    Me,
    UserName(UserName),
}

impl PeerRef {
    /// Reads `peers/{uid}`, `peers/me` or `peers/@{user_name}`.
    ///
    /// # Errors
    /// [`Invalid::Form`] for anything else.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        const FORM: Invalid = Invalid::Form { form: "`peers/{uid}`, `peers/me` or `peers/@{user_name}`" };
        let id = name.strip_prefix("peers/").ok_or(FORM)?;
        if id == "me" {
            Ok(Self::Me)
        } else if let Some(user_name) = id.strip_prefix('@') {
            UserName::parse(user_name).map(Self::UserName)
        } else {
            PeerId::parse(id).map(Self::Id).map_err(|_| FORM)
        }
    }
}

words! {
    PeerKind { Person = "PERSON", Device = "DEVICE", Integration = "INTEGRATION" }
    PeerStatus { Enabled = "ENABLED", Disabled = "DISABLED", Deleted = "DELETED" }
    MailFormat { Html = "HTML", PlainText = "PLAIN_TEXT" }
    TwoFactor { None = "NONE", Email = "EMAIL", Totp = "TOTP" }
}
