//! Batches on the wire: how many items there may be, and each read by itself, so that a wrong one does
//! not spoil the others.

use super::Fields;
use crate::application::{Error, Result};
use crate::domain::invalid::Invalid;

/// The most items of a batch that changes something.
pub const ITEMS_MAX: usize = 1000;

/// Reads the number of items.
pub fn requests<T>(fields: &mut Fields, requests: &[T]) -> Option<()> {
    if requests.is_empty() {
        fields.refuse("requests", Invalid::Missing);
    }
    fields.at_most("requests", requests, ITEMS_MAX);
    Some(())
}

/// Reads an item, whose fields are named as in a call of its own. What only the batch as a whole can be
/// is not said in an item.
///
/// # Errors
/// [`Error::Invalid`] with every violation.
pub fn item<T>((request_id, validate_only): (&str, bool), read: impl FnOnce(&mut Fields) -> Option<T>) -> Result<T> {
    let mut fields = Fields::default();
    let why = Invalid::NotAllowed { why: "in a batch it is set for all items at once" };
    for (field, is_set) in [("request_id", !request_id.is_empty()), ("validate_only", validate_only)] {
        if is_set {
            fields.refuse(field, why.clone());
        }
    }
    match (read(&mut fields), fields.into_violations()) {
        (Some(value), violations) if violations.is_empty() => Ok(value),
        (_, violations) => Err(Error::Invalid(violations)),
    }
}
