//! Sizes of pages, the same for every list (AIP-158).

use super::invalid::Invalid;

/// What a list returns where the caller names no size.
pub const DEFAULT: u64 = 50;
/// The most a list returns at once; larger wishes are clamped.
pub const MAX: u64 = 1000;

/// Reads `page_size`: zero means the default, too large is clamped.
///
/// # Errors
/// [`Invalid::Negative`] for negative sizes.
pub fn size(page_size: i32) -> Result<u64, Invalid> {
    match u64::try_from(page_size) {
        Ok(0) => Ok(DEFAULT),
        Ok(size) => Ok(size.min(MAX)),
        Err(_) => Err(Invalid::Negative),
    }
}
