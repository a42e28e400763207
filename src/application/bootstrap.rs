//! The first operator, made once: a person homed at the platform who holds `core.operator`.

use super::context::Ctx;
use super::error::{Error, Result};
use super::packs;
use super::write::Write;
use crate::crypto::api_key::ApiKeyText;
use crate::domain::api_key::ApiKey;
use crate::domain::audit::{Personal, Target, Text};
use crate::domain::binding::{Binding, Mode, Principal, Reach};
use crate::domain::fact::Fact;
use crate::domain::ids::{AccountId, ApiKeyId, BindingId, PeerId, RoleId};
use crate::domain::peer::{Peer, PeerKind, PeerStatus, Profile, UserName};
use crate::domain::time::Window;
use crate::storage;

/// How the operator's key comes to be.
#[derive(Debug)]
pub enum OperatorKey {
    /// Made here and returned once.
    New,
    /// Made elsewhere; only its SHA-256 is known here.
    Hash([u8; 32]),
}

/// The operator that was made.
#[derive(Debug)]
pub struct Operator {
    pub peer: PeerId,
    pub key: Option<ApiKeyText>,
}

/// Makes the operator.
///
/// # Errors
/// [`Error::Bootstrapped`] where there has been one.
pub async fn bootstrap(ctx: &Ctx, user_name: UserName, key: OperatorKey) -> Result<Operator> {
    let mut write = Write::begin_system(ctx, "bootstrap").await?;
    if storage::bootstrap::operator(write.connection()).await?.is_some() {
        return Err(Error::Bootstrapped);
    }
    let now = write.now();
    let id = PeerId::from(ctx.entropy.uuid(now)?);
    let platform = AccountId::platform();
    let root = write.before().find_account(platform.as_str());
    let root = root.ok_or_else(|| Error::not_found("account", format!("accounts/{platform}")))?;
    let role = RoleId::parse(packs::OPERATOR).map_err(|why| Error::invalid("role", why))?;

    let mut peer = Peer {
        id,
        user_name,
        kind: PeerKind::Person,
        home: platform.clone(),
        status: PeerStatus::Enabled,
        profile: Profile { display_name: "Platform operator".to_owned(), ..Profile::default() },
        expire_time: None,
        person: None,
        default_role: Some(role.clone()),
        create_time: now,
        update_time: now,
        delete_time: None,
        last_login_time: None,
        last_active_time: None,
        photo: None,
        version: 1,
        update_revision: 0,
    };
    let mut binding = Binding {
        id: BindingId::from(ctx.entropy.uuid(now)?),
        principal: Principal::Peer(id),
        role,
        account: platform,
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::ALWAYS,
        justification: "bootstrap".to_owned(),
        creator: None,
        create_time: now,
        update_time: now,
        version: 1,
        update_revision: 0,
    };
    let (key_id, text, hash) = match key {
        OperatorKey::New => {
            let key_id = ApiKeyId::from(ctx.entropy.uuid(now)?);
            let text = ApiKeyText::new(key_id, &ctx.entropy.bytes()?);
            let hash = text.hash();
            (key_id, Some(text), hash)
        }
        OperatorKey::Hash(hash) => (ApiKeyId::from(ctx.entropy.uuid(now)?), None, hash),
    };
    let mut api_key = ApiKey {
        id: key_id,
        peer: id,
        title: "bootstrap".to_owned(),
        hash,
        creator: None,
        create_time: now,
        expire_time: None,
        revoke_time: None,
        last_used_time: None,
        update_revision: 0,
    };
    for fact in [
        Fact::Peer(storage::facts::peer(&peer)),
        Fact::Binding(storage::facts::binding(&binding)),
        Fact::ApiKey(storage::facts::api_key(&api_key)),
    ] {
        write.change_as_system(None, Some(fact))?;
    }
    let revision = write.revision();
    (peer.update_revision, binding.update_revision, api_key.update_revision) = (revision, revision, revision);
    storage::bootstrap::claim(write.connection(), id, now).await?;
    storage::peers::insert(write.connection(), &peer).await?;
    storage::bindings::insert(write.connection(), &binding).await?;
    storage::api_keys::insert(write.connection(), &api_key).await?;
    let draft = write.act(root, "peers.create", Target::new("peer", Text::public(format!("peers/{id}"))))?;
    draft.target.display_name = Some(Personal::new(peer.user_name.as_str()));
    write.commit(()).await?;
    Ok(Operator { peer: id, key: text })
}
