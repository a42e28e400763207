//! What became of the parts of a condition, as messages and for people.

use crate::decision::condition::{Clock, Found, Part, PartFate, Verdict};
use crate::transport::grpc::convert::role::{condition, words};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::attribute_match::Demand;
use crate::transport::grpc::pb::attribute_value::Kind;
use crate::transport::grpc::pb::condition_trace::Found as PbFound;

/// The most parts of one condition, the most values of one list and the longest text of a value that
/// people are shown; the message has them all.
const PARTS_MAX: usize = 6;
const VALUES_MAX: usize = 6;
const TEXT_MAX: usize = 40;

/// Writes what became of one part.
pub(super) fn to_pb(fate: &PartFate) -> pb::ConditionTrace {
    let (part, index) = match fate.part {
        Part::SourceNetworks => (pb::ConditionPart::SourceNetworks, 0),
        Part::WeeklyWindows => (pb::ConditionPart::WeeklyWindows, 0),
        Part::Attribute(place) => (pb::ConditionPart::ResourceAttribute, place),
        Part::Label(place) => (pb::ConditionPart::AccountLabel, place),
    };
    let outcome = match fate.verdict {
        Verdict::Holds => pb::ConditionOutcome::Holds,
        Verdict::Fails => pb::ConditionOutcome::Fails,
        Verdict::Lacks(_) => pb::ConditionOutcome::Missing,
    };
    let (found, clocks) = match &fate.found {
        Found::Nothing | Found::Hidden => (None, &[][..]),
        Found::Address(address) => (Some(PbFound::SourceAddress(address.to_string())), &[][..]),
        Found::Attribute(value) => (Some(PbFound::AttributeValue(condition::value_to_pb(value))), &[][..]),
        Found::Label(value) => (Some(PbFound::LabelValue(value.clone())), &[][..]),
        Found::Clocks(clocks) => (None, clocks.as_slice()),
    };
    pb::ConditionTrace {
        part: part.into(),
        index: index.into(),
        outcome: outcome.into(),
        found,
        local_times: clocks.iter().map(clock).collect(),
        redacted: fate.found == Found::Hidden,
    }
}

fn clock(clock: &Clock) -> pb::LocalTime {
    pb::LocalTime {
        time_zone: clock.zone.clone(),
        day: words::day_to_pb(clock.day).into(),
        minute: clock.minute.into(),
    }
}

/// A line for each part that does not hold: what was there, and what is wanted.
pub(super) fn lines(trace: &pb::GrantTrace) -> Vec<String> {
    let Some(condition) = &trace.condition else { return Vec::new() };
    let mut lines: Vec<String> = trace.condition_parts.iter().filter_map(|part| line(condition, part)).collect();
    let more = lines.len().saturating_sub(PARTS_MAX);
    lines.truncate(PARTS_MAX);
    if more > 0 {
        lines.push(format!("and {more} more parts of its condition that do not hold"));
    }
    lines
}

fn line(condition: &pb::Condition, trace: &pb::ConditionTrace) -> Option<String> {
    let place = usize::try_from(trace.index).ok()?;
    let is_missing = match trace.outcome() {
        pb::ConditionOutcome::Unspecified | pb::ConditionOutcome::Holds => return None,
        pb::ConditionOutcome::Fails => false,
        pb::ConditionOutcome::Missing => true,
    };
    Some(match (trace.part(), &trace.found) {
        (pb::ConditionPart::Unspecified, _) => return None,
        (pb::ConditionPart::SourceNetworks, found) => {
            let networks = list(condition.source_networks.iter().cloned());
            match found {
                Some(PbFound::SourceAddress(address)) => format!("the source address {address} is not in {networks}"),
                _ => format!("the request does not say from which address, which is to be in {networks}"),
            }
        }
        (pb::ConditionPart::WeeklyWindows, _) => {
            let clocks = list(trace.local_times.iter().map(shown_clock));
            format!("the time {clocks} is not in {}", list(condition.weekly_windows.iter().map(shown_window)))
        }
        (pb::ConditionPart::ResourceAttribute, found) => {
            let wanted = condition.resource_attributes.get(place)?;
            let (name, demand) = (&wanted.attribute, shown_demand(wanted.demand.as_ref()?));
            match found {
                Some(PbFound::AttributeValue(value)) if !is_missing => {
                    format!("the attribute `{name}` is {}, and is to {demand}", shown_value(value))
                }
                _ => format!("the request lacks the attribute `{name}`, which is to {demand}"),
            }
        }
        (pb::ConditionPart::AccountLabel, found) => {
            let wanted = condition.account_labels.get(place)?;
            let (key, values) = (&wanted.key, list(wanted.values.iter().map(|value| format!("{value:?}"))));
            match found {
                Some(PbFound::LabelValue(value)) => {
                    format!("the account's label `{key}` is {value:?}, and is to be {values}")
                }
                _ if trace.redacted => format!("the account's label `{key}` is not {values}"),
                _ => format!("the account has no label `{key}`, which is to be {values}"),
            }
        }
    })
}

fn shown_demand(demand: &Demand) -> String {
    match demand {
        Demand::Equals(value) => format!("be {}", shown_value(value)),
        Demand::AnyOf(values) => format!("be {}", list(values.values.iter().map(shown_value))),
        Demand::Prefix(prefix) => format!("begin with {}", quoted(prefix)),
        Demand::Range(range) => match (range.start, range.end) {
            (Some(start), Some(end)) => format!("be a number from {start} to before {end}"),
            (Some(start), None) => format!("be a number from {start}"),
            (None, Some(end)) => format!("be a number before {end}"),
            (None, None) => "be a number".to_owned(),
        },
    }
}

fn shown_value(value: &pb::AttributeValue) -> String {
    match &value.kind {
        Some(Kind::StringValue(text)) => quoted(text),
        Some(Kind::IntValue(number)) => number.to_string(),
        Some(Kind::BoolValue(truth)) => truth.to_string(),
        None => String::new(),
    }
}

/// A text as it would be written in a program, so that it neither ends a line nor looks like a number.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(TEXT_MAX).collect();
    let rest = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{rest}")
}

fn shown_window(window: &pb::WeeklyWindow) -> String {
    let days = window.days().map(day_name).collect::<Vec<_>>().join("/");
    let (start, end) = (hour(window.start_minute), hour(window.end_minute));
    format!("{days} {start}-{end} {}", window.time_zone)
}

fn shown_clock(time: &pb::LocalTime) -> String {
    format!("{} {} {}", day_name(time.day()), hour(time.minute), time.time_zone)
}

fn day_name(day: pb::DayOfWeek) -> &'static str {
    let name = day.as_str_name();
    name.strip_prefix("DAY_OF_WEEK_").unwrap_or(name)
}

fn hour(minute: i32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Names, of which one will do.
fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    let more = names.len().saturating_sub(VALUES_MAX);
    names.truncate(VALUES_MAX);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(" or ")
}
