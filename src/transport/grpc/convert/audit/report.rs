//! Events that other services report.

use std::net::IpAddr;

use crate::application::audit::Report;
use crate::domain::audit::{Change, Outcome, Personal, Target, Text};
use crate::domain::invalid::Invalid;
use crate::domain::peer::FIELD_MAX;
use crate::domain::permission::PermissionName;
use crate::domain::text;
use crate::transport::grpc::convert::{self, Fields};
use crate::transport::grpc::pb;

const EVENTS_MAX: usize = 200;
const CHANGES_MAX: usize = 100;
/// Bounds of texts, in characters.
const VALUE_MAX: usize = 4096;
const TARGET_MAX: usize = 512;
const KIND_MAX: usize = 64;
const PATH_MAX: usize = 255;
const REASON_MAX: usize = 127;
const JUSTIFICATION_MAX: usize = 1024;

/// Reads the events of a request.
pub fn reports(fields: &mut Fields, request: &pb::RecordEventsRequest) -> Option<Vec<Report>> {
    fields.at_most("events", &request.events, EVENTS_MAX);
    if request.events.is_empty() {
        fields.refuse("events", Invalid::Missing);
    }
    let read = |(place, event)| report(&mut Reader { fields: &mut *fields, at: format!("events[{place}]") }, event);
    let read: Vec<Option<Report>> = request.events.iter().take(EVENTS_MAX).enumerate().map(read).collect();
    read.into_iter().collect()
}

/// Reads the fields of one event.
struct Reader<'a> {
    fields: &'a mut Fields,
    at: String,
}

impl Reader<'_> {
    fn path(&self, field: &str) -> String {
        format!("{}.{field}", self.at)
    }

    fn required<T>(&mut self, field: &str, text: &str, parse: impl FnOnce(&str) -> Result<T, Invalid>) -> Option<T> {
        let path = self.path(field);
        self.fields.required(path, text, parse)
    }

    fn optional<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        let path = self.path(field);
        self.fields.optional(path, text, parse)
    }

    fn personal(&mut self, field: &str, text: &str, max: usize) -> Option<Option<Personal>> {
        self.optional(field, text, |text| text::paragraph(text, max).map(Personal::new))
    }

    /// A text that may be unset.
    fn text(&mut self, field: &str, reported: Option<&pb::ReportedText>, max: usize) -> Option<Option<Text>> {
        self.reported(field, reported, |text| text::paragraph(text, max))
    }

    /// As [`Reader::text`], on one line: what stands in sentences.
    fn line(&mut self, field: &str, reported: Option<&pb::ReportedText>, max: usize) -> Option<Option<Text>> {
        self.reported(field, reported, |text| text::line(text, max))
    }

    fn reported(
        &mut self,
        field: &str,
        reported: Option<&pb::ReportedText>,
        read: impl FnOnce(&str) -> Result<String, Invalid>,
    ) -> Option<Option<Text>> {
        let Some(reported) = reported else { return Some(None) };
        let path = self.path(&format!("{field}.value"));
        let value = self.fields.take(path, read(&reported.value))?;
        Some(Some(if reported.public { Text::public(value) } else { Text::personal(value) }))
    }

    fn change(&mut self, place: usize, change: &pb::ReportedChange) -> Option<Change> {
        let at = format!("changes[{place}]");
        let field = self.required(&format!("{at}.field"), &change.field, |text| {
            let fits = |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '.' | '-');
            bounded(text, PATH_MAX, fits, "letters, digits, `_`, `.` and `-`")
        });
        let before = self.text(&format!("{at}.before"), change.before.as_ref(), VALUE_MAX);
        let after = self.text(&format!("{at}.after"), change.after.as_ref(), VALUE_MAX);
        if change.before.is_none() && change.after.is_none() {
            let path = self.path(&format!("{at}.after"));
            self.fields.refuse(path, Invalid::Missing);
        }
        Some(Change { field: field?, before: before?, after: after? })
    }
}

