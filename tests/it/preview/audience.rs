//! Who is told of which differences.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::policy_change::Change;
use tonic::Code;

use super::{all, asking, page};
use crate::roles::{Scene, allow, deny, refused};
use crate::support::policy::binding;

fn bind(role_binding: pb::RoleBinding) -> Change {
    Change::CreateRoleBinding(pb::CreateRoleBindingRequest { role_binding: Some(role_binding), ..Default::default() })
}

#[tokio::test]
async fn a_preview_is_for_those_who_hold_policy_preview() {
    let scene = Scene::new().await;
    let role = scene.role(&[allow("ftp.view")]).await;
    let rights = ["accounts.view", "peers.view", "roles.view", "role_bindings.*", "ftp.view"].map(allow);
    let blind = scene.with(&rights).await;
    let holder = scene.nobody().await;
    let wish = asking(bind(binding(&holder.name, &role, &scene.tenant)));
    refused(page(&blind.client, &wish).await, Code::PermissionDenied, "PERMISSION_DENIED");

    // Where the right is denied, nothing is told and nothing counted, but of oneself.
    let preview = scene.role(&[allow("policy.preview")]).await;
    scene.server.bind(&blind.name, &preview, &scene.msp).await;
    let hole = scene.server.customer(&crate::roles::fresh("hole"), &scene.msp).await;
    let shut = scene.role(&[deny("policy.preview")]).await;
    scene.server.bind(&blind.name, &shut, &hole).await;
    let wide = asking(bind(binding(&holder.name, &role, &scene.msp)));
    let (rows, first) = all(&blind.client, &wide).await.unwrap();
    let mut accounts: Vec<&str> = rows.iter().map(|row| row.1.as_str()).collect();
    accounts.sort_unstable();
    let mut expected = [scene.msp.as_str(), scene.tenant.as_str()];
    expected.sort_unstable();
    assert_eq!(accounts, expected);
    assert_eq!(first.totals.unwrap().account_count, 2);
    let named = pb::PreviewChangeRequest { account: hole.clone(), ..wide };
    refused(page(&blind.client, &named).await, Code::PermissionDenied, "PERMISSION_DENIED");
    let missing = pb::PreviewChangeRequest { account: "accounts/not-there".to_owned(), ..wish };
    refused(page(&blind.client, &missing).await, Code::NotFound, "RESOURCE_NOT_FOUND");
}

#[tokio::test]
async fn who_moves_an_account_out_of_sight_learns_who_loses_and_not_who_gains() {
    let scene = Scene::new().await;
    let server = &scene.server;
    let other = server.partner(&crate::roles::fresh("other"), &["mspcontrol"]).await;
    let moved = server.customer(&crate::roles::fresh("moved"), &scene.msp).await;
    let (here, there) = (scene.role(&[allow("ftp.view")]).await, server.custom_role(&other, &["ftp.view"]).await);
    let loser = server.person_on(&scene.msp, &crate::roles::fresh("loser"), &here, &[&scene.msp]).await;
    let winner = server.person(&other, &crate::roles::fresh("winner"), &there).await;
    // The mover may move there, and look at nothing else there.
    let mover = server.person(&scene.msp, &crate::roles::fresh("mover"), "roles/mspcontrol.administrator").await;
    let doorway = server.custom_role(&other, &["accounts.view", "accounts.move"]).await;
    server.bind(&mover.name, &doorway, &other).await;
    let wish = Change::MoveAccount(pb::MoveAccountRequest {
        name: moved.clone(),
        destination_parent: other.clone(),
        ..Default::default()
    });
    let everything = all(&server.operator(), &asking(wish.clone())).await.unwrap().0;
    let of = |rows: &[super::Row], peer: &str| rows.iter().filter(|row| row.0 == peer).count();
    assert!(of(&everything, &loser.name) > 0 && of(&everything, &winner.name) > 0, "{everything:?}");
    match all(&mover.client, &asking(wish)).await {
        Ok((rows, _)) => {
            assert!(of(&rows, &loser.name) > 0, "{rows:?}");
            assert_eq!(of(&rows, &winner.name), 0, "{rows:?}");
        }
        // A move may give the new place's people more than the mover holds there.
        Err(status) => assert_eq!(crate::support::reason(&status), "ESCALATION"),
    }
}

#[tokio::test]
async fn the_end_of_a_suspension_is_previewed_on_what_is_suspended() {
    let scene = Scene::new().await;
    let (server, name) = (&scene.server, scene.tenant.clone());
    let holder = server
        .person_on(&scene.msp, &crate::roles::fresh("peer"), &scene.role(&[allow("ftp.view")]).await, &[&name])
        .await;
    let reason = "unpaid".to_owned();
    let scope = pb::SuspensionScope::Subtree.into();
    let suspend = pb::SuspendAccountRequest { name: name.clone(), scope, reason, ..Default::default() };
    let admin = &scene.admin.client;
    let (losses, _) = all(admin, &asking(Change::SuspendAccount(suspend.clone()))).await.unwrap();
    assert!(losses.iter().any(|row| row.0 == holder.name && row.2 == "ftp.view" && row.4 == pb::Decision::Deny));
    admin.accounts().suspend_account(suspend).await.unwrap();
    let resume = Change::ResumeAccount(pb::ResumeAccountRequest { name: name.clone(), ..Default::default() });
    let request = pb::PreviewChangeRequest { account: name, ..asking(resume) };
    let (gains, _) = all(admin, &request).await.unwrap();
    let turned: Vec<_> =
        gains.into_iter().map(|(peer, account, permission, old, new)| (peer, account, permission, new, old)).collect();
    assert_eq!(turned, losses, "what comes back is what went");
}
