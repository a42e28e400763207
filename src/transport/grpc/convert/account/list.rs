//! Lists of accounts on the wire: filters, orders and places.

use crate::application::accounts::list::{AccountFilter, ListAccounts, Order, SortKey};
use crate::domain::account::{AccountKind, label_key};
use crate::domain::invalid::Invalid;
use crate::domain::page;
use crate::transport::grpc::convert::{self, Fields, filter, order};
use crate::transport::grpc::pb;

/// What accounts are sorted by.
const ORDERS: &[(&str, SortKey)] = &[
    ("name", SortKey::Id),
    ("title", SortKey::Title),
    ("create_time", SortKey::CreateTime),
    ("update_time", SortKey::UpdateTime),
];

/// Reads a list, all but its page token.
pub fn list(fields: &mut Fields, request: &pb::ListAccountsRequest) -> Option<ListAccounts> {
    let parent = fields.optional("parent_account", &request.parent_account, convert::account_name);
    let limit = fields.take("page_size", page::size(request.page_size));
    let filter = list_filter(fields, &request.filter);
    let order = fields.take("order_by", order::read(&request.order_by, ORDERS));
    let (key, descending) = order?.unwrap_or((SortKey::Id, false));
    Some(ListAccounts {
        parent: parent?,
        descendants: request.include_descendants,
        filter: filter?,
        order: Order { key, descending },
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
