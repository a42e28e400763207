//! Which decisions are logged, where to, and how much may be kept.

use serde::Deserialize;

use super::Wrong;

/// The log of decisions. `docs/peerage.example.toml` says what each setting is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionLog {
    /// [`STDOUT`] or a file; without it decisions are not logged.
    pub to: Option<String>,
    pub allow_ratio: f64,
    pub deny_ratio: f64,
    pub source_address: bool,
    pub resource_attributes: bool,
    pub max_bytes: u64,
    pub keep: u32,
    pub queue_bytes: usize,
}

/// The place that is no file.
pub const STDOUT: &str = "stdout";

impl Default for DecisionLog {
    fn default() -> Self {
        Self {
            to: None,
            allow_ratio: 1.0,
            deny_ratio: 1.0,
            source_address: true,
            resource_attributes: true,
            max_bytes: 128 << 20,
            keep: 8,
            queue_bytes: 16 << 20,
        }
    }
}

impl DecisionLog {
    pub(super) fn check(&self, wrong: &mut Wrong) {
        wrong.unless(self.to.as_deref() != Some(""), || {
            "`decision_log.to` must be `stdout` or a file; to log nothing, leave it out".to_owned()
        });
        for (name, ratio) in [("allow_ratio", self.allow_ratio), ("deny_ratio", self.deny_ratio)] {
            wrong.unless((0.0..=1.0).contains(&ratio), || format!("`decision_log.{name}` must be from 0 to 1"));
        }
        for (name, value, least, most) in [
            ("max_bytes", self.max_bytes, 1 << 20, 1 << 40),
            ("keep", u64::from(self.keep), 1, 1000),
            ("queue_bytes", self.queue_bytes as u64, 64 << 10, 1 << 30),
        ] {
            wrong.unless_within("decision_log", name, value, (least, most));
        }
    }
}
