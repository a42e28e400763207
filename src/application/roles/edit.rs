//! Making, changing, copying and deleting custom roles.
//!
//! What a role may give, and whether what is bound fits its rules of use, is judged on commit. Here
//! stands what the facts do not show: texts, titles, reasons given, and the rules of a copy's source.

use super::{Counter, ListedRole, VIEW, admit_anywhere, custom_rules, is_visible, missing, name};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result, Taken, Violation};
use crate::application::guard::{Permit, View};
use crate::application::write::Write;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::account::AccountKind;
use crate::domain::audit::{Change, Personal, Target, Text};
use crate::domain::binding::Reach;
use crate::domain::fact::Fact;
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerKind;
use crate::domain::role::{AssuranceLevel, Grant, Role, RoleOrigin, RoleRules};
use crate::domain::text;
use crate::storage::{self, Constraint, StoreError, facts};

/// What a new role is to be.
#[derive(Debug, Clone)]
pub struct CreateRole {
    pub owner: AccountId,
    pub title: String,
    pub description: String,
    pub inheritable: bool,
    pub grants: Vec<Grant>,
    pub rules: RoleRules,
}

/// What is to change about a role; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct RoleChange {
    pub title: Option<String>,
    pub description: Option<String>,
    pub inheritable: Option<bool>,
    pub grants: Option<Vec<Grant>>,
    pub assignable: Option<bool>,
    pub max_holders: Option<Option<u32>>,
    pub peer_kinds: Option<Vec<PeerKind>>,
    pub account_kinds: Option<Vec<AccountKind>>,
    pub reaches: Option<Vec<Reach>>,
    pub requires_justification: Option<bool>,
    pub min_assurance: Option<AssuranceLevel>,
}

/// A wish to change a role.
#[derive(Debug, Clone)]
pub struct UpdateRole {
    pub id: RoleId,
    pub etag: Option<i64>,
    /// The owner that the caller believes in; it never changes.
    pub owner: Option<AccountId>,
    pub change: RoleChange,
}

/// What a copy is to be.
#[derive(Debug, Clone)]
pub struct CopyRole {
    pub source: RoleId,
    pub owner: AccountId,
    pub title: String,
    pub description: String,
    pub inheritable: bool,
    /// Tighter rules of use, or those of the source.
    pub rules: Option<RoleRules>,
}

/// Makes a custom role.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`]; [`Error::PermissionUnknown`] where a
/// grant names no registered permission, [`Error::AlreadyExists`] where the title is taken.
pub async fn create(ctx: &Ctx, call: &Call, request: CreateRole) -> Result<ListedRole> {
    let role = create_role(ctx, call, request).await?;
    listed(ctx, call, role)
}

async fn create_role(ctx: &Ctx, call: &Call, request: CreateRole) -> Result<Role> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let role = make(&mut write, request).await?;
    write.commit(role).await
}

/// The whole of a new role within a change, with its event.
///
/// # Errors
/// As [`create`].
pub(in crate::application) async fn make(write: &mut Write<'_>, request: CreateRole) -> Result<Role> {
    let permit = write.view()?.admit_at("roles.create", &request.owner)?;
    check_registered(write.before(), &request.grants)?;
    let role = Role {
        id: RoleId::custom(write.ctx().entropy.uuid(write.now())?),
        origin: RoleOrigin::Custom { owner: request.owner, inheritable: request.inheritable },
        title: request.title,
        description: request.description,
        grants: request.grants,
        rules: custom_rules(request.rules),
        copied_from: None,
        create_time: write.now(),
        update_time: write.now(),
        version: 1,
        update_revision: 0,
    };
    put(write, &permit, role, "roles.create").await
}

/// Copies a role into a custom one.
///
/// # Errors
/// As [`create`]; [`Error::Precondition`] where the source is not assignable, or the copy would be
/// looser.
pub async fn copy(ctx: &Ctx, call: &Call, request: CopyRole) -> Result<ListedRole> {
    let role = copy_role(ctx, call, request).await?;
    listed(ctx, call, role)
}

async fn copy_role(ctx: &Ctx, call: &Call, request: CopyRole) -> Result<Role> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let permit = write.view()?.admit_at("roles.create", &request.owner)?;
    let source = visible(&write, &request.source).await?;
    if !source.rules.assignable {
        return Err(Error::precondition(Precondition::RoleUnassignable, name(&source.id)));
    }
    let mut rules = custom_rules(request.rules.unwrap_or_else(|| source.rules.clone()));
    // What the source asks of new peers is no choice of whoever copies it.
    rules.peer_fields.clone_from(&source.rules.peer_fields);
    if !rules.at_least_as_strict_as(&source.rules) {
        return Err(Error::precondition(Precondition::RoleRulesLoosened, name(&source.id)));
    }
    let description = if request.description.is_empty() { source.description } else { request.description };
    let role = Role {
        id: RoleId::custom(ctx.entropy.uuid(write.now())?),
        origin: RoleOrigin::Custom { owner: request.owner, inheritable: request.inheritable },
        title: request.title,
        description,
        grants: source.grants,
        rules,
        copied_from: Some(source.id),
        create_time: write.now(),
        update_time: write.now(),
        version: 1,
        update_revision: 0,
    };
    let role = put(&mut write, &permit, role, "roles.copy").await?;
    write.commit(role).await
}

