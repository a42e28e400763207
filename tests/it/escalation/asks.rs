//! The calls of a search: each a request with names that exist, and everything else at random.

mod names;
mod people;
mod places;
mod roles;

use peerage::domain::ids::PeerId;
use peerage::domain::peer::PeerStatus;
use peerage::domain::time::Timestamp;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::role_binding::Principal;
use tonic::Status;

use super::super::oracle::facts::Facts;
use super::super::oracle::random::Random;
use crate::support::Client;
use names::peer_name;
pub use places::accounts;
pub use roles::distinct;

/// What grants of administrators name.
pub const PATTERNS: [&str; 20] = [
    "*.*",
    "*.view",
    "*.create",
    "peers.*",
    "roles.*",
    "role_bindings.*",
    "groups.*",
    "api_keys.*",
    "accounts.*",
    "devices.*",
    "billing.*",
    "devices.view",
    "billing.manage",
    "peers.reset_password",
    "role_bindings.create",
    "role_bindings.delete",
    "roles.update",
    "accounts.move",
    "accounts.administer",
    "permissions.register",
];
/// Beyond these no more is made.
const ROLES_MAX: usize = 40;
const BINDINGS_MAX: usize = 80;

/// A call.
#[derive(Debug, Clone)]
pub enum Ask {
    CreateRole(pb::CreateRoleRequest),
    UpdateRole(pb::UpdateRoleRequest),
    CopyRole(pb::CopyRoleRequest),
    DeleteRole(pb::DeleteRoleRequest),
    Bind(pb::CreateRoleBindingRequest),
    BindMany(pb::BatchCreateRoleBindingsRequest),
    UpdateBinding(pb::UpdateRoleBindingRequest),
    Unbind(pb::DeleteRoleBindingRequest),
    CreateGroup(pb::CreateGroupRequest),
    DeleteGroup(pb::DeleteGroupRequest),
    AddMember(pb::AddGroupMemberRequest),
    RemoveMember(pb::RemoveGroupMemberRequest),
    CreatePeer(Box<pb::CreatePeerRequest>),
    UpdatePeer(Box<pb::UpdatePeerRequest>),
    EnablePeer(pb::EnablePeerRequest),
    DisablePeer(pb::DisablePeerRequest),
    DeletePeer(pb::DeletePeerRequest),
    UndeletePeer(pb::UndeletePeerRequest),
    SetPassword(pb::SetPasswordRequest),
    CreateApiKey(pb::CreateApiKeyRequest),
    CreateAccount(Box<pb::CreateAccountRequest>),
    Relabel(Box<pb::UpdateAccountRequest>),
    MoveAccount(pb::MoveAccountRequest),
    ImportPolicy(pb::ImportPolicyRequest),
}

impl Ask {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateRole(_) => "CreateRole",
            Self::UpdateRole(_) => "UpdateRole",
            Self::CopyRole(_) => "CopyRole",
            Self::DeleteRole(_) => "DeleteRole",
            Self::Bind(_) => "CreateRoleBinding",
            Self::BindMany(_) => "BatchCreateRoleBindings",
            Self::UpdateBinding(_) => "UpdateRoleBinding",
            Self::Unbind(_) => "DeleteRoleBinding",
            Self::CreateGroup(_) => "CreateGroup",
            Self::DeleteGroup(_) => "DeleteGroup",
            Self::AddMember(_) => "AddGroupMember",
            Self::RemoveMember(_) => "RemoveGroupMember",
            Self::CreatePeer(_) => "CreatePeer",
            Self::UpdatePeer(_) => "UpdatePeer",
            Self::EnablePeer(_) => "EnablePeer",
            Self::DisablePeer(_) => "DisablePeer",
            Self::DeletePeer(_) => "DeletePeer",
            Self::UndeletePeer(_) => "UndeletePeer",
            Self::SetPassword(_) => "SetPassword",
            Self::CreateApiKey(_) => "CreateApiKey",
            Self::CreateAccount(_) => "CreateAccount",
            Self::Relabel(_) => "UpdateAccount",
            Self::MoveAccount(_) => "MoveAccount",
            Self::ImportPolicy(_) => "ImportPolicy",
        }
    }

    pub async fn send(&self, client: &Client) -> Result<(), Status> {
        match self.clone() {
            Self::CreateRole(request) => client.roles().create_role(request).await.map(drop),
            Self::UpdateRole(request) => client.roles().update_role(request).await.map(drop),
            Self::CopyRole(request) => client.roles().copy_role(request).await.map(drop),
            Self::DeleteRole(request) => client.roles().delete_role(request).await.map(drop),
            Self::Bind(request) => client.roles().create_role_binding(request).await.map(drop),
            Self::BindMany(request) => client.roles().batch_create_role_bindings(request).await.map(drop),
            Self::UpdateBinding(request) => client.roles().update_role_binding(request).await.map(drop),
            Self::Unbind(request) => client.roles().delete_role_binding(request).await.map(drop),
            Self::CreateGroup(request) => client.roles().create_group(request).await.map(drop),
            Self::DeleteGroup(request) => client.roles().delete_group(request).await.map(drop),
            Self::AddMember(request) => client.roles().add_group_member(request).await.map(drop),
            Self::RemoveMember(request) => client.roles().remove_group_member(request).await.map(drop),
            Self::CreatePeer(request) => client.peers().create_peer(*request).await.map(drop),
            Self::UpdatePeer(request) => client.peers().update_peer(*request).await.map(drop),
            Self::EnablePeer(request) => client.peers().enable_peer(request).await.map(drop),
            Self::DisablePeer(request) => client.peers().disable_peer(request).await.map(drop),
            Self::DeletePeer(request) => client.peers().delete_peer(request).await.map(drop),
            Self::UndeletePeer(request) => client.peers().undelete_peer(request).await.map(drop),
            Self::SetPassword(request) => client.peers().set_password(request).await.map(drop),
            Self::CreateApiKey(request) => client.auth().create_api_key(request).await.map(drop),
            Self::CreateAccount(request) => client.accounts().create_account(*request).await.map(drop),
            Self::Relabel(request) => client.accounts().update_account(*request).await.map(drop),
            Self::MoveAccount(request) => client.accounts().move_account(request).await.map(drop),
            Self::ImportPolicy(request) => client.roles().import_policy(request).await.map(drop),
        }
    }

    /// The peer that whoever makes the call can act as from then on.
    pub fn gives_hold_of(&self, facts: &Facts) -> Option<PeerId> {
        let name = match self {
            Self::SetPassword(request) => &request.name,
            Self::CreateApiKey(request) => &request.api_key.as_ref()?.peer,
            Self::UpdatePeer(request) if request.update_mask.as_ref()?.paths == ["email"] => {
                &request.peer.as_ref()?.name
            }
            _ => return None,
        };
        facts.peers.iter().find(|peer| peer_name(peer.id) == *name).map(|peer| peer.id)
    }
}

