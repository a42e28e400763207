//! Making, reading, changing and deleting custom roles.

use peerage::transport::grpc::pb;
use tonic::{Code, Response};
use uuid::Uuid;

use super::{Scene, allow, create, delete, events, fresh, get, is_missing, mask, refused, role, update};
use crate::bindings::{bind, binding, unbind};

#[tokio::test]
async fn a_custom_role_comes_back_as_it_was_made() {
    let scene = Scene::new().await;
    let wanted = pb::Role {
        description: "Websites, by day.\nNot by night.".to_owned(),
        rules: Some(pb::RoleRules {
            max_holders: 3,
            peer_kinds: vec![pb::PeerKind::Person.into()],
            account_kinds: vec![pb::AccountKind::Customer.into(), pb::AccountKind::Department.into()],
            reaches: vec![pb::Reach::Subtree.into()],
            requires_justification: true,
            min_assurance: pb::AssuranceLevel::Totp.into(),
            ..Default::default()
        }),
        ..role(&scene.msp, &[allow("websites.view"), super::with_approval(allow("ftp.*")), super::deny("ftp.delete")])
    };
    let made = create(&scene.admin.client, wanted.clone()).await.unwrap();
    assert_eq!(made.name, format!("roles/{}", made.uid));
    assert!(Uuid::try_parse(&made.uid).is_ok() && !made.built_in && made.pack.is_empty());
    assert!(made.update_revision > 0 && made.create_time == made.update_time && made.create_time.is_some());
    assert_eq!((&made.title, &made.description, &made.grants), (&wanted.title, &wanted.description, &wanted.grants));
    assert_eq!((&made.owner_account, made.inheritable), (&wanted.owner_account, true));
    let rules = made.rules.clone().unwrap();
    assert_eq!(pb::RoleRules { assignable: None, ..rules.clone() }, wanted.rules.unwrap());
    assert!(rules.assignable());
    assert_eq!(get(&scene.admin.client, &made.name).await.unwrap(), made);

    // Who holds it is counted, each once.
    let holder = scene.nobody().await;
    for account in [&scene.tenant, &scene.server.customer(&fresh("tenant"), &scene.msp).await] {
        bind(&scene.admin.client, binding(&holder.name, &made.name, account)).await.unwrap();
    }
    assert_eq!(get(&scene.admin.client, &made.name).await.unwrap().holder_count, 1);

    // What it was made of stands in the log.
    let events = events(&scene.server, &scene.msp, "roles.create").await;
    let event =
        events.iter().find(|event| event.target.as_ref().unwrap().target_name.as_ref().unwrap().value == made.name);
    let fields: Vec<&str> = event.unwrap().changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["title", "description", "inheritable", "grants", "rules"]);
}

#[tokio::test]
async fn only_what_the_mask_names_changes() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let made = create(admin, role(&scene.msp, &[allow("websites.view")])).await.unwrap();
    let wish = pb::Role {
        name: made.name.clone(),
        title: fresh("Another"),
        description: "New".to_owned(),
        rules: Some(pb::RoleRules { max_holders: 2, requires_justification: true, ..Default::default() }),
        ..Default::default()
    };
    let changed = update(admin, wish.clone(), &["rules.max_holders"]).await.unwrap();
    assert_eq!((&changed.title, &changed.description), (&made.title, &String::new()));
    let rules = changed.rules.clone().unwrap();
    assert_eq!((rules.max_holders, rules.requires_justification), (2, false));
    assert_ne!(changed.etag, made.etag);
    assert!(changed.update_revision > made.update_revision);

    // Without a mask, what is set: the grants are not.
    let changed = update(admin, wish.clone(), &[]).await.unwrap();
    assert_eq!((&changed.title, &changed.description), (&wish.title, &wish.description));
    assert_eq!(changed.grants, made.grants);
    assert!(changed.inheritable && changed.rules.unwrap().requires_justification);

    // With `*` everything: what is not set, is cleared, and grants there must be.
    refused(update(admin, wish.clone(), &["*"]).await, Code::InvalidArgument, "INVALID_FIELDS");
    let whole = pb::Role { grants: vec![allow("ftp.view")], ..wish };
    let changed = update(admin, whole.clone(), &["*"]).await.unwrap();
    assert!(!changed.inheritable);
    assert_eq!(changed.grants, whole.grants);

    for path in ["name", "etag", "holder_count", "pack", "rules.grantable_roles", "owner_account", "secret", ""] {
        refused(update(admin, whole.clone(), &[path]).await, Code::InvalidArgument, "FIELD_MASK_INVALID");
    }
    let stranger = pb::Role { owner_account: scene.tenant.clone(), ..whole };
    refused(update(admin, stranger, &["title"]).await, Code::InvalidArgument, "INVALID_FIELDS");

    let events = events(&scene.server, &scene.msp, "roles.update").await;
    let fields: Vec<&str> = events[0].changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["rules"]);
    assert!(events[0].changes[0].before.is_some() && events[0].changes[0].after.is_some());
}

