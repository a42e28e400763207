//! The small words of roles and bindings: effects, kinds, reaches, modes, levels.
//!
//! INVARIANT: a number that this release does not know is refused, never taken for something else.

use crate::domain::account::AccountKind;
use crate::domain::binding::{Mode, Reach};
use crate::domain::condition::Day;
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerKind;
use crate::domain::role::{AssuranceLevel, Effect};
use crate::transport::grpc::convert::Fields;
use crate::transport::grpc::pb;

/// Reads a word that has to be there.
macro_rules! words {
    ($($(#[$doc:meta])* $read:ident, $write:ident: $wire:ident => $word:ident { $($variant:ident),* }, $choices:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`Invalid::Missing`] and [`Invalid::Unknown`].
        pub fn $read(number: i32) -> Result<$word, Invalid> {
            match pb::$wire::try_from(number) {
                Ok(pb::$wire::Unspecified) => Err(Invalid::Missing),
                $(Ok(pb::$wire::$variant) => Ok($word::$variant),)*
                Err(_) => Err(Invalid::Unknown { choices: $choices }),
            }
        }

        /// Writes it.
        #[must_use]
        pub const fn $write(word: $word) -> pb::$wire {
            match word { $($word::$variant => pb::$wire::$variant),* }
        }
    )*};
}

words! {
    /// Reads an effect.
    effect, effect_to_pb: GrantEffect => Effect { Allow, Deny }, "the effects";
    /// Reads a kind of peer.
    peer_kind, peer_kind_to_pb: PeerKind => PeerKind { Person, Device, Integration }, "the kinds of peers";
    /// Reads a kind of account.
    account_kind, account_kind_to_pb: AccountKind => AccountKind { Platform, Partner, Customer, Department },
        "the kinds of accounts";
    /// Reads a reach.
    reach, reach_to_pb: Reach => Reach { Subtree, AccountOnly }, "the reaches";
    /// Reads a day of the week.
    day, day_to_pb: DayOfWeek => Day { Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday },
        "the days of the week";
    /// Reads a mode that is said.
    stated_mode, mode_to_pb: BindingMode => Mode { Active, Eligible }, "the modes";
}

/// Reads a mode; unsaid, it is ACTIVE.
///
/// # Errors
/// [`Invalid::Unknown`].
pub fn mode(number: i32) -> Result<Mode, Invalid> {
    match stated_mode(number) {
        Err(Invalid::Missing) => Ok(Mode::Active),
        other => other,
    }
}

/// Reads a level of assurance; unsaid, it is none.
///
/// # Errors
/// [`Invalid::Unknown`].
pub fn assurance(number: i32) -> Result<AssuranceLevel, Invalid> {
    match pb::AssuranceLevel::try_from(number) {
        Ok(pb::AssuranceLevel::Unspecified) => Ok(AssuranceLevel::None),
        Ok(pb::AssuranceLevel::Email) => Ok(AssuranceLevel::Email),
        Ok(pb::AssuranceLevel::Totp) => Ok(AssuranceLevel::Totp),
        Ok(pb::AssuranceLevel::Passkey) => Ok(AssuranceLevel::Passkey),
        Err(_) => Err(Invalid::Unknown { choices: "the levels of assurance" }),
    }
}

/// Writes a level of assurance.
#[must_use]
pub const fn assurance_to_pb(level: AssuranceLevel) -> pb::AssuranceLevel {
    match level {
        AssuranceLevel::None => pb::AssuranceLevel::Unspecified,
        AssuranceLevel::Email => pb::AssuranceLevel::Email,
        AssuranceLevel::Totp => pb::AssuranceLevel::Totp,
        AssuranceLevel::Passkey => pb::AssuranceLevel::Passkey,
    }
}

/// Reads a list of words without repetition; `spell` says how a word is spelled on the wire.
pub fn distinct<T: PartialEq>(
    fields: &mut Fields,
    field: &str,
    (numbers, max): (&[i32], usize),
    read: impl Fn(i32) -> Result<T, Invalid>,
    spell: impl Fn(T) -> &'static str,
) -> Option<Vec<T>> {
    if numbers.len() > max {
        fields.refuse(field, Invalid::TooMany { max });
        return None;
    }
    let mut words = Vec::with_capacity(numbers.len());
    let mut fits = true;
    for (place, number) in numbers.iter().enumerate() {
        match fields.take(format!("{field}[{place}]"), read(*number)) {
            Some(word) if words.contains(&word) => {
                fields.refuse(field, Invalid::Duplicate { value: spell(word).to_owned() });
                fits = false;
            }
            Some(word) => words.push(word),
            None => fits = false,
        }
    }
    fits.then_some(words)
}