/// Makes calls about what there is.
pub struct Maker<'a> {
    pub facts: &'a Facts,
    pub random: &'a mut Random,
    pub now: Timestamp,
}

impl Maker<'_> {
    /// Any call; more often than not one that could give somebody more.
    pub fn ask(&mut self, actor: PeerId) -> Ask {
        if self.facts.groups.is_empty() && self.random.chance(20) {
            return self.create_group();
        }
        match self.random.below(100) {
            0..8 => self.create_role(),
            8..18 => self.update_role(),
            18..21 => self.copy_role(),
            21..23 => Ask::DeleteRole(pb::DeleteRoleRequest { name: self.custom_role(), ..Default::default() }),
            23..41 => self.bind(actor),
            41..44 => self.bind_many(actor),
            44..52 => self.update_binding(),
            52..57 => Ask::Unbind(pb::DeleteRoleBindingRequest { name: self.binding(), ..Default::default() }),
            57..59 => self.create_group(),
            59..60 => Ask::DeleteGroup(pb::DeleteGroupRequest { name: self.group(), ..Default::default() }),
            60..67 => self.add_member(actor),
            67..70 => self.remove_member(),
            70..74 => self.create_peer(),
            74..77 => self.update_peer(),
            77..79 => Ask::EnablePeer(pb::EnablePeerRequest { name: self.peer(), ..Default::default() }),
            79..80 => Ask::DisablePeer(pb::DisablePeerRequest { name: self.peer(), ..Default::default() }),
            80..81 => Ask::DeletePeer(pb::DeletePeerRequest { name: self.peer(), ..Default::default() }),
            81..83 => Ask::UndeletePeer(pb::UndeletePeerRequest { name: self.deleted_peer(), ..Default::default() }),
            83..85 => self.set_password(),
            85..88 => self.create_api_key(),
            88..90 => self.create_account(),
            90..94 => self.relabel(),
            94..97 => self.move_account(),
            _ => self.import_policy(actor),
        }
    }

    /// What the operator does so that there is always somebody who may do something.
    pub fn gardening(&mut self, actors: &[(PeerId, Client)]) -> Ask {
        let actor = self.random.pick(actors).map(|(actor, _)| *actor).expect("actors");
        let state = self.facts.peers.iter().find(|peer| peer.id == actor).map(|peer| peer.status);
        let name = peer_name(actor);
        match state {
            Some(PeerStatus::Deleted) => Ask::UndeletePeer(pb::UndeletePeerRequest { name, ..Default::default() }),
            Some(PeerStatus::Disabled) => Ask::EnablePeer(pb::EnablePeerRequest { name, ..Default::default() }),
            _ if self.facts.bindings.len() > BINDINGS_MAX => {
                Ask::Unbind(pb::DeleteRoleBindingRequest { name: self.binding(), ..Default::default() })
            }
            _ if self.custom_roles().len() > ROLES_MAX => {
                Ask::DeleteRole(pb::DeleteRoleRequest { name: self.custom_role(), ..Default::default() })
            }
            _ if self.random.chance(30) => self.create_role(),
            _ => {
                let binding = pb::RoleBinding { principal: Some(Principal::Peer(name)), ..self.some_binding(actor) };
                Ask::Bind(pb::CreateRoleBindingRequest { role_binding: Some(binding), ..Default::default() })
            }
        }
    }
}
