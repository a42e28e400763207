//! Rules of a role's use, as bindings meet them.

use peerage::transport::grpc::pb;
use tonic::{Code, Response};

use super::{bind, binding, eligible, get, of_group, rebind, unbind, until};
use crate::groups;
use crate::roles::{ADMINISTRATOR, Scene, allow, create, events, fresh, is_missing, mask, refused, role};
use crate::support::{bad_fields, reason};

#[tokio::test]
async fn a_binding_comes_back_as_it_was_made() {
    let scene = Scene::new().await;
    let name = scene.role(&[allow("ftp.view")]).await;
    let holder = scene.nobody().await;
    let (start, end) = (scene.server.time(60), scene.server.time(120));
    let wish = pb::RoleBinding {
        start_time: Some(start),
        reach: pb::Reach::AccountOnly.into(),
        mode: pb::BindingMode::Eligible.into(),
        justification: "Ticket 7,\nfor a week".to_owned(),
        ..until(binding(&holder.name, &name, &scene.tenant), end)
    };
    let made = bind(&scene.admin.client, wish.clone()).await.unwrap();
    assert_eq!(made.name, format!("roleBindings/{}", made.uid));
    assert_eq!(made.creator, scene.admin.name);
    assert!(made.update_revision > 0 && made.create_time.is_some() && !made.etag.is_empty());
    let plain = pb::RoleBinding {
        name: String::new(),
        uid: String::new(),
        creator: String::new(),
        create_time: None,
        update_time: None,
        etag: String::new(),
        update_revision: 0,
        ..made.clone()
    };
    assert_eq!(plain, wish);
    assert_eq!(get(&scene.admin.client, &made.name).await.unwrap(), made);

    let event = &events(&scene.server, &scene.tenant, "role_bindings.create").await[0];
    let fields: Vec<&str> = event.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["principal", "role", "account", "reach", "mode", "start_time", "expire_time", "justification"]);
    assert_eq!(event.justification.as_ref().unwrap().value, wish.justification);
    // The same act, in the log of who did it.
    let named = |event: &pb::AuditEvent| event.target.as_ref().unwrap().target_name.clone();
    let own = events(&scene.server, &scene.msp, "role_bindings.create").await;
    assert!(own.iter().any(|other| named(other) == named(event)));

    unbind(&scene.admin.client, &made.name).await.unwrap();
    is_missing(get(&scene.admin.client, &made.name).await);
    is_missing(unbind(&scene.admin.client, &made.name).await);
    assert_eq!(events(&scene.server, &scene.tenant, "role_bindings.delete").await.len(), 1);
}

