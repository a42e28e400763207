//! At which accounts a peer holds the role it was made with, as CreatePeer takes them.

use tonic::Status;

use super::columns::Wish;
use crate::cli::connection::Connection;
use crate::transport::grpc::pb;

/// How many bindings are asked for at once.
const PAGE_SIZE: i32 = 1000;

/// The accounts where a peer holds its first role with everything below, for good, among these and
/// those at home or below. Nothing where it holds it nowhere.
///
/// # Errors
/// Where bindings cannot be listed.
pub(super) async fn at(
    connection: &Connection,
    peer: &pb::Peer,
    accounts: &[String],
) -> Result<Option<pb::PeerAccess>, Status> {
    let mut held = list(connection, peer, &peer.home_account, true).await?;
    for account in accounts.iter().filter(|account| !held.contains(account)).cloned().collect::<Vec<_>>() {
        held.extend(list(connection, peer, &account, false).await?);
    }
    Ok(accounts_of(held))
}

/// The accounts where a peer holds its first role, as [`at`] has it, in an account or below.
///
/// # Errors
/// Where bindings cannot be listed.
pub(super) async fn below(
    connection: &Connection,
    peer: &pb::Peer,
    top: &str,
) -> Result<Option<pb::PeerAccess>, Status> {
    list(connection, peer, top, true).await.map(accounts_of)
}

fn accounts_of(mut accounts: Vec<String>) -> Option<pb::PeerAccess> {
    accounts.sort();
    accounts.dedup();
    let list = pb::AccountList { accounts };
    (!list.accounts.is_empty()).then_some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::Accounts(list)) })
}

/// The accounts of the bindings of a peer's first role.
async fn list(
    connection: &Connection,
    peer: &pb::Peer,
    account: &str,
    include_descendants: bool,
) -> Result<Vec<String>, Status> {
    if peer.default_role.is_empty() {
        return Ok(Vec::new());
    }
    let filter = format!(
        "peer = \"{}\" AND role = \"{}\" AND reach = \"SUBTREE\" AND mode = \"ACTIVE\"",
        peer.name, peer.default_role
    );
    let mut request = pb::ListRoleBindingsRequest {
        account: account.to_owned(),
        include_descendants,
        page_size: PAGE_SIZE,
        filter,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = connection.roles().list_role_bindings(request.clone()).await?.into_inner();
        let lasting =
            page.role_bindings.into_iter().filter(|one| one.start_time.is_none() && one.expire_time.is_none());
        found.extend(lasting.map(|binding| binding.account));
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        request.page_token = page.next_page_token;
    }
}

/// A peer that is there, as a wish for the same.
pub(super) fn wish(peer: pb::Peer, access: Option<pb::PeerAccess>) -> Wish {
    Wish {
        role: peer.default_role.clone(),
        access,
        disabled: peer.state() == pb::PeerState::Disabled,
        peer: Some(peer),
        ..Default::default()
    }
}
