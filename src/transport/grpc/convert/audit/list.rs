//! Lists of events on the wire: filters, orders, searches and places.

use crate::application::audit::list::{
    Comparison, Condition, Direction, ListEvents, Matching, QUERY_MAX, Reach, Search, Test, TimeColumn,
};
use crate::domain::filter::{self, Node, Operator, Restriction, at};
use crate::domain::ids::PeerId;
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerRef;
use crate::domain::time::Timestamp;
use crate::domain::{page, text};
use crate::transport::grpc::convert::{self, Fields, order};
use crate::transport::grpc::pb;

/// The longest value that a comparison may have, in characters.
const VALUE_MAX: usize = 512;

/// Reads a list, all but its page token. `caller` is who `peers/me` is.
pub fn list(fields: &mut Fields, request: &pb::ListAuditEventsRequest, caller: PeerId) -> Option<ListEvents> {
    let account = fields.required("account", &request.account, convert::account_name);
    let reach = if request.include_descendants { Reach::Subtree } else { Reach::Account };
    if request.start_seq < 0 {
        fields.refuse("start_seq", Invalid::OutOfRange { min: 0, max: i64::MAX });
    } else if request.start_seq > 0 && reach == Reach::Subtree {
        fields.refuse("start_seq", Invalid::NotAllowed { why: "each log has numbers of its own" });
    }
    let limit = fields.take("page_size", page::size(request.page_size));
    let condition = fields.take("filter", read_filter(&request.filter, caller));
    let order = fields.take("order_by", order::read(&request.order_by, &[("record_time", ())]));
    let query = fields.take("query", text::optional_line(&request.query, QUERY_MAX));
    let newest_first = order?.is_some_and(|(_, descending)| descending);
    Some(ListEvents {
        account: account?,
        reach,
        matching: Matching { condition: condition?, search: Search::of(&query?) },
        direction: if newest_first { Direction::NewestFirst } else { Direction::OldestFirst },
        start_seq: Some(request.start_seq).filter(|seq| *seq > 0),
        after: None,
        limit: usize::try_from(limit?).unwrap_or(usize::MAX),
    })
}

fn read_filter(text: &str, caller: PeerId) -> Result<Condition, Invalid> {
    filter::parse(text)?.map_or_else(|| Ok(Condition::default()), |node| condition(node, caller))
}

fn condition(node: Node, caller: PeerId) -> Result<Condition, Invalid> {
    let all = |parts: Vec<Node>| parts.into_iter().map(|part| condition(part, caller)).collect::<Result<Vec<_>, _>>();
    match node {
        Node::And(parts) => all(parts).map(Condition::All),
        Node::Or(_, parts) => all(parts).map(Condition::Any),
        Node::Not(_, part) => condition(*part, caller).map(|part| Condition::Not(Box::new(part))),
        Node::Is(one) => comparison(&one, caller),
    }
}

fn comparison(one: &Restriction, caller: PeerId) -> Result<Condition, Invalid> {
    let value = || text::line(&one.value, VALUE_MAX);
    match one.field.as_str() {
        "account" => equal(one, convert::account_name(&one.value).map(Test::Account)),
        "actor" => equal(one, actor(&one.value, caller).map(Test::Actor)),
        "reporter" if is_set(one) => Ok(Condition::Is(Test::HasReporter)),
        "reporter" => equal(one, actor(&one.value, caller).map(Test::Reporter)),
        "action" => equal(one, value().map(Test::Action)),
        "target" => equal(one, value().map(Test::Target)),
        "outcome" => equal(one, outcome(&one.value).map(Test::Outcome)),
        "reason" if is_set(one) => Ok(Condition::Is(Test::HasReason)),
        "reason" => equal(one, value().map(Test::Reason)),
        "occur_time" => time(one, TimeColumn::Occurred),
        "record_time" => time(one, TimeColumn::Recorded),
        _ => Err(at(one.field_at, "events are not filtered by that field")),
    }
}

/// Who acts, as the log writes it: a peer by its uid, or the name of a part of the service.
fn actor(value: &str, caller: PeerId) -> Result<String, Invalid> {
    if !value.starts_with("peers/") {
        return text::line(value, VALUE_MAX);
    }
    match PeerRef::parse(value)? {
        PeerRef::Id(id) => Ok(format!("peers/{id}")),
        PeerRef::Me => Ok(format!("peers/{caller}")),
        PeerRef::UserName(_) => Err(Invalid::Form { form: "`peers/{peer}`" }),
    }
}

fn outcome(value: &str) -> Result<&'static str, Invalid> {
    // The words of JSON carry the name of their enum.
    let word = value.strip_prefix("AUDIT_OUTCOME_").unwrap_or(value);
    let known = ["SUCCESS", "DENIED", "FAILED"].into_iter().find(|known| *known == word);
    known.ok_or(Invalid::Unknown { choices: "SUCCESS, DENIED, FAILED" })
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

fn time(one: &Restriction, column: TimeColumn) -> Result<Condition, Invalid> {
    let comparison = match one.operator {
        Operator::Equal | Operator::NotEqual => Comparison::Equal,
        Operator::Less => Comparison::Less,
        Operator::LessOrEqual => Comparison::LessOrEqual,
        Operator::Greater => Comparison::Greater,
        Operator::GreaterOrEqual => Comparison::GreaterOrEqual,
        Operator::Has => return Err(at(one.operator_at, "every event has a time; compare it")),
    };
    let time = Timestamp::parse_rfc3339(&one.value);
    let time = time.map_err(|_| at(one.value_at, "a time such as `\"2026-01-01T00:00:00Z\"` was expected"))?;
    let test = Condition::Is(Test::Time(column, comparison, time));
    Ok(if one.operator == Operator::NotEqual { Condition::Not(Box::new(test)) } else { test })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn read(text: &str) -> Result<Condition, Invalid> {
        read_filter(text, PeerId::from(Uuid::from_u128(7)))
    }

    #[test]
    fn every_field_is_compared_as_the_contract_says() {
        let is = Condition::Is;
        let me = "peers/00000000-0000-0000-0000-000000000007".to_owned();
        for (text, wanted) in [
            ("", Condition::default()),
            ("actor = peers/me", is(Test::Actor(me.clone()))),
            ("actor = bootstrap", is(Test::Actor("bootstrap".to_owned()))),
            ("reporter != peers/me", Condition::Not(Box::new(is(Test::Reporter(me))))),
            ("reporter:*", is(Test::HasReporter)),
            ("reason:*", is(Test::HasReason)),
            ("outcome = AUDIT_OUTCOME_DENIED", is(Test::Outcome("DENIED"))),
            (
                "action = \"peers.create\" OR action = peers.update",
                Condition::Any(vec![
                    is(Test::Action("peers.create".to_owned())),
                    is(Test::Action("peers.update".to_owned())),
                ]),
            ),
            (
                "occur_time >= \"1970-01-01T00:00:01Z\"",
                is(Test::Time(TimeColumn::Occurred, Comparison::GreaterOrEqual, Timestamp::from_micros(1_000_000))),
            ),
        ] {
            assert_eq!(read(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, position) in [
            ("secret = x", 1),
            ("action > a", 8),
            ("outcome = GOOD", 11),
            ("actor = peers/@emily", 9),
            ("actor = peers/emily", 9),
            ("account = contoso", 11),
            ("occur_time > yesterday", 14),
            ("record_time:*", 12),
            ("action = a AND reason : b", 23),
        ] {
            assert!(
                matches!(read(text), Err(Invalid::At { position: at, .. }) if at == position),
                "{text}: {:?}",
                read(text)
            );
        }
    }
}
