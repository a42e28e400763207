//! What Authorize answers where grants have conditions.

use std::time::Duration;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::attribute_match::Demand;
use peerage::transport::grpc::pb::{Decision, DecisionReason};
use tonic::Code;

use super::{and, attribute, context, is_text, networks, number, text, when, window};
use crate::bindings::{bind, binding};
use crate::roles::{Scene, allow, create, deny, role, with_approval};
use crate::support::TestPeer;

const UTC: &str = "Etc/UTC";

/// Asks about a peer under circumstances.
async fn ask(
    scene: &Scene,
    peer: &TestPeer,
    permission: &str,
    context: Option<pb::DecisionContext>,
) -> pb::AuthorizeResponse {
    let request = pb::AuthorizeRequest {
        subject: Some(pb::authorize_request::Subject::Peer(peer.name.clone())),
        permission: permission.to_owned(),
        account: scene.tenant.clone(),
        context,
        ..Default::default()
    };
    scene.server.operator().access().authorize(request).await.unwrap().into_inner()
}

#[track_caller]
fn is(answer: &pb::AuthorizeResponse, reason: DecisionReason, missing: &str) {
    assert_eq!((answer.reason(), answer.missing_attribute.as_str()), (reason, missing), "{answer:?}");
    assert_eq!(answer.decision() == Decision::Allow, reason == DecisionReason::Allowed);
}

#[tokio::test]
async fn a_grant_counts_from_its_networks_alone() {
    let scene = Scene::new().await;
    let office = networks(&["192.0.2.0/24", "2001:db8::/32"]);
    let peer = scene.with(&[when(allow("ftp.view"), office)]).await;
    for (address, reason, missing) in [
        ("192.0.2.0", DecisionReason::Allowed, ""),
        ("192.0.2.255", DecisionReason::Allowed, ""),
        ("::ffff:192.0.2.9", DecisionReason::Allowed, ""),
        ("2001:db8:ffff::1", DecisionReason::Allowed, ""),
        ("192.0.3.0", DecisionReason::NoMatchingGrant, ""),
        ("2001:db9::", DecisionReason::NoMatchingGrant, ""),
        ("", DecisionReason::MissingAttribute, "@source_address"),
    ] {
        is(&ask(&scene, &peer, "ftp.view", Some(context(address, &[]))).await, reason, missing);
    }
    // An attribute of that name is no address.
    let named = context("", &[("@source_address", text("192.0.2.1")), ("source_address", text("192.0.2.1"))]);
    is(&ask(&scene, &peer, "ftp.view", Some(named)).await, DecisionReason::MissingAttribute, "@source_address");
    is(&ask(&scene, &peer, "ftp.view", None).await, DecisionReason::MissingAttribute, "@source_address");
}

/// Seconds from now until a minute of a day of the week in UTC, Monday being 0.
fn until(scene: &Scene, day: i64, minute: i64) -> Duration {
    let week = 7 * 86_400;
    // The epoch was a Thursday.
    let now = (scene.server.time(0).seconds + 3 * 86_400) % week;
    let seconds = (day * 86_400 + minute * 60 - now - 1).rem_euclid(week) + 1;
    Duration::from_secs(u64::try_from(seconds).unwrap())
}