#[tokio::test]
async fn titles_are_one_whatever_their_case_and_unicode_form() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let titled = |owner: &str, title: &str| pb::Role { title: title.to_owned(), ..role(owner, &[allow("ftp.view")]) };
    let made = create(admin, titled(&scene.msp, "Straße Müller")).await.unwrap();
    for title in ["STRASSE MÜLLER", "straße mu\u{308}ller", " Ｓtraße Müller "] {
        refused(create(admin, titled(&scene.msp, title)).await, Code::AlreadyExists, "ROLE_TITLE_TAKEN");
    }
    // Another account's titles are its own.
    create(admin, titled(&scene.tenant, "Straße Müller")).await.unwrap();

    let other = create(admin, titled(&scene.msp, "Other")).await.unwrap();
    let taken = pb::Role { name: other.name, title: "strasse müller".to_owned(), ..Default::default() };
    refused(update(admin, taken, &[]).await, Code::AlreadyExists, "ROLE_TITLE_TAKEN");
    let own = pb::Role { name: made.name.clone(), title: "STRASSE Müller".to_owned(), ..Default::default() };
    assert_eq!(update(admin, own, &[]).await.unwrap().title, "STRASSE Müller");
    let request = pb::CopyRoleRequest {
        name: made.name,
        owner_account: scene.msp.clone(),
        title: "OTHER".to_owned(),
        ..Default::default()
    };
    refused(admin.roles().copy_role(request).await, Code::AlreadyExists, "ROLE_TITLE_TAKEN");
}

#[tokio::test]
async fn stale_etags_are_refused_and_repeats_change_nothing() {
    let scene = Scene::new().await;
    let mut roles = scene.admin.client.roles();
    let request = pb::CreateRoleRequest {
        role: Some(role(&scene.msp, &[allow("ftp.view")])),
        request_id: crate::support::request_id(),
        ..Default::default()
    };
    // A rehearsal leaves nothing behind.
    let rehearsal = pb::CreateRoleRequest { validate_only: true, request_id: String::new(), ..request.clone() };
    let rehearsed = roles.create_role(rehearsal).await.unwrap().into_inner();
    is_missing(get(&scene.admin.client, &rehearsed.name).await);

    let made = roles.create_role(request.clone()).await.unwrap().into_inner();
    let again = roles.create_role(request.clone()).await.unwrap().into_inner();
    assert_eq!(made, again);
    let other = pb::CreateRoleRequest { role: Some(role(&scene.msp, &[allow("ftp.view")])), ..request };
    refused(roles.create_role(other).await, Code::InvalidArgument, "REQUEST_ID_REUSED");

    let wish = |description: &str, etag: &str| pb::UpdateRoleRequest {
        role: Some(pb::Role {
            name: made.name.clone(),
            description: description.to_owned(),
            etag: etag.to_owned(),
            ..Default::default()
        }),
        update_mask: mask(&["description"]),
        ..Default::default()
    };
    roles.update_role(wish("first", &made.etag)).await.unwrap();
    refused(roles.update_role(wish("second", &made.etag)).await, Code::Aborted, "ETAG_MISMATCH");
    refused(roles.update_role(wish("third", "not one of ours")).await, Code::Aborted, "ETAG_MISMATCH");

    let delete = pb::DeleteRoleRequest {
        name: made.name.clone(),
        etag: made.etag.clone(),
        request_id: crate::support::request_id(),
        ..Default::default()
    };
    refused(roles.delete_role(delete.clone()).await, Code::Aborted, "ETAG_MISMATCH");
    let delete = pb::DeleteRoleRequest { etag: String::new(), ..delete };
    roles
        .delete_role(pb::DeleteRoleRequest { validate_only: true, request_id: String::new(), ..delete.clone() })
        .await
        .unwrap();
    let first = roles.delete_role(delete.clone()).await.map(Response::into_inner).unwrap();
    assert_eq!(roles.delete_role(delete).await.unwrap().into_inner(), first);
    is_missing(get(&scene.admin.client, &made.name).await);
}

