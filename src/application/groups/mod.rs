//! Privilege groups of accounts. Who is in them: [`members`].

pub mod members;

use super::context::{Call, Ctx};
use super::error::{Error, Precondition, Result, Taken};
use super::guard::{Permit, View};
use super::page::{Page, Wanted, merged, paged};
use super::write::Write;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::audit::{Change, Personal, Target, Text};
use crate::domain::fact::Fact;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::invalid::Invalid;
use crate::domain::text;
use crate::storage::{self, Constraint, StoreError, facts};

pub use crate::storage::groups::SortKey;
pub use crate::storage::keyset::{Order, Place};

/// The permission to see groups.
pub(super) const VIEW: &str = "groups.view";
/// How many accounts are named in one query.
const ACCOUNTS_MAX: usize = 1000;

/// A group, with how many members it has.
#[derive(Debug, Clone)]
pub struct ListedGroup {
    pub group: Group,
    pub member_count: usize,
}

impl ListedGroup {
    fn of(snapshot: &Snapshot, group: Group) -> Self {
        let member_count = snapshot.find_group(group.id).map_or(0, |index| snapshot.members(index).count());
        Self { group, member_count }
    }
}

/// What a new group is to be.
#[derive(Debug, Clone)]
pub struct CreateGroup {
    pub account: AccountId,
    pub title: String,
    pub description: String,
}

/// Makes a group without members.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`]; [`Error::AlreadyExists`] where the title is taken.
pub async fn create(ctx: &Ctx, call: &Call, request: CreateGroup) -> Result<ListedGroup> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(ListedGroup::of(&ctx.snapshot(), done));
    }
    let permit = write.view()?.admit_at("groups.create", &request.account)?;
    if storage::groups::title_taken(write.connection(), &request.account, &request.title).await? {
        return Err(title_taken(&request.title));
    }
    let mut group = Group {
        id: GroupId::from(ctx.entropy.uuid(write.now())?),
        account: request.account,
        title: request.title,
        description: request.description,
        create_time: write.now(),
        update_time: write.now(),
        version: 1,
        update_revision: 0,
    };
    act(&mut write, permit.account(), "groups.create", None, &group)?;
    write.change(&permit, None, Some(Fact::Group(facts::group(&group))));
    group.update_revision = write.revision();
    storage::groups::insert(write.connection(), &group).await.map_err(|error| explain(error, &group))?;
    let group = write.commit(group).await?;
    Ok(ListedGroup::of(&ctx.snapshot(), group))
}

/// Gets a group.
///
/// # Errors
/// [`Error::NotFound`] where it is missing or hidden.
pub async fn get(ctx: &Ctx, call: &Call, id: GroupId) -> Result<ListedGroup> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    admit(&view, VIEW, id)?;
    let group = storage::groups::find(ctx.store.reader(), id).await?.ok_or_else(|| missing(id))?;
    Ok(ListedGroup::of(&snapshot, group))
}

/// Which groups are listed.
#[derive(Debug, Clone)]
pub struct ListGroups {
    pub account: AccountId,
    pub include_descendants: bool,
    /// Only those of this very account, if the caller may view them.
    pub only_account: Option<AccountId>,
    /// Only those of this title, compared folded.
    pub title: Option<String>,
    pub order: Order<SortKey>,
    pub after: Option<Place<GroupId>>,
    pub limit: usize,
}

/// Lists groups.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Denied`].
pub async fn list(ctx: &Ctx, call: &Call, request: &ListGroups) -> Result<Page<ListedGroup, Place<GroupId>>> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    let account = view.admit_at(VIEW, &request.account)?.account();
    let below = if request.include_descendants { snapshot.subtree(account) } else { vec![account] };
    let accounts: Vec<AccountId> = below
        .into_iter()
        .filter(|one| view.may(VIEW, *one))
        .filter_map(|one| snapshot.account_id(one).cloned())
        .filter(|id| request.only_account.as_ref().is_none_or(|only| only == id))
        .collect();
    let title = request.title.as_deref().map(text::fold);
    let (order, conn) = (request.order, ctx.store.reader());
    let place = |group: &Group| order.key.place(group);
    let compare = |left: &Group, right: &Group| place(left).compare(&place(right), order.descending);
    let read = async |after: Option<Place<GroupId>>, limit| {
        let rows = async |accounts| Ok(storage::groups::list(conn, accounts, order, after.as_ref(), limit).await?);
        merged(accounts.chunks(ACCOUNTS_MAX), limit, compare, rows).await
    };
    let see = |group: Group| {
        let is_wanted = title.as_ref().is_none_or(|title| *title == text::fold(&group.title));
        is_wanted.then(|| ListedGroup::of(&snapshot, group))
    };
    paged(Wanted { after: request.after.clone(), limit: request.limit }, read, place, see).await
}

