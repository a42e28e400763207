//! Whether a condition holds for a request, with all that can be prepared done before.
//!
//! Networks become sorted ranges of addresses and zones their rules when a role is compiled; what is
//! left to a decision is comparing. No allocation, lock or I/O in [`Prepared::verdict`].
//!
//! INVARIANT: a condition is the conjunction of its parts, over three values. One part that fails
//! decides, whatever else is unknown; otherwise what the request lacks makes the whole unknown.

mod parts;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use ipnet::IpNet;
use jiff::tz::TimeZone;

use super::snapshot::{Path, Snapshot};
use crate::domain::condition::{Condition, MINUTES_PER_WEEK, SOURCE_ADDRESS, WeeklyWindow, Zone};
use crate::domain::context::Context;
use crate::domain::role::Effect;
use crate::domain::time::Timestamp;

pub use parts::{Clock, Found, Part, PartFate};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_MINUTE: i64 = 60;
/// So many conditions are kept before any is looked at again.
const ROOM_MIN: usize = 1_024;
/// The epoch was a Thursday, three days after a Monday.
const EPOCH_MINUTE: i64 = 3 * 24 * 60;

/// What a request lacks, as a part of one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missing {
    SourceAddress,
    /// The place of the demand among the condition's.
    Attribute(u16),
}

impl Missing {
    /// What a condition calls that which is missing.
    #[must_use]
    pub fn name(self, condition: &Condition) -> &str {
        match self {
            Self::SourceAddress => SOURCE_ADDRESS,
            Self::Attribute(place) => {
                let wanted = condition.resource_attributes.iter().nth(usize::from(place));
                wanted.map(|wanted| wanted.attribute()).unwrap_or_default()
            }
        }
    }
}

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    Fails,
    /// It would depend on what the request does not say.
    Lacks(Missing),
}

/// A condition, ready to be asked.
#[derive(Debug, Clone)]
pub struct Prepared {
    condition: Condition,
    networks: Networks,
    windows: Vec<Windows>,
    /// It says what becomes of a window whose zone this release does not know: an ALLOW grant does not
    /// match, a DENY grant does.
    effect: Effect,
}

/// Ranges of addresses, both ends included, in order and without overlap.
#[derive(Debug, Clone, Default)]
struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// The open spans of the week in one zone.
#[derive(Debug, Clone)]
struct Windows {
    zone: Option<TimeZone>,
    spans: Vec<(u16, u16)>,
}

/// Conditions that are ready, each once however many of the roles that are compiled with it state it, so
/// that one that is asked often is near at hand for all.
#[derive(Debug, Default)]
pub struct Conditions {
    zones: HashMap<Zone, Option<TimeZone>>,
    /// By the hash of effect and condition. They live as long as a role states them.
    ready: HashMap<u64, Weak<Prepared>>,
    state: RandomState,
    /// How many there may be before those that are gone are dropped.
    room: usize,
}

impl Conditions {
    /// A condition of grants with this effect.
    pub fn ready(&mut self, condition: &Condition, effect: Effect) -> Arc<Prepared> {
        let hash = self.state.hash_one((effect, condition));
        let there = self.ready.get(&hash).and_then(Weak::upgrade);
        if let Some(same) = there.filter(|there| there.effect == effect && there.condition == *condition) {
            return same;
        }
        if self.ready.len() >= self.room {
            self.ready.retain(|_, ready| ready.strong_count() > 0);
            self.room = (self.ready.len() * 2).max(ROOM_MIN);
        }
        let ready = Arc::new(Prepared::new(condition, effect, self));
        self.ready.insert(hash, Arc::downgrade(&ready));
        ready
    }

    fn rules(&mut self, zone: &Zone) -> Option<TimeZone> {
        match self.zones.entry(zone.clone()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(entry) => entry.insert(zone.rules()).clone(),
        }
    }
}

