//! New accounts, checked by the server before anything begins: it alone knows which ids were used
//! before, which kinds a template is for, and what the template's role asks of a first peer.
//!
//! Only accounts whose parents are there can be asked about, and only while no step changes an account
//! first, since that may be what makes room for them.

use futures_util::{StreamExt as _, stream};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::plan::{Call, Plan};
use super::problems::Problems;
use super::state::{CALLS, State};
use super::world::{Account, World};
use crate::cli::connection::Connection;
use crate::cli::failure;
use crate::transport::grpc::pb;

/// Adds what the server has against the new accounts of a plan.
pub(super) async fn accounts(
    connection: &Connection,
    (world, state): (&World, &State),
    plan: &Plan,
    problems: &mut Problems,
) -> Result<(), Status> {
    if plan.steps.iter().any(|step| matches!(step.call, Call::UpdateAccount(_) | Call::MoveAccount(_))) {
        return Ok(());
    }
    let mut asked = Vec::new();
    for step in &plan.steps {
        let Call::CreateAccount(request) = &step.call else { continue };
        let account = world.accounts.iter().find(|account| account.id.as_str() == request.account_id);
        let is_open =
            |account: &&Account| state.accounts.contains_key(&account.parent.value) && !problems.has(account.line);
        if let Some(account) = account.filter(is_open) {
            asked.push((account, (**request).clone()));
        }
    }
    let answers = stream::iter(asked).map(async |(account, request): (&Account, pb::CreateAccountRequest)| {
        let request = pb::CreateAccountRequest { validate_only: true, ..request };
        (account, connection.accounts().create_account(request).await)
    });
    let mut answers = std::pin::pin!(answers.buffer_unordered(CALLS));
    while let Some((account, answer)) = answers.next().await {
        match answer {
            Ok(_) => {}
            Err(status) if is_of_file(status.code()) => {
                problems.add(account.line, format!("account `{}`: {}", account.id, said(&status)));
            }
            Err(status) => return Err(status),
        }
    }
    Ok(())
}

/// Whether the step would be refused for what it asks, and not because the server cannot be asked.
fn is_of_file(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::NotFound
            | Code::PermissionDenied
            | Code::OutOfRange
    )
}

fn said(status: &Status) -> String {
    let details = status.get_error_details();
    let bad = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    let fields: String = bad.iter().map(|one| format!(", `{}` {}", one.field, one.description)).collect();
    format!("{}: {}{fields}", failure::short(status), status.message())
}
