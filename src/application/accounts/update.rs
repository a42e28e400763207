//! Changing an account's title, labels and settings, each by its own right.
//!
//! Settings only tighten downward. What a new label lets anyone do is judged on commit.

use std::collections::BTreeMap;

use super::{
    AccountView, admit_above, admit_inside, changes, check_etag, effective, missing, name, record, row, save, shown,
};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Forbidden, Precondition, Result, Violation};
use crate::application::guard::{Permit, View};
use crate::application::write::Write;
use crate::decision::AccountIndex;
use crate::domain::account::{Account, AccountKind, PartnerAccess};
use crate::domain::audit::Personal;
use crate::domain::ids::AccountId;
use crate::domain::invalid::Invalid;

/// A field that may change. One that the mask names needs its right in any case; one that came along
/// with the rest of the account only if its value is new.
#[derive(Debug, Clone)]
pub struct Wish<T> {
    pub value: T,
    pub is_named: bool,
}

/// A wish to change an account; `None` stays as it is.
#[derive(Debug, Clone)]
pub struct UpdateAccount {
    pub id: AccountId,
    pub etag: Option<i64>,
    pub title: Option<Wish<String>>,
    pub labels: Option<Wish<BTreeMap<String, String>>>,
    pub partner_access: Option<Wish<Option<PartnerAccess>>>,
    pub role_packs: Option<Wish<Option<Vec<String>>>>,
    pub min_length: Option<Wish<Option<u16>>>,
    pub max_age: Option<Wish<Option<i64>>>,
    pub history_size: Option<Wish<Option<u16>>>,
    /// What the caller believes never changes here; it must be so.
    pub parent: Option<AccountId>,
    pub kind: Option<AccountKind>,
    pub justification: String,
}

/// Changes an account.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`], [`Error::Forbidden`],
/// [`Error::EtagMismatch`]; [`Error::Precondition`] where a rule forbids it.
pub async fn update(ctx: &Ctx, call: &Call, request: UpdateAccount) -> Result<AccountView> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let index = super::find(&write.view()?, &request.id)?;
    // A hidden account is missing, whatever is to change about it.
    super::view::detail(&write.view()?, index).ok_or_else(|| missing(&request.id))?;
    let before = row(&write, &request.id).await?;
    let after = wished(&before, &request);
    let permit = admit(&write.view()?, &before, &after, &request)?;
    check_etag(&before, request.etag)?;
    check_fixed(&before, &request)?;
    if before.settings.partner_access != after.settings.partner_access {
        check_partner_access(&write.view()?, index, &request)?;
    }
    check_settings(&write.view()?, index, &before, &after)?;
    if widens_packs(&write.view()?, index, &before, &after) {
        admit_above(&write.view()?, "accounts.update_settings", &request.id)?;
    }
    let after = save(&mut write, &permit, &before, after).await?;
    let found = changes(Some(&before), &after)?;
    let draft = record(&mut write, &after, &[], "accounts.update")?;
    draft.changes = found;
    draft.justification = (!request.justification.is_empty()).then(|| Personal::new(request.justification));
    let result = shown(&write, after).await?;
    write.commit(result).await
}

fn wished(before: &Account, request: &UpdateAccount) -> Account {
    let mut after = before.clone();
    if let Some(wish) = &request.title {
        after.title.clone_from(&wish.value);
    }
    if let Some(wish) = &request.labels {
        after.labels.clone_from(&wish.value);
    }
    if let Some(wish) = &request.partner_access {
        after.settings.partner_access = wish.value;
    }
    if let Some(wish) = &request.role_packs {
        after.settings.role_packs.clone_from(&wish.value);
    }
    let policy = &mut after.settings.password_policy;
    if let Some(wish) = &request.min_length {
        policy.min_length = wish.value;
    }
    if let Some(wish) = &request.max_age {
        policy.max_age = wish.value;
    }
    if let Some(wish) = &request.history_size {
        policy.history_size = wish.value;
    }
    after
}

