//! Orders of lists (AIP-132): one field, and `desc` behind it or not.

use crate::domain::invalid::Invalid;

/// The longest order, in characters.
const ORDER_MAX: usize = 128;

/// Reads an order by one of these fields: the key, and whether it descends; none of an empty one.
///
/// # Errors
/// [`Invalid`] naming what is wrong.
pub fn read<K: Copy>(text: &str, known: &[(&str, K)]) -> Result<Option<(K, bool)>, Invalid> {
    if text.len() > ORDER_MAX {
        return Err(Invalid::TooLong { max: ORDER_MAX });
    }
    let mut words = text.split_whitespace();
    let Some(field) = words.next() else { return Ok(None) };
    let key = known.iter().find(|(name, _)| *name == field).map(|(_, key)| *key);
    let key = key.ok_or(Invalid::Unknown { choices: "the fields that this list is sorted by" })?;
    match (words.next(), words.next()) {
        (None, None) => Ok(Some((key, false))),
        (Some("desc"), None) => Ok(Some((key, true))),
        _ => Err(Invalid::Form { form: "`field` or `field desc`" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_orders_a_list() {
        let read = |text: &str| read(text, &[("a", 1), ("b", 2)]);
        assert_eq!(read(""), Ok(None));
        assert_eq!(read(" a "), Ok(Some((1, false))));
        assert_eq!(read("b  desc"), Ok(Some((2, true))));
        for text in ["c", "a,b", "a asc", "a DESC", "desc", "a desc desc"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read(&"a".repeat(129)), Err(Invalid::TooLong { max: 128 }));
    }
}
