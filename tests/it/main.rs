//! Behavior, proven over the wire against running servers; storage, contract and architecture beside it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod access;
mod access_lists;
mod accounts;
mod api_contract;
mod api_keys;
mod architecture;
mod audit;
mod bindings;
mod bounds;
mod command_line;
mod conditions;
mod corpus;
mod decision_log;
mod denials;
mod escalation;
mod explain;
mod fire;
mod following;
mod groups;
mod knocking;
mod oracle;
mod pages;
mod peers;
mod policy;
mod preview;
mod products;
mod races;
mod refusals;
mod requests;
mod requirements;
mod roles;
mod server;
mod sidesteps;
mod states;
mod storage;
mod support;
mod tables;
mod worlds;
