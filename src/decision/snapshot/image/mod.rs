//! A snapshot as bytes, and back: what a server keeps beside itself to start from.
//!
//! INVARIANT: equal facts make equal bytes, whatever order they came in and whatever was there before
//! them. All is in order of name or id, a thing that is named again is so by its place in that order,
//! and none of the numbers inside a snapshot is written.
//!
//! It holds facts alone: verdicts are asked of casbin anew. Not here: whether bytes are whole and from
//! where they should be, which whoever keeps them has to know before they are read.

mod read;
mod write;

use super::SnapshotError;

/// The number of this form. Another one is not read.
pub const FORM: u32 = 1;

/// Bytes that are no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("the bytes cannot be read")]
    Io(#[from] std::io::Error),
    #[error("{what} cannot be what it is")]
    Malformed { what: &'static str },
    #[error("the facts do not fit together")]
    Snapshot(#[from] SnapshotError),
}

/// Bits of a binding or a membership.
mod term {
    pub(super) const ELIGIBLE: u8 = 1;
    pub(super) const ACCOUNT_ONLY: u8 = 2;
    pub(super) const STARTS: u8 = 4;
    pub(super) const EXPIRES: u8 = 8;
    pub(super) const ALL: u8 = 15;
}

/// Bits of a peer: two of its kind, two of its status, and what else is said of it.
mod trait_of_peer {
    pub(super) const STATUS_SHIFT: u32 = 2;
    pub(super) const HAS_PERSON: u8 = 16;
    pub(super) const EXPIRES: u8 = 32;
    pub(super) const ALL: u8 = 63;
}

#[cfg(test)]
mod tests;
