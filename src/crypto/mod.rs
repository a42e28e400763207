//! Secrets: how they are made and told apart. Nothing here stores or logs one.
//!
//! What takes long runs on a [`pool`] of its own threads.

pub mod api_key;
pub mod page_token;
pub mod password;
pub mod pool;
