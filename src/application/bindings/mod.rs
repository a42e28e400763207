//! Role bindings: who holds which role, where, how far down and for how long.
//!
//! [`make`] is the one way to a new binding, also for peers and accounts that come with one. What a
//! role's rules say about its use, and that nobody gives more than they hold, is judged on commit;
//! here stands only what no fact shows. Reading them: [`read`].

pub mod read;

use super::batch::{Answer, Batch, Tell};
use super::ceiling::holder;
use super::context::{Call, Ctx};
use super::error::{Error, Precondition, Result, Taken};
use super::guard::{Permit, View, peer_name};
use super::roles;
use super::write::Write;
use crate::decision::{AccountIndex, PeerIndex};
use crate::domain::audit::{Change, Personal, Target, Text};
use crate::domain::binding::{Binding, Mode, Principal, Reach};
use crate::domain::fact::{self, BindingFact, Fact};
use crate::domain::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{PeerRef, PeerStatus};
use crate::domain::time::{Timestamp, Window};
use crate::storage::{self, facts};

/// What a new binding is to be.
#[derive(Debug, Clone)]
pub struct NewBinding {
    pub principal: Principal,
    pub role: RoleId,
    pub account: AccountId,
    pub reach: Reach,
    pub mode: Mode,
    pub window: Window,
    /// Why it is needed; empty where nobody says.
    pub justification: String,
}

/// Makes a binding within a change. The principal and the account may be made by the same change.
/// The audit event is the caller's to write.
///
/// # Errors
/// [`Error::NotFound`] where there is no such role, or none that the caller may know of;
/// [`Error::Precondition`] where the role wants a justification or the peer is deleted;
/// [`Error::AlreadyExists`] where the same binding is there for some of the same time.
pub fn make(write: &mut Write<'_>, permit: &Permit, new: NewBinding) -> Result<Binding> {
    let role_name = format!("roles/{}", new.role);
    let before = write.before();
    let role = before.find_role(&new.role).and_then(|index| before.role(index));
    let role = role.ok_or_else(|| Error::not_found("role", &*role_name))?;
    let is_usable = match before.find_account(new.account.as_str()) {
        Some(account) => before.is_role_usable_at(&role.fact, account),
        None => false,
    };
    if !is_usable && !roles::is_visible(&write.view()?, &role.fact) {
        return Err(Error::not_found("role", role_name));
    }
    if role.fact.rules.requires_justification && new.justification.is_empty() {
        return Err(Error::precondition(Precondition::JustificationRequired, role_name));
    }
    check_not_deleted(write, new.principal)?;
    let id = BindingId::from(write.ctx().entropy.uuid(write.now())?);
    let mut binding = Binding {
        id,
        principal: new.principal,
        role: new.role,
        account: new.account,
        reach: new.reach,
        mode: new.mode,
        window: new.window,
        justification: new.justification,
        creator: write.actor(),
        create_time: write.now(),
        update_time: write.now(),
        version: 1,
        update_revision: 0,
    };
    check_distinct(write, &binding)?;
    write.change(permit, None, Some(Fact::Binding(facts::binding(&binding))));
    binding.update_revision = write.revision();
    write.rows().bindings.push(binding.clone());
    Ok(binding)
}

/// A deleted peer gains nothing, so that what undelete brings back is what was there.
pub(super) fn check_not_deleted(write: &Write<'_>, principal: Principal) -> Result<()> {
    let Principal::Peer(id) = principal else { return Ok(()) };
    let peer = write.before().find_peer(id).and_then(|peer| write.before().peer(peer));
    if peer.is_some_and(|peer| peer.status() == PeerStatus::Deleted) {
        return Err(Error::precondition(Precondition::PeerDeleted, format!("peers/{id}")));
    }
    Ok(())
}

/// Two bindings that differ in nothing but their windows must not be open at the same time.
fn check_distinct(write: &Write<'_>, binding: &Binding) -> Result<()> {
    let Some(other) = overlapping(write, binding) else { return Ok(()) };
    // Who may not look at bindings there is told of the role, which the request named.
    let account = write.before().find_account(binding.account.as_str());
    let is_visible = match (write.view(), account) {
        (Ok(view), Some(account)) => view.may(read::VIEW, account),
        _ => true,
    };
    let name = if is_visible { format!("roleBindings/{other}") } else { format!("roles/{}", binding.role) };
    Err(Error::AlreadyExists { what: Taken::RoleBinding, name })
}

