//! For people: nothing of what holds but its number; of what does not, all that explains it.

use super::Report;
use crate::cli::output::clean;
use crate::cli::test::run::{Case, Ran};

pub(super) fn write(report: &Report) -> String {
    let mut text = String::new();
    for ran in &report.files {
        for case in ran.cases.iter().filter(|case| !case.holds()) {
            text.push_str(&failed(ran, case));
        }
    }
    for ran in &report.files {
        let (total, failed) = (ran.cases.len(), ran.failed());
        text.push_str(&format!("{}: {} of {total} hold\n", clean(&ran.suite.file), total - failed));
    }
    text.push_str(&coverage(report));
    let (total, failed) = (report.total(), report.failed());
    text.push_str(&match failed {
        0 => format!("All {total} expectations hold.\n"),
        _ => format!("{failed} of {total} expectations do not hold.\n"),
    });
    text
}

fn failed(ran: &Ran, case: &Case) -> String {
    let at = format!("{}:{}", ran.suite.file, case.question.line);
    let mut text = format!("FAILED {}: {}\n  {}\n", clean(&at), clean(ran.title(case)), clean(&case.show()));
    for difference in &case.outcome.differences {
        text.push_str(&format!("  {}\n", clean(difference)));
    }
    if !case.outcome.why.is_empty() {
        text.push_str("  why:\n");
        text.extend(case.outcome.why.lines().map(|line| format!("    {}\n", clean(line))));
    }
    text.push('\n');
    text
}

fn coverage(report: &Report) -> String {
    let Some(coverage) = &report.coverage else { return String::new() };
    let (exercised, total) = (coverage.exercised(), coverage.grants.len());
    let mut text = format!("Coverage: {exercised} of {total} grants exercised ({} %)", coverage.percent());
    text.push_str(&match report.required {
        Some(percent) if !report.is_covered() => format!(", {percent} % are required\n"),
        _ => "\n".to_owned(),
    });
    for (key, grant) in &coverage.grants {
        let Some(lack) = grant.lack() else { continue };
        let condition = if grant.is_conditional { " when ..." } else { "" };
        let line =
            format!("{} {}{condition}, grant {} of {}: {lack}", grant.effect, grant.pattern, key.place, key.role);
        text.push_str(&format!("  {}: {}\n", clean(&key.world), clean(&line)));
    }
    text
}
