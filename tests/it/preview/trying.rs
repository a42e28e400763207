//! Changes are tried out as their own calls would make them, one upon the other, and nothing stays.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::policy_change::Change;
use tonic::Code;

use super::{all, asking, change, make, page};
use crate::groups;
use crate::roles::{Scene, allow, events, refused};
use crate::support::policy::{binding, of_group};
use crate::support::{bad_fields, reason};

fn bind(role_binding: pb::RoleBinding) -> Change {
    Change::CreateRoleBinding(pb::CreateRoleBindingRequest { role_binding: Some(role_binding), ..Default::default() })
}

fn row(peer: &str, account: &str, permission: &str, is_gain: bool) -> super::Row {
    let (deny, allow) = (pb::Decision::Deny, pb::Decision::Allow);
    let (before, after) = if is_gain { (deny, allow) } else { (allow, deny) };
    (peer.to_owned(), account.to_owned(), permission.to_owned(), before, after)
}

#[tokio::test]
async fn a_preview_tells_who_gains_what_and_changes_nothing() {
    let scene = Scene::new().await;
    let (admin, role) = (&scene.admin.client, scene.role(&[allow("ftp.view"), allow("ftp.update")]).await);
    let department = scene.server.department(&crate::roles::fresh("dept"), &scene.tenant).await;
    let holder = scene.nobody().await;
    let before = scene.server.decide(&holder.name, "ftp.view", &scene.tenant).await;

    let wish = bind(binding(&holder.name, &role, &scene.tenant));
    let (rows, first) = all(admin, &asking(wish.clone())).await.unwrap();
    let mut accounts = [&department, &scene.tenant];
    accounts.sort();
    let expected: Vec<_> = accounts
        .into_iter()
        .flat_map(|account| ["ftp.update", "ftp.view"].map(|permission| row(&holder.name, account, permission, true)))
        .collect();
    assert_eq!(rows, expected);
    let totals = first.totals.unwrap();
    assert!(totals.is_complete);
    assert_eq!((totals.gained_count, totals.lost_count, totals.changed_count), (4, 0, 0));
    assert_eq!((totals.peer_count, totals.account_count), (1, 2));

    // Nothing is made, and nothing recorded.
    let after = scene.server.decide(&holder.name, "ftp.view", &scene.tenant).await;
    assert_eq!(after.decision(), before.decision());
    let made = events(&scene.server, &scene.tenant, "role_bindings.create").await;
    assert!(made.iter().all(|event| !format!("{event:?}").contains(&role)));
    assert!(!make(admin, wish).await.is_err_and(|status| panic!("{status:?}")));

    // Below an account, only what is there counts.
    let narrow = bind(binding(&holder.name, &role, &scene.msp));
    let request = pb::PreviewChangeRequest { account: scene.tenant.clone(), ..asking(narrow.clone()) };
    assert!(all(admin, &request).await.unwrap().0.is_empty(), "there the peer has it already");
    let (rows, _) = all(admin, &asking(narrow)).await.unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.1 == scene.msp), "{rows:?}");
}

#[tokio::test]
async fn an_import_is_previewed_as_it_would_be_made() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let holder = scene.nobody().await;
    let account = scene.tenant.trim_start_matches("accounts/");
    let policy = format!("p, desk, {account}, ftp, view\np, desk, {account}, ftp, update\ng, {}, desk\n", holder.name);
    let wish = |policy: &str| {
        let (account, policy) = (scene.tenant.clone(), policy.as_bytes().to_vec().into());
        Change::ImportPolicy(pb::ImportPolicyRequest { account, policy, ..Default::default() })
    };
    let (rows, first) = all(admin, &asking(wish(&policy))).await.unwrap();
    let expected = ["ftp.update", "ftp.view"].map(|permission| row(&holder.name, &scene.tenant, permission, true));
    assert_eq!(rows, expected);
    assert!(first.totals.unwrap().is_complete);
    // What would be refused is refused, in the words of the call.
    let status = all(admin, &asking(wish("p, desk, nowhere, ftp, view\ng, nobody, desk\n"))).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["policy[1]", "policy[2]"]);
    let both = pb::PreviewChangeRequest {
        changes: vec![change(wish(&policy)), change(wish(&policy))],
        ..asking(wish(&policy))
    };
    assert_eq!(bad_fields(&page(admin, &both).await.unwrap_err()), ["changes"]);
    make(admin, wish(&policy)).await.unwrap();
    assert_eq!(scene.server.decide(&holder.name, "ftp.view", &scene.tenant).await.decision(), pb::Decision::Allow);
}

