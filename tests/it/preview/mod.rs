//! PreviewChange over the wire: what it predicts is what Authorize answers once the change is made.

mod audience;
mod commands;
mod pages;
mod random;
mod trying;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::policy_change::Change;
use tonic::{Response, Status};

use crate::support::Client;

/// One row: peer, account, permission, the decisions before and after.
pub(crate) type Row = (String, String, String, pb::Decision, pb::Decision);

pub(crate) fn change(change: Change) -> pb::PolicyChange {
    pb::PolicyChange { change: Some(change) }
}

/// Asks what one change would mean, wherever the caller may know.
pub(crate) fn asking(one: Change) -> pb::PreviewChangeRequest {
    pb::PreviewChangeRequest { changes: vec![change(one)], page_size: 1000, ..Default::default() }
}

pub(crate) async fn page(
    client: &Client,
    request: &pb::PreviewChangeRequest,
) -> Result<pb::PreviewChangeResponse, Status> {
    client.roles().preview_change(request.clone()).await.map(Response::into_inner)
}

/// All pages of a preview, and the first of them.
pub(crate) async fn all(
    client: &Client,
    request: &pb::PreviewChangeRequest,
) -> Result<(Vec<Row>, pb::PreviewChangeResponse), Status> {
    let first = page(client, request).await?;
    let (mut rows, mut token) = (rows(&first), first.next_page_token.clone());
    while !token.is_empty() {
        let next = page(client, &pb::PreviewChangeRequest { page_token: token, ..request.clone() }).await?;
        assert_eq!((next.revision, &next.totals), (first.revision, &first.totals));
        rows.extend(self::rows(&next));
        token = next.next_page_token;
    }
    Ok((rows, first))
}

pub(crate) fn rows(page: &pb::PreviewChangeResponse) -> Vec<Row> {
    let row = |one: &pb::AccessDifference| {
        (one.peer.clone(), one.account.clone(), one.permission.clone(), one.before(), one.after())
    };
    page.differences.iter().map(row).collect()
}

/// Makes a change by the call of its own.
pub(crate) async fn make(client: &Client, change: Change) -> Result<(), Status> {
    let (mut roles, mut accounts, mut peers) = (client.roles(), client.accounts(), client.peers());
    match change {
        Change::CreateRole(request) => roles.create_role(request).await.map(drop),
        Change::UpdateRole(request) => roles.update_role(request).await.map(drop),
        Change::DeleteRole(request) => roles.delete_role(request).await.map(drop),
        Change::CreateRoleBinding(request) => roles.create_role_binding(request).await.map(drop),
        Change::UpdateRoleBinding(request) => roles.update_role_binding(request).await.map(drop),
        Change::DeleteRoleBinding(request) => roles.delete_role_binding(request).await.map(drop),
        Change::DeleteGroup(request) => roles.delete_group(request).await.map(drop),
        Change::AddGroupMember(request) => roles.add_group_member(request).await.map(drop),
        Change::RemoveGroupMember(request) => roles.remove_group_member(request).await.map(drop),
        Change::UpdateAccount(request) => accounts.update_account(request).await.map(drop),
        Change::MoveAccount(request) => accounts.move_account(request).await.map(drop),
        Change::SuspendAccount(request) => accounts.suspend_account(request).await.map(drop),
        Change::ResumeAccount(request) => accounts.resume_account(request).await.map(drop),
        Change::DeleteAccount(request) => accounts.delete_account(request).await.map(drop),
        Change::TransferOwnership(request) => accounts.transfer_ownership(request).await.map(drop),
        Change::UpdatePeer(request) => peers.update_peer(request).await.map(drop),
        Change::EnablePeer(request) => peers.enable_peer(request).await.map(drop),
        Change::DisablePeer(request) => peers.disable_peer(request).await.map(drop),
        Change::DeletePeer(request) => peers.delete_peer(request).await.map(drop),
        Change::UndeletePeer(request) => peers.undelete_peer(request).await.map(drop),
        Change::ImportPolicy(request) => roles.import_policy(request).await.map(drop),
    }
}
