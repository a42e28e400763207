//! Windows and modes: a right begins and ends by itself, an eligible one waits to be raised.

use std::time::Duration;

use peerage::transport::grpc::pb;

use super::{bind, binding, eligible, of_group, rebind, until};
use crate::groups;
use crate::roles::{Scene, allow, deny};

#[tokio::test]
async fn a_right_begins_and_ends_by_itself_and_windows_are_half_open() {
    let scene = Scene::alone().await;
    let name = scene.role(&[allow("ftp.view")]).await;
    let holder = scene.nobody().await;
    let wish = pb::RoleBinding {
        start_time: Some(scene.server.time(60)),
        ..until(binding(&holder.name, &name, &scene.tenant), scene.server.time(120))
    };
    bind(&scene.admin.client, wish).await.unwrap();
    let revision = scene.server.decide(&holder.name, "ftp.view", &scene.tenant).await.revision;
    let may = async || scene.server.may(&holder.name, "ftp.view", &scene.tenant).await;
    let micro = Duration::from_micros(1);
    for (by, expected) in [
        (Duration::ZERO, false),
        (Duration::from_secs(60) - micro, false),
        (micro, true),
        (Duration::from_secs(60) - micro, true),
        (micro, false),
        (Duration::from_secs(86_400), false),
    ] {
        scene.server.advance(by);
        assert_eq!(may().await, expected, "after {by:?} more");
    }
    // No job ran, no policy changed: the clock alone did it.
    assert_eq!(scene.server.decide(&holder.name, "ftp.view", &scene.tenant).await.revision, revision);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_window_is_moved_and_lifted() {
    let scene = Scene::alone().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let holder = scene.nobody().await;
    let made = bind(admin, until(binding(&holder.name, &name, &scene.tenant), scene.server.time(60))).await.unwrap();
    let named = pb::RoleBinding { name: made.name, ..Default::default() };
    scene.server.advance(Duration::from_secs(60));
    assert!(!scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
    let longer = pb::RoleBinding { expire_time: Some(scene.server.time(60)), ..named.clone() };
    rebind(admin, longer, &[]).await.unwrap();
    assert!(scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
    rebind(admin, named, &["expire_time"]).await.unwrap();
    scene.server.advance(Duration::from_secs(86_400 * 365));
    assert!(scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
    scene.server.stop().await;
}

#[tokio::test]
async fn an_eligible_binding_only_says_that_it_could_be_raised() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view"), deny("websites.view")]).await;
    let viewer = scene.role(&[allow("websites.view")]).await;
    let holder = scene.nobody().await;
    bind(admin, binding(&holder.name, &viewer, &scene.tenant)).await.unwrap();
    let made = bind(admin, eligible(binding(&holder.name, &name, &scene.tenant))).await.unwrap();
    let told = scene.server.decide(&holder.name, "ftp.view", &scene.tenant).await;
    assert_eq!((told.decision(), told.reason()), (pb::Decision::Deny, pb::DecisionReason::EligibleNotActive));
    assert!(matches!(
        &told.obligations[0].obligation,
        Some(pb::obligation::Obligation::Elevation(elevation)) if elevation.role_binding == made.name
    ));
    // Its DENY takes nothing away until it is raised.
    assert!(scene.server.may(&holder.name, "websites.view", &scene.tenant).await);
    let active = pb::RoleBinding { name: made.name, mode: pb::BindingMode::Active.into(), ..Default::default() };
    rebind(admin, active, &[]).await.unwrap();
    assert!(scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
    assert!(!scene.server.may(&holder.name, "websites.view", &scene.tenant).await);
}

#[tokio::test]
async fn a_group_gives_while_membership_and_binding_both_last() {
    let scene = Scene::alone().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let holder = scene.nobody().await;
    let group = groups::make(admin, &scene.msp).await;
    let binding = pb::RoleBinding { start_time: Some(scene.server.time(60)), ..of_group(&group, &name, &scene.tenant) };
    bind(admin, binding).await.unwrap();
    let member = pb::GroupMember { expire_time: Some(scene.server.time(120)), ..groups::member(&holder.name) };
    groups::add(admin, &group, member).await.unwrap();
    for (seconds, expected) in [(0, false), (59, false), (1, true), (59, true), (1, false)] {
        scene.server.advance(Duration::from_secs(seconds));
        assert_eq!(scene.server.may(&holder.name, "ftp.view", &scene.tenant).await, expected, "{seconds} s later");
    }
    // A membership that is over is renewed by leaving and joining.
    groups::leave(admin, &group, &holder.name).await.unwrap();
    groups::join(admin, &group, &holder.name).await.unwrap();
    assert!(scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
    groups::leave(admin, &group, &holder.name).await.unwrap();
    assert!(!scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);

    let member = pb::GroupMember { mode: pb::BindingMode::Eligible.into(), ..groups::member(&holder.name) };
    groups::add(admin, &group, member).await.unwrap();
    let told = scene.server.decide(&holder.name, "ftp.view", &scene.tenant).await;
    assert_eq!(told.reason(), pb::DecisionReason::EligibleNotActive);
    assert!(matches!(
        &told.obligations[0].obligation,
        Some(pb::obligation::Obligation::Elevation(elevation)) if elevation.group == group
    ));
    scene.server.stop().await;
}
