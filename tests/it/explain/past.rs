//! What was decided in the past, on both databases: grants that were taken back, roles that were
//! edited, accounts that moved or went, peers that are gone; and who may know.

use std::time::Duration;

use peerage::application::refresh;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::explain_authorization_request::At;
use tonic::{Code, Status};

use super::{ask, decided, send, suspend};
use crate::bindings::{bind, binding, unbind};
use crate::groups;
use crate::roles::mask;
use crate::support::policy::{allow, create_role, deny, role};
use crate::support::{Client, Server, reason};

async fn at(
    client: &Client,
    (peer, permission, account): (&str, &str, &str),
    at: At,
) -> Result<pb::ExplainAuthorizationResponse, Status> {
    send(client, pb::ExplainAuthorizationRequest { at: Some(at), ..ask(peer, permission, account) }).await
}

fn why(answer: Result<pb::ExplainAuthorizationResponse, Status>) -> (Code, String) {
    let status = answer.expect_err("a refusal");
    (status.code(), reason(&status))
}

macro_rules! on_both {
    ($($case:ident),* $(,)?) => {$(
        mod $case {
            #[tokio::test]
            async fn on_sqlite() {
                let server = crate::support::Server::start().await;
                super::cases::$case(&server).await;
                server.stop().await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let database = crate::support::PostgresDatabase::create().await;
                let server = crate::support::Server::start_on(&database.url, tempfile::tempdir().unwrap()).await;
                super::cases::$case(&server).await;
                server.stop().await;
                database.drop().await;
            }
        }
    )*};
}

on_both! {
    what_was_granted_and_taken_back_is_told_by_revision_and_by_time,
    edited_roles_and_moved_accounts_are_as_they_were,
    what_is_gone_is_told_to_whoever_may_know_now,
}

mod cases {
    use super::*;

