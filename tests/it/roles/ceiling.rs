//! Nobody puts into a role what they do not hold (DESIGN 8, rule 1).

use peerage::transport::grpc::pb;

use super::{
    ADMINISTRATOR, Scene, administration, allow, copy, create, deny, escalates, role, update, where_label,
    with_approval,
};
use crate::bindings::{bind, binding, until};

/// Administration of roles beside some rights to give.
fn lead(grants: &[pb::Grant]) -> Vec<pb::Grant> {
    administration().into_iter().chain(grants.iter().cloned()).collect()
}

#[tokio::test]
async fn nobody_makes_a_role_above_themselves() {
    let scene = Scene::new().await;
    let grants = [
        allow("websites.view"),
        allow("ftp.*"),
        with_approval(allow("databases.view")),
        where_label(allow("mailboxes.view"), "env", "test"),
    ];
    let lead = scene.with(&lead(&grants)).await.client;
    for fine in [
        allow("websites.view"),
        with_approval(allow("websites.view")),
        where_label(allow("websites.view"), "env", "test"),
        allow("ftp.*"),
        allow("ftp.view"),
        with_approval(allow("databases.view")),
        where_label(allow("mailboxes.view"), "env", "test"),
        deny("accounts.delete"),
    ] {
        create(&lead, role(&scene.msp, std::slice::from_ref(&fine)))
            .await
            .unwrap_or_else(|why| panic!("{fine:?}: {why}"));
    }
    for above in [
        allow("websites.update"),
        // A wildcard names tomorrow's permissions too.
        allow("websites.*"),
        allow("*.view"),
        allow("*.*"),
        allow("databases.view"),
        allow("mailboxes.view"),
        where_label(allow("mailboxes.view"), "env", "live"),
        where_label(allow("mailboxes.view"), "tier", "test"),
        allow("accounts.create_partner"),
    ] {
        escalates(create(&lead, role(&scene.msp, &[allow("websites.view"), above])).await);
    }
    // What the role itself denies again, it does not give.
    create(&lead, role(&scene.msp, &[allow("websites.view"), allow("databases.update"), deny("databases.*")]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reserved_permission_is_given_by_who_holds_it_by_name() {
    let scene = Scene::new().await;
    // The administrator holds `*.*`, which matches no reserved permission.
    for reserved in ["accounts.create_partner", "accounts.transfer_ownership", "permissions.register"] {
        escalates(create(&scene.admin.client, role(&scene.msp, &[allow(reserved)])).await);
    }
    create(&scene.server.operator(), role(&scene.msp, &[allow("accounts.create_partner")])).await.unwrap();
}

#[tokio::test]
async fn what_a_deny_takes_away_is_not_ones_own_to_give() {
    let scene = Scene::new().await;
    let lead = scene.with(&lead(&[allow("ftp.*"), deny("ftp.delete")])).await.client;
    escalates(create(&lead, role(&scene.msp, &[allow("ftp.delete")])).await);
    escalates(create(&lead, role(&scene.msp, &[allow("ftp.*")])).await);
    create(&lead, role(&scene.msp, &[allow("ftp.*"), deny("ftp.delete")])).await.unwrap();
}

#[tokio::test]
async fn nobody_widens_a_role_beyond_themselves() {
    let scene = Scene::new().await;
    let lead = scene.with(&lead(&[allow("websites.view"), with_approval(allow("ftp.view"))])).await.client;
    let grants = [with_approval(allow("ftp.view")), allow("ftp.update"), deny("ftp.delete"), deny("databases.*")];
    let made = create(&scene.admin.client, role(&scene.msp, &grants)).await.unwrap();
    let [view, modify, no_delete, no_databases] = grants;
    let wish = |grants: &[&pb::Grant]| pb::Role {
        name: made.name.clone(),
        grants: grants.iter().map(|grant| (*grant).clone()).collect(),
        ..Default::default()
    };
    let free = allow("ftp.view");
    let narrower = where_label(deny("databases.*"), "env", "test");
    for above in [
        // More, or under less.
        wish(&[&view, &modify, &no_delete, &no_databases, &allow("ftp.create")]),
        wish(&[&view, &allow("ftp.*"), &no_delete, &no_databases]),
        wish(&[&free, &modify, &no_delete, &no_databases]),
        // A DENY lifted, wholly or in part.
        wish(&[&view, &modify, &no_databases]),
        wish(&[&view, &modify, &no_delete, &deny("databases.view")]),
        wish(&[&view, &modify, &no_delete, &narrower]),
    ] {
        escalates(update(&lead, above, &["grants"]).await);
    }
    // What was in it already may stay, whoever edits; what one holds may be added.
    update(&lead, wish(&[&view, &modify, &no_delete, &no_databases, &allow("websites.view")]), &["grants"])
        .await
        .unwrap();
    update(&lead, wish(&[&view, &no_delete, &no_databases]), &["grants"]).await.unwrap();
}

#[tokio::test]
async fn a_weaker_proof_of_identity_is_more() {
    let scene = Scene::new().await;
    let strong = pb::RoleRules { min_assurance: pb::AssuranceLevel::Passkey.into(), ..Default::default() };
    let wish = pb::Role { rules: Some(strong.clone()), ..role(&scene.msp, &[allow("websites.view")]) };
    let made = create(&scene.admin.client, wish).await.unwrap();
    let lead_role = pb::Role { rules: Some(strong), ..role(&scene.msp, &[allow("websites.view")]) };
    let lead_role = create(&scene.admin.client, lead_role).await.unwrap();
    let lead = scene.with(&administration()).await;
    bind(&scene.admin.client, binding(&lead.name, &lead_role.name, &scene.msp)).await.unwrap();
    let weaker = pb::Role {
        name: made.name.clone(),
        rules: Some(pb::RoleRules { min_assurance: pb::AssuranceLevel::Email.into(), ..Default::default() }),
        ..Default::default()
    };
    escalates(update(&lead.client, weaker.clone(), &["rules.min_assurance"]).await);
    update(&scene.admin.client, weaker, &["rules.min_assurance"]).await.unwrap();
}

#[tokio::test]
async fn a_role_edit_is_checked_against_every_binding() {
    let scene = Scene::new().await;
    let lead = scene.with(&administration()).await;
    let wanted = scene.role(&[allow("websites.view")]).await;
    // The right to give ends in an hour.
    let hour = scene.server.time(3600);
    bind(&scene.admin.client, until(binding(&lead.name, &wanted, &scene.msp), hour)).await.unwrap();
    let name = scene.role(&[allow("ftp.view")]).await;
    let wish = |grants: &[pb::Grant]| pb::Role { name: name.clone(), grants: grants.to_vec(), ..Default::default() };
    let wider = wish(&[allow("ftp.view"), allow("websites.view")]);
    // Nobody holds it: nothing outlives the hour.
    update(&lead.client, wider.clone(), &["grants"]).await.unwrap();
    update(&lead.client, wish(&[allow("ftp.view")]), &["grants"]).await.unwrap();
    // Somebody holds it for half an hour: nor here.
    let half = scene.server.time(1800);
    let holder = scene.nobody().await.name;
    bind(&scene.admin.client, until(binding(&holder, &name, &scene.tenant), half)).await.unwrap();
    update(&lead.client, wider.clone(), &["grants"]).await.unwrap();
    update(&lead.client, wish(&[allow("ftp.view")]), &["grants"]).await.unwrap();
    // Somebody else holds it for good.
    let holder = scene.nobody().await.name;
    bind(&scene.admin.client, binding(&holder, &name, &scene.tenant)).await.unwrap();
    escalates(update(&lead.client, wider, &["grants"]).await);
}

#[tokio::test]
async fn a_role_is_not_widened_where_one_holds_nothing() {
    let scene = Scene::new().await;
    let lead = scene.with(&administration()).await;
    let wanted = scene.role(&[allow("websites.view")]).await;
    bind(&scene.admin.client, binding(&lead.name, &wanted, &scene.tenant)).await.unwrap();
    // Owned by the tenant, where the lead holds it: fine. Owned by the provider: also used elsewhere.
    create(&lead.client, role(&scene.tenant, &[allow("websites.view")])).await.unwrap();
    escalates(create(&lead.client, role(&scene.msp, &[allow("websites.view")])).await);
}

#[tokio::test]
async fn nobody_copies_a_role_above_themselves() {
    let scene = Scene::new().await;
    let lead = scene.with(&lead(&[allow("websites.*"), allow("ftp.*")])).await.client;
    escalates(copy(&lead, ADMINISTRATOR, &scene.msp).await);
    escalates(copy(&lead, "roles/mspcontrol.read_only", &scene.msp).await);
    copy(&lead, "roles/mspcontrol.web_developer", &scene.msp).await.unwrap();
    // Of the operator's role, nobody but the operator.
    escalates(copy(&scene.admin.client, "roles/core.operator", &scene.msp).await);
}