/// Another binding of the same holder, role, account, reach and mode that is open at the same time.
fn overlapping(write: &Write<'_>, binding: &Binding) -> Option<BindingId> {
    let before = write.before();
    let own = |fact: &BindingFact| {
        fact.principal == binding.principal && fact.role == binding.role && fact.account == binding.account
    };
    let same = |reach, mode, window: Window| {
        reach == binding.reach && mode == binding.mode && window.intersect(binding.window).is_some()
    };
    // What this change did to bindings so far does not stand in the facts yet.
    let touched = |side: fn(&fact::Change) -> Option<&Fact>| {
        write.pending().iter().filter_map(side).filter_map(Fact::as_binding).filter(|fact| own(fact))
    };
    let made = touched(|change| change.after.as_ref());
    let gone: Vec<BindingId> = touched(|change| change.before.as_ref()).map(|fact| fact.id).collect();
    let mut made = made.filter(|fact| fact.id != binding.id && same(fact.reach, fact.mode, fact.window));
    if let Some(fact) = made.next() {
        return Some(fact.id);
    }
    let holder = holder(before, binding.principal)?;
    let (account, role) = (before.find_account(binding.account.as_str())?, before.find_role(&binding.role)?);
    let others = before.bound_to(holder).filter(|(other, window)| {
        other.account == account && other.role == role && same(other.reach, other.mode, *window)
    });
    let mut others = others.map(|(other, _)| other.id);
    others.find(|id| *id != binding.id && !gone.contains(id))
}

/// Who a request would give a role to.
#[derive(Debug, Clone)]
pub enum PrincipalRef {
    Peer(PeerRef),
    Group(GroupId),
}

/// A wish for a binding.
#[derive(Debug, Clone)]
pub struct CreateBinding {
    pub principal: PrincipalRef,
    pub role: RoleId,
    pub account: AccountId,
    pub reach: Reach,
    pub mode: Mode,
    pub window: Window,
    pub justification: String,
}

/// Gives a role to a peer or a group.
///
/// # Errors
/// [`Error::NotFound`] where principal, role or account is missing or hidden; [`Error::Denied`],
/// [`Error::Escalation`]; otherwise as [`make`] and the rules of the role's use.
pub async fn create(ctx: &Ctx, call: &Call, request: CreateBinding) -> Result<Binding> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let binding = give(&mut write, request)?;
    write.commit(binding).await
}

/// Gives many roles in one change. Each is judged on top of those before it, as if it came by a call of
/// its own, and one that is refused leaves nothing behind; `tell` words the refusals.
///
/// # Errors
/// What concerns all of them: [`Error::Unauthenticated`], [`Error::Store`], [`Error::RequestIdReused`].
pub async fn create_many(
    ctx: &Ctx,
    call: &Call,
    requests: Vec<Result<CreateBinding>>,
    tell: Tell<'_>,
) -> Result<Vec<Answer<Binding>>> {
    let write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let mut batch = Batch::new(write, call, tell, requests.len());
    for request in requests {
        batch.add(|write| give(write, request?), |_, binding| Ok(binding)).await?;
    }
    batch.commit().await
}

/// The whole of a new binding within a change, with its event.
///
/// # Errors
/// As [`create`].
pub(super) fn give(write: &mut Write<'_>, request: CreateBinding) -> Result<Binding> {
    let view = write.view()?;
    let permit = view.admit_at("role_bindings.create", &request.account)?;
    let principal = match &request.principal {
        PrincipalRef::Peer(peer) => Principal::Peer(visible_peer(&view, peer, permit.account())?.1),
        PrincipalRef::Group(group) => Principal::Group(visible_group(&view, *group)?),
    };
    let CreateBinding { role, account, reach, mode, window, justification, .. } = request;
    let new = NewBinding { principal, role, account, reach, mode, window, justification };
    let binding = make(write, &permit, new)?;
    act(write, permit.account(), "role_bindings.create", None, Some(&binding))?;
    Ok(binding)
}

