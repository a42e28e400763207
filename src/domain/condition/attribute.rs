//! What a condition demands of an attribute of the resource.
//!
//! A value of another type than the demand is about does not meet it, and is not missing either.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::context::{ATTRIBUTE_NAME_MAX, ATTRIBUTE_TEXT_MAX, AttributeValue};
use crate::domain::invalid::Invalid;
use crate::domain::text;

/// The most values of a list.
pub const VALUES_MAX: usize = 64;

/// Reads the name of an attribute. Names are compared as they are written; `@` begins the names of what
/// is no attribute.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong.
pub fn attribute_name(name: &str) -> Result<String, Invalid> {
    if name.is_empty() {
        return Err(Invalid::Missing);
    }
    // As it is and not put right: it is compared with names that others write.
    let is_plain = text::line(name, ATTRIBUTE_NAME_MAX)? == name;
    if !is_plain || name.starts_with('@') {
        return Err(Invalid::Form {
            form: "a name such as `department`, in Unicode form C, without `@` before it or blanks at its ends",
        });
    }
    Ok(name.to_owned())
}

/// Reads a text that an attribute is compared with.
///
/// # Errors
/// [`Invalid::TooLong`].
pub fn attribute_value(value: AttributeValue) -> Result<AttributeValue, Invalid> {
    match &value {
        AttributeValue::Text(text) if text.chars().count() > ATTRIBUTE_TEXT_MAX => {
            Err(Invalid::TooLong { max: ATTRIBUTE_TEXT_MAX })
        }
        AttributeValue::Text(_) | AttributeValue::Int(_) | AttributeValue::Bool(_) => Ok(value),
    }
}

/// A half-open range of whole numbers with a bound on at least one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RangeSheet", into = "RangeSheet")]
pub struct IntRange {
    start: Option<i64>,
    end: Option<i64>,
}

impl IntRange {
    /// A range that holds at least one number.
    ///
    /// # Errors
    /// [`Invalid`] without a bound, or where nothing lies between the two.
    pub const fn new(start: Option<i64>, end: Option<i64>) -> Result<Self, Invalid> {
        match (start, end) {
            (None, None) => Err(Invalid::Missing),
            (Some(start), Some(end)) if start >= end => Err(Invalid::Order { other: "its start" }),
            // Nothing is less than the least number.
            (None, Some(i64::MIN)) => Err(Invalid::Order { other: "the least number" }),
            (start, end) => Ok(Self { start, end }),
        }
    }

    #[must_use]
    pub const fn start(self) -> Option<i64> {
        self.start
    }

    #[must_use]
    pub const fn end(self) -> Option<i64> {
        self.end
    }

    fn contains(self, number: i64) -> bool {
        self.start.is_none_or(|start| start <= number) && self.end.is_none_or(|end| number < end)
    }
}

/// What is demanded of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Demand {
    /// It is one of these, in type and value. Never empty; of one value, "it is this".
    AnyOf(BTreeSet<AttributeValue>),
    /// It is a text that starts so. Never empty.
    Prefix(String),
    /// It is a whole number in this range.
    Range(IntRange),
}

/// A demand of one attribute by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Sheet", into = "Sheet")]
pub struct AttributeMatch {
    attribute: String,
    demand: Demand,
}

impl AttributeMatch {
    /// A demand whose parts are checked.
    ///
    /// # Errors
    /// As [`attribute_name`]; [`Invalid`] where the demand asks for nothing or for too much.
    pub fn new(attribute: &str, demand: Demand) -> Result<Self, Invalid> {
        let attribute = attribute_name(attribute)?;
        let texts_max = Invalid::TooLong { max: ATTRIBUTE_TEXT_MAX };
        match &demand {
            Demand::AnyOf(values) if values.is_empty() => return Err(Invalid::Missing),
            Demand::AnyOf(values) if values.len() > VALUES_MAX => return Err(Invalid::TooMany { max: VALUES_MAX }),
            Demand::AnyOf(values) => {
                values.iter().cloned().map(attribute_value).collect::<Result<Vec<_>, _>>()?;
            }
            Demand::Prefix(prefix) if prefix.is_empty() => return Err(Invalid::Missing),
            Demand::Prefix(prefix) if prefix.chars().count() > ATTRIBUTE_TEXT_MAX => return Err(texts_max),
            Demand::Prefix(_) | Demand::Range(_) => {}
        }
        Ok(Self { attribute, demand })
    }

