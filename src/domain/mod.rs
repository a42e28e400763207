//! What Peerage talks about: validated names, the account tree's kinds, peers, roles, grants,
//! bindings, and the facts a decision reads.
//!
//! A value of a type from this room is right by construction: it is parsed once, where it enters,
//! and never checked again. Nothing here waits, reads a clock, draws a random number or knows of a
//! database or a wire format.

pub mod account;
pub mod api_key;
pub mod audit;
pub mod binding;
pub mod condition;
pub mod contact;
pub mod context;
pub mod fact;
pub mod filter;
pub mod group;
pub mod ids;
pub mod invalid;
pub mod page;
pub mod password;
pub mod peer;
pub mod permission;
pub mod photo;
pub mod role;
pub mod text;
pub mod time;
pub mod user_agent;
mod words;
