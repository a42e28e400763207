//! Copies of roles: as strict as their source, or stricter.

use peerage::transport::grpc::pb;
use tonic::{Code, Response, Status};

use super::{Scene, allow, copy, create, delete, fresh, refused, role, update};
use crate::support::Client;

async fn copy_with(client: &Client, source: &str, owner: &str, rules: pb::RoleRules) -> Result<pb::Role, Status> {
    let request = pb::CopyRoleRequest {
        name: source.to_owned(),
        owner_account: owner.to_owned(),
        title: fresh("Copy"),
        rules: Some(rules),
        ..Default::default()
    };
    client.roles().copy_role(request).await.map(Response::into_inner)
}

#[tokio::test]
async fn a_copy_keeps_the_rules_of_its_source_and_may_only_tighten_them() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let device = "roles/mspcontrol.device";
    let made = copy(admin, device, &scene.msp).await.unwrap();
    let source = super::get(admin, device).await.unwrap();
    assert_eq!((&made.grants, &made.rules, &made.copied_from), (&source.grants, &source.rules, &source.name));
    assert!(!made.built_in && made.description == source.description);

    let strict = source.rules.clone().unwrap();
    let tighter = pb::RoleRules { peer_kinds: vec![pb::PeerKind::Device.into()], max_holders: 5, ..strict.clone() };
    let tight = copy_with(admin, device, &scene.msp, tighter.clone()).await.unwrap();
    assert_eq!(tight.rules.as_ref(), Some(&tighter));
    let looser = [
        pb::RoleRules { peer_kinds: Vec::new(), ..strict.clone() },
        pb::RoleRules { peer_kinds: vec![pb::PeerKind::Person.into()], ..strict.clone() },
        pb::RoleRules { account_kinds: Vec::new(), ..strict.clone() },
        pb::RoleRules::default(),
    ];
    for rules in looser {
        let result = copy_with(admin, device, &scene.msp, rules.clone()).await;
        refused(result, Code::FailedPrecondition, "ROLE_RULES_LOOSENED");
        let wish = pb::Role { name: made.name.clone(), rules: Some(rules), ..Default::default() };
        refused(update(admin, wish, &["rules"]).await, Code::FailedPrecondition, "ROLE_RULES_LOOSENED");
    }
    // It may be loosened again as far as its source, its grants are its own, and its title is.
    let wish = pb::Role { name: tight.name, rules: Some(strict), ..Default::default() };
    update(admin, wish, &["rules"]).await.unwrap();
    let wish = pb::Role { name: made.name, grants: vec![allow("agents.check_in")], ..Default::default() };
    update(admin, wish, &[]).await.unwrap();
}

#[tokio::test]
async fn a_copy_of_a_copy_stays_bound_when_its_source_is_gone() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let rules = pb::RoleRules { max_holders: 2, ..Default::default() };
    let first = create(admin, pb::Role { rules: Some(rules), ..role(&scene.msp, &[allow("ftp.view")]) }).await.unwrap();
    let second = copy(admin, &first.name, &scene.msp).await.unwrap();
    delete(admin, &first.name).await.unwrap();
    for (most, fits) in [(0, false), (3, false), (1, true), (2, false)] {
        let rules = pb::RoleRules { max_holders: most, ..Default::default() };
        let wish = pb::Role { name: second.name.clone(), rules: Some(rules), ..Default::default() };
        let result = update(admin, wish, &["rules.max_holders"]).await;
        if fits {
            result.unwrap();
        } else {
            refused(result, Code::FailedPrecondition, "ROLE_RULES_LOOSENED");
        }
    }
}

#[tokio::test]
async fn unassignable_roles_are_neither_copied_nor_bound() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    for owner in ["roles/msp-panel.owner", "roles/keepit.partner_session"] {
        refused(copy(&operator, owner, &scene.msp).await, Code::FailedPrecondition, "ROLE_UNASSIGNABLE");
    }
    let rules = pb::RoleRules { assignable: Some(false), ..Default::default() };
    let wish = pb::Role { rules: Some(rules), ..role(&scene.msp, &[allow("ftp.view")]) };
    let own = create(&scene.admin.client, wish).await.unwrap();
    let result = crate::bindings::bind(&operator, crate::bindings::binding("peers/me", &own.name, &scene.tenant)).await;
    refused(result, Code::FailedPrecondition, "ROLE_UNASSIGNABLE");
}
