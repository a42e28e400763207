//! Peerage: identity and authorization for the platforms on which managed service providers run
//! their customers' IT.
//!
//! The rooms in reading order. Imports point one way, transport -> application -> domain, decision,
//! storage, crypto; `tests/it/architecture.rs` holds them to it.

pub mod app;
pub mod application;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod decision;
pub mod domain;
pub mod storage;
pub mod telemetry;
pub mod transport;
pub mod worker;
