//! Authorize and BatchAuthorize: what they answer, and what they do not let slip.

use std::str::FromStr as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_authorize_result::Result as ItemResult;
use prost::Message as _;
use tonic::Code;

use crate::support::{Server, bad_fields, http2, reason};

fn check(peer: &str, permission: &str, account: &str) -> pb::BatchAuthorizeItem {
    pb::BatchAuthorizeItem {
        subject: Some(pb::batch_authorize_item::Subject::Peer(peer.to_owned())),
        permission: permission.to_owned(),
        account: account.to_owned(),
        context: None,
    }
}

#[tokio::test]
async fn the_four_answers_say_why() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let fabrikam = server.customer("fabrikam", &msp).await;
    let emily = server.person_on(&msp, "emily@contosomsp.com", "roles/opspilot365.technician", &[&contoso]).await;

    let allowed = server.decide(&emily.name, "users.view", &contoso).await;
    assert_eq!((allowed.decision(), allowed.reason()), (pb::Decision::Allow, pb::DecisionReason::Allowed));
    assert_eq!(allowed.role, "roles/opspilot365.technician");
    assert!(
        allowed.role_binding.starts_with("roleBindings/") && allowed.revision > 0 && !allowed.decision_id.is_empty()
    );

    let denied = server.decide(&emily.name, "users.view", &fabrikam).await;
    assert_eq!((denied.decision(), denied.reason()), (pb::Decision::Deny, pb::DecisionReason::NoMatchingGrant));
    assert!(denied.role.is_empty() && denied.role_binding.is_empty());

    let approval = server.decide(&emily.name, "licenses.order", &contoso).await;
    assert_eq!(approval.decision(), pb::Decision::RequiresApproval);
    assert_eq!(approval.reason(), pb::DecisionReason::ApprovalRequired);
    assert!(matches!(
        approval.obligations[0].obligation,
        Some(pb::obligation::Obligation::Approval(ref approval)) if approval.permission == "licenses.order"
    ));

    let backup = server.partner("backup-msp", &["keepit"]).await;
    let protected = server.customer("protected", &backup).await;
    let partner = server.person(&backup, "keeper", "roles/keepit.msp_partner").await;
    let step_up = server.decide(&partner.name, "account_sessions.open", &protected).await;
    assert_eq!(step_up.decision(), pb::Decision::RequiresStepUp);
    assert!(matches!(
        step_up.obligations[0].obligation,
        Some(pb::obligation::Obligation::StepUp(ref step_up)) if step_up.max_age.as_ref().unwrap().seconds == 300
    ));
    server.stop().await;
}

#[tokio::test]
async fn callers_ask_about_themselves_and_learn_nothing_of_others() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let fabrikam = server.customer("fabrikam", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso]).await;
    let mike = server.person_on(&msp, "mike", "roles/opspilot365.technician", &[&contoso]).await;

    for me in ["peers/me", "peers/@EMILY", emily.name.as_str()] {
        let answer = emily.client.ask(me, "users.view", &contoso).await.unwrap();
        assert_eq!(answer.decision(), pb::Decision::Allow, "{me}");
    }
    // About others: NOT_FOUND, whether the peer or the account exists.
    for (peer, account) in [
        (mike.name.as_str(), contoso.as_str()),
        (mike.name.as_str(), "accounts/nowhere"),
        ("peers/@nobody", contoso.as_str()),
        ("peers/0193a7b2-0000-7000-8000-000000000000", contoso.as_str()),
    ] {
        let status = emily.client.ask(peer, "users.view", account).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::NotFound, "RESOURCE_NOT_FOUND"),
            "{peer} {account}"
        );
    }
    // About oneself, where one holds nothing: the same answer, whatever the account.
    let elsewhere = emily.client.ask("peers/me", "users.view", &fabrikam).await.unwrap();
    let missing = emily.client.ask("peers/me", "users.view", "accounts/nowhere").await.unwrap();
    let suspend = pb::SuspendAccountRequest {
        name: fabrikam.clone(),
        scope: pb::SuspensionScope::Subtree.into(),
        reason: "test".to_owned(),
        ..Default::default()
    };
    server.operator().accounts().suspend_account(suspend).await.unwrap();
    let suspended = emily.client.ask("peers/me", "users.view", &fabrikam).await.unwrap();
    for answer in [&elsewhere, &missing, &suspended] {
        assert_eq!((answer.decision(), answer.reason()), (pb::Decision::Deny, pb::DecisionReason::NoMatchingGrant));
    }
    // Whoever may check everywhere is told that the account is missing, and that a subject is.
    let status = server.operator().ask(&emily.name, "users.view", "accounts/nowhere").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let unknown = server.operator().ask("peers/@nobody", "users.view", &contoso).await.unwrap();
    assert_eq!(unknown.reason(), pb::DecisionReason::SubjectUnknown);
    server.stop().await;
}

