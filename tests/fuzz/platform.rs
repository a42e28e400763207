//! A platform with a root, one permission and nobody, for targets that need facts to ask about.

use std::sync::LazyLock;

use peerage::decision::Snapshot;
use peerage::decision::compile::Compiler;
use peerage::domain::fact::{AccountFact, Fact};
use peerage::domain::permission::{Permission, PermissionFlags, PermissionName, PermissionOwner};

pub const PERMISSION: &str = "devices.view";

pub static PLATFORM: LazyLock<Snapshot> = LazyLock::new(|| {
    let root = Fact::Account(AccountFact::root());
    let permission = Fact::Permission(Permission {
        name: PermissionName::parse(PERMISSION).expect("a permission"),
        title: "View devices".to_owned(),
        feature: "Devices".to_owned(),
        flags: PermissionFlags::default(),
        owner: PermissionOwner::Pack("core".into()),
    });
    let mut compiler = Compiler::new().expect("casbin takes the model");
    Snapshot::load(1, [permission, root], &mut compiler).expect("a root and a permission")
});
