//! Conditions of grants: whether they hold, over the wire and against calendars and networks that are
//! not ours; and that nobody gets rid of one.

mod administration;
mod checks;
mod escalation;
mod outside;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::attribute_match::Demand;
use peerage::transport::grpc::pb::attribute_value::Kind;

/// The grant under a condition.
pub(crate) fn when(grant: pb::Grant, condition: pb::Condition) -> pb::Grant {
    pb::Grant { condition: Some(condition), ..grant }
}

pub(crate) fn networks(networks: &[&str]) -> pb::Condition {
    pb::Condition { source_networks: networks.iter().map(|one| (*one).to_owned()).collect(), ..Default::default() }
}

/// Days from Monday, 1, to Sunday, 7.
pub(crate) fn window(days: &[i32], (start, end): (i32, i32), zone: &str) -> pb::Condition {
    let window =
        pb::WeeklyWindow { days: days.to_vec(), start_minute: start, end_minute: end, time_zone: zone.to_owned() };
    pb::Condition { weekly_windows: vec![window], ..Default::default() }
}

pub(crate) fn text(text: &str) -> pb::AttributeValue {
    pb::AttributeValue { kind: Some(Kind::StringValue(text.to_owned())) }
}

pub(crate) fn number(number: i64) -> pb::AttributeValue {
    pb::AttributeValue { kind: Some(Kind::IntValue(number)) }
}

fn attribute(name: &str, demand: Demand) -> pb::Condition {
    let wanted = pb::AttributeMatch { attribute: name.to_owned(), demand: Some(demand) };
    pb::Condition { resource_attributes: vec![wanted], ..Default::default() }
}

pub(crate) fn is_text(name: &str, value: &str) -> pb::Condition {
    attribute(name, Demand::Equals(text(value)))
}

/// Both conditions at once.
fn and(one: pb::Condition, other: pb::Condition) -> pb::Condition {
    let mut both = one;
    both.source_networks.extend(other.source_networks);
    both.weekly_windows.extend(other.weekly_windows);
    both.resource_attributes.extend(other.resource_attributes);
    both.account_labels.extend(other.account_labels);
    both
}

/// Circumstances with an address, if it is not empty, and attributes.
pub(crate) fn context(source_address: &str, attributes: &[(&str, pb::AttributeValue)]) -> pb::DecisionContext {
    let resource_attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    pb::DecisionContext { resource_attributes, source_address: source_address.to_owned() }
}
