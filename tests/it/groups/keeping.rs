//! Making, reading, renaming and deleting groups.

use peerage::transport::grpc::pb;
use tonic::{Code, Response, Status};

use super::{create, delete, get, group, join, make, update};
use crate::bindings::{bind, of_group, unbind};
use crate::roles::{Scene, allow, events, fresh, is_missing, refused};
use crate::support::{Client, bad_fields};

async fn list(client: &Client, request: pb::ListGroupsRequest) -> Result<pb::ListGroupsResponse, Status> {
    client.roles().list_groups(request).await.map(Response::into_inner)
}

fn at(account: &str) -> pb::ListGroupsRequest {
    pb::ListGroupsRequest { account: account.to_owned(), include_descendants: true, ..Default::default() }
}

#[tokio::test]
async fn a_group_comes_back_as_it_was_made() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let wish = pb::Group { description: "At night.".to_owned(), ..group(&scene.msp) };
    let made = create(admin, wish.clone()).await.unwrap();
    assert_eq!(made.name, format!("groups/{}", made.uid));
    assert_eq!((&made.account, &made.title, &made.description), (&wish.account, &wish.title, &wish.description));
    assert!(made.update_revision > 0 && made.member_count == 0);
    assert_eq!(get(admin, &made.name).await.unwrap(), made);

    let renamed = pb::Group { name: made.name.clone(), title: fresh("Group"), ..Default::default() };
    let changed = update(admin, renamed.clone(), &[]).await.unwrap();
    assert_eq!((&changed.title, &changed.description), (&renamed.title, &made.description));
    let stale = pb::Group { etag: made.etag, ..renamed.clone() };
    refused(update(admin, stale, &[]).await, Code::Aborted, "ETAG_MISMATCH");
    let cleared = update(admin, renamed.clone(), &["description"]).await.unwrap();
    assert!(cleared.description.is_empty());
    for path in ["account", "member_count", "name"] {
        refused(update(admin, renamed.clone(), &[path]).await, Code::InvalidArgument, "FIELD_MASK_INVALID");
    }
    let moved = pb::Group { account: scene.tenant.clone(), ..renamed };
    assert_eq!(bad_fields(&update(admin, moved, &["title"]).await.unwrap_err()), ["group.account"]);

    delete(admin, &made.name).await.unwrap();
    is_missing(get(admin, &made.name).await);
    for action in ["groups.create", "groups.update", "groups.delete"] {
        assert!(!events(&scene.server, &scene.msp, action).await.is_empty(), "{action}");
    }
}

#[tokio::test]
async fn titles_of_groups_are_one_whatever_their_case_and_unicode_form() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let titled = |account: &str, title: &str| pb::Group { title: title.to_owned(), ..group(account) };
    create(admin, titled(&scene.msp, "Müller")).await.unwrap();
    for title in ["MÜLLER", "mu\u{308}ller"] {
        refused(create(admin, titled(&scene.msp, title)).await, Code::AlreadyExists, "GROUP_TITLE_TAKEN");
    }
    create(admin, titled(&scene.tenant, "Müller")).await.unwrap();
    let other = create(admin, group(&scene.msp)).await.unwrap();
    let taken = pb::Group { name: other.name, title: "müller".to_owned(), ..Default::default() };
    refused(update(admin, taken, &[]).await, Code::AlreadyExists, "GROUP_TITLE_TAKEN");
    let wrong = pb::Group {
        account: "contoso".to_owned(),
        title: "a\u{202E}b".to_owned(),
        description: "a".repeat(1025),
        ..Default::default()
    };
    let status = create(admin, wrong).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["group.account", "group.title", "group.description"]);
}

#[tokio::test]
async fn a_group_goes_with_its_members_and_not_while_it_is_bound() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = make(admin, &scene.msp).await;
    let role = scene.role(&[allow("ftp.view")]).await;
    let member = scene.nobody().await;
    join(admin, &name, &member.name).await.unwrap();
    assert_eq!(get(admin, &name).await.unwrap().member_count, 1);
    let bound = bind(admin, of_group(&name, &role, &scene.tenant)).await.unwrap();
    assert!(scene.server.may(&member.name, "ftp.view", &scene.tenant).await);
    refused(delete(admin, &name).await, Code::FailedPrecondition, "GROUP_IN_USE");
    unbind(admin, &bound.name).await.unwrap();
    delete(admin, &name).await.unwrap();
    is_missing(get(admin, &name).await);
    is_missing(join(admin, &name, &member.name).await);
}

#[tokio::test]
async fn groups_of_others_are_not_there() {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let stranger = &other.admin.client;
    let name = make(&scene.admin.client, &scene.msp).await;
    is_missing(get(stranger, &name).await);
    is_missing(delete(stranger, &name).await);
    is_missing(
        update(stranger, pb::Group { name: name.clone(), title: "x".to_owned(), ..Default::default() }, &[]).await,
    );
    is_missing(join(stranger, &name, "peers/me").await);
    is_missing(super::leave(stranger, &name, "peers/me").await);
    is_missing(create(stranger, group(&scene.msp)).await);
    is_missing(list(stranger, at(&scene.msp)).await);
    let members = pb::ListGroupMembersRequest { group: name.clone(), ..Default::default() };
    is_missing(stranger.roles().list_group_members(members).await);
    // Who may look and not touch is told so.
    let reader = scene.server.person(&scene.msp, &fresh("reader"), "roles/mspcontrol.read_only").await.client;
    get(&reader, &name).await.unwrap();
    refused(delete(&reader, &name).await, Code::PermissionDenied, "PERMISSION_DENIED");
}

