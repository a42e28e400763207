//! How to reach someone, as far as a form can tell: addresses, telephone numbers, languages.
//!
//! A value is checked for its form only; whether mail arrives, or the zone exists in this year's
//! tables, is not known here.

use super::invalid::Invalid;
use super::text;

/// Bounds, in characters.
pub const PHONE_MAX: usize = 32;
pub const POSTAL_CODE_MAX: usize = 32;
pub const LANGUAGE_MAX: usize = 35;
pub const TIME_ZONE_MAX: usize = 64;
/// The most digits that an international number has (ITU-T E.164).
const PHONE_DIGITS_MAX: usize = 15;
/// The longest part before the `@` (RFC 5321).
const LOCAL_MAX: usize = 64;

/// Reads an e-mail address, internationalized ones included.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn email(address: &str, max: usize) -> Result<String, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "an e-mail address such as `emily@contoso.com`" };
    let address = text::line(address, max)?;
    let (local, domain) = address.rsplit_once('@').ok_or(FORM)?;
    let is_atom = |character: char| !character.is_whitespace() && !"@()<>[]:;,\\\"".contains(character);
    let is_dotted = |text: &str| text.split('.').all(|part| !part.is_empty());
    let is_label = |label: &str| !label.starts_with('-') && !label.ends_with('-') && label.chars().all(is_host);
    let fits = !local.is_empty()
        && local.len() <= LOCAL_MAX
        && local.chars().all(is_atom)
        && is_dotted(local)
        && is_dotted(domain)
        && domain.split('.').all(is_label);
    if fits { Ok(address) } else { Err(FORM) }
}

fn is_host(character: char) -> bool {
    character == '-' || character.is_alphanumeric()
}

/// Reads a telephone number with its country code, such as `+41 44 123 45 67`.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn phone(number: &str) -> Result<String, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "a number with country code such as `+41 44 123 45 67`" };
    let number = text::line(number, PHONE_MAX)?;
    let rest = number.strip_prefix('+').ok_or(FORM)?;
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    let fits = rest.starts_with(|first: char| matches!(first, '1'..='9'))
        && rest.chars().all(|character| character.is_ascii_digit() || " -.()/".contains(character))
        && (4..=PHONE_DIGITS_MAX).contains(&digits);
    if fits { Ok(number) } else { Err(FORM) }
}

/// Reads an ISO 3166-1 alpha-2 code.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn country(code: &str) -> Result<String, Invalid> {
    let fits = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if fits { Ok(code.to_owned()) } else { Err(Invalid::Form { form: "an ISO 3166-1 alpha-2 code such as `CH`" }) }
}

/// Reads a BCP 47 tag.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn language(tag: &str) -> Result<String, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "a BCP 47 tag such as `de-CH`" };
    let tag = text::line(tag, LANGUAGE_MAX)?;
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let primary = tag.split('-').next().unwrap_or_default();
    let is_primary = (2..=8).contains(&primary.len()) && primary.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_primary && tag.split('-').all(is_subtag) { Ok(tag) } else { Err(FORM) }
}

/// Reads the name of an IANA time zone.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn time_zone(name: &str) -> Result<String, Invalid> {
    let name = text::line(name, TIME_ZONE_MAX)?;
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    if name.split('/').all(is_part) {
        Ok(name)
    } else {
        Err(Invalid::Form { form: "an IANA time zone such as `Europe/Zurich`" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        type Parse = fn(&str) -> Result<String, Invalid>;
        let cases: [(Parse, &[&str], &[&str]); 5] = [
            (
                |text| email(text, 254),
                &["a@b", "emily.chen+test@contoso-msp.com", "jürg@bücher.example"],
                &[
                    "",
                    "a",
                    "@b",
                    "a@",
                    "a b@c",
                    "a@b c",
                    "a@b@c",
                    "a..b@c",
                    "a@-b",
                    "a@b..c",
                    "a@b.",
                    "<a@b>",
                    "a\u{202E}@b",
                ],
            ),
            (
                phone,
                &["+41 44 123 45 67", "+1 (555) 010-9999", "+442071838750"],
                &["", "044 123 45 67", "+", "+0 12345", "+41 44 CALL", "+123", "+1234567890123456", "41+41555555"],
            ),
            (country, &["CH", "US"], &["", "ch", "CHE", "C1"]),
            (language, &["de", "de-CH", "zh-Hant-TW"], &["", "d", "de_CH", "de-", "de-toolongsubtag", "1a"]),
            (
                time_zone,
                &["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires", "Etc/GMT+1"],
                &["", "Europe/", "/UTC", "a b", "../x"],
            ),
        ];
        for (parse, good, bad) in cases {
            for text in good {
                assert!(parse(text).is_ok(), "{text}");
            }
            for text in bad {
                assert!(parse(text).is_err(), "{text}");
            }
        }
    }
}
