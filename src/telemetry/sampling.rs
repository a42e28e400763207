//! Which calls are traced, decided before anything is made for a trace.
//!
//! A caller's own decision is followed (the flag of W3C `traceparent`); without one, a ratio decides:
//! one for decisions, which come by the hundred thousand, and one for everything else. Turns are
//! spread evenly, without randomness and without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;

use crate::config::Telemetry;

/// 2^64 divided by the golden ratio: multiples of it spread evenly over the range.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Says which calls are traced.
#[derive(Debug, Default)]
pub struct Sampling {
    is_on: bool,
    decisions: u64,
    others: u64,
    turn: AtomicU64,
}

/// What kind of call asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Decision,
    Other,
}

impl Sampling {
    #[must_use]
    pub fn new(telemetry: &Telemetry) -> Self {
        Self {
            is_on: telemetry.endpoint.is_some() && telemetry.traces,
            decisions: threshold(telemetry.decision_sample_ratio),
            others: threshold(telemetry.sample_ratio),
            turn: AtomicU64::new(0),
        }
    }

    /// Whether to trace a call.
    #[must_use]
    pub fn samples(&self, kind: Kind, headers: &HeaderMap) -> bool {
        if !self.is_on {
            return false;
        }
        if let Some(is_sampled) = headers.get("traceparent").and_then(|value| flag(value.as_bytes())) {
            return is_sampled;
        }
        let threshold = match kind {
            Kind::Decision => self.decisions,
            Kind::Other => self.others,
        };
        match threshold {
            0 => false,
            u64::MAX => true,
            _ => self.turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(SPREAD) < threshold,
        }
    }
}

/// A ratio from 0 to 1 as a part of the range; the cast saturates at both ends.
fn threshold(ratio: f64) -> u64 {
    (ratio * u64::MAX as f64) as u64
}

/// The sampled flag of a `traceparent`: `00-{32 digits}-{16 digits}-{2 digits}`.
fn flag(parent: &[u8]) -> Option<bool> {
    let [version @ .., _, _] = parent else { return None };
    if parent.len() < 55 || !version.starts_with(b"00-") {
        return None;
    }
    let digit = char::from(*parent.get(54)?).to_digit(16)?;
    Some(digit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(sampling: &Sampling, kind: Kind, parent: Option<&str>) -> usize {
        let mut headers = HeaderMap::new();
        if let Some(parent) = parent {
            headers.insert("traceparent", parent.parse().unwrap());
        }
        (0..10_000).filter(|_| sampling.samples(kind, &headers)).count()
    }

    #[test]
    fn a_ratio_is_kept_and_the_caller_goes_first() {
        let telemetry = Telemetry {
            endpoint: Some("http://collector".to_owned()),
            sample_ratio: 1.0,
            decision_sample_ratio: 0.01,
            ..Telemetry::default()
        };
        let sampling = Sampling::new(&telemetry);
        assert_eq!(sampled(&sampling, Kind::Other, None), 10_000);
        assert!((90..=110).contains(&sampled(&sampling, Kind::Decision, None)));
        let yes = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let no = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert_eq!(sampled(&sampling, Kind::Decision, Some(yes)), 10_000);
        assert_eq!(sampled(&sampling, Kind::Other, Some(no)), 0);
        assert_eq!(sampled(&sampling, Kind::Other, Some("garbage")), 10_000);
        assert_eq!(sampled(&Sampling::default(), Kind::Other, Some(yes)), 0, "off is off");
    }
}