#[tokio::test]
async fn a_backend_service_checks_others_only_where_it_may() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let fabrikam = server.customer("fabrikam", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso, &fabrikam]).await;
    let service =
        server.peer(&msp, "rmm-backend", "roles/core.backend_service", pb::PeerKind::Integration, &[&contoso]).await;
    assert_eq!(service.client.ask(&emily.name, "users.view", &contoso).await.unwrap().decision(), pb::Decision::Allow);
    let status = service.client.ask(&emily.name, "users.view", &fabrikam).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);

    // A presented API key is a subject like its peer; a broken one is nobody.
    let by_token = |token: &str| pb::AuthorizeRequest {
        subject: Some(pb::authorize_request::Subject::Token(token.to_owned())),
        permission: "users.view".to_owned(),
        account: contoso.clone(),
        ..Default::default()
    };
    let answer = service.client.access().authorize(by_token(&emily.key)).await.unwrap().into_inner();
    assert_eq!(answer.decision(), pb::Decision::Allow);
    let answer = service.client.access().authorize(by_token("prg_nonsense")).await.unwrap().into_inner();
    assert_eq!(answer.reason(), pb::DecisionReason::SubjectUnknown);
    server.stop().await;
}

#[tokio::test]
async fn of_a_presented_key_that_is_over_it_is_said_that_it_has_ended() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let emily = server.person(&msp, "emily", "roles/mspcontrol.administrator").await;
    // Somebody else has to stay when she ends.
    server.person(&msp, "sarah", "roles/mspcontrol.administrator").await;
    let operator = server.operator();
    let key = async |expire_time| {
        let api_key =
            pb::ApiKey { peer: emily.name.clone(), title: "Key".to_owned(), expire_time, ..pb::ApiKey::default() };
        let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..pb::CreateApiKeyRequest::default() };
        operator.auth().create_api_key(request).await.unwrap().into_inner()
    };
    let ask = async |token: &str| {
        let request = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Token(token.to_owned())),
            permission: "accounts.view".to_owned(),
            account: msp.clone(),
            ..pb::AuthorizeRequest::default()
        };
        let answer = operator.access().authorize(request).await.unwrap().into_inner();
        (answer.decision(), answer.reason())
    };
    let (short, long) = (key(Some(server.time(60))).await, key(None).await);
    assert_eq!(ask(&short.key).await.0, pb::Decision::Allow);
    server.advance(Duration::from_secs(60));
    assert_eq!(ask(&short.key).await, (pb::Decision::Deny, pb::DecisionReason::SubjectSessionEnded));
    // A key that was revoked is forgotten.
    assert_eq!(ask(&long.key).await.0, pb::Decision::Allow);
    let name = long.api_key.unwrap().name;
    let revoke = pb::RevokeApiKeyRequest { name, ..pb::RevokeApiKeyRequest::default() };
    operator.auth().revoke_api_key(revoke).await.unwrap();
    assert_eq!(ask(&long.key).await, (pb::Decision::Deny, pb::DecisionReason::SubjectUnknown));
    // A key outlives its peer's own end, which is then what is said.
    let expire_time = Some(server.time(60));
    let peer = pb::Peer { name: emily.name.clone(), expire_time, ..pb::Peer::default() };
    let request = pb::UpdatePeerRequest { peer: Some(peer), ..pb::UpdatePeerRequest::default() };
    operator.peers().update_peer(request).await.unwrap();
    server.advance(Duration::from_secs(60));
    assert_eq!(ask(&emily.key).await, (pb::Decision::Deny, pb::DecisionReason::SubjectExpired));
    server.stop().await;
}