#[tokio::test]
async fn built_in_roles_are_read_only() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let built_in = get(admin, super::ADMINISTRATOR).await.unwrap();
    assert!(built_in.built_in && built_in.pack == "mspcontrol" && built_in.owner_account.is_empty());
    for client in [admin, &scene.server.operator()] {
        let wish = pb::Role { name: built_in.name.clone(), title: "Mine".to_owned(), ..Default::default() };
        refused(update(client, wish, &[]).await, Code::FailedPrecondition, "ROLE_BUILT_IN");
        refused(delete(client, &built_in.name).await, Code::FailedPrecondition, "ROLE_BUILT_IN");
    }
}

#[tokio::test]
async fn a_role_in_use_is_not_deleted() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let bound = bind(admin, binding(&scene.nobody().await.name, &name, &scene.tenant)).await.unwrap();
    refused(delete(admin, &name).await, Code::FailedPrecondition, "ROLE_IN_USE");
    unbind(admin, &bound.name).await.unwrap();
    delete(admin, &name).await.unwrap();
    is_missing(get(admin, &name).await);
    is_missing(delete(admin, &name).await);
    assert_eq!(events(&scene.server, &scene.msp, "roles.delete").await.len(), 1);
}

#[tokio::test]
async fn new_rules_must_hold_for_every_binding() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    for _ in 0..2 {
        let holder = scene.nobody().await;
        let wish = pb::RoleBinding { justification: String::new(), ..binding(&holder.name, &name, &scene.tenant) };
        bind(admin, wish).await.unwrap();
    }
    let rules = |rules: pb::RoleRules| pb::Role { name: name.clone(), rules: Some(rules), ..Default::default() };
    for broken in [
        pb::RoleRules { max_holders: 1, ..Default::default() },
        pb::RoleRules { peer_kinds: vec![pb::PeerKind::Device.into()], ..Default::default() },
        pb::RoleRules { account_kinds: vec![pb::AccountKind::Partner.into()], ..Default::default() },
        pb::RoleRules { reaches: vec![pb::Reach::AccountOnly.into()], ..Default::default() },
        pb::RoleRules { requires_justification: true, ..Default::default() },
        pb::RoleRules { assignable: Some(false), ..Default::default() },
    ] {
        let result = update(admin, rules(broken), &["rules"]).await;
        refused(result, Code::FailedPrecondition, "ROLE_RULES_VIOLATED");
    }
    let kept = pb::Role { name: name.clone(), inheritable: false, ..Default::default() };
    refused(update(admin, kept, &["inheritable"]).await, Code::FailedPrecondition, "ROLE_RULES_VIOLATED");
    let fitting = pb::RoleRules {
        max_holders: 2,
        peer_kinds: vec![pb::PeerKind::Person.into()],
        account_kinds: vec![pb::AccountKind::Customer.into()],
        reaches: vec![pb::Reach::Subtree.into()],
        ..Default::default()
    };
    update(admin, rules(fitting), &["rules"]).await.unwrap();
}

#[tokio::test]
async fn an_edit_reaches_every_holder_at_once() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("websites.view")]).await;
    let holder = scene.nobody().await;
    bind(admin, binding(&holder.name, &name, &scene.tenant)).await.unwrap();
    assert!(scene.server.may(&holder.name, "websites.view", &scene.tenant).await);
    let wish = pb::Role { name, grants: vec![allow("ftp.view")], ..Default::default() };
    update(admin, wish, &["grants"]).await.unwrap();
    assert!(!scene.server.may(&holder.name, "websites.view", &scene.tenant).await);
    assert!(scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
}
