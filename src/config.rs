//! Settings: a file, then the environment (`PEERAGE_` and `__` between sections), then flags; the
//! later wins. Wrong settings stop the start, each with one line that names it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

mod decision_log;
mod limits;
mod observed;

pub use decision_log::{DecisionLog, STDOUT};
pub use limits::{Admission, Class, Limits, MessageBytes};
pub use observed::{Http, Log, LogFormat, Telemetry, Web};

/// Where the server listens when nothing says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7843";

/// Everything that can be set. `docs/peerage.example.toml` documents each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: SocketAddr,
    pub database: Database,
    pub tls: Option<Tls>,
    /// Lets the server speak plaintext beyond loopback, behind a mesh that encrypts.
    pub allow_plaintext: bool,
    pub http: Http,
    pub web: Web,
    pub limits: Limits,
    pub admission: Admission,
    pub log: Log,
    pub telemetry: Telemetry,
    pub decision_log: DecisionLog,
    pub follow: Follow,
    pub snapshot: Snapshot,
    pub shutdown: Shutdown,
    #[cfg(feature = "fault-injection")]
    pub fault: Fault,
}

/// Faults that a test switches on. A release does not know this section and refuses it.
#[cfg(feature = "fault-injection")]
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    pub without_revision_lock: bool,
    /// Starts a duty that ends after so many milliseconds, as one that panicked does.
    pub lose_duty_after_ms: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite:FILE` or `postgres://…`.
    pub url: String,
    pub max_connections: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate_file: PathBuf,
    /// The private key, PEM.
    pub key_file: PathBuf,
    /// Whose client certificates are accepted, PEM; without it, none is asked for.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    /// What happens to a client without a certificate.
    #[serde(default)]
    pub client_certificate: ClientCertificate,
    /// How often the files are looked at for a change.
    #[serde(default = "reload_interval_ms")]
    pub reload_interval_ms: u64,
}

/// What happens to a client without a certificate, where there is a `client_ca_file`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// It is turned away.
    #[default]
    Required,
    /// It is let in.
    Optional,
}

const fn reload_interval_ms() -> u64 {
    10_000
}

impl Tls {
    #[must_use]
    pub fn new(certificate_file: PathBuf, key_file: PathBuf) -> Self {
        Self {
            certificate_file,
            key_file,
            client_ca_file: None,
            client_certificate: ClientCertificate::default(),
            reload_interval_ms: reload_interval_ms(),
        }
    }

    #[must_use]
    pub const fn reload_interval(&self) -> Duration {
        Duration::from_millis(self.reload_interval_ms)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Follow {
    /// How long the server reports SERVING without proof that its policy is all that is committed, in
    /// milliseconds.
    pub stale_after_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshot {
    /// Where the snapshot is kept to start from; without it, every start is from rows.
    pub file: Option<PathBuf>,
    /// How often what has changed is kept, in milliseconds.
    pub interval_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// How long the server goes on taking calls after it reports NOT_SERVING, in milliseconds.
    pub drain_delay_ms: u64,
    /// How long calls in flight may take to end after that, in milliseconds.
    pub grace_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7843)),
            database: Database::default(),
            tls: None,
            allow_plaintext: false,
            http: Http::default(),
            web: Web::default(),
            limits: Limits::default(),
            admission: Admission::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
            decision_log: DecisionLog::default(),
            follow: Follow::default(),
            snapshot: Snapshot::default(),
            shutdown: Shutdown::default(),
            #[cfg(feature = "fault-injection")]
            fault: Fault::default(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: "sqlite:peerage.db".to_owned(), max_connections: 8 }
    }
}

impl Default for Follow {
    fn default() -> Self {
        Self { stale_after_ms: 60_000 }
    }
}

impl Follow {
    #[must_use]
    pub const fn stale_after(&self) -> Duration {
        Duration::from_millis(self.stale_after_ms)
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { file: None, interval_ms: 300_000 }
    }
}

impl Snapshot {
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain_delay_ms: 2_000, grace_ms: 30_000 }
    }
}

impl Shutdown {
    #[must_use]
    pub const fn drain_delay(&self) -> Duration {
        Duration::from_millis(self.drain_delay_ms)
    }

    #[must_use]
    pub const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

impl Config {
    /// Reads the settings and checks them.
    ///
    /// # Errors
    /// What cannot be read, or all that is wrong.
    pub fn load(file: Option<&Path>, flags: &[(&str, String)]) -> anyhow::Result<Self> {
        let config = Self::read(file, flags)?;
        config.check()?;
        Ok(config)
    }

