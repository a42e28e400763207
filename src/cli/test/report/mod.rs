//! What came of the tests, for people, for scripts and for build servers.

mod json;
mod junit;
mod text;

use clap::ValueEnum;

use super::coverage::Coverage;
use super::run::Ran;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// What does not hold, with the reason; for people
    #[default]
    Text,
    /// Every expectation with its answer, for scripts
    Json,
    /// JUnit's XML, for build servers
    Junit,
}

/// What came of all files.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) files: Vec<Ran>,
    /// Where it was asked for.
    pub(super) coverage: Option<Coverage>,
    /// The least share of grants that must be exercised.
    pub(super) required: Option<u8>,
}

/// What build servers are told of files that cannot be tested.
pub(super) fn broken(why: &str) -> String {
    junit::broken(why)
}

impl Report {
    pub(super) fn total(&self) -> usize {
        self.files.iter().map(|ran| ran.cases.len()).sum()
    }

    pub(super) fn failed(&self) -> usize {
        self.files.iter().map(Ran::failed).sum()
    }

    /// Whether as many grants are exercised as must be.
    pub(super) fn is_covered(&self) -> bool {
        match (&self.coverage, self.required) {
            (Some(coverage), Some(percent)) => coverage.reaches(percent),
            _ => true,
        }
    }

    pub(super) fn write(&self, format: Format) -> anyhow::Result<String> {
        Ok(match format {
            Format::Text => text::write(self),
            Format::Json => json::write(self)?,
            Format::Junit => junit::write(self),
        })
    }
}
