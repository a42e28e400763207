//! `peerage audit tail`: the last events of a log, a line each, and those that come.
//!
//! What comes is streamed. Where the connection is lost or the server stops, the stream is opened anew
//! behind the last event that was printed, so that nothing is missed and nothing comes twice.

use std::io;
use std::time::Duration;

use clap::Args;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::super::connection::Connection;
use super::super::output::{self, Format};
use super::super::words::Word as _;
use super::super::{failure, names, time};
use crate::transport::grpc::pb;

/// The pause before the first attempt to go on, and the longest one.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// The account whose log is shown
    #[arg(long, default_value = "platform")]
    account: String,
    /// How many of the last events are shown
    #[arg(short = 'n', long, default_value_t = 10, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(0..=1000))]
    lines: u16,
    /// Shows everything after the event of this number instead
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..), conflicts_with = "lines")]
    after_seq: Option<i64>,
    /// Goes on with what comes, until it is interrupted
    #[arg(short, long)]
    follow: bool,
}

/// Whether somebody still reads what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

pub(super) async fn run(connection: &Connection, tail: Tail, format: Format) -> anyhow::Result<()> {
    let account = names::account(&tail.account);
    let mut printer = Printer { format, last: tail.after_seq.unwrap_or(0) };
    let reader = match tail.after_seq {
        Some(_) if tail.follow => Reader::There,
        Some(_) => rest(connection, &account, &mut printer).await?,
        None => last_ones(connection, &account, usize::from(tail.lines), &mut printer).await?,
    };
    if tail.follow && reader == Reader::There {
        follow(connection, &account, &mut printer).await?;
    }
    Ok(())
}

/// Prints the last events of a log, and notes the number of the last one even where none is wanted.
async fn last_ones(
    connection: &Connection,
    account: &str,
    count: usize,
    printer: &mut Printer,
) -> anyhow::Result<Reader> {
    let mut client = connection.audit();
    let mut events: Vec<pb::AuditEvent> = Vec::new();
    let mut page_token = String::new();
    loop {
        let wanted = count.max(1) - events.len();
        let request = pb::ListAuditEventsRequest {
            account: account.to_owned(),
            order_by: "record_time desc".to_owned(),
            page_size: i32::try_from(count.max(1)).unwrap_or(i32::MAX),
            page_token,
            ..Default::default()
        };
        let page = client.list_audit_events(request).await?.into_inner();
        events.extend(page.audit_events.into_iter().take(wanted));
        page_token = page.next_page_token;
        if page_token.is_empty() || events.len() >= count.max(1) {
            break;
        }
    }
    for event in events.iter().take(count).rev() {
        if printer.write(event)? == Reader::Gone {
            return Ok(Reader::Gone);
        }
    }
    printer.last = events.first().map_or(0, |event| event.seq);
    Ok(Reader::There)
}

/// Prints what is there behind a number.
async fn rest(connection: &Connection, account: &str, printer: &mut Printer) -> anyhow::Result<Reader> {
    let mut client = connection.audit();
    let start_seq = printer.last.saturating_add(1);
    let mut page_token = String::new();
    loop {
        let request = pb::ListAuditEventsRequest {
            account: account.to_owned(),
            start_seq,
            page_size: 500,
            page_token,
            ..Default::default()
        };
        let page = client.list_audit_events(request).await?.into_inner();
        for event in &page.audit_events {
            if printer.write(event)? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        if page.next_page_token.is_empty() {
            return Ok(Reader::There);
        }
        page_token = page.next_page_token;
    }
}

/// Prints what comes, for as long as somebody reads it.
async fn follow(connection: &Connection, account: &str, printer: &mut Printer) -> anyhow::Result<()> {
    let mut pause = PAUSE.0;
    loop {
        let before = printer.last;
        match stream(connection, account, printer).await {
            Ok(Reader::Gone) => return Ok(()),
            Ok(Reader::There) => {}
            Err(Failure::Call(status)) if is_passing(&status) => {
                let why = failure::short(&status);
                output::note(&format!("the stream ended ({why}); going on after {}", printer.last))?;
            }
            Err(Failure::Call(status)) => return Err((*status).into()),
            Err(Failure::Output(error)) => return Err(error),
        }
        if printer.last > before {
            pause = PAUSE.0;
        }
        tokio::time::sleep(pause).await;
        pause = PAUSE.1.min(pause * 2);
    }
}

/// Why a stream is not followed.
enum Failure {
    Call(Box<Status>),
    Output(anyhow::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status))
    }
}

async fn stream(connection: &Connection, account: &str, printer: &mut Printer) -> Result<Reader, Failure> {
    let request = pb::WatchAuditEventsRequest { account: account.to_owned(), after_seq: printer.last, new_only: false };
    let mut events = connection.audit().watch_audit_events(request).await?.into_inner();
    while let Some(message) = events.message().await? {
        let Some(event) = message.audit_event else { continue };
        if printer.write(&event).map_err(Failure::Output)? == Reader::Gone {
            return Ok(Reader::Gone);
        }
    }
    Ok(Reader::There)
}

/// Whether the same call may do better a moment later: here, or at another process of the deployment.
fn is_passing(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::DeadlineExceeded => true,
        // What the server did not say itself came of a connection that broke.
        Code::Unknown | Code::Internal | Code::Cancelled => status.get_details_error_info().is_none(),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Writes events, and remembers the last one.
struct Printer {
    format: Format,
    last: i64,
}

impl Printer {
    fn write(&mut self, event: &pb::AuditEvent) -> anyhow::Result<Reader> {
        let line = match self.format {
            Format::Table => {
                output::clean(&format!(
                    "{}  {:>6}  {:<7}  {}",
                    time::show(event.occur_time.as_ref()),
                    event.seq,
                    pb::AuditOutcome::of(event.outcome),
                    event.summary
                )) + "\n"
            }
            Format::Json => output::json_line(event)?,
        };
        match output::deliver(&line) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Reader::Gone),
            Err(error) => return Err(error.into()),
        }
        self.last = event.seq;
        Ok(Reader::There)
    }
}
