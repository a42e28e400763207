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
    let is_wrong = |(place, character): (usize, char)| {
        is_deceptive(character) && !may_stand(character) && !joins(&text, place, character)
    };
    if text.char_indices().any(is_wrong) {
        return Err(Invalid::Character);
    }
    Ok(text)
}

/// Whether a character joins or parts its neighbors, as Persian, Indic scripts and emoji need it
/// (UAX 31, section 2.3): between characters of plain English it does nothing but hide.
fn joins(text: &str, place: usize, character: char) -> bool {
    let is_script = |neighbor: Option<char>| {
        neighbor.is_some_and(|one| !one.is_ascii() && !one.is_whitespace() && !is_deceptive(one))
    };
    let (before, after) = text.split_at(place);
    is_joiner(character) && is_script(before.chars().next_back()) && is_script(after.chars().nth(1))
}

const fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200C}' | '\u{200D}')
}

/// A text of unknown origin as it may be shown: what this module would refuse is replaced.
#[must_use]
pub fn shown(text: &str) -> String {
    let show = |(place, character)| {
        if is_deceptive(character) && !joins(text, place, character) { char::REPLACEMENT_CHARACTER } else { character }
    };
    text.char_indices().map(show).collect()
}

/// Control characters, bidirectional overrides, invisible characters and those that mean nothing to
/// others: what makes a shown name differ from the stored one (Unicode TR 36, section 2).
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
            | '\u{E000}'..='\u{F8FF}' | '\u{FDD0}'..='\u{FDEF}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}' | '\u{F0000}'..='\u{10FFFF}')
        || u32::from(character) & 0xFFFE == 0xFFFE
}

/// The form in which names are compared: NFKC of the lower case of NFKC, without joiners.
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfkc()
        .filter(|character| !is_joiner(*character))
        .flat_map(char::to_lowercase)
        .flat_map(sharp_s)
        .nfkc()
        .collect()
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
        assert_eq!(fold("علی\u{200C}رضا"), fold("علیرضا"));
    }

    #[test]
    fn deceptive_characters_are_refused() {
        for text in [
            "a\u{202E}b",
            "a\u{200B}b",
            "a\u{200D}b",
            "ا\u{200C}",
            "ا\u{200C}\u{200D}ا",
            "a\0b",
            "a\nb",
            "\u{FEFF}a",
            "a\u{E000}b",
            "a\u{1FFFE}b",
            "a\u{2800}",
        ] {
            assert_eq!(line(text, 10), Err(Invalid::Character), "{text:?}");
        }
        assert_eq!(line("  ", 10), Err(Invalid::Empty));
        assert_eq!(line("abcdefghijk", 10), Err(Invalid::TooLong { max: 10 }));
        assert_eq!(line(" Sarah Wilson ", 20).as_deref(), Ok("Sarah Wilson"));
        for text in ["علی\u{200C}رضا", "क्\u{200D}ष", "👩\u{200D}🔧"] {
            assert_eq!(line(text, 10).as_deref(), Ok(text));
        }
        assert_eq!(paragraph("a\nb", 10).as_deref(), Ok("a\nb"));
    }
}
