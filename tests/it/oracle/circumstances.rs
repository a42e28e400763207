//! Random conditions, and requests that meet them, miss them, lack what they ask for or say it in
//! another type.

use std::collections::{BTreeMap, BTreeSet};

use peerage::domain::condition::{AttributeMatch, Condition, Day, Demand, IntRange, Network, WeeklyWindow, Zone};
use peerage::domain::context::{AttributeValue, Context};

use super::world::{LABELS, Maker};

const NETWORKS: [&str; 9] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/23",
    "192.0.2.0/24",
    "192.0.2.7/32",
    "0.0.0.0/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "::/0",
];
const ADDRESSES: [&str; 9] = [
    "10.1.2.3",
    "10.1.4.0",
    "10.9.9.9",
    "192.0.2.7",
    "198.51.100.1",
    "::ffff:10.1.3.255",
    "2001:db8:1::5",
    "2001:db8:2::5",
    "fe80::1",
];
const ZONES: [&str; 5] = ["Etc/UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"];
const DAYS: [Day; 7] =
    [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday, Day::Saturday, Day::Sunday];
const ATTRIBUTES: [&str; 3] = ["critical", "size", "tier"];
const TEXTS: [&str; 4] = ["gold", "gold-plus", "iron", "7"];
const NUMBERS: [i64; 6] = [i64::MIN, -1, 0, 7, 8, i64::MAX];

/// A condition, empty more often than not.
pub(super) fn condition(maker: &mut Maker) -> Condition {
    let mut condition = Condition::default();
    for (key, values) in LABELS {
        if maker.random.chance(12) {
            let few = (0..maker.between(1, 2)).map(|_| maker.pick(&values).to_owned()).collect();
            condition.account_labels.insert(key.to_owned(), few);
        }
    }
    if maker.random.chance(10) {
        let few = (0..maker.between(1, 3)).map(|_| Network::parse(maker.pick(&NETWORKS)).unwrap()).collect();
        condition.source_networks = few;
    }
    if maker.random.chance(10) {
        condition.weekly_windows = (0..maker.between(1, 3)).map(|_| window(maker)).collect();
    }
    if maker.random.chance(12) {
        condition.resource_attributes = (0..maker.between(1, 2)).map(|_| wanted(maker)).collect();
    }
    condition
}

/// A window that often begins or ends at this very minute.
fn window(maker: &mut Maker) -> WeeklyWindow {
    let zone = Zone::parse(maker.pick(&ZONES)).unwrap();
    let instant = jiff::Timestamp::from_microsecond(maker.now.as_micros()).unwrap();
    let local = zone.rules().unwrap().to_datetime(instant);
    let minute = usize::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap();
    let edge = |maker: &mut Maker| match maker.random.chance(60) {
        true => (minute + maker.pick(&[1439, 0, 1])) % 1440,
        false => maker.random.below(1440),
    };
    let (start, end) = (edge(maker), edge(maker));
    let days: BTreeSet<Day> = (0..maker.between(1, 5)).map(|_| maker.pick(&DAYS)).collect();
    let end = if end == 0 { 1440 } else { end };
    WeeklyWindow::new(days, u16::try_from(start).unwrap(), u16::try_from(end).unwrap(), zone).unwrap()
}

fn wanted(maker: &mut Maker) -> AttributeMatch {
    let demand = match maker.random.below(4) {
        0 => Demand::Prefix(maker.pick(&["g", "gold", "gold-"]).to_owned()),
        1 => loop {
            let mut bound = || maker.random.chance(60).then(|| *maker.random.pick(&NUMBERS).unwrap());
            if let Ok(range) = IntRange::new(bound(), bound()) {
                break Demand::Range(range);
            }
        },
        _ => Demand::AnyOf((0..maker.between(1, 3)).map(|_| value(maker)).collect()),
    };
    AttributeMatch::new(maker.pick(&ATTRIBUTES), demand).unwrap()
}

fn value(maker: &mut Maker) -> AttributeValue {
    match maker.random.below(5) {
        0..2 => AttributeValue::Text(maker.pick(&TEXTS).to_owned()),
        2..4 => AttributeValue::Int(maker.pick(&NUMBERS)),
        _ => AttributeValue::Bool(maker.random.chance(50)),
    }
}

/// What a request says of itself.
pub(super) fn context(maker: &mut Maker) -> Context {
    let mut attributes = BTreeMap::new();
    for name in ATTRIBUTES {
        if maker.random.chance(65) {
            attributes.insert(name.to_owned(), value(maker));
        }
    }
    let source_address = maker.random.chance(70).then(|| maker.pick(&ADDRESSES).parse().unwrap());
    Context { attributes, source_address }
}
