//! Passwords: how strong one is, how it is hashed, and strong ones made up.
//!
//! All but [`generate`] takes milliseconds of a processor, and belongs on threads of its own.
//!
//! INVARIANT: neither a password nor a hash leaves by an error or a log line.

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use diceware_wordlists::Wordlist;
use zeroize::Zeroizing;
use zxcvbn::Score;

use crate::domain::password::{LENGTH_MAX, Password, PasswordFault, PasswordHash};
use crate::domain::text;

/// Argon2id with 19 MiB, two passes, one lane (OWASP).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Bytes of a salt.
pub const SALT_LENGTH: usize = 16;
/// Words of a made-up password: six of 7,776 are 77 bits.
const WORDS: usize = 6;
/// Own names shorter than this stand in too many honest passwords.
const NAME_MIN: usize = 3;
/// What must be left of a password without own names, in letters and digits.
const REST_MIN: usize = 8;

/// Hashing failed, which takes parameters or a machine out of order.
#[derive(Debug, thiserror::Error)]
#[error("a password cannot be hashed: {0}")]
pub struct HashError(String);

fn argon2() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password with a random salt.
///
/// # Errors
/// [`HashError`] where the machine has no memory for it.
pub fn hash(password: &Password, salt: &[u8; SALT_LENGTH]) -> Result<PasswordHash, HashError> {
    let hashed = argon2()?.hash_password_with_salt(password.expose().as_bytes(), salt);
    hashed.map(|phc| PasswordHash::new(phc.to_string())).map_err(|error| HashError(error.to_string()))
}

/// Whether a password is the one that was hashed, under the parameters of that time.
#[must_use]
pub fn verify(password: &Password, hash: &PasswordHash) -> bool {
    argon2().is_ok_and(|argon2| argon2.verify_password(password.expose().as_bytes(), hash.expose()).is_ok())
}

/// What stands for a password where a request must be told from another one: as slow to guess from as
/// the hash that is kept.
///
/// # Errors
/// As [`hash`].
pub fn fingerprint(secret: &[u8], salt: &[u8; SALT_LENGTH]) -> Result<[u8; 32], HashError> {
    let mut print = [0; 32];
    let made = argon2()?.hash_password_into(secret, salt, &mut print);
    made.map(|()| print).map_err(|error| HashError(error.to_string()))
}

/// What a password is held to.
#[derive(Debug)]
pub struct Measure {
    /// The fewest characters.
    pub min: u16,
    /// Whether it stands beside a second factor, so that guesses are few.
    pub has_second_factor: bool,
    /// The names of its owner.
    pub own: Vec<String>,
}

/// Holds a password to its length, to what anyone would try, and to the names of its owner.
///
/// # Errors
/// [`PasswordFault`] with the reason.
pub fn judge(password: &Password, measure: &Measure) -> Result<(), PasswordFault> {
    let min = measure.min;
    if password.length() < usize::from(min) {
        return Err(PasswordFault::TooShort { min });
    }
    let names = names(&measure.own);
    if is_made_of(password, &names) {
        return Err(PasswordFault::OwnNames);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // A word said twice is no harder to guess, which the estimate sees only where nothing is between.
    let strength = zxcvbn::zxcvbn(&said_once(password), &names);
    // 10^8 guesses alone; 10^6 beside a factor, since eight characters are never worth more than 10^8.
    let least = if measure.has_second_factor { Score::Two } else { Score::Three };
    if strength.score() >= least {
        return Ok(());
    }
    let why = strength.feedback().map(ToString::to_string).unwrap_or_default();
    Err(PasswordFault::Weak { why: why.trim().trim_end_matches('.').to_owned() })
}

/// The password; of one that says a word again, each of its words once. Words are compared folded.
fn said_once(password: &Password) -> Zeroizing<String> {
    let words = password.expose().split(|one: char| !one.is_alphanumeric()).filter(|word| !word.is_empty());
    let (mut known, mut once, mut repeats) = (Vec::new(), Zeroizing::new(String::new()), false);
    for word in words {
        let folded = Zeroizing::new(text::fold(word));
        if known.contains(&folded) {
            repeats = true;
        } else {
            once.push_str(word);
            once.push(' ');
            known.push(folded);
        }
    }
    if repeats { once } else { Zeroizing::new(password.expose().to_owned()) }
}

/// Each name whole, and each word in it, folded and without anything but letters and digits; the
/// longest first.
fn names(own: &[String]) -> Vec<String> {
    let plain = |text: &str| text.chars().filter(|one| one.is_alphanumeric()).collect::<String>();
    let mut names: Vec<String> = Vec::new();
    for name in own.iter().map(|name| text::fold(name)) {
        names.extend(name.split(|one: char| !one.is_alphanumeric()).map(ToOwned::to_owned));
        names.push(plain(&name));
    }
    names.retain(|name| name.chars().count() >= NAME_MIN);
    names.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
    names.dedup();
    names
}

fn is_made_of(password: &Password, names: &[String]) -> bool {
    let folded = Zeroizing::new(text::fold(password.expose()));
    let mut rest = Zeroizing::new(folded.chars().filter(|one| one.is_alphanumeric()).collect::<String>());
    let whole = rest.len();
    for name in names {
        rest = Zeroizing::new(rest.replace(name.as_str(), ""));
    }
    rest.len() < whole && rest.chars().count() < REST_MIN
}

/// Makes up a password of random words that are easy to read out and to type, at least `min`
/// characters long. `draw` gives two random bytes a call.
///
/// # Errors
/// What `draw` fails with.
pub fn generate<E>(min: u16, mut draw: impl FnMut() -> Result<[u8; 2], E>) -> Result<Zeroizing<String>, E> {
    let words = Wordlist::EffLong.get_list();
    let min = usize::from(min).min(LENGTH_MAX);
    let mut password = Zeroizing::new(String::with_capacity(LENGTH_MAX));
    let mut count = 0;
    while count < WORDS || password.len() < min {
        let word = pick(words, &mut draw)?;
        let gap = usize::from(!password.is_empty());
        if password.len() + gap + word.len() > LENGTH_MAX {
            break;
        }
        if gap == 1 {
            password.push('-');
        }
        password.push_str(word);
        count += 1;
    }
    // Where no further word fits, digits fill up.
    while password.len() < min {
        password.push_str(pick(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], &mut draw)?);
    }
    Ok(password)
}

