//! The conditions of grants on the wire.
//!
//! What has no order is read into sets, so that two ways to write the same condition are one; what
//! comes back is in the order of the set, and a list of one value is `equals`.

use std::collections::{BTreeMap, BTreeSet};

use super::words;
use crate::domain::account::{label_key, label_value};
use crate::domain::condition::{
    ATTRIBUTES_MAX, AttributeMatch, Condition, DAYS_MAX, Demand, IntRange, LABEL_VALUES_MAX, LABELS_MAX, NETWORKS_MAX,
    Network, VALUES_MAX, WINDOWS_MAX, WeeklyWindow, Zone, attribute_name, attribute_value,
};
use crate::domain::context::{ATTRIBUTE_TEXT_MAX, AttributeValue};
use crate::domain::invalid::Invalid;
use crate::transport::grpc::convert::Fields;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::attribute_match::Demand as PbDemand;
use crate::transport::grpc::pb::attribute_value::Kind;

/// Reads a condition; none is an empty one.
pub(super) fn condition(fields: &mut Fields, field: &str, condition: Option<&pb::Condition>) -> Option<Condition> {
    let Some(condition) = condition else { return Some(Condition::default()) };
    let networks = format!("{field}.source_networks");
    let source_networks = each(fields, &networks, (&condition.source_networks, NETWORKS_MAX), |fields, field, text| {
        fields.required(field, text, Network::parse)
    });
    let windows = format!("{field}.weekly_windows");
    let weekly_windows = each(fields, &windows, (&condition.weekly_windows, WINDOWS_MAX), window);
    let attributes = format!("{field}.resource_attributes");
    let resource_attributes =
        each(fields, &attributes, (&condition.resource_attributes, ATTRIBUTES_MAX), attribute_match);
    let account_labels = labels(fields, &format!("{field}.account_labels"), &condition.account_labels);
    Some(Condition {
        source_networks: source_networks?,
        weekly_windows: weekly_windows?,
        resource_attributes: resource_attributes?,
        account_labels: account_labels?,
    })
}

/// Reads each item of a list, so that all that are wrong are named.
fn each<W, T: Ord>(
    fields: &mut Fields,
    field: &str,
    (items, max): (&[W], usize),
    read: impl Fn(&mut Fields, String, &W) -> Option<T>,
) -> Option<BTreeSet<T>> {
    if items.len() > max {
        fields.refuse(field, Invalid::TooMany { max });
        return None;
    }
    let mut found = BTreeSet::new();
    let mut fits = true;
    for (place, item) in items.iter().enumerate() {
        match read(fields, format!("{field}[{place}]"), item) {
            Some(item) => {
                found.insert(item);
            }
            None => fits = false,
        }
    }
    fits.then_some(found)
}

fn window(fields: &mut Fields, field: String, window: &pb::WeeklyWindow) -> Option<WeeklyWindow> {
    let named = format!("{field}.days");
    if window.days.is_empty() {
        fields.refuse(&named, Invalid::Missing);
    }
    let spell = |day| words::day_to_pb(day).as_str_name();
    let days = words::distinct(fields, &named, (&window.days, DAYS_MAX), words::day, spell);
    let start = fields.take(format!("{field}.start_minute"), WeeklyWindow::start_minute_of(window.start_minute.into()));
    let end = fields.take(format!("{field}.end_minute"), WeeklyWindow::end_minute_of(window.end_minute.into()));
    let zone = fields.required(format!("{field}.time_zone"), &window.time_zone, Zone::parse);
    let days = days.filter(|days| !days.is_empty())?;
    fields.take(field, WeeklyWindow::new(days.into_iter().collect(), start?, end?, zone?))
}

fn attribute_match(fields: &mut Fields, field: String, wanted: &pb::AttributeMatch) -> Option<AttributeMatch> {
    let name = fields.take(format!("{field}.attribute"), attribute_name(&wanted.attribute));
    let demand = match &wanted.demand {
        None => {
            fields.refuse(&field, Invalid::Form { form: "exactly one of `equals`, `any_of`, `prefix` and `range`" });
            None
        }
        Some(PbDemand::Equals(value)) => {
            attribute(fields, format!("{field}.equals"), value).map(|value| Demand::AnyOf(BTreeSet::from([value])))
        }
        Some(PbDemand::AnyOf(list)) => {
            let named = format!("{field}.any_of.values");
            if list.values.is_empty() {
                fields.refuse(&named, Invalid::Missing);
            }
            let values = each(fields, &named, (&list.values, VALUES_MAX), attribute);
            values.filter(|values| !values.is_empty()).map(Demand::AnyOf)
        }
        Some(PbDemand::Prefix(prefix)) => prefix_of(fields, format!("{field}.prefix"), prefix),
        Some(PbDemand::Range(range)) => range_of(fields, &format!("{field}.range"), *range),
    };
    fields.take(field, AttributeMatch::new(&name?, demand?))
}

