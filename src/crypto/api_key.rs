//! The text of an API key: `prg_<id>_<secret><crc>`.
//!
//! The prefix and the checksum let scanners find leaked keys without asking the server; the secret is
//! 256 random bits, so that a plain SHA-256 is enough to keep it by (there is nothing to guess).

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::domain::ids::ApiKeyId;

const PREFIX: &str = "prg_";
/// `prg_`, 32 hexadecimal digits of the id, `_`, 64 of the secret, 8 of the CRC-32.
const LENGTH: usize = PREFIX.len() + 32 + 1 + 64 + 8;

/// An API key as its holder presents it.
pub struct ApiKeyText(Zeroizing<String>);

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKeyText(<redacted>)")
    }
}

impl ApiKeyText {
    /// Makes the text of a key from its id and 256 random bits.
    #[must_use]
    pub fn new(id: ApiKeyId, secret: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(PREFIX);
        text.push_str(id.as_uuid().simple().encode_lower(&mut uuid::Uuid::encode_buffer()));
        text.push('_');
        push_hex(&mut text, secret);
        let checksum = crc32fast::hash(text.as_bytes());
        push_hex(&mut text, &checksum.to_be_bytes());
        Self(text)
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of the key.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// The hash of a presented key, or `None` where the text cannot be one. The whole text is hashed and
/// looked up by its hash, so that nothing is compared byte by byte with a secret.
#[must_use]
pub fn hash_presented(text: &str) -> Option<[u8; 32]> {
    let body = text.get(..LENGTH.checked_sub(8)?)?;
    let is_whole = text.len() == LENGTH && text.starts_with(PREFIX);
    let checksum = u32::from_str_radix(text.get(LENGTH - 8..)?, 16).ok()?;
    (is_whole && crc32fast::hash(body.as_bytes()) == checksum).then(|| Sha256::digest(text.as_bytes()).into())
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_and_typing_errors_found() {
        let key = ApiKeyText::new(ApiKeyId::from(uuid::Uuid::from_u128(7)), &[9; 32]);
        assert_eq!(key.expose().len(), LENGTH);
        assert_eq!(hash_presented(key.expose()), Some(key.hash()));
        let wrong = key.expose().replace("0909", "0919");
        for text in ["", "prg_", "é", &wrong, &key.expose()[1..], &format!("{}0", key.expose())] {
            assert_eq!(hash_presented(text), None, "{text}");
        }
        assert!(!format!("{key:?}").contains("09"));
    }
}