async fn put(write: &mut Write<'_>, permit: &Permit, mut role: Role, action: &str) -> Result<Role> {
    if let RoleOrigin::Custom { owner, .. } = &role.origin
        && storage::roles::title_taken(write.connection(), owner, &role.title).await?
    {
        return Err(title_taken(&role));
    }
    act(write, permit.account(), action, None, &role)?;
    write.change(permit, None, Some(Fact::Role(facts::role(&role))));
    role.update_revision = write.revision();
    storage::roles::insert(write.connection(), &role).await.map_err(|error| explain(error, &role))?;
    Ok(role)
}

/// Changes a custom role.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`], [`Error::EtagMismatch`],
/// [`Error::PermissionUnknown`], [`Error::AlreadyExists`]; [`Error::Precondition`] where the role is
/// built-in, a copy would be looser than its source, or bindings break the new rules.
pub async fn update(ctx: &Ctx, call: &Call, request: UpdateRole) -> Result<ListedRole> {
    let role = update_role(ctx, call, request).await?;
    listed(ctx, call, role)
}

async fn update_role(ctx: &Ctx, call: &Call, request: UpdateRole) -> Result<Role> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (before, permit) = own(&write, &request.id, "roles.update", request.etag).await?;
    let RoleOrigin::Custom { owner, inheritable } = &before.origin else { return Err(missing(&before.id)) };
    if request.owner.is_some_and(|wanted| wanted != *owner) {
        return Err(Error::invalid("role.owner_account", Invalid::NotAllowed { why: "it never changes" }));
    }
    if let Some(grants) = &request.change.grants {
        check_registered(write.before(), grants)?;
    }
    let inheritable = request.change.inheritable.unwrap_or(*inheritable);
    let mut role = changed(&before, owner.clone(), inheritable, request.change);
    role.update_time = write.now();
    if text::fold(&role.title) != text::fold(&before.title)
        && storage::roles::title_taken(write.connection(), owner, &role.title).await?
    {
        return Err(title_taken(&role));
    }
    check_source(&write, &before, &role).await?;
    check_justified(&write, &before, &role).await?;
    act(&mut write, permit.account(), "roles.update", Some(&before), &role)?;
    write.change(&permit, Some(Fact::Role(facts::role(&before))), Some(Fact::Role(facts::role(&role))));
    role.update_revision = write.revision();
    storage::roles::update(write.connection(), &role).await.map_err(|error| explain(error, &role))?;
    write.commit(role).await
}

fn changed(before: &Role, owner: AccountId, inheritable: bool, change: RoleChange) -> Role {
    let rules = &before.rules;
    Role {
        origin: RoleOrigin::Custom { owner, inheritable },
        title: change.title.unwrap_or_else(|| before.title.clone()),
        description: change.description.unwrap_or_else(|| before.description.clone()),
        grants: change.grants.unwrap_or_else(|| before.grants.clone()),
        rules: RoleRules {
            assignable: change.assignable.unwrap_or(rules.assignable),
            max_holders: change.max_holders.unwrap_or(rules.max_holders),
            peer_kinds: change.peer_kinds.unwrap_or_else(|| rules.peer_kinds.clone()),
            account_kinds: change.account_kinds.unwrap_or_else(|| rules.account_kinds.clone()),
            reaches: change.reaches.unwrap_or_else(|| rules.reaches.clone()),
            requires_justification: change.requires_justification.unwrap_or(rules.requires_justification),
            min_assurance: change.min_assurance.unwrap_or(rules.min_assurance),
            grantable_roles: Vec::new(),
            session_role: None,
            peer_fields: rules.peer_fields.clone(),
        },
        version: before.version + 1,
        ..before.clone()
    }
}

/// A copy stays as strict as its source, and as itself where the source is gone.
async fn check_source(write: &Write<'_>, before: &Role, after: &Role) -> Result<()> {
    let Some(source) = &before.copied_from else { return Ok(()) };
    if before.rules == after.rules {
        return Ok(());
    }
    let source = storage::roles::find(write.connection(), source).await?;
    if after.rules.at_least_as_strict_as(source.as_ref().map_or(&before.rules, |source| &source.rules)) {
        return Ok(());
    }
    Err(Error::precondition(Precondition::RoleRulesLoosened, name(&after.id)))
}

/// Where a role begins to demand a reason, the bindings that exist must have one.
async fn check_justified(write: &Write<'_>, before: &Role, after: &Role) -> Result<()> {
    if !before.rules.requires_justification && after.rules.requires_justification {
        let filter = storage::bindings::Filter { role: Some(after.id.clone()), ..Default::default() };
        let bindings = storage::bindings::all(write.connection(), &filter).await?;
        if bindings.iter().any(|binding| binding.justification.is_empty()) {
            return Err(Error::precondition(Precondition::RoleRulesViolated, name(&after.id)));
        }
    }
    Ok(())
}

