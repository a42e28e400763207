//! Errors for people: one block on stderr with the code, the reason, every bad field and what to do.

use std::io::{self, Write as _};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::names;
use super::output::clean;

/// Writes an error to stderr. There is nobody to tell where that fails.
pub(crate) fn report(error: &anyhow::Error) {
    let _ = io::stderr().lock().write_all(block(error).as_bytes());
}

/// Writes to stderr what may help with an answer that is no failure.
pub(crate) fn hint(text: &str) {
    let _ = writeln!(io::stderr().lock(), "hint: {}", clean(text));
}

/// The text of an error, with a line feed at its end.
pub(crate) fn block(error: &anyhow::Error) -> String {
    let Some(status) = error.downcast_ref::<Status>() else {
        // A list of problems has a line each; within a line nothing may drive the terminal.
        let lines: Vec<_> = format!("{error:#}").lines().map(clean).collect();
        return format!("error: {}\n", lines.join("\n"));
    };
    // The context that anyhow holds says what was tried; the status says what came of it.
    let context = error.to_string();
    let mut text = match &context {
        same if *same == status.to_string() => String::from("error: "),
        context => format!("error: {}: ", clean(context)),
    };
    text.push_str(&clean(status.message()));
    text.push('\n');
    for line in details(status) {
        text.push_str(&format!("  {}\n", clean(&line)));
    }
    text
}

/// What a status says beside its message, a line each.
pub(crate) fn details(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let mut lines = vec![match details.error_info() {
        Some(info) => format!("{} ({})", code_name(status.code()), info.reason),
        None => code_name(status.code()),
    }];
    if let Some(bad) = details.bad_request() {
        lines.extend(bad.field_violations.iter().map(|one| format!("field `{}`: {}", one.field, one.description)));
    }
    if let Some(failure) = details.precondition_failure() {
        lines.extend(
            failure.violations.iter().map(|one| format!("{}: {}: {}", one.r#type, one.subject, one.description)),
        );
    }
    if let Some(info) = details.error_info() {
        let mut values: Vec<_> = info.metadata.iter().collect();
        values.sort();
        lines.extend(values.into_iter().map(|(key, value)| format!("{key}: {value}")));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        lines.push(format!("try again in {} s", delay.as_secs_f64().ceil()));
    }
    let resource = details.error_info().and_then(|info| info.metadata.get("resource"));
    if status.code() == Code::NotFound
        && let Some(hint) = resource.and_then(|name| names::unknown_peer(name))
    {
        lines.push(hint);
    }
    let is_inactive = details.error_info().is_some_and(|info| info.reason == "CALLER_INACTIVE");
    if let Some(advice) = advice(status.code(), is_inactive) {
        lines.push(advice.to_owned());
    }
    lines
}

/// The code, and the reason where there is one: for one line.
pub(crate) fn short(status: &Status) -> String {
    match status.get_details_error_info() {
        Some(info) => format!("{} ({})", code_name(status.code()), info.reason),
        None => code_name(status.code()),
    }
}

fn advice(code: Code, is_inactive: bool) -> Option<&'static str> {
    match code {
        Code::Unauthenticated if is_inactive => {
            Some("the key is right; its peer is disabled or over, or its home account is suspended")
        }
        Code::Unauthenticated => Some("check PEERAGE_API_KEY, or the file that PEERAGE_API_KEY_FILE names"),
        Code::NotFound => Some("it is missing, or you may not view it: the two look the same"),
        Code::DeadlineExceeded => Some("`--timeout` gives it more time"),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => None,
    }
}

/// `PermissionDenied` as `PERMISSION_DENIED`, the way the contract writes it.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(character.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    #[test]
    fn a_status_becomes_one_block() {
        let mut details = ErrorDetails::with_bad_request(vec![
            FieldViolation::new("peer.email", "must look like an e-mail address"),
            FieldViolation::new("peer.country", "must be at most 2 characters long"),
        ]);
        details.set_error_info("INVALID_FIELDS", "peerage", [("request_id".to_owned(), "7".to_owned())]);
        let status = Status::with_error_details(Code::InvalidArgument, "fields are wrong", details);
        let text = block(&anyhow::Error::new(status).context("cannot create the peer"));
        assert_eq!(
            text,
            "error: cannot create the peer: fields are wrong\n  INVALID_ARGUMENT (INVALID_FIELDS)\n  \
             field `peer.email`: must look like an e-mail address\n  \
             field `peer.country`: must be at most 2 characters long\n  request_id: 7\n"
        );
    }

    #[test]
    fn other_errors_say_their_causes() {
        let error = anyhow::anyhow!("refused").context("cannot reach the server");
        assert_eq!(block(&error), "error: cannot reach the server: refused\n");
    }
}
