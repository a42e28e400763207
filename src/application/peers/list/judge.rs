//! What a condition is of a peer of whom not everything is known, by Kleene's logic: what cannot be
//! told is neither true nor false.

use crate::domain::ids::AccountId;
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::storage::peers::list::{Condition, Test};

/// What a condition is of a peer of whom only some tests can be judged: Kleene's logic.
pub(super) fn judge(condition: &Condition, test: &impl Fn(&Test) -> Option<bool>) -> Option<bool> {
    let parts = |parts: &[Condition], decisive: bool| {
        let mut result = Some(!decisive);
        for part in parts {
            match judge(part, test) {
                Some(value) if value == decisive => return Some(decisive),
                Some(_) => {}
                None => result = None,
            }
        }
        result
    };
    match condition {
        Condition::All(all) => parts(all, false),
        Condition::Any(any) => parts(any, true),
        Condition::Not(part) => judge(part, test).map(|value| !value),
        Condition::Is(one) => test(one),
    }
}

/// What a condition is of a peer of whom only kind and home are shown.
pub(super) fn known(condition: &Condition, kind: PeerKind, home: &AccountId) -> Option<bool> {
    let shown = |test: &Test| {
        let is_hidden = matches!(test, Test::Status(_));
        fact(test, kind, home, PeerStatus::Enabled).filter(|_| !is_hidden)
    };
    judge(condition, &shown)
}

/// What a test is, as far as the snapshot tells.
pub(super) fn fact(test: &Test, kind: PeerKind, home: &AccountId, status: PeerStatus) -> Option<bool> {
    match test {
        Test::Kind(wanted) => Some(*wanted == kind),
        Test::Home(wanted) => Some(wanted == home),
        Test::Status(wanted) => Some(*wanted == status),
        Test::TwoFactor(_)
        | Test::MailFormat(_)
        | Test::RequiresExternalLogin
        | Test::HasMicrosoftAccount
        | Test::DefaultRole(_)
        | Test::HasDefaultRole
        | Test::OrgUser(_)
        | Test::HasOrgUser
        | Test::Time(..)
        | Test::HasTime(_)
        | Test::DeletedUntil(_) => None,
    }
}

/// Whether the snapshot alone tells what a condition is.
pub(super) fn is_factual(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().all(is_factual),
        Condition::Not(part) => is_factual(part),
        Condition::Is(test) => matches!(test, Test::Kind(_) | Test::Home(_) | Test::Status(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_makes_a_condition_neither_true_nor_false() {
        let is = Condition::Is;
        let not = |condition| Condition::Not(Box::new(condition));
        let (device, person) = (|| is(Test::Kind(PeerKind::Device)), || is(Test::Kind(PeerKind::Person)));
        let hidden = || is(Test::HasOrgUser);
        let enabled = || is(Test::Status(PeerStatus::Enabled));
        for (condition, wanted) in [
            (Condition::default(), Some(true)),
            (device(), Some(true)),
            (person(), Some(false)),
            (hidden(), None),
            (not(hidden()), None),
            (enabled(), None),
            (not(enabled()), None),
            (Condition::All(vec![device(), hidden()]), None),
            (Condition::All(vec![person(), hidden()]), Some(false)),
            (Condition::Any(vec![device(), hidden()]), Some(true)),
            (Condition::Any(vec![person(), hidden()]), None),
            (Condition::Any(vec![hidden(), not(hidden())]), None),
            (is(Test::Home(AccountId::platform())), Some(true)),
        ] {
            assert_eq!(known(&condition, PeerKind::Device, &AccountId::platform()), wanted, "{condition:?}");
        }
    }
}