#[tokio::test]
async fn groups_are_listed_whole_page_by_page() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let mut made = Vec::new();
    for account in [&scene.msp, &scene.tenant, &scene.msp, &scene.tenant, &scene.msp] {
        made.push(create(admin, group(account)).await.unwrap());
    }
    // Lists go by id, and ids of one millisecond have no order.
    let names = |groups: &[&pb::Group]| {
        let mut names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
        names.sort();
        names
    };
    let all = async |client: &Client, request: pb::ListGroupsRequest| {
        let (mut found, mut request) = (Vec::new(), request);
        loop {
            let page = list(client, request.clone()).await.unwrap();
            found.extend(page.groups.into_iter().map(|group| group.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return found;
            }
        }
    };
    let everything = names(&made.iter().collect::<Vec<_>>());
    for page_size in [0, 1, 2, 5] {
        assert_eq!(all(admin, pb::ListGroupsRequest { page_size, ..at(&scene.msp) }).await, everything, "{page_size}");
    }
    let own = pb::ListGroupsRequest { include_descendants: false, ..at(&scene.msp) };
    assert_eq!(all(admin, own).await, names(&[&made[0], &made[2], &made[4]]));
    let filtered = |filter: String| pb::ListGroupsRequest { filter, page_size: 1, ..at(&scene.msp) };
    let by_title = filtered(format!("title = \"{}\"", made[3].title.to_uppercase()));
    assert_eq!(all(admin, by_title).await, names(&[&made[3]]));
    let by_account = filtered(format!("account = {}", scene.tenant));
    assert_eq!(all(admin, by_account).await, names(&[&made[1], &made[3]]));
    // The administrator of the tenant sees the tenant's.
    let local = scene.server.person(&scene.tenant, &fresh("local"), crate::roles::ADMINISTRATOR).await;
    assert_eq!(all(&local.client, at(&scene.tenant)).await, names(&[&made[1], &made[3]]));
    let wrong = pb::ListGroupsRequest { filter: "members = 1".to_owned(), ..at(&scene.msp) };
    refused(list(admin, wrong).await, Code::InvalidArgument, "FILTER_INVALID");
    let wrong = pb::ListGroupsRequest { order_by: "description".to_owned(), ..at(&scene.msp) };
    refused(list(admin, wrong).await, Code::InvalidArgument, "ORDER_BY_INVALID");

    // By title whatever its case, by times with ties by id, from either end, in pages of any size.
    let sorted = |key: &dyn Fn(&pb::Group) -> (String, String)| {
        let mut groups: Vec<&pb::Group> = made.iter().collect();
        groups.sort_by_key(|group| key(group));
        groups.into_iter().map(|group| group.name.clone()).collect::<Vec<_>>()
    };
    let time = |time: Option<prost_types::Timestamp>| time.map(|time| time.to_string()).unwrap();
    let by_title = sorted(&|group| (group.title.to_lowercase(), group.name.clone()));
    let by_create_time = sorted(&|group| (time(group.create_time), group.name.clone()));
    let by_update_time = sorted(&|group| (time(group.update_time), group.name.clone()));
    for (order_by, names) in [("title", by_title), ("create_time", by_create_time), ("update_time", by_update_time)] {
        for page_size in [0, 1, 2] {
            let ascending = pb::ListGroupsRequest { order_by: order_by.to_owned(), page_size, ..at(&scene.msp) };
            let descending = pb::ListGroupsRequest { order_by: format!("{order_by} desc"), ..ascending.clone() };
            assert_eq!(all(admin, ascending).await, names, "{order_by} {page_size}");
            assert!(all(admin, descending).await.iter().eq(names.iter().rev()), "{order_by} {page_size}");
        }
    }
}

#[tokio::test]
async fn repeats_and_rehearsals_make_no_second_group() {
    let scene = Scene::new().await;
    let mut roles = scene.admin.client.roles();
    let request = pb::CreateGroupRequest { group: Some(group(&scene.msp)), validate_only: true, ..Default::default() };
    let rehearsed = roles.create_group(request.clone()).await.unwrap().into_inner();
    is_missing(get(&scene.admin.client, &rehearsed.name).await);
    let request = pb::CreateGroupRequest { validate_only: false, request_id: crate::support::request_id(), ..request };
    let made = roles.create_group(request.clone()).await.unwrap().into_inner();
    assert_eq!(roles.create_group(request).await.unwrap().into_inner(), made);
    let delete =
        pb::DeleteGroupRequest { name: made.name, request_id: crate::support::request_id(), ..Default::default() };
    let first = roles.delete_group(delete.clone()).await.unwrap().into_inner();
    assert_eq!(roles.delete_group(delete).await.unwrap().into_inner(), first);
}
