//! Privilege groups over the wire: titles, members, deletion, and what nobody gains or lifts by them.

mod ceiling;
mod keeping;
mod membership;

use peerage::transport::grpc::pb;
use tonic::{Response, Status};

use crate::roles::{fresh, mask};
use crate::support::Client;

pub(crate) async fn create(client: &Client, group: pb::Group) -> Result<pb::Group, Status> {
    let request = pb::CreateGroupRequest { group: Some(group), ..Default::default() };
    client.roles().create_group(request).await.map(Response::into_inner)
}

fn group(account: &str) -> pb::Group {
    pb::Group { account: account.to_owned(), title: fresh("Group"), ..Default::default() }
}

/// A new group; returns its name.
pub(crate) async fn make(client: &Client, account: &str) -> String {
    create(client, group(account)).await.unwrap().name
}

async fn get(client: &Client, name: &str) -> Result<pb::Group, Status> {
    let request = pb::GetGroupRequest { name: name.to_owned(), read_mask: None };
    client.roles().get_group(request).await.map(Response::into_inner)
}

async fn update(client: &Client, group: pb::Group, paths: &[&str]) -> Result<pb::Group, Status> {
    let request = pb::UpdateGroupRequest { group: Some(group), update_mask: mask(paths), ..Default::default() };
    client.roles().update_group(request).await.map(Response::into_inner)
}

async fn delete(client: &Client, name: &str) -> Result<i64, Status> {
    let request = pb::DeleteGroupRequest { name: name.to_owned(), ..Default::default() };
    client.roles().delete_group(request).await.map(|response| response.into_inner().update_revision)
}

/// A standing membership.
pub(crate) fn member(peer: &str) -> pb::GroupMember {
    pb::GroupMember { peer: peer.to_owned(), ..Default::default() }
}

pub(crate) async fn add(client: &Client, group: &str, member: pb::GroupMember) -> Result<pb::GroupMember, Status> {
    let request = pb::AddGroupMemberRequest { group: group.to_owned(), member: Some(member), ..Default::default() };
    client.roles().add_group_member(request).await.map(Response::into_inner)
}

pub(crate) async fn join(client: &Client, group: &str, peer: &str) -> Result<pb::GroupMember, Status> {
    add(client, group, member(peer)).await
}

pub(crate) async fn leave(client: &Client, group: &str, peer: &str) -> Result<i64, Status> {
    let request = pb::RemoveGroupMemberRequest { group: group.to_owned(), peer: peer.to_owned(), ..Default::default() };
    client.roles().remove_group_member(request).await.map(|response| response.into_inner().update_revision)
}
