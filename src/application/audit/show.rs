//! Events as readers see them: opened, and told in a sentence with the titles that the reader may know.

use std::collections::BTreeSet;

use crate::application::accounts::is_seen;
use crate::application::context::Ctx;
use crate::application::error::{Error, Result};
use crate::application::guard::View;
use crate::application::roles::is_visible;
use crate::domain::audit::sentence::{self, Titles};
use crate::domain::audit::{AuditEvent, SealedEvent, open};
use crate::domain::ids::{AccountId, GroupId, PeerId, RoleId};
use crate::storage;

/// An event with the bytes that its hash is made of, and in one sentence.
#[derive(Debug, Clone)]
pub struct ListedEvent {
    pub sealed: SealedEvent,
    pub event: AuditEvent,
    pub summary: String,
}

/// Opens a sealed event.
///
/// # Errors
/// [`Error::Internal`] where it is not one.
pub(super) fn opened(sealed: &SealedEvent) -> Result<AuditEvent> {
    open(&sealed.bytes, &sealed.personal).map_err(|error| Error::Internal(anyhow::Error::new(error)))
}

/// Events as a reader sees them.
///
/// # Errors
/// [`Error::Store`] where titles cannot be read.
pub(super) async fn shown(
    ctx: &Ctx,
    view: &View<'_>,
    events: Vec<(SealedEvent, AuditEvent)>,
) -> Result<Vec<ListedEvent>> {
    let titles = titles(ctx, view, events.iter().map(|(_, event)| event)).await?;
    let show = |(sealed, event): (SealedEvent, AuditEvent)| {
        let summary = sentence::sentence(&event, &titles);
        ListedEvent { sealed, event, summary }
    };
    Ok(events.into_iter().map(show).collect())
}

async fn titles<'e>(
    ctx: &Ctx,
    view: &View<'_>,
    events: impl Iterator<Item = &'e AuditEvent> + Clone,
) -> Result<Titles> {
    let snapshot = view.snapshot;
    let accounts: BTreeSet<&AccountId> = events.clone().map(sentence::account).collect();
    let is_known = |id: &&&AccountId| snapshot.find_account(id.as_str()).is_some_and(|account| is_seen(view, account));
    let accounts: Vec<AccountId> = accounts.iter().filter(is_known).map(|id| (*id).clone()).collect();
    let mut mentioned = Mentioned::default();
    let names: BTreeSet<&str> = events.flat_map(sentence::mentioned).collect();
    for name in names {
        mentioned.add(view, name);
    }
    let mut titles = Titles::default();
    for account in storage::accounts::find_many(ctx.store.reader(), &accounts).await? {
        titles.accounts.insert(account.id, account.title);
    }
    for role in storage::roles::find_many(ctx.store.reader(), &mentioned.roles).await? {
        titles.names.insert(format!("roles/{}", role.id), role.title);
    }
    for peer in storage::peers::find_many(ctx.store.reader(), &mentioned.peers).await? {
        let shown = Some(peer.profile.display_name).filter(|name| !name.is_empty());
        titles.names.insert(format!("peers/{}", peer.id), shown.unwrap_or_else(|| peer.user_name.as_str().to_owned()));
    }
    for group in storage::groups::find_many(ctx.store.reader(), &mentioned.groups).await? {
        titles.names.insert(format!("groups/{}", group.id), group.title);
    }
    Ok(titles)
}

/// What events mention by name and the reader may know by its title.
#[derive(Default)]
struct Mentioned {
    roles: Vec<RoleId>,
    peers: Vec<PeerId>,
    groups: Vec<GroupId>,
}

impl Mentioned {
    fn add(&mut self, view: &View<'_>, name: &str) {
        let snapshot = view.snapshot;
        match name.split_once('/') {
            Some(("roles", id)) => {
                let Ok(id) = RoleId::parse(id) else { return };
                let role = snapshot.find_role(&id).and_then(|index| snapshot.role(index));
                self.roles.extend(role.filter(|role| is_visible(view, &role.fact)).map(|_| id));
            }
            Some(("peers", id)) => {
                let Ok(id) = PeerId::parse(id) else { return };
                let peer = snapshot.find_peer(id).and_then(|index| snapshot.peer(index));
                self.peers.extend(peer.filter(|peer| view.may("peers.view", peer.home())).map(|_| id));
            }
            Some(("groups", id)) => {
                let Ok(id) = GroupId::parse(id) else { return };
                let group = snapshot.find_group(id).and_then(|index| snapshot.group(index));
                self.groups.extend(group.filter(|group| view.may("groups.view", group.account)).map(|_| id));
            }
            Some(_) | None => {}
        }
    }
}
