//! Times as people type and read them: RFC 3339, such as `2026-11-22T18:00:00Z`.

use prost_types::Timestamp;

use crate::domain::time::Timestamp as Micros;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Reads RFC 3339; digits below a microsecond are cut, as the server keeps none.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let micros = Micros::parse_rfc3339(text).map_err(|error| error.to_string())?.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(MICROS_PER_SECOND) * 1000).unwrap_or_default();
    Ok(Timestamp { seconds: micros.div_euclid(MICROS_PER_SECOND), nanos })
}

/// Writes RFC 3339 to the second; empty where there is no time.
pub(crate) fn show(time: Option<&Timestamp>) -> String {
    let Some(time) = time else { return String::new() };
    let text = Micros::from_micros(time.seconds.saturating_mul(MICROS_PER_SECOND)).to_rfc3339();
    text.strip_suffix(".000000Z").map_or(text.clone(), |seconds| format!("{seconds}Z"))
}

/// A half-open window, for tables: empty where it is always open.
pub(crate) fn window(start: Option<&Timestamp>, expire: Option<&Timestamp>) -> String {
    match (start, expire) {
        (None, None) => String::new(),
        (start, expire) => format!("{} .. {}", show(start), show(expire)).trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_both_ways() {
        let time = parse("2026-11-22T18:00:00.25Z").unwrap();
        assert_eq!(time.nanos, 250_000_000);
        assert_eq!(show(Some(&time)), "2026-11-22T18:00:00Z");
        assert_eq!(show(None), "");
        assert!(parse("tomorrow").is_err());
        assert_eq!(parse("1969-12-31T23:59:59.5Z").unwrap().nanos, 500_000_000);
    }
}
