//! Conditions of grants, written as in the role packs.
//!
//! What can be known without the server is checked here, by the same rules; what is wrong is named by
//! its line.

use super::problems::{Fields, Problems, read};
use super::yaml::{Node, Value};
use crate::cli::words::Word;
use crate::domain::account::{label_key, label_value};
use crate::domain::condition::{
    ATTRIBUTES_MAX, DAYS_MAX, IntRange, LABEL_VALUES_MAX, LABELS_MAX, NETWORKS_MAX, Network, VALUES_MAX, WINDOWS_MAX,
    WeeklyWindow, Zone, attribute_name,
};
use crate::domain::context::ATTRIBUTE_TEXT_MAX;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::attribute_match::Demand;
use crate::transport::grpc::pb::attribute_value::Kind;

/// Reads a condition.
pub(super) fn condition(node: &Node, problems: &mut Problems) -> Option<pb::Condition> {
    let known = ["source_networks", "weekly_windows", "resource_attributes", "account_labels"];
    let mut fields = Fields::open(node, &known, problems)?;
    let networks = fields.list("source_networks", |text| Network::parse(text).map(|network| network.to_string()));
    let networks: Vec<String> = networks.unwrap_or_default().into_iter().map(|at| at.value).collect();
    let windows = fields.node("weekly_windows");
    let attributes = fields.node("resource_attributes");
    let labels = fields.node("account_labels");
    let problems = fields.problems();
    at_most(node.line, "source_networks", networks.len(), NETWORKS_MAX, problems);
    Some(pb::Condition {
        source_networks: networks,
        weekly_windows: each(windows, ("weekly_windows", WINDOWS_MAX), window, problems),
        resource_attributes: each(attributes, ("resource_attributes", ATTRIBUTES_MAX), attribute_match, problems),
        account_labels: labels.map(|labels| self::labels(labels, problems)).unwrap_or_default(),
    })
}

fn at_most(line: u64, key: &str, count: usize, max: usize, problems: &mut Problems) {
    if count > max {
        problems.add(line, format!("`{key}` has more than {max} items"));
    }
}

fn each<T>(
    node: Option<&Node>,
    (key, max): (&str, usize),
    read: impl Fn(&Node, &mut Problems) -> Option<T>,
    problems: &mut Problems,
) -> Vec<T> {
    let Some(node) = node else { return Vec::new() };
    let Value::List(items) = &node.value else {
        problems.add(node.line, format!("`{key}` must be a list"));
        return Vec::new();
    };
    at_most(node.line, key, items.len(), max, problems);
    items.iter().filter_map(|item| read(item, problems)).collect()
}

fn window(node: &Node, problems: &mut Problems) -> Option<pb::WeeklyWindow> {
    let mut fields = Fields::open(node, &["days", "start_minute", "end_minute", "time_zone"], problems)?;
    let day = |text: &str| pb::DayOfWeek::parse(text).ok_or("must be a day such as `MONDAY`");
    let mut days: Vec<i32> = Vec::new();
    for at in fields.list("days", day).unwrap_or_default() {
        if days.contains(&at.value.into()) {
            fields.problem(at.line, format!("`days` contains `{}` more than once", at.value.word()));
        } else {
            days.push(at.value.into());
        }
    }
    if fields.node("days").is_none() || days.len() > DAYS_MAX {
        fields.problem(node.line, "needs `days`, a list such as `[MONDAY, FRIDAY]`");
    }
    let minute = |read: fn(i64) -> Result<u16, crate::domain::invalid::Invalid>| {
        move |text: &str| match text.parse::<i64>() {
            Ok(minute) => read(minute).map(i32::from).map_err(|why| why.to_string()),
            Err(_) => Err("must be a number of minutes since midnight".to_owned()),
        }
    };
    let start = fields.get("start_minute", minute(WeeklyWindow::start_minute_of));
    let end = fields.get("end_minute", minute(WeeklyWindow::end_minute_of));
    let zone = fields.get("time_zone", |text| Zone::parse(text).map(|zone| zone.as_str().to_owned()));
    let (start_minute, end_minute, time_zone) = (start?.value, end?.value, zone?.value);
    Some(pb::WeeklyWindow { days, start_minute, end_minute, time_zone })
}

