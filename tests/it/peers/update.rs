//! Changes of peers.

use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::{Server, bad_fields};

#[tokio::test]
async fn mc_22_a_mask_changes_what_it_names_and_nothing_else() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let mut request = wish(&partner, "emily", READ_ONLY);
    let peer = request.peer.as_mut().unwrap();
    (peer.first_name, peer.last_name) = ("Emily".into(), "Chen".into());
    peer.address = Some(pb::PostalAddress { city: "Bern".into(), country: "CH".into(), ..Default::default() });
    let made = create(&operator, request).await.unwrap();

    let wanted = pb::Peer {
        name: made.name.clone(),
        first_name: "ignored".into(),
        last_name: "Wilson".into(),
        address: Some(pb::PostalAddress { city: "Basel".into(), ..Default::default() }),
        ..pb::Peer::default()
    };
    let changed = update(&operator, wanted.clone(), &["last_name", "address.city"]).await.unwrap();
    assert_eq!(changed.full_name, "Emily Wilson");
    let address = changed.address.clone().unwrap();
    assert_eq!((address.city.as_str(), address.country.as_str()), ("Basel", "CH"));
    assert_ne!(changed.etag, made.etag);
    assert_eq!(get(&operator, &made.name).await.unwrap(), changed);

    // The address as a whole takes the rest of it along.
    let changed = update(&operator, wanted.clone(), &["address"]).await.unwrap();
    assert_eq!(changed.address.unwrap().country, "");
    // Without a mask, what is populated changes, and what stands there already does no harm.
    let whole = pb::Peer { kind: made.kind, home_account: partner.clone(), ..wanted.clone() };
    let request = pb::UpdatePeerRequest { peer: Some(whole), ..pb::UpdatePeerRequest::default() };
    let changed = operator.peers().update_peer(request).await.unwrap().into_inner();
    assert_eq!((changed.first_name.as_str(), changed.user_name.as_str()), ("ignored", "emily"));
    // A star replaces all, so the user name must be there.
    let status = update(&operator, wanted.clone(), &["*"]).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["peer.user_name"]);
    let all = pb::Peer { user_name: "emily".into(), name: made.name.clone(), ..pb::Peer::default() };
    let changed = update(&operator, all, &["*"]).await.unwrap();
    assert_eq!((changed.full_name.as_str(), changed.address), ("", None));

    // The same once more is no change.
    let again = update(&operator, pb::Peer { name: made.name.clone(), ..Default::default() }, &["fax"]).await.unwrap();
    assert_eq!((again.etag, again.update_revision), (changed.etag, changed.update_revision));
    // A rehearsal of no change shows no revision either.
    let rehearsal = pb::UpdatePeerRequest {
        peer: Some(pb::Peer { name: made.name.clone(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["fax".to_owned()] }),
        validate_only: true,
        ..Default::default()
    };
    let shown = operator.peers().update_peer(rehearsal).await.unwrap().into_inner();
    assert_eq!(shown.update_revision, 0);
    server.stop().await;
}

#[tokio::test]
async fn wrong_paths_are_named_beside_the_faults_of_the_others() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let made = create(&operator, wish(&partner, "emily", READ_ONLY)).await.unwrap();
    let wrong = pb::Peer { email: "no address".into(), language: "klingonese!".into(), ..made.clone() };
    let status = update(&operator, wrong, &["zz", "state", "email", "language"]).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_FIELDS");
    assert_eq!(bad_fields(&status), ["update_mask", "peer.email", "peer.language"]);
    assert!(status.message().contains("`update_mask` names `zz`, `state`:"), "{}", status.message());
    let mask = |paths: &[&str]| prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
    let get = pb::GetPeerRequest { name: made.name.clone(), read_mask: Some(mask(&["name", "zz", "yy"])) };
    let status = operator.peers().get_peer(get).await.unwrap_err();
    assert_eq!((reason(&status).as_str(), bad_fields(&status)), ("FIELD_MASK_INVALID", vec!["read_mask".to_owned()]));
    assert!(status.message().contains("`read_mask` names `zz`, `yy`:"), "{}", status.message());
    server.stop().await;
}

#[tokio::test]
async fn masks_with_unknown_or_fixed_fields_are_refused() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let made = create(&operator, wish(&partner, "emily", READ_ONLY)).await.unwrap();
    for path in ["nickname", "state", "uid", "etag", "kind", "home_account", "allowed_actions", "address.planet", ""] {
        let status = update(&operator, made.clone(), &[path]).await.unwrap_err();
        assert_eq!(reason(&status), "FIELD_MASK_INVALID", "{path}");
        assert_eq!(bad_fields(&status), ["update_mask"], "{path}");
    }
    let status = update(&operator, made.clone(), &["first_name"; 65]).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["update_mask"]);
    for (field, peer) in [
        ("peer.kind", pb::Peer { kind: pb::PeerKind::Device.into(), ..made.clone() }),
        ("peer.home_account", pb::Peer { home_account: "accounts/platform".into(), ..made.clone() }),
        ("peer.person", pb::Peer { person: made.name.clone(), ..made.clone() }),
    ] {
        let request = pb::UpdatePeerRequest { peer: Some(peer), ..pb::UpdatePeerRequest::default() };
        let status = operator.peers().update_peer(request).await.unwrap_err();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let bad = pb::Peer { email: "x".into(), fax: "1".into(), first_name: "x".repeat(129), ..made };
    let status = update(&operator, bad, &["email", "fax"]).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["peer.email", "peer.fax"]);
    server.stop().await;
}

