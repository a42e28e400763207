//! `peerage audit`: what was done, in sentences for people and whole events for scripts.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use prost_types::Timestamp;

use super::connection::{Connection, Server};
use super::output::{self, Format};
use super::words::{AuditOutcome, Word as _};
use super::{names, page, time};
use crate::transport::grpc::pb;

mod tail;

/// What to show of the audit logs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage audit list --account contoso-msp --descendants --limit 20\n  \
    peerage audit list --account contoso-corp --query jane@contoso.com\n  \
    peerage audit list --actor emily@contosomsp.com --from 2026-11-01T00:00:00Z --outcome denied\n  \
    peerage audit list --action peers.create --oldest-first -o json\n  \
    peerage audit tail --account contoso-corp --follow\n  \
    peerage audit tail --account contoso-corp --after-seq 41 --follow -o json")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists events, the newest first
    List(Box<List>),
    /// Shows the last events of one account's log, and with --follow those that come
    Tail(tail::Tail),
}

#[derive(Debug, Args)]
struct List {
    /// The account whose log is listed
    #[arg(long, default_value = "platform")]
    account: String,
    /// Lists the events of the logs below it too
    #[arg(long)]
    descendants: bool,
    /// Lists what happened at this time or later
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    from: Option<Timestamp>,
    /// Lists what happened before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<Timestamp>,
    /// Who did it: a user name, a uid or `me`
    #[arg(long)]
    actor: Option<String>,
    /// Which service reported it, likewise
    #[arg(long)]
    reporter: Option<String>,
    /// What was done, such as `peers.create`
    #[arg(long)]
    action: Option<String>,
    /// What it was done to, by its resource name; use --query for names of people
    #[arg(long)]
    target: Option<String>,
    #[arg(long, value_enum, ignore_case = true)]
    outcome: Option<AuditOutcome>,
    /// Why it did not succeed, such as `PERMISSION_DENIED`
    #[arg(long)]
    reason: Option<String>,
    /// More to filter by, such as `reporter:* OR outcome != SUCCESS`
    #[arg(long)]
    filter: Option<String>,
    /// Lists only events with this text in a name, the action, the reason or what was changed
    #[arg(long, default_value = "")]
    query: String,
    /// Lists the oldest first
    #[arg(long)]
    oldest_first: bool,
    #[command(flatten)]
    limit: page::Limit,
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(server).await?;
    match arguments.action {
        Action::List(list) => run_list(&connection, *list, format).await?,
        Action::Tail(tail) => tail::run(&connection, tail, format).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_list(connection: &Connection, list: List, format: Format) -> anyhow::Result<()> {
    let request = pb::ListAuditEventsRequest {
        account: names::account(&list.account),
        filter: filter(connection, &list).await?,
        query: list.query,
        include_descendants: list.descendants,
        order_by: if list.oldest_first { "record_time" } else { "record_time desc" }.to_owned(),
        ..Default::default()
    };
    let mut client = connection.audit();
    let events = page::follow(list.limit.count, async |page_size, page_token: String| {
        let request = pb::ListAuditEventsRequest { page_size, page_token, ..request.clone() };
        let page = client.list_audit_events(request).await?.into_inner();
        Ok((page.audit_events, page.next_page_token))
    })
    .await?;
    output::list(format, &events, &["TIME", "LOG", "SEQ", "OUTCOME", "WHAT"], |event| {
        vec![
            time::show(event.occur_time.as_ref()),
            names::short(&event.account).to_owned(),
            event.seq.to_string(),
            pb::AuditOutcome::of(event.outcome),
            event.summary.clone(),
        ]
    })
}

async fn filter(connection: &Connection, list: &List) -> anyhow::Result<String> {
    let at = |time: &Timestamp| time.to_string();
    let is = |field: &str, value: &str| format!("{field} = {}", quoted(value));
    let outcome = list.outcome.and_then(|outcome| pb::AuditOutcome::try_from(outcome.number()).ok());
    let actor = peer(connection, list.actor.as_deref()).await?;
    let reporter = peer(connection, list.reporter.as_deref()).await?;
    let parts = [
        list.from.as_ref().map(|time| format!("occur_time >= \"{}\"", at(time))),
        list.until.as_ref().map(|time| format!("occur_time < \"{}\"", at(time))),
        actor.map(|peer| is("actor", &peer)),
        reporter.map(|peer| is("reporter", &peer)),
        list.action.as_ref().map(|action| is("action", action)),
        list.target.as_ref().map(|target| is("target", target)),
        outcome.map(|outcome| is("outcome", outcome.word())),
        list.reason.as_ref().map(|reason| is("reason", reason)),
        // `AND` binds loosest, so that no parentheses are needed around what was typed.
        list.filter.clone(),
    ];
    Ok(parts.into_iter().flatten().collect::<Vec<_>>().join(" AND "))
}

/// A string of the filter language.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The name of a peer as logs write it.
async fn peer(connection: &Connection, typed: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(typed) = typed else { return Ok(None) };
    let name = names::peer(typed);
    if !name.starts_with("peers/@") {
        return Ok(Some(name));
    }
    let request = pb::GetPeerRequest { name, read_mask: None };
    Ok(Some(connection.peers().get_peer(request).await?.into_inner().name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_a_value() {
        assert_eq!(quoted(r#"a" OR b \ "#), r#""a\" OR b \\ ""#);
    }
}
