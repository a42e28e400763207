//! Bad input of roles: every wrong field is named at once, and nothing is half written.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{Scene, allow, create, deny, refused, role, update, where_label, with_approval};
use crate::support::{bad_fields, reason};

#[tokio::test]
async fn every_wrong_field_of_a_role_is_named_at_once() {
    let scene = Scene::new().await;
    let bad = pb::Role {
        title: "Role\u{202E}".to_owned(),
        description: "a".repeat(1025),
        owner_account: "contoso".to_owned(),
        grants: vec![
            allow("websites"),
            allow("web*.view"),
            pb::Grant { effect: 0, ..allow("ftp.view") },
            pb::Grant { effect: 9, ..allow("ftp.view") },
            with_approval(deny("ftp.view")),
            allow("ftp.update"),
            allow("ftp.update"),
            where_label(allow("ftp.view"), "Env", "te st"),
            pb::Grant {
                requirements: Some(pb::Requirements {
                    step_up: Some(pb::StepUpRequirement::default()),
                    approval: None,
                }),
                ..allow("ftp.create")
            },
        ],
        rules: Some(pb::RoleRules {
            max_holders: -1,
            peer_kinds: vec![1, 1],
            account_kinds: vec![0],
            reaches: vec![7],
            min_assurance: 9,
            ..Default::default()
        }),
        ..Default::default()
    };
    let status = create(&scene.admin.client, bad).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    assert_eq!(
        bad_fields(&status),
        [
            "role.owner_account",
            "role.title",
            "role.description",
            "role.grants[0].permission",
            "role.grants[1].permission",
            "role.grants[2].effect",
            "role.grants[3].effect",
            "role.grants[4].requirements",
            "role.grants[6]",
            "role.grants[7].condition.account_labels[0].key",
            "role.grants[7].condition.account_labels[0].values[0]",
            "role.grants[8].requirements.step_up",
            "role.rules.max_holders",
            "role.rules.peer_kinds",
            "role.rules.account_kinds[0]",
            "role.rules.reaches[0]",
            "role.rules.min_assurance",
        ]
    );
}

#[tokio::test]
async fn a_role_holds_1_to_512_grants() {
    let scene = Scene::new().await;
    let many = |count: usize| -> Vec<pb::Grant> {
        let grant = |number: usize| match number % 2 {
            0 => allow(&format!("service_{number}.*")),
            _ => deny(&format!("service_{number}.*")),
        };
        (0..count).map(grant).collect()
    };
    for grants in [many(0), many(513)] {
        let status = create(&scene.admin.client, role(&scene.msp, &grants)).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["role.grants"]);
    }
    let made = create(&scene.admin.client, role(&scene.msp, &many(512))).await.unwrap();
    assert_eq!(made.grants.len(), 512);
}

#[tokio::test]
async fn unregistered_permissions_are_named() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let one = role(&scene.msp, &[allow("ftp.view"), allow("ftp.levitate")]);
    let status = create(admin, one).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PERMISSION_UNKNOWN"));
    assert_eq!(bad_fields(&status), ["role.grants[1].permission"]);
    let several = role(&scene.msp, &[deny("gravity.defy"), allow("ftp.view"), allow("ftp.levitate")]);
    let status = create(admin, several).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PERMISSION_UNKNOWN"));
    assert_eq!(bad_fields(&status), ["role.grants[0].permission", "role.grants[2].permission"]);

    let made = create(admin, role(&scene.msp, &[allow("ftp.view")])).await.unwrap();
    let wish = pb::Role { name: made.name, grants: vec![allow("ftp.levitate")], ..Default::default() };
    refused(update(admin, wish, &["grants"]).await, Code::InvalidArgument, "PERMISSION_UNKNOWN");
    // A wildcard speaks of what is yet to come.
    create(admin, role(&scene.msp, &[allow("gravity.*")])).await.unwrap();
}

#[tokio::test]
async fn conditions_that_are_not_built_are_refused_by_name() {
    let scene = Scene::new().await;
    let condition = pb::Condition {
        source_networks: vec!["10.0.0.0/8".to_owned()],
        weekly_windows: vec![pb::WeeklyWindow::default()],
        resource_attributes: vec![pb::AttributeMatch::default()],
        account_labels: Vec::new(),
    };
    let wish = role(&scene.msp, &[pb::Grant { condition: Some(condition), ..allow("ftp.view") }]);
    let status = create(&scene.admin.client, wish).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FIELD_NOT_SUPPORTED"));
    assert_eq!(
        bad_fields(&status),
        ["source_networks", "weekly_windows", "resource_attributes"]
            .map(|part| format!("role.grants[0].condition.{part}"))
    );
    // An empty condition always holds.
    let empty = pb::Grant { condition: Some(pb::Condition::default()), ..allow("ftp.view") };
    let made = create(&scene.admin.client, role(&scene.msp, &[empty])).await.unwrap();
    assert_eq!(made.grants[0].condition, None);
}

#[tokio::test]
async fn a_role_has_few_different_conditions() {
    let scene = Scene::new().await;
    let grants = |conditions: usize| -> Vec<pb::Grant> {
        let tiers = (0..conditions).map(|tier| where_label(allow("ftp.view"), "tier", &format!("t{tier}")));
        tiers.chain([where_label(allow("websites.view"), "tier", "t0")]).collect()
    };
    create(&scene.admin.client, role(&scene.msp, &grants(32))).await.unwrap();
    let status = create(&scene.admin.client, role(&scene.msp, &grants(33))).await.unwrap_err();
    assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["role.grants".to_owned()]));
}

#[tokio::test]
async fn refusals_speak_the_words_of_the_wire() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    let person = i32::from(pb::PeerKind::Person);
    let rules = pb::RoleRules { peer_kinds: vec![person, person], ..pb::RoleRules::default() };
    let new = pb::Role { rules: Some(rules), ..role(&scene.msp, &[allow("ftp.view")]) };
    let status = create(&operator, new).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["role.rules.peer_kinds"]);
    assert!(status.message().contains("contains `PEER_KIND_PERSON` more than once"), "{}", status.message());
    let list = pb::ListRolesRequest { account: scene.msp.clone(), page_size: -1, ..pb::ListRolesRequest::default() };
    let status = operator.roles().list_roles(list).await.unwrap_err();
    assert!(status.message().contains("`page_size` must not be negative"), "{}", status.message());
}
