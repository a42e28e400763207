//! Identifiers as types, so that none is taken for another.
//!
//! Peers, bindings, groups, API keys and custom roles have UUIDv7 ids made by the server; accounts
//! have slugs chosen by people and never changed; built-in roles are `pack.role`.

use std::fmt;
use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::invalid::Invalid;

macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident;)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Reads the lower-case hyphenated form, and no other.
            ///
            /// # Errors
            /// [`Invalid::Form`] for anything else.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse_uuid(text).map(Self)
            }

            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    )*};
}

uuid_id! {
    /// The uid of a peer.
    PeerId;
    /// The id of a role binding. Ids are compared to break ties between bindings.
    BindingId;
    /// The id of a privilege group.
    GroupId;
    /// The id of an API key, which its holder may know; the key itself nobody keeps.
    ApiKeyId;
}

fn parse_uuid(text: &str) -> Result<Uuid, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "a lower-case UUID such as `0193a7b2-…`" };
    let uuid = Uuid::from_str(text).map_err(|_| FORM)?;
    // One spelling only, so that a name can be compared as text by those who keep it.
    if uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text { Ok(uuid) } else { Err(FORM) }
}

/// The chosen, immutable id of an account: an RFC 1035 label of 2 to 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(Box<str>);

impl AccountId {
    /// The longest id, in characters.
    pub const MAX: usize = 63;

    /// Reads an account id.
    ///
    /// # Errors
    /// [`Invalid::Form`] unless it is `[a-z][a-z0-9-]*[a-z0-9]`, 2 to 63 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let bytes = text.as_bytes();
        let fits = (2..=Self::MAX).contains(&bytes.len())
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last() != Some(&b'-')
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::Form { form: "`[a-z][a-z0-9-]*[a-z0-9]`, 2 to 63 characters" })
        }
    }

    /// The id of the root of the tree.
    #[must_use]
    pub fn platform() -> Self {
        Self("platform".into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// The derived `Hash` of a newtype over `str` is that of `str`, so a map may be asked by text.
impl std::borrow::Borrow<str> for AccountId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The id of a role: `pack.role` for a built-in one, a UUID for a custom one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleId(Box<str>);

impl RoleId {
    /// The longest id, in characters.
    pub const MAX: usize = 96;

    /// Reads a role id.
    ///
    /// # Errors
    /// [`Invalid::Form`] unless it is `pack.role` or a lower-case UUID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let built_in = text
            .split_once('.')
            .is_some_and(|(pack, role)| text.len() <= Self::MAX && is_pack(pack) && is_segment(role));
        if built_in || parse_uuid(text).is_ok() {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::Form { form: "`pack.role` or a UUID" })
        }
    }

    /// The id of a custom role.
    #[must_use]
    pub fn custom(uuid: Uuid) -> Self {
        Self(uuid.to_string().into())
    }

    /// The pack of a built-in role.
    #[must_use]
    pub fn pack(&self) -> Option<&str> {
        self.0.split_once('.').map(|(pack, _)| pack)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// `[a-z][a-z0-9-]*`, at most 31 characters: the name of a pack.
#[must_use]
pub fn is_pack(text: &str) -> bool {
    text.len() <= 31
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// `[a-z][a-z0-9_]*`, at most 63 characters: one half of a permission, or a role within its pack.
#[must_use]
pub fn is_segment(text: &str) -> bool {
    text.len() <= 63
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids() {
        for good in ["ab", "contoso", "a-1", &"a".repeat(63)] {
            assert!(AccountId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "A1", "1a", "a-", "a_b", "contoso ", "ä1", "a/b", "..", &"a".repeat(64)] {
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn role_ids() {
        for good in ["core.operator", "msp-panel.msp_user", "0193a7b2-0000-7000-8000-000000000000"] {
            assert!(RoleId::parse(good).is_ok(), "{good}");
        }
        for bad in ["operator", "core.", ".operator", "core.a.b", "Core.operator", "core.msp-user", ""] {
            assert!(RoleId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uuids_have_one_spelling() {
        assert!(PeerId::parse("0193a7b2-0000-7000-8000-00000000000a").is_ok());
        assert!(PeerId::parse("0193A7B2-0000-7000-8000-00000000000A").is_err());
        assert!(PeerId::parse("0193a7b20000700080000000000000aa").is_err());
    }
}
