//! Small domain enums as their words in columns, and structures as JSON text.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use crate::domain::account::AccountKind;
use crate::domain::binding::{Mode, Reach};
use crate::domain::peer::{MailFormat, PeerKind, PeerStatus, TwoFactor};

/// An enum that stands in a column as its word.
pub(super) trait Coded: Sized {
    fn word(self) -> &'static str;

    fn read(word: &str, table: &'static str, key: &impl fmt::Display) -> Result<Self, StoreError>;
}

macro_rules! coded {
    ($($type:ident),* $(,)?) => {$(
        impl Coded for $type {
            fn word(self) -> &'static str {
                self.as_str()
            }

            fn read(word: &str, table: &'static str, key: &impl fmt::Display) -> Result<Self, StoreError> {
                Self::parse(word).map_err(|_| StoreError::corrupt(table, key))
            }
        }
    )*};
}

coded!(AccountKind, PeerKind, PeerStatus, TwoFactor, MailFormat, Reach, Mode);

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
