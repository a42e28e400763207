//! For build servers: JUnit's XML, a suite for each file, a case for each expectation.
//!
//! Coverage that is required and not reached is a case of its own, so that a build that fails says why.

use super::Report;
use crate::cli::test::run::{Case, Ran};

pub(super) fn write(report: &Report) -> String {
    let missed = usize::from(!report.is_covered());
    let with_coverage = usize::from(report.required.is_some());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (total, failed) = (report.total() + with_coverage, report.failed() + missed);
    text.push_str(&format!(
        "<testsuites name=\"peerage test\" tests=\"{total}\" failures=\"{failed}\" errors=\"0\">\n"
    ));
    for ran in &report.files {
        let (file, tests, failures) = (escaped(&ran.suite.file), ran.cases.len(), ran.failed());
        text.push_str(&format!(
            "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n"
        ));
        text.extend(ran.cases.iter().map(|case| self::case(ran, case)));
        text.push_str("  </testsuite>\n");
    }
    text.push_str(&coverage(report));
    text.push_str("</testsuites>\n");
    text
}

/// Of files that cannot be tested: one error, so that nobody takes the results of last time for these.
pub(super) fn broken(why: &str) -> String {
    let why = escaped(why.trim_end());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"peerage test\" tests=\"1\" failures=\"0\" errors=\"1\">\n  \
         <testsuite name=\"peerage test\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n    \
         <testcase classname=\"peerage test\" name=\"the files can be tested\">\n      \
         <error type=\"file\" message=\"nothing was tested\">{why}</error>\n    </testcase>\n  \
         </testsuite>\n</testsuites>\n"
    )
}

fn case(ran: &Ran, case: &Case) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"",
        escaped(ran.title(case)),
        escaped(&case.show()),
        escaped(&ran.suite.file),
        case.question.line
    );
    if case.holds() {
        return format!("{head}/>\n");
    }
    let message = case.outcome.differences.join("; ");
    let body = format!(
        "{}:{}\n{}\n{}",
        ran.suite.file,
        case.question.line,
        case.outcome.differences.join("\n"),
        case.outcome.why
    );
    format!(
        "{head}>\n      <failure type=\"expectation\" message=\"{}\">{}</failure>\n    </testcase>\n",
        escaped(&message),
        escaped(body.trim_end())
    )
}

fn coverage(report: &Report) -> String {
    let (Some(coverage), Some(required)) = (&report.coverage, report.required) else { return String::new() };
    let failed = usize::from(!report.is_covered());
    let mut text =
        format!("  <testsuite name=\"coverage\" tests=\"1\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">\n");
    let head = format!("    <testcase classname=\"coverage\" name=\"at least {required} % of the grants\"");
    if report.is_covered() {
        text.push_str(&format!("{head}/>\n"));
    } else {
        let message = format!("{} % are exercised, {required} % are required", coverage.percent());
        text.push_str(&format!("{head}>\n      <failure type=\"coverage\" message=\"{message}\"/>\n    </testcase>\n"));
    }
    text.push_str("  </testsuite>\n");
    text
}

/// Text that may stand in an attribute or between tags. What XML cannot hold at all becomes `\u{fffd}`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            one if one.is_control() => escaped.push('\u{fffd}'),
            one => escaped.push(one),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(
            escaped("a<b> & \"c\"\u{1}\u{85}\u{ffff}\nd"),
            "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}\u{fffd}\u{fffd}&#10;d"
        );
    }
}