/// What is to change about a binding; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct BindingChange {
    pub reach: Option<Reach>,
    pub mode: Option<Mode>,
    pub start_time: Option<Option<Timestamp>>,
    pub expire_time: Option<Option<Timestamp>>,
    pub justification: Option<String>,
}

/// A wish to change a binding.
#[derive(Debug, Clone)]
pub struct UpdateBinding {
    pub id: BindingId,
    pub etag: Option<i64>,
    /// What the caller believes in and never changes.
    pub principal: Option<PrincipalRef>,
    pub role: Option<RoleId>,
    pub account: Option<AccountId>,
    pub change: BindingChange,
}

/// Changes reach, mode, window or justification of a binding.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`], [`Error::EtagMismatch`]; otherwise as
/// [`make`] and the rules of the role's use.
pub async fn update(ctx: &Ctx, call: &Call, request: UpdateBinding) -> Result<Binding> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (before, permit) = own(&write, request.id, "role_bindings.update", request.etag).await?;
    check_fixed(&write.view()?, &request, &before)?;
    let role = write.before().find_role(&before.role).and_then(|index| write.before().role(index));
    // Also where nothing changes that a decision reads, such as the reason given.
    if role.is_some_and(|role| !role.fact.rules.assignable) {
        return Err(Error::precondition(Precondition::RoleUnassignable, roles::name(&before.role)));
    }
    let requires_justification = role.is_some_and(|role| role.fact.rules.requires_justification);
    let change = request.change;
    let start = change.start_time.unwrap_or_else(|| before.window.start());
    let expire = change.expire_time.unwrap_or_else(|| before.window.expire());
    let window = Window::parse(start, expire).map_err(|why| Error::invalid("role_binding.expire_time", why))?;
    let mut binding = Binding {
        reach: change.reach.unwrap_or(before.reach),
        mode: change.mode.unwrap_or(before.mode),
        window,
        justification: change.justification.unwrap_or_else(|| before.justification.clone()),
        update_time: write.now(),
        version: before.version + 1,
        ..before.clone()
    };
    if binding.justification.is_empty() && requires_justification {
        return Err(Error::precondition(Precondition::JustificationRequired, roles::name(&binding.role)));
    }
    check_distinct(&write, &binding)?;
    let fact = |binding: &Binding| Some(Fact::Binding(facts::binding(binding)));
    write.change(&permit, fact(&before), fact(&binding));
    binding.update_revision = write.revision();
    storage::bindings::update(write.connection(), &binding).await?;
    act(&mut write, permit.account(), "role_bindings.update", Some(&before), Some(&binding))?;
    write.commit(binding).await
}

fn check_fixed(view: &View<'_>, request: &UpdateBinding, before: &Binding) -> Result<()> {
    let principal = match &request.principal {
        None => true,
        Some(PrincipalRef::Group(group)) => before.principal == Principal::Group(*group),
        Some(PrincipalRef::Peer(peer)) => {
            let id = view.find_peer(peer).and_then(|peer| view.snapshot.peer_id(peer));
            id.is_some_and(|id| before.principal == Principal::Peer(id))
        }
    };
    let role = request.role.as_ref().is_none_or(|role| *role == before.role);
    let account = request.account.as_ref().is_none_or(|account| *account == before.account);
    let field = match (principal, role, account) {
        (true, true, true) => return Ok(()),
        (false, ..) => "role_binding.principal",
        (_, false, _) => "role_binding.role",
        (.., false) => "role_binding.account",
    };
    Err(Error::invalid(field, Invalid::NotAllowed { why: "it never changes" }))
}

/// Takes a role from a peer or group. Returns the revision of the removal.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagMismatch`]; [`Error::Escalation`] where the
/// role denies what the caller does not hold; [`Error::Precondition`] where a rule forbids it.
pub async fn delete(ctx: &Ctx, call: &Call, id: BindingId, etag: Option<i64>) -> Result<i64> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (binding, permit) = own(&write, id, "role_bindings.delete", etag).await?;
    write.change(&permit, Some(Fact::Binding(facts::binding(&binding))), None);
    storage::bindings::delete(write.connection(), id).await?;
    act(&mut write, permit.account(), "role_bindings.delete", Some(&binding), None)?;
    let revision = write.revision();
    write.commit(revision).await
}

