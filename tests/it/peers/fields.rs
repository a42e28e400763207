//! Contact details: what they must be, and the form in which they are kept.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::{Server, bad_fields};

/// A wish for a person whose details are set by `edit`.
fn with(home: &str, user_name: &str, edit: impl FnOnce(&mut pb::Peer)) -> pb::CreatePeerRequest {
    let mut request = wish(home, user_name, READ_ONLY);
    edit(request.peer.as_mut().unwrap());
    request
}

fn address(country: &str, region: &str) -> Option<pb::PostalAddress> {
    Some(pb::PostalAddress { country: country.into(), region: region.into(), ..pb::PostalAddress::default() })
}

#[tokio::test]
async fn mc_46_an_address_has_a_country_and_a_region_that_exist() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let full = pb::PostalAddress {
        street_address: "1 Microsoft Way".into(),
        city: "Redmond".into(),
        country: "us".into(),
        region: "us-wa".into(),
        postal_code: "98052".into(),
    };
    let made = create(&operator, with(&home, "emily", |peer| peer.address = Some(full.clone()))).await.unwrap();
    let kept = pb::PostalAddress { country: "US".into(), region: "US-WA".into(), ..full };
    assert_eq!(made.address, Some(kept));

    for (country, region, bad) in [
        ("USA", "", "peer.address.country"),
        ("ZZ", "", "peer.address.country"),
        ("Switzerland", "", "peer.address.country"),
        ("", "Zürich", "peer.address.region"),
        ("US", "WA", "peer.address.region"),
        ("US", "US-QQ", "peer.address.region"),
        ("CH", "US-WA", "peer.address.region"),
    ] {
        let request = with(&home, "mike", |peer| peer.address = address(country, region));
        let status = create(&operator, request).await.unwrap_err();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec![bad.to_owned()]), "{country}");
    }
    // A change of one is held to the other that is kept.
    let move_to =
        |country: &str| pb::Peer { name: made.name.clone(), address: address(country, ""), ..Default::default() };
    let status = update(&operator, move_to("CA"), &["address.country"]).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["peer.address.region"]);
    let both = pb::Peer { name: made.name.clone(), address: address("CA", "CA-QC"), ..Default::default() };
    let moved = update(&operator, both, &["address.country", "address.region"]).await.unwrap().address.unwrap();
    assert_eq!((moved.country.as_str(), moved.region.as_str(), moved.city.as_str()), ("CA", "CA-QC", "Redmond"));
    server.stop().await;
}

#[tokio::test]
async fn mc_47_telephone_numbers_carry_their_country_code() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let request = with(&home, "emily", |peer| {
        peer.phone_number = "+41 (0)44 123 45 67".into();
        peer.mobile_phone = "+41-79-123-45-67".into();
        peer.fax = "+1 202-555-0123 ext. 7".into();
    });
    let made = create(&operator, request).await.unwrap();
    let kept = [made.phone_number.as_str(), &made.mobile_phone, &made.fax];
    assert_eq!(kept, ["+41441234567", "+41791234567", "+12025550123;ext=7"]);
    // What is answered can be sent back as it is.
    let paths = ["phone_number", "mobile_phone", "fax"];
    let again = update(&operator, made.clone(), &paths).await.unwrap();
    assert_eq!(again.etag, made.etag, "nothing changed");

    for number in ["044 123 45 67", "0041 44 123 45 67", "+41 44 CALL", "+999 123456", "+1 555 010 9999", "+41 1"] {
        let request = with(&home, "mike", |peer| {
            (peer.phone_number, peer.mobile_phone, peer.fax) = (number.into(), number.into(), number.into());
        });
        let status = create(&operator, request).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["peer.phone_number", "peer.mobile_phone", "peer.fax"], "{number}");
    }
    server.stop().await;
}

