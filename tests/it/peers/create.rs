//! New peers: fields, names, roles and the accounts they are for.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::{Server, bad_fields};

fn full(home: &str) -> pb::Peer {
    pb::Peer {
        user_name: "emily@contosomsp.com".into(),
        kind: pb::PeerKind::Person.into(),
        home_account: home.to_owned(),
        first_name: "Emily".into(),
        last_name: "Chen".into(),
        company_name: "Contoso MSP".into(),
        email: "emily@contosomsp.com".into(),
        secondary_email: "emily.chen@example.org".into(),
        mail_format: pb::MailFormat::PlainText.into(),
        two_factor_provider: pb::TwoFactorProvider::Totp.into(),
        require_external_login: true,
        org_user: "CONTOSO\\echen".into(),
        address: Some(pb::PostalAddress {
            street_address: "Bahnhofstrasse 1".into(),
            city: "Zürich".into(),
            country: "CH".into(),
            region: "CH-ZH".into(),
            postal_code: "8001".into(),
        }),
        phone_number: "+41441234567".into(),
        mobile_phone: "+41791234567".into(),
        fax: "+41441234568".into(),
        language: "de-CH".into(),
        time_zone: "Europe/Zurich".into(),
        ..pb::Peer::default()
    }
}

#[tokio::test]
async fn mc_36_mc_37_mc_46_mc_47_mc_48_every_plain_field_is_kept() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let other = create(&operator, wish(&partner, "emily-2", READ_ONLY)).await.unwrap();
    let mut wanted = full(&partner);
    wanted.person = "peers/@EMILY-2".into();
    wanted.expire_time = Some(server.time(86_400));
    let request = pb::CreatePeerRequest { peer: Some(wanted.clone()), ..wish(&partner, "", READ_ONLY) };
    let made = create(&operator, request).await.unwrap();

    let uid = made.name.strip_prefix("peers/").unwrap().to_owned();
    let expected = pb::Peer {
        name: made.name.clone(),
        uid,
        state: pb::PeerState::Enabled.into(),
        full_name: "Emily Chen".into(),
        person: other.name,
        microsoft_account_status: pb::MicrosoftAccountStatus::NotLinked.into(),
        default_role: READ_ONLY.into(),
        tenant_access: Some(pb::TenantAccess { all: true, account_count: 0 }),
        // Who must sign in elsewhere has no use for a password.
        allowed_actions: ["UpdatePeer", "DeletePeer", "DisablePeer", "SetPhoto"].map(String::from).to_vec(),
        create_time: Some(server.time(0)),
        update_time: Some(server.time(0)),
        etag: made.etag.clone(),
        update_revision: made.update_revision,
        ..wanted
    };
    assert_eq!(made, expected);
    assert!(!made.etag.is_empty() && made.update_revision > 0);
    for name in [made.name.as_str(), "peers/@emily@contosomsp.com", "peers/@ＥＭＩＬＹ@ContosoMSP.com"] {
        assert_eq!(get(&operator, name).await.unwrap(), made, "{name}");
    }

    let bare = create(&operator, wish(&partner, "bare", READ_ONLY)).await.unwrap();
    assert_eq!((bare.email.as_str(), &bare.address, bare.fax.as_str()), ("", &None, ""));
    assert_eq!(bare.mail_format(), pb::MailFormat::Html);
    assert_eq!(bare.two_factor_provider(), pb::TwoFactorProvider::None);
    server.stop().await;
}

