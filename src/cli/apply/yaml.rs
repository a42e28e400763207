//! A YAML file as a tree that knows its lines.
//!
//! A file is read into this tree first and into types afterwards, so that one look at a wrong file
//! finds everything that is wrong in it; reading straight into types would stop at the first. Scalars
//! stay as they are written: a postal code `01234` is no number.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::problems::Problems;

/// A value and the line it stands on.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) line: u64,
    pub(crate) value: Value,
    /// Whether YAML takes the scalar for a number or a truth value, as it does without quotation marks.
    pub(crate) is_typed: bool,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Empty,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Reads one YAML document.
///
/// # Errors
/// The one place where it is no YAML.
pub(crate) fn parse(text: &str) -> Result<Node, Problems> {
    let raw: Spanned<Raw> = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        Problems::one(line, syntax_message(&error))
    })?;
    Ok(node(raw, text))
}

/// The parser's own words without the excerpt that it draws around them; of a key that stands twice, it
/// would speak to programmers.
fn syntax_message(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_ref().map_or_else(|| "a key".to_owned(), |key| format!("`{key}`"));
        return format!("{key} stands twice in the same map");
    }
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default().trim();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    if first.starts_with("budget breached") {
        return "the file holds more than can be read at once (some 250,000 values, 64 levels): split it".to_owned();
    }
    if first.starts_with("multiple YAML documents") {
        return "`---` begins a second document; a file holds one".to_owned();
    }
    first.to_owned()
}

/// What the parser hands over: scalars that it takes for numbers and the like are read from the
/// source again, by their place.
enum Raw {
    Empty,
    Text(String),
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let line = raw.referenced.line();
    let span = raw.defined.span();
    let is_typed = matches!(raw.value, Raw::Typed(_));
    let value = match raw.value {
        Raw::Empty => Value::Empty,
        Raw::Text(text) => Value::Text(text),
        Raw::Typed(read) => Value::Text(slice(source, span).unwrap_or(read)),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, source)).collect()),
        Raw::Map(entries) => {
            Value::Map(entries.into_iter().map(|(key, value)| (node(key, source), node(value, source))).collect())
        }
    };
    Node { line, value, is_typed }
}

fn slice(source: &str, span: serde_saphyr::Span) -> Option<String> {
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    Some(source.get(start..end)?.trim().to_owned())
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Empty)
    }

    fn visit_bytes<E: serde::de::Error>(self, _value: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary values have no use here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<Raw>>()? {
            if matches!(key.value, Raw::List(_) | Raw::Map(_)) {
                return Err(A::Error::custom("a key must be a word"));
            }
            map.push((key, entries.next_value()?));
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(node: &Node) -> &str {
        let Value::Text(text) = &node.value else { panic!("{node:?}") };
        text
    }

    #[test]
    fn scalars_stay_as_written_and_know_their_lines() {
        let root = parse("a: 01234\nb: [true, 1.50, '7', ä,\n  ~]\nc: { d: null, e: 2026-11-22T18:00:00Z }\n").unwrap();
        let Value::Map(entries) = &root.value else { panic!("{root:?}") };
        assert_eq!(text(&entries[0].1), "01234");
        assert_eq!(entries[1].0.line, 2);
        let Value::List(items) = &entries[1].1.value else { panic!() };
        assert_eq!(items[..4].iter().map(text).collect::<Vec<_>>(), ["true", "1.50", "7", "ä"]);
        assert!(matches!(items[4].value, Value::Empty));
        assert_eq!(items[4].line, 3);
        let Value::Map(inner) = &entries[2].1.value else { panic!() };
        assert_eq!(text(&inner[1].1), "2026-11-22T18:00:00Z");
        assert_eq!(inner[1].1.line, 4);
    }

    #[test]
    fn an_alias_is_what_it_stands_for() {
        let root = parse("a: &x 007\nb: *x\n").unwrap();
        let Value::Map(entries) = &root.value else { panic!("{root:?}") };
        assert_eq!(text(&entries[1].1), "007");
        assert_eq!(entries[1].1.line, 2);
    }

    #[test]
    fn what_is_no_yaml_names_its_line() {
        for (source, line) in [("a: 1\nb: [1, 2\n", 3), ("a: 1\na: 2\n", 2)] {
            let problems = parse(source).unwrap_err();
            let shown = problems.show("f");
            assert!(shown.contains(&format!("f:{line}:")) || shown.contains("f:2:"), "{shown}");
        }
        let twice = parse("a:\n- { b: 1,\n    b: 2 }\n").unwrap_err();
        assert_eq!(twice, Problems::one(3, "`b` stands twice in the same map"));
    }
}