#[tokio::test]
async fn bad_checks_name_every_bad_field() {
    let server = Server::start().await;
    let request = pb::AuthorizeRequest {
        subject: Some(pb::authorize_request::Subject::Peer("someone".to_owned())),
        permission: "devices".to_owned(),
        account: "contoso".to_owned(),
        approval: "approvals/1".to_owned(),
        request_id: "one".to_owned(),
        consistency: Some(pb::Consistency { requirement: Some(pb::consistency::Requirement::AtLeastRevision(-1)) }),
        context: Some(pb::DecisionContext { source_address: "nowhere".to_owned(), ..Default::default() }),
    };
    let status = server.operator().access().authorize(request).await.unwrap_err();
    let expected = [
        "peer",
        "permission",
        "account",
        "context.source_address",
        "approval",
        "request_id",
        "consistency.at_least_revision",
    ];
    assert_eq!(bad_fields(&status), expected);

    // A demand that is set to false is no demand, and no lack of one either.
    use pb::consistency::Requirement;
    for (requirement, field) in [
        (Requirement::Latest(false), "consistency.latest"),
        (Requirement::MinimizeLatency(false), "consistency.minimize_latency"),
    ] {
        let consistency = Some(pb::Consistency { requirement: Some(requirement) });
        let one = pb::AuthorizeRequest {
            permission: "accounts.view".to_owned(),
            account: "accounts/platform".to_owned(),
            consistency,
            ..Default::default()
        };
        let status = server.operator().access().authorize(one).await.unwrap_err();
        assert_eq!(bad_fields(&status), [field]);
        assert!(status.message().contains("must be `true`"), "{}", status.message());
        let items = vec![check("peers/me", "accounts.view", "accounts/platform")];
        let many = pb::BatchAuthorizeRequest { items, consistency, ..Default::default() };
        assert_eq!(bad_fields(&server.operator().access().batch_authorize(many).await.unwrap_err()), [field]);
    }

    let status = server.operator().ask("peers/me", "nothing.known", "accounts/platform").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PERMISSION_UNKNOWN"));
    let status = server.operator().ask("peers/me", "", "accounts/platform").await.unwrap_err();
    assert_eq!(bad_fields(&status), ["permission"]);
    server.stop().await;
}

#[tokio::test]
async fn a_batch_answers_in_order_and_one_wrong_item_spoils_no_other() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso]).await;
    let items = vec![
        check(&emily.name, "users.view", &contoso),
        check(&emily.name, "no_such.permission", &contoso),
        check(&emily.name, "users.view", "accounts/nowhere"),
        check("nobody", "users.view", &contoso),
        check(&emily.name, "licenses.order", &contoso),
    ];
    let request = pb::BatchAuthorizeRequest { items, ..Default::default() };
    let batch = server.operator().access().batch_authorize(request).await.unwrap().into_inner();
    let told: Vec<String> = batch
        .results
        .iter()
        .map(|result| match result.result.as_ref().unwrap() {
            ItemResult::Decision(decision) => decision.decision().as_str_name().to_owned(),
            ItemResult::Error(error) => format!("{:?}", Code::from(error.code)),
        })
        .collect();
    assert_eq!(
        told,
        ["DECISION_ALLOW", "InvalidArgument", "NotFound", "InvalidArgument", "DECISION_REQUIRES_APPROVAL"]
    );
    assert!(batch.revision > 0);

    // Defaults fill what items leave out.
    let request = pb::BatchAuthorizeRequest {
        default_subject: Some(pb::batch_authorize_request::DefaultSubject::DefaultPeer(emily.name.clone())),
        default_account: contoso.clone(),
        default_permission: "users.view".to_owned(),
        items: vec![
            pb::BatchAuthorizeItem::default(),
            pb::BatchAuthorizeItem { permission: "billing.manage".to_owned(), ..Default::default() },
        ],
        ..Default::default()
    };
    let batch = server.operator().access().batch_authorize(request).await.unwrap().into_inner();
    let decisions: Vec<i32> = batch
        .results
        .iter()
        .map(|result| match result.result.as_ref().unwrap() {
            ItemResult::Decision(decision) => decision.decision,
            ItemResult::Error(_) => -1,
        })
        .collect();
    assert_eq!(decisions, [pb::Decision::Allow as i32, pb::Decision::Deny as i32]);

    for count in [0, 1001] {
        let items = vec![check(&emily.name, "users.view", &contoso); count];
        let request = pb::BatchAuthorizeRequest { items, ..Default::default() };
        let status = server.operator().access().batch_authorize(request).await.unwrap_err();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["items".to_owned()]), "{count}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_write_is_known_to_the_next_decision_and_to_who_asks_for_its_revision() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso]).await;
    for _ in 0..20 {
        let binding = server.bind(&emily.name, "roles/opspilot365.read_only", &msp).await;
        assert!(server.may(&emily.name, "dashboards.view", &msp).await);
        let delete = pb::DeleteRoleBindingRequest { name: binding, ..Default::default() };
        let gone = server.operator().roles().delete_role_binding(delete).await.unwrap().into_inner();
        assert!(!server.may(&emily.name, "dashboards.view", &msp).await);
        let request = |revision| pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Peer(emily.name.clone())),
            permission: "dashboards.view".to_owned(),
            account: msp.clone(),
            consistency: Some(pb::Consistency {
                requirement: Some(pb::consistency::Requirement::AtLeastRevision(revision)),
            }),
            ..Default::default()
        };
        let answer = server.operator().access().authorize(request(gone.update_revision)).await.unwrap().into_inner();
        assert!(answer.revision >= gone.update_revision);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_revision_that_does_not_come_ends_the_call_before_its_deadline() {
    let server = Server::start().await;
    let message = pb::AuthorizeRequest {
        permission: "users.view".to_owned(),
        account: "accounts/platform".to_owned(),
        consistency: Some(pb::Consistency {
            requirement: Some(pb::consistency::Requirement::AtLeastRevision(1_000_000)),
        }),
        ..Default::default()
    };
    // Bare HTTP/2: a gRPC client counts by itself too, and would not show what the server does.
    let mut client = http2::connect(&server).await;
    let head = http2::head(&server, server.operator_key(), "/peerage.v1.AccountAccessService/Authorize");
    let request = head.header("grpc-timeout", "300m").body(()).unwrap();
    let begin = Instant::now();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(http2::framed(&message), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.headers().get("grpc-status").unwrap(), "14", "{response:?}");
    assert!(response.headers().get("grpc-message").unwrap().to_str().unwrap().contains("revision"));
    assert!((Duration::from_millis(200)..Duration::from_secs(5)).contains(&begin.elapsed()));
    drop(client);
    server.stop().await;
}

