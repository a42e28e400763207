//! Conditions, naively: every part is looked at by itself, networks bit by bit, windows by the date and
//! time that a calendar shows.

use std::net::IpAddr;

use jiff::civil::DateTime;
use peerage::domain::condition::{AttributeMatch, Condition, Demand, SOURCE_ADDRESS, WeeklyWindow};
use peerage::domain::context::AttributeValue;
use peerage::domain::fact::AccountFact;

use super::naive::Question;

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds<'a> {
    Yes,
    No,
    Lacks(&'a str),
}

/// A part that fails decides; otherwise the first thing that the request lacks, the address before the
/// attributes and those by name.
pub(crate) fn holds<'a>(condition: &'a Condition, path: &[&AccountFact], question: &Question) -> Holds<'a> {
    let mut parts = Vec::new();
    parts.push(if labels_hold(condition, path) { Holds::Yes } else { Holds::No });
    if !condition.weekly_windows.is_empty() {
        let is_open = condition.weekly_windows.iter().any(|window| is_open(window, question));
        parts.push(if is_open { Holds::Yes } else { Holds::No });
    }
    if !condition.source_networks.is_empty() {
        parts.push(match question.context.source_address {
            None => Holds::Lacks(SOURCE_ADDRESS),
            Some(address) => {
                let lies_in = |network: &String| is_in(address, network);
                let networks: Vec<String> = condition.source_networks.iter().map(ToString::to_string).collect();
                if networks.iter().any(lies_in) { Holds::Yes } else { Holds::No }
            }
        });
    }
    let mut wanted: Vec<&AttributeMatch> = condition.resource_attributes.iter().collect();
    wanted.sort_by_key(|wanted| wanted.attribute());
    for wanted in wanted {
        parts.push(match question.context.attributes.get(wanted.attribute()) {
            None => Holds::Lacks(wanted.attribute()),
            Some(value) if meets(value, wanted.demand()) => Holds::Yes,
            Some(_) => Holds::No,
        });
    }
    if parts.contains(&Holds::No) {
        return Holds::No;
    }
    parts.into_iter().find(|part| *part != Holds::Yes).unwrap_or(Holds::Yes)
}

/// What the labels say by themselves: all of a condition that no request can change.
pub(crate) fn labels_hold(condition: &Condition, path: &[&AccountFact]) -> bool {
    condition.account_labels.iter().all(|(key, values)| {
        let nearest = path.iter().find_map(|account| account.labels.get(key));
        nearest.is_some_and(|value| values.contains(value))
    })
}

fn meets(value: &AttributeValue, demand: &Demand) -> bool {
    match (demand, value) {
        (Demand::AnyOf(values), value) => values.iter().any(|wanted| wanted == value),
        (Demand::Prefix(prefix), AttributeValue::Text(text)) => text.get(..prefix.len()) == Some(prefix),
        (Demand::Range(range), AttributeValue::Int(number)) => {
            *number >= range.start().unwrap_or(i64::MIN) && range.end().is_none_or(|end| *number < end)
        }
        _ => false,
    }
}

/// Today's window, or yesterday's that goes on.
fn is_open(window: &WeeklyWindow, question: &Question) -> bool {
    let zone = window.zone().rules().expect("the worlds name known zones");
    let instant = jiff::Timestamp::from_microsecond(question.now.as_micros()).unwrap();
    let local: DateTime = zone.to_datetime(instant);
    let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap();
    let (start, end) = (window.start_minute(), window.end_minute());
    let begins_on = |date: jiff::civil::Date| {
        let day = i8::try_from(
            window.days().iter().filter(|day| date.weekday().to_monday_zero_offset() == **day as i8).count(),
        );
        day.unwrap() == 1
    };
    let today = local.date();
    if end > start {
        begins_on(today) && start <= minute && minute < end
    } else {
        (begins_on(today) && start <= minute) || (begins_on(today.yesterday().unwrap()) && minute < end)
    }
}

/// Whether the first bits of the address are those of the network.
fn is_in(address: IpAddr, network: &str) -> bool {
    let (first, length) = network.split_once('/').unwrap();
    let (address, first) = (bits(address), bits(first.parse().unwrap()));
    let length: usize = length.parse().unwrap();
    address.len() == first.len() && address[..length] == first[..length]
}

fn bits(address: IpAddr) -> Vec<bool> {
    let octets: Vec<u8> = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => match address.octets() {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, rest @ ..] => rest.to_vec(),
            octets => octets.to_vec(),
        },
    };
    octets.into_iter().flat_map(|octet| (0..8).rev().map(move |place| octet >> place & 1 == 1)).collect()
}