#[tokio::test]
async fn a_grant_counts_in_its_weekly_windows_alone() {
    let scene = Scene::alone().await;
    // Over the end of the week, and office hours of two days.
    let night = when(allow("ftp.view"), window(&[7], (1320, 360), UTC));
    let office = when(allow("ftp.update"), window(&[1, 2], (540, 1020), UTC));
    let peer = scene.with(&[night, office]).await;
    // Of a week that begins on Saturday at noon.
    for (day, minute, night, office) in [
        (5, 720, false, false),
        (6, 1319, false, false),
        (6, 1320, true, false),
        (0, 0, true, false),
        (0, 359, true, false),
        (0, 360, false, false),
        (0, 539, false, false),
        (0, 540, false, true),
        (0, 1019, false, true),
        (0, 1020, false, false),
        (1, 540, false, true),
        (2, 540, false, false),
    ] {
        scene.server.advance(until(&scene, day, minute));
        for (permission, expected) in [("ftp.view", night), ("ftp.update", office)] {
            let reason = if expected { DecisionReason::Allowed } else { DecisionReason::NoMatchingGrant };
            is(&ask(&scene, &peer, permission, None).await, reason, "");
        }
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_grant_counts_for_resources_with_its_attributes_alone() {
    let scene = Scene::new().await;
    let range = pb::IntRange { start: Some(1), end: Some(10) };
    let any = pb::AttributeValueList { values: vec![text("gold"), number(7)] };
    let peer = scene
        .with(&[
            when(allow("ftp.view"), attribute("tier", Demand::AnyOf(any))),
            when(allow("ftp.create"), attribute("name", Demand::Prefix("srv-".to_owned()))),
            when(allow("ftp.update"), attribute("size", Demand::Range(range))),
            when(allow("ftp.delete"), and(is_text("tier", "gold"), networks(&["10.0.0.0/8"]))),
        ])
        .await;
    use DecisionReason::{Allowed, MissingAttribute, NoMatchingGrant};
    let cases = [
        ("ftp.view", context("", &[("tier", text("gold"))]), Allowed, ""),
        ("ftp.view", context("", &[("tier", number(7))]), Allowed, ""),
        // Of another type, and in another case: there, and wrong.
        ("ftp.view", context("", &[("tier", text("7"))]), NoMatchingGrant, ""),
        ("ftp.view", context("", &[("tier", text("Gold"))]), NoMatchingGrant, ""),
        ("ftp.view", context("", &[("Tier", text("gold"))]), MissingAttribute, "tier"),
        ("ftp.create", context("", &[("name", text("srv-1"))]), Allowed, ""),
        ("ftp.create", context("", &[("name", text("srv"))]), NoMatchingGrant, ""),
        ("ftp.update", context("", &[("size", number(1))]), Allowed, ""),
        ("ftp.update", context("", &[("size", number(9))]), Allowed, ""),
        ("ftp.update", context("", &[("size", number(10))]), NoMatchingGrant, ""),
        ("ftp.update", context("", &[("size", number(0))]), NoMatchingGrant, ""),
        ("ftp.update", context("", &[("size", text("5"))]), NoMatchingGrant, ""),
        ("ftp.update", context("", &[]), MissingAttribute, "size"),
        // All parts must hold; one that fails decides, otherwise the first that is missing is named.
        ("ftp.delete", context("10.1.2.3", &[("tier", text("gold"))]), Allowed, ""),
        ("ftp.delete", context("10.1.2.3", &[]), MissingAttribute, "tier"),
        ("ftp.delete", context("", &[("tier", text("gold"))]), MissingAttribute, "@source_address"),
        ("ftp.delete", context("", &[]), MissingAttribute, "@source_address"),
        ("ftp.delete", context("11.0.0.1", &[]), NoMatchingGrant, ""),
        ("ftp.delete", context("", &[("tier", text("iron"))]), NoMatchingGrant, ""),
    ];
    for (permission, context, reason, missing) in cases {
        is(&ask(&scene, &peer, permission, Some(context)).await, reason, missing);
    }
}

#[tokio::test]
async fn a_deny_counts_unless_its_condition_is_known_to_fail() {
    let scene = Scene::new().await;
    let critical = is_text("class", "critical");
    let peer = scene.with(&[allow("ftp.*"), when(deny("ftp.delete"), critical)]).await;
    let say = |value: &str| Some(context("", &[("class", text(value))]));
    is(&ask(&scene, &peer, "ftp.delete", say("plain")).await, DecisionReason::Allowed, "");
    is(&ask(&scene, &peer, "ftp.delete", say("critical")).await, DecisionReason::DenyGrant, "");
    let other_type = Some(context("", &[("class", number(1))]));
    is(&ask(&scene, &peer, "ftp.delete", other_type).await, DecisionReason::Allowed, "");
    let unsaid = ask(&scene, &peer, "ftp.delete", None).await;
    is(&unsaid, DecisionReason::DenyGrant, "class");
    assert_eq!(unsaid.grant_index, 1);
    // Where another DENY holds for certain, nothing depends on what is missing.
    let certain = scene.role(&[deny("ftp.delete")]).await;
    bind(&scene.server.operator(), binding(&peer.name, &certain, &scene.tenant)).await.unwrap();
    let answer = ask(&scene, &peer, "ftp.delete", None).await;
    is(&answer, DecisionReason::DenyGrant, "");
    assert_eq!(answer.role, certain);
}

#[tokio::test]
async fn the_reasons_of_a_denial_have_their_order() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    let peer = scene.with(&[when(allow("ftp.view"), is_text("tier", "gold"))]).await;
    let missing = ask(&scene, &peer, "ftp.view", None).await;
    is(&missing, DecisionReason::MissingAttribute, "tier");
    // It says which grant would have matched.
    assert!(!missing.role_binding.is_empty() && !missing.role.is_empty() && missing.obligations.is_empty());

    // An eligible binding that matches comes before one that lacks something.
    let plain = scene.role(&[allow("ftp.view")]).await;
    let eligible =
        pb::RoleBinding { mode: pb::BindingMode::Eligible.into(), ..binding(&peer.name, &plain, &scene.tenant) };
    let eligible = bind(&operator, eligible).await.unwrap();
    let waiting = ask(&scene, &peer, "ftp.view", None).await;
    is(&waiting, DecisionReason::EligibleNotActive, "");
    let [pb::Obligation { obligation: Some(pb::obligation::Obligation::Elevation(elevation)) }] =
        waiting.obligations.as_slice()
    else {
        panic!("{waiting:?}")
    };
    assert_eq!((elevation.role_binding.as_str(), elevation.group.as_str()), (eligible.name.as_str(), ""));
    // What matches decides, whatever others lack, also with something left to do.
    let approved = scene.role(&[with_approval(allow("ftp.view"))]).await;
    bind(&operator, binding(&peer.name, &approved, &scene.tenant)).await.unwrap();
    is(&ask(&scene, &peer, "ftp.view", None).await, DecisionReason::ApprovalRequired, "");
    let gold = Some(context("", &[("tier", text("gold"))]));
    is(&ask(&scene, &peer, "ftp.view", gold).await, DecisionReason::Allowed, "");
}

#[tokio::test]
async fn an_elevation_is_asked_of_what_is_eligible() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    let plain = scene.role(&[allow("ftp.view")]).await;
    for (member_mode, binding_mode) in [
        (pb::BindingMode::Eligible, pb::BindingMode::Active),
        (pb::BindingMode::Active, pb::BindingMode::Eligible),
        (pb::BindingMode::Eligible, pb::BindingMode::Eligible),
    ] {
        let group = crate::groups::make(&operator, &scene.msp).await;
        let bound = crate::support::policy::of_group(&group, &plain, &scene.msp);
        let bound = bind(&operator, pb::RoleBinding { mode: binding_mode.into(), ..bound }).await.unwrap();
        let peer = scene.nobody().await;
        let member = pb::GroupMember { mode: member_mode.into(), ..crate::groups::member(&peer.name) };
        crate::groups::add(&operator, &group, member).await.unwrap();
        let answer = ask(&scene, &peer, "ftp.view", None).await;
        is(&answer, DecisionReason::EligibleNotActive, "");
        let wanted: Vec<(String, String)> = answer
            .obligations
            .into_iter()
            .map(|obligation| match obligation.obligation {
                Some(pb::obligation::Obligation::Elevation(elevation)) => {
                    assert_eq!(elevation.method, "/peerage.v1.ElevationService/RequestElevation");
                    (elevation.group, elevation.role_binding)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let mut expected = Vec::new();
        if member_mode == pb::BindingMode::Eligible {
            expected.push((group, String::new()));
        }
        if binding_mode == pb::BindingMode::Eligible {
            expected.push((String::new(), bound.name));
        }
        assert_eq!(wanted, expected);
    }
}

#[tokio::test]
async fn a_batch_decides_each_item_under_its_own_circumstances() {
    let scene = Scene::new().await;
    let peer = scene.with(&[when(allow("ftp.view"), networks(&["10.0.0.0/8"]))]).await;
    let item = |context: Option<pb::DecisionContext>| pb::BatchAuthorizeItem { context, ..Default::default() };
    let request = pb::BatchAuthorizeRequest {
        default_subject: Some(pb::batch_authorize_request::DefaultSubject::DefaultPeer(peer.name.clone())),
        default_permission: "ftp.view".to_owned(),
        default_account: scene.tenant.clone(),
        default_context: Some(context("10.0.0.1", &[])),
        items: vec![item(None), item(Some(context("11.0.0.1", &[]))), item(Some(context("", &[]))), item(None)],
        ..Default::default()
    };
    let answer = scene.server.operator().access().batch_authorize(request).await.unwrap().into_inner();
    let reasons: Vec<DecisionReason> = answer
        .results
        .iter()
        .map(|result| match &result.result {
            Some(pb::batch_authorize_result::Result::Decision(decision)) => decision.reason(),
            other => panic!("{other:?}"),
        })
        .collect();
    use DecisionReason::{Allowed, MissingAttribute, NoMatchingGrant};
    assert_eq!(reasons, [Allowed, NoMatchingGrant, MissingAttribute, Allowed]);
}

#[tokio::test]
async fn a_role_that_names_an_unknown_zone_is_refused() {
    let scene = Scene::new().await;
    for zone in ["Europe/Atlantis", "+01:00", "CET-1CEST", ""] {
        let grant = when(allow("ftp.view"), window(&[1], (0, 1440), zone));
        let status = create(&scene.server.operator(), role(&scene.msp, &[grant])).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{zone}");
        let field = "role.grants[0].condition.weekly_windows[0].time_zone";
        assert_eq!(crate::support::bad_fields(&status), [field], "{zone}");
    }
}
