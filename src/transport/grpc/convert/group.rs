//! Groups and their members on the wire.

use super::role::words;
use super::{Fields, account_name, binding, filter, group_name, mask, order, peer_name, time};
use crate::application::groups::members::{AddMember, RemoveMember};
use crate::application::groups::{CreateGroup, ListGroups, ListedGroup, Order, SortKey, UpdateGroup};
use crate::domain::group::{DESCRIPTION_MAX, Member, TITLE_MAX};
use crate::domain::invalid::Invalid;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::transport::grpc::pb;

/// What can be changed about a group.
const PATHS: &[&str] = &["title", "description"];

/// What groups are sorted by.
const ORDERS: &[(&str, SortKey)] =
    &[("title", SortKey::Title), ("create_time", SortKey::CreateTime), ("update_time", SortKey::UpdateTime)];

/// Reads a wish for a group. Output-only fields are ignored.
pub fn create(fields: &mut Fields, request: &pb::CreateGroupRequest) -> Option<CreateGroup> {
    let Some(group) = &request.group else {
        fields.refuse("group", Invalid::Missing);
        return None;
    };
    let account = fields.required("group.account", &group.account, account_name);
    let title = fields.required("group.title", &group.title, title);
    let description = fields.take("group.description", description(&group.description));
    Some(CreateGroup { account: account?, title: title?, description: description? })
}

/// Reads a wish to change a group.
pub fn update(fields: &mut Fields, request: &pb::UpdateGroupRequest) -> Option<UpdateGroup> {
    let Some(group) = &request.group else {
        fields.refuse("group", Invalid::Missing);
        return None;
    };
    let id = fields.required("group.name", &group.name, group_name);
    let etag = fields.take("group.etag", super::etag(&group.etag));
    let account = fields.optional("group.account", &group.account, account_name);
    let mask = mask::update(fields, request.update_mask.as_ref(), PATHS, |path| match path {
        "title" => !group.title.is_empty(),
        "description" => !group.description.is_empty(),
        _ => false,
    });
    let new_title = if mask.has("title") { Some(fields.required("group.title", &group.title, title)) } else { None };
    let new_description =
        mask.has("description").then(|| fields.take("group.description", description(&group.description)));
    Some(UpdateGroup {
        id: id?,
        etag: etag?,
        account: account?,
        title: new_title.flatten(),
        description: new_description.flatten(),
    })
}

fn title(title: &str) -> Result<String, Invalid> {
    text::line(title, TITLE_MAX)
}

fn description(description: &str) -> Result<String, Invalid> {
    text::paragraph(description, DESCRIPTION_MAX)
}

/// Reads which groups are to be listed, but for where a page starts.
pub fn list(fields: &mut Fields, request: &pb::ListGroupsRequest, limit: u64) -> Option<ListGroups> {
    let account = fields.required("account", &request.account, account_name);
    let order = fields.take("order_by", order::read(&request.order_by, ORDERS));
    let filter = filter::filter(fields, &request.filter, &["account", "title"])?;
    let only_account = filter.read(fields, "account", account_name);
    let title = filter.read(fields, "title", title);
    let (key, descending) = order?.unwrap_or((SortKey::Id, false));
    Some(ListGroups {
        account: account?,
        include_descendants: request.include_descendants,
        only_account: only_account?,
        title: title?,
        order: Order { key, descending },
        after: None,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}

/// Reads a wish for a membership.
pub fn add_member(fields: &mut Fields, request: &pb::AddGroupMemberRequest, now: Timestamp) -> Option<AddMember> {
    let group = fields.required("group", &request.group, group_name);
    let etag = fields.take("etag", super::etag(&request.etag));
    let Some(member) = &request.member else {
        fields.refuse("member", Invalid::Missing);
        return None;
    };
    let peer = fields.required("member.peer", &member.peer, peer_name);
    let mode = fields.take("member.mode", words::mode(member.mode));
    let window = binding::window(fields, "member", (member.start_time.as_ref(), member.expire_time.as_ref()), now);
    Some(AddMember { group: group?, peer: peer?, mode: mode?, window: window?, etag: etag? })
}

/// Reads a wish to end a membership.
pub fn remove_member(fields: &mut Fields, request: &pb::RemoveGroupMemberRequest) -> Option<RemoveMember> {
    let group = fields.required("group", &request.group, group_name);
    let peer = fields.required("peer", &request.peer, peer_name);
    let etag = fields.take("etag", super::etag(&request.etag));
    Some(RemoveMember { group: group?, peer: peer?, etag: etag? })
}

/// Writes a group.
#[must_use]
pub fn to_pb(listed: &ListedGroup) -> pb::Group {
    let group = &listed.group;
    pb::Group {
        name: format!("groups/{}", group.id),
        uid: group.id.to_string(),
        account: format!("accounts/{}", group.account),
        title: group.title.clone(),
        description: group.description.clone(),
        member_count: i64::try_from(listed.member_count).unwrap_or(i64::MAX),
        create_time: Some(time(group.create_time)),
        update_time: Some(time(group.update_time)),
        etag: super::etag_to_pb(group.version),
        update_revision: group.update_revision,
    }
}

/// Writes a membership.
#[must_use]
pub fn member_to_pb(member: &Member) -> pb::GroupMember {
    pb::GroupMember {
        peer: format!("peers/{}", member.peer),
        mode: words::mode_to_pb(member.mode).into(),
        start_time: member.window.start().map(time),
        expire_time: member.window.expire().map(time),
        create_time: Some(time(member.create_time)),
        update_revision: member.update_revision,
    }
}
