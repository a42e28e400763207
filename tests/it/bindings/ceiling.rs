//! Nobody gives more than they hold, nor lifts what binds them (DESIGN 8, rule 1).

use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{bind, binding, eligible, of_group, rebind, unbind, until};
use crate::groups;
use crate::roles::{
    ADMINISTRATOR, Scene, administration, allow, deny, escalates, fresh, refused, where_label, with_approval,
};
use crate::support::{Server, policy};

#[tokio::test]
async fn nobody_binds_a_role_above_themselves() {
    let scene = Scene::new().await;
    let grants: Vec<pb::Grant> =
        administration().into_iter().chain([allow("ftp.*"), with_approval(allow("websites.view"))]).collect();
    let lead = scene.with(&grants).await;
    let other = scene.nobody().await.name;
    for (grants, fits) in [
        (vec![allow("ftp.view")], true),
        (vec![allow("ftp.*")], true),
        (vec![with_approval(allow("websites.view"))], true),
        (vec![allow("ftp.view"), deny("accounts.delete")], true),
        (vec![allow("websites.view")], false),
        (vec![allow("*.view")], false),
        (vec![allow("ftp.view"), allow("databases.view")], false),
        (vec![where_label(allow("databases.view"), "env", "test")], false),
    ] {
        let name = scene.role(&grants).await;
        for peer in [other.as_str(), "peers/me"] {
            for wish in [binding(peer, &name, &scene.tenant), eligible(binding(peer, &name, &scene.tenant))] {
                let result = bind(&lead.client, wish).await;
                if fits {
                    result.unwrap();
                } else {
                    escalates(result);
                }
            }
        }
    }
    escalates(bind(&lead.client, binding(&other, ADMINISTRATOR, &scene.msp)).await);
    // What the administrator's `*.*` covers, it gives.
    bind(&scene.admin.client, binding(&other, "roles/core.auditor", &scene.msp)).await.unwrap();
}

/// A copy of the partner's role makes nobody a Master Admin; its source, with the same grants, does.
#[tokio::test]
async fn a_role_that_grants_others_is_given_by_those_who_could_grant_them() {
    const PARTNER: &str = "roles/keepit.msp_partner";
    let server = Server::start().await;
    let partner = server.partner("fern-msp", &["keepit"]).await;
    let request = pb::CopyRoleRequest {
        name: PARTNER.to_owned(),
        owner_account: partner.clone(),
        title: "Console".to_owned(),
        ..pb::CopyRoleRequest::default()
    };
    let copy = server.operator().roles().copy_role(request).await.unwrap().into_inner().name;
    let lead = server.person(&partner, "alice", PARTNER).await;
    let own = server.custom_role(&partner, &["role_bindings.*", "api_keys.*", "peers.*"]).await;
    let bob = server.person(&partner, "bob", &copy).await;
    for peer in [&bob.name, &lead.name] {
        server.bind(peer, &own, &partner).await;
    }
    escalates(bind(&bob.client, binding(&bob.name, PARTNER, &partner)).await);
    // Nor by acting as somebody who can.
    let key = |peer: &str| pb::CreateApiKeyRequest {
        api_key: Some(pb::ApiKey { peer: peer.to_owned(), title: "mine".to_owned(), ..pb::ApiKey::default() }),
        ..pb::CreateApiKeyRequest::default()
    };
    escalates(bob.client.auth().create_api_key(key(&lead.name)).await);
    // Who may grant it gives it, and the copy too.
    let helper = server.person(&partner, "helper", &own).await.name;
    bind(&lead.client, binding(&helper, PARTNER, &partner)).await.unwrap();
    bind(&bob.client, binding(&lead.name, &copy, &partner)).await.unwrap();
    lead.client.auth().create_api_key(key(&bob.name)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_reserved_permission_is_not_given_beside_a_deny_of_all() {
    let scene = Scene::new().await;
    let lead = scene.with(&[administration().as_slice(), &[allow("*.*")]].concat()).await;
    let other = scene.nobody().await.name;
    let operator = scene.server.operator();
    for reserved in ["permissions.register", "accounts.create_partner"] {
        // A wildcard names no reserved permission, so that the DENY leaves the ALLOW as it is.
        let grants = [deny("*.*"), allow(reserved)];
        let made = policy::create_role(&operator, policy::role(&scene.msp, &grants)).await.unwrap().name;
        escalates(bind(&lead.client, binding(&other, &made, &scene.msp)).await);
        escalates(policy::create_role(&lead.client, policy::role(&scene.msp, &grants)).await);
    }
}

#[tokio::test]
async fn a_right_is_given_no_wider_than_it_is_held() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let (ftp, rights) = (scene.role(&[allow("ftp.view")]).await, scene.role(&administration()).await);
    let department = scene.server.department(&fresh("department"), &scene.tenant).await;
    let lead = scene.nobody().await;
    bind(admin, binding(&lead.name, &rights, &scene.msp)).await.unwrap();
    let only = pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..binding(&lead.name, &ftp, &scene.tenant) };
    bind(admin, only).await.unwrap();
    let other = scene.nobody().await.name;
    // Held on the tenant alone: not above, not below, not from there down.
    for account in [&scene.msp, &department, &scene.tenant] {
        escalates(bind(&lead.client, binding(&other, &ftp, account)).await);
    }
    let same = pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..binding(&other, &ftp, &scene.tenant) };
    let made = bind(&lead.client, same).await.unwrap();
    let wider = pb::RoleBinding { name: made.name, reach: pb::Reach::Subtree.into(), ..Default::default() };
    escalates(rebind(&lead.client, wider.clone(), &[]).await);
    rebind(admin, wider, &[]).await.unwrap();
}

