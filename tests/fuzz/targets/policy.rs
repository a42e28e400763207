//! Policies of casbin that are imported: each line is taken or named with what is wrong with it, and
//! what is taken is within the bounds of an import.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::application::policy::form::{self, BINDINGS_MAX, ROLES_MAX};
use peerage::domain::ids::AccountId;
use peerage::domain::role::GRANTS_MAX;

fuzz_target!(|text: &str| {
    let account = AccountId::parse("contoso").expect("an account");
    let (roles, faults) = form::read(text, &account);
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
