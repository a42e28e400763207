//! The audit logs over the wire: listed, watched, reported to, and told in sentences.

mod command_line;
mod lists;
mod reports;
mod sentences;
mod watching;

use peerage::transport::grpc::pb;
use tonic::Status;

use crate::support::{Client, PostgresDatabase, Server, TestPeer};

/// A role that reads logs, and one that reports to them.
const AUDITOR: &str = "roles/core.auditor";
const SERVICE: &str = "roles/core.backend_service";

/// A service of the provider `msp` that reports for all of it, or for some accounts.
async fn service(server: &Server, name: &str, accounts: &[&str]) -> TestPeer {
    server.peer("accounts/msp", name, SERVICE, pb::PeerKind::Integration, accounts).await
}

/// A server on each database, one after the other.
async fn on_both<F: Future<Output = ()>>(case: impl Fn(Server) -> F) {
    case(Server::start().await).await;
    let database = PostgresDatabase::create().await;
    case(Server::start_on(&database.url, tempfile::tempdir().unwrap()).await).await;
    database.drop().await;
}

fn of(account: &str) -> pb::ListAuditEventsRequest {
    pb::ListAuditEventsRequest { account: account.to_owned(), page_size: 1000, ..Default::default() }
}

fn below(account: &str) -> pb::ListAuditEventsRequest {
    pb::ListAuditEventsRequest { include_descendants: true, ..of(account) }
}

async fn page(client: &Client, request: &pb::ListAuditEventsRequest) -> Result<pb::ListAuditEventsResponse, Status> {
    client.audit().list_audit_events(request.clone()).await.map(tonic::Response::into_inner)
}

/// All pages of a list.
async fn all(client: &Client, mut request: pb::ListAuditEventsRequest) -> Vec<pb::AuditEvent> {
    let mut events = Vec::new();
    loop {
        let page = page(client, &request).await.unwrap();
        events.extend(page.audit_events);
        if page.next_page_token.is_empty() {
            return events;
        }
        request.page_token = page.next_page_token;
    }
}

fn names(events: &[pb::AuditEvent]) -> Vec<String> {
    events.iter().map(|event| event.name.clone()).collect()
}

fn personal(value: &str) -> Option<pb::ReportedText> {
    Some(pb::ReportedText { value: value.to_owned(), public: false })
}

/// An act of the caller on an end user of an account.
fn report(account: &str, user: &str) -> pb::ReportedEvent {
    pb::ReportedEvent {
        account: account.to_owned(),
        action: "users.reset_password".to_owned(),
        target_kind: "end_user".to_owned(),
        target_name: personal(user),
        ..Default::default()
    }
}

async fn record(client: &Client, events: Vec<pb::ReportedEvent>) -> Result<Vec<pb::AuditLink>, Status> {
    let request = pb::RecordEventsRequest { events, ..Default::default() };
    client.audit().record_events(request).await.map(|response| response.into_inner().recorded_events)
}
