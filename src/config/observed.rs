//! What the server tells of itself: logs, the HTTP port with probes and metrics, OpenTelemetry; and
//! which web pages may call it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;

use super::Wrong;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// As in `RUST_LOG`, for example `info` or `peerage=debug`.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

/// The port of probes and metrics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    pub listen: Option<SocketAddr>,
}

/// Which web pages may call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Origins such as `https://portal.example`; without one, gRPC-web is off.
    pub allowed_origins: Vec<String>,
}

/// Where traces, metrics and logs go by OTLP, if anywhere.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    pub endpoint: Option<String>,
    pub ca_file: Option<PathBuf>,
    /// Metadata of every export, such as a collector's token.
    pub headers: BTreeMap<String, String>,
    pub service_name: String,
    pub traces: bool,
    pub metrics: bool,
    pub logs: bool,
    pub sample_ratio: f64,
    pub decision_sample_ratio: f64,
    /// Which part of decisions plain casbin is asked about too.
    pub shadow_sample_ratio: f64,
    pub export_interval_ms: u64,
    pub export_timeout_ms: u64,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            endpoint: None,
            ca_file: None,
            headers: BTreeMap::new(),
            service_name: "peerage".to_owned(),
            traces: true,
            metrics: true,
            logs: true,
            sample_ratio: 1.0,
            decision_sample_ratio: 0.001,
            shadow_sample_ratio: 0.0001,
            export_interval_ms: 10_000,
            export_timeout_ms: 5_000,
        }
    }
}

impl Web {
    pub(super) fn check(&self, wrong: &mut Wrong) {
        for origin in &self.allowed_origins {
            // A wildcard would let every page on the Internet use whatever key it is given.
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let fits = host.is_some_and(|host| {
                !host.is_empty()
                    && host
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte))
            });
            wrong.unless(fits, || {
                format!("`web.allowed_origins`: `{origin}` is no origin such as `https://portal.example`")
            });
        }
    }
}

impl Telemetry {
    #[must_use]
    pub const fn export_interval(&self) -> Duration {
        Duration::from_millis(self.export_interval_ms)
    }

    #[must_use]
    pub const fn export_timeout(&self) -> Duration {
        Duration::from_millis(self.export_timeout_ms)
    }

    /// Takes from OpenTelemetry's own variables what the file and `PEERAGE_` leave open.
    pub(super) fn fill_in(&mut self, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<()> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if self.endpoint.is_none() {
            self.endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
        }
        if variable("OTEL_SDK_DISABLED").as_deref() == Some("true") {
            self.endpoint = None;
        }
        let defaults = Self::default();
        if self.ca_file.is_none() {
            self.ca_file = variable("OTEL_EXPORTER_OTLP_CERTIFICATE").map(PathBuf::from);
        }
        if self.headers.is_empty() {
            let headers = variable("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
            for pair in headers.split(',').filter(|pair| !pair.trim().is_empty()) {
                let Some((name, value)) = pair.split_once('=') else {
                    bail!("`OTEL_EXPORTER_OTLP_HEADERS` must be `name=value,name=value`")
                };
                self.headers.insert(name.trim().to_lowercase(), value.trim().to_owned());
            }
        }
        if self.service_name == defaults.service_name
            && let Some(name) = variable("OTEL_SERVICE_NAME")
        {
            self.service_name = name;
        }
        // The very default is compared with itself.
        let is_open = self.sample_ratio == defaults.sample_ratio;
        if is_open && variable("OTEL_TRACES_SAMPLER").is_some_and(|name| name.ends_with("traceidratio")) {
            let ratio = variable("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.parse().ok());
            let Some(ratio) = ratio else { bail!("`OTEL_TRACES_SAMPLER_ARG` must be a number from 0 to 1") };
            self.sample_ratio = ratio;
        }
        let switch = |name: &str| variable(name).is_none_or(|value| value != "none");
        self.traces &= switch("OTEL_TRACES_EXPORTER");
        self.metrics &= switch("OTEL_METRICS_EXPORTER");
        self.logs &= switch("OTEL_LOGS_EXPORTER");
        Ok(())
    }

    pub(super) fn check(&self, wrong: &mut Wrong) {
        if let Some(endpoint) = &self.endpoint {
            let is_url = ["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme));
            wrong.unless(is_url, || "`telemetry.endpoint` must begin with `http://` or `https://`".to_owned());
        }
        if let Some(file) = self.ca_file.as_ref().filter(|file| !file.is_file()) {
            wrong.add(format!("`telemetry.ca_file`: there is no file `{}`", file.display()));
        }
        for (name, ratio) in [
            ("sample_ratio", self.sample_ratio),
            ("decision_sample_ratio", self.decision_sample_ratio),
            ("shadow_sample_ratio", self.shadow_sample_ratio),
        ] {
            wrong.unless((0.0..=1.0).contains(&ratio), || format!("`telemetry.{name}` must be from 0 to 1"));
        }
        for (name, value) in
            [("export_interval_ms", self.export_interval_ms), ("export_timeout_ms", self.export_timeout_ms)]
        {
            wrong.unless_within("telemetry", name, value, (10, 600_000));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_opentelemetry_fill_in_what_is_not_set() {
        let value = |name: &str| {
            let value = match name {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://collector:4317",
                "OTEL_EXPORTER_OTLP_HEADERS" => "X-Token = abc,other=1",
                "OTEL_TRACES_SAMPLER" => "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG" => "0.25",
                "OTEL_LOGS_EXPORTER" => "none",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let mut open = Telemetry::default();
        open.fill_in(value).unwrap();
        assert_eq!(open.endpoint.as_deref(), Some("http://collector:4317"));
        assert_eq!(open.headers.get("x-token").map(String::as_str), Some("abc"));
        assert!((open.sample_ratio - 0.25).abs() < f64::EPSILON && open.traces && !open.logs);
        let mut set = Telemetry { endpoint: Some("http://mine:1".to_owned()), ..Telemetry::default() };
        set.fill_in(value).unwrap();
        assert_eq!(set.endpoint.as_deref(), Some("http://mine:1"), "the file wins");
    }

    #[test]
    fn a_wildcard_is_no_origin() {
        for (origin, fits) in [
            ("https://portal.example", true),
            ("http://127.0.0.1:3000", true),
            ("*", false),
            ("https://*.example", false),
            ("https://portal.example/", false),
            ("portal.example", false),
        ] {
            let web = Web { allowed_origins: vec![origin.to_owned()] };
            let mut wrong = Wrong::default();
            web.check(&mut wrong);
            assert_eq!(wrong.0.is_empty(), fits, "{origin}");
        }
    }
}