#[tokio::test]
async fn a_role_is_used_as_its_rules_say() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let person = scene.nobody().await;
    let with = async |rules: pb::RoleRules| -> String {
        create(admin, pb::Role { rules: Some(rules), ..role(&scene.msp, &[allow("ftp.view")]) }).await.unwrap().name
    };
    let device = with(pb::RoleRules { peer_kinds: vec![pb::PeerKind::Device.into()], ..Default::default() }).await;
    let partner =
        with(pb::RoleRules { account_kinds: vec![pb::AccountKind::Partner.into()], ..Default::default() }).await;
    let here = with(pb::RoleRules { reaches: vec![pb::Reach::AccountOnly.into()], ..Default::default() }).await;
    let stated = with(pb::RoleRules { requires_justification: true, ..Default::default() }).await;
    for (role, why) in [
        (device.as_str(), "PEER_KIND_NOT_ALLOWED"),
        (&partner, "ACCOUNT_KIND_NOT_ALLOWED"),
        (&here, "REACH_NOT_ALLOWED"),
        ("roles/msp-panel.owner", "ROLE_UNASSIGNABLE"),
        ("roles/opspilot365.technician", "ROLE_PACK_NOT_ENABLED"),
    ] {
        // Of two rules that stand in the way, any may be named first; here only one does.
        let account = if role.ends_with("owner") { &scene.msp } else { &scene.tenant };
        let result = bind(&scene.server.operator(), binding(&person.name, role, account)).await;
        refused(result, Code::FailedPrecondition, why);
    }
    let silent = pb::RoleBinding { justification: String::new(), ..binding(&person.name, &stated, &scene.tenant) };
    refused(bind(admin, silent).await, Code::FailedPrecondition, "JUSTIFICATION_REQUIRED");
    let made = bind(admin, binding(&person.name, &stated, &scene.tenant)).await.unwrap();
    let silenced = pb::RoleBinding { name: made.name, ..Default::default() };
    refused(rebind(admin, silenced, &["justification"]).await, Code::FailedPrecondition, "JUSTIFICATION_REQUIRED");

    let only_here =
        pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..binding(&person.name, &here, &scene.tenant) };
    let made = bind(admin, only_here).await.unwrap();
    let wider = pb::RoleBinding { name: made.name, reach: pb::Reach::Subtree.into(), ..Default::default() };
    refused(rebind(admin, wider, &[]).await, Code::FailedPrecondition, "REACH_NOT_ALLOWED");

    // A group's members count, each for itself.
    let group = groups::make(admin, &scene.msp).await;
    groups::join(admin, &group, &person.name).await.unwrap();
    refused(
        bind(admin, of_group(&group, &device, &scene.tenant)).await,
        Code::FailedPrecondition,
        "PEER_KIND_NOT_ALLOWED",
    );
}

#[tokio::test]
async fn holders_are_bounded_members_of_groups_included() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let rules = pb::RoleRules { max_holders: 2, ..Default::default() };
    let wish = pb::Role { rules: Some(rules), ..role(&scene.msp, &[allow("ftp.view")]) };
    let name = create(admin, wish).await.unwrap().name;
    let peers = [scene.nobody().await.name, scene.nobody().await.name, scene.nobody().await.name];
    let group = groups::make(admin, &scene.msp).await;
    groups::join(admin, &group, &peers[0]).await.unwrap();
    bind(admin, of_group(&group, &name, &scene.tenant)).await.unwrap();
    // One person, though by two ways.
    bind(admin, binding(&peers[0], &name, &scene.tenant)).await.unwrap();
    bind(admin, eligible(binding(&peers[1], &name, &scene.tenant))).await.unwrap();
    let full = |result: Result<pb::RoleBinding, tonic::Status>| {
        refused(result, Code::FailedPrecondition, "MAX_HOLDERS_REACHED")
    };
    full(bind(admin, binding(&peers[2], &name, &scene.tenant)).await);
    refused(groups::join(admin, &group, &peers[2]).await, Code::FailedPrecondition, "MAX_HOLDERS_REACHED");
    // Another account counts for itself.
    let elsewhere = scene.server.customer(&fresh("tenant"), &scene.msp).await;
    bind(admin, binding(&peers[2], &name, &elsewhere)).await.unwrap();
}

#[tokio::test]
async fn the_same_binding_is_made_once() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let holder = scene.nobody().await;
    let wish = until(binding(&holder.name, &name, &scene.tenant), scene.server.time(600));
    let made = bind(admin, wish.clone()).await.unwrap();
    let again =
        |result: Result<pb::RoleBinding, tonic::Status>| refused(result, Code::AlreadyExists, "ROLE_BINDING_EXISTS");
    again(bind(admin, wish.clone()).await);
    again(bind(admin, binding(&holder.name, &name, &scene.tenant)).await);
    let later =
        |start: i64| pb::RoleBinding { start_time: Some(scene.server.time(start)), expire_time: None, ..wish.clone() };
    again(bind(admin, later(599)).await);
    // One that begins where the other ends is another, and so is one of another mode or reach.
    let next = bind(admin, later(600)).await.unwrap();
    bind(admin, eligible(wish.clone())).await.unwrap();
    bind(admin, pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..wish }).await.unwrap();
    let overlapping =
        pb::RoleBinding { name: made.name, expire_time: Some(scene.server.time(601)), ..Default::default() };
    again(rebind(admin, overlapping, &["expire_time"]).await);
    let earlier = pb::RoleBinding { name: next.name, ..Default::default() };
    again(rebind(admin, earlier, &["start_time"]).await);
}

