//! The end of deleted peers: 30 days after its deletion a peer goes for good, and its user name is
//! free again.
//!
//! What it did stays in the audit log. Its keys died with the deletion and are no facts any more. Only
//! a worker calls this, no caller.

use super::target;
use crate::application::context::Ctx;
use crate::application::error::Result;
use crate::application::write::Write;
use crate::domain::binding::Principal;
use crate::domain::fact::Fact;
use crate::domain::ids::PeerId;
use crate::domain::peer::PURGE_AFTER_MICROS;
use crate::domain::time::Timestamp;
use crate::storage::{self, bindings, facts};

/// How many peers go in one write, so that others need not wait long for theirs.
const BATCH: u64 = 50;
/// More rows than any peer has.
const ALL: u64 = u64::MAX >> 1;

/// Purges some of the peers whose time is over, and says how many; nothing is left when none were.
///
/// # Errors
/// [`crate::application::Error::Store`] where the database could not.
pub async fn purge_expired(ctx: &Ctx) -> Result<usize> {
    // Looking first without the lock, since there is hardly ever anything to do.
    if storage::peers::deleted_until(ctx.store.reader(), until(ctx.clock.now()), 1).await?.is_empty() {
        return Ok(0);
    }
    let mut write = Write::begin_system(ctx, "purge").await?;
    // An owner who was deleted is purged like anyone; the role went to another, or to nobody.
    write.change_ownership();
    let ids = storage::peers::deleted_until(write.connection(), until(write.now()), BATCH).await?;
    for id in &ids {
        purge(&mut write, *id).await?;
    }
    write.commit(ids.len()).await
}

fn until(now: Timestamp) -> Timestamp {
    now.plus_micros(-PURGE_AFTER_MICROS)
}

/// What hangs on a peer goes before it does. The peers of a deleted account ceased to be facts with
/// it, so only their rows are left.
async fn purge(write: &mut Write<'_>, id: PeerId) -> Result<()> {
    let peer = storage::peers::get(write.connection(), id).await?;
    let home = write.before().find_peer(id).and_then(|index| write.before().peer(index)).map(|known| known.home());
    let filter = bindings::Filter { principal: Some(Principal::Peer(id)), ..bindings::Filter::default() };
    let held = bindings::all(write.connection(), &filter).await?;
    let groups = storage::groups::members::list_of_peer(write.connection(), id, None, ALL).await?;
    if let Some(home) = home {
        write.act(home, "peers.purge", target(&peer))?;
        let bindings = held.iter().map(|binding| Fact::Binding(facts::binding(binding)));
        let members = groups.iter().map(|member| Fact::Member(facts::member(member)));
        for fact in bindings.chain(members).chain([Fact::Peer(facts::peer(&peer))]) {
            write.change_as_system(Some(fact), None)?;
        }
    }
    let held: Vec<_> = held.iter().map(|binding| binding.id).collect();
    bindings::delete_many(write.connection(), &held).await?;
    for member in groups {
        storage::groups::members::delete(write.connection(), member.group, id).await?;
    }
    storage::peers::purge(write.connection(), id).await?;
    Ok(())
}
