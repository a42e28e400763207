//! Filters of lists: a subset of AIP-160, `field = value` joined by `AND`.
//!
//! A value is a quoted string, in which `\` protects the next character, or a word. Fields that a list
//! does not know, fields named twice and everything else of AIP-160 are refused.

use super::Fields;
use crate::domain::invalid::Invalid;

/// The longest filter, in characters.
const FILTER_MAX: usize = 1024;
const FORM: Invalid = Invalid::Form { form: "`field = \"value\"`, joined by `AND`" };

/// What a filter demands of each field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<(String, String)>);

impl Filter {
    /// What a field is to be, if the filter says.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    /// Every field that the filter names, with what it is to be.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As [`Filter::get`], read: `Some(None)` where the filter does not say, `None` where it cannot be
    /// read.
    pub fn read<T>(
        &self,
        fields: &mut Fields,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        match self.get(field) {
            None => Some(None),
            Some(value) => fields.take("filter", parse(value)).map(Some),
        }
    }
}

/// Reads a filter on these fields.
pub fn filter(fields: &mut Fields, text: &str, known: &[&str]) -> Option<Filter> {
    filter_where(fields, text, |field| known.contains(&field))
}

/// Reads a filter on fields that a list knows by their form, such as `labels.{key}`.
pub fn filter_where(fields: &mut Fields, text: &str, is_known: impl Fn(&str) -> bool) -> Option<Filter> {
    let filter = fields.take("filter", parse(text))?;
    if filter.0.iter().any(|(field, _)| !is_known(field)) {
        fields.refuse("filter", Invalid::Unknown { choices: "the fields that this list can be filtered by" });
        return None;
    }
    Some(filter)
}

/// Reads `true` or `false`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn truth(text: &str) -> Result<bool, Invalid> {
    text.parse().map_err(|_| Invalid::Form { form: "`true` or `false`" })
}

fn parse(text: &str) -> Result<Filter, Invalid> {
    if text.len() > FILTER_MAX * 4 || text.chars().count() > FILTER_MAX {
        return Err(Invalid::TooLong { max: FILTER_MAX });
    }
    let mut found: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (field, after) = rest.split_once('=').ok_or(FORM)?;
        let (value, after) = value(after.trim_start())?;
        let field = field.trim();
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        if field.is_empty() || !field.bytes().all(is_name) {
            return Err(FORM);
        }
        if found.iter().any(|(known, _)| known == field) {
            return Err(Invalid::Duplicate { value: field.to_owned() });
        }
        found.push((field.to_owned(), value));
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        // A space on either side, so that `ANDx` is no `AND`.
        let joined = after.starts_with(char::is_whitespace).then(|| rest.strip_prefix("AND")).flatten();
        rest = joined.filter(|next| next.starts_with(char::is_whitespace)).ok_or(FORM)?.trim_start();
        if rest.is_empty() {
            return Err(FORM);
        }
    }
    Ok(Filter(found))
}

/// The value at the start of a text, and what follows it.
fn value(text: &str) -> Result<(String, &str), Invalid> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end).ok_or(FORM)?;
        let is_word = !word.is_empty() && !word.contains(['"', '=', '(', ')', '<', '>', '!']);
        return if is_word { Ok((word.to_owned(), rest)) } else { Err(FORM) };
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next().ok_or(FORM)? {
            '"' => return Ok((value, characters.as_str())),
            '\\' => value.push(characters.next().ok_or(FORM)?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_comparisons_joined_by_and() {
        let filter = parse(r#"pack = "opspilot365" AND built_in=true AND title = "a \"b\" AND c = d""#).unwrap();
        assert_eq!(filter.get("pack"), Some("opspilot365"));
        assert_eq!(filter.get("built_in"), Some("true"));
        assert_eq!(filter.get("title"), Some("a \"b\" AND c = d"));
        assert_eq!(filter.get("other"), None);
        assert_eq!(parse("  ").unwrap(), Filter::default());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "pack",
            "pack =",
            "pack = a b",
            "pack = a AND",
            "pack = a OR role = b",
            "pack = \"a",
            "pack != a",
            "pack > a",
            "(pack = a)",
            "pack = aAND role = b",
            "pack = \"a\"AND role = b",
            "NOT pack = a AND",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("a = b AND a = c"), Err(Invalid::Duplicate { value: "a".into() }));
        assert_eq!(parse(&"a".repeat(1025)), Err(Invalid::TooLong { max: 1024 }));
        let mut fields = Fields::default();
        assert_eq!(super::filter(&mut fields, "secret = x", &["pack"]), None);
        assert_eq!(fields.into_violations().len(), 1);
    }
}