#[tokio::test]
async fn eligible_and_future_rights_are_not_ones_own_to_give() {
    let scene = Scene::alone().await;
    let admin = &scene.admin.client;
    let (ftp, rights) = (scene.role(&[allow("ftp.view")]).await, scene.role(&administration()).await);
    let lead = scene.nobody().await;
    bind(admin, binding(&lead.name, &rights, &scene.msp)).await.unwrap();
    bind(admin, eligible(binding(&lead.name, &ftp, &scene.msp))).await.unwrap();
    let later = pb::RoleBinding { start_time: Some(scene.server.time(60)), ..binding(&lead.name, &ftp, &scene.msp) };
    bind(admin, later).await.unwrap();
    let group = groups::make(admin, &scene.msp).await;
    bind(admin, of_group(&group, &ftp, &scene.msp)).await.unwrap();
    let member = pb::GroupMember { mode: pb::BindingMode::Eligible.into(), ..groups::member(&lead.name) };
    groups::add(admin, &group, member).await.unwrap();
    let other = scene.nobody().await.name;
    for wish in [binding(&other, &ftp, &scene.tenant), eligible(binding(&other, &ftp, &scene.tenant))] {
        escalates(bind(&lead.client, wish).await);
    }
    scene.server.advance(Duration::from_secs(60));
    bind(&lead.client, binding(&other, &ftp, &scene.tenant)).await.unwrap();
    scene.server.stop().await;
}

#[tokio::test]
async fn what_a_deny_will_take_away_is_given_until_then_only() {
    let scene = Scene::alone().await;
    let admin = &scene.admin.client;
    let lead = scene.with(&[administration().as_slice(), &[allow("ftp.*")]].concat()).await;
    let (ftp, without) = (scene.role(&[allow("ftp.view")]).await, scene.role(&[deny("ftp.view")]).await);
    let at = |seconds| scene.server.time(seconds);
    let denial = pb::RoleBinding { start_time: Some(at(600)), ..binding(&lead.name, &without, &scene.msp) };
    let denial = bind(admin, denial).await.unwrap();
    let other = scene.nobody().await.name;
    escalates(bind(&lead.client, binding(&other, &ftp, &scene.tenant)).await);
    escalates(bind(&lead.client, until(binding(&other, &ftp, &scene.tenant), at(601))).await);
    let made = bind(&lead.client, until(binding(&other, &ftp, &scene.tenant), at(600))).await.unwrap();
    let longer = pb::RoleBinding { name: made.name, expire_time: Some(at(601)), ..Default::default() };
    escalates(rebind(&lead.client, longer, &["expire_time"]).await);
    // Nor does one lift it while it has not begun.
    escalates(unbind(&lead.client, &denial.name).await);
    // Behind its end it takes nothing away, but while it is there it counts for all times.
    let ends = pb::RoleBinding { name: denial.name, expire_time: Some(at(700)), ..Default::default() };
    rebind(admin, ends, &["expire_time"]).await.unwrap();
    let later = pb::RoleBinding { start_time: Some(at(700)), ..binding(&other, &ftp, &scene.tenant) };
    bind(&lead.client, later.clone()).await.unwrap();
    scene.server.advance(Duration::from_secs(650));
    let third =
        pb::RoleBinding { principal: binding(&scene.nobody().await.name, &ftp, &scene.tenant).principal, ..later };
    escalates(bind(&lead.client, third).await);
}

#[tokio::test]
async fn nobody_prolongs_a_binding_beyond_their_own() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let (ftp, rights) = (scene.role(&[allow("ftp.view")]).await, scene.role(&administration()).await);
    let lead = scene.nobody().await;
    bind(admin, binding(&lead.name, &rights, &scene.msp)).await.unwrap();
    let hour = scene.server.time(3600);
    let own = bind(admin, until(binding(&lead.name, &ftp, &scene.msp), hour)).await.unwrap();
    let other = scene.nobody().await.name;
    let beyond = prost_types::Timestamp { nanos: 1000, ..hour };
    for wish in [binding(&other, &ftp, &scene.tenant), until(binding(&other, &ftp, &scene.tenant), beyond)] {
        escalates(bind(&lead.client, wish).await);
    }
    let made = bind(&lead.client, until(binding(&other, &ftp, &scene.tenant), hour)).await.unwrap();
    for name in [&made.name, &own.name] {
        let wish = |end: Option<prost_types::Timestamp>| pb::RoleBinding {
            name: name.clone(),
            expire_time: end,
            ..Default::default()
        };
        escalates(rebind(&lead.client, wish(Some(beyond)), &["expire_time"]).await);
        escalates(rebind(&lead.client, wish(None), &["expire_time"]).await);
    }
    // Shorter is no more; and back again is.
    let half = scene.server.time(1800);
    let shorter = pb::RoleBinding { name: made.name, expire_time: Some(half), ..Default::default() };
    rebind(&lead.client, shorter.clone(), &[]).await.unwrap();
    rebind(&lead.client, pb::RoleBinding { expire_time: Some(hour), ..shorter }, &[]).await.unwrap();
}

