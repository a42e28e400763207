//! New peers: by themselves, with a role at the accounts they are for, or as the first of an account.
//!
//! A batch makes each as a single call does, in one change.
//!
//! [`make`] is the one way to a new peer. It gives no right; whoever makes a peer binds its role in
//! the same change, and the commit judges both.

use std::sync::Arc;

use super::SeenPeer;
use crate::application::batch::{Answer, Batch, Tell};
use crate::application::bindings::{self, NewBinding};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result, Taken, Violation};
use crate::application::guard::Permit;
use crate::application::passwords::{self, Owner, Patience};
use crate::application::write::Write;
use crate::decision::AccountIndex;
use crate::domain::audit::{Change, Personal, Text};
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::fact::Fact;
use crate::domain::ids::{AccountId, PeerId, RoleId};
use crate::domain::invalid::Invalid;
use crate::domain::password::Password;
use crate::domain::peer::{Peer, PeerKind, PeerRef, PeerStatus, Profile, UserName};
use crate::domain::time::{Timestamp, Window};
use crate::storage::{Constraint, StoreError, facts};

/// What a new peer is to be.
#[derive(Debug, Clone)]
pub struct NewPeer {
    pub user_name: UserName,
    pub kind: PeerKind,
    pub home: AccountId,
    pub profile: Profile,
    pub expire_time: Option<Timestamp>,
    /// Another peer of the same human, which the caller has found already.
    pub person: Option<PeerId>,
    pub status: PeerStatus,
    pub default_role: Option<RoleId>,
}

/// Makes a peer within a change, before its bindings. The home may be made by the same change, ahead
/// of it. The audit event is the caller's to write.
///
/// # Errors
/// [`Error::AlreadyExists`] where the user name is taken, also by a deleted peer that may come back;
/// [`Error::Precondition`] where a person's password would never expire.
pub fn make(write: &mut Write<'_>, permit: &Permit, new: NewPeer) -> Result<Peer> {
    check_password_expiry(new.kind, &new.profile, &new.user_name)?;
    check_user_name_free(write, &new.user_name)?;
    let mut peer = Peer {
        id: PeerId::from(write.ctx().entropy.uuid(write.now())?),
        user_name: new.user_name,
        kind: new.kind,
        home: new.home,
        status: new.status,
        profile: new.profile,
        expire_time: new.expire_time,
        person: new.person,
        default_role: new.default_role,
        create_time: write.now(),
        update_time: write.now(),
        delete_time: None,
        last_login_time: None,
        last_active_time: None,
        photo: None,
        version: 1,
        update_revision: 0,
    };
    write.change(permit, None, Some(Fact::Peer(facts::peer(&peer))));
    peer.update_revision = write.revision();
    write.rows().peers.push(peer.clone());
    Ok(peer)
}

/// Only a device or an integration may have a password without end (rule 4 of DESIGN 8).
pub(super) fn check_password_expiry(kind: PeerKind, profile: &Profile, user_name: &UserName) -> Result<()> {
    if profile.password_never_expires && !kind.is_system() {
        return Err(Error::precondition(Precondition::SystemPeerRequired, by_user_name(user_name)));
    }
    Ok(())
}

/// Looks before the write does, since a failed statement would end a transaction of PostgreSQL. The
/// facts hold the user name of every peer, also of a deleted one for as long as it may come back, and
/// the hash of a name belongs to no other.
pub(super) fn check_user_name_free(write: &Write<'_>, user_name: &UserName) -> Result<()> {
    let is_taken = |fact: &Fact| fact.as_peer().is_some_and(|peer| peer.user_name_hash == user_name.hash());
    let is_pending = write.pending().iter().filter_map(|change| change.after.as_ref()).any(is_taken);
    if is_pending || write.before().find_user_name(user_name.hash()).is_some() {
        return Err(already_exists(user_name));
    }
    Ok(())
}

pub(super) fn taken(error: StoreError, user_name: &UserName) -> Error {
    match error.constraint() {
        Some(Constraint::UserName) => already_exists(user_name),
        _ => Error::Store(error),
    }
}

pub(in crate::application) fn already_exists(user_name: &UserName) -> Error {
    Error::AlreadyExists { what: Taken::UserName, name: by_user_name(user_name) }
}

fn by_user_name(user_name: &UserName) -> String {
    format!("peers/@{}", user_name.as_str())
}

/// Where a new peer holds its role.
#[derive(Debug, Clone)]
pub enum Access {
    /// At home, with everything below.
    All,
    /// At these accounts, with everything below each.
    Accounts(Vec<AccountId>),
}

/// A peer with its role and the accounts it is for.
#[derive(Debug)]
pub struct CreatePeer {
    pub user_name: UserName,
    pub kind: PeerKind,
    pub home: AccountId,
    pub profile: Profile,
    pub expire_time: Option<Timestamp>,
    pub person: Option<PeerRef>,
    pub status: PeerStatus,
    pub role: RoleId,
    pub access: Access,
    /// Why it needs the role; empty where nobody says.
    pub justification: String,
    pub password: Option<Arc<Password>>,
}

/// Makes a peer and binds its role, all or nothing.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`]; [`Error::AlreadyExists`] where the
/// user name is taken; [`Error::Precondition`] where a rule forbids the role or the peer;
/// [`Error::Invalid`] where its password is not good enough, [`Error::Overloaded`] where too many wait
/// to be hashed.
pub async fn create(ctx: &Ctx, call: &Call, mut request: CreatePeer) -> Result<SeenPeer> {
    let mut bound = None;
    let mut prepared = None;
    if let Some(password) = request.password.take() {
        let call = bound.insert(passwords::bind(ctx, call, &password).await?);
        if let Some(done) = passwords::repeated(ctx, call).await? {
            return Ok(done);
        }
        prepared = Some(passwords::prepare_first(ctx, call, &password, request.owner(), Patience::None).await?);
    }
    let call = bound.as_ref().unwrap_or(call);
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let peer = make_and_bind(&mut write, &request, prepared)?;
    let seen = super::seen_after(&write, peer)?;
    write.commit(seen).await
}

