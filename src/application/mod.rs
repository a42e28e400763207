//! One function per use case: who may, what the rules say, one transaction with its audit event and
//! its revision.
//!
//! [`write::Write`] is the only way to change policy: it locks, catches up, and judges every change
//! before it commits ([`ceiling`] for escalation, [`invariants`] for the rules nobody may bend), so
//! that no path can forget. Neither wire messages nor SQL are known here.

pub mod access_lists;
pub mod accounts;
pub mod api_keys;
pub mod audit;
pub mod authorize;
pub mod batch;
pub mod bindings;
pub mod bootstrap;
pub mod ceiling;
mod commit;
pub mod context;
pub mod discretion;
pub mod error;
pub mod explain;
pub mod generate;
pub mod groups;
pub mod guard;
pub mod invariants;
pub mod kept;
pub mod packs;
pub mod page;
pub mod passwords;
pub mod past;
pub mod peers;
pub mod permissions;
pub mod photos;
pub mod policy;
pub mod pool;
pub mod preview;
pub mod published;
pub mod refresh;
pub mod refusals;
pub mod requests;
pub mod roles;
mod rows;
mod scope;
pub mod shadow;
pub mod stage;
pub mod start;
pub mod uses;
pub mod write;

pub use context::{Call, Caller, Clock, Ctx, Entropy, Pools, RequestId};
pub use error::{Error, Forbidden, Precondition, Result, Taken, Violation};