#[tokio::test]
async fn mc_48_contact_details_are_optional_and_kept() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let bare = create(&operator, wish(&home, "bare", READ_ONLY)).await.unwrap();
    assert_eq!((bare.address, bare.phone_number.as_str(), bare.email.as_str()), (None, "", ""));
    let request = with(&home, "emily", |peer| {
        (peer.email, peer.fax, peer.address) =
            ("emily@contoso.com".into(), "+41441234567".into(), address("CH", "CH-ZH"));
    });
    let made = create(&operator, request).await.unwrap();
    // Billing needs them of someone who has left, too.
    let deleted = delete(&operator, &made.name).await.unwrap();
    assert_eq!((deleted.email, deleted.fax, deleted.address), (made.email, made.fax, made.address));
    // And they can go again.
    let gone = pb::Peer { name: bare.name, ..pb::Peer::default() };
    update(&operator, gone, &["email", "fax", "address"]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn mc_59_contact_details_are_validated() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let request = with(&home, "emily", |peer| {
        peer.email = "jürg.o'neil+test@bücher.example".into();
        (peer.language, peer.time_zone) = ("zh-hant-tw".into(), "europe/zurich".into());
    });
    let made = create(&operator, request).await.unwrap();
    assert_eq!((made.language.as_str(), made.time_zone.as_str()), ("zh-Hant-TW", "Europe/Zurich"));
    assert_eq!(made.email, "jürg.o'neil+test@bücher.example");

    let long = format!("{}@contoso.com", "a".repeat(65));
    for email in [
        "emily",
        "emily@",
        "@contoso.com",
        "Emily <emily@contoso.com>",
        "emily@contoso..com",
        "emily@contoso.com\r\nBcc: x@y",
        "emily@[10.0.0.1]",
        "\"a b\"@contoso.com",
        &long,
    ] {
        let request = with(&home, "mike", |peer| {
            (peer.email, peer.secondary_email) = (email.into(), email.into());
            (peer.language, peer.time_zone) = ("de_CH".into(), "Europe/Atlantis".into());
        });
        let status = create(&operator, request).await.unwrap_err();
        let expected = ["peer.email", "peer.secondary_email", "peer.language", "peer.time_zone"];
        assert_eq!(bad_fields(&status), expected, "{email}");
    }
    server.stop().await;
}

#[tokio::test]
async fn mc_49_save_creates_the_peer_as_configured() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let request = with(&home, "emily", |peer| peer.display_name = "Emily Chen".into());
    let made = create(&operator, request).await.unwrap();
    let request = pb::ListPeersRequest { account: home.clone(), ..pb::ListPeersRequest::default() };
    let listed = operator.peers().list_peers(request).await.unwrap().into_inner().peers;
    assert_eq!(listed, [made], "the list shows what was saved, as it was answered");
    server.stop().await;
}

#[tokio::test]
async fn mc_50_cancel_persists_nothing() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let revision = server.decide("peers/me", "peers.view", &home).await.revision;
    // A form checks what was typed, and is then left.
    let password = "plover gasoline tuba wicket".to_owned();
    let request = pb::CreatePeerRequest {
        validate_only: true,
        password: password.clone(),
        confirm_password: password,
        ..wish(&home, "emily", READ_ONLY)
    };
    let shown = create(&operator, request).await.unwrap();
    assert_eq!(shown.user_name, "emily");
    assert_eq!(why(get(&operator, "peers/@emily").await), hidden());
    assert_eq!(why(get(&operator, &shown.name).await), hidden());
    assert_eq!(server.decide("peers/me", "peers.view", &home).await.revision, revision);
    let request = pb::ListAuditEventsRequest { account: home.clone(), page_size: 1000, ..Default::default() };
    let events = operator.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    assert!(events.iter().all(|event| event.action != "peers.create"));
    create(&operator, wish(&home, "emily", READ_ONLY)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn op_29_a_platform_user_has_a_display_name() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["opspilot365", "mspcontrol"]).await;
    let operator = server.operator();
    for role in ["administrator", "read_only", "manager"] {
        let mut request = wish(&home, role, &format!("roles/opspilot365.{role}"));
        let status = create(&operator, request.clone()).await.unwrap_err();
        let told = (status.code(), bad_fields(&status));
        assert_eq!(told, (Code::InvalidArgument, vec!["peer.display_name".to_owned()]), "{role}");
        assert_eq!(why(get(&operator, &format!("peers/@{role}")).await), hidden());
        request.peer.as_mut().unwrap().display_name = "Jane Doe".into();
        create(&operator, request).await.unwrap();
    }
    // A copy of such a role asks for it too; other products' roles do not.
    let request = pb::CopyRoleRequest {
        name: "roles/opspilot365.read_only".into(),
        owner_account: home.clone(),
        title: "Reader".into(),
        ..pb::CopyRoleRequest::default()
    };
    let copy = operator.roles().copy_role(request).await.unwrap().into_inner();
    assert_eq!(copy.rules.unwrap().peer_fields, ["display_name"]);
    let status = create(&operator, wish(&home, "copy", &copy.name)).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["peer.display_name"]);
    create(&operator, wish(&home, "other", READ_ONLY)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn op_28_an_email_address_is_what_one_signs_in_with() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["opspilot365"]).await;
    let operator = server.operator();
    let mut request = wish(&home, "", "roles/opspilot365.administrator");
    let peer = request.peer.as_mut().unwrap();
    (peer.email, peer.display_name) = ("jane@contoso.com".into(), "Jane Doe".into());
    let status = create(&operator, request.clone()).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["peer.user_name"], "without a login nobody is made");
    request.peer.as_mut().unwrap().user_name = "jane@contoso.com".into();
    let made = create(&operator, request).await.unwrap();
    let found = get(&operator, "peers/@JANE@contoso.com").await.unwrap();
    assert_eq!((found.name, found.email), (made.name, "jane@contoso.com".to_owned()));
    server.stop().await;
}
