//! Where may a peer, who may here, and what may a peer here: as Authorize would answer, all at once.
//!
//! INVARIANT: a list shows what its caller could ask Authorize one by one, and nothing else. About
//! oneself that is everything. About others it is the accounts on which the caller holds
//! `access.check`, and the peers that may be known there: those bound on the way to the root, and
//! those that the caller sees at their home. Whoever is neither is as missing as one who is not there.
//!
//! The titles and user names of a page are read from the database; everything else is in the snapshot.

use std::collections::HashMap;
use std::time::Duration;

use super::accounts::is_seen;
use super::authorize::{self, CHECK, Consistency, is_bound_on_path, is_visible, may_check_everywhere};
use super::context::{Call, Ctx};
use super::error::{Error, Result};
use super::guard::{View, peer_name};
use super::page::Page;
use crate::decision::evaluate::subject_fault;
use crate::decision::lists::{
    Part, Territory, Wanted, What, Where, Who, accessible_accounts, authorized_peers, effective_permissions,
};
use crate::decision::snapshot::PeerView;
use crate::decision::{AccountIndex, Decision, Outcome, PeerIndex, PermissionIndex, Reason, Snapshot};
use crate::domain::account::AccountKind;
use crate::domain::context::Context;
use crate::domain::ids::{AccountId, BindingId, PeerId, RoleId};
use crate::domain::peer::{PeerKind, PeerRef};
use crate::domain::permission::{Permission, PermissionName};
use crate::storage;

/// What all three lists ask alike.
#[derive(Debug, Clone)]
pub struct Asked<P> {
    pub context: Context,
    pub consistency: Consistency,
    /// The only answer to be listed; without it, all but DENY.
    pub outcome: Option<Outcome>,
    pub after: Option<P>,
    pub limit: usize,
}

impl<P> Asked<P> {
    const fn wanted(&self) -> Wanted<'_, P> {
        Wanted { after: self.after.as_ref(), limit: self.limit, outcome: self.outcome }
    }
}

/// Where a peer may do something.
#[derive(Debug, Clone)]
pub struct ListAccessibleAccounts {
    /// Nobody means the caller.
    pub peer: Option<PeerRef>,
    pub permission: PermissionName,
    /// The account whose subtree is searched.
    pub root: Option<AccountId>,
    pub kind: Option<AccountKind>,
    pub asked: Asked<AccountId>,
}

/// Who may do something on an account.
#[derive(Debug, Clone)]
pub struct ListAuthorizedPeers {
    pub account: AccountId,
    pub permission: PermissionName,
    pub kind: Option<PeerKind>,
    pub home: Option<AccountId>,
    pub asked: Asked<PeerId>,
}

/// What a peer may do on an account.
#[derive(Debug, Clone)]
pub struct ListEffectivePermissions {
    /// Nobody means the caller.
    pub peer: Option<PeerRef>,
    pub account: AccountId,
    pub resource: Option<String>,
    pub feature: Option<String>,
    pub privileged: Option<bool>,
    pub asked: Asked<PermissionName>,
}

/// A page, and the revision at which it holds.
#[derive(Debug, Clone)]
pub struct Listed<T, P> {
    pub page: Page<T, P>,
    pub revision: i64,
}

/// What Authorize answers, and by which binding of which role.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub decision: Decision,
    pub binding: Option<BindingId>,
    pub role: Option<RoleId>,
}

impl Verdict {
    fn of(snapshot: &Snapshot, decision: Decision) -> Self {
        let role = decision.deciding.and_then(|deciding| snapshot.role(deciding.role));
        Self {
            decision,
            binding: decision.deciding.map(|deciding| deciding.binding),
            role: role.map(|role| role.fact.id.clone()),
        }
    }
}

/// An account on which a peer may act. The title is empty where the caller may not see the account.
#[derive(Debug, Clone)]
pub struct AccessibleAccount {
    pub account: AccountId,
    pub title: String,
    pub kind: AccountKind,
    pub verdict: Verdict,
}

