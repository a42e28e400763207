//! What the server counts, and how it is read.
//!
//! One way for Prometheus and OTLP: counters, gauges and histograms are atomics of the `prometheus`
//! crate in a registry of the server's own, [`Metrics::gather`] reads them all, and both exporters
//! write what it returns (`render` here, `otlp` beside it). The SDK of OpenTelemetry was not taken for
//! this: it finds a series by hashing its attributes at every call and puts histograms under a lock,
//! where a call of Authorize may pay for a few atomic additions and nothing more.
//!
//! INVARIANT: every label is made here, from a `&'static str` of a fixed set. No id, address, name or
//! text of a caller can become one; a method that is not of the contract is `unknown`. Series of a
//! method begin with its first call and are found without a lock from then on.
//!
//! Not here: values that others own and that are only read when somebody asks; see `sampled`.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

/// The method of a call that the contract does not know.
const UNKNOWN: &str = "unknown";
/// Upper bounds of durations, in seconds: from decisions in memory to exports.
const DURATIONS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];
/// The names of gRPC's status codes, by their number.
pub const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Makes an enum whose variants are the values of one label.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            /// Every value of the label, in the order of the variants.
            pub const TEXTS: &'static [&'static str] = &[$($text,)*];

            /// The value of the label.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

label! {
    /// What a decision came to.
    DecisionOutcome {
        Allow => "allow",
        Deny => "deny",
        RequiresStepUp => "requires_step_up",
        RequiresApproval => "requires_approval",
    }
}

label! {
    /// Why a credential was not accepted.
    AuthFailure {
        Missing => "credential_missing",
        Malformed => "credential_malformed",
        Unknown => "credential_unknown",
        Expired => "credential_expired",
        PeerDisabled => "peer_disabled",
        PeerExpired => "peer_expired",
        HomeSuspended => "home_suspended",
    }
}

label! {
    /// What kind of work a call is, as admission tells them apart.
    Work {
        Decisions => "decisions",
        Reads => "reads",
        Lists => "lists",
        Writes => "writes",
        Hashing => "hashing",
        Streams => "streams",
    }
}

label! {
    /// Why a call was turned away although it was good.
    ShedReason {
        Full => "full",
        Caller => "caller",
        TooLate => "too_late",
    }
}

label! {
    /// Why a connection was closed before it carried a call.
    ConnectionRefusal {
        Limit => "limit",
        AddressLimit => "address_limit",
        Handshake => "handshake",
        Silent => "silent",
    }
}

label! {
    /// What became of an entry of the decision log.
    LogResult {
        Written => "written",
        Dropped => "dropped",
        Failed => "failed",
    }
}

/// One series for each value of a label.
#[derive(Debug)]
struct Counters(Box<[IntCounter]>);

impl Counters {
    fn add(&self, place: usize) {
        if let Some(counter) = self.0.get(place) {
            counter.inc();
        }
    }

    fn add_many(&self, place: usize, count: u64) {
        if let Some(counter) = self.0.get(place) {
            counter.inc_by(count);
        }
    }

