//! ListAccessibleAccounts, ListAuthorizedPeers and ListEffectivePermissions: complete, equal to what
//! Authorize answers cell by cell, and silent about what the caller may not know.

mod cells;
mod paging;
mod sight;

use peerage::transport::grpc::pb;
use tonic::Status;

use crate::support::Client;

/// Follows a list to its end, a few rows at a time.
macro_rules! follow {
    ($client:expr, $method:ident, $request:expr, $rows:ident) => {{
        let (mut request, mut client, mut rows) = ($request, $client.access(), Vec::new());
        request.page_size = 3;
        loop {
            let page = client.$method(request.clone()).await?.into_inner();
            assert!(page.revision > 0);
            rows.extend(page.$rows);
            if page.next_page_token.is_empty() {
                return Ok(rows);
            }
            request.page_token = page.next_page_token;
        }
    }};
}

/// Where a peer may do something; an empty name is the caller.
pub async fn accounts(
    client: &Client,
    peer: &str,
    permission: &str,
    root: &str,
) -> Result<Vec<pb::AccessibleAccount>, Status> {
    let request = pb::ListAccessibleAccountsRequest {
        peer: peer.to_owned(),
        permission: permission.to_owned(),
        root_account: root.to_owned(),
        ..Default::default()
    };
    follow!(client, list_accessible_accounts, request, accounts)
}

pub async fn peers(client: &Client, account: &str, permission: &str) -> Result<Vec<pb::AuthorizedPeer>, Status> {
    let request = pb::ListAuthorizedPeersRequest {
        account: account.to_owned(),
        permission: permission.to_owned(),
        ..Default::default()
    };
    follow!(client, list_authorized_peers, request, peers)
}

pub async fn permissions(client: &Client, peer: &str, account: &str) -> Result<Vec<pb::EffectivePermission>, Status> {
    let request = pb::ListEffectivePermissionsRequest {
        peer: peer.to_owned(),
        account: account.to_owned(),
        ..Default::default()
    };
    follow!(client, list_effective_permissions, request, permissions)
}

fn names(rows: &[pb::AccessibleAccount]) -> Vec<&str> {
    rows.iter().map(|row| row.account.as_str()).collect()
}

fn uids(rows: &[pb::AuthorizedPeer]) -> Vec<&str> {
    rows.iter().map(|row| row.peer.as_str()).collect()
}
