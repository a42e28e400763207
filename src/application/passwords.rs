//! Passwords that administrators give to others: at creation, or to a peer they may become.
//!
//! INVARIANT: a password is judged and hashed before the transaction begins, on threads of its own, so
//! that no write waits for it; what it was judged by must still be so inside the transaction. Neither it
//! nor its hash stands in an event, a stored result or the hash of a request.
//!
//! Not here: signing in, and the change of one's own password.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::accounts::password_policy;
use super::ceiling::escalation;
use super::context::{Call, Ctx, RequestId};
use super::error::{Error, Forbidden, Precondition, Result};
use super::guard::{Permit, View, peer_name};
use super::peers::{self, CreatePeer, SeenPeer};
use super::write::Write;
use crate::crypto::password::{self as crypto, Measure, SALT_LENGTH};
use crate::decision::PeerIndex;
use crate::decision::administrators::holds_unassignable;
use crate::domain::account::PartnerAccess;
use crate::domain::audit::{Change, Personal, Text};
use crate::domain::fact::Fact;
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::invalid::Invalid;
use crate::domain::password::{Password, PasswordFault, PasswordHash, PasswordPolicy};
use crate::domain::peer::{Peer, PeerRef, PeerStatus, Profile, TwoFactor, UserName};
use crate::domain::role::Requirements;
use crate::storage::passwords::StoredPassword;
use crate::storage::{self, StoreError, facts};

/// A new password of another peer.
#[derive(Debug)]
pub struct SetPassword {
    pub peer: PeerRef,
    pub password: Arc<Password>,
    pub etag: Option<i64>,
}

/// Whose password it is, for what may not stand in it.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub user_name: &'a UserName,
    pub profile: &'a Profile,
    pub home: &'a AccountId,
}

impl<'a> Owner<'a> {
    fn of(peer: &'a Peer) -> Self {
        Self { user_name: &peer.user_name, profile: &peer.profile, home: &peer.home }
    }

    /// The names that anyone who knows the owner would try.
    fn names(&self) -> Vec<String> {
        let profile = self.profile;
        let names = [
            self.user_name.as_str(),
            self.home.as_str(),
            &profile.first_name,
            &profile.last_name,
            &profile.display_name,
            &profile.company_name,
            &profile.email,
        ];
        names.into_iter().filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// Native credentials are of no use to who must sign in elsewhere.
    fn check_login(&self, subject: impl FnOnce() -> String) -> Result<()> {
        if self.profile.require_external_login {
            return Err(Error::precondition(Precondition::ExternalLoginRequired, subject()));
        }
        Ok(())
    }
}

/// A password that was found good, with what it was judged by.
#[derive(Debug)]
pub struct Prepared {
    hash: PasswordHash,
    policy: PasswordPolicy,
}

impl Prepared {
    /// Whether what the password was judged by is still so.
    fn check(&self, policy: PasswordPolicy) -> Result<()> {
        if self.policy == policy { Ok(()) } else { Err(Error::Store(StoreError::Conflict(None))) }
    }
}

/// The call with the password counted among what makes a repeat the same request. The password is bound
/// in as slowly as it is hashed: a plain hash of a request would be a way to guess at it.
///
/// # Errors
/// [`Error::Overloaded`] where too many passwords wait to be hashed.
pub async fn bind(ctx: &Ctx, call: &Call, password: &Arc<Password>) -> Result<Call> {
    let secret = Zeroizing::new(password.expose().as_bytes().to_vec());
    bind_as(ctx, call, secret, Patience::None).await
}

/// As [`bind`], for many passwords at once: who knows all but one of them must still guess that one as
/// slowly.
///
/// # Errors
/// [`Error::Internal`] where the work broke off.
pub async fn bind_all(ctx: &Ctx, call: &Call, passwords: &[&Arc<Password>]) -> Result<Call> {
    let mut all = Sha256::new();
    for password in passwords {
        all.update(password.expose().len().to_be_bytes());
        all.update(password.expose());
    }
    bind_as(ctx, call, Zeroizing::new(all.finalize().to_vec()), Patience::Turns).await
}

async fn bind_as(ctx: &Ctx, call: &Call, secret: Zeroizing<Vec<u8>>, patience: Patience) -> Result<Call> {
    let mut call = call.clone();
    if let Some(RequestId::Uuid(id)) = call.request_id {
        let own = Sha256::new().chain_update(call.caller.peer.as_uuid()).chain_update(call.method).chain_update(id);
        let salt = salt_of(&own.finalize());
        let print = patience.run(ctx, move || crypto::fingerprint(&secret, &salt)).await?;
        let print = Zeroizing::new(print.map_err(|error| Error::Internal(error.into()))?);
        call.body_hash = Sha256::new().chain_update(call.body_hash).chain_update(*print).finalize().into();
    }
    Ok(call)
}

/// What becomes of work that finds the queue of the hashing threads full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is refused: whoever waits at a screen had better try again.
    None,
    /// It waits for its turn: a batch has one password there at a time, so that it neither fills the
    /// queue nor fails because others did.
    Turns,
}

