//! The hashes of the audit format, and their hexadecimal form.
//!
//! Deliberately not here: the inner nodes of the Merkle tree. The prefix 0x00 keeps leaves apart
//! from them, as RFC 6962 asks.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

/// The previous hash of the first event of a log.
pub const GENESIS: Hash = [0; 32];

const LEAF_PREFIX: [u8; 1] = [0x00];
const SHA256_BLOCK: usize = 64;

/// The leaf hash of an event's exact bytes.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Sha256::new().chain_update(LEAF_PREFIX).chain_update(bytes).finalize().into()
}

/// The commitment to a personal value: HMAC-SHA-256 of its UTF-8 bytes with the salt as the key.
#[must_use]
pub fn commitment(salt: &[u8; 32], value: &str) -> Hash {
    // HMAC pads a short key with zeros to the block of its hash. Doing it here keeps this
    // function free of the length error that a slice of unknown size would need.
    let mut key = [0; SHA256_BLOCK];
    for (slot, byte) in key.iter_mut().zip(salt) {
        *slot = *byte;
    }
    Hmac::<Sha256>::new(&key.into()).chain_update(value.as_bytes()).finalize().into_bytes().into()
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Parses exactly 64 lower-case hexadecimal digits.
pub(super) fn parse_hex(text: &str) -> Option<Hash> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != GENESIS.len() {
        return None;
    }
    let mut hash = GENESIS;
    for (slot, [high, low]) in hash.iter_mut().zip(pairs) {
        *slot = hex_digit(*high)? << 4 | hex_digit(*low)?;
    }
    Some(hash)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_of_nothing_is_the_rfc_6962_empty_leaf() {
        assert_eq!(to_hex(&leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn commitment_equals_hmac_with_the_salt_as_a_slice_key() {
        let salt: [u8; 32] = std::array::from_fn(|index| index as u8);
        for value in ["", "jane@contoso.example", "Zoë 🦊"] {
            let expected: Hash = Hmac::<Sha256>::new_from_slice(&salt)
                .unwrap()
                .chain_update(value.as_bytes())
                .finalize()
                .into_bytes()
                .into();
            assert_eq!(commitment(&salt, value), expected, "{value}");
        }
    }

    #[test]
    fn hex_reads_back_only_what_it_writes() {
        let hash: Hash = std::array::from_fn(|index| index as u8 * 8);
        let hex = to_hex(&hash);
        assert_eq!(parse_hex(&hex), Some(hash));
        for wrong in [hex.to_uppercase(), hex.replace('8', "g"), format!("{hex}00"), "0".repeat(63), String::new()] {
            assert_eq!(parse_hex(&wrong), None, "{wrong}");
        }
    }
}
