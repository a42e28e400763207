//! Who may know of a role: nobody learns of another provider's.

use peerage::transport::grpc::pb;
use tonic::{Code, Response, Status};

use super::{ADMINISTRATOR, Scene, allow, copy, create, delete, fresh, get, is_missing, mask, refused, role, update};
use crate::bindings::{bind, binding};
use crate::support::{Client, Server};

async fn list(client: &Client, request: pb::ListRolesRequest) -> Result<pb::ListRolesResponse, Status> {
    client.roles().list_roles(request).await.map(Response::into_inner)
}

fn at(account: &str) -> pb::ListRolesRequest {
    pb::ListRolesRequest { account: account.to_owned(), page_size: 1000, ..Default::default() }
}

async fn names(client: &Client, request: pb::ListRolesRequest) -> Vec<String> {
    list(client, request).await.unwrap().roles.into_iter().map(|role| role.name).collect()
}

#[tokio::test]
async fn custom_roles_of_other_providers_are_not_there() {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let name = scene.role(&[allow("ftp.view")]).await;
    let stranger = &other.admin.client;
    is_missing(get(stranger, &name).await);
    is_missing(
        update(stranger, pb::Role { name: name.clone(), title: "x".to_owned(), ..Default::default() }, &[]).await,
    );
    is_missing(delete(stranger, &name).await);
    is_missing(copy(stranger, &name, &other.msp).await);
    is_missing(bind(stranger, binding("peers/me", &name, &other.tenant)).await);
    let matrix = pb::GetPermissionMatrixRequest {
        roles: vec![name.clone()],
        permissions: vec!["ftp.view".to_owned()],
        ..Default::default()
    };
    is_missing(stranger.roles().get_permission_matrix(matrix).await);
    is_missing(list(stranger, at(&scene.msp)).await);
    is_missing(create(stranger, role(&scene.msp, &[allow("ftp.view")])).await);
    assert!(!names(stranger, at(&other.msp)).await.contains(&name));
    // The same answer as for one that never was.
    let missing = get(stranger, "roles/0193a7b2-0000-7000-8000-000000000000").await.unwrap_err();
    assert_eq!(missing.code(), get(stranger, &name).await.unwrap_err().code());
}

#[tokio::test]
async fn what_is_lent_downward_is_seen_and_used_there_and_not_changed() {
    let scene = Scene::new().await;
    let local = scene.server.person(&scene.tenant, &fresh("local"), ADMINISTRATOR).await;
    let lent = scene.role(&[allow("ftp.view")]).await;
    let kept = pb::Role { inheritable: false, ..role(&scene.msp, &[allow("ftp.view")]) };
    let kept = create(&scene.admin.client, kept).await.unwrap().name;

    assert_eq!(get(&local.client, &lent).await.unwrap().name, lent);
    is_missing(get(&local.client, &kept).await);
    let seen = names(&local.client, at(&scene.tenant)).await;
    assert!(seen.contains(&lent) && !seen.contains(&kept) && seen.contains(&ADMINISTRATOR.to_owned()));
    // Roles of packs that are off here cannot be used here.
    assert!(!seen.iter().any(|name| name.starts_with("roles/opspilot365.")));

    let wish = pb::Role { name: lent.clone(), title: "Mine".to_owned(), ..Default::default() };
    refused(update(&local.client, wish, &[]).await, Code::PermissionDenied, "PERMISSION_DENIED");
    refused(delete(&local.client, &lent).await, Code::PermissionDenied, "PERMISSION_DENIED");
    let colleague = scene.server.person(&scene.tenant, &fresh("colleague"), "roles/mspcontrol.web_developer").await;
    bind(&local.client, binding(&colleague.name, &lent, &scene.tenant)).await.unwrap();
    // Its owner uses it everywhere; others do not use what was not lent.
    let result = bind(&scene.admin.client, binding(&colleague.name, &kept, &scene.tenant)).await;
    refused(result, Code::FailedPrecondition, "ROLE_NOT_USABLE");
    is_missing(bind(&local.client, binding(&colleague.name, &kept, &scene.tenant)).await);
}

#[tokio::test]
async fn holders_are_counted_where_the_caller_may_look() {
    let scene = Scene::new().await;
    let local = scene.server.person(&scene.tenant, &fresh("local"), ADMINISTRATOR).await;
    let name = scene.role(&[allow("ftp.view")]).await;
    let elsewhere = scene.server.customer(&fresh("tenant"), &scene.msp).await;
    for account in [&scene.tenant, &elsewhere] {
        bind(&scene.admin.client, binding(&scene.nobody().await.name, &name, account)).await.unwrap();
    }
    assert_eq!(get(&scene.admin.client, &name).await.unwrap().holder_count, 2);
    assert_eq!(get(&local.client, &name).await.unwrap().holder_count, 1);
}