#[tokio::test]
async fn changes_stand_on_those_before_them() {
    let scene = Scene::new().await;
    let (admin, role) = (&scene.admin.client, scene.role(&[allow("ftp.view")]).await);
    let holder = scene.nobody().await;
    let group = groups::make(admin, &scene.msp).await;
    let join = Change::AddGroupMember(pb::AddGroupMemberRequest {
        group: group.clone(),
        member: Some(groups::member(&holder.name)),
        ..Default::default()
    });
    let give = bind(of_group(&group, &role, &scene.tenant));
    for alone in [&join, &give] {
        assert!(all(admin, &asking(alone.clone())).await.unwrap().0.is_empty(), "{alone:?}");
    }
    let both =
        pb::PreviewChangeRequest { changes: vec![change(join.clone()), change(give.clone())], ..asking(join.clone()) };
    let expected = [row(&holder.name, &scene.tenant, "ftp.view", true)];
    assert_eq!(all(admin, &both).await.unwrap().0, expected);
    // Taken back in the same preview, nobody gains.
    let leave = Change::RemoveGroupMember(pb::RemoveGroupMemberRequest {
        group,
        peer: holder.name.clone(),
        ..Default::default()
    });
    let back = pb::PreviewChangeRequest { changes: [join, give, leave].map(change).to_vec(), ..both };
    assert!(all(admin, &back).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn windows_are_judged_at_the_moment_that_is_asked_for() {
    let scene = Scene::new().await;
    let (admin, role) = (&scene.admin.client, scene.role(&[allow("ftp.view")]).await);
    let holder = scene.nobody().await;
    let (start, end) = (scene.server.time(3_600), scene.server.time(7_200));
    let later = pb::RoleBinding {
        start_time: Some(start),
        expire_time: Some(end),
        ..binding(&holder.name, &role, &scene.tenant)
    };
    let request = asking(bind(later));
    let at = |time| pb::PreviewChangeRequest { evaluation_time: Some(time), ..request.clone() };
    assert!(all(admin, &request).await.unwrap().0.is_empty(), "it has not begun");
    assert_eq!(all(admin, &at(start)).await.unwrap().0.len(), 1);
    assert!(all(admin, &at(end)).await.unwrap().0.is_empty(), "it is over");
    let past = page(admin, &at(scene.server.time(-1))).await.unwrap_err();
    assert_eq!(bad_fields(&past), ["evaluation_time"]);
}

#[tokio::test]
async fn what_would_be_refused_is_refused_alike() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let owned = bind(binding(&scene.admin.name, "roles/msp-panel.owner", &scene.msp));
    let missing = bind(binding(&scene.admin.name, "roles/mspcontrol.help_desk", "accounts/not-there"));
    let last = Change::SuspendAccount(pb::SuspendAccountRequest {
        name: scene.msp.clone(),
        scope: pb::SuspensionScope::Subtree.into(),
        reason: "a test".to_owned(),
        ..Default::default()
    });
    for wish in [owned, missing, last] {
        let previewed = page(admin, &asking(wish.clone())).await.unwrap_err();
        let made = make(admin, wish).await.unwrap_err();
        assert_eq!((previewed.code(), reason(&previewed)), (made.code(), reason(&made)));
        assert_eq!(previewed.message(), made.message());
    }
    // Nobody sees what more than their own rights would give.
    let modest = scene
        .with(&[allow("policy.preview"), allow("role_bindings.*"), allow("accounts.view"), allow("peers.view")])
        .await;
    let role = scene.role(&[allow("ftp.view")]).await;
    let result = page(&modest.client, &asking(bind(binding(&modest.name, &role, &scene.tenant)))).await;
    refused(result, Code::PermissionDenied, "ESCALATION");
}

#[tokio::test]
async fn every_wrong_field_is_named_by_its_change() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let wrong = bind(pb::RoleBinding { role: "nonsense".to_owned(), ..binding("peers/me", "", &scene.tenant) });
    let named = Change::DeleteRole(pb::DeleteRoleRequest {
        name: "roles/x y".to_owned(),
        request_id: crate::support::request_id(),
        validate_only: true,
        ..Default::default()
    });
    let request = pb::PreviewChangeRequest {
        account: "contoso".to_owned(),
        changes: vec![change(wrong), pb::PolicyChange { change: None }, change(named.clone())],
        page_size: -1,
        ..Default::default()
    };
    let mut fields = bad_fields(&page(admin, &request).await.unwrap_err());
    fields.sort();
    assert_eq!(
        fields,
        [
            "account",
            "changes[0].create_role_binding.role_binding.role",
            "changes[1]",
            "changes[2].delete_role.name",
            "changes[2].delete_role.request_id",
            "changes[2].delete_role.validate_only",
            "page_size",
        ]
    );
    let none = page(admin, &pb::PreviewChangeRequest::default()).await.unwrap_err();
    assert_eq!(bad_fields(&none), ["changes"]);
    let many = pb::PreviewChangeRequest { changes: vec![change(named); 101], ..Default::default() };
    assert!(bad_fields(&page(admin, &many).await.unwrap_err()).contains(&"changes".to_owned()));
}
