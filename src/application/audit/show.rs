//! Events as readers see them: opened, and told in a sentence with the titles that the reader may know.

use std::collections::BTreeSet;

use crate::application::accounts::is_seen;
use crate::application::context::Ctx;
use crate::application::error::{Error, Result};
use crate::application::guard::View;
use crate::application::roles::is_visible;
use crate::domain::audit::sentence::{self, Titles};
use crate::domain::audit::{AuditEvent, SealedEvent, open};
use crate::domain::ids::{AccountId, RoleId};
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
    let roles: BTreeSet<&str> = events.flat_map(sentence::roles).collect();
    let roles = roles.into_iter().filter_map(|name| RoleId::parse(name.strip_prefix("roles/")?).ok());
    let is_known = |id: &RoleId| {
        let role = snapshot.find_role(id).and_then(|index| snapshot.role(index));
        role.is_some_and(|role| is_visible(view, &role.fact))
    };
    let roles: Vec<RoleId> = roles.filter(is_known).collect();
    let mut titles = Titles::default();
    for account in storage::accounts::find_many(ctx.store.reader(), &accounts).await? {
        titles.accounts.insert(account.id, account.title);
    }
    for role in storage::roles::find_many(ctx.store.reader(), &roles).await? {
        titles.roles.insert(format!("roles/{}", role.id), role.title);
    }
    Ok(titles)
}
