//! Many peers in one call: each is judged as by a call of its own, on top of those before it.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_create_peers_result::Result as ItemResult;
use tonic::Code;

use super::*;
use crate::support::{PostgresDatabase, Server, bad_fields, request_id, status_of};

const GOOD: &str = "plover gasoline tuba wicket";

fn batch(requests: Vec<pb::CreatePeerRequest>) -> pb::BatchCreatePeersRequest {
    pb::BatchCreatePeersRequest { requests, ..Default::default() }
}

async fn send(client: &Client, request: pb::BatchCreatePeersRequest) -> Result<Vec<Result<pb::Peer, Status>>, Status> {
    let answer = client.peers().batch_create_peers(request).await?.into_inner();
    let result = |result: pb::BatchCreatePeersResult| match result.result.expect("an outcome") {
        ItemResult::Peer(peer) => Ok(peer),
        ItemResult::Error(error) => Err(status_of(&error)),
    };
    Ok(answer.results.into_iter().map(result).collect())
}

async fn events(client: &Client, account: &str) -> Vec<pb::AuditEvent> {
    let request = pb::ListAuditEventsRequest { account: account.to_owned(), page_size: 1000, ..Default::default() };
    client.audit().list_audit_events(request).await.unwrap().into_inner().audit_events
}

#[tokio::test]
async fn nobody_creates_a_peer_above_themselves_in_bulk() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let other = server.partner("fabrikam-msp", &["mspcontrol"]).await;
    let maker = server.custom_role(&partner, &["peers.create", "peers.view", "role_bindings.create", "ftp.view"]).await;
    let weak = server.custom_role(&partner, &["ftp.view"]).await;
    let maker = server.person(&partner, "maker", &maker).await;
    let with_password = pb::CreatePeerRequest {
        password: GOOD.into(),
        confirm_password: GOOD.into(),
        ..wish(&partner, "sock-puppet", ADMINISTRATOR)
    };
    let requests = vec![
        wish(&partner, "first", &weak),
        wish(&partner, "strong", ADMINISTRATOR),
        on(&[partner.as_str(), other.as_str()], wish(&partner, "abroad", &weak)),
        wish(&other, "hidden", &weak),
        with_password,
        wish(&partner, "last", &weak),
    ];
    let results = send(&maker.client, batch(requests)).await.unwrap();
    let outcome: Vec<_> =
        results.iter().map(|result| result.clone().map(|_| ()).map_err(|_| why(result.clone()))).collect();
    assert_eq!(
        outcome,
        [Ok(()), Err(escalation()), Err(hidden()), Err(hidden()), Err(escalation()), Ok(())],
        "{results:?}"
    );
    let operator = server.operator();
    for gone in ["strong", "abroad", "hidden", "sock-puppet"] {
        assert_eq!(why(get(&operator, &format!("peers/@{gone}")).await), super::hidden(), "{gone}");
    }
    for made in ["first", "last"] {
        let made = get(&operator, &format!("peers/@{made}")).await.unwrap();
        assert!(server.may(&made.name, "ftp.view", &partner).await);
    }
    // What was refused is told as a refused call of its own would be.
    let refused: Vec<_> = events(&operator, &partner).await;
    let refused = refused.iter().filter(|event| event.outcome() == pb::AuditOutcome::Denied);
    let mut reasons: Vec<&str> = refused.map(|event| event.reason.as_str()).collect();
    reasons.sort_unstable();
    // Two of the same kind and name are told at once and counted.
    assert_eq!(reasons, ["ESCALATION", "RESOURCE_NOT_FOUND"]);
    // Whoever may make peers nowhere is turned away as a whole.
    let nobody = server.person(&partner, "nobody", &weak).await;
    let turned_away = send(&nobody.client, batch(vec![wish(&partner, "x", &weak)])).await;
    assert_eq!(why(turned_away), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    server.stop().await;
}