impl Prepared {
    fn new(condition: &Condition, effect: Effect, conditions: &mut Conditions) -> Self {
        let mut networks = Networks::default();
        for network in &condition.source_networks {
            match network.net() {
                IpNet::V4(net) => networks.v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => networks.v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        merge(&mut networks.v4);
        merge(&mut networks.v6);
        let mut windows: Vec<(&Zone, Vec<(u16, u16)>)> = Vec::new();
        for window in &condition.weekly_windows {
            match windows.iter_mut().find(|(zone, _)| *zone == window.zone()) {
                Some((_, spans)) => spans.extend(window.spans()),
                None => windows.push((window.zone(), WeeklyWindow::spans(window).collect())),
            }
        }
        let windows =
            windows.into_iter().map(|(zone, spans)| Windows { zone: conditions.rules(zone), spans }).collect();
        Self { condition: condition.clone(), networks, windows, effect }
    }

    /// The condition as it was written.
    #[must_use]
    pub const fn condition(&self) -> &Condition {
        &self.condition
    }

    /// What the condition comes to at the account that the path begins with.
    #[must_use]
    pub fn verdict(&self, snapshot: &Snapshot, path: &Path, now: Timestamp, context: &Context) -> Verdict {
        if !snapshot.labels_hold(path, &self.condition) || !self.is_open(now) {
            return Verdict::Fails;
        }
        let mut lacks = None;
        if !self.networks.is_empty() {
            match context.source_address {
                None => lacks = Some(Missing::SourceAddress),
                Some(address) if self.networks.contain(address) => {}
                Some(_) => return Verdict::Fails,
            }
        }
        for (place, wanted) in (0..).zip(&self.condition.resource_attributes) {
            match context.attributes.get(wanted.attribute()) {
                None => lacks = lacks.or(Some(Missing::Attribute(place))),
                Some(value) if wanted.is_met_by(value) => {}
                Some(_) => return Verdict::Fails,
            }
        }
        lacks.map_or(Verdict::Holds, Verdict::Lacks)
    }

    fn is_open(&self, now: Timestamp) -> bool {
        let of_unknown = self.effect == Effect::Deny;
        self.windows.is_empty() || self.windows.iter().any(|windows| windows.are_open(now).unwrap_or(of_unknown))
    }
}

impl Windows {
    /// Whether a clock on the wall shows a time within a span; `None` where that cannot be said.
    fn are_open(&self, now: Timestamp) -> Option<bool> {
        let minute = self.minute(now)?;
        Some(self.spans.iter().any(|(start, end)| i64::from(*start) <= minute && minute < i64::from(*end)))
    }

    /// The minute of the week that such a clock shows.
    fn minute(&self, now: Timestamp) -> Option<i64> {
        let instant = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?;
        let offset = self.zone.as_ref()?.to_offset(instant).seconds();
        let local = now.as_micros().div_euclid(MICROS_PER_SECOND).saturating_add(offset.into());
        Some((local.div_euclid(SECONDS_PER_MINUTE) + EPOCH_MINUTE).rem_euclid(MINUTES_PER_WEEK.into()))
    }
}

impl Networks {
    const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// An IPv6 address that maps an IPv4 one is that.
    fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => lies_in(&self.v4, address.to_bits()),
            IpAddr::V6(address) => lies_in(&self.v6, address.to_bits()),
        }
    }
}

fn lies_in<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    let candidate = behind.checked_sub(1).and_then(|place| ranges.get(place));
    candidate.is_some_and(|(_, last)| address <= *last)
}

