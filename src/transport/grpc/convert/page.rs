//! Page tokens: opaque, bound to the list they came from, and no capability.
//!
//! A token holds the last key of the page and a checksum over the list's query, so that a token of
//! another query is refused instead of giving a page that means nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Fields;
use crate::application::{Error, Result};
use crate::domain::invalid::Invalid;

/// A token that goes on after `key` in the list with this `query`.
#[must_use]
pub fn token(query: &str, key: &str) -> String {
    let bytes: Vec<u8> = checksum(query, key).to_be_bytes().into_iter().chain(key.bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key in a token of the list with this `query`; nothing of an empty token.
///
/// # Errors
/// [`Error::PageToken`] for anything else.
pub fn key(query: &str, token: &str) -> Result<Option<String>> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = decode(token).ok_or(Error::PageToken)?;
    let (sum, key) = bytes.split_at_checked(4).ok_or(Error::PageToken)?;
    let key = String::from_utf8(key.to_vec()).map_err(|_| Error::PageToken)?;
    if checksum(query, &key).to_be_bytes() == sum { Ok(Some(key)) } else { Err(Error::PageToken) }
}

/// Reads where a page starts, along with the other fields of a request: `Some(None)` at the beginning,
/// `None` where the token is not of this list.
pub fn after<T>(
    fields: &mut Fields,
    query: &str,
    token: &str,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Option<Option<T>> {
    let found = key(query, token).ok().and_then(|key| key.as_deref().map(parse).transpose().ok());
    if found.is_none() {
        fields.refuse("page_token", Invalid::Form { form: "the `next_page_token` of this list" });
    }
    found
}

/// Cuts a list that was read with one item more than the page holds; that item only says that there
/// is another page.
#[must_use]
pub fn cut<T>(query: &str, mut items: Vec<T>, limit: u64, key: impl Fn(&T) -> String) -> (Vec<T>, String) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if items.len() <= limit {
        return (items, String::new());
    }
    items.truncate(limit);
    let next = items.last().map(|last| token(query, &key(last))).unwrap_or_default();
    (items, next)
}

/// The longest token, in characters.
pub const TOKEN_MAX: usize = 2048;

fn decode(token: &str) -> Option<Vec<u8>> {
    (token.len() <= TOKEN_MAX).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten()
}

fn checksum(query: &str, key: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(query.as_bytes());
    hasher.update(&[0]);
    hasher.update(key.as_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_belong_to_one_list() {
        let token = token("peers of contoso", "0193");
        assert_eq!(key("peers of contoso", &token).unwrap().as_deref(), Some("0193"));
        for (query, text) in [("peers of fabrikam", token.as_str()), ("peers of contoso", "zz"), ("", "00"), ("", "é0")]
        {
            assert!(matches!(key(query, text), Err(Error::PageToken)), "{query} {text}");
        }
        assert_eq!(key("", "").unwrap(), None);
    }
}