fn report(reader: &mut Reader<'_>, event: &pb::ReportedEvent) -> Option<Report> {
    let account = reader.required("account", &event.account, convert::account_name);
    let path = reader.path("occur_time");
    let occurred_time = reader.fields.time(path, event.occur_time.as_ref());
    let actor = reader.optional("actor", &event.actor, convert::peer_name);
    let on_behalf_of = reader.optional("on_behalf_of", &event.on_behalf_of, convert::peer_name);
    let action =
        reader.required("action", &event.action, |text| PermissionName::parse(text).map(|name| name.to_string()));
    let target = target(reader, event);
    let outcome = outcome(reader, event);
    let justification = reader.personal("justification", &event.justification, JUSTIFICATION_MAX);
    let source_address = reader.optional("source_address", &event.source_address, |text| {
        let address = text.parse::<IpAddr>().map_err(|_| Invalid::Form { form: "an IP address" })?;
        Ok(Personal::new(address.to_string()))
    });
    let user_agent = reader.personal("user_agent", &event.user_agent, FIELD_MAX);
    let trace_id = reader.optional("trace_id", &event.trace_id, trace_id);
    let path = reader.path("changes");
    reader.fields.at_most(path, &event.changes, CHANGES_MAX);
    let changes = event.changes.iter().take(CHANGES_MAX).enumerate();
    let changes: Vec<Option<Change>> = changes.map(|(place, change)| reader.change(place, change)).collect();
    Some(Report {
        account: account?,
        occurred_time: occurred_time?,
        actor: actor?,
        on_behalf_of: on_behalf_of?,
        action: action?,
        target: target?,
        outcome: outcome?,
        justification: justification?,
        source_address: source_address?,
        user_agent: user_agent?,
        trace_id: trace_id?,
        changes: changes.into_iter().collect::<Option<_>>()?,
    })
}

fn target(reader: &mut Reader<'_>, event: &pb::ReportedEvent) -> Option<Target> {
    let kind = reader.required("target_kind", &event.target_kind, |text| {
        let fits = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_';
        bounded(text, KIND_MAX, fits, "a word in snake case")
    });
    let name = event.target_name.as_ref().filter(|name| !name.value.trim().is_empty());
    if name.is_none() {
        let path = reader.path("target_name.value");
        reader.fields.refuse(path, Invalid::Missing);
    }
    let name = reader.line("target_name", name, TARGET_MAX);
    let display_name = reader.optional("target_display_name", &event.target_display_name, |text| {
        text::line(text, FIELD_MAX).map(Personal::new)
    });
    Some(Target { display_name: display_name?, ..Target::new(kind?, name??) })
}

fn outcome(reader: &mut Reader<'_>, event: &pb::ReportedEvent) -> Option<Outcome> {
    let fits = |one: char| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_';
    let read = |text: &str| bounded(text, REASON_MAX, fits, "a code in capital letters, digits and `_`");
    let outcome = match pb::AuditOutcome::try_from(event.outcome) {
        Ok(outcome) => outcome,
        Err(_) => {
            let path = reader.path("outcome");
            reader.fields.refuse(path, Invalid::Unknown { choices: "SUCCESS, DENIED, FAILED" });
            reader.optional("reason", &event.reason, read);
            return None;
        }
    };
    match outcome {
        pb::AuditOutcome::Unspecified | pb::AuditOutcome::Success => {
            let reason = reader.optional("reason", &event.reason, read)?;
            if reason.is_some() {
                let path = reader.path("reason");
                reader.fields.refuse(path, Invalid::NotAllowed { why: "an act that succeeded has no such reason" });
            }
            Some(Outcome::Success)
        }
        pb::AuditOutcome::Denied => Some(Outcome::Denied { reason: reader.required("reason", &event.reason, read)? }),
        pb::AuditOutcome::Failed => Some(Outcome::Failed { reason: reader.required("reason", &event.reason, read)? }),
    }
}

fn bounded(text: &str, max: usize, fits: impl Fn(char) -> bool, form: &'static str) -> Result<String, Invalid> {
    if text.len() > max {
        Err(Invalid::TooLong { max })
    } else if text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(Invalid::Form { form })
    }
}

fn trace_id(text: &str) -> Result<String, Invalid> {
    let fits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    // W3C Trace Context, section 3.2.2.3: all zeros are no trace.
    let is_some = text.bytes().any(|byte| byte != b'0');
    let form = "32 lower-case hexadecimal digits, not all of them 0";
    if fits && is_some { Ok(text.to_owned()) } else { Err(Invalid::Form { form }) }
}
