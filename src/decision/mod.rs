//! May this peer do this, on this account, now?
//!
//! [`snapshot`] holds every fact that a decision reads, interned and immutable; [`evaluate()`] answers
//! from it without a lock, a wait or I/O. casbin says what a role's grants mean ([`compile`]); its
//! verdicts are kept by permission, so that the hot path reads no pattern. [`explain`] says what a
//! decision came from, [`lists`] asks where, who and what. [`holdings`] and [`administrators`] judge
//! changes before they are made, on the same snapshot.
//!
//! There is no cache of results here: caches are where other engines answered wrongly.

pub mod administrators;
pub mod compile;
pub mod condition;
pub mod difference;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod holdings;
pub mod lists;
pub mod matrix;
pub mod places;
pub mod plain;
pub mod shard_map;
pub mod snapshot;
pub mod tree;

pub use evaluate::{Decision, Outcome, Query, Reason, evaluate};
pub use snapshot::{AccountIndex, Loader, PeerIndex, PermissionIndex, RoleIndex, Snapshot, SnapshotError};
