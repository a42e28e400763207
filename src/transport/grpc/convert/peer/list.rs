//! Lists of peers on the wire: filters, orders, searches and places.

use crate::application::peers::list::{
    Comparison, Condition, ListPeers, ListView, Order, QUERY_MAX, Search, SortKey, Test, TimeColumn,
};
use crate::domain::filter::{self, Node, Operator, Restriction, at};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{FIELD_MAX, MailFormat, PeerKind, PeerStatus, TwoFactor};
use crate::domain::time::Timestamp;
use crate::domain::{page, text};
use crate::transport::grpc::convert::{self, Fields, order};
use crate::transport::grpc::pb;

/// What peers are sorted by.
const ORDERS: &[(&str, SortKey)] = &[
    ("name", SortKey::Id),
    ("user_name", SortKey::UserName),
    ("full_name", SortKey::FullName),
    ("email", SortKey::Email),
    ("default_role", SortKey::DefaultRole),
    ("last_login_time", SortKey::LastLoginTime),
    ("last_active_time", SortKey::LastActiveTime),
    ("state", SortKey::Status),
    ("two_factor_provider", SortKey::TwoFactor),
    ("org_user", SortKey::OrgUser),
    ("microsoft_account_status", SortKey::MicrosoftAccount),
    ("privileged_access", SortKey::PrivilegedAccess),
    ("kind", SortKey::Kind),
    ("create_time", SortKey::CreateTime),
    ("expire_time", SortKey::ExpireTime),
];

/// Reads a list, all but its page token.
pub fn list(fields: &mut Fields, request: &pb::ListPeersRequest) -> Option<ListPeers> {
    let account = fields.required("account", &request.account, convert::account_name);
    let view = match pb::PeerListView::try_from(request.view) {
        Ok(pb::PeerListView::Unspecified | pb::PeerListView::HomeSubtree) => Some(ListView::HomeSubtree),
        Ok(pb::PeerListView::WithAccess) => Some(ListView::WithAccess),
        Err(_) => fields.take("view", Err(Invalid::Unknown { choices: "HOME_SUBTREE, WITH_ACCESS" })),
    };
    let limit = fields.take("page_size", page::size(request.page_size));
    let filter = fields.take("filter", read_filter(&request.filter));
    let order = fields.take("order_by", order::read(&request.order_by, ORDERS));
    let search = fields.take("query", text::optional_line(&request.query, QUERY_MAX));
    let (condition, administrator) = filter?;
    let (key, descending) = order?.unwrap_or((SortKey::Id, false));
    Some(ListPeers {
        account: account?,
        view: view?,
        condition,
        administrator,
        search: Search::of(&search?),
        show_deleted: request.show_deleted,
        order: Order { key, descending },
        after: None,
        limit: usize::try_from(limit?).unwrap_or(usize::MAX),
        count: request.count_total,
    })
}

/// Reads a filter: what is tested of rows, and whether the peers administer.
fn read_filter(text: &str) -> Result<(Condition, Option<bool>), Invalid> {
    let mut administrator = None;
    let parts = match filter::parse(text)? {
        None => Vec::new(),
        Some(Node::And(parts)) => parts,
        Some(other) => vec![other],
    };
    let mut conditions = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(one) = of_administrators(&part) else {
            conditions.push(condition(part)?);
            continue;
        };
        let wanted = truth(one)?;
        if administrator.replace(wanted).is_some() {
            return Err(at(one.field_at, "`administrator` stands once"));
        }
    }
    Ok((Condition::All(conditions), administrator))
}

/// The comparison of `administrator`, if it is one. No column holds it, so that it cannot be joined as
/// others are.
fn of_administrators(node: &Node) -> Option<&Restriction> {
    match node {
        Node::Is(one) if one.field == "administrator" => Some(one),
        Node::Is(_) | Node::And(_) | Node::Or(..) | Node::Not(..) => None,
    }
}

fn condition(node: Node) -> Result<Condition, Invalid> {
    let all = |parts: Vec<Node>| parts.into_iter().map(condition).collect::<Result<Vec<_>, _>>();
    match node {
        Node::And(parts) => all(parts).map(Condition::All),
        Node::Or(_, parts) => all(parts).map(Condition::Any),
        Node::Not(_, part) => condition(*part).map(|part| Condition::Not(Box::new(part))),
        Node::Is(one) => comparison(&one),
    }
}

