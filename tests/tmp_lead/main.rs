//! x
#![allow(clippy::unwrap_used, dead_code)]
#[path = "../it/access.rs"] mod access;
#[path = "../it/api_contract.rs"] mod api_contract;
#[path = "../it/api_keys.rs"] mod api_keys;
#[path = "../it/architecture.rs"] mod architecture;
#[path = "../it/bounds.rs"] mod bounds;
#[path = "../it/command_line.rs"] mod command_line;
#[path = "../it/products/mod.rs"] mod products;
#[path = "../it/races.rs"] mod races;
#[path = "../it/server.rs"] mod server;
#[path = "../it/support/mod.rs"] mod support;
