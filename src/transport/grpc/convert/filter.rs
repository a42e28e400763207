//! Filters of requests: the language of `domain::filter`, and the lists that take no more of it than
//! `field = value` joined by `AND`.

use super::Fields;
use crate::domain::filter::{Node, Operator, Restriction, at, parse};
use crate::domain::invalid::Invalid;

/// What a filter demands of each field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Vec<Restriction>);

impl Filter {
    /// What a field is to be, if the filter says.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|one| one.field == field).map(|one| one.value.as_str())
    }

    /// Every field that the filter names, with what it is to be.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|one| (one.field.as_str(), one.value.as_str()))
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
    let mut found = Vec::new();
    let read = parse(text).and_then(|node| node.map_or(Ok(()), |node| flatten(node, &is_known, &mut found)));
    fields.take("filter", read)?;
    Some(Filter(found))
}

/// Reads `true` or `false`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn truth(text: &str) -> Result<bool, Invalid> {
    text.parse().map_err(|_| Invalid::Form { form: "`true` or `false`" })
}

fn flatten(node: Node, is_known: &impl Fn(&str) -> bool, found: &mut Vec<Restriction>) -> Result<(), Invalid> {
    const JOINED: &str = "this list joins comparisons by `AND` only";
    match node {
        Node::And(parts) => parts.into_iter().try_for_each(|part| flatten(part, is_known, found)),
        Node::Or(place, _) | Node::Not(place, _) => Err(at(place, JOINED)),
        Node::Is(one) if !is_known(&one.field) => Err(at(one.field_at, "this list is not filtered by that field")),
        Node::Is(one) if one.operator != Operator::Equal => Err(at(one.operator_at, "this list compares by `=` only")),
        Node::Is(one) if found.iter().any(|known| known.field == one.field) => {
            Err(at(one.field_at, "the field is named twice"))
        }
        Node::Is(one) => {
            found.push(one);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Filter> {
        filter(&mut Fields::default(), text, &["pack", "role", "title", "built_in"])
    }

    #[test]
    fn filters_are_comparisons_joined_by_and() {
        let filter = read(r#"pack = "opspilot365" AND built_in=true AND title = "a \"b\" AND c = d""#).unwrap();
        assert_eq!(filter.get("pack"), Some("opspilot365"));
        assert_eq!(filter.get("built_in"), Some("true"));
        assert_eq!(filter.get("title"), Some("a \"b\" AND c = d"));
        assert_eq!(filter.get("other"), None);
        assert_eq!(read("  "), Some(Filter::default()));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in
            ["pack = a OR role = b", "NOT pack = a", "pack != a", "pack > a", "secret = x", "pack = a AND pack = b"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
