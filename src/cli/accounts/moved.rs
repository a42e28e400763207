//! What a move leaves as it was: bindings on the account and below it whose holders are at home
//! neither there nor above its new place, such as those of the MSP that it left. A move takes nothing
//! from anybody who was bound to the account itself, and whoever moves one should know.

use std::collections::{BTreeSet, HashMap};

use tonic::Code;

use super::{accounts_below, bindings_below};
use crate::cli::connection::Connection;
use crate::cli::{failure, names};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::role_binding::Principal;

/// Says on stderr which bindings of outsiders stay in force, as far as they can be listed. The move is
/// done, so whatever keeps them from being listed is no failure.
pub(super) async fn warn_of_outsiders(connection: &Connection, moved: &pb::Account) {
    let outside = outsiders(connection, moved).await;
    let id = names::short(&moved.name);
    match outside {
        Ok(lines) if lines.is_empty() => {}
        Ok(lines) => {
            let count = lines.len();
            failure::hint(&format!(
                "{count} bindings on {id} and below stay in force although their holders are at home elsewhere; \
                 `peerage roles unbind` takes one away"
            ));
            lines.iter().for_each(|line| failure::hint(line));
        }
        Err(status) if matches!(status.code(), Code::NotFound | Code::PermissionDenied) => {
            failure::hint(&format!("you may not see which bindings of peers at home elsewhere stay in force on {id}"));
        }
        Err(status) => failure::hint(&format!(
            "the bindings on {id} and below cannot be listed, so some of peers at home elsewhere may stay in force: \
             {}: {}",
            failure::short(&status),
            status.message()
        )),
    }
}

async fn outsiders(connection: &Connection, moved: &pb::Account) -> Result<Vec<String>, tonic::Status> {
    let below = accounts_below(connection, &moved.name).await?;
    let mut inside: BTreeSet<String> = below.into_iter().map(|account| account.name).collect();
    inside.insert(moved.name.clone());
    let mut above = moved.parent_account.clone();
    while !above.is_empty() && inside.insert(above.clone()) {
        let request = pb::GetAccountRequest { name: above, read_mask: None };
        // What lies beyond the caller's sight is no home of peers that it sees.
        above = connection
            .accounts()
            .get_account(request)
            .await
            .map(|found| found.into_inner().parent_account)
            .unwrap_or_default();
    }
    // Peers of the platform stand above every place.
    inside.insert("accounts/platform".to_owned());
    let mut homes: HashMap<String, Option<String>> = HashMap::new();
    let mut lines = Vec::new();
    for binding in bindings_below(connection, &moved.name).await? {
        let Some(holder) = &binding.principal else { continue };
        let name = match holder {
            Principal::Peer(name) | Principal::Group(name) => name,
        };
        let home = match homes.get(name) {
            Some(known) => known.clone(),
            None => {
                let found = home(connection, holder).await;
                homes.insert(name.clone(), found.clone());
                found
            }
        };
        if home.as_ref().is_some_and(|home| inside.contains(home)) {
            continue;
        }
        let home = home.map_or_else(|| "unknown to you".to_owned(), |home| names::short(&home).to_owned());
        let (role, account) = (names::short(&binding.role), names::short(&binding.account));
        lines.push(format!("{}: {role} to {name} (home: {home}) on {account}", binding.name));
    }
    Ok(lines)
}

/// The account that a holder is at home in, as far as the caller may know.
async fn home(connection: &Connection, holder: &Principal) -> Option<String> {
    match holder {
        Principal::Peer(name) => {
            let request = pb::GetPeerRequest { name: name.clone(), read_mask: None };
            Some(connection.peers().get_peer(request).await.ok()?.into_inner().home_account)
        }
        Principal::Group(name) => {
            let request = pb::GetGroupRequest { name: name.clone(), read_mask: None };
            Some(connection.roles().get_group(request).await.ok()?.into_inner().account)
        }
    }
}