impl Patience {
    async fn run<T: Send + 'static>(self, ctx: &Ctx, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        Ok(match self {
            Self::None => ctx.pools.hashing.run(work).await?,
            Self::Turns => ctx.pools.hashing.run_in_turn(work).await?,
        })
    }
}

fn salt_of(bytes: &[u8]) -> [u8; SALT_LENGTH] {
    let mut salt = [0; SALT_LENGTH];
    for (to, from) in salt.iter_mut().zip(bytes) {
        *to = *from;
    }
    salt
}

/// What an earlier call with the same request id returned, before anything is judged or hashed.
///
/// # Errors
/// As [`Write::repeated`].
pub async fn repeated<T: serde::de::DeserializeOwned>(ctx: &Ctx, call: &Call) -> Result<Option<T>> {
    if call.request_id.is_none() {
        return Ok(None);
    }
    Write::begin(ctx, call).await?.repeated().await
}

/// Judges and hashes the password of a peer that is to be made at `home`.
///
/// # Errors
/// As [`View::admit_at`]; [`Error::AlreadyExists`] where there is such a peer already, before its
/// password takes anybody's time; [`Error::Invalid`] where the password is not good enough;
/// [`Error::Overloaded`].
pub async fn prepare_first(
    ctx: &Ctx,
    call: &Call,
    password: &Arc<Password>,
    owner: Owner<'_>,
    patience: Patience,
) -> Result<Prepared> {
    let policy = {
        let snapshot = ctx.snapshot();
        let permit = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?.admit_at("peers.create", owner.home)?;
        if snapshot.find_user_name(owner.user_name.hash()).is_some() {
            return Err(peers::already_exists(owner.user_name));
        }
        password_policy(&snapshot, permit.account())
    };
    owner.check_login(|| format!("peers/@{}", owner.user_name.as_str()))?;
    prepare(ctx, (password, patience), owner, policy, Vec::new()).await
}

/// Judges and hashes the passwords of peers that are to be made, one after the other.
pub async fn prepare_all(
    ctx: &Ctx,
    call: &Call,
    requests: Vec<Result<CreatePeer>>,
) -> Vec<Result<(CreatePeer, Option<Prepared>)>> {
    let mut prepared = Vec::with_capacity(requests.len());
    for request in requests {
        prepared.push(match request {
            Ok(request) => prepare_one(ctx, call, request).await,
            Err(error) => Err(error),
        });
    }
    prepared
}

async fn prepare_one(ctx: &Ctx, call: &Call, mut request: CreatePeer) -> Result<(CreatePeer, Option<Prepared>)> {
    let Some(password) = request.password.take() else { return Ok((request, None)) };
    let prepared = prepare_first(ctx, call, &password, request.owner(), Patience::Turns).await?;
    Ok((request, Some(prepared)))
}

