//! Changes of a peer: its profile, its user name, its end, and its link to another peer of the same
//! human.
//!
//! Who redirects a peer's mail or weakens its second factor can become that peer, so such a change
//! needs all that the peer holds, and so does the organizational user, which says whose peer it is.
//! Until a peer has had a key or a password or signed in, whoever may invite it may correct its address.

use super::create::{check_password_expiry, check_user_name_free, taken};
use super::profile::ProfileField;
use super::{SeenPeer, changes, check_etag, find_person, seen_after, target};
use crate::application::ceiling::escalation;
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Forbidden, Precondition, Result};
use crate::application::guard::{View, peer_name};
use crate::application::write::Write;
use crate::decision::PeerIndex;
use crate::domain::contact::check_region;
use crate::domain::fact::Fact;
use crate::domain::ids::AccountId;
use crate::domain::invalid::Invalid;
use crate::domain::peer::{Peer, PeerKind, PeerRef, PeerStatus, Profile, UserName};
use crate::domain::time::Timestamp;
use crate::storage::{self, facts};

/// What is to change. A field that is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    pub user_name: Option<UserName>,
    /// The new values of `fields`; the rest of it says nothing.
    pub profile: Profile,
    pub fields: Vec<ProfileField>,
    pub expire_time: Option<Option<Timestamp>>,
    pub person: Option<Option<PeerRef>>,
    /// What the caller takes the peer for. These never change, so they must be right.
    pub kind: Option<PeerKind>,
    pub home: Option<AccountId>,
}

/// A change of one peer.
#[derive(Debug, Clone)]
pub struct UpdatePeer {
    pub peer: PeerRef,
    pub etag: Option<i64>,
    pub patch: Patch,
}

/// Changes a peer.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`]; [`Error::EtagMismatch`];
/// [`Error::AlreadyExists`] where the user name is taken; [`Error::Precondition`] where the peer is
/// deleted or a rule forbids the change; [`Error::Invalid`] where it would change what never does.
pub async fn update(ctx: &Ctx, call: &Call, request: UpdatePeer) -> Result<SeenPeer> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (index, permit) = write.view()?.admit_peer("peers.update", &request.peer)?;
    let missing = || Error::not_found("peer", peer_name(&request.peer));
    let id = write.before().peer_id(index).ok_or_else(missing)?;
    let before = storage::peers::find(write.connection(), id).await?;
    let before = before.filter(|peer| !super::is_over(peer, write.now())).ok_or_else(missing)?;
    check_etag(request.etag, &before)?;
    if before.status == PeerStatus::Deleted {
        return Err(Error::precondition(Precondition::PeerDeleted, format!("peers/{id}")));
    }
    let mut after = patched(&write.view()?, &before, &request.patch)?;
    let (country, region) = (&after.profile.country, &after.profile.region);
    check_region(country, region).map_err(|why| Error::invalid("peer.address.region", why))?;
    if after == before {
        let seen = seen_after(&write, after)?;
        return write.commit(seen).await;
    }
    check_password_expiry(after.kind, &after.profile, &before.user_name)?;
    if after.user_name.key() != before.user_name.key() {
        check_user_name_free(&write, &after.user_name)?;
        storage::peers::free_user_names(write.connection(), &[&after.user_name]).await?;
    }
    // An end that comes sooner does what disabling does.
    if ends(&after) < ends(&before) {
        write.view()?.admit_peer("peers.disable", &request.peer)?;
    }
    check_takeover(&write, index, (&before, &after)).await?;
    write.change(&permit, Some(Fact::Peer(facts::peer(&before))), Some(Fact::Peer(facts::peer(&after))));
    after.version += 1;
    after.update_time = write.now();
    after.update_revision = write.revision();
    storage::peers::update(write.connection(), &after).await.map_err(|error| taken(error, &after.user_name))?;
    let draft = write.act(permit.account(), "peers.update", target(&after))?;
    draft.changes = changes(Some(&before), &after);
    let seen = seen_after(&write, after)?;
    write.commit(seen).await
}