#[tokio::test]
async fn wrong_fields_of_a_binding_are_all_named_at_once() {
    let scene = Scene::new().await;
    let wrong = pb::RoleBinding {
        principal: None,
        role: "technician".to_owned(),
        account: "contoso".to_owned(),
        reach: 0,
        mode: 5,
        start_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        expire_time: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        justification: "a".repeat(1025),
        ..Default::default()
    };
    let status = bind(&scene.admin.client, wrong).await.unwrap_err();
    let fields = ["principal", "role", "account", "reach", "mode", "start_time", "expire_time", "justification"];
    assert_eq!(bad_fields(&status), fields.map(|field| format!("role_binding.{field}")));
    let name = scene.role(&[allow("ftp.view")]).await;
    let good = binding(&scene.nobody().await.name, &name, &scene.tenant);
    for (start, end) in [(100, 100), (100, 50), (-100, -50), (-100, 0)] {
        let wish = pb::RoleBinding {
            start_time: Some(scene.server.time(start)),
            expire_time: Some(scene.server.time(end)),
            ..good.clone()
        };
        let status = bind(&scene.admin.client, wish).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["role_binding.expire_time"], "{start} to {end}");
    }
}

#[tokio::test]
async fn missing_and_hidden_parts_of_a_binding_look_the_same() {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let holder = scene.nobody().await;
    let stranger = other.nobody().await;
    let foreign_group = groups::make(&other.admin.client, &other.msp).await;
    for wish in [
        binding(&stranger.name, &name, &scene.tenant),
        binding("peers/@nobody-at-all", &name, &scene.tenant),
        binding("peers/0193a7b2-0000-7000-8000-000000000000", &name, &scene.tenant),
        of_group(&foreign_group, &name, &scene.tenant),
        of_group("groups/0193a7b2-0000-7000-8000-000000000000", &name, &scene.tenant),
        binding(&holder.name, "roles/0193a7b2-0000-7000-8000-000000000000", &scene.tenant),
        binding(&holder.name, "roles/core.nobody", &scene.tenant),
        binding(&holder.name, &name, &other.tenant),
        binding(&holder.name, &name, "accounts/nowhere"),
    ] {
        is_missing(bind(admin, wish).await);
    }
    let made = bind(admin, binding(&holder.name, &name, &scene.tenant)).await.unwrap();
    is_missing(get(&other.admin.client, &made.name).await);
    is_missing(unbind(&other.admin.client, &made.name).await);
    is_missing(rebind(&other.admin.client, pb::RoleBinding { name: made.name.clone(), ..made.clone() }, &[]).await);
    // Who may look and not touch is told so.
    let auditor = scene.server.person(&scene.msp, &fresh("auditor"), "roles/mspcontrol.read_only").await.client;
    assert_eq!(get(&auditor, &made.name).await.unwrap(), made);
    refused(unbind(&auditor, &made.name).await, Code::PermissionDenied, "PERMISSION_DENIED");
    refused(
        bind(&auditor, binding(&holder.name, &name, &scene.msp)).await,
        Code::PermissionDenied,
        "PERMISSION_DENIED",
    );
}

