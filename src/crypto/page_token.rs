//! Page tokens: a place in a list, sealed.
//!
//! Whoever holds a token can neither read the place in it, which may be that of a row they must not
//! see, nor make one up. A token opens only in the context it was sealed in (whose list of what) and
//! until its end. XChaCha20-Poly1305, whose nonces are long enough to be drawn at random.
//!
//! INVARIANT: the length of a token says no more than which multiple of `BLOCK` the place fits in.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};

use crate::domain::time::Timestamp;

/// The longest token, in characters.
pub const TOKEN_MAX: usize = 16_384;
/// Bytes of a nonce, which a token begins with.
pub const NONCE: usize = 24;
/// What places are filled up to a multiple of.
const BLOCK: usize = 128;
/// Bytes of the end, and of the place's length.
const HEAD: usize = 8 + 4;

/// What a token belongs to: it opens in no other context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(pub [u8; 32]);

/// The key that tokens are sealed with.
#[derive(Clone)]
pub struct PageKey(XChaCha20Poly1305);

impl fmt::Debug for PageKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PageKey(<redacted>)")
    }
}

impl PageKey {
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&(*key).into()))
    }

    /// Seals a place until a time. `None` where it is too long for a token.
    #[must_use]
    pub fn seal(&self, nonce: [u8; NONCE], place: &[u8], context: Context, end: Timestamp) -> Option<String> {
        let mut plain = Vec::with_capacity((HEAD + place.len()).next_multiple_of(BLOCK));
        plain.extend_from_slice(&end.as_micros().to_be_bytes());
        plain.extend_from_slice(&u32::try_from(place.len()).ok()?.to_be_bytes());
        plain.extend_from_slice(place);
        plain.resize(plain.len().next_multiple_of(BLOCK), 0);
        let sealed = self.0.encrypt(&nonce.into(), Payload { msg: &plain, aad: &context.0 }).ok()?;
        let token = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        (token.len() <= TOKEN_MAX).then_some(token)
    }

    /// The place in a token. `None` of one that was not sealed here in this context, or is over.
    #[must_use]
    pub fn open(&self, token: &str, context: Context, now: Timestamp) -> Option<Vec<u8>> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let plain = self.0.decrypt(&(*nonce).into(), Payload { msg: sealed, aad: &context.0 }).ok()?;
        let (end, rest) = plain.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let is_over = Timestamp::from_micros(i64::from_be_bytes(*end)) <= now;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if is_over { None } else { rest.get(..length).map(<[u8]>::to_vec) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_micros(100);
    const CONTEXT: Context = Context([7; 32]);

    #[test]
    fn a_token_opens_with_its_key_in_its_context_until_its_end() {
        let key = PageKey::new(&[1; 32]);
        let token = key.seal([2; NONCE], b"place", CONTEXT, END).unwrap();
        let open =
            |key: &PageKey, token: &str, context, micros| key.open(token, context, Timestamp::from_micros(micros));
        assert_eq!(open(&key, &token, CONTEXT, 99).as_deref(), Some(&b"place"[..]));
        assert_eq!(open(&key, &token, CONTEXT, 100), None);
        assert_eq!(open(&key, &token, Context([8; 32]), 99), None);
        assert_eq!(open(&PageKey::new(&[3; 32]), &token, CONTEXT, 99), None);
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert_eq!(open(&key, &forged, CONTEXT, 99), None, "{at}");
        }
        for bad in ["", "x", "é", &token[1..]] {
            assert_eq!(open(&key, bad, CONTEXT, 99), None, "{bad}");
        }
    }

    #[test]
    fn the_length_of_a_token_does_not_tell_the_place() {
        let key = PageKey::new(&[1; 32]);
        let length = |place: usize| key.seal([2; NONCE], &vec![0; place], CONTEXT, END).map(|token| token.len());
        assert_eq!(length(0), length(BLOCK - HEAD));
        assert!(length(0) < length(BLOCK - HEAD + 1));
        assert!(length(8_500).is_some());
        assert_eq!(length(TOKEN_MAX), None);
    }
}
