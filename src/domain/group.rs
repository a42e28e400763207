//! Privilege groups: peers that gain the same bindings. Groups do not nest.

use serde::{Deserialize, Serialize};

use super::binding::Mode;
use super::ids::{AccountId, GroupId, PeerId};
use super::time::{Timestamp, Window};

/// The longest title and description, in characters.
pub const TITLE_MAX: usize = 128;
pub const DESCRIPTION_MAX: usize = 1024;

/// A group as its administrators see it. Titles are unique per account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub account: AccountId,
    pub title: String,
    pub description: String,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub version: i64,
    pub update_revision: i64,
}

/// One peer's membership of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub group: GroupId,
    pub peer: PeerId,
    pub mode: Mode,
    pub window: Window,
    pub create_time: Timestamp,
    pub update_revision: i64,
}
