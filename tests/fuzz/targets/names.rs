//! Names: what is taken for one is written again as it was read, and nobody is taken for two things.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::domain::ids::{AccountId, PeerId, RoleId};
use peerage::domain::peer::{PeerRef, USER_NAME_MAX, UserName};
use peerage::domain::permission::{Pattern, PermissionName};
use peerage::domain::{contact, text};
use peerage::transport::grpc::convert;

/// Reading what was read changes nothing more.
fn settled<E: std::fmt::Debug>(read: impl Fn(&str) -> Result<String, E>, given: &str) {
    if let Ok(once) = read(given) {
        assert_eq!(read(&once).expect("what was read can be read"), once);
    }
}

fuzz_target!(|given: &str| {
    if let Ok(id) = AccountId::parse(given) {
        assert_eq!(id.as_str(), given);
        assert_eq!(convert::account_name(&format!("accounts/{given}")), Ok(id));
    }
    if let Ok(id) = RoleId::parse(given) {
        assert_eq!(id.as_str(), given);
    }
    if let Ok(name) = PermissionName::parse(given) {
        assert_eq!(format!("{}.{}", name.resource(), name.action()), given);
        let pattern = Pattern::parse(given).expect("each permission is a pattern of itself");
        assert_eq!(pattern.literal(), Some(name));
    }
    if let Ok(name) = UserName::parse(given) {
        assert!(name.as_str().chars().count() <= USER_NAME_MAX);
        assert_eq!(convert::peer_name(&format!("peers/@{given}")), Ok(PeerRef::UserName(name.clone())));
        // What compares equal is one name, however it is written.
        let key = name.key();
        assert_eq!(text::fold(&key), key, "folding twice folds more");
        assert!(PeerId::parse(given).is_err() && key != "me", "a user name that names a peer by itself");
        assert_eq!(text::shown(name.as_str()), name.as_str(), "a name that is shown as another one");
    }
    settled(|text| text::line(text, 200), given);
    settled(|text| text::paragraph(text, 1000), given);
    settled(|text| contact::email(text, 254), given);
    settled(contact::phone, given);
    settled(contact::country, given);
    settled(contact::region, given);
    settled(contact::language, given);
    settled(contact::time_zone, given);
});
