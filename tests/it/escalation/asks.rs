//! The calls of a search: each a request with names that exist, and everything else at random.

use std::collections::BTreeMap;

use peerage::domain::fact::PeerFact;
use peerage::domain::ids::PeerId;
use peerage::domain::peer::PeerStatus;
use peerage::domain::role::RoleOrigin;
use peerage::domain::time::Timestamp;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::role_binding::Principal;
use tonic::Status;

use super::super::oracle::facts::Facts;
use super::super::oracle::random::Random;
use crate::support::policy::{allow, deny, fresh};
use crate::support::{Client, Server};

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
const PEERS_MAX: usize = 24;
const GROUPS_MAX: usize = 6;
const ACCOUNTS_MAX: usize = 14;
const HOUR: i64 = 3_600;

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

    fn grants(&mut self) -> Vec<pb::Grant> {
        let grants = (0..1 + self.random.below(4)).map(|_| self.grant()).collect();
        distinct(grants)
    }

    fn grant(&mut self) -> pb::Grant {
        let pattern = *self.random.pick(&PATTERNS).expect("patterns");
        let condition = self.condition();
        if self.random.chance(15) {
            return pb::Grant { condition, ..deny(pattern) };
        }
        let step_up = self.random.chance(8).then(|| pb::StepUpRequirement {
            min_assurance: pb::AssuranceLevel::Totp.into(),
            max_age: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
        });
        let approval = self.random.chance(8).then(pb::ApprovalRequirement::default);
        let requirements = Some(pb::Requirements { step_up, approval });
        pb::Grant { condition, requirements, ..allow(pattern) }
    }

    fn condition(&mut self) -> Option<pb::Condition> {
        let mut condition = pb::Condition::default();
        if self.random.chance(10) {
            let values = vec![self.random.pick(&["test", "live"]).expect("values").to_string()];
            condition.account_labels.push(pb::AccountLabelMatch { key: "env".to_owned(), values });
        }
        if self.random.chance(10) {
            let text = self.random.pick(&["gold", "iron"]).expect("values").to_string();
            let value = pb::AttributeValue { kind: Some(pb::attribute_value::Kind::StringValue(text)) };
            let demand = Some(pb::attribute_match::Demand::Equals(value));
            condition.resource_attributes.push(pb::AttributeMatch { attribute: "tier".to_owned(), demand });
        }
        let is_empty = condition.account_labels.is_empty() && condition.resource_attributes.is_empty();
        (!is_empty).then_some(condition)
    }

    fn role_of(&mut self, grants: Vec<pb::Grant>) -> pb::Role {
        pb::Role {
            title: fresh("Role"),
            owner_account: self.account(),
            inheritable: self.random.chance(90),
            grants,
            ..Default::default()
        }
    }

    fn create_role(&mut self) -> Ask {
        let grants = self.grants();
        let role = Some(self.role_of(grants));
        Ask::CreateRole(pb::CreateRoleRequest { role, ..Default::default() })
    }

    fn update_role(&mut self) -> Ask {
        let role = pb::Role { name: self.custom_role(), grants: self.grants(), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["grants".to_owned()] });
        Ask::UpdateRole(pb::UpdateRoleRequest { role: Some(role), update_mask, ..Default::default() })
    }

    fn copy_role(&mut self) -> Ask {
        Ask::CopyRole(pb::CopyRoleRequest {
            name: self.role(),
            owner_account: self.account(),
            title: fresh("Copy"),
            inheritable: true,
            ..Default::default()
        })
    }

    /// A binding of anyone, of the caller now and then, for always or a while.
    fn some_binding(&mut self, actor: PeerId) -> pb::RoleBinding {
        let principal = match self.random.below(10) {
            0..2 => Principal::Peer(peer_name(actor)),
            2..4 if !self.facts.groups.is_empty() => Principal::Group(self.group()),
            _ => Principal::Peer(self.peer()),
        };
        let (start_time, expire_time) = self.window();
        pb::RoleBinding {
            principal: Some(principal),
            role: self.role(),
            account: self.account(),
            reach: if self.random.chance(75) { pb::Reach::Subtree } else { pb::Reach::AccountOnly }.into(),
            mode: self.mode(),
            start_time,
            expire_time,
            justification: "asked for".to_owned(),
            ..Default::default()
        }
    }

    fn mode(&mut self) -> i32 {
        if self.random.chance(80) { pb::BindingMode::Active } else { pb::BindingMode::Eligible }.into()
    }

    fn window(&mut self) -> (Option<prost_types::Timestamp>, Option<prost_types::Timestamp>) {
        let begin = self.now.as_micros() / 1_000_000;
        let at = |seconds: i64| Some(prost_types::Timestamp { seconds: begin + seconds, nanos: 0 });
        match self.random.below(10) {
            0 => (at(2 * HOUR), None),
            1 => (None, at(HOUR / 2)),
            2 => (None, at(12 * HOUR)),
            3 => (at(HOUR / 2), at(100 * HOUR)),
            _ => (None, None),
        }
    }

    fn bind(&mut self, actor: PeerId) -> Ask {
        let role_binding = Some(self.some_binding(actor));
        Ask::Bind(pb::CreateRoleBindingRequest { role_binding, ..Default::default() })
    }

    fn bind_many(&mut self, actor: PeerId) -> Ask {
        let requests = (0..2 + self.random.below(3))
            .map(|_| pb::CreateRoleBindingRequest {
                role_binding: Some(self.some_binding(actor)),
                ..Default::default()
            })
            .collect();
        let request_id = crate::support::request_id();
        Ask::BindMany(pb::BatchCreateRoleBindingsRequest { requests, request_id, ..Default::default() })
    }

    fn update_binding(&mut self) -> Ask {
        let (start_time, expire_time) = self.window();
        let reach = if self.random.chance(60) { pb::Reach::Subtree } else { pb::Reach::AccountOnly };
        let role_binding = pb::RoleBinding {
            name: self.binding(),
            reach: reach.into(),
            mode: self.mode(),
            start_time,
            expire_time,
            ..Default::default()
        };
        let path = *self.random.pick(&["reach", "mode", "start_time", "expire_time"]).expect("paths");
        let update_mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
        let role_binding = Some(role_binding);
        Ask::UpdateBinding(pb::UpdateRoleBindingRequest { role_binding, update_mask, ..Default::default() })
    }

    fn create_group(&mut self) -> Ask {
        if self.facts.groups.len() >= GROUPS_MAX {
            return Ask::DeleteGroup(pb::DeleteGroupRequest { name: self.group(), ..Default::default() });
        }
        let group = pb::Group { account: self.account(), title: fresh("Group"), ..Default::default() };
        Ask::CreateGroup(pb::CreateGroupRequest { group: Some(group), ..Default::default() })
    }

    fn add_member(&mut self, actor: PeerId) -> Ask {
        let peer = if self.random.chance(30) { peer_name(actor) } else { self.peer() };
        let (start_time, expire_time) = self.window();
        let member = pb::GroupMember { peer, mode: self.mode(), start_time, expire_time, ..Default::default() };
        Ask::AddMember(pb::AddGroupMemberRequest { group: self.group(), member: Some(member), ..Default::default() })
    }

    fn remove_member(&mut self) -> Ask {
        let (group, peer) = match self.random.pick(&self.facts.members) {
            Some(member) => (format!("groups/{}", member.group), peer_name(member.peer)),
            None => (self.group(), self.peer()),
        };
        Ask::RemoveMember(pb::RemoveGroupMemberRequest { group, peer, ..Default::default() })
    }

    fn create_peer(&mut self) -> Ask {
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

    fn update_peer(&mut self) -> Ask {
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

    fn set_password(&mut self) -> Ask {
        let password = "river-lantern-copper-dusk-71".to_owned();
        let request = pb::SetPasswordRequest { name: self.peer(), password: password.clone(), ..Default::default() };
        Ask::SetPassword(pb::SetPasswordRequest { confirm_password: password, ..request })
    }

    fn create_api_key(&mut self) -> Ask {
        let api_key = pb::ApiKey { peer: self.peer(), title: fresh("key"), ..Default::default() };
        Ask::CreateApiKey(pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() })
    }

    fn create_account(&mut self) -> Ask {
        if self.facts.accounts.len() >= ACCOUNTS_MAX {
            return self.relabel();
        }
        let account = pb::Account {
            parent_account: self.account(),
            kind: pb::AccountKind::Department.into(),
            title: fresh("Department"),
            labels: self.labels(),
            ..Default::default()
        };
        let account_id = fresh("department");
        Ask::CreateAccount(Box::new(pb::CreateAccountRequest {
            account_id,
            account: Some(account),
            ..Default::default()
        }))
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let value = self.random.pick(&["test", "live"]).expect("values").to_string();
        self.random.chance(60).then(|| ("env".to_owned(), value)).into_iter().collect()
    }

    fn relabel(&mut self) -> Ask {
        let account = pb::Account { name: self.account(), labels: self.labels(), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["labels".to_owned()] });
        let justification = "asked for".to_owned();
        Ask::Relabel(Box::new(pb::UpdateAccountRequest {
            account: Some(account),
            update_mask,
            justification,
            ..Default::default()
        }))
    }

    fn move_account(&mut self) -> Ask {
        let destination_parent = self.account();
        Ask::MoveAccount(pb::MoveAccountRequest { name: self.account(), destination_parent, ..Default::default() })
    }

    /// A policy of casbin with a role and one who holds it.
    fn import_policy(&mut self, actor: PeerId) -> Ask {
        let account = self.account();
        let pattern = *self.random.pick(&PATTERNS).expect("patterns");
        let (resource, action) = pattern.split_once('.').expect("two segments");
        let holder = if self.random.chance(40) { actor } else { self.some_peer().id };
        let role = fresh("imported");
        let policy = format!("p, {role}, *, {resource}, {action}\ng, peer:{holder}, {role}, *\n").into_bytes().into();
        Ask::ImportPolicy(pb::ImportPolicyRequest { account, policy, ..Default::default() })
    }

    fn account(&mut self) -> String {
        let account = self.random.pick(&self.facts.accounts).expect("accounts");
        format!("accounts/{}", account.id)
    }

    fn some_peer(&mut self) -> &PeerFact {
        self.random.pick(&self.facts.peers).expect("peers")
    }

    fn peer(&mut self) -> String {
        peer_name(self.some_peer().id)
    }

    fn deleted_peer(&mut self) -> String {
        let deleted: Vec<PeerId> =
            self.facts.peers.iter().filter(|peer| peer.status == PeerStatus::Deleted).map(|peer| peer.id).collect();
        self.random.pick(&deleted).copied().map_or_else(|| self.peer(), peer_name)
    }

    fn group(&mut self) -> String {
        self.random
            .pick(&self.facts.groups)
            .map_or_else(|| "groups/none".to_owned(), |group| format!("groups/{}", group.id))
    }

    fn binding(&mut self) -> String {
        let binding = self.random.pick(&self.facts.bindings).expect("bindings");
        format!("roleBindings/{}", binding.id)
    }

    fn custom_roles(&self) -> Vec<String> {
        let is_custom = |origin: &RoleOrigin| matches!(origin, RoleOrigin::Custom { .. });
        self.facts
            .roles
            .iter()
            .filter(|role| is_custom(&role.origin))
            .map(|role| format!("roles/{}", role.id))
            .collect()
    }

    fn custom_role(&mut self) -> String {
        let custom = self.custom_roles();
        self.random.pick(&custom).expect("custom roles").clone()
    }

    /// A custom role, or a built-in one that lets nobody give what they do not hold.
    fn role(&mut self) -> String {
        if self.random.chance(10) { "roles/core.auditor".to_owned() } else { self.custom_role() }
    }
}

/// Two partners, two customers of each, and departments; their names with the root's.
pub async fn accounts(server: &Server) -> Vec<String> {
    let mut names = vec!["accounts/platform".to_owned()];
    for partner in ["fabrikam", "litware"] {
        let partner_name = server.partner(partner, &["opspilot365"]).await;
        for place in 0..2 {
            let customer = server.customer(&format!("{partner}-{place}"), &partner_name).await;
            names.push(server.department(&format!("{partner}-{place}-sales"), &customer).await);
            names.push(customer);
        }
        names.push(partner_name);
    }
    names
}

/// No grant twice, which a role refuses.
pub fn distinct(grants: Vec<pb::Grant>) -> Vec<pb::Grant> {
    let mut kept: Vec<pb::Grant> = Vec::new();
    for grant in grants {
        if !kept.contains(&grant) {
            kept.push(grant);
        }
    }
    kept
}

fn peer_name(peer: PeerId) -> String {
    format!("peers/{peer}")
}
