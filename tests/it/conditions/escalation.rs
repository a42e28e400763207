//! Nobody gets rid of a condition, or gets another one, by any act (DESIGN 8, rule 1).

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::attribute_match::Demand;
use tonic::Code;

use super::{and, attribute, is_text, networks, number, text, when, window};
use crate::bindings::{bind, binding};
use crate::roles::{Scene, administration, allow, copy, create, deny, escalates, refused, role, update, where_label};
use crate::support::policy::of_group;

const OFFICE: (i32, i32) = (540, 1020);

/// Administration of roles beside some rights to give.
fn lead(grants: &[pb::Grant]) -> Vec<pb::Grant> {
    administration().into_iter().chain(grants.iter().cloned()).collect()
}

fn labelled(value: &str) -> pb::Condition {
    where_label(allow("a.b"), "env", value).condition.unwrap()
}

fn either(values: &[pb::AttributeValue]) -> pb::Condition {
    attribute("tier", Demand::AnyOf(pb::AttributeValueList { values: values.to_vec() }))
}

#[tokio::test]
async fn a_conditional_right_covers_the_same_condition_alone() {
    let scene = Scene::new().await;
    let lead = scene
        .with(&lead(&[
            allow("websites.view"),
            when(allow("ftp.view"), networks(&["10.0.0.0/8", "192.0.2.0/24"])),
            when(allow("databases.view"), window(&[1, 2], OFFICE, "Europe/Vienna")),
            when(allow("mailboxes.view"), either(&[text("gold"), number(1)])),
            when(allow("ftp.update"), and(networks(&["10.0.0.0/8"]), labelled("test"))),
        ]))
        .await
        .client;
    for fine in [
        // Less than what is held without condition.
        when(allow("websites.view"), networks(&["10.0.0.0/8"])),
        when(allow("websites.view"), and(is_text("tier", "gold"), window(&[7], OFFICE, "Etc/UTC"))),
        // The same, however it is written.
        when(allow("ftp.view"), networks(&["192.0.2.0/24", "::ffff:10.0.0.0/104", "10.0.0.0/8"])),
        when(allow("databases.view"), window(&[2, 1], OFFICE, "europe/vienna")),
        when(allow("mailboxes.view"), either(&[number(1), text("gold"), number(1)])),
        when(allow("ftp.update"), and(labelled("test"), networks(&["10.0.0.0/8"]))),
    ] {
        let made = create(&lead, role(&scene.msp, std::slice::from_ref(&fine))).await;
        made.unwrap_or_else(|why| panic!("{fine:?}: {why}"));
    }
    for above in [
        allow("ftp.view"),
        when(allow("ftp.view"), networks(&["0.0.0.0/0"])),
        when(allow("ftp.view"), networks(&["10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24"])),
        // Fewer are not the same either.
        when(allow("ftp.view"), networks(&["10.0.0.0/8"])),
        when(allow("ftp.view"), window(&[1, 2], OFFICE, "Europe/Vienna")),
        allow("databases.view"),
        when(allow("databases.view"), window(&[1, 2, 3], OFFICE, "Europe/Vienna")),
        when(allow("databases.view"), window(&[1, 2], OFFICE, "Etc/UTC")),
        when(allow("databases.view"), window(&[1, 2], (540, 1021), "Europe/Vienna")),
        allow("mailboxes.view"),
        when(allow("mailboxes.view"), either(&[text("gold"), text("1")])),
        when(allow("mailboxes.view"), attribute("tier", Demand::Prefix("gold".to_owned()))),
        allow("ftp.update"),
        when(allow("ftp.update"), networks(&["10.0.0.0/8"])),
        when(allow("ftp.update"), labelled("test")),
        when(allow("ftp.update"), and(networks(&["10.0.0.0/8"]), labelled("live"))),
    ] {
        escalates(create(&lead, role(&scene.msp, &[allow("websites.view"), above])).await);
    }
}