    #[must_use]
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    #[must_use]
    pub const fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Whether a value meets the demand.
    #[must_use]
    pub fn is_met_by(&self, value: &AttributeValue) -> bool {
        match (&self.demand, value) {
            (Demand::AnyOf(values), value) => values.contains(value),
            (Demand::Prefix(prefix), AttributeValue::Text(text)) => text.starts_with(prefix.as_str()),
            (Demand::Range(range), AttributeValue::Int(number)) => range.contains(*number),
            (Demand::Prefix(_), AttributeValue::Int(_) | AttributeValue::Bool(_))
            | (Demand::Range(_), AttributeValue::Text(_) | AttributeValue::Bool(_)) => false,
        }
    }
}

/// A range as it is stored and as packs write it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeSheet {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<i64>,
}

impl TryFrom<RangeSheet> for IntRange {
    type Error = Invalid;

    fn try_from(sheet: RangeSheet) -> Result<Self, Invalid> {
        Self::new(sheet.start, sheet.end)
    }
}

impl From<IntRange> for RangeSheet {
    fn from(range: IntRange) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// A demand as it is stored and as packs write it: exactly one of the four is there.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    attribute: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<AttributeValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    any_of: Option<BTreeSet<AttributeValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<IntRange>,
}

impl TryFrom<Sheet> for AttributeMatch {
    type Error = Invalid;

    fn try_from(sheet: Sheet) -> Result<Self, Invalid> {
        let demand = match (sheet.equals, sheet.any_of, sheet.prefix, sheet.range) {
            (Some(value), None, None, None) => Demand::AnyOf(BTreeSet::from([value])),
            (None, Some(values), None, None) => Demand::AnyOf(values),
            (None, None, Some(prefix), None) => Demand::Prefix(prefix),
            (None, None, None, Some(range)) => Demand::Range(range),
            _ => return Err(Invalid::Form { form: "exactly one of `equals`, `any_of`, `prefix` and `range`" }),
        };
        Self::new(&sheet.attribute, demand)
    }
}

impl From<AttributeMatch> for Sheet {
    fn from(wanted: AttributeMatch) -> Self {
        let empty = Self { attribute: wanted.attribute, equals: None, any_of: None, prefix: None, range: None };
        match wanted.demand {
            Demand::AnyOf(mut values) if values.len() == 1 => Self { equals: values.pop_first(), ..empty },
            Demand::AnyOf(values) => Self { any_of: Some(values), ..empty },
            Demand::Prefix(prefix) => Self { prefix: Some(prefix), ..empty },
            Demand::Range(range) => Self { range: Some(range), ..empty },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_part_of_values() {
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let any = |values: &[AttributeValue]| Demand::AnyOf(values.iter().cloned().collect());
        let range = |start, end| Demand::Range(IntRange::new(start, end).unwrap());
        let cases = [
            (any(&[AttributeValue::Int(1)]), AttributeValue::Int(1), true),
            (any(&[AttributeValue::Int(1)]), text("1"), false),
            (any(&[AttributeValue::Int(1)]), AttributeValue::Bool(true), false),
            (any(&[text("true")]), AttributeValue::Bool(true), false),
            (any(&[text("a"), AttributeValue::Bool(false)]), AttributeValue::Bool(false), true),
            (any(&[text("a")]), text("A"), false),
            (Demand::Prefix("gold-".into()), text("gold-1"), true),
            (Demand::Prefix("gold-".into()), text("gold"), false),
            (Demand::Prefix("1".into()), AttributeValue::Int(12), false),
            (range(Some(1), Some(3)), AttributeValue::Int(0), false),
            (range(Some(1), Some(3)), AttributeValue::Int(1), true),
            (range(Some(1), Some(3)), AttributeValue::Int(2), true),
            (range(Some(1), Some(3)), AttributeValue::Int(3), false),
            (range(Some(i64::MAX), None), AttributeValue::Int(i64::MAX), true),
            (range(None, Some(0)), AttributeValue::Int(i64::MIN), true),
            (range(None, Some(0)), text("-1"), false),
        ];
        for (demand, value, expected) in cases {
            let wanted = AttributeMatch::new("size", demand).unwrap();
            assert_eq!(wanted.is_met_by(&value), expected, "{wanted:?} {value:?}");
        }
    }

    #[test]
    fn demands_that_ask_for_nothing_are_refused() {
        assert!(AttributeMatch::new("size", Demand::AnyOf(BTreeSet::new())).is_err());
        assert!(AttributeMatch::new("size", Demand::Prefix(String::new())).is_err());
        assert!(AttributeMatch::new("size", Demand::Prefix("a".repeat(1025))).is_err());
        for name in ["", "@size", " size", "size\u{202E}", &"a".repeat(64)] {
            assert!(AttributeMatch::new(name, Demand::Prefix("a".into())).is_err(), "{name}");
        }
        let ranges = [(None, None), (Some(1), Some(1)), (Some(2), Some(1)), (None, Some(i64::MIN))];
        assert!(ranges.into_iter().all(|(start, end)| IntRange::new(start, end).is_err()));
    }
}
