//! Memberships of groups: a member gains every binding of its group, in the window and the mode of
//! its membership.

use super::{VIEW, admit, missing, name, own};
use crate::application::bindings::{check_not_deleted, visible_peer};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result, Taken};
use crate::application::guard::{View, peer_name};
use crate::application::page::Page;
use crate::application::write::Write;
use crate::decision::AccountIndex;
use crate::domain::audit::{Change, Target, Text};
use crate::domain::binding::{Mode, Principal};
use crate::domain::fact::Fact;
use crate::domain::group::{Group, Member};
use crate::domain::ids::{GroupId, PeerId};
use crate::domain::peer::PeerRef;
use crate::domain::time::Window;
use crate::storage::{self, facts};

/// A wish for a membership.
#[derive(Debug, Clone)]
pub struct AddMember {
    pub group: GroupId,
    pub peer: PeerRef,
    pub mode: Mode,
    pub window: Window,
    /// That of the group.
    pub etag: Option<i64>,
}

/// Makes a peer a member.
///
/// # Errors
/// [`Error::NotFound`] where group or peer is missing or hidden; [`Error::Denied`],
/// [`Error::Escalation`], [`Error::EtagMismatch`]; [`Error::AlreadyExists`] where the peer is one
/// already, [`Error::Precondition`] where a rule forbids it.
pub async fn add(ctx: &Ctx, call: &Call, request: AddMember) -> Result<Member> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (group, permit) = own(&write, request.group, "groups.update_members", request.etag).await?;
    let (_, peer) = visible_peer(&write.view()?, &request.peer, permit.account())?;
    check_not_deleted(&write, Principal::Peer(peer))?;
    let taken = || Error::AlreadyExists { what: Taken::GroupMember, name: format!("peers/{peer}") };
    if storage::groups::members::find(write.connection(), group.id, peer).await?.is_some() {
        return Err(taken());
    }
    let create_time = write.now();
    let AddMember { mode, window, .. } = request;
    let mut member = Member { group: group.id, peer, mode, window, create_time, update_revision: 0 };
    write.change(&permit, None, Some(Fact::Member(facts::member(&member))));
    member.update_revision = write.revision();
    touch(&write, group).await?;
    if let Err(error) = storage::groups::members::insert(write.connection(), &member).await {
        return Err(if error.constraint().is_some() { taken() } else { Error::Store(error) });
    }
    act(&mut write, permit.account(), "groups.add_member", &member, Side::After)?;
    write.commit(member).await
}

/// A wish to end a membership.
#[derive(Debug, Clone)]
pub struct RemoveMember {
    pub group: GroupId,
    pub peer: PeerRef,
    /// That of the group.
    pub etag: Option<i64>,
}

/// Ends a membership. Returns the revision of the removal.
///
/// # Errors
/// [`Error::NotFound`] where the group is missing or hidden, or the peer is no member;
/// [`Error::Denied`], [`Error::Escalation`], [`Error::EtagMismatch`]; [`Error::Precondition`] where a
/// rule forbids it.
pub async fn remove(ctx: &Ctx, call: &Call, request: RemoveMember) -> Result<i64> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (group, permit) = own(&write, request.group, "groups.update_members", request.etag).await?;
    let absent = || Error::not_found("group member", peer_name(&request.peer));
    let view = write.view()?;
    let index = view.find_peer(&request.peer).ok_or_else(absent)?;
    // A user name leads to its peer only for who may view that peer; the list of members has uids.
    let record = view.snapshot.peer(index).ok_or_else(absent)?;
    let is_named = matches!(&request.peer, PeerRef::UserName(_));
    if is_named && index != view.actor && !view.may("peers.view", record.home()) {
        return Err(absent());
    }
    let found = storage::groups::members::find(write.connection(), group.id, record.id()).await?;
    let member = found.ok_or_else(absent)?;
    write.change(&permit, Some(Fact::Member(facts::member(&member))), None);
    touch(&write, group).await?;
    storage::groups::members::delete(write.connection(), member.group, member.peer).await?;
    act(&mut write, permit.account(), "groups.remove_member", &member, Side::Before)?;
    let revision = write.revision();
    write.commit(revision).await
}

/// A group's members are part of it: its etag changes with them.
async fn touch(write: &Write<'_>, group: Group) -> Result<()> {
    let version = group.version + 1;
    let group = Group { update_time: write.now(), version, update_revision: write.revision(), ..group };
    Ok(storage::groups::update(write.connection(), &group).await?)
}

/// Which members are listed.
#[derive(Debug, Clone)]
pub struct ListMembers {
    pub group: GroupId,
    pub after: Option<PeerId>,
    pub limit: u64,
}

/// Lists members by peer.
///
/// # Errors
/// [`Error::NotFound`] where the group is missing or hidden.
pub async fn list(ctx: &Ctx, call: &Call, request: &ListMembers) -> Result<Page<Member, PeerId>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    admit(&view, VIEW, request.group)?;
    if storage::groups::find(ctx.store.reader(), request.group).await?.is_none() {
        return Err(missing(request.group));
    }
    let (reader, limit) = (ctx.store.reader(), request.limit);
    let members = storage::groups::members::list(reader, request.group, request.after, limit + 1).await?;
    Ok(Page::cut(members, limit, |member| member.peer))
}

/// On which side of a change the membership stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

fn act(write: &mut Write<'_>, account: AccountIndex, action: &str, member: &Member, side: Side) -> Result<()> {
    let draft = write.act(account, action, Target::new("group", Text::public(name(member.group))))?;
    let time = |time: Option<crate::domain::time::Timestamp>| time.map(|time| time.to_rfc3339());
    let fields = [
        ("member", Some(format!("peers/{}", member.peer))),
        ("mode", Some(member.mode.as_str().to_owned())),
        ("start_time", time(member.window.start())),
        ("expire_time", time(member.window.expire())),
    ];
    let changes = fields.into_iter().filter_map(|(field, value)| {
        let value = Some(Text::public(value?));
        let (before, after) = if side == Side::After { (None, value) } else { (value, None) };
        Some(Change { field: field.to_owned(), before, after })
    });
    draft.changes = changes.collect();
    Ok(())
}
