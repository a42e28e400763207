//! Ownership: the owner asks for a successor, and the operator makes the change (rule 11 of DESIGN 8).
//!
//! Whoever holds a role on the account that nobody can assign owns it.

use super::{AccountView, admit_inside, changed, check_etag, name, record, row, save, shown};
use crate::application::bindings::{self, NewBinding};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result, Taken};
use crate::application::guard::{Permit, View, peer_name};
use crate::application::write::Write;
use crate::decision::{AccountIndex, PeerIndex, Snapshot, snapshot::Holder};
use crate::domain::account::OwnershipRequest;
use crate::domain::audit::Personal;
use crate::domain::binding::{Binding, Mode, Principal, Reach};
use crate::domain::fact::Fact;
use crate::domain::ids::{AccountId, BindingId, PeerId, RoleId};
use crate::domain::peer::{PeerKind, PeerRef, PeerStatus};
use crate::domain::time::Window;
use crate::storage::{self, facts};

/// The owner's wish for a successor.
#[derive(Debug, Clone)]
pub struct RequestTransfer {
    pub id: AccountId,
    pub new_owner: PeerRef,
    pub reason: String,
}

/// The operator's change of owner.
#[derive(Debug, Clone)]
pub struct Transfer {
    pub id: AccountId,
    pub new_owner: PeerRef,
    /// What the former owner gets on the account; `None` for nothing.
    pub former_owner_role: Option<RoleId>,
    pub reason: String,
    pub etag: Option<i64>,
}

/// Asks the operator for another owner; replaces an open request.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`]; [`Error::Precondition`] where nobody owns the account or the
/// new owner cannot.
pub async fn request_transfer(ctx: &Ctx, call: &Call, request: RequestTransfer) -> Result<AccountView> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let view = write.view()?;
    let permit = admit_inside(&view, "accounts.request_ownership_transfer", &request.id)?;
    let owner = owner(view.snapshot, permit.account(), &request.id)?;
    let new_owner = successor(&view, permit.account(), owner.peer, &request.new_owner)?;
    let requester = view.snapshot.peer_id(view.actor).ok_or_else(|| Error::not_found("peer", "peers/me"))?;
    let before = row(&write, &request.id).await?;
    let mut after = before.clone();
    let (reason, request_time) = (request.reason, write.now());
    after.ownership_request = Some(OwnershipRequest { new_owner, requester, reason: reason.clone(), request_time });
    let after = save(&mut write, &permit, &before, after).await?;
    let open = before.ownership_request.map(|open| format!("peers/{}", open.new_owner));
    let change = changed("ownership_transfer.new_owner", open, Some(format!("peers/{new_owner}")));
    let draft = record(&mut write, &after, &[], "accounts.request_ownership_transfer")?;
    draft.justification = Some(Personal::new(reason));
    draft.changes.extend(change);
    let result = shown(&write, after).await?;
    write.commit(result).await
}

/// Makes another peer the owner, and gives the former one another role or none.
///
/// # Errors
/// As [`request_transfer`]; [`Error::Precondition`] where the former owner's role cannot be assigned.
pub async fn transfer(ctx: &Ctx, call: &Call, request: Transfer) -> Result<AccountView> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let view = write.view()?;
    let permit = admit_inside(&view, "accounts.transfer_ownership", &request.id)?;
    let account = permit.account();
    let owner = owner(view.snapshot, account, &request.id)?;
    let new_owner = successor(&view, account, owner.peer, &request.new_owner)?;
    let former = view.snapshot.peer_id(owner.peer).ok_or_else(|| missing_owner(&request.id))?;
    let reach = former_reach(view.snapshot, request.former_owner_role.as_ref())?;
    let before = row(&write, &request.id).await?;
    check_etag(&before, request.etag)?;
    let held = storage::bindings::get(write.connection(), owner.binding).await?;

    write.change_ownership();
    write.change(&permit, Some(Fact::Binding(facts::binding(&held))), None);
    storage::bindings::delete(write.connection(), held.id).await?;
    let owned = given(&held, new_owner, held.role.clone(), held.reach, &request.reason);
    bindings::make(&mut write, &permit, owned)?;
    if let Some(role) = &request.former_owner_role {
        let left = given(&held, former, role.clone(), reach, &request.reason);
        give_unless_held(&mut write, &permit, left)?;
    }
    let mut after = before.clone();
    after.ownership_request = None;
    let after = save(&mut write, &permit, &before, after).await?;
    let peer = |id: PeerId| Some(format!("peers/{id}"));
    let owner_change = changed("owner", peer(former), peer(new_owner));
    let role_change = changed("former_owner_role", None, request.former_owner_role.map(|role| format!("roles/{role}")));
    let draft = record(&mut write, &after, &[], "accounts.transfer_ownership")?;
    draft.justification = Some(Personal::new(request.reason));
    draft.changes.extend(owner_change.into_iter().chain(role_change));
    let result = shown(&write, after).await?;
    write.commit(result).await
}

