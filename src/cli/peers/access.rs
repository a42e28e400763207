//! At which accounts a peer holds the role it was made with, as CreatePeer takes them.

use tonic::Status;

use super::columns::Wish;
use crate::cli::connection::Connection;
use crate::transport::grpc::pb;

/// How many bindings are asked for at once.
const PAGE_SIZE: i32 = 1000;

/// The accounts among these where a peer holds its first role with everything below, for good; `all`
/// where it reaches everything at home. Nothing where it holds it nowhere.
///
/// # Errors
/// Where bindings cannot be listed.
pub(super) async fn at(
    connection: &Connection,
    peer: &pb::Peer,
    accounts: &[String],
) -> Result<Option<pb::PeerAccess>, Status> {
    if let Some(all) = all(peer) {
        return Ok(Some(all));
    }
    let mut held = Vec::new();
    for account in accounts {
        if !list(connection, peer, account, false).await?.is_empty() {
            held.push(account.clone());
        }
    }
    // One more than was asked about is a difference too.
    let count = peer.tenant_access.as_ref().map_or(0, |access| access.account_count);
    if usize::try_from(count).is_ok_and(|count| count > held.len()) {
        held.push("accounts/others".to_owned());
    }
    Ok(accounts_of(held))
}

/// The accounts in the subtrees of these where a peer holds its first role, as [`at`] has it.
///
/// # Errors
/// Where bindings cannot be listed.
pub(super) async fn below(
    connection: &Connection,
    peer: &pb::Peer,
    tops: &[&str],
) -> Result<Option<pb::PeerAccess>, Status> {
    if let Some(all) = all(peer) {
        return Ok(Some(all));
    }
    let mut held = Vec::new();
    for top in tops {
        held.extend(list(connection, peer, top, true).await?);
    }
    held.sort();
    held.dedup();
    Ok(accounts_of(held))
}

fn all(peer: &pb::Peer) -> Option<pb::PeerAccess> {
    let is_all = peer.tenant_access.as_ref().is_some_and(|access| access.all);
    is_all.then_some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::All(true)) })
}

fn accounts_of(mut accounts: Vec<String>) -> Option<pb::PeerAccess> {
    accounts.sort();
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
