//! Small domain enums as the words that stand in columns, and structures as JSON text.
//!
//! The words are those of the API and of the change feed; they are written out here because a
//! renamed variant must not change what is stored.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use crate::domain::account::AccountKind;
use crate::domain::binding::{Mode, Reach};
use crate::domain::peer::{MailFormat, PeerKind, PeerStatus, TwoFactor};

/// An enum that stands in a column as a word.
pub(super) trait Coded: Copy + 'static {
    const WORDS: &'static [(Self, &'static str)];

    fn word(self) -> &'static str;

    fn read(word: &str, table: &'static str, key: &impl fmt::Display) -> Result<Self, StoreError> {
        Self::WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(value, _)| *value)
            .ok_or_else(|| StoreError::corrupt(table, key))
    }
}

macro_rules! coded {
    ($($type:ident { $($variant:ident = $word:literal),* })*) => {$(
        impl Coded for $type {
            const WORDS: &'static [(Self, &'static str)] = &[$((Self::$variant, $word)),*];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    )*};
}

coded! {
    AccountKind { Platform = "PLATFORM", Partner = "PARTNER", Customer = "CUSTOMER", Department = "DEPARTMENT" }
    PeerKind { Person = "PERSON", Device = "DEVICE", Integration = "INTEGRATION" }
    PeerStatus { Enabled = "ENABLED", Disabled = "DISABLED", Deleted = "DELETED" }
    TwoFactor { None = "NONE", Email = "EMAIL", Totp = "TOTP" }
    MailFormat { Html = "HTML", PlainText = "PLAIN_TEXT" }
    Reach { Subtree = "SUBTREE", AccountOnly = "ACCOUNT_ONLY" }
    Mode { Active = "ACTIVE", Eligible = "ELIGIBLE" }
}

/// Writes a structure as JSON text.
pub(super) fn to_json(
    value: &impl Serialize,
    table: &'static str,
    key: &impl fmt::Display,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::corrupt(table, key))
}

/// Reads a structure from JSON text.
pub(super) fn from_json<T: DeserializeOwned>(
    text: &str,
    table: &'static str,
    key: &impl fmt::Display,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::corrupt(table, key))
}

/// Reads bytes of a fixed length.
pub(super) fn fixed<const N: usize>(
    bytes: &[u8],
    table: &'static str,
    key: &impl fmt::Display,
) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::corrupt(table, key))
}
