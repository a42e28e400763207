//! API keys: made for oneself or for peers one may become, listed and revoked.

use super::context::{Call, Ctx};
use super::error::{Error, Forbidden, Precondition, Result};
use super::guard::{View, peer_name};
use super::page::Page;
use super::write::Write;
use crate::crypto::api_key::ApiKeyText;
use crate::decision::AccountIndex;
use crate::decision::administrators::holds_unassignable;
use crate::domain::api_key::{ApiKey, KEYS_PER_PEER_MAX};
use crate::domain::audit::{Change, Personal, Target, Text};
use crate::domain::fact::Fact;
use crate::domain::ids::ApiKeyId;
use crate::domain::peer::{PeerRef, PeerStatus};
use crate::domain::time::Timestamp;
use crate::storage::{self, facts};

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct CreateApiKey {
    pub peer: PeerRef,
    pub title: String,
    pub expire_time: Option<Timestamp>,
}

/// A new key, with its text the first time: a repeat of the request has none, since no secret is kept.
#[derive(Debug)]
pub struct CreatedApiKey {
    pub api_key: ApiKey,
    pub text: Option<ApiKeyText>,
}

/// Makes a key. For another peer the caller must hold all that the peer holds.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`]; [`Error::Precondition`] where the
/// peer is deleted, [`Error::LimitReached`] where it has too many keys.
pub async fn create(ctx: &Ctx, call: &Call, request: CreateApiKey) -> Result<CreatedApiKey> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(api_key) = write.repeated::<ApiKey>().await? {
        return Ok(CreatedApiKey { api_key, text: None });
    }
    let (peer, permit) = write.view()?.admit_peer("api_keys.create", &request.peer)?;
    let view = write.before().peer(peer).ok_or_else(|| Error::not_found("peer", peer_name(&request.peer)))?;
    let (id, home, status) = (view.id(), view.home(), view.status());
    if status == PeerStatus::Deleted {
        return Err(Error::precondition(Precondition::PeerDeleted, format!("peers/{id}")));
    }
    let known = storage::api_keys::list_of_peer(write.connection(), id, None, u64::MAX >> 1).await?;
    let live = |key: &&ApiKey| key.revoke_time.is_none() && key.expire_time.is_none_or(|end| end > write.now());
    if known.iter().filter(live).count() >= KEYS_PER_PEER_MAX {
        return Err(Error::LimitReached { of: "live API keys of a peer", most: KEYS_PER_PEER_MAX });
    }
    let key_id = ApiKeyId::from(ctx.entropy.uuid(write.now())?);
    let text = ApiKeyText::new(key_id, &ctx.entropy.bytes()?);
    let mut api_key = ApiKey {
        id: key_id,
        peer: id,
        title: request.title,
        hash: text.hash(),
        creator: write.actor(),
        create_time: write.now(),
        expire_time: request.expire_time,
        revoke_time: None,
        last_used_time: None,
        update_revision: 0,
    };
    write.change(&permit, None, Some(Fact::ApiKey(facts::api_key(&api_key))));
    api_key.update_revision = write.revision();
    storage::api_keys::insert(write.connection(), &api_key).await?;
    act(&mut write, home, "api_keys.create", &api_key)?;
    let api_key = write.commit(api_key).await?;
    Ok(CreatedApiKey { api_key, text: Some(text) })
}

/// Which keys are listed.
#[derive(Debug, Clone)]
pub struct ListApiKeys {
    pub peer: PeerRef,
    pub after: Option<ApiKeyId>,
    pub limit: u64,
}

/// Lists the keys of a peer by id, revoked ones included.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`].
pub async fn list(ctx: &Ctx, call: &Call, request: &ListApiKeys) -> Result<Page<ApiKey, ApiKeyId>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let (peer, _) = view.admit_peer("api_keys.view", &request.peer)?;
    let id = snapshot.peer_id(peer).ok_or_else(|| Error::not_found("peer", peer_name(&request.peer)))?;
    let keys = storage::api_keys::list_of_peer(ctx.store.reader(), id, request.after, request.limit + 1).await?;
    Ok(Page::cut(keys, request.limit, |key| key.id))
}

/// Revokes a key; the next call with it is refused.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`]; [`Error::Precondition`] where it is revoked already.
pub async fn revoke(ctx: &Ctx, call: &Call, id: ApiKeyId) -> Result<ApiKey> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let missing = || Error::not_found("API key", format!("apiKeys/{id}"));
    let mut api_key = storage::api_keys::find(write.connection(), id).await?.ok_or_else(missing)?;
    let peer = write.before().find_peer(api_key.peer).and_then(|peer| write.before().peer(peer));
    let home = peer.ok_or_else(missing)?.home();
    let name = format!("apiKeys/{id}");
    let permit = write.view()?.admit("api_keys.view", "api_keys.revoke", home, ("API key", &name))?;
    let owner = write.before().find_peer(api_key.peer).filter(|peer| holds_unassignable(write.before(), *peer));
    let view = write.view()?;
    if owner.is_some_and(|owner| owner != view.actor) && !view.is_operator() {
        let subject = format!("peers/{}", api_key.peer);
        return Err(Error::Forbidden { rule: Forbidden::OwnerProtected, subject });
    }
    if api_key.revoke_time.is_some() {
        return Err(Error::precondition(Precondition::ApiKeyRevoked, name));
    }
    // One that has expired is no fact any more, and dropping it again does no harm.
    write.change(&permit, Some(Fact::ApiKey(facts::api_key(&api_key))), None);
    api_key.revoke_time = Some(write.now());
    api_key.update_revision = write.revision();
    storage::api_keys::revoke(write.connection(), id, write.now(), api_key.update_revision).await?;
    act(&mut write, home, "api_keys.revoke", &api_key)?;
    write.commit(api_key).await
}

/// Records an act on a key, with whose it is and how long it lasts.
fn act(write: &mut Write<'_>, home: AccountIndex, action: &str, key: &ApiKey) -> Result<()> {
    let draft = write.act(home, action, Target::new("api_key", Text::public(format!("apiKeys/{}", key.id))))?;
    draft.target.display_name = (!key.title.is_empty()).then(|| Personal::new(key.title.clone()));
    let told = |field: &str, after: Option<String>| {
        Some(Change { field: field.to_owned(), before: None, after: Some(Text::public(after?)) })
    };
    let peer = told("peer", Some(format!("peers/{}", key.peer)));
    let expire_time = told("expire_time", key.expire_time.map(Timestamp::to_rfc3339));
    let revoke_time = told("revoke_time", key.revoke_time.map(Timestamp::to_rfc3339));
    draft.changes = [peer, expire_time, revoke_time].into_iter().flatten().collect();
    Ok(())
}
