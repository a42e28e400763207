//! Roles: who may see which, and reading them. Making and changing them: [`edit`].
//!
//! INVARIANT: a custom role of an account that the caller does not administer looks as if it were
//! not there (DESIGN 8, rule 6), unless it is lent downward to an account where the caller may view
//! roles.

pub mod edit;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::context::{Call, Ctx};
use super::error::{Error, Result};
use super::guard::View;
use super::page::{Page, Wanted, paged};
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::fact::RoleFact;
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::role::{Role, RoleOrigin, RoleRules};
use crate::storage;

/// What [`View::admit`] asks of those who would see roles.
pub(super) const VIEW: &str = "roles.view";

/// A role, with how many peers hold it where the caller may look.
#[derive(Debug, Clone)]
pub struct ListedRole {
    pub role: Role,
    pub holder_count: usize,
}

/// Whether the caller may know of a role: of a built-in one always, since the packs are the same for
/// everybody.
#[must_use]
pub(super) fn is_visible(view: &View<'_>, role: &RoleFact) -> bool {
    let RoleOrigin::Custom { owner, inheritable } = &role.origin else { return true };
    let Some(owner) = view.snapshot.find_account(owner.as_str()) else { return false };
    view.may(VIEW, owner) || (*inheritable && is_lent_to(view, owner))
}

/// Whether the caller may view roles on some account below an owner that lends its roles downward.
fn is_lent_to(view: &View<'_>, owner: AccountIndex) -> bool {
    bound_accounts(view)
        .into_iter()
        .filter(|account| view.snapshot.is_within(*account, owner))
        .any(|account| view.may(VIEW, account))
}

/// The accounts where the caller's bindings stand, which is where every right starts.
pub(super) fn bound_accounts(view: &View<'_>) -> BTreeSet<AccountIndex> {
    view.snapshot.held(view.actor).map(|held| held.binding.account).collect()
}

/// Fails unless the caller may do this on some account, whichever it is.
///
/// # Errors
/// [`Error::Denied`], which names the caller's own home.
pub(super) fn admit_anywhere(view: &View<'_>, permission: &'static str) -> Result<()> {
    let bound = bound_accounts(view);
    if bound.iter().any(|account| view.may(permission, *account)) {
        return Ok(());
    }
    // A grant under a condition on labels may hold further down only.
    let is_below =
        |account: &AccountIndex| view.snapshot.subtree(*account).iter().any(|one| view.may(permission, *one));
    if bound.iter().any(is_below) {
        return Ok(());
    }
    let home = view.snapshot.peer(view.actor).and_then(|peer| view.snapshot.account_id(peer.home()).cloned());
    let account = home.unwrap_or_else(AccountId::platform);
    Err(Error::Denied { permission, account, unmet: Default::default() })
}

pub(super) fn name(id: &RoleId) -> String {
    format!("roles/{id}")
}

pub(super) fn missing(id: &RoleId) -> Error {
    Error::not_found("role", name(id))
}

/// Gets a role.
///
/// # Errors
/// [`Error::NotFound`] where it is missing or hidden.
pub async fn get(ctx: &Ctx, call: &Call, id: &RoleId) -> Result<ListedRole> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    admit_anywhere(&view, VIEW)?;
    let fact = snapshot.find_role(id).and_then(|index| snapshot.role(index));
    if !fact.is_some_and(|record| is_visible(&view, &record.fact)) {
        return Err(missing(id));
    }
    let role = storage::roles::find(ctx.store.reader(), id).await?.ok_or_else(|| missing(id))?;
    Ok(Counter::new(view).listed(role))
}

/// Which roles are listed.
#[derive(Debug, Clone)]
pub struct ListRoles {
    pub account: AccountId,
    pub filter: RoleFilter,
    pub after: Option<RoleId>,
    pub limit: usize,
}

/// What listed roles have in common. Every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct RoleFilter {
    pub pack: Option<String>,
    pub built_in: Option<bool>,
    pub owner: Option<AccountId>,
}

