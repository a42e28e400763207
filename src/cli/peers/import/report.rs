//! What came of an import: each refused line as it is met, and a summary at the end.

use std::fs::File;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde_json::json;

use super::{Fault, Import};
use crate::cli::output::{self, Format, clean};
use crate::cli::peers::columns::{ERROR, LINE};
use crate::cli::sheet::{Line, SheetWriter};
use crate::cli::{FAILED, failure};

/// The exit code of an import that is not whole.
const PARTLY: u8 = 1;

/// How far an import came.
pub(super) struct Report {
    format: Format,
    dry_run: bool,
    progress: ProgressBar,
    errors: Option<SheetWriter<File>>,
    /// The places of the columns that a file of refused lines writes anew.
    remarks: Vec<usize>,
    made: u64,
    there: u64,
    refused: u64,
}

impl Report {
    pub(super) fn begin(
        format: Format,
        arguments: &Import,
        header: &[String],
        progress: ProgressBar,
    ) -> anyhow::Result<Self> {
        let is_remark = |name: &String| name == LINE || name == ERROR;
        let remarks = (0..).zip(header).filter(|(_, name)| is_remark(name)).map(|(place, _)| place).collect();
        let mut errors = None;
        if let Some(path) = &arguments.errors {
            let shown = path.display();
            let mut writer = SheetWriter::new(output::new_private_file(path)?, arguments.delimiter);
            let kept = header.iter().filter(|name| !is_remark(name)).map(String::as_str);
            writer.line(kept.chain([LINE, ERROR])).with_context(|| format!("cannot write `{shown}`"))?;
            errors = Some(writer);
        }
        Ok(Self { format, dry_run: arguments.dry_run, progress, errors, remarks, made: 0, there: 0, refused: 0 })
    }

    /// Shows how many bytes of the file are done.
    pub(super) fn at(&mut self, bytes: u64) -> anyhow::Result<()> {
        self.progress.set_position(bytes);
        self.progress.set_message(format!("{} peers", self.made.saturating_add(self.there)));
        match &mut self.errors {
            Some(errors) => errors.flush().context("cannot write the refused lines"),
            None => Ok(()),
        }
    }

    pub(super) fn made(&mut self) {
        self.made += 1;
    }

    pub(super) fn there(&mut self) {
        self.there += 1;
    }

    pub(super) fn refused(&mut self, line: &Line, user_name: &str, faults: &[Fault]) -> anyhow::Result<()> {
        self.refused += 1;
        let text = |fault: &Fault| {
            let column = if fault.column.is_empty() { String::new() } else { format!("{}: ", fault.column) };
            let reason = if fault.reason.is_empty() { String::new() } else { format!(" ({})", fault.reason) };
            format!("{column}{}{reason}", fault.why)
        };
        let texts: Vec<String> = faults.iter().map(text).collect();
        match self.format {
            Format::Table => self.progress.suspend(|| {
                let mut stderr = io::stderr().lock();
                texts.iter().try_for_each(|text| writeln!(stderr, "line {}: {}", line.number, clean(text)))
            })?,
            Format::Json => {
                let faults: Vec<_> = faults
                    .iter()
                    .map(|fault| json!({ "column": fault.column, "reason": fault.reason, "message": fault.why }))
                    .collect();
                let object = json!({ "line": line.number, "userName": user_name, "errors": faults });
                self.progress.suspend(|| output::write(&format!("{object}\n")))?;
            }
        }
        if let Some(errors) = &mut self.errors {
            let cells = (0..).zip(&line.cells).filter(|(place, _)| !self.remarks.contains(place));
            let (number, why) = (line.number.to_string(), texts.join("; "));
            let cells = cells.map(|(_, cell)| cell.as_str()).chain([number.as_str(), why.as_str()]);
            errors.line(cells).context("cannot write the refused lines")?;
        }
        Ok(())
    }

    /// Everything was read.
    pub(super) fn end(mut self) -> anyhow::Result<ExitCode> {
        self.summary(true)?;
        Ok(if self.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(PARTLY) })
    }

    /// The import could not go on, and does with the same command once `mended`.
    pub(super) fn stopped(mut self, why: &anyhow::Error, mended: &str) -> anyhow::Result<ExitCode> {
        self.progress.suspend(|| failure::report(why));
        if self.made + self.there + self.refused == 0 {
            self.progress.finish_and_clear();
            return Ok(ExitCode::from(FAILED));
        }
        self.summary(false)?;
        failure::hint(&format!(
            "{mended}the same command goes on from here: peers that are there already are passed over"
        ));
        Ok(ExitCode::from(PARTLY))
    }

    fn summary(&mut self, is_whole: bool) -> anyhow::Result<()> {
        self.progress.finish_and_clear();
        if let Some(errors) = &mut self.errors {
            errors.flush().context("cannot write the refused lines")?;
        }
        let Self { made, there, refused, dry_run, .. } = *self;
        match self.format {
            Format::Json => {
                let summary = json!({
                    "created": made, "alreadyThere": there, "refused": refused, "dryRun": dry_run, "complete": is_whole,
                });
                output::write(&format!("{}\n", json!({ "summary": summary })))
            }
            Format::Table => {
                let verb = if dry_run { "would be created" } else { "created" };
                let rest = if is_whole { "" } else { "; stopped in the middle" };
                output::write(&format!("{made} peers {verb}, {there} were there already, {refused} refused{rest}\n"))
            }
        }
    }
}