/// Every field needs its own right; a change of nothing needs that to edit the account.
fn admit(view: &View<'_>, before: &Account, after: &Account, request: &UpdateAccount) -> Result<Permit> {
    fn is_named<T>(wish: Option<&Wish<T>>) -> bool {
        wish.is_some_and(|wish| wish.is_named)
    }
    let needed = [
        ("accounts.update", is_named(request.title.as_ref()) || before.title != after.title),
        ("accounts.update_labels", is_named(request.labels.as_ref()) || before.labels != after.labels),
        (
            "accounts.update_settings",
            is_named(request.role_packs.as_ref())
                || is_named(request.min_length.as_ref())
                || is_named(request.max_age.as_ref())
                || is_named(request.history_size.as_ref())
                || before.settings.role_packs != after.settings.role_packs
                || before.settings.password_policy != after.settings.password_policy,
        ),
        (
            "accounts.update_partner_access",
            is_named(request.partner_access.as_ref())
                || before.settings.partner_access != after.settings.partner_access,
        ),
    ];
    let mut last = None;
    for (permission, is_needed) in needed {
        if is_needed {
            last = Some(admit_inside(view, permission, &request.id)?);
        }
    }
    match last {
        Some(permit) => Ok(permit),
        None => admit_inside(view, "accounts.update", &request.id),
    }
}

fn check_fixed(before: &Account, request: &UpdateAccount) -> Result<()> {
    let mut wrong = Vec::new();
    if request.parent.as_ref().is_some_and(|parent| Some(parent) != before.parent.as_ref()) {
        let why = Invalid::NotAllowed { why: "MoveAccount changes the parent" };
        wrong.push(Violation::new("account.parent_account", why));
    }
    if request.kind.is_some_and(|kind| kind != before.kind) {
        wrong.push(Violation::new("account.kind", Invalid::NotAllowed { why: "the kind never changes" }));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
}

/// Only peers homed in the account itself, or the operator with a reason (rule 10 of DESIGN 8).
fn check_partner_access(view: &View<'_>, account: AccountIndex, request: &UpdateAccount) -> Result<()> {
    let home = view.snapshot.peer(view.actor).map(|peer| peer.home());
    if home == Some(account) {
        return Ok(());
    }
    if !view.is_operator() {
        return Err(Error::Forbidden { rule: Forbidden::PartnerAccessOfOthers, subject: name(&request.id) });
    }
    if request.justification.is_empty() {
        return Err(Error::invalid("justification", Invalid::Missing));
    }
    Ok(())
}

/// Whether a partner would have packs that it had not. Which ones it gets to choose from is the choice
/// of who is above it, so that this is judged there.
fn widens_packs(view: &View<'_>, account: AccountIndex, before: &Account, after: &Account) -> bool {
    if before.settings.role_packs == after.settings.role_packs {
        return false;
    }
    let parent = view.snapshot.parent(account);
    let inherited = parent.and_then(|parent| effective(view.snapshot, parent).role_packs);
    let packs = |account: &Account| account.settings.role_packs.clone().or_else(|| inherited.clone());
    match (packs(before), packs(after)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after.iter().any(|pack| !before.contains(pack)),
    }
}

fn check_settings(view: &View<'_>, account: AccountIndex, before: &Account, after: &Account) -> Result<()> {
    if before.settings == after.settings {
        return Ok(());
    }
    if after.settings.misplaced_on(after.kind).is_some() {
        return Err(Error::precondition(Precondition::SettingNotAllowed, name(&after.id)));
    }
    let parent = view.snapshot.parent(account);
    let Some(inherited) = parent.map(|parent| effective(view.snapshot, parent)) else { return Ok(()) };
    let mut new = after.settings.clone();
    // What was looser before somebody above tightened theirs has no effect, and need not be mended first.
    if before.settings.partner_access == new.partner_access {
        new.partner_access = None;
    }
    if before.settings.role_packs == new.role_packs {
        new.role_packs = None;
    }
    let (old, policy) = (before.settings.password_policy, &mut new.password_policy);
    policy.min_length = policy.min_length.filter(|_| policy.min_length != old.min_length);
    policy.max_age = policy.max_age.filter(|_| policy.max_age != old.max_age);
    policy.history_size = policy.history_size.filter(|_| policy.history_size != old.history_size);
    if new.looser_than(&inherited).is_empty() {
        Ok(())
    } else {
        Err(Error::precondition(Precondition::SettingLoosened, name(&after.id)))
    }
}
