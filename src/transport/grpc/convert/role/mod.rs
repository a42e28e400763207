//! Roles on the wire. Their grants: [`grant`]; the words in them: [`words`].

pub mod condition;
pub mod grant;
pub mod words;

use super::{Fields, account_name, filter, mask, role_name, time};
use crate::application::roles::edit::{CopyRole, CreateRole, RoleChange, UpdateRole};
use crate::application::roles::{ListedRole, RoleFilter};
use crate::domain::ids::{RoleId, is_pack};
use crate::domain::invalid::Invalid;
use crate::domain::role::{DESCRIPTION_MAX, RoleOrigin, RoleRules, TITLE_MAX};
use crate::domain::text;
use crate::transport::grpc::pb;

/// What can be changed about a role.
const PATHS: &[&str] = &[
    "title",
    "description",
    "inheritable",
    "grants",
    "rules",
    "rules.assignable",
    "rules.max_holders",
    "rules.peer_kinds",
    "rules.account_kinds",
    "rules.reaches",
    "rules.requires_justification",
    "rules.min_assurance",
];

/// Reads a wish for a role. Output-only fields are ignored.
pub fn create(fields: &mut Fields, request: &pb::CreateRoleRequest) -> Option<CreateRole> {
    let Some(role) = &request.role else {
        fields.refuse("role", Invalid::Missing);
        return None;
    };
    let owner = fields.required("role.owner_account", &role.owner_account, account_name);
    let title = fields.required("role.title", &role.title, title);
    let description = fields.take("role.description", description(&role.description));
    let grants = grant::grants(fields, "role.grants", &role.grants);
    let rules = rules(fields, "role.rules", &role.rules.clone().unwrap_or_default());
    Some(CreateRole {
        owner: owner?,
        title: title?,
        description: description?,
        inheritable: role.inheritable,
        grants: grants?,
        rules: rules?,
    })
}

/// Reads a wish for a copy.
pub fn copy(fields: &mut Fields, request: &pb::CopyRoleRequest) -> Option<CopyRole> {
    let source = fields.required("name", &request.name, role_name);
    let owner = fields.required("owner_account", &request.owner_account, account_name);
    let title = fields.required("title", &request.title, title);
    let description = fields.take("description", description(&request.description));
    let rules = match &request.rules {
        None => Some(None),
        Some(wire) => rules(fields, "rules", wire).map(Some),
    };
    Some(CopyRole {
        source: source?,
        owner: owner?,
        title: title?,
        description: description?,
        inheritable: request.inheritable,
        rules: rules?,
    })
}

/// Reads a wish to change a role.
pub fn update(fields: &mut Fields, request: &pb::UpdateRoleRequest) -> Option<UpdateRole> {
    let Some(role) = &request.role else {
        fields.refuse("role", Invalid::Missing);
        return None;
    };
    let id = fields.required("role.name", &role.name, role_name);
    let etag = fields.take("role.etag", super::etag(&role.etag));
    let owner = fields.optional("role.owner_account", &role.owner_account, account_name);
    let mask = mask::update(fields, request.update_mask.as_ref(), PATHS, |path| match path {
        "title" => !role.title.is_empty(),
        "description" => !role.description.is_empty(),
        "inheritable" => role.inheritable,
        "grants" => !role.grants.is_empty(),
        "rules" => role.rules.is_some(),
        _ => false,
    });
    let wire = role.rules.clone().unwrap_or_default();
    let rules = if PATHS.iter().any(|path| path.starts_with("rules") && mask.has(path)) {
        rules(fields, "role.rules", &wire)
    } else {
        Some(RoleRules::default())
    };
    let mut change =
        RoleChange { inheritable: mask.has("inheritable").then_some(role.inheritable), ..RoleChange::default() };
    if mask.has("title") {
        change.title = fields.required("role.title", &role.title, title);
    }
    if mask.has("description") {
        change.description = fields.take("role.description", description(&role.description));
    }
    if mask.has("grants") {
        change.grants = grant::grants(fields, "role.grants", &role.grants);
    }
    let rules = rules?;
    change.assignable = mask.has("rules.assignable").then_some(rules.assignable);
    change.max_holders = mask.has("rules.max_holders").then_some(rules.max_holders);
    change.peer_kinds = mask.has("rules.peer_kinds").then_some(rules.peer_kinds);
    change.account_kinds = mask.has("rules.account_kinds").then_some(rules.account_kinds);
    change.reaches = mask.has("rules.reaches").then_some(rules.reaches);
    change.requires_justification = mask.has("rules.requires_justification").then_some(rules.requires_justification);
    change.min_assurance = mask.has("rules.min_assurance").then_some(rules.min_assurance);
    Some(UpdateRole { id: id?, etag: etag?, owner: owner?, change })
}

