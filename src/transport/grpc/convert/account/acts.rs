//! What is done to an account as a whole: moved, suspended, resumed, deleted, handed over.

use super::{reason, suspension_scope};
use crate::application::accounts::delete::{Contents, DeleteAccount};
use crate::application::accounts::ownership::Transfer;
use crate::application::accounts::place::MoveAccount;
use crate::application::accounts::suspend::{Resume, Suspend};
use crate::domain::account::REASON_MAX;
use crate::domain::text;
use crate::transport::grpc::convert::{Fields, account_name, etag, peer_name, role_name};
use crate::transport::grpc::pb;

/// Reads a wish to move an account.
pub fn move_account(fields: &mut Fields, request: &pb::MoveAccountRequest) -> Option<MoveAccount> {
    let id = fields.required("name", &request.name, account_name);
    let destination = fields.required("destination_parent", &request.destination_parent, account_name);
    let etag = fields.take("etag", etag(&request.etag));
    Some(MoveAccount { id: id?, destination: destination?, etag: etag? })
}

/// Reads a wish to suspend an account.
pub fn suspend(fields: &mut Fields, request: &pb::SuspendAccountRequest) -> Option<Suspend> {
    let id = fields.required("name", &request.name, account_name);
    let scope = fields.take("scope", suspension_scope(request.scope));
    let reason = fields.take("reason", reason(&request.reason));
    let etag = fields.take("etag", etag(&request.etag));
    Some(Suspend { id: id?, scope: scope?, reason: reason?, etag: etag? })
}

/// Reads a wish to end an account's suspension.
pub fn resume(fields: &mut Fields, request: &pb::ResumeAccountRequest) -> Option<Resume> {
    let id = fields.required("name", &request.name, account_name);
    let reason = fields.take("reason", text::paragraph(&request.reason, REASON_MAX));
    let etag = fields.take("etag", etag(&request.etag));
    Some(Resume { id: id?, reason: reason?, etag: etag? })
}

/// Reads a wish to delete an account.
pub fn delete(fields: &mut Fields, request: &pb::DeleteAccountRequest) -> Option<DeleteAccount> {
    let id = fields.required("name", &request.name, account_name);
    let contents = if request.cascade { Contents::Cascade } else { Contents::Refuse };
    let etag = fields.take("etag", etag(&request.etag));
    Some(DeleteAccount { id: id?, contents, etag: etag? })
}

/// Reads the operator's change of an owner.
pub fn transfer(fields: &mut Fields, request: &pb::TransferOwnershipRequest) -> Option<Transfer> {
    let id = fields.required("name", &request.name, account_name);
    let new_owner = fields.required("new_owner", &request.new_owner, peer_name);
    let role = fields.optional("former_owner_role", &request.former_owner_role, role_name);
    let reason = fields.take("reason", reason(&request.reason));
    let etag = fields.take("etag", etag(&request.etag));
    Some(Transfer { id: id?, new_owner: new_owner?, former_owner_role: role?, reason: reason?, etag: etag? })
}
