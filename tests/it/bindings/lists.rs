//! Lists of bindings: complete, in pages, and only what the caller may view.

use peerage::transport::grpc::pb;
use tonic::{Code, Response, Status};

use super::{bind, binding, eligible, of_group};
use crate::groups;
use crate::roles::{Scene, allow, fresh, is_missing, refused};
use crate::support::{Client, bad_fields};

async fn list(client: &Client, request: pb::ListRoleBindingsRequest) -> Result<pb::ListRoleBindingsResponse, Status> {
    client.roles().list_role_bindings(request).await.map(Response::into_inner)
}

fn at(account: &str, filter: &str) -> pb::ListRoleBindingsRequest {
    pb::ListRoleBindingsRequest {
        account: account.to_owned(),
        include_descendants: true,
        filter: filter.to_owned(),
        ..Default::default()
    }
}

/// Every binding of a list, over as many pages as it takes.
async fn all(client: &Client, request: pb::ListRoleBindingsRequest) -> Vec<String> {
    let (mut found, mut request) = (Vec::new(), request);
    loop {
        let page = list(client, request.clone()).await.unwrap();
        found.extend(page.role_bindings.into_iter().map(|binding| binding.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn bindings_are_listed_by_account_principal_and_role() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let (first, second) = (scene.role(&[allow("ftp.view")]).await, scene.role(&[allow("ftp.update")]).await);
    let department = scene.server.department(&fresh("department"), &scene.tenant).await;
    let elsewhere = scene.server.customer(&fresh("tenant"), &scene.msp).await;
    let peer = scene.nobody().await;
    let group = groups::make(admin, &scene.msp).await;
    let mut made = Vec::new();
    for wish in [
        binding(&peer.name, &first, &scene.tenant),
        eligible(binding(&peer.name, &second, &scene.tenant)),
        pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..binding(&peer.name, &first, &department) },
        of_group(&group, &first, &department),
        binding(&peer.name, &second, &elsewhere),
    ] {
        made.push(bind(admin, wish).await.unwrap().name);
    }
    // Lists go by id, and ids of one millisecond have no order.
    let pick = |places: &[usize]| {
        let mut names: Vec<String> = places.iter().map(|place| made[*place].clone()).collect();
        names.sort();
        names
    };
    let here = pb::ListRoleBindingsRequest { include_descendants: false, ..at(&scene.tenant, "") };
    assert_eq!(all(admin, here).await, pick(&[0, 1]));
    assert_eq!(all(admin, at(&scene.tenant, "")).await, pick(&[0, 1, 2, 3]));
    let of_peer = format!("peer = \"{}\"", peer.name);
    for (filter, places) in [
        (format!("{of_peer} AND role = {second}"), vec![1, 4]),
        (format!("role = {first}"), vec![0, 2, 3]),
        (format!("group = {group}"), vec![3]),
        (format!("{of_peer} AND mode = ELIGIBLE"), vec![1]),
        (format!("{of_peer} AND reach = REACH_ACCOUNT_ONLY"), vec![2]),
        ("peer = peers/me AND mode = ELIGIBLE".to_owned(), vec![]),
        (format!("role = {first} AND group = {group}"), vec![3]),
    ] {
        assert_eq!(all(admin, at(&scene.msp, &filter)).await, pick(&places), "{filter}");
    }
    // Small pages neither skip nor repeat.
    let small = pb::ListRoleBindingsRequest { page_size: 1, ..at(&scene.tenant, "") };
    assert_eq!(all(admin, small).await, pick(&[0, 1, 2, 3]));
    let small = pb::ListRoleBindingsRequest { page_size: 1, ..at(&scene.msp, "mode = ELIGIBLE") };
    assert_eq!(all(admin, small).await, pick(&[1]));
}

#[tokio::test]
async fn bindings_are_sorted_by_when_they_were_made_and_when_they_end() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let role = scene.role(&[allow("ftp.view")]).await;
    let mut made = Vec::new();
    for expire in [Some(900), None, Some(300), None, Some(300), Some(600)] {
        let peer = scene.nobody().await;
        let expire_time = expire.map(|seconds| scene.server.time(seconds));
        let wish = pb::RoleBinding { expire_time, ..binding(&peer.name, &role, &scene.tenant) };
        made.push((bind(admin, wish).await.unwrap().name, expire));
        scene.server.advance(std::time::Duration::from_millis(1));
    }
    let in_time: Vec<String> = made.iter().map(|(name, _)| name.clone()).collect();
    // Without an end comes first, and ties go by id.
    let mut by_end = made;
    by_end.sort_by(|left, right| (left.1, &left.0).cmp(&(right.1, &right.0)));
    let by_end: Vec<String> = by_end.into_iter().map(|(name, _)| name).collect();
    let filter = format!("role = {role}");
    for (order_by, names) in [("create_time", &in_time), ("expire_time", &by_end)] {
        for page_size in [0, 1, 4] {
            let ascending =
                pb::ListRoleBindingsRequest { order_by: order_by.to_owned(), page_size, ..at(&scene.msp, &filter) };
            let descending = pb::ListRoleBindingsRequest { order_by: format!("{order_by} desc"), ..ascending.clone() };
            assert_eq!(&all(admin, ascending).await, names, "{order_by} {page_size}");
            assert!(all(admin, descending).await.iter().eq(names.iter().rev()), "{order_by} {page_size}");
        }
    }
    let wrong = pb::ListRoleBindingsRequest { order_by: "role".to_owned(), ..at(&scene.msp, "") };
    refused(list(admin, wrong).await, Code::InvalidArgument, "ORDER_BY_INVALID");
}

#[tokio::test]
async fn only_what_the_caller_may_view_is_listed() {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let name = scene.role(&[allow("role_bindings.view"), allow("accounts.view"), allow("peers.view")]).await;
    let elsewhere = scene.server.customer(&fresh("tenant"), &scene.msp).await;
    let viewer = scene.nobody().await;
    let on_tenant = bind(&scene.admin.client, binding(&viewer.name, &name, &scene.tenant)).await.unwrap().name;
    let hidden = bind(&scene.admin.client, binding(&scene.nobody().await.name, &name, &elsewhere)).await.unwrap().name;
    assert_eq!(all(&viewer.client, at(&scene.tenant, "")).await, std::slice::from_ref(&on_tenant));
    is_missing(list(&viewer.client, at(&scene.msp, "")).await);
    is_missing(list(&viewer.client, at(&elsewhere, "")).await);
    is_missing(list(&other.admin.client, at(&scene.tenant, "")).await);
    assert!(all(&scene.admin.client, at(&scene.msp, "")).await.contains(&hidden));
    // A user name leads nowhere for who may not view the peer, whether it is there or not.
    let stranger = pb::GetPeerRequest { name: other.admin.name.clone(), ..Default::default() };
    let stranger = other.admin.client.peers().get_peer(stranger).await.unwrap().into_inner().user_name;
    for peer in [stranger.as_str(), "nobody-at-all"] {
        let filter = format!("peer = \"peers/@{peer}\"");
        assert!(all(&scene.admin.client, at(&scene.msp, &filter)).await.is_empty());
    }
}

#[tokio::test]
async fn wrong_queries_are_refused() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    for (filter, why) in [
        ("justification = x", "FILTER_INVALID"),
        ("mode = SOMETIMES", "FILTER_INVALID"),
        ("reach = 1", "FILTER_INVALID"),
        ("role = technician", "FILTER_INVALID"),
        ("peer = peers/me AND group = groups/0193a7b2-0000-7000-8000-000000000000", "FILTER_INVALID"),
        ("peer = peers/me OR role = roles/core.auditor", "FILTER_INVALID"),
    ] {
        refused(list(admin, at(&scene.msp, filter)).await, Code::InvalidArgument, why);
    }
    let wrong = pb::ListRoleBindingsRequest {
        account: "contoso".to_owned(),
        page_size: -1,
        page_token: "x".to_owned(),
        order_by: "role".to_owned(),
        read_mask: crate::roles::mask(&["secret"]),
        filter: "=".to_owned(),
        include_descendants: true,
    };
    let mut fields = bad_fields(&list(admin, wrong).await.unwrap_err());
    fields.sort();
    assert_eq!(fields, ["account", "filter", "order_by", "page_size", "page_token", "read_mask"]);
}