/// Puts ranges in order and drops those that lie within another: networks never overlap otherwise.
fn merge<T: Ord + Copy>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable_by(|(first, last), (other, end)| first.cmp(other).then(end.cmp(last)));
    let mut reached: Option<T> = None;
    ranges.retain(|(_, last)| {
        let is_new = reached.is_none_or(|reached| reached < *last);
        if is_new {
            reached = Some(*last);
        }
        is_new
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::condition::{Day, Network};

    fn networks(texts: &[&str]) -> Networks {
        let source_networks = texts.iter().map(|text| Network::parse(text).unwrap()).collect();
        let condition = Condition { source_networks, ..Condition::default() };
        Prepared::new(&condition, Effect::Allow, &mut Conditions::default()).networks
    }

    #[test]
    fn addresses_lie_in_networks_of_their_own_family() {
        let some = networks(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32", "2001:db8::/32", "2001:db8:1::/48"]);
        assert_eq!((some.v4.len(), some.v6.len()), (2, 1));
        let cases = [
            ("10.0.0.0", true),
            ("10.1.2.3", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.1.2.3", true),
            ("::10.1.2.3", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
        ];
        for (address, expected) in cases {
            assert_eq!(some.contain(address.parse().unwrap()), expected, "{address}");
        }
        let (all_v4, all_v6) = (networks(&["0.0.0.0/0"]), networks(&["::/0"]));
        for (address, is_v4) in [("0.0.0.0", true), ("::ffff:1.2.3.4", true), ("::", false), ("ffff::", false)] {
            let address = address.parse().unwrap();
            assert_eq!((all_v4.contain(address), all_v6.contain(address)), (is_v4, !is_v4), "{address}");
        }
    }

    fn is_open(days: &[Day], (start, end): (u16, u16), zone: &str, time: &str) -> bool {
        let days: BTreeSet<Day> = days.iter().copied().collect();
        let window = WeeklyWindow::new(days, start, end, Zone::parse(zone).unwrap()).unwrap();
        let condition = Condition { weekly_windows: BTreeSet::from([window]), ..Condition::default() };
        let prepared = Prepared::new(&condition, Effect::Allow, &mut Conditions::default());
        prepared.is_open(Timestamp::parse_rfc3339(time).unwrap())
    }

    #[test]
    fn windows_are_half_open_in_local_time() {
        let workdays = [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday];
        let cases = [
            // A Monday, in winter at +01:00 and in summer at +02:00.
            ("2026-01-05T07:59:59.999999Z", false),
            ("2026-01-05T08:00:00Z", true),
            ("2026-01-05T15:59:59.999999Z", true),
            ("2026-01-05T16:00:00Z", false),
            ("2026-07-06T06:59:59.999999Z", false),
            ("2026-07-06T07:00:00Z", true),
            ("2026-07-06T15:00:00Z", false),
            ("2026-01-04T10:00:00Z", false),
        ];
        for (time, expected) in cases {
            assert_eq!(is_open(&workdays, (540, 1020), "Europe/Vienna", time), expected, "{time}");
        }
        // The night of Sunday goes on into Monday.
        for (time, expected) in [
            ("2026-01-04T21:59:59Z", false),
            ("2026-01-04T22:00:00Z", true),
            ("2026-01-05T05:59:59Z", true),
            ("2026-01-05T06:00:00Z", false),
            ("2026-01-05T22:00:00Z", false),
        ] {
            assert_eq!(is_open(&[Day::Sunday], (1320, 360), "Etc/UTC", time), expected, "{time}");
        }
    }

    #[test]
    fn a_skipped_local_time_never_comes_and_a_repeated_one_comes_twice() {
        // In Vienna, 2026-03-29T01:00Z was 03:00 right after 01:59, and 2026-10-25T01:00Z 02:00 again.
        let sunday = |span, time| is_open(&[Day::Sunday], span, "Europe/Vienna", time);
        for second in ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"] {
            assert!(!sunday((120, 180), second), "{second}");
        }
        assert!(sunday((120, 180), "2026-03-22T01:30:00Z"));
        // One that begins within the gap begins behind it.
        assert!(!sunday((150, 240), "2026-03-29T00:59:59Z") && sunday((150, 240), "2026-03-29T01:00:00Z"));
        for (time, expected) in [
            ("2026-10-24T23:59:59Z", false),
            ("2026-10-25T00:00:00Z", true),
            ("2026-10-25T00:59:59Z", true),
            ("2026-10-25T01:00:00Z", true),
            ("2026-10-25T01:59:59Z", true),
            ("2026-10-25T02:00:00Z", false),
        ] {
            assert_eq!(sunday((120, 180), time), expected, "{time}");
        }
        // One that ends within the repeated hour opens again for its part of the second time.
        assert!(!sunday((60, 150), "2026-10-25T00:30:00Z") && sunday((60, 150), "2026-10-25T01:29:59Z"));
        assert!(!sunday((60, 150), "2026-10-25T01:30:00Z"));
    }

    #[test]
    fn a_zone_of_another_release_gives_nothing_and_takes_away() {
        let stored =
            r#"{"weekly_windows":[{"days":["MONDAY"],"start_minute":0,"end_minute":1440,"time_zone":"Mars/Here"}]}"#;
        let condition: Condition = serde_json::from_str(stored).unwrap();
        let mut conditions = Conditions::default();
        let mut is_open = |effect| conditions.ready(&condition, effect).is_open(Timestamp::from_micros(0));
        assert_eq!([Effect::Deny, Effect::Allow, Effect::Deny].map(&mut is_open), [true, false, true]);
    }

    #[test]
    fn equal_conditions_stand_once_while_a_role_states_them() {
        let labelled = |value: String| Condition {
            account_labels: [("env".to_owned(), BTreeSet::from([value]))].into(),
            ..Condition::default()
        };
        let mut conditions = Conditions::default();
        let live = conditions.ready(&labelled("live".to_owned()), Effect::Allow);
        assert!(Arc::ptr_eq(&live, &conditions.ready(&labelled("live".to_owned()), Effect::Allow)));
        assert!(!Arc::ptr_eq(&live, &conditions.ready(&labelled("live".to_owned()), Effect::Deny)));
        for number in 0..4 * ROOM_MIN {
            let other = conditions.ready(&labelled(number.to_string()), Effect::Allow);
            assert_eq!(*other.condition(), labelled(number.to_string()));
        }
        assert!(conditions.ready.len() <= ROOM_MIN);
        assert!(Arc::ptr_eq(&live, &conditions.ready(&labelled("live".to_owned()), Effect::Allow)));
    }
}
