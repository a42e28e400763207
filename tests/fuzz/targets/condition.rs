//! Conditions of grants: whatever bytes come as a role are refused with every wrong field named, or
//! hold grants that are stored and read back the same, whose networks contain what they say.

#![no_main]

#[path = "../platform.rs"]
mod platform;

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use peerage::decision::condition::{Conditions, Verdict};
use peerage::domain::condition::Condition;
use peerage::domain::context::Context;
use peerage::domain::role::Grant;
use peerage::domain::time::Timestamp;
use peerage::transport::grpc::convert::{Fields, role};
use peerage::transport::grpc::pb;
use platform::PLATFORM;
use prost::Message as _;

const ADDRESSES: [&str; 6] = ["0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::ffff:10.1.2.3", "2001:db8::1"];

fn check(grant: &Grant, conditions: &mut Conditions) {
    let stored = serde_json::to_string(grant).expect("a grant can be stored");
    let read: Grant = serde_json::from_str(&stored).expect("a stored grant can be read");
    assert_eq!(&read, grant);
    assert_eq!(grant.condition.check(), Ok(()), "{stored}");
    let path = PLATFORM.path(PLATFORM.find_account("platform").expect("the root"));
    let whole = conditions.ready(&grant.condition, grant.effect);
    let networks = Condition { source_networks: grant.condition.source_networks.clone(), ..Condition::default() };
    let alone = conditions.ready(&networks, grant.effect);
    for address in ADDRESSES {
        let address: IpAddr = address.parse().expect("an address");
        let context = Context { source_address: Some(address), ..Context::default() };
        let contain = networks.source_networks.iter().any(|one| one.net().contains(&address.to_canonical()));
        let expected = if contain || networks.is_empty() { Verdict::Holds } else { Verdict::Fails };
        for now in [Timestamp::MIN, Timestamp::from_micros(0), Timestamp::MAX] {
            assert_eq!(alone.verdict(&PLATFORM, &path, now, &context), expected, "{address} {stored}");
            let verdict = whole.verdict(&PLATFORM, &path, now, &context);
            assert!(verdict != Verdict::Holds || expected == Verdict::Holds, "{address} {stored}");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(sent) = pb::Role::decode(bytes) else { return };
    let request = pb::CreateRoleRequest { role: Some(sent), ..pb::CreateRoleRequest::default() };
    let mut fields = Fields::default();
    match role::create(&mut fields, &request) {
        None => assert!(!fields.into_violations().is_empty(), "refused without a word"),
        Some(create) => {
            let mut conditions = Conditions::default();
            for grant in &create.grants {
                check(grant, &mut conditions);
            }
        }
    }
});
