//! Rows as they are stored, one module a table. Columns hold plain values; what they mean is read
//! and written by the family modules beside this one.
//!
//! Not here: relations. Every join is written out where it is used.

pub mod account;
pub mod api_key;
pub mod audit_event;
pub mod audit_log;
pub mod audit_personal;
pub mod bootstrap;
pub mod former_password;
pub mod group;
pub mod group_member;
pub mod pack;
pub mod password;
pub mod peer;
pub mod permission;
pub mod photo;
pub mod policy_change;
pub mod policy_revision;
pub mod request;
pub mod role;
pub mod role_binding;
pub mod schema_floor;
pub mod secret;
