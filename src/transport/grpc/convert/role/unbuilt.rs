//! Parts of conditions that this release cannot honor: source networks, weekly windows, attributes.
//!
//! Each is refused by name, never stored and ignored. Their bounds are held all the same, so that the
//! same request is not wrong in another way tomorrow.

use crate::domain::invalid::Invalid;
use crate::transport::grpc::convert::Fields;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::attribute_match::Demand;
use crate::transport::grpc::pb::attribute_value::Kind;

/// Bounds, from the contract.
const NETWORKS_MAX: usize = 64;
const WINDOWS_MAX: usize = 32;
const DAYS_MAX: usize = 7;
const TIME_ZONE_MAX: usize = 64;
const ATTRIBUTES_MAX: usize = 32;
const ATTRIBUTE_MAX: usize = 63;
const VALUES_MAX: usize = 64;
const VALUE_MAX: usize = 1024;

/// Refuses what is set of a condition and not built yet.
pub(super) fn refuse(fields: &mut Fields, field: &str, condition: &pb::Condition) {
    let networks = format!("{field}.source_networks");
    fields.unsupported(&networks, !condition.source_networks.is_empty());
    fields.at_most(networks, &condition.source_networks, NETWORKS_MAX);

    let windows = format!("{field}.weekly_windows");
    fields.unsupported(&windows, !condition.weekly_windows.is_empty());
    fields.at_most(&windows, &condition.weekly_windows, WINDOWS_MAX);
    for (place, window) in condition.weekly_windows.iter().enumerate().take(WINDOWS_MAX) {
        fields.at_most(format!("{windows}[{place}].days"), &window.days, DAYS_MAX);
        text(fields, format!("{windows}[{place}].time_zone"), &window.time_zone, TIME_ZONE_MAX);
    }

    let attributes = format!("{field}.resource_attributes");
    fields.unsupported(&attributes, !condition.resource_attributes.is_empty());
    fields.at_most(&attributes, &condition.resource_attributes, ATTRIBUTES_MAX);
    for (place, attribute) in condition.resource_attributes.iter().enumerate().take(ATTRIBUTES_MAX) {
        attribute_match(fields, &format!("{attributes}[{place}]"), attribute);
    }
}

fn attribute_match(fields: &mut Fields, field: &str, attribute: &pb::AttributeMatch) {
    text(fields, format!("{field}.attribute"), &attribute.attribute, ATTRIBUTE_MAX);
    match &attribute.demand {
        Some(Demand::Equals(value)) => attribute_value(fields, &format!("{field}.equals"), value),
        Some(Demand::AnyOf(list)) => {
            let field = format!("{field}.any_of.values");
            fields.at_most(&field, &list.values, VALUES_MAX);
            for (place, value) in list.values.iter().enumerate().take(VALUES_MAX) {
                attribute_value(fields, &format!("{field}[{place}]"), value);
            }
        }
        Some(Demand::Prefix(prefix)) => text(fields, format!("{field}.prefix"), prefix, VALUE_MAX),
        Some(Demand::Range(_)) | None => {}
    }
}

fn attribute_value(fields: &mut Fields, field: &str, value: &pb::AttributeValue) {
    match &value.kind {
        Some(Kind::StringValue(value)) => text(fields, format!("{field}.string_value"), value, VALUE_MAX),
        Some(Kind::IntValue(_) | Kind::BoolValue(_)) | None => {}
    }
}

fn text(fields: &mut Fields, field: String, text: &str, max: usize) {
    if text.chars().count() > max {
        fields.refuse(field, Invalid::TooLong { max });
    }
}