    pub(super) async fn what_was_granted_and_taken_back_is_told_by_revision_and_by_time(server: &Server) {
        use pb::DecisionReason as Reason;
        let operator = server.operator();
        let msp = server.partner("contoso-msp", &["opspilot365"]).await;
        let contoso = server.customer("contoso", &msp).await;
        let before = server.time(0);
        server.advance(Duration::from_secs(10));
        let elsewhere = server.customer("elsewhere", &msp).await;
        let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&elsewhere]).await;
        server.advance(Duration::from_secs(10));
        let viewer = create_role(&operator, role(&msp, &[allow("users.view")])).await.unwrap();
        server.advance(Duration::from_secs(10));
        let granted = bind(&operator, binding(&emily.name, &viewer.name, &contoso)).await.unwrap();
        let (first_moment, last_moment) = (server.time(0), server.time(9));
        server.advance(Duration::from_secs(10));
        let revoked = unbind(&operator, &granted.name).await.unwrap();
        let revoked_at = server.time(0);
        server.advance(Duration::from_secs(10));

        let question = (emily.name.as_str(), "users.view", contoso.as_str());
        let told = async |moment| at(&operator, question, moment).await.unwrap();
        let revision = |told: &pb::ExplainAuthorizationResponse| told.decision.as_ref().unwrap().revision;
        let by_revision = [
            (granted.update_revision - 1, Reason::NoMatchingGrant),
            (granted.update_revision, Reason::Allowed),
            (revoked - 1, Reason::Allowed),
            (revoked, Reason::NoMatchingGrant),
        ];
        for (number, expected) in by_revision {
            let answer = told(At::AtRevision(number)).await;
            assert_eq!((decided(&answer), revision(&answer)), (expected, number));
        }
        for (time, expected) in [
            (first_moment, Reason::Allowed),
            (last_moment, Reason::Allowed),
            (prost_types::Timestamp { seconds: first_moment.seconds - 1, nanos: 999_999_000 }, Reason::NoMatchingGrant),
            (revoked_at, Reason::NoMatchingGrant),
            (before, Reason::SubjectUnknown),
        ] {
            let answer = told(At::AtTime(time)).await;
            assert_eq!((decided(&answer), answer.evaluate_time), (expected, Some(time)));
            assert!(answer.suggestions.is_empty(), "nothing can be changed in the past");
        }
        let answer = told(At::AtRevision(granted.update_revision)).await;
        assert_eq!(answer.evaluate_time, Some(first_moment), "a revision is judged when it was committed");
        assert_eq!(answer.decision.as_ref().unwrap().role_binding, granted.name);
        assert_eq!(answer.grants[0].role, viewer.name);

        // One's own past is one's own to know; that of others is for whoever may check now.
        let mine = ("peers/me", "users.view", contoso.as_str());
        let own = at(&emily.client, mine, At::AtTime(last_moment)).await.unwrap();
        assert_eq!((decided(&own), own.grants[0].redacted), (Reason::Allowed, false));
        let now = at(&emily.client, mine, At::AtRevision(revoked)).await.unwrap();
        assert_eq!((decided(&now), now.checks.len()), (Reason::NoMatchingGrant, 0));
        let mike = server.person_on(&msp, "mike", "roles/opspilot365.technician", &[&elsewhere]).await;
        let hidden = at(&mike.client, question, At::AtTime(last_moment)).await;
        assert_eq!(why(hidden), (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned()));
        // A right to check that came later counts, and one that is gone does not.
        let service = ("rmm", "roles/core.backend_service", pb::PeerKind::Integration);
        let checker = server.peer(&contoso, service.0, service.1, service.2, &[&contoso]).await;
        assert_eq!(decided(&at(&checker.client, question, At::AtTime(last_moment)).await.unwrap()), Reason::Allowed);

        // What is yet to come is refused, and what lies before all that is kept.
        let future = (Code::OutOfRange, "MOMENT_IN_FUTURE".to_owned());
        assert_eq!(why(at(&operator, question, At::AtRevision(i64::MAX)).await), future);
        assert_eq!(why(at(&operator, question, At::AtTime(server.time(1))).await), future);
        let long_ago = prost_types::Timestamp { seconds: 0, nanos: 0 };
        let kept = (Code::FailedPrecondition, "REVISION_NOT_KEPT".to_owned());
        assert_eq!(why(at(&operator, question, At::AtTime(long_ago)).await), kept);
    }

    pub(super) async fn edited_roles_and_moved_accounts_are_as_they_were(server: &Server) {
        use pb::DecisionReason as Reason;
        let operator = server.operator();
        let msp = server.partner("contoso-msp", &["opspilot365"]).await;
        let other = server.partner("other-msp", &["opspilot365"]).await;
        let contoso = server.customer("contoso", &msp).await;
        let elsewhere = server.customer("elsewhere", &msp).await;
        let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&elsewhere]).await;
        let custom = create_role(&operator, role(&msp, &[allow("devices.view")])).await.unwrap();
        let held = bind(&operator, binding(&emily.name, &custom.name, &contoso)).await.unwrap();
        let group = groups::make(&operator, &msp).await;
        let joined = groups::join(&operator, &group, &emily.name).await.unwrap().update_revision;
        let by_group = create_role(&operator, role(&msp, &[allow("users.view")])).await.unwrap();
        let by_group = bind(&operator, crate::bindings::of_group(&group, &by_group.name, &msp)).await;
        let by_group = by_group.map(|binding| binding.update_revision).unwrap_or(joined);

        let edited = pb::Role { grants: vec![deny("devices.view")], ..custom.clone() };
        let request =
            pb::UpdateRoleRequest { role: Some(edited), update_mask: mask(&["grants"]), ..Default::default() };
        let edited = operator.roles().update_role(request).await.unwrap().into_inner().update_revision;
        let question = (emily.name.as_str(), "devices.view", contoso.as_str());
        let reason_at = async |revision| decided(&at(&operator, question, At::AtRevision(revision)).await.unwrap());
        assert_eq!(reason_at(edited).await, Reason::DenyGrant);
        assert_eq!(reason_at(edited - 1).await, Reason::Allowed);
        assert_eq!(reason_at(by_group).await, Reason::Allowed);

        // The account goes to another partner: then, Emily's rights from above reached it.
        let users = (emily.name.as_str(), "users.view", contoso.as_str());
        assert_eq!(decided(&at(&operator, users, At::AtRevision(edited)).await.unwrap()), Reason::Allowed);
        // A role of the old partner cannot go along.
        unbind(&operator, &held.name).await.unwrap();
        let request =
            pb::MoveAccountRequest { name: contoso.clone(), destination_parent: other.clone(), ..Default::default() };
        let moved = operator.accounts().move_account(request).await.unwrap().into_inner().update_revision;
        assert_eq!(decided(&at(&operator, users, At::AtRevision(moved)).await.unwrap()), Reason::NoMatchingGrant);
        let told = at(&operator, users, At::AtRevision(moved - 1)).await.unwrap();
        assert_eq!(decided(&told), Reason::Allowed);
        assert_eq!(told.grants[0].bound_account, msp);
        suspend(server, &msp, pb::SuspensionScope::Subtree).await;
        // Whoever checks for the new partner learns that somebody could, and no names of the old one.
        let service = ("rmm", "roles/core.backend_service", pb::PeerKind::Integration);
        let checker = server.peer(&other, service.0, service.1, service.2, &[&contoso]).await;
        let told = at(&checker.client, users, At::AtRevision(moved - 1)).await.unwrap();
        let decision = told.decision.clone().unwrap();
        assert_eq!(
            (decision.reason(), decision.role_binding.as_str(), decision.role.as_str()),
            (Reason::Allowed, "", "")
        );
        assert!(told.grants[0].redacted && !format!("{told:?}").contains("contoso-msp"), "{told:#?}");
    }

    pub(super) async fn what_is_gone_is_told_to_whoever_may_know_now(server: &Server) {
        use pb::DecisionReason as Reason;
        let operator = server.operator();
        let msp = server.partner("contoso-msp", &["opspilot365"]).await;
        let contoso = server.customer("contoso", &msp).await;
        let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso]).await;
        let kept = server.person_on(&msp, "sarah", "roles/opspilot365.technician", &[&contoso]).await;
        let service = ("rmm", "roles/core.backend_service", pb::PeerKind::Integration);
        let checker = server.peer(&msp, service.0, service.1, service.2, &[&msp]).await;
        let outsider = server.partner("other-msp", &["opspilot365"]).await;
        let outsider = server.peer(&outsider, "spy", service.1, service.2, &[&outsider]).await;
        let question = (emily.name.as_str(), "users.view", contoso.as_str());
        let last = server.decide(question.0, question.1, question.2).await;
        assert_eq!(last.decision(), pb::Decision::Allow);
        server.advance(Duration::from_secs(5));

        let request = pb::DeletePeerRequest { name: emily.name.clone(), ..Default::default() };
        let deleted = operator.peers().delete_peer(request).await.unwrap().into_inner().update_revision;
        let reason_at = async |client: &Client, question, revision| {
            at(client, question, At::AtRevision(revision)).await.map(|told| decided(&told))
        };
        assert_eq!(reason_at(&operator, question, deleted).await.unwrap(), Reason::SubjectUnknown);
        assert_eq!(reason_at(&operator, question, last.revision).await.unwrap(), Reason::Allowed);
        // By the name that it had then, too.
        let by_name = ("peers/@emily", "users.view", contoso.as_str());
        assert_eq!(reason_at(&operator, by_name, last.revision).await.unwrap(), Reason::Allowed);

        let request = pb::DeleteAccountRequest { name: contoso.clone(), cascade: true, ..Default::default() };
        operator.accounts().delete_account(request).await.unwrap();
        let gone = (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned());
        assert_eq!(why(send(&operator, ask(&emily.name, "users.view", &contoso)).await), gone);
        // Then it was there, and its parent is judged instead of it; also where the facts of now were just
        // read from the database.
        for _ in 0..2 {
            for client in [&operator, &checker.client] {
                assert_eq!(reason_at(client, question, last.revision).await.unwrap(), Reason::Allowed);
            }
            refresh::reload(server.running().ctx()).await.unwrap();
        }
        assert_eq!(why(at(&outsider.client, question, At::AtRevision(last.revision)).await), gone);
        // Before it was made, and of one that never was, it is as missing as now.
        assert_eq!(why(at(&operator, question, At::AtRevision(1)).await), gone);
        let nowhere = (emily.name.as_str(), "users.view", "accounts/nowhere");
        assert_eq!(why(at(&operator, nowhere, At::AtRevision(last.revision)).await), gone);
        let own = at(&kept.client, ("peers/me", "users.view", contoso.as_str()), At::AtRevision(last.revision)).await;
        assert_eq!(decided(&own.unwrap()), Reason::Allowed);
    }
}

