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

/// One event for each account, since each has its log, and one for each peer.
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
            let after = Some(Text::public(name(top)));
            draft.changes = vec![Change { field: "deleted_with".to_owned(), before: None, after }];
        }
    }
    for peer in teardown.peers.iter().filter(|peer| peer.status != PeerStatus::Deleted) {
        let home = super::find(&write.view()?, &peer.home)?;
        let draft = write.act(home, "peers.delete", Target::new("peer", Text::public(format!("peers/{}", peer.id))))?;
        draft.target.display_name = Some(Personal::new(peer.user_name.as_str()));
    }
    Ok(())
}
