//! Reading role bindings: only those on accounts where the caller may view them.

use super::{PrincipalRef, missing};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::application::page::{Page, Wanted, merged, paged};
use crate::decision::AccountIndex;
use crate::domain::binding::{Binding, Mode, Principal, Reach};
use crate::domain::ids::{AccountId, BindingId, RoleId};
use crate::domain::peer::PeerRef;
use crate::storage;
use crate::storage::bindings::Filter;

pub use crate::storage::bindings::SortKey;
pub use crate::storage::keyset::{Order, Place};

/// The permission to see bindings.
pub(in crate::application) const VIEW: &str = "role_bindings.view";

/// So many accounts are named in one query.
const ACCOUNTS_MAX: usize = 1000;

/// Gets a binding.
///
/// # Errors
/// [`Error::NotFound`](crate::application::Error::NotFound) where it is missing or hidden.
pub async fn get(ctx: &Ctx, call: &Call, id: BindingId) -> Result<Binding> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let binding = storage::bindings::find(ctx.store.reader(), id).await?.ok_or_else(|| missing(id))?;
    let account = snapshot.find_account(binding.account.as_str()).ok_or_else(|| missing(id))?;
    view.admit(VIEW, VIEW, account, ("role binding", &format!("roleBindings/{id}")))?;
    Ok(binding)
}

/// Which bindings are listed.
#[derive(Debug, Clone)]
pub struct ListBindings {
    pub account: AccountId,
    pub include_descendants: bool,
    pub principal: Option<PrincipalRef>,
    pub role: Option<RoleId>,
    pub mode: Option<Mode>,
    pub reach: Option<Reach>,
    pub order: Order<SortKey>,
    pub after: Option<Place<BindingId>>,
    pub limit: usize,
}

/// Lists bindings.
///
/// # Errors
/// [`Error::NotFound`](crate::application::Error::NotFound) and
/// [`Error::Denied`](crate::application::Error::Denied).
pub async fn list(ctx: &Ctx, call: &Call, request: &ListBindings) -> Result<Page<Binding, Place<BindingId>>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let account = view.admit_at(VIEW, &request.account)?.account();
    let principal = match &request.principal {
        None => None,
        Some(named) => match named_principal(&view, named) {
            Some(principal) => Some(principal),
            None => return Ok(Page::default()),
        },
    };
    // One principal has few bindings: all are read, and those below the account kept. To name every
    // account below would cost far more.
    let is_gathered = principal.is_some() && request.include_descendants;
    let scopes = if is_gathered { vec![None] } else { scopes(&view, account, request.include_descendants) };
    let is_shown = |binding: &Binding| {
        let place = view.snapshot.find_account(binding.account.as_str());
        !is_gathered || place.is_some_and(|place| view.snapshot.is_within(place, account) && view.may(VIEW, place))
    };
    let filters: Vec<Filter> =
        scopes.into_iter().map(|accounts| Filter { principal, role: request.role.clone(), accounts }).collect();
    let (order, conn) = (request.order, ctx.store.reader());
    let place = |binding: &Binding| order.key.place(binding);
    let compare = |left: &Binding, right: &Binding| place(left).compare(&place(right), order.descending);
    let read = async |after: Option<Place<BindingId>>, limit| {
        let rows = async |filter| Ok(storage::bindings::list(conn, filter, order, after.as_ref(), limit).await?);
        merged(filters.iter(), limit, compare, rows).await
    };
    let see = |binding: Binding| {
        let is_wanted = request.mode.is_none_or(|mode| mode == binding.mode)
            && request.reach.is_none_or(|reach| reach == binding.reach);
        (is_wanted && is_shown(&binding)).then_some(binding)
    };
    paged(Wanted { after: request.after.clone(), limit: request.limit }, read, place, see).await
}

/// The accounts whose bindings are read, as many as fit in a query together. `None` is all there are,
/// for one who may view the bindings of each.
fn scopes(view: &View<'_>, account: AccountIndex, include_descendants: bool) -> Vec<Option<Vec<AccountId>>> {
    let id = |account: &AccountIndex| view.snapshot.account_id(*account).cloned();
    if !include_descendants {
        return vec![Some(id(&account).into_iter().collect())];
    }
    let below = view.snapshot.subtree(account);
    let viewable: Vec<AccountId> = below.iter().filter(|one| view.may(VIEW, **one)).filter_map(id).collect();
    if viewable.len() == below.len() && id(&account) == Some(AccountId::platform()) {
        return vec![None];
    }
    viewable.chunks(ACCOUNTS_MAX).map(|accounts| Some(accounts.to_vec())).collect()
}

/// The principal that a filter names. A user name leads to its peer only where the caller may view
/// that peer, since a binding shows the uid alone.
fn named_principal(view: &View<'_>, named: &PrincipalRef) -> Option<Principal> {
    match named {
        PrincipalRef::Group(group) => Some(Principal::Group(*group)),
        PrincipalRef::Peer(PeerRef::Id(id)) => Some(Principal::Peer(*id)),
        PrincipalRef::Peer(peer @ (PeerRef::Me | PeerRef::UserName(_))) => {
            let index = view.find_peer(peer)?;
            let record = view.snapshot.peer(index)?;
            let is_known = index == view.actor || view.may("peers.view", record.home());
            is_known.then(|| Principal::Peer(record.id()))
        }
    }
}