    fn get(&self, place: usize) -> u64 {
        self.0.get(place).map_or(0, IntCounter::get)
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGaugeVec,
    methods: Box<[Method]>,
    decisions: Counters,
    logged: Counters,
    auth_failures: Counters,
    sheds: Box<[Counters]>,
    running: Box<[IntGauge]>,
    waiting: Box<[IntGauge]>,
    connections: IntGauge,
    connection_refusals: Counters,
    pub(super) sampled: super::sampled::Gauges,
}

/// The series of one method, made at its first call.
#[derive(Debug)]
struct Method {
    name: &'static str,
    series: OnceLock<Series>,
}

/// Requests, errors and duration of one method.
#[derive(Debug)]
pub struct Series {
    method: &'static str,
    duration: Histogram,
    in_flight: IntGauge,
    codes: [OnceLock<IntCounter>; CODES.len()],
}

impl Metrics {
    /// All series of a server, whose methods are given by full path in the order of their places.
    ///
    /// # Errors
    /// Where two series have one name, which the build would have to have broken.
    pub fn new(methods: impl Iterator<Item = &'static str>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let named = |name: &str, help: &str| Opts::new(format!("peerage_{name}"), help);
        let requests = IntCounterVec::new(named("rpc_requests_total", "Calls answered."), &["method", "code"])?;
        let durations = HistogramVec::new(
            HistogramOpts::from(named("rpc_duration_seconds", "Time from a call's headers to its answer."))
                .buckets(DURATIONS.to_vec()),
            &["method"],
        )?;
        let in_flight = IntGaugeVec::new(named("rpc_in_flight", "Calls that are not answered yet."), &["method"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        let counters = |name: &str, help: &str, label: &str, texts: &[&str]| {
            let family = IntCounterVec::new(named(name, help), &[label])?;
            registry.register(Box::new(family.clone()))?;
            let series = texts.iter().map(|text| family.get_metric_with_label_values(&[text]));
            Ok::<_, prometheus::Error>(Counters(series.collect::<Result<_, _>>()?))
        };
        let gauges = |name: &str, help: &str, label: &str, texts: &[&str]| {
            let family = IntGaugeVec::new(named(name, help), &[label])?;
            registry.register(Box::new(family.clone()))?;
            texts.iter().map(|text| family.get_metric_with_label_values(&[text])).collect::<Result<Box<[_]>, _>>()
        };
        let connections = IntGauge::with_opts(named("connections", "Open connections."))?;
        registry.register(Box::new(connections.clone()))?;
        let build = Gauge::with_opts(
            named("build_info", "The release that runs; always 1.").const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        build.set(1.0);
        registry.register(Box::new(build))?;
        // Decisions, the first, take no turns.
        let turns = Work::TEXTS.split_first().map_or(Work::TEXTS, |(_, turns)| turns);
        Ok(Self {
            decisions: counters("decisions_total", "Decisions made.", "outcome", DecisionOutcome::TEXTS)?,
            logged: counters("decision_log_entries_total", "Decisions to be logged.", "result", LogResult::TEXTS)?,
            auth_failures: counters("auth_failures_total", "Credentials refused.", "reason", AuthFailure::TEXTS)?,
            sheds: sheds(&registry)?,
            running: gauges("admission_running", "Calls that have their turn.", "class", turns)?,
            waiting: gauges("admission_waiting", "Calls that wait for their turn.", "class", turns)?,
            connection_refusals: counters(
                "connections_refused_total",
                "Connections closed before a call.",
                "reason",
                ConnectionRefusal::TEXTS,
            )?,
            sampled: super::sampled::Gauges::new(&registry)?,
            methods: methods
                .map(|path| path.trim_start_matches('/'))
                .chain([UNKNOWN])
                .map(|name| Method { name, series: OnceLock::new() })
                .collect(),
            requests,
            durations,
            in_flight,
            connections,
            registry,
        })
    }

    /// The series of the method at a place, or of all that the contract does not know.
    #[must_use]
    pub fn method(&self, place: Option<usize>) -> Option<&Series> {
        let method = place.and_then(|place| self.methods.get(place)).or_else(|| self.methods.last())?;
        Some(method.series.get_or_init(|| Series {
            method: method.name,
            duration: self.durations.with_label_values(&[method.name]),
            in_flight: self.in_flight.with_label_values(&[method.name]),
            codes: [const { OnceLock::new() }; CODES.len()],
        }))
    }

    /// Counts a call that began.
    pub fn begin(&self, series: &Series) {
        series.in_flight.inc();
    }

    /// Counts a call that ended with a status code.
    pub fn end(&self, series: &Series, code: usize, took: Duration) {
        series.in_flight.dec();
        series.duration.observe(took.as_secs_f64());
        let (Some(counter), Some(text)) = (series.codes.get(code), CODES.get(code)) else { return };
        counter.get_or_init(|| self.requests.with_label_values(&[series.method, text])).inc();
    }

    /// Counts a decision.
    pub fn decided(&self, outcome: DecisionOutcome) {
        self.decisions.add(outcome as usize);
    }

    /// Counts entries of the decision log.
    pub fn logged(&self, result: LogResult, count: u64) {
        self.logged.add_many(result as usize, count);
    }

    /// How many entries of the decision log came to that.
    #[must_use]
    pub fn log_count(&self, result: LogResult) -> u64 {
        self.logged.get(result as usize)
    }

    /// Counts a credential that was refused.
    pub fn auth_failed(&self, why: AuthFailure) {
        self.auth_failures.add(why as usize);
    }

    /// Counts a call that was turned away.
    pub fn shed(&self, work: Work, why: ShedReason) {
        if let Some(counters) = self.sheds.get(work as usize) {
            counters.add(why as usize);
        }
    }

    /// How many calls of a kind have their turn, kept up to date by whoever gives turns. Decisions take
    /// none; those under way are in flight.
    #[must_use]
    pub fn running(&self, work: Work) -> Option<&IntGauge> {
        self.running.get((work as usize).checked_sub(1)?)
    }

    /// How many calls of a kind wait for their turn.
    #[must_use]
    pub fn waiting(&self, work: Work) -> Option<&IntGauge> {
        self.waiting.get((work as usize).checked_sub(1)?)
    }

    /// How many connections are open.
    #[must_use]
    pub const fn connections(&self) -> &IntGauge {
        &self.connections
    }

    /// Counts a connection that was not kept.
    pub fn connection_refused(&self, why: ConnectionRefusal) {
        self.connection_refusals.add(why as usize);
    }

    /// Reads every series.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Every series as Prometheus reads it.
    ///
    /// # Errors
    /// Where a family cannot be written, which the build would have to have broken.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The counters of calls turned away, by kind of work and reason.
fn sheds(registry: &Registry) -> Result<Box<[Counters]>, prometheus::Error> {
    let opts = Opts::new("peerage_sheds_total", "Calls turned away although they were good.");
    let family = IntCounterVec::new(opts, &["class", "reason"])?;
    registry.register(Box::new(family.clone()))?;
    let of = |class: &&str| {
        let series = ShedReason::TEXTS.iter().map(|reason| family.get_metric_with_label_values(&[*class, *reason]));
        series.collect::<Result<_, _>>().map(Counters)
    };
    Work::TEXTS.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_shows_from_its_first_call_and_what_is_unknown_has_one_name() {
        let metrics = Metrics::new(["/a.B/C", "/a.B/D"].into_iter()).unwrap();
        assert!(!metrics.render().unwrap().contains("a.B/C"));
        for place in [Some(0), Some(7), None] {
            let series = metrics.method(place).unwrap();
            metrics.begin(series);
            metrics.end(series, 5, Duration::from_micros(70));
        }
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"peerage_rpc_requests_total{code="NOT_FOUND",method="a.B/C"} 1"#), "{text}");
        assert!(text.contains(r#"peerage_rpc_requests_total{code="NOT_FOUND",method="unknown"} 2"#), "{text}");
        assert!(text.contains(r#"peerage_rpc_duration_seconds_bucket{method="a.B/C",le="0.0001"} 1"#), "{text}");
        assert!(!text.contains("a.B/D"), "{text}");
    }
}