/// A peer that may act. The user name is empty where the caller may not view the peer.
#[derive(Debug, Clone)]
pub struct AuthorizedPeer {
    pub peer: PeerId,
    pub user_name: String,
    pub kind: PeerKind,
    /// Where the caller may know it, as in an explanation.
    pub home: Option<AccountId>,
    pub verdict: Verdict,
}

/// Something that a peer may do.
#[derive(Debug, Clone)]
pub struct EffectivePermission {
    pub permission: PermissionName,
    pub verdict: Verdict,
}

/// Lists the accounts on which a peer may do something.
///
/// # Errors
/// [`Error::PermissionUnknown`]; [`Error::NotFound`] of the root where it is missing or the caller may
/// not ask about others there, and of the peer where it is missing, or not to be known, or the caller
/// may ask about others nowhere; [`Error::RevisionNotReached`].
pub async fn accounts(
    ctx: &Ctx,
    call: &Call,
    request: &ListAccessibleAccounts,
    time: Option<Duration>,
) -> Result<Listed<AccessibleAccount, AccountId>> {
    authorize::await_revision(ctx, request.asked.consistency, time).await?;
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let part = accessible(&view, request)?;
    let seen = part.rows.iter().filter(|(account, _)| is_seen(&view, *account));
    let seen: Vec<_> = seen.filter_map(|(account, _)| snapshot.account_id(*account).cloned()).collect();
    let rows =
        if seen.is_empty() { Vec::new() } else { storage::accounts::find_many(ctx.store.reader(), &seen).await? };
    let mut titles: HashMap<AccountId, String> = rows.into_iter().map(|row| (row.id, row.title)).collect();
    let listed = part.rows.iter().filter_map(|(account, decision)| {
        let id = snapshot.account_id(*account)?;
        Some(AccessibleAccount {
            account: id.clone(),
            title: titles.remove(id).unwrap_or_default(),
            kind: snapshot.account(*account)?.kind,
            verdict: Verdict::of(&snapshot, *decision),
        })
    });
    Ok(Listed { page: Page { items: listed.collect(), next: part.next }, revision: snapshot.revision() })
}

fn accessible(view: &View<'_>, request: &ListAccessibleAccounts) -> Result<Part<AccountIndex, AccountId>> {
    let snapshot = view.snapshot;
    let permission = find_permission(snapshot, &request.permission)?;
    let subject = find_subject(view, request.peer.as_ref());
    let is_self = subject == Some(view.actor);
    let root = match &request.root {
        None => None,
        Some(id) => match find_account(view, id, is_self)? {
            None => return Ok(empty()),
            root => root,
        },
    };
    let below = |territory: Territory| match root {
        Some(root) => territory.common(snapshot, &Territory::within(root)),
        None => territory,
    };
    let checked = if is_self { None } else { Some(below(check_territory(view))) };
    let missing = || missing_peer(request.peer.as_ref());
    // Whoever may ask about others nowhere does not learn who there is.
    let peer = subject.filter(|_| checked.as_ref().is_none_or(|checked| !checked.is_empty())).ok_or_else(missing)?;
    if checked.as_ref().is_some_and(|checked| !is_known_within(view, peer, checked)) {
        return Err(missing());
    }
    if cannot_act(view, peer) {
        return Ok(empty());
    }
    let mut territory = below(Territory::of(snapshot, peer, permission, view.now));
    if let Some(checked) = &checked {
        territory = territory.common(snapshot, checked);
    }
    let takes = |account| {
        let kind = snapshot.account(account).map(|record| record.kind);
        request.kind.is_none_or(|wanted| kind == Some(wanted)) && (is_self || view.may(CHECK, account))
    };
    let asked = Where { peer, permission, territory: &territory, now: view.now, context: &request.asked.context };
    Ok(accessible_accounts(snapshot, &asked, request.asked.wanted(), takes))
}

