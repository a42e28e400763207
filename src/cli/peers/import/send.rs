//! Batches on their way: sent until they are answered, and what was there already told from what
//! cannot be.

use std::time::Duration;

use futures_util::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::report::Report;
use super::{Fault, Reader, Row};
use crate::application::{Clock, Entropy};
use crate::cli::connection::Connection;
use crate::cli::peers::access;
use crate::cli::peers::columns::{self, Wish};
use crate::transport::grpc::pb;
use pb::batch_create_peers_result::Result as ItemResult;

/// How often a call is tried before the import stops.
const TRIES: u32 = 8;
/// How long the first pause between two tries is; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(200);
/// How many peers that are there already are looked at side by side.
const LOOKS: usize = 16;

/// Sends the lines that are right by themselves, and reports on all, in the order of the file.
///
/// # Errors
/// What ends the import.
pub(super) async fn send(
    connection: &Connection,
    reader: &Reader,
    rows: Vec<Row>,
    validate_only: bool,
    report: &mut Report,
) -> Result<(), Status> {
    let requests: Vec<Wish> = rows.iter().filter_map(|row| row.wish.as_ref().ok().cloned()).collect();
    let mut results = Vec::new().into_iter();
    if !requests.is_empty() {
        let request_id = Entropy.uuid(Clock::System.now()).map_err(internal)?.to_string();
        let request = pb::BatchCreatePeersRequest { requests, request_id, validate_only };
        // Under its request id a batch is made once, however often it comes.
        let answer = patiently(async || connection.peers().batch_create_peers(request.clone()).await).await?;
        results = answer.into_inner().results.into_iter();
    }
    let judged = rows.into_iter().map(|row| {
        let outcome = match &row.wish {
            Ok(_) => match results.next().and_then(|result| result.result) {
                Some(ItemResult::Peer(_)) => Ok(()),
                Some(ItemResult::Error(error)) => Err(Some(status(&error))),
                None => Err(Some(Status::internal("the server answered fewer peers than it was asked for"))),
            },
            Err(_) => Err(None),
        };
        judge(connection, reader, row, outcome)
    });
    let judged: Vec<_> = judged.collect();
    let mut judged = futures_util::stream::iter(judged).buffered(LOOKS);
    while let Some((row, outcome)) = judged.next().await {
        match outcome? {
            Outcome::Made => report.made(),
            Outcome::There => report.there(),
            Outcome::Refused(faults) => {
                let user_name = row.wish.as_ref().ok().and_then(|wish| wish.peer.as_ref());
                let user_name = user_name.map(|peer| peer.user_name.as_str()).unwrap_or_default();
                report.refused(&row.line, user_name, &faults).map_err(|error| Status::unknown(format!("{error:#}")))?;
            }
        }
    }
    Ok(())
}

enum Outcome {
    Made,
    There,
    Refused(Vec<Fault>),
}

async fn judge(
    connection: &Connection,
    reader: &Reader,
    row: Row,
    outcome: Result<(), Option<Status>>,
) -> (Row, Result<Outcome, Status>) {
    let judged = match (&row.wish, outcome) {
        (Err(faults), _) => Ok(Outcome::Refused(faults.clone())),
        (Ok(_), Ok(())) => Ok(Outcome::Made),
        (Ok(wish), Err(Some(status))) if status.code() == Code::AlreadyExists => {
            patiently(async || look(connection, reader, wish, &status).await).await
        }
        (Ok(_), Err(status)) => Ok(Outcome::Refused(status.iter().flat_map(faults).collect())),
    };
    (row, judged)
}

/// Compares a peer that is there already with what a line says.
async fn look(connection: &Connection, reader: &Reader, wish: &Wish, taken: &Status) -> Result<Outcome, Status> {
    let user_name = wish.peer.as_ref().map(|peer| peer.user_name.as_str()).unwrap_or_default();
    let found = match get(connection, &format!("peers/@{user_name}")).await {
        Ok(found) => found,
        // Its name is taken, and that is all that the caller may know.
        Err(status) if is_about_the_line(&status) => return Ok(Outcome::Refused(faults(taken))),
        Err(status) => return Err(status),
    };
    let listed = match wish.access.as_ref().and_then(|access| access.scope.as_ref()) {
        Some(pb::peer_access::Scope::Accounts(list)) => list.accounts.as_slice(),
        Some(pb::peer_access::Scope::All(_)) | None => &[],
    };
    let access = match access::at(connection, &found, listed).await {
        Ok(access) => access,
        Err(status) if is_about_the_line(&status) => None,
        Err(status) => return Err(status),
    };
    let is_deleted = found.state() == pb::PeerState::Deleted;
    let mut there = access::wish(found, access);
    // A line may name the same human's other peer in several ways.
    let person = wish.peer.as_ref().map(|peer| peer.person.clone()).filter(|person| !person.is_empty());
    if let (Some(person), Some(peer)) = (person, there.peer.as_mut())
        && get(connection, &person).await.is_ok_and(|found| found.name == peer.person)
    {
        peer.person = person;
    }
    let differences = reader.differences(wish, &there);
    if differences.is_empty() && !is_deleted {
        return Ok(Outcome::There);
    }
    let why = if is_deleted { "is that of a deleted peer" } else { "is that of a peer that is not as this line says" };
    let mut found = faults(taken);
    for fault in &mut found {
        fault.column = "user_name".to_owned();
        fault.why = match differences.as_slice() {
            [] => why.to_owned(),
            differences => format!("{why}: {}", differences.join(", ")),
        };
    }
    Ok(Outcome::Refused(found))
}

async fn get(connection: &Connection, name: &str) -> Result<pb::Peer, Status> {
    let request = pb::GetPeerRequest { name: name.to_owned(), read_mask: None };
    connection.peers().get_peer(request).await.map(tonic::Response::into_inner)
}

/// Whether a refusal says something about one peer, and not about the server or the caller's key.
fn is_about_the_line(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::PermissionDenied | Code::InvalidArgument)
}

/// What a status says is wrong with a line, by column.
fn faults(status: &Status) -> Vec<Fault> {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    if violations.is_empty() {
        return vec![Fault { column: String::new(), why: status.message().to_owned(), reason }];
    }
    let fault = |violation: &tonic_types::FieldViolation| Fault {
        column: columns::of_field(&violation.field).to_owned(),
        why: violation.description.clone(),
        reason: reason.clone(),
    };
    violations.iter().map(fault).collect()
}

/// Calls until there is an answer: a call that a server with too much to do turned away is good again
/// after a while.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let mut pause = PAUSE;
    for _ in 1..TRIES {
        match call().await {
            Err(status) if is_passing(&status) => {
                let asked = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
                tokio::time::sleep(asked.unwrap_or_default().max(pause)).await;
                pause = pause.saturating_mul(2);
            }
            answered => return answered,
        }
    }
    call().await
}

fn is_passing(status: &Status) -> bool {
    let codes = [Code::Unavailable, Code::Aborted, Code::ResourceExhausted, Code::DeadlineExceeded];
    let is_too_large = status.get_details_error_info().is_some_and(|info| info.reason == "LIMIT_REACHED");
    codes.contains(&status.code()) && !is_too_large
}

fn status(error: &tonic_types::Status) -> Status {
    let details = prost::Message::encode_to_vec(error);
    Status::with_details(Code::from(error.code), error.message.clone(), details.into())
}

fn internal(error: crate::application::Error) -> Status {
    Status::internal(error.to_string())
}