#[tokio::test]
async fn mc_30_a_user_name_is_required_and_unique_by_case_and_form() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let status = create(&operator, wish(&partner, "", READ_ONLY)).await.unwrap_err();
    assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["peer.user_name".to_owned()]));

    create(&operator, wish(&partner, "Müller@Contoso.com", READ_ONLY)).await.unwrap();
    let taken = is(Code::AlreadyExists, "USER_NAME_TAKEN");
    for same in ["müller@contoso.com", "MU\u{308}LLER@CONTOSO.COM", "Ｍüller@contoso.com", " Müller@Contoso.com "] {
        assert_eq!(why(create(&operator, wish(&partner, same, READ_ONLY)).await), taken, "{same}");
    }
    create(&operator, wish(&partner, "muller@contoso.com", READ_ONLY)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn names_that_lie_are_refused() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    for text in ["a\u{202E}b", "a\u{200B}b", "a\nb", "a\0b", "\u{FEFF}ab", "a\u{2066}b"] {
        let mut request = wish(&partner, text, READ_ONLY);
        let peer = request.peer.as_mut().unwrap();
        (peer.first_name, peer.display_name, peer.org_user) = (text.into(), text.into(), text.into());
        let status = create(&server.operator(), request).await.unwrap_err();
        let expected = ["peer.user_name", "peer.first_name", "peer.display_name", "peer.org_user"];
        assert_eq!(bad_fields(&status), expected, "{text:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_bad_field_is_named_at_once_and_nothing_is_made() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let peer = pb::Peer {
        user_name: "with space".into(),
        kind: 77,
        home_account: "contoso".into(),
        first_name: "x".repeat(129),
        email: "nobody".into(),
        secondary_email: "a@b c".into(),
        mail_format: 9,
        two_factor_provider: -1,
        person: "somebody".into(),
        address: Some(pb::PostalAddress { country: "Switzerland".into(), ..Default::default() }),
        phone_number: "044 123 45 67".into(),
        language: "deutsch_CH".into(),
        time_zone: "../etc/passwd".into(),
        expire_time: Some(server.time(0)),
        ..pb::Peer::default()
    };
    let request = pb::CreatePeerRequest {
        peer: Some(peer),
        role: "administrator".into(),
        access: None,
        justification: "x".repeat(1025),
        send_invitation: true,
        password: "correct horse battery staple".into(),
        confirm_password: "x".into(),
        ..pb::CreatePeerRequest::default()
    };
    let status = create(&server.operator(), request).await.unwrap_err();
    assert_eq!((status.code(), crate::support::reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    let mut bad = bad_fields(&status);
    bad.sort();
    let mut expected = vec![
        "peer.user_name",
        "peer.kind",
        "peer.home_account",
        "peer.first_name",
        "peer.email",
        "peer.secondary_email",
        "peer.mail_format",
        "peer.two_factor_provider",
        "peer.person",
        "peer.address.country",
        "peer.phone_number",
        "peer.language",
        "peer.time_zone",
        "peer.expire_time",
        "role",
        "access",
        "justification",
        "send_invitation",
        "password",
        "confirm_password",
    ];
    expected.sort_unstable();
    assert_eq!(bad, expected);
    assert!(!format!("{status:?}").contains("battery"), "a password stands in an error");

    let request = pb::CreatePeerRequest { send_invitation: true, ..wish(&partner, "a", READ_ONLY) };
    let status = create(&server.operator(), request).await.unwrap_err();
    assert_eq!(crate::support::reason(&status), "FIELD_NOT_SUPPORTED");
    assert_eq!(bad_fields(&status), ["send_invitation"]);
    server.stop().await;
}

#[tokio::test]
async fn mp_04_creation_requires_a_role_and_accounts() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["msp-panel"]).await;
    let operator = server.operator();
    let good = wish(&partner, "john", "roles/msp-panel.msp_admin");
    for (field, request) in [
        ("role", pb::CreatePeerRequest { role: String::new(), ..good.clone() }),
        ("access", pb::CreatePeerRequest { access: None, ..good.clone() }),
        ("access", pb::CreatePeerRequest { access: Some(pb::PeerAccess { scope: None }), ..good.clone() }),
        ("access.accounts.accounts", on(&[], good.clone())),
        ("access.accounts.accounts[1]", on(&[&partner, &partner], good.clone())),
        ("access.accounts.accounts[0]", on(&["contoso"], good.clone())),
        (
            "access.all",
            pb::CreatePeerRequest {
                access: Some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::All(false)) }),
                ..good.clone()
            },
        ),
    ] {
        let status = create(&operator, request).await.unwrap_err();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]));
    }
    let names: Vec<String> = (0..1001).map(|number| format!("accounts/customer-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let status = create(&operator, on(&names, good.clone())).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["access.accounts.accounts"]);
    create(&operator, good).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn mp_06_a_client_comes_with_all_its_departments_also_later_ones() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["msp-panel"]).await;
    let (first, second) = (server.customer("fabrikam", &partner).await, server.customer("northwind", &partner).await);
    let old = server.department("fabrikam-sales", &first).await;
    let user = server.person_on(&partner, "sarah", "roles/msp-panel.msp_user", &[&first]).await;
    let late = server.department("fabrikam-late", &first).await;
    let nested = server.department("fabrikam-nested", &late).await;
    for account in [&first, &old, &late, &nested] {
        assert!(server.may(&user.name, "devices.update", account).await, "{account}");
    }
    assert!(!server.may(&user.name, "devices.view", &second).await);
    let seen = get(&server.operator(), &user.name).await.unwrap();
    assert_eq!(seen.tenant_access, Some(pb::TenantAccess { all: false, account_count: 1 }));
    server.stop().await;
}

