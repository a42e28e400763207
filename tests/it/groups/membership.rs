//! Members: who may be one, and how they are listed.

use peerage::transport::grpc::pb;
use tonic::{Code, Response, Status};

use super::{add, get, join, leave, make, member};
use crate::roles::{ADMINISTRATOR, Scene, events, fresh, is_missing, refused};
use crate::support::{Client, bad_fields};

async fn list(client: &Client, request: pb::ListGroupMembersRequest) -> Result<pb::ListGroupMembersResponse, Status> {
    client.roles().list_group_members(request).await.map(Response::into_inner)
}

#[tokio::test]
async fn members_are_homed_in_the_account_above_or_below_it() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    let sibling = scene.server.customer(&fresh("tenant"), &scene.msp).await;
    let group = make(&operator, &scene.tenant).await;
    let at = async |home: &str| scene.server.person(home, &fresh("peer"), ADMINISTRATOR).await.name;
    let (own, above, beside) = (at(&scene.tenant).await, at(&scene.msp).await, at(&sibling).await);
    join(&operator, &group, &own).await.unwrap();
    join(&operator, &group, &above).await.unwrap();
    refused(join(&operator, &group, &beside).await, Code::FailedPrecondition, "MEMBER_HOME_NOT_RELATED");
    let group = make(&operator, &scene.msp).await;
    join(&operator, &group, &beside).await.unwrap();
}

#[tokio::test]
async fn a_peer_is_a_member_once_and_leaves_once() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let group = make(admin, &scene.msp).await;
    let peer = scene.nobody().await;
    let end = scene.server.time(600);
    let wish = pb::GroupMember {
        mode: pb::BindingMode::Eligible.into(),
        start_time: Some(scene.server.time(60)),
        expire_time: Some(end),
        ..member(&peer.name)
    };
    let made = add(admin, &group, wish.clone()).await.unwrap();
    assert!(made.create_time.is_some() && made.update_revision > 0);
    let plain = pb::GroupMember { create_time: None, update_revision: 0, ..made.clone() };
    assert_eq!(plain, wish);
    let listed = list(admin, pb::ListGroupMembersRequest { group: group.clone(), ..Default::default() }).await.unwrap();
    assert_eq!(listed.members, [made]);
    refused(join(admin, &group, &peer.name).await, Code::AlreadyExists, "GROUP_MEMBER_EXISTS");
    leave(admin, &group, &peer.name).await.unwrap();
    is_missing(leave(admin, &group, &peer.name).await);
    is_missing(leave(admin, &group, "peers/@nobody-at-all").await);
    is_missing(join(admin, &group, "peers/@nobody-at-all").await);
    for action in ["groups.add_member", "groups.remove_member"] {
        let events = events(&scene.server, &scene.msp, action).await;
        let changed = events[0].changes.iter().any(|change| {
            change.field == "member"
                && [&change.before, &change.after].into_iter().flatten().any(|text| text.value == peer.name)
        });
        assert!(changed, "{action}");
    }
}

#[tokio::test]
async fn the_etag_of_a_group_changes_with_its_members() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = make(admin, &scene.msp).await;
    let before = get(admin, &name).await.unwrap();
    let (first, second) = (scene.nobody().await, scene.nobody().await);
    let wish = |peer: &str, etag: &str| pb::AddGroupMemberRequest {
        group: name.clone(),
        member: Some(member(peer)),
        etag: etag.to_owned(),
        ..Default::default()
    };
    let mut roles = admin.roles();
    let request =
        pb::AddGroupMemberRequest { request_id: crate::support::request_id(), ..wish(&first.name, &before.etag) };
    let rehearsal = pb::AddGroupMemberRequest { validate_only: true, request_id: String::new(), ..request.clone() };
    roles.add_group_member(rehearsal).await.unwrap();
    let made = roles.add_group_member(request.clone()).await.unwrap().into_inner();
    assert_eq!(roles.add_group_member(request).await.unwrap().into_inner(), made);
    let after = get(admin, &name).await.unwrap();
    assert_ne!(before.etag, after.etag);
    assert_eq!((after.member_count, after.update_revision), (1, made.update_revision));
    refused(roles.add_group_member(wish(&second.name, &before.etag)).await, Code::Aborted, "ETAG_MISMATCH");
    let remove = pb::RemoveGroupMemberRequest {
        group: name.clone(),
        peer: first.name.clone(),
        etag: before.etag,
        ..Default::default()
    };
    refused(roles.remove_group_member(remove.clone()).await, Code::Aborted, "ETAG_MISMATCH");
    let remove = pb::RemoveGroupMemberRequest { etag: after.etag, request_id: crate::support::request_id(), ..remove };
    let removed = roles.remove_group_member(remove.clone()).await.unwrap().into_inner();
    assert_eq!(roles.remove_group_member(remove).await.unwrap().into_inner(), removed);
}

#[tokio::test]
async fn members_are_listed_whole_page_by_page() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = make(admin, &scene.msp).await;
    let mut wanted = Vec::new();
    for _ in 0..5 {
        let peer = scene.nobody().await.name;
        join(admin, &name, &peer).await.unwrap();
        wanted.push(peer);
    }
    wanted.sort();
    let (mut found, mut request) =
        (Vec::new(), pb::ListGroupMembersRequest { group: name, page_size: 2, ..Default::default() });
    loop {
        let page = list(admin, request.clone()).await.unwrap();
        found.extend(page.members.into_iter().map(|member| member.peer));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
        let other = pb::ListGroupMembersRequest { group: make(admin, &scene.msp).await, ..request.clone() };
        refused(list(admin, other).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    }
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn wrong_memberships_are_refused_whole() {
    let scene = Scene::new().await;
    let wrong = pb::AddGroupMemberRequest {
        group: "night shift".to_owned(),
        member: Some(pb::GroupMember {
            peer: "emily".to_owned(),
            mode: 9,
            expire_time: Some(scene.server.time(-1)),
            ..Default::default()
        }),
        etag: "e".repeat(65),
        request_id: String::new(),
        validate_only: false,
    };
    let status = scene.admin.client.roles().add_group_member(wrong).await.unwrap_err();
    let mut fields = bad_fields(&status);
    fields.sort();
    assert_eq!(fields, ["etag", "group", "member.expire_time", "member.mode", "member.peer"]);
}
