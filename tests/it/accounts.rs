//! AccountService over the wire: the tree, its settings, suspension, moves, ownership and deletion.

mod deletion;
mod discretion;
mod escalation;
mod listing;
mod moves;
mod ownership;
mod settings;
mod suspension;
mod templates;
mod tree;

use tonic::Status;

use crate::support::Client;
use crate::support::policy::owned_partner;
use peerage::transport::grpc::pb;

const OWNER: &str = "roles/msp-panel.owner";
const ADMIN: &str = "roles/msp-panel.msp_admin";
const USER: &str = "roles/msp-panel.msp_user";

/// A message for a new account.
fn account(parent: &str, kind: pb::AccountKind) -> pb::Account {
    pb::Account {
        parent_account: parent.to_owned(),
        kind: kind.into(),
        title: "An account".to_owned(),
        ..pb::Account::default()
    }
}

fn creation(id: &str, account: pb::Account) -> pb::CreateAccountRequest {
    pb::CreateAccountRequest {
        account_id: id.to_owned(),
        account: Some(account),
        ..pb::CreateAccountRequest::default()
    }
}

async fn create(client: &Client, id: &str, account: pb::Account) -> Result<pb::Account, Status> {
    client.accounts().create_account(creation(id, account)).await.map(tonic::Response::into_inner)
}

async fn get(client: &Client, name: &str) -> Result<pb::Account, Status> {
    let request = pb::GetAccountRequest { name: name.to_owned(), read_mask: None };
    client.accounts().get_account(request).await.map(tonic::Response::into_inner)
}

/// Changes an account; the paths say what, and none stand for all that is set.
async fn update(client: &Client, account: pb::Account, paths: &[&str]) -> Result<pb::Account, Status> {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = pb::UpdateAccountRequest {
        account: Some(account),
        update_mask: (!paths.is_empty()).then_some(prost_types::FieldMask { paths }),
        ..pb::UpdateAccountRequest::default()
    };
    client.accounts().update_account(request).await.map(tonic::Response::into_inner)
}

async fn set_labels(client: &Client, name: &str, labels: &[(&str, &str)]) -> Result<pb::Account, Status> {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    update(client, pb::Account { name: name.to_owned(), labels, ..pb::Account::default() }, &["labels"]).await
}

fn access(mode: pb::PartnerAccessMode) -> Option<pb::AccountSettings> {
    Some(pb::AccountSettings { partner_access: mode.into(), ..pb::AccountSettings::default() })
}

async fn set_access(
    client: &Client,
    name: &str,
    mode: pb::PartnerAccessMode,
    why: &str,
) -> Result<pb::Account, Status> {
    let account = pb::Account { name: name.to_owned(), settings: access(mode), ..pb::Account::default() };
    let request = pb::UpdateAccountRequest {
        account: Some(account),
        update_mask: Some(prost_types::FieldMask { paths: vec!["settings.partner_access".to_owned()] }),
        justification: why.to_owned(),
        ..pb::UpdateAccountRequest::default()
    };
    client.accounts().update_account(request).await.map(tonic::Response::into_inner)
}

async fn suspend(client: &Client, name: &str, scope: pb::SuspensionScope) -> Result<pb::Account, Status> {
    let request = pb::SuspendAccountRequest {
        name: name.to_owned(),
        scope: scope.into(),
        reason: "unpaid".to_owned(),
        ..pb::SuspendAccountRequest::default()
    };
    client.accounts().suspend_account(request).await.map(tonic::Response::into_inner)
}

async fn resume(client: &Client, name: &str) -> Result<pb::Account, Status> {
    let request = pb::ResumeAccountRequest { name: name.to_owned(), ..pb::ResumeAccountRequest::default() };
    client.accounts().resume_account(request).await.map(tonic::Response::into_inner)
}

async fn relocate(client: &Client, name: &str, parent: &str) -> Result<pb::Account, Status> {
    let request = pb::MoveAccountRequest {
        name: name.to_owned(),
        destination_parent: parent.to_owned(),
        ..pb::MoveAccountRequest::default()
    };
    client.accounts().move_account(request).await.map(tonic::Response::into_inner)
}

async fn delete(client: &Client, name: &str, cascade: bool) -> Result<i64, Status> {
    let request = pb::DeleteAccountRequest { name: name.to_owned(), cascade, ..pb::DeleteAccountRequest::default() };
    client.accounts().delete_account(request).await.map(|response| response.into_inner().update_revision)
}

/// A message for a first peer.
fn first_peer(user_name: &str, role: &str) -> Option<pb::FirstPeer> {
    let peer = pb::Peer { user_name: user_name.to_owned(), kind: pb::PeerKind::Person.into(), ..pb::Peer::default() };
    Some(pb::FirstPeer { peer: Some(peer), role: role.to_owned(), justification: String::new() })
}
