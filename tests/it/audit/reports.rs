//! Reports of other services: who may report, about whom, and once.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{SERVICE, all, of, on_both, page, personal, record, report, service};
use crate::support::{Server, bad_fields, reason, request_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_46_a_repeated_report_is_recorded_once() {
    on_both(|server| async move {
        let msp = server.partner("msp", &["opspilot365"]).await;
        let customer = server.customer("contoso", &msp).await;
        let service = service(&server, "service", &[]).await;
        let request = pb::RecordEventsRequest {
            events: (0..3).map(|number| report(&customer, &number.to_string())).collect(),
            request_id: request_id(),
            validate_only: false,
        };
        // Many at once, as a client with short deadlines would send them.
        let mut calls = Vec::new();
        for _ in 0..6 {
            let (mut audit, request) = (service.client.audit(), request.clone());
            calls
                .push(tokio::spawn(async move { audit.record_events(request).await.map(tonic::Response::into_inner) }));
        }
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.unwrap().unwrap().recorded_events);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(answers[0].iter().map(|event| event.seq).collect::<Vec<_>>(), [2, 3, 4]);
        let events = all(&server.operator(), of(&customer)).await;
        assert_eq!(events.len(), 4);
        for (event, link) in events.iter().skip(1).zip(&answers[0]) {
            assert_eq!((&event.uid, &event.account), (&link.event_uid, &link.account));
        }
        for (before, after) in events.iter().zip(events.iter().skip(1)) {
            assert_eq!((after.seq, &after.prev_hash), (before.seq + 1, &before.leaf_hash));
        }
        let other = pb::RecordEventsRequest { events: vec![report(&customer, "other")], ..request.clone() };
        let status = service.client.audit().record_events(other).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
        // A rehearsal records nothing.
        let rehearsal = pb::RecordEventsRequest { request_id: String::new(), validate_only: true, ..request };
        let told = service.client.audit().record_events(rehearsal).await.unwrap().into_inner();
        assert_eq!(told.recorded_events, []);
        assert_eq!(all(&server.operator(), of(&customer)).await.len(), 4);
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn op_46_a_report_is_a_claim_of_its_reporter() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let service = service(&server, "service", &[]).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&customer]).await;
    let event = pb::ReportedEvent {
        account: department.clone(),
        occur_time: Some(server.time(-3600)),
        actor: "peers/@emily".to_owned(),
        on_behalf_of: service.name.clone(),
        action: "licenses.order".to_owned(),
        target_kind: "license".to_owned(),
        target_name: Some(pb::ReportedText { value: "licenses/E3".to_owned(), public: true }),
        target_display_name: "Office E3".to_owned(),
        outcome: pb::AuditOutcome::Failed.into(),
        reason: "OUT_OF_STOCK".to_owned(),
        justification: "ticket 7".to_owned(),
        source_address: "2001:DB8::1".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0".to_owned(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        changes: vec![pb::ReportedChange { field: "count".to_owned(), before: None, after: personal("fifty") }],
    };
    record(&service.client, vec![event]).await.unwrap();
    let event = all(&server.operator(), of(&customer)).await.pop().unwrap();
    assert_eq!(event.actor.as_ref().unwrap().peer, emily.name);
    assert_eq!(event.actor.as_ref().unwrap().display_name.as_ref().unwrap().value, "emily");
    let reporter = event.reporter.as_ref().unwrap();
    assert_eq!((&reporter.peer, reporter.kind()), (&service.name, pb::AuditActorKind::Integration));
    assert_eq!(event.on_behalf_of.as_ref().unwrap().peer, service.name);
    assert_eq!(event.occur_time, Some(server.time(-3600)));
    assert_eq!(event.record_time, Some(server.time(0)));
    assert_eq!(event.target.as_ref().unwrap().account, department);
    assert_eq!((event.outcome(), event.reason.as_str()), (pb::AuditOutcome::Failed, "OUT_OF_STOCK"));
    assert_eq!(event.source_address.as_ref().unwrap().value, "2001:db8::1");
    assert_eq!((event.browser.as_str(), event.operating_system.as_str()), ("Firefox", "Linux"));
    assert_eq!(event.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(event.summary, "emily for service failed at licenses.order in sales (OUT_OF_STOCK: Office E3)");
    let hashed = String::from_utf8_lossy(&event.canonical_bytes).into_owned();
    assert!(hashed.contains("licenses/E3"), "{hashed}");
    for personal in ["ticket", "2001:db8", "Mozilla", "Office", "emily", "fifty"] {
        assert!(!hashed.contains(personal), "{personal}: {hashed}");
    }
    server.stop().await;
}

#[tokio::test]
async fn only_those_who_may_report_do_and_only_where_they_may() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let (own, other) = (server.customer("own", &msp).await, server.customer("other", &msp).await);
    let service = service(&server, "service", &[&own]).await;
    let viewer = server.person(&msp, "viewer", "roles/opspilot365.read_only").await;
    let admin = server.person(&msp, "admin", "roles/opspilot365.administrator").await;
    let before_all = all(&server.operator(), of(&own)).await.len();
    // One event that is refused takes the others with it.
    let status = record(&service.client, vec![report(&own, "a"), report(&other, "b")]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    let there = all(&server.operator(), of(&own)).await;
    assert!(there.iter().all(|event| event.action != "users.reset_password") && there.len() >= before_all);
    let status = record(&viewer.client, vec![report(&own, "a")]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    // The log of the actor's home hears of it only from those who may report there.
    let before = page(&server.operator(), &of(&msp)).await.unwrap().audit_events.len();
    let by_admin = pb::ReportedEvent { actor: admin.name.clone(), ..report(&own, "jane") };
    record(&service.client, vec![by_admin.clone()]).await.unwrap();
    assert_eq!(page(&server.operator(), &of(&msp)).await.unwrap().audit_events.len(), before);
    server.bind(&service.name, SERVICE, &msp).await;
    record(&service.client, vec![by_admin]).await.unwrap();
    let events = all(&server.operator(), of(&msp)).await;
    assert_eq!(events.last().unwrap().action, "users.reset_password");
    server.stop().await;
}

#[tokio::test]
async fn everything_that_is_wrong_with_reports_is_named_at_once() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let customer = server.customer("contoso", &msp).await;
    let wrong = pb::ReportedEvent {
        account: "contoso".to_owned(),
        actor: "emily".to_owned(),
        action: "reset".to_owned(),
        target_kind: "End User".to_owned(),
        target_name: None,
        outcome: pb::AuditOutcome::Denied.into(),
        reason: String::new(),
        source_address: "somewhere".to_owned(),
        trace_id: "0AF7651916CD43DD8448EB211C80319C".to_owned(),
        changes: vec![pb::ReportedChange { field: "a b".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    let reasoned = pb::ReportedEvent { reason: "NONE".to_owned(), ..report(&customer, "jane") };
    let status = record(&server.operator(), vec![wrong, reasoned]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    assert_eq!(
        bad_fields(&status),
        [
            "events[0].account",
            "events[0].actor",
            "events[0].action",
            "events[0].target_kind",
            "events[0].target_name.value",
            "events[0].reason",
            "events[0].source_address",
            "events[0].trace_id",
            "events[0].changes[0].field",
            "events[0].changes[0].after",
            "events[1].reason",
        ]
    );
    // What only the server's state tells comes all at once too.
    let unknown = "peers/01935201-6b2c-7000-8000-0000000000a1".to_owned();
    let status = record(
        &server.operator(),
        vec![
            pb::ReportedEvent { actor: unknown.clone(), on_behalf_of: unknown, ..report(&customer, "jane") },
            pb::ReportedEvent { occur_time: Some(server.time(61)), ..report(&customer, "jane") },
            pb::ReportedEvent { actor: "peers/@nobody".to_owned(), ..report(&customer, "jane") },
        ],
    )
    .await
    .unwrap_err();
    assert_eq!(
        bad_fields(&status),
        ["events[0].actor", "events[0].on_behalf_of", "events[1].occur_time", "events[2].actor"]
    );
    let none = record(&server.operator(), Vec::new()).await.unwrap_err();
    assert_eq!(bad_fields(&none), ["events"]);
    // A service that may ask about nobody learns no user names by reporting.
    let role = server.custom_role(&msp, &["audit.record"]).await;
    let blind = server.person(&msp, "blind", &role).await;
    let other = server.customer("fabrikam", &msp).await;
    server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&other]).await;
    for name in ["peers/@emily", "peers/@nobody"] {
        let event = pb::ReportedEvent { actor: name.to_owned(), ..report(&customer, "jane") };
        let status = record(&blind.client, vec![event]).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["events[0].actor"], "{name}");
    }
    let there = all(&server.operator(), of(&customer)).await;
    assert!(there.iter().all(|event| event.action != "users.reset_password"), "{there:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_report_names_nobody_that_its_reporter_may_not_know() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let admin = server.person(&customer, "admin", "roles/mspcontrol.customer_admin_peer").await;
    let other = server.partner("other-msp", &["mspcontrol"]).await;
    let stranger = server.person(&other, "stranger", "roles/mspcontrol.read_only").await;
    let partner = server.person_on(&msp, "partner", "roles/mspcontrol.read_only", &[&customer]).await;
    let told = async |actor: &str, on_behalf_of: &str| {
        let event = pb::ReportedEvent {
            actor: actor.to_owned(),
            on_behalf_of: on_behalf_of.to_owned(),
            ..report(&customer, "jane")
        };
        let request = pb::RecordEventsRequest { events: vec![event], validate_only: true, ..Default::default() };
        let refused = admin.client.audit().record_events(request).await.err();
        refused.map(|status| (bad_fields(&status), status.message().to_owned()))
    };
    let nobody = told("peers/@nobody", "").await.expect("nobody is refused");
    assert_eq!(nobody.0, ["events[0].actor"]);
    for hidden in ["peers/@stranger", &stranger.name] {
        assert_eq!(told(hidden, "").await.as_ref(), Some(&nobody), "{hidden}");
        assert_eq!(told("", hidden).await.unwrap().0, ["events[0].on_behalf_of"], "{hidden}");
    }
    // Who has a right on the account may have acted there, and a decision about them is answered too.
    for known in [&partner.name, "peers/@operator"] {
        assert_eq!(told(known, "").await, None, "{known}");
    }
    assert_eq!(told("peers/@admin", "peers/me").await, None);
    server.stop().await;
}

#[tokio::test]
async fn nobody_reports_what_the_server_records_itself() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    for action in ["peers.delete", "accounts.transfer_ownership", "sessions.sign_in"] {
        let event = pb::ReportedEvent { action: action.to_owned(), ..report(&msp, "jane") };
        let status = record(&server.operator(), vec![event]).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["events[0].action"], "{action}");
    }
    server.stop().await;
}