async fn items_are_judged_in_order_under_one_revision(server: Server) {
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &partner).await;
    let operator = server.operator();
    create(&operator, wish(&partner, "taken", READ_ONLY)).await.unwrap();
    let before = events(&operator, &partner).await.len();
    let linked = |user_name: &str, person: &str| {
        let request = wish(&partner, user_name, READ_ONLY);
        pb::CreatePeerRequest { peer: request.peer.map(|peer| pb::Peer { person: person.into(), ..peer }), ..request }
    };
    let bad = pb::Peer { email: "no address".into(), home_account: partner.clone(), ..pb::Peer::default() };
    let requests = vec![
        wish(&partner, "emily", READ_ONLY),
        wish(&partner, "ＥＭＩＬＹ", READ_ONLY),
        wish(&partner, "Taken", READ_ONLY),
        pb::CreatePeerRequest { peer: Some(bad), role: "reader".into(), ..wish(&partner, "", READ_ONLY) },
        linked("emily-2", "peers/@emily"),
        linked("emily-3", "peers/@nobody"),
        wish(&partner, "devil", "roles/mspcontrol.device"),
        on(&[customer.as_str()], wish(&partner, "sarah", READ_ONLY)),
        wish(&partner, "emily-3", READ_ONLY),
    ];
    let results = send(&operator, batch(requests)).await.unwrap();
    let taken = || is(Code::AlreadyExists, "USER_NAME_TAKEN");
    let outcome: Vec<_> = results
        .iter()
        .map(|result| result.clone().map(|peer| peer.user_name).map_err(|_| why(result.clone())))
        .collect();
    assert_eq!(
        outcome,
        [
            Ok("emily".to_owned()),
            Err(taken()),
            Err(taken()),
            Err(is(Code::InvalidArgument, "INVALID_FIELDS")),
            Ok("emily-2".to_owned()),
            Err(hidden()),
            Err(state("ACCOUNT_KIND_NOT_ALLOWED")),
            Ok("sarah".to_owned()),
            Ok("emily-3".to_owned()),
        ]
    );
    assert_eq!(bad_fields(results[3].as_ref().unwrap_err()), ["peer.user_name", "peer.kind", "peer.email", "role"]);
    let made: Vec<&pb::Peer> = results.iter().flatten().collect();
    assert_eq!(made[1].person, made[0].name);
    let revision = made[0].update_revision;
    assert!(made.iter().all(|peer| peer.update_revision == revision), "{made:?}");
    for peer in &made {
        assert_eq!(get(&operator, &peer.name).await.unwrap(), **peer);
    }
    assert!(server.may(&made[2].name, "ftp.view", &customer).await);

    // One event for each peer, and one for each account that a list named, in the order of the items.
    let log = events(&operator, &partner).await;
    assert_eq!(log.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=log.len() as i64).collect::<Vec<_>>());
    let told: Vec<_> = log[before..].iter().map(|event| (event.action.as_str(), event.revision)).collect();
    assert_eq!(told, [("peers.create", revision); 4]);
    let told = events(&operator, &customer).await;
    assert_eq!(told.last().unwrap().action, "role_bindings.create");

    // After a restart everything is as it was told.
    let reloaded = peerage::app::context(server.running().ctx().store.clone(), peerage::application::Clock::System);
    let reloaded = reloaded.unwrap();
    peerage::app::load(&reloaded).await.unwrap();
    assert_eq!(reloaded.snapshot().mark(), server.running().ctx().snapshot().mark());
    server.stop().await;
}

#[tokio::test]
async fn items_are_judged_in_order_under_one_revision_on_sqlite() {
    items_are_judged_in_order_under_one_revision(Server::start().await).await;
}

#[tokio::test]
async fn items_are_judged_in_order_under_one_revision_on_postgres() {
    let database = PostgresDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    items_are_judged_in_order_under_one_revision(Server::start_on(&database.url, folder).await).await;
    database.drop().await;
}