#[tokio::test]
async fn a_revision_is_judged_at_any_time_that_has_come() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let idle = server.custom_role(&msp, &["devices.view"]).await;
    let emily = server.person(&msp, "emily", &idle).await;
    let viewer = create_role(&operator, role(&msp, &[allow("users.view")])).await.unwrap().name;
    let brief = pb::RoleBinding {
        start_time: Some(server.time(100)),
        expire_time: Some(server.time(200)),
        ..binding(&emily.name, &viewer, &msp)
    };
    let extra = create_role(&operator, role(&msp, &[deny("users.view")])).await.unwrap().name;
    let granted = bind(&operator, brief).await.unwrap();
    server.advance(Duration::from_secs(150));
    let denied = bind(&operator, binding(&emily.name, &extra, &msp)).await.unwrap().update_revision;
    server.advance(Duration::from_secs(150));
    let asked = async |moment: Option<At>, seconds: i64| {
        let time = prost_types::Timestamp { nanos: 0, ..server.time(seconds - 300) };
        let request = pb::ExplainAuthorizationRequest {
            at: moment,
            evaluate_time: Some(time),
            page_size: 1,
            ..ask(&emily.name, "users.view", &msp)
        };
        send(&operator, request).await
    };
    let revision = granted.update_revision;
    for (revision, seconds, binding) in [
        (revision, 99, None),
        (revision, 100, Some(&granted.name)),
        // Also where the next revision was current by then, and before this one was.
        (revision, 199, Some(&granted.name)),
        (revision, 200, None),
        (revision, -5, None),
        (denied, 100, None),
    ] {
        let told = asked(Some(At::AtRevision(revision)), seconds).await.unwrap();
        let decision = told.decision.unwrap();
        assert_eq!(told.evaluate_time, Some(server.time(seconds - 300)));
        assert_eq!(decision.revision, revision);
        let by = (decision.decision() == pb::Decision::Allow).then_some(&decision.role_binding);
        assert_eq!(by, binding, "{revision} {seconds}");
    }
    let future = asked(Some(At::AtRevision(revision)), 301).await;
    assert_eq!(why(future), (Code::OutOfRange, "MOMENT_IN_FUTURE".to_owned()));
    for moment in [None, Some(At::AtTime(server.time(-1)))] {
        let status = asked(moment, 150).await.unwrap_err();
        assert_eq!(crate::support::bad_fields(&status), ["evaluate_time"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_past_ends_where_the_history_does() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso]).await;
    let question = (emily.name.as_str(), "users.view", contoso.as_str());
    let last = server.decide(question.0, question.1, question.2).await.revision;
    let operator = server.operator();
    server.customer("later", &msp).await;
    let store = &server.running().ctx().store;
    let transaction = store.begin().await.unwrap();
    let forget = format!("DELETE FROM policy_changes WHERE revision < {last}");
    sea_orm::ConnectionTrait::execute_unprepared(transaction.connection(), &forget).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(decided(&at(&operator, question, At::AtRevision(last)).await.unwrap()), pb::DecisionReason::Allowed);
    let kept = (Code::FailedPrecondition, "REVISION_NOT_KEPT".to_owned());
    assert_eq!(why(at(&operator, question, At::AtRevision(last - 1)).await), kept);
    server.stop().await;
}