fn attribute(fields: &mut Fields, field: String, value: &pb::AttributeValue) -> Option<AttributeValue> {
    let (field, value) = match &value.kind {
        Some(Kind::StringValue(text)) => (format!("{field}.string_value"), AttributeValue::Text(text.clone())),
        Some(Kind::IntValue(number)) => (field, AttributeValue::Int(*number)),
        Some(Kind::BoolValue(truth)) => (field, AttributeValue::Bool(*truth)),
        None => {
            fields.refuse(field, Invalid::Missing);
            return None;
        }
    };
    fields.take(field, attribute_value(value))
}

fn prefix_of(fields: &mut Fields, field: String, prefix: &str) -> Option<Demand> {
    let is_short = prefix.chars().count() <= ATTRIBUTE_TEXT_MAX;
    let prefix = fields.required(field, prefix, |prefix| match is_short {
        true => Ok(prefix.to_owned()),
        false => Err(Invalid::TooLong { max: ATTRIBUTE_TEXT_MAX }),
    });
    prefix.map(Demand::Prefix)
}

fn range_of(fields: &mut Fields, field: &str, range: pb::IntRange) -> Option<Demand> {
    let end = if range.end.is_some() { format!("{field}.end") } else { field.to_owned() };
    fields.take(end, IntRange::new(range.start, range.end)).map(Demand::Range)
}

fn labels(
    fields: &mut Fields,
    field: &str,
    labels: &[pb::AccountLabelMatch],
) -> Option<BTreeMap<String, BTreeSet<String>>> {
    if labels.len() > LABELS_MAX {
        fields.refuse(field, Invalid::TooMany { max: LABELS_MAX });
        return None;
    }
    let mut found = BTreeMap::new();
    let mut fits = true;
    for (place, label) in labels.iter().enumerate() {
        match label_match(fields, &format!("{field}[{place}]"), label) {
            Some((key, _)) if found.contains_key(&key) => {
                fields.refuse(field, Invalid::Duplicate { value: key });
                fits = false;
            }
            Some((key, values)) => {
                found.insert(key, values);
            }
            None => fits = false,
        }
    }
    fits.then_some(found)
}

fn label_match(fields: &mut Fields, field: &str, label: &pb::AccountLabelMatch) -> Option<(String, BTreeSet<String>)> {
    let key = fields.required(format!("{field}.key"), &label.key, label_key);
    let field = format!("{field}.values");
    if label.values.is_empty() {
        fields.refuse(&field, Invalid::Missing);
    }
    let values = each(fields, &field, (&label.values, LABEL_VALUES_MAX), |fields, field, value| {
        fields.take(field, label_value(value))
    });
    Some((key?, values.filter(|values| !values.is_empty())?))
}

/// Writes a condition; none for an empty one.
pub(super) fn to_pb(condition: &Condition) -> Option<pb::Condition> {
    if condition.is_empty() {
        return None;
    }
    let labels = condition.account_labels.iter();
    Some(pb::Condition {
        source_networks: condition.source_networks.iter().map(ToString::to_string).collect(),
        weekly_windows: condition.weekly_windows.iter().map(window_to_pb).collect(),
        resource_attributes: condition.resource_attributes.iter().map(match_to_pb).collect(),
        account_labels: labels
            .map(|(key, values)| pb::AccountLabelMatch { key: key.clone(), values: values.iter().cloned().collect() })
            .collect(),
    })
}

fn window_to_pb(window: &WeeklyWindow) -> pb::WeeklyWindow {
    pb::WeeklyWindow {
        days: window.days().iter().map(|day| words::day_to_pb(*day).into()).collect(),
        start_minute: window.start_minute().into(),
        end_minute: window.end_minute().into(),
        time_zone: window.zone().as_str().to_owned(),
    }
}

fn match_to_pb(wanted: &AttributeMatch) -> pb::AttributeMatch {
    let demand = match wanted.demand() {
        Demand::AnyOf(values) => {
            let mut written: Vec<pb::AttributeValue> = values.iter().map(value_to_pb).collect();
            match (written.len(), written.pop()) {
                (1, Some(value)) => PbDemand::Equals(value),
                (_, last) => {
                    written.extend(last);
                    PbDemand::AnyOf(pb::AttributeValueList { values: written })
                }
            }
        }
        Demand::Prefix(prefix) => PbDemand::Prefix(prefix.clone()),
        Demand::Range(range) => PbDemand::Range(pb::IntRange { start: range.start(), end: range.end() }),
    };
    pb::AttributeMatch { attribute: wanted.attribute().to_owned(), demand: Some(demand) }
}

/// Writes a value.
pub fn value_to_pb(value: &AttributeValue) -> pb::AttributeValue {
    let kind = match value {
        AttributeValue::Text(text) => Kind::StringValue(text.clone()),
        AttributeValue::Int(number) => Kind::IntValue(*number),
        AttributeValue::Bool(truth) => Kind::BoolValue(*truth),
    };
    pb::AttributeValue { kind: Some(kind) }
}
