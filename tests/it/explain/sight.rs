//! What of an explanation is shown to whom.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{Scene, ask, decided, send, suspend};
use crate::bindings::{bind, of_group};
use crate::groups;
use crate::support::policy::allow;
use crate::support::{Server, reason};

/// All that an answer holds, as text.
fn all_of(explained: &pb::ExplainAuthorizationResponse) -> String {
    format!("{explained:?}")
}

#[tokio::test]
async fn whoever_checks_at_a_customer_learns_no_names_of_its_partner() {
    let scene = Scene::start().await;
    let (server, operator) = (&scene.server, scene.server.operator());
    // Emily comes to the customer through a group and a role of the partner, and by an eligible right.
    let group = groups::make(&operator, &scene.msp).await;
    groups::join(&operator, &group, &scene.emily.name).await.unwrap();
    let hidden_role = scene.role(&[allow("users.*")]).await;
    let through = bind(&operator, of_group(&group, &hidden_role, &scene.msp)).await.unwrap();
    let direct = scene.bound(&[allow("users.view")], |_| {}).await;
    let service = server
        .peer(&scene.contoso, "rmm", "roles/core.backend_service", pb::PeerKind::Integration, &[&scene.contoso])
        .await;

    let told = send(&service.client, ask(&scene.emily.name, "users.view", &scene.contoso)).await.unwrap();
    assert_eq!(decided(&told), pb::DecisionReason::Allowed);
    assert_eq!((told.grants.len(), told.total_size), (2, 2));
    // The one that decided is named, as Authorize names it; the other is counted and bears no name.
    let decision = told.decision.as_ref().unwrap();
    let (first, second) = (&told.grants[0], &told.grants[1]);
    assert_eq!((&first.role_binding, first.outcome()), (&decision.role_binding, pb::GrantOutcome::Decided));
    assert!(
        second.redacted && second.outcome() == pb::GrantOutcome::Outranked && second.effect() == pb::GrantEffect::Allow
    );
    assert_eq!((second.role_binding.as_str(), second.role.as_str(), second.pattern.as_str()), ("", "", ""));
    let hidden = if decision.role_binding == through.name { &direct } else { &through };
    let elsewhere = "accounts/elsewhere";
    for name in [hidden.name.as_str(), hidden.role.as_str(), group.as_str(), elsewhere] {
        let id = name.split('/').nth(1).unwrap();
        assert!(!all_of(&told).contains(id), "{name} in {told:#?}");
    }
    // Whoever may view them sees them.
    let told = send(&operator, ask(&scene.emily.name, "users.view", &scene.contoso)).await.unwrap();
    for name in [&through.name, &direct.name, &group, &hidden_role] {
        assert!(all_of(&told).contains(name.as_str()), "{name}");
    }
    // And so does the subject.
    let told = send(&scene.emily.client, ask("peers/me", "users.view", &scene.contoso)).await.unwrap();
    assert!(told.grants.iter().all(|grant| !grant.redacted) && all_of(&told).contains(&group), "{told:#?}");
    scene.server.stop().await;
}

#[tokio::test]
async fn the_home_of_a_stranger_and_what_would_help_there_stay_hidden() {
    let scene = Scene::start().await;
    let server = &scene.server;
    // A peer of another partner holds something at the customer.
    let other = server.partner("other-msp", &["opspilot365"]).await;
    let tenant = server.customer("tenant", &other).await;
    let stranger = server.person_on(&other, "stranger", "roles/opspilot365.technician", &[&tenant]).await;
    let role = scene.role(&[allow("users.view")]).await;
    server.bind(&stranger.name, &role, &scene.contoso).await;
    suspend(server, &other, pb::SuspensionScope::Subtree).await;
    let service = server
        .peer(&scene.contoso, "rmm", "roles/core.backend_service", pb::PeerKind::Integration, &[&scene.contoso])
        .await;
    let told = send(&service.client, ask(&stranger.name, "users.view", &scene.contoso)).await.unwrap();
    assert_eq!(decided(&told), pb::DecisionReason::SubjectHomeSuspended);
    assert!(!all_of(&told).contains("other-msp"), "{told:#?}");
    assert!(told.suggestions.is_empty(), "{told:#?}");
    assert!(told.text.contains("an account that you may not view"), "{}", told.text);
    let told = send(&server.operator(), ask(&stranger.name, "users.view", &scene.contoso)).await.unwrap();
    assert!(told.suggestions[0].text.contains("resume accounts/other-msp"), "{told:#?}");
    scene.server.stop().await;
}

#[tokio::test]
async fn callers_ask_about_themselves_and_of_others_only_where_they_may() {
    let scene = Scene::start().await;
    let server = &scene.server;
    let mike = server.person_on(&scene.msp, "mike", "roles/opspilot365.technician", &[&scene.contoso]).await;
    for (peer, account) in [
        (mike.name.as_str(), scene.contoso.as_str()),
        (mike.name.as_str(), "accounts/nowhere"),
        ("peers/@nobody", scene.contoso.as_str()),
    ] {
        let status = send(&scene.emily.client, ask(peer, "users.view", account)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"), "{peer}");
    }
    // Where one holds nothing, the answer is the same whatever the account, but for its name.
    let mut answers = Vec::new();
    let plain = |told: pb::ExplainAuthorizationResponse, account: &str| {
        let decision = told.decision.unwrap();
        let text = told.text.replace(account, "ACCOUNT").replace(&decision.revision.to_string(), "N");
        let decision = pb::AuthorizeResponse { decision_id: String::new(), revision: 0, ..decision };
        (decision, told.grants, told.checks, told.suggestions, text, told.total_size)
    };
    for account in [scene.contoso.as_str(), "accounts/nowhere"] {
        let told = send(&scene.emily.client, ask("peers/me", "users.view", account)).await.unwrap();
        answers.push(plain(told, account));
    }
    suspend(server, &scene.contoso, pb::SuspensionScope::Subtree).await;
    let told = send(&scene.emily.client, ask("peers/me", "users.view", &scene.contoso)).await.unwrap();
    answers.push(plain(told, &scene.contoso));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(answers[0].1.is_empty() && answers[0].2.is_empty() && answers[0].3.is_empty());
    scene.server.stop().await;
}

#[tokio::test]
async fn suggested_roles_are_those_that_the_caller_may_know() {
    let scene = Scene::start().await;
    let server: &Server = &scene.server;
    let secret = scene.role(&[allow("users.view")]).await;
    scene.bound(&[allow("devices.view")], |_| {}).await;
    let service = server
        .peer(&scene.contoso, "rmm", "roles/core.backend_service", pb::PeerKind::Integration, &[&scene.contoso])
        .await;
    let request = || ask(&scene.emily.name, "users.view", &scene.contoso);
    let told = send(&service.client, request()).await.unwrap();
    assert_eq!(decided(&told), pb::DecisionReason::NoMatchingGrant);
    assert!(!all_of(&told).contains(&secret) && all_of(&told).contains("roles/opspilot365."), "{told:#?}");
    let told = send(&server.operator(), request()).await.unwrap();
    assert!(all_of(&told).contains(&secret), "{told:#?}");
    scene.server.stop().await;
}
