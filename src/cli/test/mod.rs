//! `peerage test`: holds what people expect of their policy against what the engine answers.
//!
//! A file has a world, in the words of `peerage apply`, and expectations of it. Both are read here and
//! decided here by the engine that serves decisions; no server and no database takes part. `run` reads
//! files, `stage` turns a world into facts, `read` and `expected` know how tests are written, `ask` puts
//! them, `coverage` counts grants, `report` says what came of it.

mod ask;
mod coverage;
mod expected;
mod given;
mod lists;
mod names;
mod near;
mod read;
mod report;
mod run;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use coverage::{Coverage, Scope};
use report::{Format, Report};
use run::{Suite, Wrong};

use super::output;

/// Some expectation does not hold, or too few grants are exercised.
const NOT_AS_EXPECTED: u8 = 1;

/// What is tested.
#[derive(Debug, Args)]
#[command(after_help = "A file has the sections of `peerage apply` or names a file that does, and `tests`:\n\n  \
    given:\n    \
    world: contoso.yaml\n  \
    tests:\n    \
    - title: Technicians order licenses once approved\n      \
    checks:\n        \
    - peer: emily@contosomsp.com\n          \
    account: contoso-corp\n          \
    expect:\n            \
    users.view: ALLOW\n            \
    licenses.order: { decision: REQUIRES_APPROVAL, role: opspilot365.technician }\n            \
    billing.view: NO_MATCHING_GRANT\n\n\
    Everything is decided here, by the engine that a server decides with: no server, no database.\n\
    docs/tests.md describes the format.\n\n\
    Examples:\n  \
    peerage test contoso.test.yaml\n  \
    peerage test tests/*.yaml --coverage --require-coverage 90\n  \
    peerage test tests/*.yaml --junit results.xml\n\n\
    Exit codes: 0 all expectations hold; 1 some do not, or too few grants are exercised; 2 a file is wrong\n\
    or cannot be read, and nothing was tested.")]
pub(crate) struct Arguments {
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How results are written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Writes JUnit's XML to a file as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Runs those tests alone whose title holds this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Says which grants no test exercises
    #[arg(long, value_enum, value_name = "SCOPE", num_args = 0..=1, require_equals = true, default_missing_value = "own")]
    coverage: Option<Scope>,
    /// Fails where fewer of a hundred grants are exercised
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    require_coverage: Option<u8>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let suites = match read(&arguments.files) {
        Ok(suites) => suites,
        Err(error) => {
            let text = report::broken(&format!("{error:#}"));
            if let Some(path) = &arguments.junit {
                write(path, &text)?;
            }
            if arguments.output == Format::Junit {
                output::write(&text)?;
            }
            return Err(error);
        }
    };
    let only = arguments.filter.as_deref();
    let ran: Vec<_> = suites.into_iter().map(|suite| run::run(suite, only)).collect::<anyhow::Result<_>>()?;
    let scope = arguments.coverage.or_else(|| arguments.require_coverage.map(|_| Scope::default()));
    let coverage = scope.map(|scope| {
        let mut coverage = Coverage::default();
        for one in &ran {
            coverage.add(&one.suite.world, &one.suite.stage, scope, &one.touched());
        }
        coverage
    });
    let report = Report { files: ran, coverage, required: arguments.require_coverage };
    if report.total() == 0 {
        anyhow::bail!(
            "there is nothing to test{}",
            only.map(|text| format!(" with `{text}` in its title")).unwrap_or_default()
        );
    }
    if let Some(path) = &arguments.junit {
        write(path, &report.write(Format::Junit)?)?;
    }
    output::write(&report.write(arguments.output)?)?;
    let is_right = report.failed() == 0 && report.is_covered();
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::from(NOT_AS_EXPECTED) })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Reads all files before anything is tested: what is wrong in any of them is said at once.
fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Suite>> {
    let (mut suites, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        match run::read(file)? {
            Ok(suite) => suites.push(suite),
            Err(Wrong(text)) => wrong.push(text),
        }
    }
    if wrong.is_empty() { Ok(suites) } else { Err(anyhow::anyhow!("{}", wrong.join("\n"))) }
}
