//! From the text of a pack to domain types. packs/README.md says what each key means.
//!
//! INVARIANT: nothing in a pack is passed over. A pattern that names no permission of the pack or of
//! core is refused, since it can only be a slip of the pen.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::sheet::{
    self, CellSheet, Flag, GrantSheet, MatrixSheet, PermissionSheet, RoleSheet, RowSheet, ScopeSheet, StepUpSheet,
    TemplateSheet,
};
use super::{CORE, Column, Matrix, Pack, PackError, PackRole, Row, Template};
use crate::application::peers::PROFILE_FIELDS;
use crate::decision::matrix::{Cell, Scope};
use crate::domain::account::AccountKind;
use crate::domain::binding::Reach;
use crate::domain::fact::RoleFact;
use crate::domain::ids::{RoleId, is_pack, is_segment};
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerKind;
use crate::domain::permission::{self, Pattern, Permission, PermissionFlags, PermissionName, PermissionOwner};
use crate::domain::role::{
    self, AssuranceLevel, Condition, Effect, GRANTS_MAX, Grant, Requirements, RoleOrigin, RoleRules, StepUp,
};
use crate::domain::text;

/// The longest id of a matrix row, in characters.
const ROW_ID_MAX: usize = 63;
/// The most fields that a role asks of a new peer.
const PEER_FIELDS_MAX: usize = 8;
/// The longest text about where a pack comes from, in characters.
const SOURCE_MAX: usize = 1024;

type Outcome<T> = Result<T, PackError>;

/// Reads the pack of a file, after those that come before it in load order.
pub(super) fn pack(id: &str, yaml: &str, earlier: &[Pack]) -> Outcome<Pack> {
    let sheet = sheet::parse(yaml).map_err(|error| PackError::Yaml { pack: id.to_owned(), source: Box::new(error) })?;
    let mut reader = Reader { pack: id, earlier, known: Vec::new() };
    if sheet.pack != id || !is_pack(id) || earlier.iter().any(|pack| pack.id == id) {
        let form = Invalid::Form { form: "the name of the file, in kebab-case, once" };
        return Err(reader.value("pack", &sheet.pack, form));
    }
    let title = reader.line("title", &sheet.title, role::TITLE_MAX)?;
    let source = reader.line("source", &sheet.source, SOURCE_MAX)?;
    let permissions: Vec<Permission> =
        sheet.permissions.iter().map(|permission| reader.permission(permission)).collect::<Outcome<_>>()?;
    reader.once("permissions", permissions.iter().map(|permission| permission.name.as_str()))?;
    let core = earlier.iter().filter(|pack| pack.id == CORE).flat_map(|pack| &pack.permissions);
    reader.known = core.chain(&permissions).cloned().collect();
    let roles: Vec<PackRole> = sheet.roles.into_iter().map(|role| reader.role(role)).collect::<Outcome<_>>()?;
    reader.once("roles", roles.iter().map(|role| role.fact.id.as_str()))?;
    let templates = reader.templates(&sheet.templates, &roles)?;
    let matrix = sheet.matrix.map(|matrix| reader.matrix(matrix, &roles)).transpose()?;
    let digest = Sha256::digest(yaml.as_bytes()).into();
    Ok(Pack { id: id.to_owned(), title, source, permissions, roles, templates, matrix, digest })
}

struct Reader<'a> {
    pack: &'a str,
    earlier: &'a [Pack],
    /// The permissions of core and of this pack: what its roles and its matrix may name.
    known: Vec<Permission>,
}

