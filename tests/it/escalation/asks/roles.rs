//! Calls about roles, their grants and their bindings.

use peerage::domain::ids::PeerId;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::role_binding::Principal;

use super::names::peer_name;
use super::{Ask, Maker, PATTERNS};
use crate::support::policy::{allow, deny, fresh};

impl Maker<'_> {
    pub(super) fn create_role(&mut self) -> Ask {
        let grants = self.grants();
        let role = Some(self.role_of(grants));
        Ask::CreateRole(pb::CreateRoleRequest { role, ..Default::default() })
    }

    pub(super) fn update_role(&mut self) -> Ask {
        let role = pb::Role { name: self.custom_role(), grants: self.grants(), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["grants".to_owned()] });
        Ask::UpdateRole(pb::UpdateRoleRequest { role: Some(role), update_mask, ..Default::default() })
    }

    pub(super) fn copy_role(&mut self) -> Ask {
        Ask::CopyRole(pb::CopyRoleRequest {
            name: self.role(),
            owner_account: self.account(),
            title: fresh("Copy"),
            inheritable: true,
            ..Default::default()
        })
    }

    /// A policy of casbin with a role and one who holds it.
    pub(super) fn import_policy(&mut self, actor: PeerId) -> Ask {
        let account = self.account();
        let pattern = *self.random.pick(&PATTERNS).expect("patterns");
        let (resource, action) = pattern.split_once('.').expect("two segments");
        let holder = if self.random.chance(40) { actor } else { self.some_peer().id };
        let role = fresh("imported");
        let policy = format!("p, {role}, *, {resource}, {action}\ng, peer:{holder}, {role}, *\n").into_bytes().into();
        Ask::ImportPolicy(pb::ImportPolicyRequest { account, policy, ..Default::default() })
    }

    pub(super) fn bind(&mut self, actor: PeerId) -> Ask {
        let role_binding = Some(self.some_binding(actor));
        Ask::Bind(pb::CreateRoleBindingRequest { role_binding, ..Default::default() })
    }

    pub(super) fn bind_many(&mut self, actor: PeerId) -> Ask {
        let requests = (0..2 + self.random.below(3))
            .map(|_| pb::CreateRoleBindingRequest {
                role_binding: Some(self.some_binding(actor)),
                ..Default::default()
            })
            .collect();
        let request_id = crate::support::request_id();
        Ask::BindMany(pb::BatchCreateRoleBindingsRequest { requests, request_id, ..Default::default() })
    }

    pub(super) fn update_binding(&mut self) -> Ask {
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

    /// A binding of anyone, of the caller now and then, for always or a while.
    pub(super) fn some_binding(&mut self, actor: PeerId) -> pb::RoleBinding {
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

    fn role_of(&mut self, grants: Vec<pb::Grant>) -> pb::Role {
        pb::Role {
            title: fresh("Role"),
            owner_account: self.account(),
            inheritable: self.random.chance(90),
            grants,
            ..Default::default()
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