impl RoleFilter {
    fn holds(&self, role: &Role) -> bool {
        let (built_in, owner) = match &role.origin {
            RoleOrigin::BuiltIn => (true, None),
            RoleOrigin::Custom { owner, .. } => (false, Some(owner)),
        };
        self.pack.as_deref().is_none_or(|pack| role.id.pack() == Some(pack))
            && self.built_in.is_none_or(|wanted| wanted == built_in)
            && self.owner.as_ref().is_none_or(|wanted| owner == Some(wanted))
    }
}

/// Lists the roles that can be used on an account, by id.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`].
pub async fn list(ctx: &Ctx, call: &Call, request: &ListRoles) -> Result<Page<ListedRole, RoleId>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let account = view.admit_at(VIEW, &request.account)?.account();
    let path = snapshot.path(account);
    let above = path.as_slice().iter().skip(1).filter_map(|one| snapshot.account_id(*one).cloned()).collect();
    let filter = storage::roles::Filter::UsableOn { account: request.account.clone(), ancestors: above };
    let counter = Counter::new(view);
    let read = async |after: Option<RoleId>, limit| {
        Ok(storage::roles::list(ctx.store.reader(), &filter, after.as_ref(), limit).await?)
    };
    let see = |role: Role| {
        let index = snapshot.find_role(&role.id).and_then(|index| snapshot.role(index));
        let is_usable = index.is_some_and(|record| snapshot.is_role_usable_at(&record.fact, account));
        (is_usable && request.filter.holds(&role)).then(|| counter.listed(role))
    };
    let wanted = Wanted { after: request.after.clone(), limit: request.limit };
    paged(wanted, read, |role| role.id.clone(), see).await
}

/// The most holders that are counted.
const HOLDERS_MAX: usize = 10_000;

/// Counts the holders of roles on the accounts that the caller may view.
pub(super) struct Counter<'a> {
    view: View<'a>,
    /// In order; found when the first role is counted.
    viewed: OnceLock<Vec<AccountIndex>>,
}

impl<'a> Counter<'a> {
    pub(super) fn new(view: View<'a>) -> Self {
        Self { view, viewed: OnceLock::new() }
    }

    pub(super) fn listed(&self, role: Role) -> ListedRole {
        let holder_count = self.holders(&role.id);
        ListedRole { role, holder_count }
    }

    /// Leaps from one account to the next that is both viewed and bound: either may be many, and most
    /// of them of no concern to the other.
    fn holders(&self, role: &RoleId) -> usize {
        let snapshot: &Snapshot = self.view.snapshot;
        let Some(index) = snapshot.find_role(role) else { return 0 };
        let mut peers = BTreeSet::new();
        let mut rest = self.viewed.get_or_init(|| viewed_accounts(&self.view)).as_slice();
        while let Some(bound) = rest.first().and_then(|next| snapshot.next_bound_by_role(index, *next)) {
            rest = rest.get(rest.partition_point(|account| *account < bound)..).unwrap_or_default();
            if rest.first() != Some(&bound) {
                continue;
            }
            for (holder, _) in snapshot.bound_by_role_at(index, bound) {
                peers.extend(snapshot.peers_of(holder));
                if peers.len() >= HOLDERS_MAX {
                    return HOLDERS_MAX;
                }
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        peers.len()
    }
}

/// The accounts that the caller may view, each at or below one where a binding of its stands.
fn viewed_accounts(view: &View<'_>) -> Vec<AccountIndex> {
    let below = bound_accounts(view).into_iter().flat_map(|account| view.snapshot.subtree(account));
    below.collect::<BTreeSet<_>>().into_iter().filter(|account| view.may("accounts.view", *account)).collect()
}

/// Rules of use as a custom role can have them: what only built-in roles have falls away.
#[must_use]
pub(super) fn custom_rules(rules: RoleRules) -> RoleRules {
    RoleRules { grantable_roles: Vec::new(), session_role: None, ..rules }
}