/// One of the items, each as likely as the other: draws beyond the last whole multiple are repeated.
fn pick<E>(items: &[&'static str], draw: &mut impl FnMut() -> Result<[u8; 2], E>) -> Result<&'static str, E> {
    let range = usize::from(u16::MAX) + 1;
    let fair = range - range % items.len().max(1);
    loop {
        let drawn = usize::from(u16::from_le_bytes(draw()?));
        if drawn < fair
            && let Some(item) = items.get(drawn % items.len())
        {
            return Ok(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    fn alone(min: u16, own: &[String]) -> Measure {
        Measure { min, has_second_factor: false, own: own.to_vec() }
    }

    #[test]
    fn a_hash_is_argon2id_with_the_stated_cost() {
        let secret = password("correct horse battery staple");
        let kept = hash(&secret, &[7; SALT_LENGTH]).unwrap();
        assert!(kept.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", kept.expose());
        assert!(verify(&secret, &kept));
        assert!(!verify(&password("correct horse battery stapl"), &kept));
        assert!(verify(&password("ｃorrect horse battery staple"), &kept), "another keyboard, the same password");
        assert_ne!(kept, hash(&secret, &[8; SALT_LENGTH]).unwrap());
        assert!(!verify(&secret, &PasswordHash::new("nonsense".into())));
    }

    #[test]
    fn every_character_counts() {
        let long = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".repeat(3);
        let (whole, cut) = (&long[..128], &long[..127]);
        let kept = hash(&password(whole), &[1; SALT_LENGTH]).unwrap();
        assert!(!verify(&password(cut), &kept));
    }

    #[test]
    fn what_anyone_would_try_is_refused_with_the_reason() {
        let own =
            ["emily.chen@contosomsp.com".to_owned(), "Emily".to_owned(), "Chen".to_owned(), "Contoso MSP".to_owned()];
        let cases = [
            ("short", "TOO_SHORT"),
            ("fourteen chars", "TOO_SHORT"),
            ("passwordpassword", "WEAK"),
            ("password password", "WEAK"),
            ("Password_password-PASSWORD", "WEAK"),
            ("wicket wicket wicket", "WEAK"),
            ("aaaaaaaaaaaaaaaaaaaa", "WEAK"),
            ("qwertyuiopasdfghjkl", "WEAK"),
            ("1234567890123456789", "WEAK"),
            ("emily.chen@contosomsp.com", "OWN_NAMES"),
            ("EMILY-CHEN-contoso", "OWN_NAMES"),
            ("ＥＭＩＬＹ　ＣＨＥＮ　ＣＯＮＴＯＳＯ", "OWN_NAMES"),
            ("Contoso MSP 2026!", "OWN_NAMES"),
        ];
        for (text, code) in cases {
            let fault = judge(&password(text), &alone(15, &own)).unwrap_err();
            assert_eq!(fault.code(), code, "{text}: {fault}");
            assert!(!fault.to_string().contains(text));
        }
        for text in ["plover gasoline tuba wicket", "Ein Igel im Nebel trinkt Tee", "xK3#vTq9!mWz7$Lp"] {
            assert_eq!(judge(&password(text), &alone(15, &own)), Ok(()), "{text}");
        }
        assert_eq!(judge(&password("emily plover gasoline tuba"), &alone(15, &own)), Ok(()), "a name among others");
    }

    #[test]
    fn beside_a_second_factor_shorter_ones_do_and_common_ones_do_not() {
        let beside = Measure { min: 8, has_second_factor: true, own: Vec::new() };
        assert_eq!(judge(&password("xK3#vTq9"), &beside), Ok(()));
        for text in ["password1", "qwertyui", "12345678", "aaaaaaaa", "P@ssw0rd"] {
            assert_eq!(judge(&password(text), &beside).unwrap_err().code(), "WEAK", "{text}");
        }
    }

    #[test]
    fn made_up_passwords_are_strong_and_differ() {
        let mut state = 1_u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Ok::<_, ()>([state.to_be_bytes()[0], state.to_be_bytes()[1]])
        };
        let mut seen = std::collections::BTreeSet::new();
        for min in [8, 15, 40, 100, 127, 128] {
            for _ in 0..50 {
                let made = generate(min, &mut draw).unwrap();
                assert!((usize::from(min)..=LENGTH_MAX).contains(&made.len()), "{}", made.len());
                assert!(made.matches('-').count() >= WORDS - 1);
                assert_eq!(judge(&password(&made), &alone(min.max(15), &[])), Ok(()));
                assert!(seen.insert(made.to_string()));
            }
        }
    }

    #[test]
    fn every_word_is_as_likely() {
        assert_eq!(Wordlist::EffLong.get_list().len(), 7776);
        let mut drawn = (0..=u16::MAX).map(u16::to_le_bytes);
        let mut counts = [0; 10];
        let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        while let Ok(digit) = pick(&digits, &mut || drawn.next().ok_or(())) {
            counts[digit.parse::<usize>().unwrap()] += 1;
        }
        assert_eq!(counts, [6553; 10]);
    }
}