#[tokio::test]
async fn a_user_name_changes_and_stays_unique() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = create(&operator, wish(&partner, "emily", READ_ONLY)).await.unwrap();
    create(&operator, wish(&partner, "mike", READ_ONLY)).await.unwrap();
    let named = |user_name: &str| pb::Peer { user_name: user_name.into(), ..emily.clone() };
    let rename = |user_name| {
        let peer = pb::Peer { etag: String::new(), ..named(user_name) };
        let operator = operator.clone();
        async move { update(&operator, peer, &["user_name"]).await }
    };
    assert_eq!(why(rename("MIKE").await), is(Code::AlreadyExists, "USER_NAME_TAKEN"));
    assert_eq!(rename("Emily").await.unwrap().user_name, "Emily");
    assert_eq!(rename("emily.chen").await.unwrap().user_name, "emily.chen");
    assert_eq!(get(&operator, "peers/@EMILY.CHEN").await.unwrap().name, emily.name);
    assert_eq!(why(get(&operator, "peers/@emily").await), hidden());
    create(&operator, wish(&partner, "emily", READ_ONLY)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn stale_etags_repeated_requests_and_rehearsals() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let id = "6f1e7f9e-0d0e-4c55-9a52-1d9d4b0d3c11";
    let request = pb::CreatePeerRequest { request_id: id.into(), ..wish(&partner, "emily", READ_ONLY) };
    let made = create(&operator, request.clone()).await.unwrap();
    assert_eq!(create(&operator, request.clone()).await.unwrap(), made);
    let other = pb::CreatePeerRequest { justification: "another".into(), ..request };
    assert_eq!(why(create(&operator, other).await), is(Code::InvalidArgument, "REQUEST_ID_REUSED"));

    let stale = is(Code::Aborted, "ETAG_MISMATCH");
    let changed = update(&operator, city_of(&made, "Bern"), &["address.city"]).await.unwrap();
    assert_eq!(why(update(&operator, made.clone(), &["address.city"]).await), stale);
    for etag in [made.etag.as_str(), "nonsense"] {
        let (name, etag) = (made.name.clone(), etag.to_owned());
        let disable = pb::DisablePeerRequest { name: name.clone(), etag: etag.clone(), ..Default::default() };
        assert_eq!(why(operator.peers().disable_peer(disable).await), stale);
        let delete = pb::DeletePeerRequest { name, etag, ..Default::default() };
        assert_eq!(why(operator.peers().delete_peer(delete).await), stale);
    }
    let long = pb::DeletePeerRequest { name: made.name.clone(), etag: "x".repeat(65), ..Default::default() };
    assert_eq!(bad_fields(&operator.peers().delete_peer(long).await.unwrap_err()), ["etag"]);

    let dry = pb::DeletePeerRequest { name: made.name.clone(), validate_only: true, ..Default::default() };
    let told = operator.peers().delete_peer(dry).await.unwrap().into_inner();
    assert_eq!(told.state(), pb::PeerState::Deleted);
    let dry = pb::CreatePeerRequest { validate_only: true, ..wish(&partner, "never", READ_ONLY) };
    let told = create(&operator, dry).await.unwrap();
    assert_eq!(told.tenant_access, Some(pb::TenantAccess { all: true, account_count: 0 }));
    assert_eq!(why(get(&operator, "peers/@never").await), hidden());
    assert_eq!(get(&operator, &made.name).await.unwrap(), changed);

    let delete = pb::DeletePeerRequest { name: made.name.clone(), request_id: id.into(), ..Default::default() };
    let first = operator.peers().delete_peer(delete.clone()).await.unwrap().into_inner();
    assert_eq!(operator.peers().delete_peer(delete).await.unwrap().into_inner(), first);
    server.stop().await;
}

#[tokio::test]
async fn a_peer_ends_at_its_expire_time_by_itself() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let temp = server.person(&partner, "temp", READ_ONLY).await;
    let until = pb::Peer { name: temp.name.clone(), expire_time: Some(server.time(60)), ..Default::default() };
    update(&operator, until, &["expire_time"]).await.unwrap();
    assert!(lets_in(&temp.client).await);
    server.advance(Duration::from_secs(60));
    assert!(!lets_in(&temp.client).await);
    assert!(!server.may(&temp.name, "websites.view", &partner).await);
    let for_good = pb::Peer { name: temp.name.clone(), ..Default::default() };
    update(&operator, for_good, &["expire_time"]).await.unwrap();
    assert!(lets_in(&temp.client).await);
    server.stop().await;
}

fn city_of(peer: &pb::Peer, city: &str) -> pb::Peer {
    let address = pb::PostalAddress { city: city.to_owned(), ..pb::PostalAddress::default() };
    pb::Peer { address: Some(address), ..peer.clone() }
}
