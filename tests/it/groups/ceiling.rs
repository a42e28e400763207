//! Nobody gains, gives or lifts by a group what they do not hold (DESIGN 8, rule 1).

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{add, delete, join, leave, make, member};
use crate::bindings::{bind, of_group, until};
use crate::roles::{ADMINISTRATOR, Scene, administration, allow, deny, escalates, refused};

#[tokio::test]
async fn nobody_joins_a_group_above_themselves() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let grants: Vec<pb::Grant> = administration().into_iter().chain([allow("ftp.view")]).collect();
    let lead = scene.with(&grants).await;
    let other = scene.nobody().await.name;
    let (own, above) = (make(admin, &scene.msp).await, make(admin, &scene.msp).await);
    bind(admin, of_group(&own, &scene.role(&[allow("ftp.view")]).await, &scene.tenant)).await.unwrap();
    bind(admin, of_group(&above, ADMINISTRATOR, &scene.tenant)).await.unwrap();
    for peer in ["peers/me", other.as_str()] {
        join(&lead.client, &own, peer).await.unwrap();
        escalates(join(&lead.client, &above, peer).await);
        let eligible = pb::GroupMember { mode: pb::BindingMode::Eligible.into(), ..member(peer) };
        escalates(add(&lead.client, &above, eligible).await);
        let short = pb::GroupMember { expire_time: Some(scene.server.time(60)), ..member(peer) };
        escalates(add(&lead.client, &above, short).await);
    }
    // Nor is a group that one is in bound to more.
    escalates(bind(&lead.client, of_group(&own, ADMINISTRATOR, &scene.tenant)).await);
    assert!(!scene.server.may(&lead.name, "websites.update", &scene.tenant).await);
}

#[tokio::test]
async fn a_membership_does_not_outlive_the_right_of_who_gave_it() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let lead = scene.with(&administration()).await;
    let ftp = scene.role(&[allow("ftp.view")]).await;
    let hour = scene.server.time(3600);
    bind(admin, until(crate::bindings::binding(&lead.name, &ftp, &scene.msp), hour)).await.unwrap();
    let group = make(admin, &scene.msp).await;
    bind(admin, of_group(&group, &ftp, &scene.tenant)).await.unwrap();
    let other = scene.nobody().await.name;
    escalates(join(&lead.client, &group, &other).await);
    let within = pb::GroupMember { expire_time: Some(hour), ..member(&other) };
    add(&lead.client, &group, within).await.unwrap();
}

#[tokio::test]
async fn nobody_leaves_a_group_to_lift_its_deny() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let grants: Vec<pb::Grant> = administration().into_iter().chain([allow("ftp.*")]).collect();
    let lead = scene.with(&grants).await;
    let group = make(admin, &scene.msp).await;
    bind(admin, of_group(&group, &scene.role(&[deny("ftp.delete")]).await, &scene.msp)).await.unwrap();
    let other = scene.nobody().await.name;
    for peer in [lead.name.as_str(), other.as_str()] {
        join(admin, &group, peer).await.unwrap();
    }
    for peer in ["peers/me", other.as_str()] {
        escalates(leave(&lead.client, &group, peer).await);
    }
    assert!(!scene.server.may(&lead.name, "ftp.delete", &scene.tenant).await);
    leave(admin, &group, &lead.name).await.unwrap();
    assert!(scene.server.may(&lead.name, "ftp.delete", &scene.tenant).await);
    leave(&lead.client, &group, &other).await.unwrap();
}

#[tokio::test]
async fn nobody_deletes_a_group_to_lift_its_deny() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let grants: Vec<pb::Grant> = administration().into_iter().chain([allow("ftp.*")]).collect();
    let lead = scene.with(&grants).await;
    let group = make(admin, &scene.msp).await;
    let ban = bind(admin, of_group(&group, &scene.role(&[deny("ftp.delete")]).await, &scene.msp)).await.unwrap();
    join(admin, &group, &lead.name).await.unwrap();
    // While it is bound it stays, and its binding is not the lead's to take.
    refused(delete(&lead.client, &group).await, Code::FailedPrecondition, "GROUP_IN_USE");
    escalates(crate::bindings::unbind(&lead.client, &ban.name).await);
    assert!(!scene.server.may(&lead.name, "ftp.delete", &scene.tenant).await);
}