#[tokio::test]
async fn principal_role_and_account_never_change() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let made = bind(admin, binding(&scene.nobody().await.name, &name, &scene.tenant)).await.unwrap();
    let other = scene.nobody().await.name;
    for (wish, field) in [
        (pb::RoleBinding { principal: binding(&other, "", "").principal, ..made.clone() }, "role_binding.principal"),
        (pb::RoleBinding { role: ADMINISTRATOR.to_owned(), ..made.clone() }, "role_binding.role"),
        (pb::RoleBinding { account: scene.msp.clone(), ..made.clone() }, "role_binding.account"),
    ] {
        let status = rebind(admin, wish, &["justification"]).await.unwrap_err();
        assert_eq!((reason(&status).as_str(), bad_fields(&status)), ("INVALID_FIELDS", vec![field.to_owned()]));
    }
    for path in ["role", "peer", "creator", "uid", "nothing"] {
        refused(rebind(admin, made.clone(), &[path]).await, Code::InvalidArgument, "FIELD_MASK_INVALID");
    }
    // The whole message sent back is no change, and says so by its etag.
    let same = rebind(admin, made.clone(), &[]).await.unwrap();
    assert_eq!((same.justification, same.reach), (made.justification.clone(), made.reach));
    refused(rebind(admin, made, &[]).await, Code::Aborted, "ETAG_MISMATCH");
}

#[tokio::test]
async fn repeats_and_rehearsals_bind_nothing_twice() {
    let scene = Scene::new().await;
    let mut roles = scene.admin.client.roles();
    let name = scene.role(&[allow("ftp.view")]).await;
    let holder = scene.nobody().await;
    let request = pb::CreateRoleBindingRequest {
        role_binding: Some(binding(&holder.name, &name, &scene.tenant)),
        request_id: crate::support::request_id(),
        validate_only: true,
    };
    roles
        .create_role_binding(pb::CreateRoleBindingRequest { request_id: String::new(), ..request.clone() })
        .await
        .unwrap();
    assert!(!scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
    let request = pb::CreateRoleBindingRequest { validate_only: false, ..request };
    let made = roles.create_role_binding(request.clone()).await.unwrap().into_inner();
    assert_eq!(roles.create_role_binding(request.clone()).await.unwrap().into_inner(), made);
    let other = pb::CreateRoleBindingRequest { role_binding: Some(eligible(request.role_binding.unwrap())), ..request };
    refused(roles.create_role_binding(other).await, Code::InvalidArgument, "REQUEST_ID_REUSED");

    let update = pb::UpdateRoleBindingRequest {
        role_binding: Some(pb::RoleBinding { justification: "better".to_owned(), ..made.clone() }),
        update_mask: mask(&["justification"]),
        request_id: crate::support::request_id(),
        validate_only: false,
    };
    let updated = roles.update_role_binding(update.clone()).await.unwrap().into_inner();
    assert_eq!(roles.update_role_binding(update).await.unwrap().into_inner(), updated);
    let delete = pb::DeleteRoleBindingRequest {
        name: made.name,
        etag: updated.etag,
        request_id: crate::support::request_id(),
        validate_only: false,
    };
    let stale = pb::DeleteRoleBindingRequest { etag: made.etag, request_id: String::new(), ..delete.clone() };
    refused(roles.delete_role_binding(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let first = roles.delete_role_binding(delete.clone()).await.map(Response::into_inner).unwrap();
    assert_eq!(roles.delete_role_binding(delete).await.unwrap().into_inner(), first);
}

#[tokio::test]
async fn a_user_name_does_not_lead_to_a_peer_that_is_shown_without_it() {
    let scene = Scene::new().await;
    let local = scene.server.person(&scene.tenant, &fresh("local"), ADMINISTRATOR).await;
    // The provider's administrator has access to the tenant, and is homed elsewhere.
    let peer = scene.server.operator().peers();
    let request = pb::GetPeerRequest { name: scene.admin.name.clone(), read_mask: None };
    let user_name = { peer }.get_peer(request).await.unwrap().into_inner().user_name;
    let role = scene.role(&[allow("ftp.view")]).await;
    let by_name = format!("peers/@{user_name}");
    for name in [by_name.as_str(), "peers/@nobody-at-all"] {
        is_missing(bind(&local.client, binding(name, &role, &scene.tenant)).await);
    }
    bind(&local.client, binding(&scene.admin.name, &role, &scene.tenant)).await.unwrap();
    bind(&scene.admin.client, binding(&by_name, &role, &scene.msp)).await.unwrap();
}
