//! Role bindings on the wire.

use super::role::words;
use super::{Fields, account_name, binding_name, filter, group_name, mask, order, peer_name, role_name, time};
use crate::application::bindings::read::{ListBindings, Order, SortKey};
use crate::application::bindings::{BindingChange, CreateBinding, PrincipalRef, UpdateBinding};
use crate::domain::binding::{Binding, JUSTIFICATION_MAX, Mode, Principal, Reach};
use crate::domain::invalid::Invalid;
use crate::domain::text;
use crate::domain::time::{Timestamp, Window};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::role_binding::Principal as PbPrincipal;

/// What can be changed about a binding.
const PATHS: &[&str] = &["reach", "mode", "start_time", "expire_time", "justification"];

/// What bindings are sorted by.
const ORDERS: &[(&str, SortKey)] = &[("create_time", SortKey::CreateTime), ("expire_time", SortKey::ExpireTime)];

/// Reads a wish for a binding. Output-only fields are ignored.
pub fn create(fields: &mut Fields, request: &pb::CreateRoleBindingRequest, now: Timestamp) -> Option<CreateBinding> {
    let Some(binding) = &request.role_binding else {
        fields.refuse("role_binding", Invalid::Missing);
        return None;
    };
    let principal = match principal(fields, binding) {
        Some(None) => {
            fields.refuse("role_binding.principal", Invalid::Missing);
            None
        }
        other => other.flatten(),
    };
    let role = fields.required("role_binding.role", &binding.role, role_name);
    let account = fields.required("role_binding.account", &binding.account, account_name);
    let reach = fields.take("role_binding.reach", words::reach(binding.reach));
    let mode = fields.take("role_binding.mode", words::mode(binding.mode));
    let window = window(fields, "role_binding", (binding.start_time.as_ref(), binding.expire_time.as_ref()), now);
    let justification = fields.take("role_binding.justification", justification(&binding.justification));
    Some(CreateBinding {
        principal: principal?,
        role: role?,
        account: account?,
        reach: reach?,
        mode: mode?,
        window: window?,
        justification: justification?,
    })
}

/// Reads a wish to change a binding.
pub fn update(fields: &mut Fields, request: &pb::UpdateRoleBindingRequest) -> Option<UpdateBinding> {
    let Some(binding) = &request.role_binding else {
        fields.refuse("role_binding", Invalid::Missing);
        return None;
    };
    let id = fields.required("role_binding.name", &binding.name, binding_name);
    let etag = fields.take("role_binding.etag", super::etag(&binding.etag));
    let principal = principal(fields, binding);
    let role = fields.optional("role_binding.role", &binding.role, role_name);
    let account = fields.optional("role_binding.account", &binding.account, account_name);
    let mask = mask::update(fields, request.update_mask.as_ref(), PATHS, |path| match path {
        "reach" => binding.reach != 0,
        "mode" => binding.mode != 0,
        "start_time" => binding.start_time.is_some(),
        "expire_time" => binding.expire_time.is_some(),
        "justification" => !binding.justification.is_empty(),
        _ => false,
    });
    let mut change = BindingChange::default();
    if mask.has("reach") {
        change.reach = fields.take("role_binding.reach", words::reach(binding.reach));
    }
    if mask.has("mode") {
        change.mode = fields.take("role_binding.mode", words::mode(binding.mode));
    }
    if mask.has("start_time") {
        change.start_time = fields.time("role_binding.start_time", binding.start_time.as_ref());
    }
    if mask.has("expire_time") {
        change.expire_time = fields.time("role_binding.expire_time", binding.expire_time.as_ref());
    }
    if mask.has("justification") {
        change.justification = fields.take("role_binding.justification", justification(&binding.justification));
    }
    Some(UpdateBinding { id: id?, etag: etag?, principal: principal?, role: role?, account: account?, change })
}

