//! The places of pages in requests. What a token holds and whom it serves: `application::page`.

use serde::de::DeserializeOwned;

use super::Fields;
use crate::application::page::Tokens;
use crate::domain::invalid::Invalid;

/// Reads where a page starts, along with the other fields of a request: `Some(None)` at the beginning,
/// `None` where the token is not of this list.
pub fn after<P: DeserializeOwned>(fields: &mut Fields, tokens: &Tokens, token: &str) -> Option<Option<P>> {
    let place = tokens.open(token).ok();
    if place.is_none() {
        fields.refuse(
            "page_token",
            Invalid::Form { form: "a `next_page_token` of this list and caller, under a day old" },
        );
    }
    place
}
