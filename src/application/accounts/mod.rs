//! Accounts: the tree, who sees how much of it, and who changes it.
//!
//! Creating, suspending, resuming, moving and deleting an account are judged on its parent. So is
//! seeing that it is there: who may view the parent alone sees a child's id, title, kind and state
//! ([`Detail::Outside`]), and nothing of what it keeps.

pub mod create;
pub mod delete;
pub mod list;
pub mod ownership;
pub mod place;
pub mod suspend;
mod teardown;
pub mod update;
mod view;

use super::context::{Call, Ctx};
use super::error::{Error, Precondition, Result};
use super::guard::{Permit, View};
use super::write::Write;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::account::{Account, Settings};
use crate::domain::audit::{AuditDraft, Change, Personal, Target, Text};
use crate::domain::fact::Fact;
use crate::domain::ids::AccountId;
use crate::domain::password::PasswordPolicy;
use crate::storage::{self, facts};

pub use view::{AccountView, Detail, ShownSuspension};

/// What [`View::admit`] asks of those who would see an account.
pub(super) const VIEW: &str = "accounts.view";

/// Gets an account.
///
/// # Errors
/// [`Error::NotFound`] where it is missing or hidden.
pub async fn get(ctx: &Ctx, call: &Call, id: &AccountId) -> Result<AccountView> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let index = snapshot.find_account(id.as_str()).ok_or_else(|| missing(id))?;
    let detail = view::detail(&view, index).ok_or_else(|| missing(id))?;
    let account = storage::accounts::find(ctx.store.reader(), id).await?.ok_or_else(|| missing(id))?;
    view::Describer::new(view).describe(ctx.store.reader(), account, index, detail).await
}

fn name(id: &AccountId) -> String {
    format!("accounts/{id}")
}

fn missing(id: &AccountId) -> Error {
    Error::not_found("account", name(id))
}

/// Whether the caller sees an account, be it from its parent.
pub(super) fn is_seen(view: &View<'_>, account: AccountIndex) -> bool {
    view::detail(view, account).is_some()
}

/// The account of an id, whether or not the caller may see it.
fn find(view: &View<'_>, id: &AccountId) -> Result<AccountIndex> {
    view.snapshot.find_account(id.as_str()).ok_or_else(|| missing(id))
}

/// The caller may do this to an account, judged on the account itself.
fn admit_inside(view: &View<'_>, permission: &'static str, id: &AccountId) -> Result<Permit> {
    let account = find(view, id)?;
    match view.admit(VIEW, permission, account, ("account", &name(id))) {
        // Who sees the account from its parent knows that it is there.
        Err(Error::NotFound { .. }) if view::detail(view, account).is_some() => Err(denied(permission, id)),
        other => other,
    }
}

/// The caller may do this to an account, judged on its parent.
fn admit_above(view: &View<'_>, permission: &'static str, id: &AccountId) -> Result<Permit> {
    let account = find(view, id)?;
    let Some(parent) = view.snapshot.parent(account) else {
        let is_seen = view.may(VIEW, account);
        return Err(if is_seen { Error::precondition(Precondition::AccountIsRoot, name(id)) } else { missing(id) });
    };
    match view.admit(VIEW, permission, parent, ("account", &name(id))) {
        // Who sees the account from inside learns that the act is not theirs, and nothing of the parent.
        Err(Error::NotFound { .. }) if view.may(VIEW, account) => Err(denied(permission, id)),
        other => other,
    }
}

fn denied(permission: &'static str, id: &AccountId) -> Error {
    Error::Denied { permission, account: id.clone(), unmet: Default::default() }
}

/// The row of an account.
async fn row(write: &Write<'_>, id: &AccountId) -> Result<Account> {
    storage::accounts::find(write.connection(), id).await?.ok_or_else(|| missing(id))
}

/// An account must be as the caller last saw it, where it says so.
fn check_etag(account: &Account, etag: Option<i64>) -> Result<()> {
    match etag {
        Some(etag) if etag != account.version => Err(Error::EtagMismatch { name: name(&account.id) }),
        Some(_) | None => Ok(()),
    }
}

