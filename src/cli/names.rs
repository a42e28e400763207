//! Names as people type them: `contoso-corp` for `accounts/contoso-corp`, `emily@contosomsp.com` for
//! `peers/@emily@contosomsp.com`. A full name stays as it is.
//!
//! Nothing is refused here: the server judges names, and its answer shows the full form.

use crate::domain::ids::PeerId;

/// `accounts/{id}`.
pub(crate) fn account(text: &str) -> String {
    with_collection("accounts", text)
}

/// `peers/me`, `peers/{uid}` or `peers/@{user_name}`.
pub(crate) fn peer(text: &str) -> String {
    if text.starts_with("peers/") {
        text.to_owned()
    } else if text == "me" || PeerId::parse(text).is_ok() {
        format!("peers/{text}")
    } else {
        format!("peers/@{}", text.strip_prefix('@').unwrap_or(text))
    }
}

/// What to say where nobody is found by a user name: most often a part of one was typed.
pub(crate) fn unknown_peer(name: &str) -> Option<String> {
    let user_name = name.strip_prefix("peers/@")?;
    let advice = if user_name.contains('@') { "" } else { "user names are whole, such as emily@contosomsp.com; " };
    Some(format!("no peer that you may see is named `{user_name}`; {advice}`peerage peers list` shows them"))
}

/// `roles/{id}`.
pub(crate) fn role(text: &str) -> String {
    with_collection("roles", text)
}

/// `groups/{id}`.
pub(crate) fn group(text: &str) -> String {
    with_collection("groups", text)
}

/// `roleBindings/{id}`.
pub(crate) fn role_binding(text: &str) -> String {
    with_collection("roleBindings", text)
}

/// `apiKeys/{id}`.
pub(crate) fn api_key(text: &str) -> String {
    with_collection("apiKeys", text)
}

fn with_collection(collection: &str, text: &str) -> String {
    let is_full = text.strip_prefix(collection).is_some_and(|rest| rest.starts_with('/'));
    if is_full || text.is_empty() { text.to_owned() } else { format!("{collection}/{text}") }
}

/// The name without its collection, for tables.
pub(crate) fn short(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_full_names_are_the_same() {
        for (typed, full) in [
            ("contoso-corp", "accounts/contoso-corp"),
            ("accounts/contoso-corp", "accounts/contoso-corp"),
            ("accounts-of-ours", "accounts/accounts-of-ours"),
            ("", ""),
        ] {
            assert_eq!(account(typed), full, "{typed}");
        }
        for (typed, full) in [
            ("me", "peers/me"),
            ("emily@contosomsp.com", "peers/@emily@contosomsp.com"),
            ("@me", "peers/@me"),
            ("peers/@me", "peers/@me"),
            ("0193a7b2-0000-7000-8000-00000000000a", "peers/0193a7b2-0000-7000-8000-00000000000a"),
        ] {
            assert_eq!(peer(typed), full, "{typed}");
        }
        assert_eq!(short("roles/opspilot365.technician"), "opspilot365.technician");
        assert!(unknown_peer("peers/@emily").unwrap().contains("user names are whole"));
        assert!(!unknown_peer("peers/@emily@contosomsp.com").unwrap().contains("whole"));
        assert_eq!(unknown_peer("peers/me"), None);
    }
}