impl Reader<'_> {
    fn value(&self, place: impl Into<String>, value: impl Into<String>, why: Invalid) -> PackError {
        PackError::Value { pack: self.pack.to_owned(), place: place.into(), value: value.into(), why }
    }

    fn unknown(&self, place: impl Into<String>, name: impl Into<String>) -> PackError {
        PackError::Unknown { pack: self.pack.to_owned(), place: place.into(), name: name.into() }
    }

    fn rule(&self, place: impl Into<String>, why: &'static str) -> PackError {
        PackError::Rule { pack: self.pack.to_owned(), place: place.into(), why }
    }

    fn line(&self, place: &str, value: &str, max: usize) -> Outcome<String> {
        text::line(value, max).map_err(|why| self.value(place, value, why))
    }

    fn once<T: Ord + ToString>(&self, place: &str, items: impl IntoIterator<Item = T>) -> Outcome<()> {
        let mut seen = BTreeSet::new();
        for item in items {
            let value = item.to_string();
            if !seen.insert(item) {
                return Err(self.value(place, value.clone(), Invalid::Duplicate { value }));
            }
        }
        Ok(())
    }

    fn permission(&self, sheet: &PermissionSheet) -> Outcome<Permission> {
        let place = format!("permission `{}`", sheet.name);
        let flags: BTreeSet<Flag> = sheet.flags.iter().copied().collect();
        if flags.len() != sheet.flags.len() {
            return Err(self.rule(place, "a flag stands there twice"));
        }
        let name = PermissionName::parse(&sheet.name).map_err(|why| self.value("permissions", &sheet.name, why))?;
        let own = Permission {
            title: self.line(&place, &sheet.title, permission::TITLE_MAX)?,
            feature: self.line(&place, &sheet.feature, permission::TITLE_MAX)?,
            flags: PermissionFlags {
                privileged: flags.contains(&Flag::Privileged),
                reserved: flags.contains(&Flag::Reserved),
                from_outside: flags.contains(&Flag::FromOutside),
                on_suspended: flags.contains(&Flag::OnSuspended),
            },
            owner: PermissionOwner::Pack(self.pack.to_owned()),
            name,
        };
        let listed = self.earlier.iter().flat_map(|pack| &pack.permissions).find(|known| known.name == own.name);
        let Some(first) = listed else { return Ok(own) };
        let PermissionOwner::Pack(owner) = &first.owner else { return Ok(own) };
        if (&own.title, &own.feature, own.flags) == (&first.title, &first.feature, first.flags) {
            return Ok(first.clone());
        }
        let pack = self.pack.to_owned();
        Err(PackError::Different { pack, permission: own.name.to_string(), owner: owner.clone() })
    }

    fn role(&self, sheet: RoleSheet) -> Outcome<PackRole> {
        let place = format!("role `{}`", sheet.id);
        if !is_segment(&sheet.id) {
            return Err(self.value("roles", sheet.id, Invalid::Form { form: "`[a-z][a-z0-9_]*`" }));
        }
        let id = self.role_id("roles", &format!("{}.{}", self.pack, sheet.id))?;
        let title = self.line(&place, &sheet.title, role::TITLE_MAX)?;
        let description = self.line(&place, &sheet.description, role::DESCRIPTION_MAX)?;
        if sheet.grants.is_empty() || sheet.grants.len() > GRANTS_MAX {
            return Err(self.rule(place, "a role has at least one grant and at most 512"));
        }
        let numbered = (1..).zip(&sheet.grants);
        let grants: Vec<Grant> = numbered
            .map(|(number, grant)| self.grant(&format!("{place}, grant {number}"), grant))
            .collect::<Outcome<_>>()?;
        if sheet.max_holders == Some(0) {
            return Err(self.rule(place, "a role that nobody may hold is none"));
        }
        if let Some(repeated) = repeated(&sheet.peer_kinds, &sheet.account_kinds, &sheet.reaches) {
            return Err(self.rule(place, repeated));
        }
        let is_field = |path: &String| PROFILE_FIELDS.iter().any(|field| field.path == path);
        if sheet.peer_fields.len() > PEER_FIELDS_MAX || !sheet.peer_fields.iter().all(is_field) {
            return Err(self.rule(place, "`peer_fields` lists a few fields of a peer"));
        }
        let named = |id: &String| self.role_id(&place, id);
        let rules = RoleRules {
            assignable: sheet.assignable,
            max_holders: sheet.max_holders,
            grantable_roles: sheet.grantable_roles.iter().map(named).collect::<Outcome<_>>()?,
            session_role: sheet.session_role.as_ref().map(named).transpose()?,
            peer_kinds: sheet.peer_kinds,
            account_kinds: sheet.account_kinds,
            reaches: sheet.reaches,
            requires_justification: sheet.requires_justification,
            min_assurance: sheet.min_assurance,
            peer_fields: sheet.peer_fields,
        };
        let fact = RoleFact { id, origin: RoleOrigin::BuiltIn, grants, rules };
        Ok(PackRole { fact: Arc::new(fact), title, description })
    }

    fn role_id(&self, place: &str, id: &str) -> Outcome<RoleId> {
        RoleId::parse(id).map_err(|why| self.value(place, id, why))
    }

    fn grant(&self, place: &str, sheet: &GrantSheet) -> Outcome<Grant> {
        let (effect, pattern) = match (&sheet.allow, &sheet.deny) {
            (Some(pattern), None) => (Effect::Allow, pattern),
            (None, Some(pattern)) => (Effect::Deny, pattern),
            _ => return Err(self.rule(place, "a grant has exactly one of `allow` and `deny`")),
        };
        let step_up = sheet.step_up.as_ref().map(|step_up| self.step_up(place, step_up)).transpose()?;
        let grant = Grant {
            pattern: Pattern::parse(pattern).map_err(|why| self.value(place, pattern, why))?,
            effect,
            requirements: Requirements { step_up, approval: sheet.approval },
            condition: self.condition(place, &sheet.when)?,
        };
        grant.check().map_err(|why| self.value(place, pattern, why))?;
        if self.known.iter().any(|permission| grant.pattern.matches(permission)) {
            Ok(grant)
        } else {
            Err(self.unknown(place, pattern))
        }
    }

    fn step_up(&self, place: &str, sheet: &StepUpSheet) -> Outcome<StepUp> {
        let seconds = sheet.max_age_minutes.checked_mul(60);
        match seconds {
            // A step-up of no level and any age asks for nothing.
            Some(0) if sheet.level == AssuranceLevel::None => Err(self.rule(place, "the step-up asks for nothing")),
            Some(max_age_seconds) => Ok(StepUp { level: sheet.level, max_age_seconds }),
            None => Err(self.rule(place, "`max_age_minutes` is too large")),
        }
    }

    fn condition(&self, place: &str, condition: &Condition) -> Outcome<Condition> {
        condition.check().map_err(|(value, why)| self.value(place, &value, why))?;
        Ok(condition.clone())
    }

    fn own_role<'a>(&self, place: &str, id: &str, roles: &'a [PackRole]) -> Outcome<&'a PackRole> {
        let full = format!("{}.{id}", self.pack);
        roles.iter().find(|role| role.fact.id.as_str() == full).ok_or_else(|| self.unknown(place, id))
    }

    fn templates(&self, sheets: &[TemplateSheet], roles: &[PackRole]) -> Outcome<Vec<Template>> {
        let mut templates: Vec<Template> = Vec::with_capacity(sheets.len());
        for sheet in sheets {
            let kind = sheet.account_kind;
            let place = format!("template of {kind:?}");
            let role = self.own_role(&place, &sheet.first_peer_role, roles)?;
            let rules = &role.fact.rules;
            let is_for_kind = rules.account_kinds.is_empty() || rules.account_kinds.contains(&kind);
            let reaches_down = rules.reaches.is_empty() || rules.reaches.contains(&Reach::Subtree);
            if !is_for_kind || !reaches_down {
                return Err(self.rule(place, "the role cannot be bound there with SUBTREE reach"));
            }
            if templates.iter().any(|other| other.account_kind == kind) {
                return Err(self.rule(place, "there is another template for the kind"));
            }
            let partner_access = sheet.settings.partner_access;
            if partner_access.is_some() && !matches!(kind, AccountKind::Partner | AccountKind::Customer) {
                return Err(self.rule(place, "partner access is set on PARTNER and CUSTOMER accounts"));
            }
            templates.push(Template { account_kind: kind, first_peer_role: role.fact.id.clone(), partner_access });
        }
        Ok(templates)
    }

    fn matrix(&self, sheet: MatrixSheet, roles: &[PackRole]) -> Outcome<Matrix> {
        let mut columns = Vec::with_capacity(sheet.columns.len());
        for column in &sheet.columns {
            let role = self.own_role("matrix columns", &column.role, roles)?.fact.id.clone();
            let scope = match column.scope {
                Some(ScopeSheet::All) => Scope::All,
                Some(ScopeSheet::Assigned) => Scope::Assigned,
                None => Scope::Either,
            };
            columns.push(Column { role, scope });
        }
        self.once("matrix columns", columns.iter().map(|column| column.role.as_str()))?;
        let rows: Vec<Row> = sheet.rows.into_iter().map(|row| self.row(row, columns.len())).collect::<Outcome<_>>()?;
        self.once("matrix rows", rows.iter().map(|row| row.id.as_str()))?;
        Ok(Matrix { columns, rows })
    }

    fn row(&self, sheet: RowSheet, columns: usize) -> Outcome<Row> {
        let place = format!("matrix row `{}`", sheet.id);
        let id = self.line("matrix rows", &sheet.id, ROW_ID_MAX)?;
        let title = self.line(&place, &sheet.title, role::TITLE_MAX)?;
        let permissions = self.known_names(&place, &sheet.permissions)?;
        if permissions.is_empty() {
            return Err(self.rule(place, "a row asks about at least one permission"));
        }
        if sheet.cells.len() != columns {
            return Err(self.rule(place, "a row has one cell for each column"));
        }
        let cells = sheet.cells.into_iter().map(|cell| self.cell(&place, cell, &permissions));
        let cells = cells.collect::<Outcome<_>>()?;
        Ok(Row { id, title, permissions, cells })
    }

    fn known_names(&self, place: &str, names: &[String]) -> Outcome<Vec<PermissionName>> {
        self.once(place, names)?;
        let known = |name: &String| self.known.iter().find(|permission| permission.name.as_str() == name);
        let find = |name: &String| known(name).ok_or_else(|| self.unknown(place, name));
        names.iter().map(|name| find(name).map(|permission| permission.name.clone())).collect()
    }

    fn cell(&self, place: &str, sheet: CellSheet, row: &[PermissionName]) -> Outcome<Cell> {
        let listed = match sheet {
            CellSheet::Yes => return Ok(Cell::Yes),
            CellSheet::WithApproval => return Ok(Cell::WithApproval),
            CellSheet::No => return Ok(Cell::No),
            CellSheet::Partial(names) => self.known_names(place, &names)?,
        };
        if let Some(stranger) = listed.iter().find(|name| !row.contains(name)) {
            return Err(self.unknown(format!("{place}, a partial cell"), stranger.as_str()));
        }
        // In the order of the row, which is how the engine's answer comes.
        Ok(Cell::Partial(row.iter().filter(|name| listed.contains(name)).cloned().collect()))
    }
}

/// What is wrong with a role's lists of kinds and reaches, if anything stands there twice.
fn repeated(peers: &[PeerKind], accounts: &[AccountKind], reaches: &[Reach]) -> Option<&'static str> {
    fn twice<T: Ord>(items: &[T]) -> bool {
        items.iter().collect::<BTreeSet<_>>().len() != items.len()
    }
    if twice(peers) {
        Some("a kind of peer stands there twice")
    } else if twice(accounts) {
        Some("a kind of account stands there twice")
    } else {
        twice(reaches).then_some("a reach stands there twice")
    }
}
