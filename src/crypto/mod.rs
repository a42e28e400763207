//! Secrets: how they are made and told apart. Nothing here stores or logs one.

pub mod api_key;
pub mod file_seal;
pub mod page_token;
pub mod password;
