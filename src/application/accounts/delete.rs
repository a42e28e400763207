//! Deleting an account for good, judged on its parent. Its id is never used again, its log stays.

use super::teardown::Teardown;
use super::{admit_above, check_etag, name, record, row};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result};
use crate::application::write::Write;
use crate::domain::audit::{Change, Personal, Target, Text};
use crate::domain::ids::AccountId;
use crate::domain::peer::PeerStatus;

/// What happens to what an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// There must be none.
    Refuse,
    /// It goes too.
    Cascade,
}

/// A wish to delete an account.
#[derive(Debug, Clone)]
pub struct DeleteAccount {
    pub id: AccountId,
    pub contents: Contents,
    pub etag: Option<i64>,
}

/// Deletes an account; returns the revision of its removal.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagMismatch`]; [`Error::Precondition`] where it is
/// the root, or not empty and nothing says that its contents go too.
pub async fn delete(ctx: &Ctx, call: &Call, request: DeleteAccount) -> Result<i64> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let permit = admit_above(&write.view()?, "accounts.delete", &request.id)?;
    let top = super::find(&write.view()?, &request.id)?;
    check_etag(&row(&write, &request.id).await?, request.etag)?;
    let teardown = Teardown::plan(&write, top).await?;
    if request.contents == Contents::Refuse && !teardown.is_empty() {
        return Err(Error::precondition(Precondition::AccountNotEmpty, name(&request.id)));
    }
    // The events come first: they stand in the logs of accounts that are still there.
    audit(&mut write, &teardown, &request.id, permit.account())?;
    teardown.carry_out(&mut write, &permit).await?;
    let revision = write.revision();
    write.commit(revision).await
}

/// One event for each account, since each has its log, one for each peer, and one in the logs of other
/// accounts for what the peers held there.
fn audit(
    write: &mut Write<'_>,
    teardown: &Teardown,
    top: &AccountId,
    parent: crate::decision::AccountIndex,
) -> Result<()> {
    for account in &teardown.accounts {
        let above: &[_] = if account.id == *top { &[parent] } else { &[] };
        let draft = record(write, account, above, "accounts.delete")?;
        if account.id != *top {
            draft.changes = lost([], top);
        }
    }
    for peer in teardown.peers.iter().filter(|peer| peer.status != PeerStatus::Deleted) {
        let home = super::find(&write.view()?, &peer.home)?;
        let draft = write.act(home, "peers.delete", Target::new("peer", Text::public(format!("peers/{}", peer.id))))?;
        draft.target.display_name = Some(Personal::new(peer.user_name.as_str()));
    }
    // What the peers that go held elsewhere is missed there.
    for binding in teardown.bindings_elsewhere() {
        let account = super::find(&write.view()?, &binding.account)?;
        let target = Target::new("role_binding", Text::public(format!("roleBindings/{}", binding.id)));
        let held = [("role", format!("roles/{}", binding.role)), ("principal", binding.principal.to_string())];
        write.act(account, "role_bindings.delete", target)?.changes = lost(held, top);
    }
    for member in teardown.members_elsewhere() {
        let before = write.before();
        let group = before.find_group(member.group).and_then(|group| before.group(group));
        let Some(account) = group.map(|group| group.account) else { continue };
        let target = Target::new("group", Text::public(format!("groups/{}", member.group)));
        let held = [("member", format!("peers/{}", member.peer))];
        write.act(account, "groups.remove_member", target)?.changes = lost(held, top);
    }
    Ok(())
}

/// What was there before, and the account that it went with.
fn lost(fields: impl IntoIterator<Item = (&'static str, String)>, top: &AccountId) -> Vec<Change> {
    let before = fields.into_iter().map(|(field, value)| Change {
        field: field.to_owned(),
        before: Some(Text::public(value)),
        after: None,
    });
    let with = Change { field: "deleted_with".to_owned(), before: None, after: Some(Text::public(name(top))) };
    before.chain([with]).collect()
}