/// Gives the password to a peer that this write makes. Whoever knows it can become the peer, so that
/// the caller must hold all that the peer does: roles that it may only hand on do not count. Nor does
/// anyone know it whom partner access keeps out, since the peer is homed inside and kept out of nothing.
///
/// # Errors
/// [`Error::Escalation`]; [`Error::Denied`] where partner access limits the caller.
pub fn give_first(write: &mut Write<'_>, permit: &Permit, peer: &Peer, prepared: Prepared) -> Result<()> {
    prepared.check(password_policy(write.before(), permit.account()))?;
    let after = write.after()?;
    if let Some(index) = after.find_peer(peer.id) {
        let excess = write.view()?.holdings(&after).may_become(index);
        excess.map_err(|excess| escalation(&after, excess))?;
    }
    let view = write.view()?;
    let path = view.snapshot.path(permit.account());
    let own = view.snapshot.peer(view.actor).map(|own| own.home());
    if own.is_some_and(|own| view.snapshot.partner_access(&path, own) != PartnerAccess::Allowed) {
        return Err(Error::Denied { permission: RESET, account: peer.home.clone(), unmet: Requirements::default() });
    }
    let create_time = write.now();
    write.rows().passwords.push(StoredPassword { peer: peer.id, hash: prepared.hash, create_time });
    Ok(())
}

async fn store(write: &Write<'_>, peer: PeerId, prepared: Prepared) -> Result<()> {
    // The present password is one of those that cannot come back.
    let keep = prepared.policy.history_size.unwrap_or_default().saturating_sub(1);
    let id = write.ctx().entropy.uuid(write.now())?;
    let new = StoredPassword { peer, hash: prepared.hash, create_time: write.now() };
    Ok(storage::passwords::set(write.connection(), &new, id, keep.into()).await?)
}

/// Judges a password and hashes it, on a thread for that.
async fn prepare(
    ctx: &Ctx,
    (password, patience): (&Arc<Password>, Patience),
    owner: Owner<'_>,
    policy: PasswordPolicy,
    former: Vec<PasswordHash>,
) -> Result<Prepared> {
    let salt = ctx.entropy.bytes()?;
    let has_second_factor = owner.profile.two_factor != TwoFactor::None;
    let measure = Measure { min: policy.length_min(has_second_factor), has_second_factor, own: owner.names() };
    let password = Arc::clone(password);
    let size = policy.history_size.unwrap_or_default();
    let work = move || {
        crypto::judge(&password, &measure)?;
        if former.iter().any(|hash| crypto::verify(&password, hash)) {
            return Err(PasswordFault::Reused { size });
        }
        Ok(crypto::hash(&password, &salt))
    };
    let refused = |fault| Error::invalid("password", Invalid::Password(fault));
    let hash = patience.run(ctx, work).await?.map_err(refused)?;
    Ok(Prepared { hash: hash.map_err(|error| Error::Internal(error.into()))?, policy })
}

/// Sets another peer's password, and ends its keys.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`]; [`Error::Forbidden`] where only the
/// operator may; [`Error::Invalid`] where the password is not good enough, or the peer is the caller;
/// [`Error::EtagMismatch`]; [`Error::Precondition`] where the peer is deleted or must sign in elsewhere;
/// [`Error::Overloaded`].
pub async fn set(ctx: &Ctx, call: &Call, request: SetPassword) -> Result<SeenPeer> {
    let call = &bind(ctx, call, &request.password).await?;
    if let Some(done) = repeated(ctx, call).await? {
        return Ok(done);
    }
    let (prepared, version) = prepare_next(ctx, call, &request).await?;
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (index, permit) = admit(&write.view()?, &request.peer)?;
    let before = row(write.connection(), write.before().peer_id(index), &request, write.now()).await?;
    prepared.check(password_policy(write.before(), permit.account()))?;
    if before.version != version {
        return Err(Error::Store(StoreError::Conflict(None)));
    }
    let mut after = before.clone();
    let revision = write.before().revision() + 1;
    let keys = storage::api_keys::revoke_all_of_peer(write.connection(), after.id, write.now(), revision);
    for key in keys.await? {
        write.change(&permit, Some(Fact::ApiKey(facts::api_key(&key))), None);
    }
    after.version += 1;
    after.update_time = write.now();
    after.update_revision = write.revision();
    storage::peers::update(write.connection(), &after).await?;
    store(&write, after.id, prepared).await?;
    let mut target = peers::target(&after);
    // What one signs in with says best whose password it was.
    target.display_name = Some(Personal::new(after.user_name.as_str()));
    write.act(permit.account(), RESET, target)?.changes = vec![was_set()];
    let seen = peers::seen_after(&write, after)?;
    write.commit(seen).await
}