#[tokio::test]
async fn roles_are_listed_whole_page_by_page() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(scene.role(&[allow("ftp.view")]).await);
    }
    let owned = format!("owner_account = \"{}\"", scene.msp);
    let mut request = pb::ListRolesRequest { page_size: 3, filter: owned.clone(), ..at(&scene.msp) };
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = list(admin, request.clone()).await.unwrap();
        assert!(page.roles.len() <= 3);
        seen.extend(page.roles.into_iter().map(|role| role.name));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        // A token is of its own list alone.
        let other = pb::ListRolesRequest { page_token: page.next_page_token.clone(), ..at(&scene.msp) };
        refused(list(admin, other).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        request.page_token = page.next_page_token;
    }
    let mut own: Vec<String> =
        names(admin, at(&scene.msp)).await.into_iter().filter(|name| !name.contains('.')).collect();
    own.sort();
    seen.sort();
    assert_eq!(seen, own);
    assert!(pages >= 3 && made.iter().all(|name| seen.contains(name)));

    let packs = pb::ListRolesRequest { filter: "pack = mspcontrol AND built_in = true".to_owned(), ..at(&scene.msp) };
    assert!(names(admin, packs).await.iter().all(|name| name.starts_with("roles/mspcontrol.")));
    for (wrong, why) in [
        (pb::ListRolesRequest { filter: "title = x".to_owned(), ..at(&scene.msp) }, "FILTER_INVALID"),
        (pb::ListRolesRequest { filter: "built_in = maybe".to_owned(), ..at(&scene.msp) }, "FILTER_INVALID"),
        (pb::ListRolesRequest { page_token: "zz".to_owned(), ..at(&scene.msp) }, "PAGE_TOKEN_INVALID"),
        (pb::ListRolesRequest { page_size: -1, ..at(&scene.msp) }, "INVALID_FIELDS"),
        (pb::ListRolesRequest { order_by: "title".to_owned(), ..at(&scene.msp) }, "FIELD_NOT_SUPPORTED"),
    ] {
        refused(list(admin, wrong).await, Code::InvalidArgument, why);
    }
}

#[tokio::test]
async fn whoever_views_roles_nowhere_sees_none() {
    let scene = Scene::new().await;
    let nobody = scene.nobody().await.client;
    for result in [get(&nobody, ADMINISTRATOR).await.map(|_| ()), list(&nobody, at(&scene.msp)).await.map(|_| ())] {
        refused(result, Code::PermissionDenied, "PERMISSION_DENIED");
    }
    let mut roles = nobody.roles();
    let pack = pb::GetPermissionMatrixRequest { pack: "mspcontrol".to_owned(), ..Default::default() };
    refused(roles.get_permission_matrix(pack).await, Code::PermissionDenied, "PERMISSION_DENIED");
    refused(
        roles.list_permissions(pb::ListPermissionsRequest::default()).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED",
    );
}

#[tokio::test]
async fn read_masks_show_what_they_name_of_roles_bindings_and_groups() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let person = server.person(&partner, "emily", "roles/mspcontrol.read_only").await;
    let binding = server.bind(&person.name, "roles/mspcontrol.help_desk", &partner).await;
    let wish = pb::Group { account: partner.clone(), title: "Team".to_owned(), ..Default::default() };
    let request = pb::CreateGroupRequest { group: Some(wish), ..Default::default() };
    let group = operator.roles().create_group(request).await.unwrap().into_inner().name;
    let read_mask = || mask(&["title"]);

    let request = pb::GetRoleRequest { name: "roles/mspcontrol.help_desk".to_owned(), read_mask: read_mask() };
    let shown = operator.roles().get_role(request).await.unwrap().into_inner();
    assert_eq!(shown, pb::Role { title: shown.title.clone(), ..Default::default() });
    assert!(!shown.title.is_empty());
    let request = pb::ListRolesRequest { account: partner.clone(), read_mask: mask(&["name"]), ..Default::default() };
    let listed = operator.roles().list_roles(request).await.unwrap().into_inner().roles;
    assert!(!listed.is_empty());
    assert!(listed.iter().all(|role| *role == pb::Role { name: role.name.clone(), ..Default::default() }));

    let request = pb::GetRoleBindingRequest { name: binding, read_mask: mask(&["role"]) };
    let shown = operator.roles().get_role_binding(request).await.unwrap().into_inner();
    assert_eq!(shown, pb::RoleBinding { role: "roles/mspcontrol.help_desk".to_owned(), ..Default::default() });
    let read_mask_of_bindings = mask(&["account"]);
    let request = pb::ListRoleBindingsRequest {
        account: partner.clone(),
        read_mask: read_mask_of_bindings,
        ..Default::default()
    };
    let listed = operator.roles().list_role_bindings(request).await.unwrap().into_inner().role_bindings;
    assert_eq!(listed, vec![pb::RoleBinding { account: partner.clone(), ..Default::default() }; 2]);

    let request = pb::GetGroupRequest { name: group, read_mask: mask(&["title"]) };
    let shown = operator.roles().get_group(request).await.unwrap().into_inner();
    assert_eq!(shown, pb::Group { title: "Team".to_owned(), ..Default::default() });
    let request = pb::ListGroupsRequest { account: partner, read_mask: read_mask(), ..Default::default() };
    let listed = operator.roles().list_groups(request).await.unwrap().into_inner().groups;
    assert_eq!(listed, [shown]);
    server.stop().await;
}