/// What comes back for frames as they are: the status of the call, and the decision where there is one.
async fn sent(server: &Server, headers: [(&str, &str); 2], frames: &[Bytes]) -> (String, Option<pb::Decision>) {
    let mut client = http2::connect(server).await;
    let mut request =
        http2::head(server, server.operator_key(), "/peerage.v1.AccountAccessService/Authorize").body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(http::HeaderName::from_str(name).unwrap(), value.parse().unwrap());
    }
    let (response, mut body) = client.send_request(request, false).unwrap();
    for frame in frames {
        body.send_data(frame.clone(), false).unwrap();
    }
    body.send_data(Bytes::new(), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.headers().get("content-type").unwrap(), "application/grpc");
    let early = response.headers().get("grpc-status").cloned();
    let (mut answer, mut data) = (response.into_body(), Vec::new());
    while let Some(more) = answer.data().await {
        let more = more.unwrap();
        answer.flow_control().release_capacity(more.len()).unwrap();
        data.extend(more);
    }
    let late = answer.trailers().await.unwrap().and_then(|trailers| trailers.get("grpc-status").cloned());
    let status = early.or(late).unwrap().to_str().unwrap().to_owned();
    let decision = data.get(5..).map(|message| pb::AuthorizeResponse::decode(message).unwrap().decision());
    (status, decision)
}

#[tokio::test]
async fn a_decision_is_the_same_however_its_request_is_framed() {
    const PLAIN: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
    const PROTO: [(&str, &str); 2] = [("content-type", "application/grpc+proto"), ("te", "trailers")];
    const IDENTITY: [(&str, &str); 2] = [("content-type", "application/grpc"), ("grpc-encoding", "identity")];
    let server = Server::start().await;
    let message = pb::AuthorizeRequest {
        permission: "accounts.view".to_owned(),
        account: "accounts/platform".to_owned(),
        ..Default::default()
    };
    let whole = http2::framed(&message);
    let allowed = ("0".to_owned(), Some(pb::Decision::Allow));
    let parts = |at: usize| [whole.slice(..at), whole.slice(at..)];
    for headers in [PLAIN, PROTO, IDENTITY] {
        assert_eq!(sent(&server, headers, std::slice::from_ref(&whole)).await, allowed, "{headers:?}");
        for at in [1, 5, 9] {
            assert_eq!(sent(&server, headers, &parts(at)).await, allowed, "{headers:?} {at}");
        }
    }
    let compressed = Bytes::from([&[1], &whole[1..]].concat());
    let unreadable = Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff]);
    let cut = whole.slice(..whole.len() - 1);
    let too_long = Bytes::from([&[0, 0, 0xff, 0xff, 0xff][..], &whole[5..]].concat());
    let unknown = http2::framed(&pb::AuthorizeRequest { permission: "nothing.here".to_owned(), ..message.clone() });
    let malformed = [vec![compressed], vec![unreadable], vec![cut], vec![too_long], vec![], vec![unknown]];
    for frames in malformed.into_iter().chain([vec![whole.clone(), whole.clone()]]) {
        let (told, decision) = sent(&server, PLAIN, &frames).await;
        let (as_others, same) = sent(&server, PROTO, &frames).await;
        assert_eq!((&told, decision), (&as_others, same), "{frames:?}");
        assert!(told != "0" || frames.len() == 2, "{frames:?}");
    }
    server.stop().await;
}