#[tokio::test]
async fn a_repeated_batch_answers_alike_and_makes_nothing() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let with = |password: &str| {
        let password = password.to_owned();
        let strong = pb::CreatePeerRequest {
            confirm_password: password.clone(),
            password,
            ..wish(&partner, "emily", READ_ONLY)
        };
        batch(vec![strong, wish(&partner, "Emily", READ_ONLY), wish(&partner, "", READ_ONLY)])
    };
    let first = pb::BatchCreatePeersRequest { request_id: request_id(), ..with(GOOD) };
    let rehearsal = pb::BatchCreatePeersRequest { validate_only: true, ..with(GOOD) };
    let rehearsed = send(&operator, rehearsal).await.unwrap();
    assert_eq!(rehearsed[0].as_ref().unwrap().update_revision, 0);
    assert_eq!(why(get(&operator, "peers/@emily").await), hidden(), "a rehearsal makes nothing");

    let answer = operator.peers().batch_create_peers(first.clone()).await.unwrap().into_inner();
    delete(&operator, "peers/@emily").await.unwrap();
    let revision = server.decide("peers/me", "accounts.view", "accounts/platform").await.revision;
    let again = operator.peers().batch_create_peers(first.clone()).await.unwrap().into_inner();
    assert_eq!(answer, again);
    assert_eq!(server.decide("peers/me", "accounts.view", "accounts/platform").await.revision, revision);
    for other in [with("the password of somebody else"), batch(vec![wish(&partner, "sarah", READ_ONLY)])] {
        let other = pb::BatchCreatePeersRequest { request_id: first.request_id.clone(), ..other };
        assert_eq!(why(send(&operator, other).await), is(Code::InvalidArgument, "REQUEST_ID_REUSED"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_batch_has_bounds_and_its_items_no_ids_of_their_own() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    for count in [0, 1001] {
        let status = send(&operator, batch(vec![wish(&partner, "emily", READ_ONLY); count])).await.unwrap_err();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["requests".to_owned()]));
    }
    let own =
        pb::CreatePeerRequest { request_id: request_id(), validate_only: true, ..wish(&partner, "emily", READ_ONLY) };
    let results = send(&operator, batch(vec![own, wish(&partner, "sarah", READ_ONLY)])).await.unwrap();
    assert_eq!(bad_fields(results[0].as_ref().unwrap_err()), ["request_id", "validate_only"]);
    assert!(results[1].is_ok());

    let many = (0..1000).map(|number| wish(&partner, &format!("peer-{number}"), READ_ONLY)).collect();
    let results = send(&operator, batch(many)).await.unwrap();
    assert!(results.iter().all(Result::is_ok));
    server.stop().await;
}

/// More passwords than the queue of the hashing threads takes; others have their turns meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_come_in_bulk_and_leave_room_for_others() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let victim = create(&operator, wish(&partner, "victim", READ_ONLY)).await.unwrap();
    let room = server.running().ctx().pools.hashing.room();
    let with = |number: usize, password: String| pb::CreatePeerRequest {
        confirm_password: password.clone(),
        password,
        ..wish(&partner, &format!("peer-{number}"), READ_ONLY)
    };
    let mut requests: Vec<_> = (0..room + 8).map(|number| with(number, format!("{GOOD} {number}"))).collect();
    requests[3] = with(3, "password".to_owned());
    let (results, others) = tokio::join!(send(&operator, batch(requests)), async {
        let mut done = 0;
        for _ in 0..3 {
            let request = pb::SetPasswordRequest {
                name: victim.name.clone(),
                password: GOOD.into(),
                confirm_password: GOOD.into(),
                ..Default::default()
            };
            done += usize::from(operator.peers().set_password(request).await.is_ok());
        }
        done
    });
    assert_eq!(others, 3);
    let results = results.unwrap();
    let refused: Vec<_> = results.iter().filter(|result| result.is_err()).cloned().map(why).collect();
    assert_eq!(refused, [is(Code::InvalidArgument, "PASSWORD_REJECTED")]);
    let store = &server.running().ctx().store;
    for peer in results.iter().flatten() {
        let id = peerage::domain::ids::PeerId::parse(&peer.uid).unwrap();
        assert!(peerage::storage::passwords::find(store.reader(), id).await.unwrap().is_some());
    }
    server.stop().await;
}