fn attribute_match(node: &Node, problems: &mut Problems) -> Option<pb::AttributeMatch> {
    let mut fields = Fields::open(node, &["attribute", "equals", "any_of", "prefix", "range"], problems)?;
    let attribute = fields.get("attribute", attribute_name);
    let given = ["equals", "any_of", "prefix", "range"].iter().filter(|key| fields.node(key).is_some()).count();
    if given != 1 {
        fields.problem(node.line, "needs exactly one of `equals`, `any_of`, `prefix` and `range`");
        return None;
    }
    let prefix = fields.find("prefix", |text| match text.chars().count() {
        1..=ATTRIBUTE_TEXT_MAX => Ok(text.to_owned()),
        _ => Err(format!("must have 1 to {ATTRIBUTE_TEXT_MAX} characters")),
    });
    let (equals, any_of, range) = (fields.node("equals"), fields.node("any_of"), fields.node("range"));
    let problems = fields.problems();
    let demand = match (equals, any_of, range) {
        (Some(node), ..) => Demand::Equals(value(node, problems)?),
        (_, Some(node), _) => {
            let values = each(Some(node), ("any_of", VALUES_MAX), value, problems);
            if values.is_empty() {
                problems.add(node.line, "`any_of` needs at least one value");
            }
            Demand::AnyOf(pb::AttributeValueList { values })
        }
        (.., Some(node)) => Demand::Range(self::range(node, problems)?),
        (None, None, None) => Demand::Prefix(prefix?.value),
    };
    Some(pb::AttributeMatch { attribute: attribute?.value, demand: Some(demand) })
}

/// A value of an attribute. Its type is that of YAML: `5` is a number, `"5"` a text.
pub(crate) fn value(node: &Node, problems: &mut Problems) -> Option<pb::AttributeValue> {
    let kind = match &node.value {
        Value::Text(text) if !node.is_typed => {
            (text.chars().count() <= ATTRIBUTE_TEXT_MAX).then(|| Kind::StringValue(text.clone()))
        }
        Value::Text(text) if text == "true" || text == "false" => Some(Kind::BoolValue(text == "true")),
        Value::Text(text) => text.parse().ok().map(Kind::IntValue),
        Value::Empty | Value::List(_) | Value::Map(_) => None,
    };
    if kind.is_none() {
        problems.add(node.line, "the value of an attribute is a whole number, `true`, `false` or a text; one that looks otherwise, such as `yes`, stands in quotation marks");
    }
    kind.map(|kind| pb::AttributeValue { kind: Some(kind) })
}

fn range(node: &Node, problems: &mut Problems) -> Option<pb::IntRange> {
    let mut fields = Fields::open(node, &["start", "end"], problems)?;
    let number = |text: &str| text.parse::<i64>().map_err(|_| "must be a whole number");
    let (start, end) = (fields.find("start", number), fields.find("end", number));
    let (start, end) = (start.map(|at| at.value), end.map(|at| at.value));
    if IntRange::new(start, end).is_err() {
        fields.problem(node.line, "`range` needs `start`, `end` or both, and the end behind the start");
    }
    Some(pb::IntRange { start, end })
}

fn labels(node: &Node, problems: &mut Problems) -> Vec<pb::AccountLabelMatch> {
    let Value::Map(entries) = &node.value else {
        problems.add(node.line, "`account_labels` must be a map such as `{ env: [test] }`");
        return Vec::new();
    };
    at_most(node.line, "account_labels", entries.len(), LABELS_MAX, problems);
    let mut labels = Vec::new();
    for (key, values) in entries {
        let key = read("account_labels", key, label_key, problems);
        let Value::List(items) = &values.value else {
            problems.add(values.line, "the values of a label must be a list such as `[test]`");
            continue;
        };
        at_most(values.line, "account_labels", items.len(), LABEL_VALUES_MAX, problems);
        let values = items.iter().filter_map(|item| read("account_labels", item, label_value, problems));
        let values = values.map(|at| at.value).collect();
        labels.extend(key.map(|key| pb::AccountLabelMatch { key: key.value, values }));
    }
    labels
}

/// Puts a condition into the form in which two that say the same are equal.
pub(super) fn normalize(condition: &mut pb::Condition) {
    sort(&mut condition.source_networks);
    for window in &mut condition.weekly_windows {
        sort(&mut window.days);
    }
    sort_messages(&mut condition.weekly_windows);
    for wanted in &mut condition.resource_attributes {
        if let Some(Demand::AnyOf(list)) = &mut wanted.demand {
            sort_messages(&mut list.values);
            if let [only] = list.values.as_slice() {
                wanted.demand = Some(Demand::Equals(only.clone()));
            }
        }
    }
    sort_messages(&mut condition.resource_attributes);
    for label in &mut condition.account_labels {
        sort(&mut label.values);
    }
    sort_messages(&mut condition.account_labels);
}

fn sort<T: Ord>(items: &mut Vec<T>) {
    items.sort_unstable();
    items.dedup();
}

fn sort_messages<M: prost::Message + PartialEq>(items: &mut Vec<M>) {
    items.sort_by_cached_key(prost::Message::encode_to_vec);
    items.dedup();
}

