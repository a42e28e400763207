//! Lists of accounts on the wire: filters, orders and places.

use crate::application::accounts::list::{AccountFilter, ListAccounts, SortKey};
use crate::domain::account::{AccountKind, label_key};
use crate::domain::invalid::Invalid;
use crate::domain::page;
use crate::transport::grpc::convert::{self, Fields, filter};
use crate::transport::grpc::pb;

/// The longest order, in characters.
const ORDER_MAX: usize = 128;

/// Reads a list, all but its page token.
pub fn list(fields: &mut Fields, request: &pb::ListAccountsRequest) -> Option<ListAccounts> {
    let parent = fields.optional("parent_account", &request.parent_account, convert::account_name);
    let limit = fields.take("page_size", page::size(request.page_size));
    let filter = list_filter(fields, &request.filter);
    let order = fields.take("order_by", order(&request.order_by));
    let (key, descending) = order?;
    Some(ListAccounts {
        parent: parent?,
        descendants: request.include_descendants,
        filter: filter?,
        key,
        descending,
        after: None,
        limit: usize::try_from(limit?).unwrap_or(usize::MAX),
    })
}

fn list_filter(fields: &mut Fields, text: &str) -> Option<AccountFilter> {
    let is_known = |field: &str| {
        matches!(field, "kind" | "state" | "title")
            || field.strip_prefix("labels.").is_some_and(|key| label_key(key).is_ok())
    };
    let filter = filter::filter_where(fields, text, is_known)?;
    let kind = filter.read(fields, "kind", kind_word);
    let is_suspended = filter.read(fields, "state", state_word);
    let labels = filter
        .iter()
        .filter_map(|(field, value)| field.strip_prefix("labels.").map(|key| (key.to_owned(), value.to_owned())));
    Some(AccountFilter {
        kind: kind?,
        is_suspended: is_suspended?,
        title: filter.get("title").map(ToOwned::to_owned),
        labels: labels.collect(),
    })
}

fn kind_word(word: &str) -> Result<AccountKind, Invalid> {
    AccountKind::parse(word.strip_prefix("ACCOUNT_KIND_").unwrap_or(word))
}

fn state_word(word: &str) -> Result<bool, Invalid> {
    match word.strip_prefix("ACCOUNT_STATE_").unwrap_or(word) {
        "ACTIVE" => Ok(false),
        "SUSPENDED" => Ok(true),
        _ => Err(Invalid::Unknown { choices: "ACTIVE, SUSPENDED" }),
    }
}

fn order(text: &str) -> Result<(SortKey, bool), Invalid> {
    if text.len() > ORDER_MAX {
        return Err(Invalid::TooLong { max: ORDER_MAX });
    }
    let mut words = text.split_whitespace();
    let key = match words.next() {
        None | Some("name") => SortKey::Id,
        Some("title") => SortKey::Title,
        Some("create_time") => SortKey::CreateTime,
        Some("update_time") => SortKey::UpdateTime,
        Some(_) => return Err(Invalid::Unknown { choices: "name, title, create_time, update_time" }),
    };
    match (words.next(), words.next()) {
        (None, None) => Ok((key, false)),
        (Some("desc"), None) => Ok((key, true)),
        _ => Err(Invalid::Form { form: "`field` or `field desc`" }),
    }
}