/// Deletes a custom role that nobody is bound to. Returns the revision of the removal.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagMismatch`]; [`Error::Precondition`] where the
/// role is built-in or bound.
pub async fn delete(ctx: &Ctx, call: &Call, id: &RoleId, etag: Option<i64>) -> Result<i64> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (role, permit) = own(&write, id, "roles.delete", etag).await?;
    let index = write.before().find_role(id).ok_or_else(|| missing(id))?;
    if write.before().bound_by_role(index).next().is_some() {
        return Err(Error::precondition(Precondition::RoleInUse, name(id)));
    }
    act(&mut write, permit.account(), "roles.delete", Some(&role), &role)?;
    write.change(&permit, Some(Fact::Role(facts::role(&role))), None);
    storage::roles::delete(write.connection(), id).await?;
    let revision = write.revision();
    write.commit(revision).await
}

/// A role that the caller may see.
async fn visible(write: &Write<'_>, id: &RoleId) -> Result<Role> {
    let view = write.view()?;
    let fact = view.snapshot.find_role(id).and_then(|index| view.snapshot.role(index));
    if !fact.is_some_and(|record| is_visible(&view, &record.fact)) {
        return Err(missing(id));
    }
    storage::roles::find(write.connection(), id).await?.ok_or_else(|| missing(id))
}

/// A custom role that the caller may change so, as it was read.
async fn own(write: &Write<'_>, id: &RoleId, permission: &'static str, etag: Option<i64>) -> Result<(Role, Permit)> {
    let view = write.view()?;
    let role = visible(write, id).await?;
    let permit = match &role.origin {
        RoleOrigin::BuiltIn => {
            admit_anywhere(&view, permission)?;
            return Err(Error::precondition(Precondition::RoleBuiltIn, name(id)));
        }
        RoleOrigin::Custom { owner, .. } => {
            let index = view.snapshot.find_account(owner.as_str()).ok_or_else(|| missing(id))?;
            match view.admit(VIEW, permission, index, ("role", &name(id))) {
                // Who sees the role because it is lent downward may know that it is there.
                Err(Error::NotFound { .. }) => {
                    return Err(Error::Denied { permission, account: owner.clone(), unmet: Default::default() });
                }
                other => other?,
            }
        }
    };
    if etag.is_some_and(|etag| etag != role.version) {
        return Err(Error::EtagMismatch { name: name(id) });
    }
    Ok((role, permit))
}

/// Every grant without wildcards names a registered permission.
fn check_registered(snapshot: &Snapshot, grants: &[Grant]) -> Result<()> {
    let mut unknown = grants.iter().enumerate().filter_map(|(place, grant)| {
        let literal = grant.pattern.literal()?;
        let is_known = snapshot.find_permission(literal.as_str()).is_some();
        (!is_known).then(|| (format!("role.grants[{place}].permission"), literal.to_string()))
    });
    let Some((field, name)) = unknown.next() else { return Ok(()) };
    let more: Vec<(String, String)> = unknown.collect();
    if more.is_empty() {
        return Err(Error::PermissionUnknown { field, name });
    }
    let all = std::iter::once((field, name)).chain(more);
    Err(Error::Invalid(all.map(|(field, _)| Violation::new(field, Invalid::NotRegistered)).collect()))
}

fn title_taken(role: &Role) -> Error {
    Error::AlreadyExists { what: Taken::RoleTitle, name: role.title.clone() }
}

fn explain(error: StoreError, role: &Role) -> Error {
    if error.constraint() == Some(Constraint::RoleTitle) { title_taken(role) } else { Error::Store(error) }
}

/// Records an act on a role with what changed of it.
fn act(write: &mut Write<'_>, account: AccountIndex, action: &str, before: Option<&Role>, after: &Role) -> Result<()> {
    let draft = write.act(account, action, Target::new("role", Text::public(name(&after.id))))?;
    draft.target.display_name = Some(Personal::new(after.title.clone()));
    let old = before.map(shown);
    let fields = shown(after).into_iter().enumerate();
    draft.changes = fields
        .filter_map(|(place, (field, new))| {
            let old = old.as_ref().and_then(|old| old.get(place)).map(|(_, old)| old.clone());
            let change =
                Change { field: field.to_owned(), before: old.map(Text::public), after: Some(Text::public(new)) };
            (change.before != change.after).then_some(change)
        })
        .collect();
    Ok(())
}

/// The fields of a role as an event shows them.
fn shown(role: &Role) -> [(&'static str, String); 5] {
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let inheritable = matches!(role.origin, RoleOrigin::Custom { inheritable: true, .. });
    [
        ("title", role.title.clone()),
        ("description", role.description.clone()),
        ("inheritable", inheritable.to_string()),
        ("grants", json(serde_json::to_string(&role.grants))),
        ("rules", json(serde_json::to_string(&role.rules))),
    ]
}

fn listed(ctx: &Ctx, call: &Call, role: Role) -> Result<ListedRole> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    Ok(Counter::new(view).listed(role))
}
