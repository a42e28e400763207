//! Free text that people type: bounded, in Unicode form C, without characters that lie.
//!
//! Two names are the same when their [`fold`]s are equal: NFKC case folding, so that `Müller`,
//! `MÜLLER` and a decomposed `Müller` are one name and fullwidth letters are the plain ones.

use unicode_normalization::UnicodeNormalization as _;

use super::invalid::Invalid;

/// Text for a person on one line: trimmed, NFC, 1 to `max` characters.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn line(text: &str, max: usize) -> Result<String, Invalid> {
    let text = optional_line(text, max)?;
    if text.is_empty() { Err(Invalid::Empty) } else { Ok(text) }
}

/// As [`line()`], and may be empty.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn optional_line(text: &str, max: usize) -> Result<String, Invalid> {
    bounded(text, max, |_| false)
}

/// Text of several lines; line feeds and tabs may stand in it.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn paragraph(text: &str, max: usize) -> Result<String, Invalid> {
    bounded(text, max, |character| matches!(character, '\n' | '\t'))
}

fn bounded(text: &str, max: usize, may_stand: impl Fn(char) -> bool) -> Result<String, Invalid> {
    // A bound on bytes first, so that normalizing megabytes of hostile text costs nothing.
    if text.len() > max.saturating_mul(4) {
        return Err(Invalid::TooLong { max });
    }
    let text: String = text.trim().nfc().collect();
    if text.chars().count() > max {
        return Err(Invalid::TooLong { max });
    }
    if text.chars().any(|character| is_deceptive(character) && !may_stand(character)) {
        return Err(Invalid::Character);
    }
    Ok(text)
}

/// Control characters, bidirectional overrides and invisible characters: what makes a shown name
/// differ from the stored one (Unicode TR 36, section 2).
#[must_use]
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// The form in which names are compared: NFKC of the lower case of NFKC.
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).flat_map(sharp_s).nfkc().collect()
}

/// Full case folding takes `ß` to `ss`, which lower case alone does not.
fn sharp_s(character: char) -> impl Iterator<Item = char> {
    let (first, second) = match character {
        'ß' => ('s', Some('s')),
        'ς' => ('σ', None),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_in_case_or_form_fold_alike() {
        for (left, right) in [("Müller", "mu\u{308}LLER"), ("ＡＢＣ", "abc"), ("STRASSE", "straße"), ("ΣΑΣ", "σας")]
        {
            assert_eq!(fold(left), fold(right), "{left} and {right}");
        }
        assert_ne!(fold("a"), fold("ä"));
    }

    #[test]
    fn deceptive_characters_are_refused() {
        for text in ["a\u{202E}b", "a\u{200B}b", "a\0b", "a\nb", "\u{FEFF}a"] {
            assert_eq!(line(text, 10), Err(Invalid::Character), "{text:?}");
        }
        assert_eq!(line("  ", 10), Err(Invalid::Empty));
        assert_eq!(line("abcdefghijk", 10), Err(Invalid::TooLong { max: 10 }));
        assert_eq!(line(" Sarah Wilson ", 20).as_deref(), Ok("Sarah Wilson"));
        assert_eq!(paragraph("a\nb", 10).as_deref(), Ok("a\nb"));
    }
}
