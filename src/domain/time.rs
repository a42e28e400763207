//! Points in time and half-open windows, in whole microseconds since the Unix epoch.
//!
//! Microseconds are what both databases keep and what a window is compared in; there is no clock
//! here, callers bring the time.

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;

/// A point in time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Far enough away to mean "never ends"; comparisons need no special case.
    pub const MAX: Self = Self(i64::MAX);
    /// Before every real time; a window that has always been open starts here.
    pub const MIN: Self = Self(i64::MIN);
    /// 9999-12-31T23:59:59.999999Z, the last instant that RFC 3339 and protobuf can write.
    const LAST: i64 = 253_402_300_799_999_999;
    /// 0001-01-01T00:00:00Z, the first instant that protobuf can write.
    const FIRST: i64 = -62_135_596_800_000_000;

    /// Takes any count of microseconds; use [`Timestamp::parse_micros`] for values from outside.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Takes a count of microseconds that RFC 3339 can write.
    ///
    /// # Errors
    /// [`Invalid::Form`] outside the years 0001 to 9999.
    pub const fn parse_micros(micros: i64) -> Result<Self, Invalid> {
        if micros < Self::FIRST || micros > Self::LAST {
            return Err(Invalid::Form { form: "a time between the years 0001 and 9999" });
        }
        Ok(Self(micros))
    }

    /// Reads RFC 3339, for example `2026-11-22T02:10:27Z`. Digits below a microsecond are cut.
    ///
    /// # Errors
    /// [`Invalid::Form`] for anything else.
    pub fn parse_rfc3339(text: &str) -> Result<Self, Invalid> {
        const FORM: Invalid = Invalid::Form { form: "an RFC 3339 time such as `2026-11-22T02:10:27Z`" };
        // What ISO 8601 allows beyond it would be read too.
        if !is_rfc3339(text) {
            return Err(FORM);
        }
        const RANGE: Invalid =
            Invalid::Form { form: "a time that there is, from `0001-01-01T00:00:00Z` to `9999-12-30T22:00:00Z`" };
        let parsed: jiff::Timestamp = text.parse().map_err(|_| RANGE)?;
        Self::parse_micros(parsed.as_microsecond())
    }

    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Writes RFC 3339 in UTC with six digits of fraction; times that cannot be written are held at
    /// the nearest one that can.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let micros = self.0.clamp(Self::FIRST, Self::LAST);
        jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| format!("{time:.6}"))
    }

    /// This time plus a number of microseconds, held at the ends instead of wrapping.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

/// Whether a text has the form of RFC 3339, section 5.6: `2026-11-22T02:10:27`, a fraction or none, and
/// `Z` or an offset of less than a day.
fn is_rfc3339(text: &str) -> bool {
    let has_form = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => byte.eq_ignore_ascii_case(&other),
            })
    };
    let Some((local, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|one: char| one.is_ascii_digit()),
        None => rest,
    };
    let offset = || zone.strip_prefix(['+', '-']).filter(|offset| has_form(offset, "00:00"));
    has_form(local, "0000-00-00T00:00:00") && (has_form(zone, "Z") || offset().is_some_and(|offset| offset < "24:00"))
}

/// A half-open interval, `[start, expire)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    start: Timestamp,
    expire: Timestamp,
}

impl Window {
    /// Open since ever and without end.
    pub const ALWAYS: Self = Self { start: Timestamp::MIN, expire: Timestamp::MAX };

    /// Makes a window from optional ends.
    ///
    /// # Errors
    /// [`Invalid::Order`] where it would end before or when it starts.
    pub fn parse(start: Option<Timestamp>, expire: Option<Timestamp>) -> Result<Self, Invalid> {
        let window = Self { start: start.unwrap_or(Timestamp::MIN), expire: expire.unwrap_or(Timestamp::MAX) };
        if window.expire <= window.start {
            return Err(Invalid::Order { other: "`start_time`" });
        }
        Ok(window)
    }

    #[must_use]
    pub const fn contains(self, time: Timestamp) -> bool {
        self.start.0 <= time.0 && time.0 < self.expire.0
    }

    /// Whether this window holds all of `other` that lies at or after `now`.
    #[must_use]
    pub fn covers(self, other: Self, now: Timestamp) -> bool {
        self.start <= other.start.max(now) && other.expire <= self.expire
    }

    #[must_use]
    pub fn start(self) -> Option<Timestamp> {
        (self.start != Timestamp::MIN).then_some(self.start)
    }

    #[must_use]
    pub fn expire(self) -> Option<Timestamp> {
        (self.expire != Timestamp::MAX).then_some(self.expire)
    }

    /// The part of both windows, or `None` where they do not meet.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let both = Self { start: self.start.max(other.start), expire: self.expire.min(other.expire) };
        (both.start < both.expire).then_some(both)
    }

    /// A window that is never open, for what must fail closed.
    pub const NEVER: Self = Self { start: Timestamp::MAX, expire: Timestamp::MIN };

    /// Whether the window has ended for good at `now`.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        self.expire <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn windows_are_half_open() {
        let window = Window::parse(Some(at(10)), Some(at(20))).unwrap();
        assert!(!window.contains(at(9)));
        assert!(window.contains(at(10)));
        assert!(window.contains(at(19)));
        assert!(!window.contains(at(20)));
        assert!(Window::parse(Some(at(10)), Some(at(10))).is_err());
    }

    #[test]
    fn a_window_covers_what_is_left_of_another() {
        let own = Window::parse(Some(at(10)), Some(at(20))).unwrap();
        assert!(own.covers(Window::parse(None, Some(at(20))).unwrap(), at(12)));
        assert!(!own.covers(Window::parse(None, Some(at(21))).unwrap(), at(12)));
        assert!(!own.covers(Window::parse(Some(at(5)), Some(at(20))).unwrap(), at(7)));
        assert!(!own.covers(Window::ALWAYS, at(12)));
        assert!(Window::ALWAYS.covers(own, at(0)));
    }

    #[test]
    fn rfc_3339_has_six_digits() {
        let time = Timestamp::parse_rfc3339("2026-11-22T02:10:27.1234567Z").unwrap();
        assert_eq!(time.to_rfc3339(), "2026-11-22T02:10:27.123456Z");
        assert_eq!(at(0).to_rfc3339(), "1970-01-01T00:00:00.000000Z");
        for (text, is_right) in [
            ("2026-11-22t02:10:27z", true),
            ("2026-11-22T02:10:27.5+23:59", true),
            ("yesterday", false),
            ("2026-11-22T02:10:27", false),
            ("2026-11-22T02:10Z", false),
            ("2026-11-22 02:10:27Z", false),
            ("2026-11-22T02:10:27.Z", false),
            ("2026-11-22T02:10:27+25:00", false),
            ("2026-11-22T02:10:27+01:60", false),
            ("2026-11-22T02:10:27+01:00[Europe/Zurich]", false),
            ("+002026-11-22T02:10:27Z", false),
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text).is_ok(), is_right, "{text}");
        }
    }
}
