//! What shows that a file was written by a process of this deployment, and is whole: HMAC-SHA-256 over
//! all of it, by a key that lies in the database.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes of a finished seal.
pub const SEAL: usize = 32;

/// A seal in the making.
#[derive(Clone)]
pub struct FileSeal(Hmac<Sha256>);

impl fmt::Debug for FileSeal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FileSeal(<redacted>)")
    }
}

impl FileSeal {
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        // HMAC takes a key of its hash's block, and fills a shorter one up with zeros.
        let mut block = [0; 64];
        block.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
        Self(Hmac::new(&block.into()))
    }

    /// Takes in what comes next in the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The seal of all that was taken in.
    #[must_use]
    pub fn finish(self) -> [u8; SEAL] {
        self.0.finalize().into_bytes().into()
    }

    /// Whether a seal is that of all that was taken in; how long it takes says nothing of either.
    #[must_use]
    pub fn is(self, seal: &[u8; SEAL]) -> bool {
        self.0.verify_slice(seal).is_ok()
    }
}