fn ends(peer: &Peer) -> Timestamp {
    peer.expire_time.unwrap_or(Timestamp::MAX)
}

/// The peer as the patch would leave it.
fn patched(view: &View<'_>, before: &Peer, patch: &Patch) -> Result<Peer> {
    let fixed = Invalid::NotAllowed { why: "it never changes" };
    if patch.kind.is_some_and(|kind| kind != before.kind) {
        return Err(Error::invalid("peer.kind", fixed));
    }
    if patch.home.as_ref().is_some_and(|home| *home != before.home) {
        return Err(Error::invalid("peer.home_account", fixed));
    }
    let mut after = before.clone();
    if let Some(user_name) = &patch.user_name {
        after.user_name.clone_from(user_name);
    }
    for field in &patch.fields {
        field.copy(&patch.profile, &mut after.profile);
    }
    if let Some(expire_time) = patch.expire_time {
        after.expire_time = expire_time;
    }
    match &patch.person {
        None => {}
        Some(None) => after.person = None,
        Some(Some(person)) => after.person = Some(find_person(view, person)?),
    }
    if after.person == Some(before.id) {
        return Err(Error::invalid(
            "peer.person",
            Invalid::NotAllowed { why: "a peer is not another peer of its own" },
        ));
    }
    Ok(after)
}

/// Refuses what would let the caller become a peer that holds more.
async fn check_takeover(write: &Write<'_>, index: PeerIndex, (before, after): (&Peer, &Peer)) -> Result<()> {
    let view = write.view()?;
    let (old, new) = (&before.profile, &after.profile);
    // Whose peers are one human's is said by this as well as by `person`.
    let is_human = old.org_user != new.org_user;
    if is_human && !old.org_user.is_empty() && own_org_user(write, view.actor).await? == old.org_user {
        return Err(Error::Forbidden { rule: Forbidden::OwnPersonLink, subject: format!("peers/{}", before.id) });
    }
    if index == view.actor {
        return Ok(());
    }
    let is_mail = old.email != new.email || old.secondary_email != new.secondary_email;
    let is_factor = old.two_factor != new.two_factor || old.require_external_login != new.require_external_login;
    // Services ask about peers by user name: one that is freed, or given, carries its rights along.
    let is_name = before.user_name.key() != after.user_name.key();
    if !is_mail && !is_factor && !is_name && !is_human {
        return Ok(());
    }
    let holdings = view.holdings(view.snapshot);
    let excess = match holdings.may_become(index) {
        Ok(()) => return Ok(()),
        Err(excess) => excess,
    };
    // The address to which an invitation goes, of a peer that the caller could have made as it is.
    let is_address_alone = !is_factor && !is_name && !is_human && old.secondary_email == new.secondary_email;
    let home = view.snapshot.peer(index).map(|peer| peer.home());
    let may_invite = home.is_some_and(|home| view.may("peers.invite", home)) && holdings.may_invite(index).is_ok();
    if is_address_alone && may_invite && is_unused(write, before).await? {
        return Ok(());
    }
    Err(escalation(write.before(), excess))
}

/// The organizational user that the caller is; nobody takes away what tells it of their own peers.
async fn own_org_user(write: &Write<'_>, actor: PeerIndex) -> Result<String> {
    let Some(id) = write.before().peer_id(actor) else { return Ok(String::new()) };
    Ok(storage::peers::find(write.connection(), id).await?.map(|own| own.profile.org_user).unwrap_or_default())
}

/// Whether nobody could ever act as a peer: it had neither key nor password and never signed in.
async fn is_unused(write: &Write<'_>, peer: &Peer) -> Result<bool> {
    let keys = storage::api_keys::list_of_peer(write.connection(), peer.id, None, 1).await?;
    let password = storage::passwords::find(write.connection(), peer.id).await?;
    Ok(keys.is_empty() && password.is_none() && peer.last_login_time.is_none())
}