/// A wish to change a group; `None` stays as it is.
#[derive(Debug, Clone)]
pub struct UpdateGroup {
    pub id: GroupId,
    pub etag: Option<i64>,
    /// The account that the caller believes in; it never changes.
    pub account: Option<AccountId>,
    pub title: Option<String>,
    pub description: Option<String>,
}

/// Changes a group's title or description.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagMismatch`]; [`Error::AlreadyExists`] where the
/// title is taken.
pub async fn update(ctx: &Ctx, call: &Call, request: UpdateGroup) -> Result<ListedGroup> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(ListedGroup::of(&ctx.snapshot(), done));
    }
    let (before, permit) = own(&write, request.id, "groups.update", request.etag).await?;
    if request.account.is_some_and(|account| account != before.account) {
        return Err(Error::invalid("group.account", Invalid::NotAllowed { why: "it never changes" }));
    }
    let group = Group {
        title: request.title.unwrap_or_else(|| before.title.clone()),
        description: request.description.unwrap_or_else(|| before.description.clone()),
        update_time: write.now(),
        version: before.version + 1,
        update_revision: write.revision(),
        ..before.clone()
    };
    if text::fold(&group.title) != text::fold(&before.title)
        && storage::groups::title_taken(write.connection(), &group.account, &group.title).await?
    {
        return Err(title_taken(&group.title));
    }
    storage::groups::update(write.connection(), &group).await.map_err(|error| explain(error, &group))?;
    act(&mut write, permit.account(), "groups.update", Some(&before), &group)?;
    let group = write.commit(group).await?;
    Ok(ListedGroup::of(&ctx.snapshot(), group))
}

/// Deletes a group that holds no binding, with its memberships. Returns the revision of the removal.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::EtagMismatch`]; [`Error::Precondition`] where
/// bindings name it.
pub async fn delete(ctx: &Ctx, call: &Call, id: GroupId, etag: Option<i64>) -> Result<i64> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let (group, permit) = own(&write, id, "groups.delete", etag).await?;
    let record = write.before().find_group(id).and_then(|index| write.before().group(index));
    if record.is_some_and(|record| !record.bindings().is_empty()) {
        return Err(Error::precondition(Precondition::GroupInUse, name(id)));
    }
    act(&mut write, permit.account(), "groups.delete", None, &group)?.clear();
    for member in storage::groups::members::list(write.connection(), id, None, u64::MAX >> 1).await? {
        write.change(&permit, Some(Fact::Member(facts::member(&member))), None);
        storage::groups::members::delete(write.connection(), id, member.peer).await?;
    }
    write.change(&permit, Some(Fact::Group(facts::group(&group))), None);
    storage::groups::delete(write.connection(), id).await?;
    let revision = write.revision();
    write.commit(revision).await
}

fn name(id: GroupId) -> String {
    format!("groups/{id}")
}

fn missing(id: GroupId) -> Error {
    Error::not_found("group", name(id))
}

/// The caller may do this to a group, judged at its account.
fn admit(view: &View<'_>, permission: &'static str, id: GroupId) -> Result<Permit> {
    let group = view.snapshot.find_group(id).and_then(|index| view.snapshot.group(index));
    let account = group.ok_or_else(|| missing(id))?.account;
    view.admit(VIEW, permission, account, ("group", &name(id)))
}

/// A group that the caller may change so, as it was read.
async fn own(write: &Write<'_>, id: GroupId, permission: &'static str, etag: Option<i64>) -> Result<(Group, Permit)> {
    let permit = admit(&write.view()?, permission, id)?;
    let group = storage::groups::find(write.connection(), id).await?.ok_or_else(|| missing(id))?;
    if etag.is_some_and(|etag| etag != group.version) {
        return Err(Error::EtagMismatch { name: name(id) });
    }
    Ok((group, permit))
}

fn title_taken(title: &str) -> Error {
    Error::AlreadyExists { what: Taken::GroupTitle, name: title.to_owned() }
}

fn explain(error: StoreError, group: &Group) -> Error {
    if error.constraint() == Some(Constraint::GroupTitle) { title_taken(&group.title) } else { Error::Store(error) }
}

/// Records an act on a group with what changed of it, which the caller may amend.
fn act<'a>(
    write: &'a mut Write<'_>,
    account: AccountIndex,
    action: &str,
    before: Option<&Group>,
    after: &Group,
) -> Result<&'a mut Vec<Change>> {
    let draft = write.act(account, action, Target::new("group", Text::public(name(after.id))))?;
    draft.target.display_name = Some(Personal::new(after.title.clone()));
    let text = |text: &String| Some(Text::public(text.clone()));
    let field = |field: &str, of: fn(&Group) -> &String| Change {
        field: field.to_owned(),
        before: before.and_then(|group| text(of(group))),
        after: text(of(after)),
    };
    let fields = [field("title", |group| &group.title), field("description", |group| &group.description)];
    draft.changes = fields.into_iter().filter(|change| change.before != change.after).collect();
    Ok(&mut draft.changes)
}