/// Reads a principal: `Some(None)` where none is set, `None` where it cannot be read.
fn principal(fields: &mut Fields, binding: &pb::RoleBinding) -> Option<Option<PrincipalRef>> {
    match &binding.principal {
        None => Some(None),
        Some(PbPrincipal::Peer(peer)) => {
            fields.required("role_binding.peer", peer, peer_name).map(PrincipalRef::Peer).map(Some)
        }
        Some(PbPrincipal::Group(group)) => {
            fields.required("role_binding.group", group, group_name).map(PrincipalRef::Group).map(Some)
        }
    }
}

/// Reads a window that is not over yet.
pub(super) fn window(
    fields: &mut Fields,
    field: &str,
    (start, expire): (Option<&prost_types::Timestamp>, Option<&prost_types::Timestamp>),
    now: Timestamp,
) -> Option<Window> {
    let start = fields.time(format!("{field}.start_time"), start);
    let field = format!("{field}.expire_time");
    let expire = fields.time(&field, expire);
    let (start, expire) = (start?, expire?);
    let window = fields.take(&field, Window::parse(start, expire))?;
    if window.is_over(now) {
        fields.refuse(field, Invalid::Order { other: "the current time" });
        return None;
    }
    Some(window)
}

fn justification(text: &str) -> Result<String, Invalid> {
    text::paragraph(text, JUSTIFICATION_MAX)
}

/// Reads which bindings are to be listed, but for where a page starts.
pub fn list(fields: &mut Fields, request: &pb::ListRoleBindingsRequest, limit: u64) -> Option<ListBindings> {
    let account = fields.required("account", &request.account, account_name);
    let order = fields.take("order_by", order::read(&request.order_by, ORDERS));
    let filter = filter::filter(fields, &request.filter, &["peer", "group", "role", "mode", "reach"])?;
    if filter.get("peer").is_some() && filter.get("group").is_some() {
        fields.refuse("filter", Invalid::NotAllowed { why: "a binding has one principal" });
    }
    let peer = filter.read(fields, "peer", peer_name);
    let group = filter.read(fields, "group", group_name);
    let role = filter.read(fields, "role", role_name);
    let mode = filter.read(fields, "mode", |word| Mode::parse(word.strip_prefix("BINDING_MODE_").unwrap_or(word)));
    let reach = filter.read(fields, "reach", |word| Reach::parse(word.strip_prefix("REACH_").unwrap_or(word)));
    let principal = match (peer?, group?) {
        (Some(peer), _) => Some(PrincipalRef::Peer(peer)),
        (None, Some(group)) => Some(PrincipalRef::Group(group)),
        (None, None) => None,
    };
    let (key, descending) = order?.unwrap_or((SortKey::Id, false));
    Some(ListBindings {
        account: account?,
        include_descendants: request.include_descendants,
        principal,
        role: role?,
        mode: mode?,
        reach: reach?,
        order: Order { key, descending },
        after: None,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}

/// Writes a binding.
#[must_use]
pub fn to_pb(binding: &Binding) -> pb::RoleBinding {
    let principal = match binding.principal {
        Principal::Peer(peer) => PbPrincipal::Peer(format!("peers/{peer}")),
        Principal::Group(group) => PbPrincipal::Group(format!("groups/{group}")),
    };
    pb::RoleBinding {
        name: format!("roleBindings/{}", binding.id),
        uid: binding.id.to_string(),
        principal: Some(principal),
        role: format!("roles/{}", binding.role),
        account: format!("accounts/{}", binding.account),
        reach: words::reach_to_pb(binding.reach).into(),
        mode: words::mode_to_pb(binding.mode).into(),
        start_time: binding.window.start().map(time),
        expire_time: binding.window.expire().map(time),
        justification: binding.justification.clone(),
        creator: binding.creator.map(|creator| format!("peers/{creator}")).unwrap_or_default(),
        create_time: Some(time(binding.create_time)),
        update_time: Some(time(binding.update_time)),
        etag: super::etag_to_pb(binding.version),
        update_revision: binding.update_revision,
    }
}
