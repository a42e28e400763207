//! The catalogue and permission matrices on the wire.

use std::collections::HashSet;

use super::{Fields, account_name, filter, role_name};
use crate::application::permissions::matrix::{MatrixRequest, PermissionMatrix};
use crate::application::permissions::{Gain, ListPermissions, NewPermission, RegisterPermissions, Registered};
use crate::decision::matrix::{Cell, Scope};
use crate::domain::ids::{RoleId, is_pack, is_segment};
use crate::domain::invalid::Invalid;
use crate::domain::permission::{Permission, PermissionFlags, PermissionName, PermissionOwner, TITLE_MAX};
use crate::domain::text;
use crate::transport::grpc::pb;

/// The most permissions of one request.
const PERMISSIONS_MAX: usize = 1000;
/// The most columns of a matrix.
const ROLES_MAX: usize = 100;

/// Reads a wish to register permissions.
pub fn register(fields: &mut Fields, request: &pb::RegisterPermissionsRequest) -> Option<RegisterPermissions> {
    let owner = fields.optional("owner_account", &request.owner_account, account_name);
    if request.permissions.is_empty() {
        fields.refuse("permissions", Invalid::Missing);
    }
    if request.permissions.len() > PERMISSIONS_MAX {
        fields.refuse("permissions", Invalid::TooMany { max: PERMISSIONS_MAX });
        return None;
    }
    let mut names = HashSet::new();
    let mut permissions = Vec::with_capacity(request.permissions.len());
    for (place, permission) in request.permissions.iter().enumerate() {
        let field = |name: &str| format!("permissions[{place}].{name}");
        let name = fields.required(field("name"), &permission.name, PermissionName::parse);
        let title = fields.required(field("title"), &permission.title, |title| text::line(title, TITLE_MAX));
        let feature = fields.required(field("feature"), &permission.feature, |title| text::line(title, TITLE_MAX));
        if let Some(name) = &name
            && !names.insert(name.clone())
        {
            fields.refuse(field("name"), Invalid::Duplicate { value: name.to_string() });
        }
        let (Some(name), Some(title), Some(feature)) = (name, title, feature) else { continue };
        let flags = PermissionFlags {
            privileged: permission.privileged,
            reserved: permission.reserved,
            from_outside: permission.from_outside,
            on_suspended: permission.on_suspended,
        };
        permissions.push(NewPermission { name, title, feature, flags });
    }
    Some(RegisterPermissions { permissions, owner: owner?, confirm_gains: request.confirm_gains })
}