/// The permission to set another peer's password, which is also what the audit log calls the act.
const RESET: &str = "peers.reset_password";

/// What an event says of a new password: that there is one.
pub(super) fn was_set() -> Change {
    Change { field: "password".to_owned(), before: None, after: Some(Text::public("SET")) }
}

/// The caller may set this peer's password: it holds all that the peer does, and takes no owner's.
fn admit(view: &View<'_>, peer: &PeerRef) -> Result<(PeerIndex, Permit)> {
    let (index, permit) = view.admit_peer(RESET, peer)?;
    if index == view.actor {
        let why = "one's own password is changed by proving the present one";
        return Err(Error::invalid("name", Invalid::NotAllowed { why }));
    }
    // Nobody but the operator holds what an owner does; this says so more plainly than the ceiling.
    if holds_unassignable(view.snapshot, index) && !view.is_operator() {
        let id = view.snapshot.peer_id(index).ok_or_else(|| Error::not_found("peer", peer_name(peer)))?;
        return Err(Error::Forbidden { rule: Forbidden::OwnerProtected, subject: format!("peers/{id}") });
    }
    let excess = view.holdings(view.snapshot).may_become(index);
    excess.map_err(|excess| escalation(view.snapshot, excess))?;
    Ok((index, permit))
}

/// The peer's row, if its state lets it have a password.
async fn row(
    conn: &impl storage::Connection,
    id: Option<PeerId>,
    request: &SetPassword,
    now: crate::domain::time::Timestamp,
) -> Result<Peer> {
    let missing = || Error::not_found("peer", peer_name(&request.peer));
    let peer = storage::peers::find(conn, id.ok_or_else(missing)?).await?;
    let peer = peer.filter(|peer| !peers::is_over(peer, now)).ok_or_else(missing)?;
    peers::check_etag(request.etag, &peer)?;
    let name = || format!("peers/{}", peer.id);
    if peer.status == PeerStatus::Deleted {
        return Err(Error::precondition(Precondition::PeerDeleted, name()));
    }
    Owner::of(&peer).check_login(name)?;
    Ok(peer)
}

/// Judges and hashes before the transaction; says which version of the peer it was judged by.
async fn prepare_next(ctx: &Ctx, call: &Call, request: &SetPassword) -> Result<(Prepared, i64)> {
    let (id, policy) = {
        let snapshot = ctx.snapshot();
        let (index, permit) = admit(&View::of_caller(&snapshot, &call.caller, ctx.clock.now())?, &request.peer)?;
        (snapshot.peer_id(index), password_policy(&snapshot, permit.account()))
    };
    let conn = ctx.store.reader();
    let peer = row(conn, id, request, ctx.clock.now()).await?;
    // A rehearsal leaves no trace, and so does not tell which passwords the peer had.
    let former = match policy.history_size.unwrap_or_default() {
        0 => Vec::new(),
        _ if call.validate_only => Vec::new(),
        size => {
            let present = storage::passwords::find(conn, peer.id).await?.map(|known| known.hash);
            let former = storage::passwords::former(conn, peer.id, u64::from(size) - 1).await?;
            present.into_iter().chain(former).collect()
        }
    };
    let prepared = prepare(ctx, (&request.password, Patience::None), Owner::of(&peer), policy, former).await?;
    Ok((prepared, peer.version))
}

/// Makes up a password that satisfies an account's policy: the caller's home, where none is named.
/// Nothing is stored.
///
/// # Errors
/// [`Error::NotFound`] where the caller may not view the account.
pub fn generate(ctx: &Ctx, call: &Call, account: Option<&AccountId>) -> Result<Zeroizing<String>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let account = match account {
        Some(id) => Some(view.admit_at("accounts.view", id)?.account()),
        None => snapshot.peer(view.actor).map(|peer| peer.home()),
    };
    let policy = account.map(|account| password_policy(&snapshot, account)).unwrap_or_default();
    crypto::generate(policy.length_min(false), || ctx.entropy.bytes())
}