/// Lists the peers that may do something on an account.
///
/// # Errors
/// [`Error::PermissionUnknown`]; [`Error::NotFound`] where the account is missing or the caller may
/// not ask about others there; [`Error::RevisionNotReached`].
pub async fn peers(
    ctx: &Ctx,
    call: &Call,
    request: &ListAuthorizedPeers,
    time: Option<Duration>,
) -> Result<Listed<AuthorizedPeer, PeerId>> {
    authorize::await_revision(ctx, request.asked.consistency, time).await?;
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let permission = find_permission(&snapshot, &request.permission)?;
    let account = snapshot.find_account(request.account.as_str()).filter(|account| view.may(CHECK, *account));
    let account = account.ok_or_else(|| missing_account(&request.account))?;
    // A home that is not there, or not for the caller to know, is nobody's.
    let path = snapshot.path(account);
    let is_named = |home: AccountIndex, is_caller: bool| is_caller || path.contains(home) || is_seen(&view, home);
    let home = request.home.as_ref().map(|home| snapshot.find_account(home.as_str()));
    let is_home_named = home.flatten().is_some_and(|home| is_named(home, false));
    let takes = |peer: PeerIndex| {
        snapshot.peer(peer).is_some_and(|peer| {
            let is_there = |home| home == Some(peer.home()) && (is_home_named || peer.id() == call.caller.peer);
            request.kind.is_none_or(|kind| kind == peer.kind()) && home.is_none_or(is_there)
        })
    };
    let asked = Who { permission, account, now: view.now, context: &request.asked.context };
    let part = authorized_peers(&snapshot, &asked, request.asked.wanted(), takes);
    let views = part.rows.iter().filter_map(|(peer, decision)| snapshot.peer(*peer).map(|peer| (peer, *decision)));
    let views: Vec<_> = views.collect();
    let may_view = |peer: &PeerView<'_>| peer.id() == call.caller.peer || view.may("peers.view", peer.home());
    let seen: Vec<_> = views.iter().filter(|(peer, _)| may_view(peer)).map(|(peer, _)| peer.id()).collect();
    let rows = if seen.is_empty() { Vec::new() } else { storage::peers::find_many(ctx.store.reader(), &seen).await? };
    let mut names: HashMap<_, _> = rows.into_iter().map(|row| (row.id, row.user_name.as_str().to_owned())).collect();
    let listed = views.iter().map(|(peer, decision)| {
        let is_caller = peer.id() == call.caller.peer;
        AuthorizedPeer {
            peer: peer.id(),
            user_name: names.remove(&peer.id()).unwrap_or_default(),
            kind: peer.kind(),
            home: snapshot.account_id(peer.home()).filter(|_| is_named(peer.home(), is_caller)).cloned(),
            verdict: Verdict::of(&snapshot, *decision),
        }
    });
    Ok(Listed { page: Page { items: listed.collect(), next: part.next }, revision: snapshot.revision() })
}

/// Lists what a peer may do on an account.
///
/// # Errors
/// [`Error::NotFound`] of the account where it is missing or the caller may not ask about others there,
/// and of the peer where it is missing or not to be known; [`Error::RevisionNotReached`].
pub async fn permissions(
    ctx: &Ctx,
    call: &Call,
    request: &ListEffectivePermissions,
    time: Option<Duration>,
) -> Result<Listed<EffectivePermission, PermissionName>> {
    authorize::await_revision(ctx, request.asked.consistency, time).await?;
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let part = effective(&view, request)?;
    let listed = part.rows.iter().filter_map(|(permission, decision)| {
        let permission = snapshot.permission(*permission)?.name.clone();
        Some(EffectivePermission { permission, verdict: Verdict::of(&snapshot, *decision) })
    });
    Ok(Listed { page: Page { items: listed.collect(), next: part.next }, revision: snapshot.revision() })
}