#[tokio::test]
async fn nobody_edits_a_condition_away() {
    let scene = Scene::new().await;
    let office = networks(&["10.0.0.0/8"]);
    let held = [when(allow("ftp.view"), office.clone())];
    let limited = scene.with(&lead(&held)).await.client;
    let free = scene.with(&lead(&[allow("ftp.*"), allow("databases.*")])).await.client;
    let grants = [held[0].clone(), deny("ftp.delete"), when(deny("databases.*"), is_text("tier", "gold"))];
    let made = create(&scene.admin.client, role(&scene.msp, &grants)).await.unwrap();
    let wish =
        |grants: &[pb::Grant]| pb::Role { name: made.name.clone(), grants: grants.to_vec(), ..Default::default() };
    let [view, no_delete, no_databases] = grants.clone();
    let widened = [
        // A condition dropped, changed, or added beside the one that is there.
        [allow("ftp.view"), no_delete.clone(), no_databases.clone()].to_vec(),
        [when(allow("ftp.view"), networks(&["10.0.0.0/7"])), no_delete.clone(), no_databases.clone()].to_vec(),
        [view.clone(), when(allow("ftp.view"), is_text("tier", "gold")), no_delete.clone(), no_databases.clone()]
            .to_vec(),
        // A DENY under a condition that had none, under another one, or gone.
        [view.clone(), when(deny("ftp.delete"), office.clone()), no_databases.clone()].to_vec(),
        [view.clone(), no_delete.clone(), when(deny("databases.*"), is_text("tier", "iron"))].to_vec(),
        [view.clone(), no_delete.clone(), when(deny("databases.*"), and(is_text("tier", "gold"), office.clone()))]
            .to_vec(),
        [view.clone(), no_delete.clone()].to_vec(),
    ];
    for wider in &widened {
        escalates(update(&limited, wish(wider), &["grants"]).await);
    }
    // What stays is nobody's gift, and a DENY that always counts takes away more.
    update(&limited, wish(&[no_databases, view.clone(), no_delete.clone()]), &["grants"]).await.unwrap();
    update(&limited, wish(&[view.clone(), no_delete.clone(), deny("databases.*")]), &["grants"]).await.unwrap();
    update(&scene.admin.client, wish(&grants), &["grants"]).await.unwrap();
    for wider in &widened {
        update(&free, wish(wider), &["grants"]).await.unwrap();
        update(&scene.admin.client, wish(&grants), &["grants"]).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_hands_on_a_right_without_its_condition() {
    let scene = Scene::new().await;
    let office = networks(&["10.0.0.0/8"]);
    let held = when(allow("ftp.view"), office.clone());
    let lead = scene.with(&lead(&[held.clone(), allow("api_keys.create")])).await.client;
    let same = scene.role(std::slice::from_ref(&held)).await;
    let operator = scene.server.operator();
    let others = [
        allow("ftp.view"),
        when(allow("ftp.view"), networks(&["10.0.0.0/8", "192.0.2.0/24"])),
        when(allow("ftp.view"), window(&[1], OFFICE, "Etc/UTC")),
    ];
    for other in others {
        let other = scene.role(&[other]).await;
        // By a copy, a binding, a group or another peer's key.
        escalates(copy(&lead, &other, &scene.msp).await);
        let peer = scene.nobody().await.name;
        escalates(bind(&lead, binding(&peer, &other, &scene.tenant)).await);
        let group = crate::groups::make(&operator, &scene.msp).await;
        bind(&operator, of_group(&group, &other, &scene.tenant)).await.unwrap();
        escalates(crate::groups::join(&lead, &group, &peer).await);
        let holder = scene.server.person(&scene.msp, &crate::roles::fresh("holder"), &other).await.name;
        escalates(key(&lead, &holder).await);
    }
    copy(&lead, &same, &scene.msp).await.unwrap();
    let peer = scene.server.person(&scene.msp, &crate::roles::fresh("holder"), &same).await.name;
    bind(&lead, binding(&peer, &same, &scene.tenant)).await.unwrap();
    let group = crate::groups::make(&operator, &scene.msp).await;
    bind(&operator, of_group(&group, &same, &scene.tenant)).await.unwrap();
    crate::groups::join(&lead, &group, &peer).await.unwrap();
    key(&lead, &peer).await.unwrap();
}

async fn key(client: &crate::support::Client, peer: &str) -> Result<(), tonic::Status> {
    let api_key = pb::ApiKey { peer: peer.to_owned(), title: "Key".to_owned(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() };
    client.auth().create_api_key(request).await.map(|_| ())
}

#[tokio::test]
async fn a_label_that_makes_a_conditional_grant_count_is_a_gift_under_the_rest_of_its_condition() {
    let scene = Scene::new().await;
    let office = networks(&["10.0.0.0/8"]);
    let relabel = async |client: &crate::support::Client, value: &str| {
        let account = pb::Account {
            name: scene.tenant.clone(),
            labels: [("env".to_owned(), value.to_owned())].into(),
            ..Default::default()
        };
        let mask = crate::roles::mask(&["labels"]);
        let request = pb::UpdateAccountRequest { account: Some(account), update_mask: mask, ..Default::default() };
        client.accounts().update_account(request).await.map(|_| ())
    };
    // Somebody who gains the right wherever the label says so, from the office.
    scene.with(&[when(allow("ftp.view"), and(office.clone(), labelled("test")))]).await;
    let accounts = ["accounts.view", "accounts.update_labels"].map(allow);
    let may = |grant: &[pb::Grant]| accounts.iter().chain(grant).cloned().collect::<Vec<_>>();
    for poor in [
        may(&[]),
        may(&[when(allow("ftp.view"), networks(&["192.0.2.0/24"]))]),
        may(&[when(allow("ftp.view"), and(office.clone(), labelled("live")))]),
    ] {
        let client = scene.with(&poor).await.client;
        escalates(relabel(&client, "test").await);
        relabel(&client, "stage").await.unwrap();
    }
    for rich in [may(&[allow("ftp.view")]), may(&[when(allow("ftp.view"), office.clone())])] {
        let client = scene.with(&rich).await.client;
        relabel(&client, "test").await.unwrap();
        relabel(&client, "stage").await.unwrap();
    }
    // A DENY that ceases counted also for requests that do not say where they come from.
    scene.with(&[when(deny("ftp.view"), and(office.clone(), labelled("stage")))]).await;
    let limited = scene.with(&may(&[when(allow("ftp.view"), office)])).await.client;
    escalates(relabel(&limited, "live").await);
    let free = scene.with(&may(&[allow("ftp.view")])).await.client;
    relabel(&free, "live").await.unwrap();
}

#[tokio::test]
async fn full_administration_knows_no_condition() {
    let scene = Scene::new().await;
    let operator = scene.server.operator();
    let plain = [allow("accounts.administer"), allow("accounts.view")];
    let name = create(&operator, role(&scene.tenant, &plain)).await.unwrap().name;
    let only = scene.server.person(&scene.tenant, &crate::roles::fresh("only"), &name).await;
    let conditions = [networks(&["0.0.0.0/0", "::/0"]), window(&[1], OFFICE, "Etc/UTC"), is_text("tier", "gold")];
    for condition in conditions {
        let limited = [when(allow("accounts.administer"), condition.clone()), allow("accounts.view")];
        let wish = pb::Role { name: name.clone(), grants: limited.to_vec(), ..Default::default() };
        refused(update(&operator, wish, &["grants"]).await, Code::FailedPrecondition, "LAST_ADMINISTRATOR");
        // A DENY that counts at times is one.
        let taking = create(&operator, role(&scene.tenant, &[when(deny("accounts.administer"), condition.clone())]));
        let taking = taking.await.unwrap().name;
        let bound = bind(&operator, binding(&only.name, &taking, &scene.tenant)).await;
        refused(bound, Code::FailedPrecondition, "LAST_ADMINISTRATOR");
        // One whose labels are others can never count there.
        let elsewhere = when(deny("accounts.administer"), and(condition, labelled("elsewhere")));
        let elsewhere = create(&operator, role(&scene.tenant, &[elsewhere])).await.unwrap().name;
        bind(&operator, binding(&only.name, &elsewhere, &scene.tenant)).await.unwrap();
    }
}
