//! What callers may take of the server: connections, streams, bytes, time, and turns.

use std::time::Duration;

use serde::Deserialize;

use super::Wrong;

/// Bounds of connections and calls. `docs/peerage.example.toml` says what each is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub streams_per_connection: u32,
    pub header_bytes: u32,
    pub handshake_timeout_ms: u64,
    pub keepalive_interval_ms: u64,
    pub keepalive_timeout_ms: u64,
    pub connection_age_ms: u64,
    pub connection_age_grace_ms: u64,
    pub call_timeout_ms: u64,
    pub message_bytes: MessageBytes,
}

/// The largest request, by what the method does.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageBytes {
    pub decisions: usize,
    pub calls: usize,
    pub bulk: usize,
}

/// How many calls of a class are worked on at once, and how many may wait.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    pub decisions: usize,
    pub reads: Class,
    pub lists: Class,
    pub writes: Class,
    pub hashing: Class,
    pub streams: Class,
    pub longest_wait_ms: u64,
}

/// Turns of one class. Zero leaves a bound to the server, which knows its database and its cores.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Class {
    pub running: usize,
    pub waiting: usize,
    pub per_caller: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            connections_per_address: 1024,
            streams_per_connection: 1024,
            header_bytes: 16 << 10,
            handshake_timeout_ms: 10_000,
            keepalive_interval_ms: 60_000,
            keepalive_timeout_ms: 20_000,
            connection_age_ms: 3_600_000,
            connection_age_grace_ms: 300_000,
            call_timeout_ms: 60_000,
            message_bytes: MessageBytes::default(),
        }
    }
}

impl Default for MessageBytes {
    fn default() -> Self {
        Self { decisions: 2 << 20, calls: 4 << 20, bulk: 8 << 20 }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            decisions: 16_384,
            reads: Class::default(),
            lists: Class::default(),
            writes: Class::default(),
            hashing: Class::default(),
            streams: Class::default(),
            longest_wait_ms: 5_000,
        }
    }
}

impl Limits {
    #[must_use]
    pub const fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    #[must_use]
    pub const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    pub(super) fn check(&self, wrong: &mut Wrong) {
        for (name, value, least, most) in [
            ("connections", self.connections as u64, 1, 1_000_000),
            ("connections_per_address", self.connections_per_address as u64, 1, 1_000_000),
            ("streams_per_connection", u64::from(self.streams_per_connection), 1, 100_000),
            ("header_bytes", u64::from(self.header_bytes), 4 << 10, 1 << 20),
            ("handshake_timeout_ms", self.handshake_timeout_ms, 100, 600_000),
            ("keepalive_interval_ms", self.keepalive_interval_ms, 100, 86_400_000),
            ("keepalive_timeout_ms", self.keepalive_timeout_ms, 100, 600_000),
            ("connection_age_ms", self.connection_age_ms, 1_000, 604_800_000),
            ("connection_age_grace_ms", self.connection_age_grace_ms, 100, 86_400_000),
            ("call_timeout_ms", self.call_timeout_ms, 100, 3_600_000),
            ("message_bytes.decisions", self.message_bytes.decisions as u64, 1 << 10, 64 << 20),
            ("message_bytes.calls", self.message_bytes.calls as u64, 1 << 10, 64 << 20),
            ("message_bytes.bulk", self.message_bytes.bulk as u64, 1 << 10, 64 << 20),
        ] {
            wrong.unless_within("limits", name, value, (least, most));
        }
        wrong.unless(self.message_bytes.bulk >= self.message_bytes.calls, || {
            "`limits.message_bytes.bulk` must not be below `limits.message_bytes.calls`".to_owned()
        });
    }
}

impl Admission {
    #[must_use]
    pub const fn longest_wait(&self) -> Duration {
        Duration::from_millis(self.longest_wait_ms)
    }

    pub(super) fn check(&self, wrong: &mut Wrong) {
        wrong.unless_within("admission", "decisions", self.decisions as u64, (1, 1_000_000));
        wrong.unless_within("admission", "longest_wait_ms", self.longest_wait_ms, (1, 600_000));
        for (name, class) in [
            ("reads", self.reads),
            ("lists", self.lists),
            ("writes", self.writes),
            ("hashing", self.hashing),
            ("streams", self.streams),
        ] {
            for (field, value) in
                [("running", class.running), ("waiting", class.waiting), ("per_caller", class.per_caller)]
            {
                wrong.unless_within("admission", &format!("{name}.{field}"), value as u64, (0, 100_000));
            }
        }
    }
}