/// Reads which permissions are to be listed, but for where a page starts.
pub fn list(fields: &mut Fields, request: &pb::ListPermissionsRequest, limit: u64) -> Option<ListPermissions> {
    const FIELDS: &[&str] = &["resource", "feature", "owner", "privileged", "reserved", "from_outside", "on_suspended"];
    let filter = filter::filter(fields, &request.filter, FIELDS)?;
    let resource = filter.read(fields, "resource", |resource| {
        let form = Invalid::Form { form: "the first half of a permission" };
        if is_segment(resource) { Ok(resource.to_owned()) } else { Err(form) }
    });
    let feature = filter.read(fields, "feature", |feature| text::line(feature, TITLE_MAX));
    let owner = filter.read(fields, "owner", owner);
    let mut flag = |name| filter.read(fields, name, filter::truth);
    let (privileged, reserved) = (flag("privileged"), flag("reserved"));
    let (from_outside, on_suspended) = (flag("from_outside"), flag("on_suspended"));
    Some(ListPermissions {
        resource: resource?,
        feature: feature?,
        owner: owner?,
        privileged: privileged?,
        reserved: reserved?,
        from_outside: from_outside?,
        on_suspended: on_suspended?,
        after: None,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}

fn owner(name: &str) -> Result<PermissionOwner, Invalid> {
    match name.strip_prefix("packs/") {
        Some(pack) if is_pack(pack) => Ok(PermissionOwner::Pack(pack.to_owned())),
        Some(_) => Err(Invalid::Form { form: "`packs/{pack}` or `accounts/{account}`" }),
        None => account_name(name).map(PermissionOwner::Account),
    }
}

/// Writes a permission.
#[must_use]
pub fn to_pb(permission: &Permission) -> pb::Permission {
    let owner = match &permission.owner {
        PermissionOwner::Pack(pack) => format!("packs/{pack}"),
        PermissionOwner::Account(account) => format!("accounts/{account}"),
    };
    pb::Permission {
        name: permission.name.to_string(),
        title: permission.title.clone(),
        feature: permission.feature.clone(),
        privileged: permission.flags.privileged,
        reserved: permission.flags.reserved,
        from_outside: permission.flags.from_outside,
        on_suspended: permission.flags.on_suspended,
        owner,
    }
}

/// Writes what was registered.
#[must_use]
pub fn registered(registered: &Registered) -> pb::RegisterPermissionsResponse {
    pb::RegisterPermissionsResponse {
        permissions: registered.permissions.iter().map(to_pb).collect(),
        gains: registered.gains.iter().map(gain).collect(),
        gain_count: i64::try_from(registered.gain_count).unwrap_or(i64::MAX),
        update_revision: registered.update_revision,
    }
}

fn gain(gain: &Gain) -> pb::PermissionGain {
    pb::PermissionGain {
        role: format!("roles/{}", gain.role),
        permission: gain.permission.to_string(),
        pattern: gain.pattern.to_string(),
    }
}

/// Reads which matrix is asked for: that of a pack, or of roles and permissions.
pub fn matrix(fields: &mut Fields, request: &pb::GetPermissionMatrixRequest) -> Option<MatrixRequest> {
    if !request.pack.is_empty() {
        for (field, is_set) in [("roles", !request.roles.is_empty()), ("permissions", !request.permissions.is_empty())]
        {
            if is_set {
                fields.refuse(field, Invalid::NotAllowed { why: "`pack` says which ones" });
            }
        }
        if !is_pack(&request.pack) {
            fields.refuse("pack", Invalid::Form { form: "the name of a pack" });
        }
        return Some(MatrixRequest::Pack(request.pack.clone()));
    }
    let roles: Option<Vec<RoleId>> = named(fields, "roles", &request.roles, ROLES_MAX, role_name);
    let permissions: Option<Vec<PermissionName>> =
        named(fields, "permissions", &request.permissions, PERMISSIONS_MAX, PermissionName::parse);
    Some(MatrixRequest::Of { roles: roles?, permissions: permissions? })
}

/// Reads a list of names: at least one, each only once.
fn named<T: PartialEq>(
    fields: &mut Fields,
    field: &str,
    names: &[String],
    max: usize,
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> Option<Vec<T>> {
    if names.is_empty() {
        fields.refuse(field, Invalid::Missing);
        return None;
    }
    if names.len() > max {
        fields.refuse(field, Invalid::TooMany { max });
        return None;
    }
    let mut found = Vec::with_capacity(names.len());
    for (place, name) in names.iter().enumerate() {
        let field = format!("{field}[{place}]");
        if names.iter().take(place).any(|other| other == name) {
            fields.refuse(field, Invalid::Duplicate { value: name.chars().take(PermissionName::MAX).collect() });
        } else if let Some(name) = fields.required(field, name, &parse) {
            found.push(name);
        }
    }
    (found.len() == names.len()).then_some(found)
}

/// Writes a matrix.
#[must_use]
pub fn matrix_to_pb(matrix: &PermissionMatrix) -> pb::GetPermissionMatrixResponse {
    let rows = matrix.rows.iter().map(|row| pb::MatrixRow {
        id: row.id.clone(),
        title: row.title.clone(),
        permissions: row.permissions.iter().map(PermissionName::to_string).collect(),
        cells: matrix.columns.iter().zip(&row.cells).map(|((role, scope), value)| cell(role, *scope, value)).collect(),
    });
    pb::GetPermissionMatrixResponse {
        roles: matrix.columns.iter().map(|(role, _)| format!("roles/{role}")).collect(),
        rows: rows.collect(),
        revision: matrix.revision,
    }
}

fn cell(role: &RoleId, scope: Scope, cell: &Cell) -> pb::MatrixCell {
    let (value, allowed) = match cell {
        Cell::Yes => (pb::MatrixValue::Yes, [].as_slice()),
        Cell::WithApproval => (pb::MatrixValue::WithApproval, [].as_slice()),
        Cell::Partial(permissions) => (pb::MatrixValue::Partial, permissions.as_slice()),
        Cell::No => (pb::MatrixValue::No, [].as_slice()),
    };
    let scope = match scope {
        _ if *cell == Cell::No => pb::MatrixScope::Unspecified,
        Scope::All => pb::MatrixScope::All,
        Scope::Assigned => pb::MatrixScope::Assigned,
        Scope::Either => pb::MatrixScope::Unspecified,
    };
    pb::MatrixCell {
        role: format!("roles/{role}"),
        value: value.into(),
        scope: scope.into(),
        allowed_permissions: allowed.iter().map(PermissionName::to_string).collect(),
    }
}
