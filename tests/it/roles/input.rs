//! Bad input of roles: every wrong field is named at once, and nothing is half written.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::attribute_match::Demand;
use peerage::transport::grpc::pb::attribute_value::Kind;
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
async fn every_wrong_field_of_a_condition_is_named_at_once() {
    let scene = Scene::new().await;
    let window = pb::WeeklyWindow { days: vec![1], start_minute: 0, end_minute: 1440, time_zone: "Etc/UTC".into() };
    let wanted = |attribute: &str, demand| pb::AttributeMatch { attribute: attribute.to_owned(), demand };
    let prefix = |text: &str| Some(Demand::Prefix(text.to_owned()));
    let range = |start, end| Some(Demand::Range(pb::IntRange { start, end }));
    let any = |values: Vec<pb::AttributeValue>| Some(Demand::AnyOf(pb::AttributeValueList { values }));
    let text = |text: String| pb::AttributeValue { kind: Some(Kind::StringValue(text)) };
    let condition = pb::Condition {
        source_networks: ["10.0.0.0/8", "10.0.0.1/8", "", "office"].map(str::to_owned).to_vec(),
        weekly_windows: vec![
            window.clone(),
            pb::WeeklyWindow::default(),
            pb::WeeklyWindow { days: vec![1, 1], ..window.clone() },
            pb::WeeklyWindow { days: vec![0, 8], start_minute: 1440, end_minute: 1441, time_zone: "Mars".into() },
        ],
        resource_attributes: vec![
            wanted("size", range(Some(1), None)),
            pb::AttributeMatch::default(),
            wanted("@source_address", prefix("10.")),
            wanted("a", prefix("")),
            wanted("a", prefix(&"a".repeat(1025))),
            wanted("a", range(None, None)),
            wanted("a", range(Some(2), Some(2))),
            wanted("a", any(Vec::new())),
            wanted("a", any(vec![text("x".into()), pb::AttributeValue::default(), text("x".repeat(1025))])),
            wanted("a", Some(Demand::Equals(pb::AttributeValue::default()))),
        ],
        account_labels: vec![
            pb::AccountLabelMatch { key: "env".into(), values: Vec::new() },
            pb::AccountLabelMatch { key: "Env".into(), values: vec!["te st".into()] },
        ],
    };
    let wish = role(&scene.msp, &[pb::Grant { condition: Some(condition), ..allow("ftp.view") }]);
    let status = create(&scene.admin.client, wish).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    assert_eq!(
        bad_fields(&status),
        [
            "source_networks[1]",
            "source_networks[2]",
            "source_networks[3]",
            "weekly_windows[1].days",
            "weekly_windows[1].end_minute",
            "weekly_windows[1].time_zone",
            "weekly_windows[2].days",
            "weekly_windows[3].days[0]",
            "weekly_windows[3].days[1]",
            "weekly_windows[3].start_minute",
            "weekly_windows[3].end_minute",
            "weekly_windows[3].time_zone",
            "resource_attributes[1].attribute",
            "resource_attributes[1]",
            "resource_attributes[2].attribute",
            "resource_attributes[3].prefix",
            "resource_attributes[4].prefix",
            "resource_attributes[5].range",
            "resource_attributes[6].range.end",
            "resource_attributes[7].any_of.values",
            "resource_attributes[8].any_of.values[1]",
            "resource_attributes[8].any_of.values[2].string_value",
            "resource_attributes[9].equals",
            "account_labels[0].values",
            "account_labels[1].key",
            "account_labels[1].values[0]",
        ]
        .map(|part| format!("role.grants[0].condition.{part}"))
    );
    // An empty condition always holds.
    let empty = pb::Grant { condition: Some(pb::Condition::default()), ..allow("ftp.view") };
    let made = create(&scene.admin.client, role(&scene.msp, &[empty])).await.unwrap();
    assert_eq!(made.grants[0].condition, None);
}

#[tokio::test]
async fn a_condition_comes_back_in_its_canonical_form() {
    let scene = Scene::new().await;
    let value = |kind| pb::AttributeValue { kind: Some(kind) };
    let any = |values| Some(Demand::AnyOf(pb::AttributeValueList { values }));
    let written = pb::Condition {
        source_networks: ["2001:DB8::/32", "::ffff:10.0.0.0/104", "10.0.0.0/8"].map(str::to_owned).to_vec(),
        weekly_windows: vec![pb::WeeklyWindow {
            days: vec![5, 1],
            start_minute: 1320,
            end_minute: 360,
            time_zone: "europe/vienna".into(),
        }],
        resource_attributes: vec![
            pb::AttributeMatch {
                attribute: "tier".into(),
                demand: any(vec![
                    value(Kind::BoolValue(true)),
                    value(Kind::IntValue(7)),
                    value(Kind::StringValue("7".into())),
                ]),
            },
            pb::AttributeMatch { attribute: "size".into(), demand: any(vec![value(Kind::IntValue(7))]) },
        ],
        account_labels: vec![pb::AccountLabelMatch {
            key: "env".into(),
            values: vec!["b".into(), "a".into(), "b".into()],
        }],
    };
    let read = pb::Condition {
        source_networks: ["10.0.0.0/8", "2001:db8::/32"].map(str::to_owned).to_vec(),
        weekly_windows: vec![pb::WeeklyWindow {
            days: vec![1, 5],
            start_minute: 1320,
            end_minute: 360,
            time_zone: "Europe/Vienna".into(),
        }],
        resource_attributes: vec![
            pb::AttributeMatch { attribute: "size".into(), demand: Some(Demand::Equals(value(Kind::IntValue(7)))) },
            pb::AttributeMatch {
                attribute: "tier".into(),
                demand: any(vec![
                    value(Kind::StringValue("7".into())),
                    value(Kind::IntValue(7)),
                    value(Kind::BoolValue(true)),
                ]),
            },
        ],
        account_labels: vec![pb::AccountLabelMatch { key: "env".into(), values: vec!["a".into(), "b".into()] }],
    };
    let grant = |condition: &pb::Condition| pb::Grant { condition: Some(condition.clone()), ..allow("ftp.view") };
    let made = create(&scene.admin.client, role(&scene.msp, &[grant(&written)])).await.unwrap();
    assert_eq!(made.grants[0].condition.as_ref(), Some(&read));
    assert_eq!(super::get(&scene.admin.client, &made.name).await.unwrap().grants, made.grants);
    // The same once more is the same grant.
    let twice = role(&scene.msp, &[grant(&written), grant(&read)]);
    let status = create(&scene.admin.client, twice).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["role.grants[1]"]);
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
    // Nor may these be long in all: 8 of 32 parts each are, and one part more is too much.
    let long = |parts: usize| -> Vec<pb::Grant> {
        let wanted = |number: usize| pb::AttributeMatch {
            attribute: format!("attribute {number}"),
            demand: Some(Demand::Prefix("a".to_owned())),
        };
        let numbers: Vec<usize> = (0..parts).collect();
        let condition = |numbers: &[usize]| pb::Condition {
            resource_attributes: numbers.iter().map(|number| wanted(*number)).collect(),
            ..Default::default()
        };
        numbers.chunks(32).map(|some| pb::Grant { condition: Some(condition(some)), ..allow("ftp.view") }).collect()
    };
    create(&scene.admin.client, role(&scene.msp, &long(256))).await.unwrap();
    let status = create(&scene.admin.client, role(&scene.msp, &long(257))).await.unwrap_err();
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