    /// Reads the settings, whether or not they make sense.
    ///
    /// # Errors
    /// One line that names the first setting that there is not, or that is none.
    pub fn read(file: Option<&Path>, flags: &[(&str, String)]) -> anyhow::Result<Self> {
        let mut builder = config::Config::builder();
        if let Some(file) = file {
            ensure!(file.is_file(), "there is no configuration file `{}`", file.display());
            builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        // The client's settings share the prefix, and a variable that is set to nothing counts as unset.
        let environment = config::Environment::with_prefix("PEERAGE")
            .prefix_separator("_")
            .separator("__")
            .ignore_empty(true)
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("web.allowed_origins")
            .source(Some(
                std::env::vars()
                    .filter(|(name, _)| {
                        !CLIENT_VARIABLES.contains(&name.as_str()) && !name.starts_with("PEERAGE_TEST_")
                    })
                    .collect(),
            ));
        builder = builder.add_source(environment);
        for (name, value) in flags {
            builder = builder.set_override(*name, value.clone()).context("a flag could not be read")?;
        }
        let mut config: Self = builder.build().and_then(config::Config::try_deserialize).map_err(one_line)?;
        config.telemetry.fill_in(|name| std::env::var(name).ok())?;
        Ok(config)
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// A line for each that does not.
    pub fn check(&self) -> anyhow::Result<()> {
        all_good(&self.wrong())
    }

    /// What is wrong, a line each that names the setting.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        let url = &self.database.url;
        let is_known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        wrong.unless(is_known, || "`database.url` must begin with `sqlite:` or `postgres://`".to_owned());
        wrong.unless_within("database", "max_connections", self.database.max_connections.into(), (1, 1000));
        wrong.unless_within("follow", "stale_after_ms", self.follow.stale_after_ms, (2_000, 3_600_000));
        wrong.unless_within("snapshot", "interval_ms", self.snapshot.interval_ms, (1_000, 86_400_000));
        wrong.unless_within("shutdown", "drain_delay_ms", self.shutdown.drain_delay_ms, (0, 600_000));
        wrong.unless_within("shutdown", "grace_ms", self.shutdown.grace_ms, (0, 600_000));
        match &self.tls {
            Some(tls) => tls.check(&mut wrong),
            None => wrong.unless(self.listen.ip().is_loopback() || self.allow_plaintext, || {
                format!(
                    "`listen` is {}, beyond loopback, without `tls`; set `allow_plaintext` if something else encrypts",
                    self.listen
                )
            }),
        }
        self.limits.check(&mut wrong);
        self.admission.check(&mut wrong);
        self.web.check(&mut wrong);
        self.telemetry.check(&mut wrong);
        self.decision_log.check(&mut wrong);
        if let Err(error) = self.log.filter.parse::<tracing_subscriber::EnvFilter>() {
            wrong.add(format!("`log.filter`: {error}"));
        }
        wrong.0
    }
}

/// Whether nothing is wrong.
///
/// # Errors
/// One line where one thing is, otherwise one for each below a first that counts them.
pub fn all_good(wrong: &[String]) -> anyhow::Result<()> {
    match wrong {
        [] => Ok(()),
        [one] => bail!("{one}"),
        all => bail!("{} settings are wrong\n  {}", all.len(), all.join("\n  ")),
    }
}

/// What is wrong with settings, so that all of it is said at once.
#[derive(Debug, Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn add(&mut self, line: String) {
        self.0.push(line);
    }

    fn unless(&mut self, is_good: bool, line: impl FnOnce() -> String) {
        if !is_good {
            self.add(line());
        }
    }

    fn unless_within(&mut self, section: &str, name: &str, value: u64, (least, most): (u64, u64)) {
        self.unless((least..=most).contains(&value), || {
            format!("`{section}.{name}` must be at least {least} and at most {most}")
        });
    }
}

impl Tls {
    fn check(&self, wrong: &mut Wrong) {
        let files = [
            ("tls.certificate_file", Some(&self.certificate_file)),
            ("tls.key_file", Some(&self.key_file)),
            ("tls.client_ca_file", self.client_ca_file.as_ref()),
        ];
        for (name, file) in files {
            if let Some(file) = file.filter(|file| !file.is_file()) {
                wrong.add(format!("`{name}`: there is no file `{}`", file.display()));
            }
        }
        wrong.unless_within("tls", "reload_interval_ms", self.reload_interval_ms, (10, 3_600_000));
    }
}

/// Variables that the command line's clients read.
const CLIENT_VARIABLES: &[&str] =
    &["PEERAGE_ADDRESS", "PEERAGE_API_KEY", "PEERAGE_API_KEY_FILE", "PEERAGE_CA_FILE", "PEERAGE_CONFIG"];

fn one_line(error: config::ConfigError) -> anyhow::Error {
    let text = error.to_string();
    anyhow::anyhow!("configuration: {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_good_and_loopback_only() {
        assert!(Config::default().check().is_ok());
        assert_eq!(Config::default().listen.to_string(), DEFAULT_LISTEN);
        let open = Config { listen: SocketAddr::from(([0, 0, 0, 0], 7843)), ..Config::default() };
        assert!(open.check().unwrap_err().to_string().contains("allow_plaintext"));
        let meshed = Config { allow_plaintext: true, ..open };
        assert!(meshed.check().is_ok());
    }

    #[test]
    fn all_wrong_settings_are_named_at_once() {
        let flags = [("listen", "0.0.0.0:1"), ("follow.stale_after_ms", "1"), ("decision_log.keep", "0")];
        let flags = flags.map(|(name, value)| (name, value.to_owned()));
        let error = Config::load(None, &flags).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines[0], "3 settings are wrong");
        for (line, name) in lines[1..].iter().zip(["stale_after_ms", "listen", "decision_log.keep"]) {
            assert!(line.contains(name), "{name}: {error}");
        }
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn wrong_settings_are_named_in_one_line() {
        for (name, value, part) in [
            ("listen", "nowhere", "listen"),
            ("database.url", "mysql://x", "database.url"),
            ("database.max_connections", "0", "max_connections"),
            ("follow.stale_after_ms", "1999", "stale_after_ms"),
            ("snapshot.interval_ms", "999", "interval_ms"),
            ("lisstten", "1", "lisstten"),
            ("log.format", "xml", "xml"),
            ("decision_log.to", "", "decision_log.to"),
            ("decision_log.allow_ratio", "1.5", "allow_ratio"),
            ("decision_log.deny_ratio", "-0.1", "deny_ratio"),
            ("decision_log.deny_ratio", "NaN", "deny_ratio"),
            ("decision_log.max_bytes", "1000", "max_bytes"),
            ("decision_log.keep", "0", "keep"),
            ("decision_log.queue_bytes", "1", "queue_bytes"),
            ("decision_log.file", "x", "file"),
        ] {
            let error = Config::load(None, &[(name, value.to_owned())]).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{name}: {error}");
        }
    }
}
