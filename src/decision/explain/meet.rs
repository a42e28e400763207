//! What a request, a label or the time would have to be for a condition to hold.

use std::collections::BTreeMap;

use super::change::Alteration;
use crate::decision::condition::{Conditions, Verdict};
use crate::decision::evaluate::Query;
use crate::decision::snapshot::Snapshot;
use crate::domain::condition::{AttributeMatch, Condition, Demand};
use crate::domain::context::AttributeValue;
use crate::domain::role::Effect;
use crate::domain::time::Timestamp;

const MICROS_PER_MINUTE: i64 = 60_000_000;
/// How far ahead a weekly window is looked for: any comes again within a week, but for clocks that are
/// put forward.
const MINUTES_AHEAD: i64 = 8 * 24 * 60;

/// Changes by which an ALLOW grant's condition would hold; `None` where nothing would do.
pub(super) fn meeting(snapshot: &Snapshot, query: &Query<'_>, condition: &Condition) -> Option<Vec<Alteration>> {
    let path = snapshot.path(query.account);
    let mut changes = Vec::new();
    for (key, values) in &condition.account_labels {
        if snapshot.label(&path, key).is_none_or(|own| !values.contains(own)) {
            let (key, value) = (key.clone(), values.first()?.clone());
            changes.push(Alteration::SetLabel { account: query.account, key, value });
        }
    }
    let networks = Condition { source_networks: condition.source_networks.clone(), ..Condition::default() };
    if !holds(snapshot, query, &networks, query.now) {
        changes.push(Alteration::ActFrom(networks.source_networks.first()?.net().network()));
    }
    let mut wanted: BTreeMap<&str, Vec<&AttributeMatch>> = BTreeMap::new();
    for one in &condition.resource_attributes {
        wanted.entry(one.attribute()).or_default().push(one);
    }
    for (name, demands) in wanted {
        let meets = |value: &AttributeValue| demands.iter().all(|demand| demand.is_met_by(value));
        if !query.context.attributes.get(name).is_some_and(meets) {
            let value = demands.iter().flat_map(|demand| candidates(demand)).find(meets)?;
            changes.push(Alteration::SayAttribute { name: name.to_owned(), value });
        }
    }
    let windows = Condition { weekly_windows: condition.weekly_windows.clone(), ..Condition::default() };
    if !holds(snapshot, query, &windows, query.now) {
        changes.push(Alteration::WaitUntil(opening(snapshot, query, &windows)?));
    }
    Some(changes)
}

fn holds(snapshot: &Snapshot, query: &Query<'_>, part: &Condition, now: Timestamp) -> bool {
    let prepared = Conditions::default().ready(part, Effect::Allow);
    prepared.verdict(snapshot, &snapshot.path(query.account), now, query.context) == Verdict::Holds
}

/// The next minute in which one of the windows is open.
fn opening(snapshot: &Snapshot, query: &Query<'_>, windows: &Condition) -> Option<Timestamp> {
    let prepared = Conditions::default().ready(windows, Effect::Allow);
    let path = snapshot.path(query.account);
    let minute = query.now.as_micros().div_euclid(MICROS_PER_MINUTE);
    (1..=MINUTES_AHEAD)
        .map(|ahead| Timestamp::from_micros(minute.saturating_add(ahead).saturating_mul(MICROS_PER_MINUTE)))
        .find(|time| prepared.verdict(snapshot, &path, *time, query.context) == Verdict::Holds)
}

/// Values that meet a demand by itself.
fn candidates(demand: &AttributeMatch) -> Vec<AttributeValue> {
    match demand.demand() {
        Demand::AnyOf(values) => values.iter().cloned().collect(),
        Demand::Prefix(prefix) => vec![AttributeValue::Text(prefix.clone())],
        Demand::Range(range) => {
            let last = range.end().map(|end| end.saturating_sub(1));
            range.start().or(last).map(AttributeValue::Int).into_iter().collect()
        }
    }
}