#[tokio::test]
async fn mp_07_a_department_alone_is_refused_and_nothing_is_left() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["msp-panel"]).await;
    let client = server.customer("fabrikam", &partner).await;
    let department = server.department("fabrikam-sales", &client).await;
    let operator = server.operator();
    let request = wish(&partner, "sarah", "roles/msp-panel.msp_user");
    for places in [&[department.as_str()][..], &[client.as_str(), department.as_str()]] {
        let refused = create(&operator, on(places, request.clone())).await;
        assert_eq!(why(refused), state("ACCOUNT_KIND_NOT_ALLOWED"));
    }
    assert_eq!(why(get(&operator, "peers/@sarah").await), hidden());
    create(&operator, on(&[&client], request)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn mc_26_mc_60_device_roles_are_for_system_peers() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let operator = server.operator();
    let mut request = wish(&customer, "agent-7", "roles/mspcontrol.device");
    assert_eq!(why(create(&operator, request.clone()).await), state("PEER_KIND_NOT_ALLOWED"));
    request.peer.as_mut().unwrap().kind = pb::PeerKind::Device.into();
    let device = create(&operator, request).await.unwrap();
    assert!(server.may(&device.name, "agents.check_in", &customer).await);
    assert!(!server.may(&device.name, "websites.view", &customer).await);
    assert!(!server.may(&device.name, "agents.check_in", &partner).await);
    server.stop().await;
}

#[tokio::test]
async fn mc_57_only_system_peers_have_passwords_without_end() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let mut request = wish(&partner, "emily", READ_ONLY);
    request.peer.as_mut().unwrap().password_never_expires = true;
    assert_eq!(why(create(&operator, request.clone()).await), state("SYSTEM_PEER_REQUIRED"));
    request.peer.as_mut().unwrap().kind = pb::PeerKind::Integration.into();
    assert!(create(&operator, request).await.unwrap().password_never_expires);

    let person = create(&operator, wish(&partner, "mike", READ_ONLY)).await.unwrap();
    let never = pb::Peer { password_never_expires: true, ..person };
    assert_eq!(why(update(&operator, never, &["password_never_expires"]).await), state("SYSTEM_PEER_REQUIRED"));
    server.stop().await;
}

#[tokio::test]
async fn a_disabled_peer_can_be_made_and_let_in_later() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let request = pb::CreatePeerRequest { disabled: true, ..wish(&partner, "later", READ_ONLY) };
    let made = create(&operator, request).await.unwrap();
    assert_eq!(made.state(), pb::PeerState::Disabled);
    assert_eq!(made.allowed_actions, ["UpdatePeer", "DeletePeer", "EnablePeer", "SetPassword", "SetPhoto"]);
    assert!(!server.may(&made.name, "websites.view", &partner).await);
    enable(&operator, &made.name).await.unwrap();
    assert!(server.may(&made.name, "websites.view", &partner).await);
    server.stop().await;
}

#[tokio::test]
async fn a_role_with_a_needed_justification_asks_for_it() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let mut request = wish(&customer, "admin", "roles/mspcontrol.customer_admin_peer");
    request.justification.clear();
    assert_eq!(why(create(&server.operator(), request.clone()).await), state("JUSTIFICATION_REQUIRED"));
    request.justification = "first administrator of the tenant".into();
    create(&server.operator(), request).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn op_47_the_event_names_who_was_added_and_the_role() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["opspilot365"]).await;
    let customers = [server.customer("fabrikam", &partner).await, server.customer("northwind", &partner).await];
    let role = "roles/opspilot365.technician";
    let mut request = on(&[&customers[0], &customers[1]], wish(&partner, "emily", role));
    request.peer.as_mut().unwrap().display_name = "Emily Chen".into();
    let made = create(&server.operator(), request).await.unwrap();

    let event = last_event(&server, &partner, "peers.create").await;
    let target = event.target.unwrap();
    assert_eq!((target.kind.as_str(), target.target_name.unwrap().value), ("peer", made.name.clone()));
    assert_eq!(target.display_name.unwrap().value, "Emily Chen");
    let change = |field: &str| {
        let found = event.changes.iter().find(|change| change.field == field);
        found.and_then(|change| change.after.clone()).map(|after| after.value).unwrap_or_default()
    };
    assert_eq!((change("role"), change("user_name")), (role.to_owned(), "emily".to_owned()));
    assert_eq!(change("access"), format!("{} {}", customers[0], customers[1]));
    // Personal values are committed to in the hashed bytes, not written there.
    assert!(!String::from_utf8_lossy(&event.canonical_bytes).contains("Emily"));

    // Each customer's log says who gained the role there, and nothing of other customers.
    for (customer, other) in [(&customers[0], "northwind"), (&customers[1], "fabrikam")] {
        let event = last_event(&server, customer, "role_bindings.create").await;
        assert!(event.summary.ends_with("(Gave Technician to Emily Chen)"), "whoever may view her reads her name");
        let text = format!("{:?}", pb::AuditEvent { summary: String::new(), ..event });
        assert!(text.contains(&made.name) && text.contains(role), "{text}");
        assert!(!text.contains(other) && !text.contains("Emily"), "{text}");
    }
    server.stop().await;
}

async fn last_event(server: &Server, account: &str, action: &str) -> pb::AuditEvent {
    let request = pb::ListAuditEventsRequest { account: account.to_owned(), page_size: 1000, ..Default::default() };
    let events = server.operator().audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    events.into_iter().rfind(|event| event.action == action).expect("an event of the act")
}
