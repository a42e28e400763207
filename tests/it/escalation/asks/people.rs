//! Calls about groups, peers and what they prove who they are with.

use peerage::domain::ids::PeerId;
use peerage::transport::grpc::pb;

use super::names::peer_name;
use super::{Ask, Maker};
use crate::support::policy::fresh;

/// Beyond these no more is made.
const PEERS_MAX: usize = 24;
const GROUPS_MAX: usize = 6;

impl Maker<'_> {
    pub(super) fn create_group(&mut self) -> Ask {
        if self.facts.groups.len() >= GROUPS_MAX {
            return Ask::DeleteGroup(pb::DeleteGroupRequest { name: self.group(), ..Default::default() });
        }
        let group = pb::Group { account: self.account(), title: fresh("Group"), ..Default::default() };
        Ask::CreateGroup(pb::CreateGroupRequest { group: Some(group), ..Default::default() })
    }

    pub(super) fn add_member(&mut self, actor: PeerId) -> Ask {
        let peer = if self.random.chance(30) { peer_name(actor) } else { self.peer() };
        let (start_time, expire_time) = self.window();
        let member = pb::GroupMember { peer, mode: self.mode(), start_time, expire_time, ..Default::default() };
        Ask::AddMember(pb::AddGroupMemberRequest { group: self.group(), member: Some(member), ..Default::default() })
    }

    pub(super) fn remove_member(&mut self) -> Ask {
        let (group, peer) = match self.random.pick(&self.facts.members) {
            Some(member) => (format!("groups/{}", member.group), peer_name(member.peer)),
            None => (self.group(), self.peer()),
        };
        Ask::RemoveMember(pb::RemoveGroupMemberRequest { group, peer, ..Default::default() })
    }

    pub(super) fn create_peer(&mut self) -> Ask {
        if self.facts.peers.len() >= PEERS_MAX {
            return Ask::EnablePeer(pb::EnablePeerRequest { name: self.peer(), ..Default::default() });
        }
        let scope = match self.random.chance(50) {
            true => pb::peer_access::Scope::All(true),
            false => pb::peer_access::Scope::Accounts(pb::AccountList { accounts: vec![self.account()] }),
        };
        let peer = pb::Peer {
            user_name: fresh("made"),
            kind: pb::PeerKind::Person.into(),
            home_account: self.account(),
            ..Default::default()
        };
        Ask::CreatePeer(Box::new(pb::CreatePeerRequest {
            peer: Some(peer),
            role: self.role(),
            access: Some(pb::PeerAccess { scope: Some(scope) }),
            justification: "asked for".to_owned(),
            disabled: self.random.chance(20),
            ..Default::default()
        }))
    }

    pub(super) fn update_peer(&mut self) -> Ask {
        let (_, expire_time) = self.window();
        let peer = pb::Peer {
            name: self.peer(),
            email: format!("{}@example.com", fresh("address")),
            expire_time,
            ..Default::default()
        };
        let path = if self.random.chance(50) { "email" } else { "expire_time" };
        let update_mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
        Ask::UpdatePeer(Box::new(pb::UpdatePeerRequest { peer: Some(peer), update_mask, ..Default::default() }))
    }

    pub(super) fn set_password(&mut self) -> Ask {
        let password = "river-lantern-copper-dusk-71".to_owned();
        let request = pb::SetPasswordRequest { name: self.peer(), password: password.clone(), ..Default::default() };
        Ask::SetPassword(pb::SetPasswordRequest { confirm_password: password, ..request })
    }

    pub(super) fn create_api_key(&mut self) -> Ask {
        let api_key = pb::ApiKey { peer: self.peer(), title: fresh("key"), ..Default::default() };
        Ask::CreateApiKey(pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() })
    }
}
