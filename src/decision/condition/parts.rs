//! What each part of a condition was held against, and what it came to, for whoever asks why.
//!
//! INVARIANT: together the parts come to [`Prepared::verdict`]: one that fails decides, otherwise the first
//! that lacks something does. `tests/it/oracle` holds the two together.

use std::net::IpAddr;

use super::{Missing, Prepared, Verdict, Windows};
use crate::decision::snapshot::{Path, Snapshot};
use crate::domain::condition::Day;
use crate::domain::context::{AttributeValue, Context};
use crate::domain::time::Timestamp;

const MINUTES_PER_DAY: i64 = 24 * 60;

/// A part of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    SourceNetworks,
    /// All windows: one that is open will do.
    WeeklyWindows,
    /// The place of the demand among the condition's.
    Attribute(u16),
    /// The place of the label among the condition's.
    Label(u16),
}

/// What was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the request does not say, or the account has no such label.
    Nothing,
    /// Not for the caller to know.
    Hidden,
    Address(IpAddr),
    /// What clocks show in the zones of the windows.
    Clocks(Vec<Clock>),
    Attribute(AttributeValue),
    Label(String),
}

/// What a clock on the wall of a zone shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    pub zone: String,
    pub day: Day,
    /// The minute of the day.
    pub minute: u16,
}

/// What became of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFate {
    pub part: Part,
    pub verdict: Verdict,
    pub found: Found,
}

impl Prepared {
    /// What each part comes to at the account that the path begins with.
    #[must_use]
    pub fn parts(&self, snapshot: &Snapshot, path: &Path, now: Timestamp, context: &Context) -> Vec<PartFate> {
        let mut parts = Vec::new();
        for (place, (key, values)) in (0..).zip(&self.condition.account_labels) {
            let label = snapshot.label(path, key);
            let verdict = holds(label.is_some_and(|value| values.contains(value)));
            let found = label.map_or(Found::Nothing, |value| Found::Label(value.to_owned()));
            parts.push(PartFate { part: Part::Label(place), verdict, found });
        }
        if !self.windows.is_empty() {
            let clocks = self.windows.iter().filter_map(|windows| windows.clock(now)).collect();
            let (part, verdict) = (Part::WeeklyWindows, holds(self.is_open(now)));
            parts.push(PartFate { part, verdict, found: Found::Clocks(clocks) });
        }
        if !self.networks.is_empty() {
            let part = Part::SourceNetworks;
            parts.push(match context.source_address {
                None => PartFate { part, verdict: Verdict::Lacks(Missing::SourceAddress), found: Found::Nothing },
                Some(address) => {
                    let verdict = holds(self.networks.contain(address));
                    PartFate { part, verdict, found: Found::Address(address.to_canonical()) }
                }
            });
        }
        for (place, wanted) in (0..).zip(&self.condition.resource_attributes) {
            let part = Part::Attribute(place);
            parts.push(match context.attributes.get(wanted.attribute()) {
                None => PartFate { part, verdict: Verdict::Lacks(Missing::Attribute(place)), found: Found::Nothing },
                Some(value) => {
                    let verdict = holds(wanted.is_met_by(value));
                    PartFate { part, verdict, found: Found::Attribute(value.clone()) }
                }
            });
        }
        parts
    }
}

impl Windows {
    fn clock(&self, now: Timestamp) -> Option<Clock> {
        let zone = self.zone.as_ref()?.iana_name()?.to_owned();
        let minute = self.minute(now)?;
        let day = Day::of_week(minute.div_euclid(MINUTES_PER_DAY))?;
        Some(Clock { zone, day, minute: u16::try_from(minute.rem_euclid(MINUTES_PER_DAY)).ok()? })
    }
}

const fn holds(is_so: bool) -> Verdict {
    if is_so { Verdict::Holds } else { Verdict::Fails }
}
