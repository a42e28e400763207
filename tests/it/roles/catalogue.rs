//! The catalogue: registering permissions, and who gains by it.

use std::time::{Duration, Instant};

use peerage::transport::grpc::pb;
use tonic::{Code, Response, Status};

use super::{Scene, allow, deny, events, get, is_missing, refused};
use crate::bindings::{bind, binding};
use crate::support::{Client, Server, bad_fields, reason};

fn permission(name: &str) -> pb::Permission {
    pb::Permission {
        name: name.to_owned(),
        title: format!("May {name}"),
        feature: "Tests".to_owned(),
        ..Default::default()
    }
}

fn reserved(name: &str) -> pb::Permission {
    pb::Permission { reserved: true, privileged: true, ..permission(name) }
}

fn confirmed(permissions: Vec<pb::Permission>) -> pb::RegisterPermissionsRequest {
    pb::RegisterPermissionsRequest { permissions, confirm_gains: true, ..Default::default() }
}

async fn register(
    client: &Client,
    request: pb::RegisterPermissionsRequest,
) -> Result<pb::RegisterPermissionsResponse, Status> {
    client.roles().register_permissions(request).await.map(Response::into_inner)
}

#[tokio::test]
async fn registering_a_permission_reports_who_gains_it() {
    let scene = Scene::alone().await;
    let operator = scene.server.operator();
    let robots = scene.role(&[allow("robots.*"), deny("*.scrap")]).await;
    let holder = scene.nobody().await;
    bind(&scene.admin.client, binding(&holder.name, &robots, &scene.tenant)).await.unwrap();

    let wish = vec![permission("robots.wake"), permission("robots.scrap")];
    let unconfirmed = pb::RegisterPermissionsRequest { confirm_gains: false, ..confirmed(wish.clone()) };
    let status = register(&operator, unconfirmed.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "GAINS_UNCONFIRMED"));
    let metadata = tonic_types::StatusExt::get_details_error_info(&status).unwrap().metadata;
    let named: Vec<&str> = metadata["roles"].split(", ").collect();
    assert!(named.contains(&robots.as_str()) && named.contains(&"roles/core.operator"), "{named:?}");
    assert_eq!(metadata["role_count"], named.len().to_string());
    let rehearsal = pb::RegisterPermissionsRequest { validate_only: true, ..confirmed(wish.clone()) };
    register(&operator, rehearsal).await.unwrap();
    let status = scene.server.operator().ask(&holder.name, "robots.wake", &scene.tenant).await.unwrap_err();
    assert_eq!(reason(&status), "PERMISSION_UNKNOWN");

    let done = register(&operator, confirmed(wish)).await.unwrap();
    assert_eq!(done.permissions.iter().map(|one| one.owner.as_str()).collect::<Vec<_>>(), ["accounts/platform"; 2]);
    let gain =
        pb::PermissionGain { role: robots, permission: "robots.wake".to_owned(), pattern: "robots.*".to_owned() };
    assert!(done.gains.contains(&gain));
    assert_eq!(done.gain_count, i64::try_from(done.gains.len()).unwrap());
    // What it denies itself it does not gain.
    let own: Vec<&pb::PermissionGain> = done.gains.iter().filter(|one| one.role == gain.role).collect();
    assert_eq!(own, [&gain]);
    assert!(scene.server.may(&holder.name, "robots.wake", &scene.tenant).await);
    assert!(!scene.server.may(&holder.name, "robots.scrap", &scene.tenant).await);

    let events = events(&scene.server, "accounts/platform", "permissions.register").await;
    assert_eq!(events.len(), 1);
    let changes = &events[0].changes;
    let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields[..2], ["robots.wake", "robots.scrap"]);
    let after = |change: &pb::AuditChange| change.after.clone().unwrap_or_default().value;
    assert!(after(&changes[0]).ends_with("(owner accounts/platform)"), "{:?}", changes[0]);
    // Who gained is in the log, not only in the answer.
    let gains: Vec<String> = changes.iter().filter(|one| one.field == "gains").map(after).collect();
    assert_eq!(gains.len(), done.gains.len());
    assert!(gains.contains(&format!("{}: robots.wake by robots.*", gain.role)), "{gains:?}");
    let count = changes.last().unwrap();
    assert_eq!((count.field.as_str(), after(count)), ("gain_count", done.gain_count.to_string()));
    scene.server.stop().await;
}

