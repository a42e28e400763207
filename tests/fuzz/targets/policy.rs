//! Policies of casbin that are imported: each line is taken or named with what is wrong with it, and
//! what is taken is within the bounds of an import.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::application::policy::form::{self, BINDINGS_MAX, Known, ROLES_MAX};
use peerage::domain::ids::{AccountId, PeerId};
use peerage::domain::invalid::Invalid;
use peerage::domain::role::GRANTS_MAX;

fuzz_target!(|text: &str| {
    let account = AccountId::parse("contoso").expect("an account");
    let holder = PeerId::parse("0198c5b2-7d00-7000-8000-000000000001").expect("a peer");
    let known = Known {
        permission: &|name| !name.as_str().starts_with('n'),
        account: &|id| !id.as_str().starts_with('n'),
        peer: &|_, id| match id.as_str().starts_with('m') {
            true => Err(Invalid::Missing),
            false => Ok(holder),
        },
    };
    let (roles, faults) = form::read(text, &account).wanted(known);
    let lines = text.lines().count();
    assert!(faults.iter().all(|fault| fault.line <= lines), "a line that is not there");
    if faults.is_empty() {
        assert!(roles.len() <= ROLES_MAX);
        assert!(roles.iter().map(|role| role.holders.len()).sum::<usize>() <= BINDINGS_MAX);
    }
    for role in &roles {
        assert!(!role.title.trim().is_empty());
        assert!((1..=GRANTS_MAX).contains(&role.grants.len()), "{} grants", role.grants.len());
    }
});