fn effective(view: &View<'_>, request: &ListEffectivePermissions) -> Result<Part<PermissionIndex, PermissionName>> {
    let snapshot = view.snapshot;
    let subject = find_subject(view, request.peer.as_ref());
    let is_self = subject == Some(view.actor);
    let Some(account) = find_account(view, &request.account, is_self)? else { return Ok(empty()) };
    let is_known = |peer: &PeerIndex| is_self || is_known_at(view, *peer, account);
    let peer = subject.filter(is_known).ok_or_else(|| missing_peer(request.peer.as_ref()))?;
    if cannot_act(view, peer) || !is_bound_on_path(snapshot, peer, account) {
        return Ok(empty());
    }
    let takes = |permission: &Permission| {
        request.resource.as_ref().is_none_or(|resource| resource == permission.name.resource())
            && request.feature.as_ref().is_none_or(|feature| *feature == permission.feature)
            && request.privileged.is_none_or(|privileged| privileged == permission.flags.privileged)
    };
    let asked = What { peer, account, now: view.now, context: &request.asked.context };
    Ok(effective_permissions(snapshot, &asked, request.asked.wanted(), takes))
}

fn find_permission(snapshot: &Snapshot, name: &PermissionName) -> Result<PermissionIndex> {
    let unknown = || Error::PermissionUnknown { field: "permission".to_owned(), name: name.to_string() };
    snapshot.find_permission(name.as_str()).ok_or_else(unknown)
}

fn find_subject(view: &View<'_>, peer: Option<&PeerRef>) -> Option<PeerIndex> {
    peer.map_or(Some(view.actor), |peer| view.find_peer(peer))
}

/// The account that is asked about, as Authorize has it: one that is missing is none to those who ask
/// about themselves, unless they may know of every account.
fn find_account(view: &View<'_>, id: &AccountId, is_self: bool) -> Result<Option<AccountIndex>> {
    match view.snapshot.find_account(id.as_str()) {
        Some(account) if is_self || view.may(CHECK, account) => Ok(Some(account)),
        None if is_self && !may_check_everywhere(view) => Ok(None),
        _ => Err(missing_account(id)),
    }
}

fn missing_account(id: &AccountId) -> Error {
    Error::not_found("account", format!("accounts/{id}"))
}

fn missing_peer(peer: Option<&PeerRef>) -> Error {
    Error::not_found("peer", peer.map_or_else(|| "peers/me".to_owned(), peer_name))
}

/// Where the caller may ask about others at most.
fn check_territory(view: &View<'_>) -> Territory {
    let check = view.snapshot.find_permission(CHECK);
    check.map_or_else(Territory::default, |check| Territory::of(view.snapshot, view.actor, check, view.now))
}

/// Whether the caller may know of a peer by asking about it somewhere in this part of the tree. All
/// but always the first account that is looked at says so.
fn is_known_within(view: &View<'_>, peer: PeerIndex, checked: &Territory) -> bool {
    let bound = || Territory::bound(view.snapshot, peer).common(view.snapshot, checked);
    is_visible(view, peer)
        || (!is_deleted(view, peer) && bound().walk(view.snapshot, None).any(|account| view.may(CHECK, account)))
}

/// Whether the caller may know of a peer by asking about it on an account.
fn is_known_at(view: &View<'_>, peer: PeerIndex, account: AccountIndex) -> bool {
    is_visible(view, peer) || (!is_deleted(view, peer) && is_bound_on_path(view.snapshot, peer, account))
}

/// Whether Authorize says of a peer that it is unknown, whatever it holds.
fn is_deleted(view: &View<'_>, peer: PeerIndex) -> bool {
    fault(view, peer) == Some(Reason::SubjectUnknown)
}

/// Whether every answer about a peer is DENY, so that nothing is worth a walk.
fn cannot_act(view: &View<'_>, peer: PeerIndex) -> bool {
    fault(view, peer).is_some()
}

fn fault(view: &View<'_>, peer: PeerIndex) -> Option<Reason> {
    match view.snapshot.peer(peer) {
        Some(peer) => subject_fault(view.snapshot, &peer, view.now),
        None => Some(Reason::SubjectUnknown),
    }
}

const fn empty<T, P>() -> Part<T, P> {
    Part { rows: Vec::new(), next: None, decided: 0 }
}