#[tokio::test]
async fn a_refusal_for_many_gaining_roles_fits_into_a_trailer() {
    let scene = Scene::alone().await;
    let operator = scene.server.operator();
    let roles = 200;
    for _ in 0..roles {
        scene.role(&[allow("robots.*")]).await;
    }
    let wish: Vec<pb::Permission> = (0..3).map(|number| permission(&format!("robots.act_{number}"))).collect();
    let unconfirmed = pb::RegisterPermissionsRequest { confirm_gains: false, ..confirmed(wish.clone()) };
    let status = register(&operator, unconfirmed).await.unwrap_err();
    assert_eq!(reason(&status), "GAINS_UNCONFIRMED");
    let metadata = tonic_types::StatusExt::get_details_error_info(&status).unwrap().metadata;
    assert_eq!(metadata["roles"].split(", ").count(), 20);
    let count = |key: &str| metadata[key].parse::<usize>().unwrap();
    assert!(count("role_count") > roles, "{metadata:?}");
    assert!(status.details().len() + status.message().len() < 8 * 1024, "{}", status.details().len());
    let done = register(&operator, confirmed(wish)).await.unwrap();
    assert_eq!(usize::try_from(done.gain_count).unwrap(), count("gain_count"));
    assert_eq!(done.gains.len(), count("gain_count"), "the answer itself names them all");
    scene.server.stop().await;
}

#[tokio::test]
async fn a_reserved_permission_goes_to_the_operator_by_name_and_to_no_wildcard() {
    let scene = Scene::alone().await;
    let operator = scene.server.operator();
    // Nobody gains it by a wildcard, so there is nothing to confirm.
    let request = pb::RegisterPermissionsRequest { confirm_gains: false, ..confirmed(vec![reserved("vault.open")]) };
    let done = register(&operator, request).await.unwrap();
    assert_eq!((done.gains.len(), done.gain_count), (0, 0));
    let role = get(&operator, "roles/core.operator").await.unwrap();
    assert!(role.grants.contains(&allow("vault.open")) && role.update_revision == done.update_revision);
    let me = pb::AuthorizeRequest {
        permission: "vault.open".to_owned(),
        account: scene.tenant.clone(),
        ..Default::default()
    };
    assert_eq!(operator.access().authorize(me.clone()).await.unwrap().into_inner().decision(), pb::Decision::Allow);
    assert_eq!(scene.admin.client.access().authorize(me).await.unwrap().into_inner().decision(), pb::Decision::Deny);
    // Only it may give it.
    super::escalates(super::create(&scene.admin.client, super::role(&scene.msp, &[allow("vault.open")])).await);
    super::create(&operator, super::role(&scene.msp, &[allow("vault.open")])).await.unwrap();
    scene.server.stop().await;
}

#[tokio::test]
async fn a_permission_belongs_to_who_registered_it_and_keeps_its_flags() {
    let scene = Scene::alone().await;
    let operator = scene.server.operator();
    let for_msp = |permissions: Vec<pb::Permission>| pb::RegisterPermissionsRequest {
        owner_account: scene.msp.clone(),
        ..confirmed(permissions)
    };
    let first = register(&operator, for_msp(vec![permission("robots.wake")])).await.unwrap();
    assert_eq!(first.permissions[0].owner, scene.msp);
    for taken in ["robots.wake", "peers.view", "ftp.view"] {
        let result = register(&operator, confirmed(vec![permission("robots.new"), permission(taken)])).await;
        refused(result, Code::AlreadyExists, "PERMISSION_OWNED_BY_OTHER");
    }
    // Its own may be renamed; nobody gains by that.
    let renamed = pb::Permission { title: "Wake robots".to_owned(), ..permission("robots.wake") };
    let request = pb::RegisterPermissionsRequest { confirm_gains: false, ..for_msp(vec![renamed.clone()]) };
    let second = register(&operator, request.clone()).await.unwrap();
    assert!(second.permissions[0].title == "Wake robots" && second.update_revision > first.update_revision);
    // Again, nothing changes.
    assert_eq!(register(&operator, request).await.unwrap().update_revision, second.update_revision);

    let flagged = pb::Permission { reserved: true, on_suspended: true, ..renamed };
    let status = register(&operator, for_msp(vec![flagged])).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["permissions[0].reserved", "permissions[0].on_suspended"]);
    assert!(status.message().contains("`permissions[0].reserved` must be `false`"), "{}", status.message());
    register(&operator, for_msp(vec![reserved("vault.open")])).await.unwrap();
    let loosened = register(&operator, for_msp(vec![permission("vault.open")])).await.unwrap_err();
    assert_eq!(bad_fields(&loosened), ["permissions[0].privileged", "permissions[0].reserved"]);
    let details = tonic_types::StatusExt::get_details_bad_request(&loosened).unwrap().field_violations;
    for part in ["must be `true`", "was registered so", "or register another name"] {
        assert!(details[1].description.contains(part), "{}", details[1].description);
    }
    is_missing(
        register(
            &operator,
            pb::RegisterPermissionsRequest {
                owner_account: "accounts/nowhere".to_owned(),
                ..confirmed(vec![permission("robots.new")])
            },
        )
        .await,
    );
    // Whoever holds the reserved right nowhere is told nothing else.
    let result = register(&scene.admin.client, confirmed(vec![permission("robots.new")])).await;
    refused(result, Code::PermissionDenied, "PERMISSION_DENIED");
    scene.server.stop().await;
}