/// Makes many peers in one change. Each is judged on top of those before it, as if it came by a call of
/// its own, and one that is refused leaves nothing behind; `tell` words the refusals.
///
/// # Errors
/// What concerns all of them: [`Error::Unauthenticated`], [`Error::Store`], [`Error::RequestIdReused`].
pub async fn create_many(
    ctx: &Ctx,
    call: &Call,
    requests: Vec<Result<CreatePeer>>,
    tell: Tell<'_>,
) -> Result<Vec<Answer<SeenPeer>>> {
    let given: Vec<&Arc<Password>> =
        requests.iter().flatten().filter_map(|request| request.password.as_ref()).collect();
    let mut bound = None;
    if !given.is_empty() {
        let call = bound.insert(passwords::bind_all(ctx, call, &given).await?);
        if let Some(done) = passwords::repeated(ctx, call).await? {
            return Ok(done);
        }
    }
    let call = bound.as_ref().unwrap_or(call);
    let prepared = passwords::prepare_all(ctx, call, requests).await;
    let write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let mut batch = Batch::new(write, call, tell, prepared.len());
    for item in prepared {
        let done = |write: &mut Write<'_>| {
            let (request, password) = item?;
            make_and_bind(write, &request, password)
        };
        batch.add(done, super::seen_after).await?;
    }
    batch.commit().await
}

impl CreatePeer {
    /// Whose password it would be.
    pub(in crate::application) const fn owner(&self) -> Owner<'_> {
        Owner { user_name: &self.user_name, profile: &self.profile, home: &self.home }
    }
}

/// The whole of a new peer within a change: its row, its bindings, its password and their events.
fn make_and_bind(write: &mut Write<'_>, request: &CreatePeer, password: Option<passwords::Prepared>) -> Result<Peer> {
    let permit = write.view()?.admit_at("peers.create", &request.home)?;
    let places = match &request.access {
        Access::All => std::slice::from_ref(&request.home),
        Access::Accounts(accounts) => accounts,
    };
    // A peer comes with a role at its home; giving it one elsewhere is to assign a role there.
    let admit = |account: &AccountId| {
        if *account == request.home {
            Ok(permit.clone())
        } else {
            write.view()?.admit_at("role_bindings.create", account)
        }
    };
    let permits = places.iter().map(admit).collect::<Result<Vec<Permit>>>()?;
    let person = match &request.person {
        Some(person) => Some(super::find_person(&write.view()?, person)?),
        None => None,
    };
    let new = NewPeer {
        user_name: request.user_name.clone(),
        kind: request.kind,
        home: request.home.clone(),
        profile: request.profile.clone(),
        expire_time: request.expire_time,
        person,
        status: request.status,
        default_role: Some(request.role.clone()),
    };
    let peer = make(write, &permit, new)?;
    note(write, permit.account(), &peer, request)?.extend(password.as_ref().map(|_| passwords::was_set()));
    for (permit, account) in permits.iter().zip(places) {
        let binding = NewBinding {
            principal: Principal::Peer(peer.id),
            role: request.role.clone(),
            account: account.clone(),
            reach: Reach::Subtree,
            mode: Mode::Active,
            window: Window::ALWAYS,
            justification: request.justification.clone(),
        };
        let binding = bindings::make(write, permit, binding)?;
        // Each account's own log says who gained a role there, and names no other account.
        if matches!(request.access, Access::Accounts(_)) {
            bindings::act(write, permit.account(), "role_bindings.create", None, Some(&binding))?;
        }
    }
    // Only now is it certain that the caller may know the role.
    check_fields(write, request)?;
    if let Some(password) = password {
        passwords::give_first(write, &permit, &peer, password)?;
    }
    Ok(peer)
}

/// Some roles ask for more of whom they are made for, such as a name to show.
fn check_fields(write: &Write<'_>, request: &CreatePeer) -> Result<()> {
    let role = write.before().find_role(&request.role).and_then(|index| write.before().role(index));
    let asked = role.into_iter().flat_map(|role| &role.fact.rules.peer_fields);
    let is_empty = |path: &String| {
        let field = super::PROFILE_FIELDS.iter().find(|field| field.path == path);
        field.is_some_and(|field| !field.is_set(&request.profile))
    };
    let missing = asked.filter(|path| is_empty(path));
    let missing: Vec<_> = missing.map(|path| Violation::new(format!("peer.{path}"), Invalid::Missing)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Invalid(missing)) }
}

/// The event in the home's log: who was made, with which role, for which accounts.
/// Returns its changes, to be added to.
fn note<'w>(
    write: &'w mut Write<'_>,
    home: AccountIndex,
    peer: &Peer,
    request: &CreatePeer,
) -> Result<&'w mut Vec<Change>> {
    let access = match &request.access {
        Access::All => "all".to_owned(),
        Access::Accounts(accounts) => {
            accounts.iter().map(|account| format!("accounts/{account}")).collect::<Vec<_>>().join(" ")
        }
    };
    let draft = write.act(home, "peers.create", super::target(peer))?;
    draft.changes = super::changes(None, peer);
    for (field, value) in [("role", format!("roles/{}", request.role)), ("access", access)] {
        draft.changes.push(Change { field: field.to_owned(), before: None, after: Some(Text::public(value)) });
    }
    if !request.justification.is_empty() {
        draft.justification = Some(Personal::new(request.justification.clone()));
    }
    Ok(&mut draft.changes)
}
