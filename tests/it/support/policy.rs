//! Roles and bindings as tests make them.

use std::sync::atomic::{AtomicU32, Ordering};

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::role_binding::Principal;
use tonic::{Response, Status};

use super::{Client, Server, TestPeer};

/// A name that no other test takes.
pub fn fresh(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn allow(permission: &str) -> pb::Grant {
    pb::Grant { permission: permission.to_owned(), effect: pb::GrantEffect::Allow.into(), ..Default::default() }
}

pub fn deny(permission: &str) -> pb::Grant {
    pb::Grant { effect: pb::GrantEffect::Deny.into(), ..allow(permission) }
}

/// An inheritable role of a title that no other has.
pub fn role(owner: &str, grants: &[pb::Grant]) -> pb::Role {
    pb::Role {
        title: fresh("Role"),
        owner_account: owner.to_owned(),
        inheritable: true,
        grants: grants.to_vec(),
        ..Default::default()
    }
}

pub async fn create_role(client: &Client, role: pb::Role) -> Result<pb::Role, Status> {
    let request = pb::CreateRoleRequest { role: Some(role), ..Default::default() };
    client.roles().create_role(request).await.map(Response::into_inner)
}

/// An inheritable role from single permissions, of which `!` makes a DENY; returns its name.
pub async fn custom_role(client: &Client, owner: &str, grants: &[&str]) -> String {
    let grant = |text: &&str| text.strip_prefix('!').map_or_else(|| allow(text), deny);
    let grants: Vec<pb::Grant> = grants.iter().map(grant).collect();
    create_role(client, role(owner, &grants)).await.expect("the role is made").name
}

/// A binding of a peer on an account and everything below.
pub fn binding(peer: &str, role: &str, account: &str) -> pb::RoleBinding {
    pb::RoleBinding {
        principal: Some(Principal::Peer(peer.to_owned())),
        role: role.to_owned(),
        account: account.to_owned(),
        reach: pb::Reach::Subtree.into(),
        justification: "asked for".to_owned(),
        ..Default::default()
    }
}

/// The same for a group.
pub fn of_group(group: &str, role: &str, account: &str) -> pb::RoleBinding {
    pb::RoleBinding { principal: Some(Principal::Group(group.to_owned())), ..binding("", role, account) }
}

pub async fn bind(client: &Client, binding: pb::RoleBinding) -> Result<pb::RoleBinding, Status> {
    let request = pb::CreateRoleBindingRequest { role_binding: Some(binding), ..Default::default() };
    client.roles().create_role_binding(request).await.map(Response::into_inner)
}

/// A partner of MSP Panel with its owner, who has a key.
pub async fn owned_partner(server: &Server, id: &str, owner: &str) -> (String, TestPeer) {
    let settings = pb::AccountSettings { role_packs: vec!["msp-panel".to_owned()], ..Default::default() };
    let account = pb::Account {
        parent_account: "accounts/platform".to_owned(),
        kind: pb::AccountKind::Partner.into(),
        title: id.to_owned(),
        settings: Some(settings),
        ..Default::default()
    };
    let peer = pb::Peer { user_name: owner.to_owned(), kind: pb::PeerKind::Person.into(), ..Default::default() };
    let request = pb::CreateAccountRequest {
        account_id: id.to_owned(),
        account: Some(account),
        first_peer: Some(pb::FirstPeer { peer: Some(peer), ..Default::default() }),
        ..Default::default()
    };
    let made = server.operator().accounts().create_account(request).await.expect("the partner is made").into_inner();
    let key = server.key_of(&made.first_peer).await;
    (made.name, TestPeer { client: server.client(&key), name: made.first_peer, key })
}