pub(super) fn missing(id: BindingId) -> Error {
    Error::not_found("role binding", format!("roleBindings/{id}"))
}

/// A binding that the caller may change so, as it was read.
async fn own(
    write: &Write<'_>,
    id: BindingId,
    permission: &'static str,
    etag: Option<i64>,
) -> Result<(Binding, Permit)> {
    let binding = storage::bindings::find(write.connection(), id).await?.ok_or_else(|| missing(id))?;
    let account = write.before().find_account(binding.account.as_str()).ok_or_else(|| missing(id))?;
    let name = format!("roleBindings/{id}");
    let permit = write.view()?.admit(read::VIEW, permission, account, ("role binding", &name))?;
    if etag.is_some_and(|etag| etag != binding.version) {
        return Err(Error::EtagMismatch { name });
    }
    Ok((binding, permit))
}

/// A peer that the caller may name as one who is to get a right on an account: itself, one that it may
/// view at home, or one that has access to that account already and so stands in its list. That list
/// does not show the user name of one homed elsewhere, so that it does not lead there either.
///
/// # Errors
/// [`Error::NotFound`] where it is missing or hidden.
pub(super) fn visible_peer(view: &View<'_>, peer: &PeerRef, account: AccountIndex) -> Result<(PeerIndex, PeerId)> {
    let missing = || Error::not_found("peer", peer_name(peer));
    let index = view.find_peer(peer).ok_or_else(missing)?;
    let record = view.snapshot.peer(index).ok_or_else(missing)?;
    let may = |account| view.may("peers.view", account);
    let has_access = || {
        let path = view.snapshot.path(account);
        view.snapshot.held(index).map(|held| held.binding).any(|binding| {
            path.contains(binding.account) && (binding.reach == Reach::Subtree || binding.account == account)
        })
    };
    let is_listed = || !matches!(peer, PeerRef::UserName(_)) && may(account) && has_access();
    if index == view.actor || may(record.home()) || is_listed() { Ok((index, record.id())) } else { Err(missing()) }
}

fn visible_group(view: &View<'_>, id: GroupId) -> Result<GroupId> {
    let group = view.snapshot.find_group(id).and_then(|group| view.snapshot.group(group));
    match group {
        Some(group) if view.may("groups.view", group.account) => Ok(id),
        _ => Err(Error::not_found("group", format!("groups/{id}"))),
    }
}

/// Records an act on a binding with what changed of it. At least one of the two is there.
pub(super) fn act(
    write: &mut Write<'_>,
    account: AccountIndex,
    action: &str,
    before: Option<&Binding>,
    after: Option<&Binding>,
) -> Result<()> {
    let Some(binding) = after.or(before) else { return Ok(()) };
    let target = Target::new("role_binding", Text::public(format!("roleBindings/{}", binding.id)));
    let draft = write.act(account, action, target)?;
    let stated = Some(&binding.justification).filter(|text| !text.is_empty());
    draft.justification = stated.map(|text| Personal::new(text.clone()));
    let shown_fields = shown(binding);
    draft.changes = shown_fields
        .iter()
        .enumerate()
        .filter_map(|(place, (field, _))| {
            let value = |binding: &Binding| shown(binding).into_iter().nth(place).and_then(|(_, value)| value);
            let change =
                Change { field: (*field).to_owned(), before: before.and_then(value), after: after.and_then(value) };
            (change.before != change.after).then_some(change)
        })
        .collect();
    Ok(())
}

/// The fields of a binding as an event shows them.
fn shown(binding: &Binding) -> [(&'static str, Option<Text>); 8] {
    let public = |text: String| Some(Text::public(text));
    let why = Some(&binding.justification).filter(|text| !text.is_empty());
    [
        ("principal", public(binding.principal.to_string())),
        ("role", public(roles::name(&binding.role))),
        ("account", public(format!("accounts/{}", binding.account))),
        ("reach", public(binding.reach.as_str().to_owned())),
        ("mode", public(binding.mode.as_str().to_owned())),
        ("start_time", binding.window.start().map(|time| Text::public(time.to_rfc3339()))),
        ("expire_time", binding.window.expire().map(|time| Text::public(time.to_rfc3339()))),
        ("justification", why.map(|text| Text::personal(text.clone()))),
    ]
}
