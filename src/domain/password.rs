//! Passwords: what counts as one, what an account asks of them, and why one is refused.
//!
//! INVARIANT: neither a password nor its hash can be printed: both have a redacted `Debug`, and the
//! text of a password is wiped from memory when it is dropped.
//!
//! Not here: how strong one is, and how it is hashed (`crypto::password`).

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::invalid::Invalid;

/// The longest password, in characters. None is ever cut.
pub const LENGTH_MAX: usize = 128;
/// The fewest characters of a password that stands alone, and of one beside a second factor.
pub const LENGTH_MIN_ALONE: u16 = 15;
pub const LENGTH_MIN: u16 = 8;
/// The most earlier passwords that a policy can rule out.
pub const HISTORY_MAX: u16 = 24;
/// The shortest and the longest time after which a policy can let passwords expire: an hour, ten years.
pub const AGE_MIN_MICROS: i64 = 3_600 * 1_000_000;
pub const AGE_MAX_MICROS: i64 = 3_650 * 24 * 3_600 * 1_000_000;
/// The most bytes that NFKC makes of one: `U+FDFA` has three and becomes 33.
const GROWTH_MAX: usize = 11;

/// A password in the form in which it is compared: NFKC, whatever keyboard it was typed on.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Reads a password: up to 128 characters of any script, without control characters. Nothing is
    /// trimmed.
    ///
    /// # Errors
    /// [`Invalid`] naming the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // A bound on bytes first, so that normalizing megabytes of hostile text costs nothing.
        if text.len() > LENGTH_MAX.saturating_mul(4) || text.chars().count() > LENGTH_MAX {
            return Err(Invalid::TooLong { max: LENGTH_MAX });
        }
        if text.is_empty() {
            return Err(Invalid::Missing);
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid::Character);
        }
        // Text that grows leaves copies of itself behind; this one never has to.
        let mut normal = Zeroizing::new(String::with_capacity(text.len().saturating_mul(GROWTH_MAX)));
        normal.extend(text.nfkc());
        Ok(Self(normal))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its length in code points.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.chars().count()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(<redacted>)")
    }
}

/// What is kept of a password: a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    #[must_use]
    pub const fn new(phc: String) -> Self {
        Self(phc)
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(<redacted>)")
    }
}

/// Why a password is refused. The texts are for the person who chose it; none repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    #[error("must be at least {min} characters long")]
    TooShort { min: u16 },
    #[error("must be equal to the password")]
    Mismatch,
    #[error("must not be made of the peer's own names")]
    OwnNames,
    #[error("is easy to guess: {why}")]
    Weak { why: String },
    #[error("was used before: the last {size} passwords cannot be used again")]
    Reused { size: u16 },
}

impl PasswordFault {
    /// The word by which clients tell faults apart.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "TOO_SHORT",
            Self::Mismatch => "MISMATCH",
            Self::OwnNames => "OWN_NAMES",
            Self::Weak { .. } => "WEAK",
            Self::Reused { .. } => "REUSED",
        }
    }
}

/// What an account asks of its peers' passwords. `None` inherits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// The fewest characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u16>,
    /// How long a password lasts, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// How many passwords, the present one counted, cannot be used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_size: Option<u16>,
}

impl PasswordPolicy {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What holds at a child that sets `self` under a parent where `inherited` holds: the stricter of
    /// each.
    #[must_use]
    pub fn under(&self, inherited: &Self) -> Self {
        Self {
            min_length: self.min_length.max(inherited.min_length),
            max_age: match (self.max_age, inherited.max_age) {
                (Some(own), Some(above)) => Some(own.min(above)),
                (own, above) => own.or(above),
            },
            history_size: self.history_size.max(inherited.history_size),
        }
    }

    /// The settings by which `self` would be looser than `inherited`.
    #[must_use]
    pub fn looser_than(&self, inherited: &Self) -> Vec<&'static str> {
        let mut looser = Vec::new();
        if self.min_length.is_some() && self.min_length < inherited.min_length {
            looser.push("password_policy.min_length");
        }
        if self.max_age.zip(inherited.max_age).is_some_and(|(own, above)| own > above) {
            looser.push("password_policy.max_age");
        }
        if self.history_size.is_some() && self.history_size < inherited.history_size {
            looser.push("password_policy.history_size");
        }
        looser
    }

    /// The fewest characters of a password, alone or beside a second factor.
    #[must_use]
    pub fn length_min(&self, has_second_factor: bool) -> u16 {
        let least = if has_second_factor { LENGTH_MIN } else { LENGTH_MIN_ALONE };
        self.min_length.map_or(least, |own| own.max(least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_was_typed_in_one_form() {
        assert_eq!(Password::parse("ｐａｓｓ　ｗｏｒｄ").unwrap().expose(), "pass word");
        assert_eq!(Password::parse("Zu\u{308}rich").unwrap().expose(), "Zürich");
        assert_eq!(Password::parse(" a b ").unwrap().expose(), " a b ");
        let longest = "\u{FDFA}".repeat(LENGTH_MAX);
        let kept = Password::parse(&longest).unwrap();
        assert_eq!(kept.length(), 18 * LENGTH_MAX, "nothing is cut");
        assert!(kept.0.capacity() <= longest.len() * GROWTH_MAX, "and nothing was copied");
        assert!(matches!(Password::parse(&"a".repeat(129)), Err(Invalid::TooLong { max: 128 })));
        assert!(matches!(Password::parse(""), Err(Invalid::Missing)));
        assert!(matches!(Password::parse("a\0b"), Err(Invalid::Character)));
    }

    #[test]
    fn secrets_are_not_printed() {
        let shown =
            format!("{:?} {:?}", Password::parse("battery staple").unwrap(), PasswordHash::new("$argon2".into()));
        assert!(!shown.contains("battery") && !shown.contains("argon2"), "{shown}");
    }

    #[test]
    fn a_policy_only_tightens_downward() {
        let above = PasswordPolicy { min_length: Some(20), max_age: Some(AGE_MIN_MICROS * 48), history_size: Some(5) };
        let loose = PasswordPolicy { min_length: Some(10), max_age: Some(AGE_MIN_MICROS * 96), history_size: Some(1) };
        assert_eq!(loose.looser_than(&above).len(), 3);
        assert_eq!(loose.under(&above), above);
        assert!(PasswordPolicy::default().looser_than(&above).is_empty());
        assert!(above.looser_than(&PasswordPolicy::default()).is_empty());
        let tight = PasswordPolicy { min_length: Some(30), ..PasswordPolicy::default() };
        assert_eq!(tight.under(&above), PasswordPolicy { min_length: Some(30), ..above });
    }

    #[test]
    fn a_second_factor_makes_shorter_passwords_do() {
        let none = PasswordPolicy::default();
        assert_eq!((none.length_min(false), none.length_min(true)), (15, 8));
        let long = PasswordPolicy { min_length: Some(12), ..none };
        assert_eq!((long.length_min(false), long.length_min(true)), (15, 12));
    }
}