/// Writes an account anew: its fact, if a decision reads what changed, and its row.
async fn save(write: &mut Write<'_>, permit: &Permit, before: &Account, mut after: Account) -> Result<Account> {
    let fact = |account| Some(Fact::Account(facts::account(account)));
    write.change(permit, fact(before), fact(&after));
    after.version = before.version + 1;
    after.update_time = write.now();
    after.update_revision = write.revision();
    if before.parent == after.parent {
        storage::accounts::update(write.connection(), &after).await?;
    } else {
        // The snapshot refuses a tree that cannot be before the rows are touched.
        write.after()?;
        storage::accounts::move_subtree(write.connection(), &after).await?;
    }
    Ok(after)
}

/// Records an act on an account, also in the logs of the accounts above that it concerns.
fn record<'w>(
    write: &'w mut Write<'_>,
    account: &Account,
    above: &[AccountIndex],
    action: &str,
) -> Result<&'w mut AuditDraft> {
    let index = write.after()?.find_account(account.id.as_str());
    let index = index.or_else(|| write.before().find_account(account.id.as_str()));
    let index = index.ok_or_else(|| missing(&account.id))?;
    let target = Target::new("account", Text::public(name(&account.id)));
    let draft = write.act_across(index, above, action, target)?;
    draft.target.display_name = Some(Personal::new(account.title.as_str()));
    Ok(draft)
}

/// What a caller gets to see of an account that it has just changed.
async fn shown(write: &Write<'_>, account: Account) -> Result<AccountView> {
    let after = write.after()?;
    let view = View { snapshot: &after, ..write.view()? };
    let index = find(&view, &account.id)?;
    let detail = view::detail(&view, index).unwrap_or(Detail::Outside);
    view::Describer::new(view).describe(write.connection(), account, index, detail).await
}

/// The settings that hold on an account, inheritance counted.
#[must_use]
pub fn effective(snapshot: &Snapshot, account: AccountIndex) -> Settings {
    let path = snapshot.path(account);
    let records = path.as_slice().iter().filter_map(|account| snapshot.account(*account));
    let partner_access = records.map(|record| record.partner_access).max();
    Settings {
        partner_access,
        role_packs: snapshot.role_packs(&path).map(<[String]>::to_vec),
        password_policy: password_policy(snapshot, account),
    }
}

/// What the passwords of peers homed in an account must be like: the strictest of all above it.
#[must_use]
pub fn password_policy(snapshot: &Snapshot, account: AccountIndex) -> PasswordPolicy {
    let path = snapshot.path(account);
    let details = path.as_slice().iter().filter_map(|account| snapshot.account_details(*account));
    details.fold(PasswordPolicy::default(), |below, details| below.under(&details.password_policy()))
}

/// What the audit log says of a field that changed.
fn changed(field: impl Into<String>, before: Option<String>, after: Option<String>) -> Option<Change> {
    let text = |value: Option<String>| value.map(Text::public);
    (before != after).then(|| Change { field: field.into(), before: text(before), after: text(after) })
}

/// The changes of each label and setting, and of the title.
fn changes(before: Option<&Account>, after: &Account) -> Result<Vec<Change>> {
    let access = |account: &Account| account.settings.partner_access.map(|access| access.as_str().to_owned());
    let packs = |account: &Account| account.settings.role_packs.as_ref().map(|packs| packs.join(","));
    let mut found: Vec<Change> = Vec::new();
    found.extend(changed("title", before.map(|one| one.title.clone()), Some(after.title.clone())));
    let keys = before.into_iter().flat_map(|before| before.labels.keys());
    let mut keys: Vec<&String> = keys.chain(after.labels.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let old = before.and_then(|before| before.labels.get(key).cloned());
        found.extend(changed(format!("labels.{key}"), old, after.labels.get(key).cloned()));
    }
    found.extend(changed("settings.partner_access", before.and_then(access), access(after)));
    found.extend(changed("settings.role_packs", before.and_then(packs), packs(after)));
    let old = before.map(|one| one.settings.password_policy).unwrap_or_default();
    let new = after.settings.password_policy;
    let number = |value: Option<u16>| value.map(|value| value.to_string());
    let seconds = |micros: Option<i64>| micros.map(|micros| format!("{}s", micros / 1_000_000));
    let at = |field: &str| format!("settings.password_policy.{field}");
    found.extend(changed(at("min_length"), number(old.min_length), number(new.min_length)));
    found.extend(changed(at("max_age"), seconds(old.max_age), seconds(new.max_age)));
    found.extend(changed(at("history_size"), number(old.history_size), number(new.history_size)));
    Ok(found)
}