#[tokio::test]
async fn wrong_permissions_are_all_named_at_once() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    let wrong = vec![
        permission("robots"),
        pb::Permission { title: String::new(), feature: "a\u{200B}b".to_owned(), ..permission("robots.wake") },
        permission("robots.wake"),
        permission("*.view"),
        permission(&format!("{}.view", "a".repeat(64))),
    ];
    let request = pb::RegisterPermissionsRequest { owner_account: "platform".to_owned(), ..confirmed(wrong) };
    let status = register(&operator, request).await.unwrap_err();
    assert_eq!(
        bad_fields(&status),
        [
            "owner_account",
            "permissions[0].name",
            "permissions[1].title",
            "permissions[1].feature",
            "permissions[2].name",
            "permissions[3].name",
            "permissions[4].name",
        ]
    );
    for wrong in [Vec::new(), vec![permission("robots.wake"); 1001]] {
        let status = register(&operator, confirmed(wrong)).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["permissions"]);
    }
}

#[tokio::test]
async fn four_thousand_and_ninety_six_permissions_work() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let tenant = server.customer("tenant", &msp).await;
    let began = Instant::now();
    let names: Vec<String> = (0..4096).map(|number| format!("resource_{}.act_{number}", number / 64)).collect();
    for names in names.chunks(1000) {
        let mut request = confirmed(names.iter().map(|name| permission(name)).collect());
        request.request_id = crate::support::request_id();
        let done = register(&operator, request.clone()).await.unwrap();
        assert_eq!(done.permissions.len(), names.len());
        assert_eq!(register(&operator, request).await.unwrap(), done);
    }
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());

    // They are listed, decided on, and put into roles.
    let (mut found, mut request) = (Vec::new(), pb::ListPermissionsRequest { page_size: 1000, ..Default::default() });
    loop {
        let page = operator.roles().list_permissions(request.clone()).await.unwrap().into_inner();
        found.extend(page.permissions.into_iter().map(|permission| permission.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert!(found.is_sorted() && found.len() > 4096);
    assert!(names.iter().all(|name| found.binary_search(name).is_ok()));
    let role = super::create(&operator, super::role(&msp, &[allow("resource_63.*"), allow("resource_0.act_7")]))
        .await
        .unwrap();
    let peer = server.person_on(&msp, "someone", &role.name, &[&tenant]).await;
    for (name, may) in [("resource_63.act_4095", true), ("resource_0.act_7", true), ("resource_0.act_8", false)] {
        assert_eq!(server.may(&peer.name, name, &tenant).await, may, "{name}");
    }
    // The catalogue has an end.
    let more =
        |from: u32| confirmed((from..from + 1000).map(|number| permission(&format!("more.act_{number}"))).collect());
    let mut from = 0;
    let status = loop {
        match register(&operator, more(from)).await {
            Ok(_) => from += 1000,
            Err(status) => break status,
        }
        assert!(from < 8192, "there is no end");
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "LIMIT_REACHED"));
    server.stop().await;
}

#[tokio::test]
async fn the_catalogue_is_listed_by_name_and_filtered() {
    let scene = Scene::new().await;
    let mut roles = scene.admin.client.roles();
    let mut names = async |filter: &str| -> Vec<String> {
        let request = pb::ListPermissionsRequest { page_size: 1000, filter: filter.to_owned(), ..Default::default() };
        roles
            .list_permissions(request)
            .await
            .unwrap()
            .into_inner()
            .permissions
            .into_iter()
            .map(|one| one.name)
            .collect()
    };
    assert_eq!(names("resource = permissions").await, ["permissions.register"]);
    let reserved = names("reserved = true AND owner = \"packs/core\"").await;
    assert!(reserved.contains(&"accounts.create_partner".to_owned()) && reserved.is_sorted());
    assert_eq!(names("feature = Access AND on_suspended = true").await, ["access.check"]);
    assert!(names("owner = accounts/nowhere").await.is_empty());

    let mut roles = scene.admin.client.roles();
    for (filter, why) in
        [("name = x", "FILTER_INVALID"), ("owner = packs/", "FILTER_INVALID"), ("reserved", "FILTER_INVALID")]
    {
        let request = pb::ListPermissionsRequest { filter: filter.to_owned(), ..Default::default() };
        refused(roles.list_permissions(request).await, Code::InvalidArgument, why);
    }
    let request = pb::ListPermissionsRequest { page_size: 2, ..Default::default() };
    let first = roles.list_permissions(request.clone()).await.unwrap().into_inner();
    let token = first.next_page_token;
    let second = pb::ListPermissionsRequest { page_token: token.clone(), ..request.clone() };
    let second = roles.list_permissions(second).await.unwrap().into_inner();
    assert!(first.permissions[1].name < second.permissions[0].name);
    let other = pb::ListPermissionsRequest { page_token: token, filter: "resource = peers".to_owned(), ..request };
    refused(roles.list_permissions(other).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
}