#[tokio::test]
async fn nobody_raises_an_eligible_binding_by_editing_it() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let (ftp, rights) = (scene.role(&[allow("ftp.view")]).await, scene.role(&administration()).await);
    let lead = scene.nobody().await;
    bind(admin, binding(&lead.name, &rights, &scene.msp)).await.unwrap();
    let own = bind(admin, eligible(binding(&lead.name, &ftp, &scene.msp))).await.unwrap();
    let active = pb::RoleBinding { name: own.name, mode: pb::BindingMode::Active.into(), ..Default::default() };
    escalates(rebind(&lead.client, active, &["mode"]).await);
}

#[tokio::test]
async fn nobody_lifts_a_deny_that_binds_them() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let grants: Vec<pb::Grant> = administration().into_iter().chain([allow("ftp.*")]).collect();
    let lead = scene.with(&grants).await;
    let ban = scene.role(&[deny("ftp.delete")]).await;
    let own = bind(admin, binding(&lead.name, &ban, &scene.msp)).await.unwrap();
    let other = scene.nobody().await;
    let others = bind(admin, binding(&other.name, &ban, &scene.msp)).await.unwrap();
    for made in [&own, &others] {
        escalates(unbind(&lead.client, &made.name).await);
        for weaker in [
            pb::RoleBinding { mode: pb::BindingMode::Eligible.into(), ..Default::default() },
            pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..Default::default() },
            pb::RoleBinding { expire_time: Some(scene.server.time(60)), ..Default::default() },
            pb::RoleBinding { start_time: Some(scene.server.time(60)), ..Default::default() },
        ] {
            escalates(rebind(&lead.client, pb::RoleBinding { name: made.name.clone(), ..weaker }, &[]).await);
        }
    }
    assert!(!scene.server.may(&lead.name, "ftp.delete", &scene.tenant).await);
    assert!(scene.server.may(&lead.name, "ftp.view", &scene.tenant).await);
    // Who holds what is denied may lift it.
    unbind(admin, &own.name).await.unwrap();
    assert!(scene.server.may(&lead.name, "ftp.delete", &scene.tenant).await);
    unbind(&lead.client, &others.name).await.unwrap();
}

#[tokio::test]
async fn the_last_full_administrator_is_not_unbound_by_any_change() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    let list = pb::ListRoleBindingsRequest {
        account: scene.msp.clone(),
        filter: format!("peer = {}", scene.admin.name),
        ..Default::default()
    };
    let own = operator.roles().list_role_bindings(list).await.unwrap().into_inner().role_bindings.remove(0);
    let named = pb::RoleBinding { name: own.name.clone(), ..Default::default() };
    let last = |result: Result<(), tonic::Status>| refused(result, Code::FailedPrecondition, "LAST_ADMINISTRATOR");
    last(unbind(&operator, &own.name).await.map(|_| ()));
    for weaker in [
        pb::RoleBinding { mode: pb::BindingMode::Eligible.into(), ..named.clone() },
        pb::RoleBinding { expire_time: Some(scene.server.time(60)), ..named.clone() },
        pb::RoleBinding { start_time: Some(scene.server.time(60)), ..named.clone() },
    ] {
        last(rebind(&operator, weaker, &[]).await.map(|_| ()));
    }
    let ban = scene.role(&[deny("accounts.administer")]).await;
    last(bind(&operator, binding(&scene.admin.name, &ban, &scene.msp)).await.map(|_| ()));
    let group = groups::make(&operator, &scene.msp).await;
    bind(&operator, of_group(&group, &ban, &scene.msp)).await.unwrap();
    last(groups::join(&operator, &group, &scene.admin.name).await.map(|_| ()));
    // With another one, the first may go.
    scene.server.person(&scene.msp, &fresh("admin"), ADMINISTRATOR).await;
    unbind(&operator, &own.name).await.unwrap();
}

#[tokio::test]
async fn a_deleted_peer_gains_nothing() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let gone = scene.nobody().await.name;
    let request = pb::DeletePeerRequest { name: gone.clone(), ..Default::default() };
    admin.peers().delete_peer(request).await.unwrap();
    refused(bind(admin, binding(&gone, &name, &scene.tenant)).await, Code::FailedPrecondition, "PEER_DELETED");
    let group = groups::make(admin, &scene.msp).await;
    refused(groups::join(admin, &group, &gone).await, Code::FailedPrecondition, "PEER_DELETED");
}