fn comparison(one: &Restriction) -> Result<Condition, Invalid> {
    // The words of JSON carry the name of their enum.
    let plain = |prefix: &str| one.value.strip_prefix(prefix).unwrap_or(&one.value);
    let word = |test: Result<Test, Invalid>, choices| equal(one, Ok(test.map_err(|_| at(one.value_at, choices))?));
    match one.field.as_str() {
        "kind" => {
            let kind = PeerKind::parse(plain("PEER_KIND_")).map(Test::Kind);
            word(kind, "`kind` is PERSON, DEVICE or INTEGRATION")
        }
        "state" => {
            let status = PeerStatus::parse(plain("PEER_STATE_")).map(Test::Status);
            word(status, "`state` is ENABLED, DISABLED or DELETED")
        }
        "two_factor_provider" => {
            let factor = TwoFactor::parse(plain("TWO_FACTOR_PROVIDER_")).map(Test::TwoFactor);
            word(factor, "`two_factor_provider` is NONE, EMAIL or TOTP")
        }
        "mail_format" => {
            let format = MailFormat::parse(plain("MAIL_FORMAT_")).map(Test::MailFormat);
            word(format, "`mail_format` is HTML or PLAIN_TEXT")
        }
        "microsoft_account_status" => flag(one, Test::HasMicrosoftAccount, "LINKED", "NOT_LINKED"),
        "require_external_login" => flag(one, Test::RequiresExternalLogin, "true", "false"),
        "home_account" => equal(one, convert::account_name(&one.value).map(Test::Home)),
        "default_role" if is_set(one) => Ok(Condition::Is(Test::HasDefaultRole)),
        "default_role" => equal(one, convert::role_name(&one.value).map(Test::DefaultRole)),
        "org_user" if is_set(one) => Ok(Condition::Is(Test::HasOrgUser)),
        "org_user" => equal(one, text::line(&one.value, FIELD_MAX).map(Test::OrgUser)),
        "last_login_time" => time(one, TimeColumn::LastLogin),
        "last_active_time" => time(one, TimeColumn::LastActive),
        "create_time" => time(one, TimeColumn::Create),
        "expire_time" => time(one, TimeColumn::Expire),
        "administrator" => Err(at(one.field_at, "`administrator` is joined to the rest by `AND` only")),
        _ => Err(at(one.field_at, "peers are not filtered by that field")),
    }
}

/// Whether a comparison asks if the field is set.
fn is_set(one: &Restriction) -> bool {
    one.operator == Operator::Has && one.value == "*"
}

/// A test by `=` or its opposite by `!=`.
fn equal(one: &Restriction, test: Result<Test, Invalid>) -> Result<Condition, Invalid> {
    let test = Condition::Is(test.map_err(|_| at(one.value_at, "that is no value of the field"))?);
    match one.operator {
        Operator::Equal => Ok(test),
        Operator::NotEqual => Ok(Condition::Not(Box::new(test))),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual | Operator::Has => {
            Err(at(one.operator_at, "the field is compared by `=` and `!=`"))
        }
    }
}

fn flag(one: &Restriction, test: Test, yes: &str, no: &str) -> Result<Condition, Invalid> {
    let value = one.value.strip_prefix("MICROSOFT_ACCOUNT_STATUS_").unwrap_or(&one.value);
    let condition = equal(one, Ok(test))?;
    if value == yes {
        Ok(condition)
    } else if value == no {
        Ok(Condition::Not(Box::new(condition)))
    } else {
        Err(at(one.value_at, "that is no value of the field"))
    }
}

fn truth(one: &Restriction) -> Result<bool, Invalid> {
    let value: bool = one.value.parse().map_err(|_| at(one.value_at, "`true` or `false` was expected"))?;
    match one.operator {
        Operator::Equal => Ok(value),
        Operator::NotEqual => Ok(!value),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual | Operator::Has => {
            Err(at(one.operator_at, "the field is compared by `=` and `!=`"))
        }
    }
}

fn time(one: &Restriction, column: TimeColumn) -> Result<Condition, Invalid> {
    if is_set(one) {
        return Ok(Condition::Is(Test::HasTime(column)));
    }
    let time = Timestamp::parse_rfc3339(&one.value);
    let time = time.map_err(|_| at(one.value_at, "a time such as `\"2026-01-01T00:00:00Z\"` was expected"))?;
    let is = |comparison| Condition::Is(Test::Time(column, comparison, time));
    Ok(match one.operator {
        Operator::Equal => is(Comparison::Equal),
        Operator::NotEqual => {
            let is_other = Condition::Not(Box::new(is(Comparison::Equal)));
            Condition::All(vec![Condition::Is(Test::HasTime(column)), is_other])
        }
        Operator::Less => is(Comparison::Less),
        Operator::LessOrEqual => is(Comparison::LessOrEqual),
        Operator::Greater => is(Comparison::Greater),
        Operator::GreaterOrEqual => is(Comparison::GreaterOrEqual),
        Operator::Has => return Err(at(one.value_at, "`:` asks for `*` only")),
    })
}