fn title(title: &str) -> Result<String, Invalid> {
    text::line(title, TITLE_MAX)
}

fn description(description: &str) -> Result<String, Invalid> {
    text::paragraph(description, DESCRIPTION_MAX)
}

/// Reads rules of use; what only built-in roles have is output only.
pub fn rules(fields: &mut Fields, field: &str, rules: &pb::RoleRules) -> Option<RoleRules> {
    let max_holders = match u32::try_from(rules.max_holders) {
        Ok(0) => Some(None),
        Ok(most) => Some(Some(most)),
        Err(_) => {
            fields.refuse(format!("{field}.max_holders"), Invalid::OutOfRange { min: 0, max: i64::from(i32::MAX) });
            None
        }
    };
    let at = |rest: &str| format!("{field}.{rest}");
    let spell = |kind| words::peer_kind_to_pb(kind).as_str_name();
    let peer_kinds = words::distinct(fields, &at("peer_kinds"), (&rules.peer_kinds, 3), words::peer_kind, spell);
    let spell = |kind| words::account_kind_to_pb(kind).as_str_name();
    let account_kinds =
        words::distinct(fields, &at("account_kinds"), (&rules.account_kinds, 4), words::account_kind, spell);
    let spell = |reach| words::reach_to_pb(reach).as_str_name();
    let reaches = words::distinct(fields, &at("reaches"), (&rules.reaches, 2), words::reach, spell);
    let min_assurance = fields.take(format!("{field}.min_assurance"), words::assurance(rules.min_assurance));
    Some(RoleRules {
        assignable: rules.assignable.unwrap_or(true),
        max_holders: max_holders?,
        peer_kinds: peer_kinds?,
        account_kinds: account_kinds?,
        reaches: reaches?,
        requires_justification: rules.requires_justification,
        min_assurance: min_assurance?,
        grantable_roles: Vec::new(),
        session_role: None,
        peer_fields: Vec::new(),
    })
}

/// Reads a filter of roles.
pub fn filter(fields: &mut Fields, text: &str) -> Option<RoleFilter> {
    let filter = filter::filter(fields, text, &["pack", "built_in", "owner_account"])?;
    let pack = filter.read(fields, "pack", |pack| {
        if is_pack(pack) { Ok(pack.to_owned()) } else { Err(Invalid::Form { form: "the name of a pack" }) }
    });
    let built_in = filter.read(fields, "built_in", filter::truth);
    let owner = filter.read(fields, "owner_account", account_name);
    Some(RoleFilter { pack: pack?, built_in: built_in?, owner: owner? })
}

/// Writes a role.
#[must_use]
pub fn to_pb(listed: &ListedRole) -> pb::Role {
    let role = &listed.role;
    let (built_in, owner_account, inheritable) = match &role.origin {
        RoleOrigin::BuiltIn => (true, String::new(), true),
        RoleOrigin::Custom { owner, inheritable } => (false, format!("accounts/{owner}"), *inheritable),
    };
    let name = |id: &RoleId| format!("roles/{id}");
    pb::Role {
        name: name(&role.id),
        uid: role.id.to_string(),
        title: role.title.clone(),
        description: role.description.clone(),
        owner_account,
        pack: role.id.pack().unwrap_or_default().to_owned(),
        built_in,
        inheritable,
        grants: role.grants.iter().map(grant::to_pb).collect(),
        rules: Some(rules_to_pb(&role.rules)),
        copied_from: role.copied_from.as_ref().map(name).unwrap_or_default(),
        holder_count: i64::try_from(listed.holder_count).unwrap_or(i64::MAX),
        create_time: Some(time(role.create_time)),
        update_time: Some(time(role.update_time)),
        etag: super::etag_to_pb(role.version),
        update_revision: role.update_revision,
    }
}

/// Writes rules of use.
#[must_use]
pub fn rules_to_pb(rules: &RoleRules) -> pb::RoleRules {
    pb::RoleRules {
        assignable: Some(rules.assignable),
        max_holders: rules.max_holders.map_or(0, |most| i32::try_from(most).unwrap_or(i32::MAX)),
        peer_kinds: rules.peer_kinds.iter().map(|kind| words::peer_kind_to_pb(*kind).into()).collect(),
        account_kinds: rules.account_kinds.iter().map(|kind| words::account_kind_to_pb(*kind).into()).collect(),
        reaches: rules.reaches.iter().map(|reach| words::reach_to_pb(*reach).into()).collect(),
        requires_justification: rules.requires_justification,
        min_assurance: words::assurance_to_pb(rules.min_assurance).into(),
        grantable_roles: rules.grantable_roles.iter().map(|role| format!("roles/{role}")).collect(),
        session_role: rules.session_role.as_ref().map(|role| format!("roles/{role}")).unwrap_or_default(),
        peer_fields: rules.peer_fields.clone(),
    }
}