#[cfg(test)]
mod tests {
    use super::super::grants::{normal, parse_file};
    use super::*;

    #[test]
    fn conditions_are_read_as_in_the_packs() {
        let grants = parse_file(
            "- allow: devices.view\n  when:\n    source_networks: ['10.0.0.0/8', '2001:DB8::/32']\n\
             \x20   weekly_windows: [{ days: [MONDAY, friday], start_minute: 540, end_minute: 1020, time_zone: europe/vienna }]\n\
             \x20   resource_attributes:\n      - { attribute: tier, any_of: [gold, 'true', '7', 7, true] }\n\
             \x20     - { attribute: size, range: { start: -5 } }\n      - { attribute: name, prefix: srv- }\n\
             \x20     - { attribute: critical, equals: false }\n",
        )
        .unwrap();
        let condition = grants[0].condition.as_ref().unwrap();
        assert_eq!(condition.source_networks, ["10.0.0.0/8", "2001:db8::/32"]);
        let window = &condition.weekly_windows[0];
        assert_eq!((window.days.as_slice(), window.start_minute, window.end_minute), ([1, 5].as_slice(), 540, 1020));
        assert_eq!(window.time_zone, "Europe/Vienna");
        let kinds = |demand: &Demand| match demand {
            Demand::AnyOf(list) => list.values.iter().filter_map(|value| value.kind.clone()).collect(),
            Demand::Equals(value) => value.kind.iter().cloned().collect(),
            Demand::Prefix(_) | Demand::Range(_) => Vec::new(),
        };
        let demands: Vec<&Demand> =
            condition.resource_attributes.iter().filter_map(|wanted| wanted.demand.as_ref()).collect();
        let text = |text: &str| Kind::StringValue(text.to_owned());
        assert_eq!(
            kinds(demands[0]),
            [text("gold"), text("true"), text("7"), Kind::IntValue(7), Kind::BoolValue(true)]
        );
        assert_eq!(demands[1], &Demand::Range(pb::IntRange { start: Some(-5), end: None }));
        assert_eq!(demands[2], &Demand::Prefix("srv-".to_owned()));
        assert_eq!(kinds(demands[3]), [Kind::BoolValue(false)]);
    }

    #[test]
    fn the_order_of_what_has_none_makes_no_difference() {
        let read = |text: &str| normal(&parse_file(text).unwrap());
        let one = "- { allow: a.b, when: { source_networks: [10.0.0.0/8, 192.0.2.0/24], \
                   resource_attributes: [{ attribute: a, any_of: [x, z] }, { attribute: b, equals: 1 }], \
                   weekly_windows: [{ days: [MONDAY, FRIDAY], start_minute: 0, end_minute: 1, time_zone: UTC }], \
                   account_labels: { env: [a, b], tier: [c] } } }";
        let other = "- { allow: a.b, when: { account_labels: { tier: [c], env: [b, a, b] }, \
                     weekly_windows: [{ days: [FRIDAY, MONDAY], start_minute: 0, end_minute: 1, time_zone: utc }], \
                     resource_attributes: [{ attribute: b, any_of: [1] }, { attribute: a, any_of: [z, x, x] }], \
                     source_networks: [192.0.2.0/24, 10.0.0.0/8, 192.0.2.0/24] } }";
        assert_eq!(read(one), read(other));
    }

    #[test]
    fn every_bad_condition_is_named() {
        let problems = parse_file(
            "- { allow: a.b, when: { source_networks: [10.0.0.1/8] } }\n\
             - { allow: a.b, when: { weekly_windows: [{ days: [], start_minute: 0, end_minute: 0, time_zone: UTC }] } }\n\
             - { allow: a.b, when: { weekly_windows: [{ days: [SOMEDAY], start_minute: 0, end_minute: 1, time_zone: X }] } }\n\
             - { allow: a.b, when: { resource_attributes: [{ attribute: a }] } }\n\
             - { allow: a.b, when: { resource_attributes: [{ attribute: a, equals: 1, prefix: x }] } }\n\
             - { allow: a.b, when: { resource_attributes: [{ attribute: a, equals: 1.5 }] } }\n\
             - { allow: a.b, when: { resource_attributes: [{ attribute: '@a', range: { start: 2, end: 2 } }] } }\n\
             - { allow: a.b, when: { resource_attributes: [{ attribute: a, any_of: [] }] } }\n\
             - { allow: a.b, when: { at_night: true } }\n",
        )
        .unwrap_err();
        let shown = problems.show("g");
        for line in 1..=9 {
            assert!(shown.contains(&format!("g:{line}: ")), "{line}: {shown}");
        }
    }
}
