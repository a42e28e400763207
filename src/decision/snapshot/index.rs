//! The numbers that stand for names inside a snapshot and all that follow it.
//!
//! INVARIANT: a number is never given twice, also when what it named is gone.

use super::SnapshotError;

macro_rules! index {
    ($(#[$doc:meta] $name:ident;)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(super) u32);

        impl $name {
            /// Its place among its kind.
            #[inline]
            #[must_use]
            pub const fn place(self) -> usize {
                self.0 as usize
            }

            pub(in crate::decision) fn of(place: usize) -> Result<Self, SnapshotError> {
                let number = u32::try_from(place).ok().filter(|number| *number <= u32::MAX / 2);
                number.map(Self).ok_or(SnapshotError::TooMany)
            }
        }
    )*};
}

index! {
    /// The number of an account in a snapshot and all that follow it.
    AccountIndex;
    /// The number of a peer.
    PeerIndex;
    /// The number of a role.
    RoleIndex;
    /// The number of a group.
    GroupIndex;
    /// The number of a permission.
    PermissionIndex;
}