/// Who owns an account, and by which binding.
struct Owner {
    peer: PeerIndex,
    binding: BindingId,
}

fn missing_owner(id: &AccountId) -> Error {
    Error::precondition(Precondition::OwnerMissing, name(id))
}

fn owner(snapshot: &Snapshot, account: AccountIndex, id: &AccountId) -> Result<Owner> {
    let is_owning = |holder, binding| {
        let record = snapshot.binding(holder, binding).and_then(|binding| snapshot.role(binding.role));
        record.is_some_and(|role| !role.fact.rules.assignable)
    };
    snapshot
        .bound_at(account)
        .find_map(|(holder, binding)| match holder {
            Holder::Peer(peer) if is_owning(holder, binding) => Some(Owner { peer, binding }),
            Holder::Peer(_) | Holder::Group(_) => None,
        })
        .ok_or_else(|| missing_owner(id))
}

/// An enabled person homed in the account who does not own it yet.
fn successor(view: &View<'_>, account: AccountIndex, owner: PeerIndex, peer: &PeerRef) -> Result<PeerId> {
    let missing = || Error::not_found("peer", peer_name(peer));
    let index = view.find_peer(peer).ok_or_else(missing)?;
    let found = view.snapshot.peer(index).ok_or_else(missing)?;
    if index != view.actor && !view.may("peers.view", found.home()) {
        return Err(missing());
    }
    let is_eligible = found.kind() == PeerKind::Person
        && found.status() == PeerStatus::Enabled
        && found.expire() > view.now
        && found.home() == account
        && index != owner;
    if is_eligible {
        Ok(found.id())
    } else {
        Err(Error::precondition(Precondition::NewOwnerNotEligible, format!("peers/{}", found.id())))
    }
}

/// How far the former owner's new role reaches: down, unless the role's rules keep it on the account.
/// The role must be one that can be assigned.
fn former_reach(snapshot: &Snapshot, role: Option<&RoleId>) -> Result<Reach> {
    let Some(role) = role else { return Ok(Reach::Subtree) };
    let rules = snapshot.find_role(role).and_then(|index| snapshot.role(index)).map(|role| &role.fact.rules);
    match rules {
        Some(rules) if !rules.assignable => {
            Err(Error::precondition(Precondition::RoleUnassignable, format!("roles/{role}")))
        }
        Some(rules) if rules.reaches == [Reach::AccountOnly] => Ok(Reach::AccountOnly),
        Some(_) | None => Ok(Reach::Subtree),
    }
}

fn given(held: &Binding, peer: PeerId, role: RoleId, reach: Reach, reason: &str) -> NewBinding {
    NewBinding {
        principal: Principal::Peer(peer),
        role,
        account: held.account.clone(),
        reach,
        mode: Mode::Active,
        window: Window::ALWAYS,
        justification: reason.to_owned(),
    }
}

/// Binds a role that the peer may hold already.
fn give_unless_held(write: &mut Write<'_>, permit: &Permit, new: NewBinding) -> Result<()> {
    match bindings::make(write, permit, new) {
        Ok(_) | Err(Error::AlreadyExists { what: Taken::RoleBinding, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
