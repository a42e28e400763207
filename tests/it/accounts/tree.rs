//! What may stand where, and how requests repeat, rehearse and fail.

use prost::Message as _;
use tonic::Code;

use super::{ADMIN, USER, account, create, creation, delete, get, update};
use crate::support::{Server, bad_fields, reason};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::AccountKind::{Customer, Department, Partner, Platform};

#[tokio::test]
async fn accounts_nest_by_kind() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let root = "accounts/platform".to_owned();
    for (parent, kind) in [
        (&root, Customer),
        (&root, Department),
        (&root, Platform),
        (&msp, Department),
        (&customer, Partner),
        (&customer, Customer),
        (&department, Partner),
        (&department, Customer),
    ] {
        let status = create(&operator, "misplaced", account(parent, kind)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_KIND_NOT_ALLOWED"));
    }
    for (id, parent, kind) in [("reseller", &msp, Partner), ("north", &department, Department)] {
        let made = create(&operator, id, account(parent, kind)).await.unwrap();
        assert_eq!((&made.parent_account, made.kind()), (parent, kind));
        assert_eq!(get(&operator, &made.name).await.unwrap(), made);
    }
}

#[tokio::test]
async fn eight_levels_stand_and_a_ninth_does_not() {
    let server = Server::start().await;
    let mut parent = server.partner("msp", &["msp-panel"]).await;
    parent = server.customer("contoso", &parent).await;
    for level in 4..=8 {
        parent = server.department(&format!("level-{level}"), &parent).await;
    }
    let status = create(&server.operator(), "level-9", account(&parent, Department)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ACCOUNT_TOO_DEEP"));
}

#[tokio::test]
async fn an_account_id_is_never_used_again() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    let taken = create(&operator, "contoso", account(&msp, Customer)).await.unwrap_err();
    assert_eq!((taken.code(), reason(&taken).as_str()), (Code::AlreadyExists, "ACCOUNT_ID_TAKEN"));
    delete(&operator, &customer, false).await.unwrap();
    assert_eq!(get(&operator, &customer).await.unwrap_err().code(), Code::NotFound);
    let again = create(&operator, "contoso", account(&msp, Customer)).await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (Code::AlreadyExists, "ACCOUNT_ID_TAKEN"));
}

#[tokio::test]
async fn a_repeated_request_answers_with_the_first_result() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let request = pb::CreateAccountRequest {
        request_id: "0193a7b2-0000-7000-8000-000000000001".to_owned(),
        ..creation("contoso", account(&msp, Customer))
    };
    let mut accounts = server.operator().accounts();
    let first = accounts.create_account(request.clone()).await.unwrap().into_inner();
    assert_eq!(accounts.create_account(request.clone()).await.unwrap().into_inner(), first);
    let other = pb::CreateAccountRequest { account_id: "fabrikam".to_owned(), ..request };
    let status = accounts.create_account(other).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
}

/// The order in which a map's entries travel is nobody's to rely on: a repeat may bring them in
/// another one.
#[tokio::test]
async fn a_repeat_with_labels_is_the_same_request_in_whatever_order_they_come() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let client = server.raw_operator();
    let labels = |labels: &[(&str, &str)]| pb::Account {
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..pb::Account::default()
    };
    let create = pb::CreateAccountRequest {
        request_id: "0193a7b2-0000-7000-8000-000000000001".to_owned(),
        ..creation("contoso", account(&msp, Customer))
    };
    let update = pb::UpdateAccountRequest {
        account: Some(pb::Account { name: "accounts/contoso".to_owned(), ..pb::Account::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["labels".to_owned()] }),
        request_id: "0193a7b2-0000-7000-8000-000000000002".to_owned(),
        ..pb::UpdateAccountRequest::default()
    };
    // What is appended to a message is merged into it, so that each entry stands where it is put.
    let creating = |label| {
        let account = Some(labels(&[label]));
        pb::CreateAccountRequest { account, ..pb::CreateAccountRequest::default() }.encode_to_vec()
    };
    let updating = |label| {
        let account = Some(labels(&[label]));
        pb::UpdateAccountRequest { account, ..pb::UpdateAccountRequest::default() }.encode_to_vec()
    };
    let (env, tier) = (("env", "test"), ("tier", "gold"));
    let calls = [
        ("CreateAccount", create.encode_to_vec(), creating(env), creating(tier)),
        ("UpdateAccount", update.encode_to_vec(), updating(tier), updating(env)),
    ];
    for (method, message, one, other) in calls {
        let method = format!("/peerage.v1.AccountService/{method}");
        let mut answers = Vec::new();
        for _ in 0..10 {
            for message in [[&message[..], &one, &other].concat(), [&message[..], &other, &one].concat()] {
                let answer = client.call(&method, message).await.unwrap();
                answers.push(pb::Account::decode(&answer[..]).unwrap());
            }
        }
        assert_eq!(answers[0].labels.len(), 2);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{method}");
    }
}

#[tokio::test]
async fn a_rehearsal_changes_nothing() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let request = pb::CreateAccountRequest { validate_only: true, ..creation("contoso", account(&msp, Customer)) };
    let shown = operator.accounts().create_account(request).await.unwrap().into_inner();
    assert_eq!(shown.name, "accounts/contoso");
    assert_eq!(get(&operator, "accounts/contoso").await.unwrap_err().code(), Code::NotFound);
    assert!(create(&operator, "contoso", account(&msp, Customer)).await.is_ok());
    let request = pb::DeleteAccountRequest {
        name: "accounts/contoso".to_owned(),
        validate_only: true,
        ..pb::DeleteAccountRequest::default()
    };
    operator.accounts().delete_account(request).await.unwrap();
    assert!(get(&operator, "accounts/contoso").await.is_ok());
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let server = Server::start().await;
    let bad = pb::Account {
        parent_account: "contoso".to_owned(),
        kind: 0,
        title: "a\u{202E}b".to_owned(),
        labels: [("UPPER".to_owned(), "x".to_owned()), ("env".to_owned(), "a b".to_owned())].into(),
        settings: Some(pb::AccountSettings {
            partner_access: 99,
            role_packs: vec!["nothing".to_owned()],
            session_policy: Some(pb::SessionPolicy::default()),
            ..pb::AccountSettings::default()
        }),
        ..pb::Account::default()
    };
    let request = pb::CreateAccountRequest {
        template: "No Pack".to_owned(),
        first_peer: Some(pb::FirstPeer {
            peer: Some(pb::Peer { home_account: "accounts/other".to_owned(), ..pb::Peer::default() }),
            role: "owner".to_owned(),
            justification: "x".repeat(1025),
        }),
        ..creation("Contoso", bad)
    };
    let status = server.operator().accounts().create_account(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    let named = bad_fields(&status);
    for field in [
        "account_id",
        "template",
        "first_peer.role",
        "first_peer.justification",
        "first_peer.peer.home_account",
        "first_peer.peer.user_name",
        "first_peer.peer.kind",
        "account.parent_account",
        "account.kind",
        "account.title",
        "account.labels",
        "account.labels.env",
        "account.settings.session_policy",
        "account.settings.partner_access",
        "account.settings.role_packs[0]",
    ] {
        assert!(named.iter().any(|one| one == field), "{field} in {named:?}");
    }
    assert_eq!(named.len(), 15, "{named:?}");
}

#[tokio::test]
async fn a_setting_of_a_later_release_is_refused_by_name() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let settings =
        Some(pb::AccountSettings { mail_sender: Some(pb::MailSender::default()), ..pb::AccountSettings::default() });
    let new = pb::Account { settings, ..account(&msp, Customer) };
    let status = create(&server.operator(), "contoso", new).await.unwrap_err();
    assert_eq!(reason(&status), "FIELD_NOT_SUPPORTED");
    assert_eq!(bad_fields(&status), ["account.settings.mail_sender"]);
}

#[tokio::test]
async fn outsiders_cannot_tell_hidden_from_missing() {
    let server = Server::start().await;
    let contoso = server.partner("contoso-msp", &["msp-panel"]).await;
    let fabrikam = server.partner("fabrikam-msp", &["msp-panel"]).await;
    let customer = server.customer("northwind", &fabrikam).await;
    let admin = server.person(&contoso, "emily", ADMIN).await;
    for name in [customer.as_str(), fabrikam.as_str(), "accounts/platform", "accounts/nowhere"] {
        let status = get(&admin.client, name).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"), "{name}");
        let new = pb::Account {
            name: name.to_owned(),
            title: "Mine".to_owned(),
            etag: "99".to_owned(),
            ..pb::Account::default()
        };
        assert_eq!(update(&admin.client, new, &[]).await.unwrap_err().code(), Code::NotFound, "{name}");
        assert_eq!(delete(&admin.client, name, true).await.unwrap_err().code(), Code::NotFound, "{name}");
        let status = create(&admin.client, "mine", account(name, Customer)).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{name}");
    }
    // Who sees an account and may not do what it asks is told so.
    let own = server.customer("own", &contoso).await;
    let user = server.person_on(&contoso, "mike", USER, &[own.as_str()]).await;
    assert!(get(&user.client, &own).await.is_ok());
    let request = pb::Account { name: own.clone(), ..pb::Account::default() };
    let status = update(&user.client, request, &["labels"]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert_eq!(get(&user.client, &contoso).await.unwrap_err().code(), Code::NotFound);
    // The ancestor that it may not see appears by name alone.
    assert_eq!(get(&user.client, &own).await.unwrap().parent_account, contoso);
}

#[tokio::test]
async fn a_stale_etag_is_refused() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let before = get(&operator, &msp).await.unwrap();
    let titled = |title: &str, etag: &str| pb::Account {
        name: msp.clone(),
        title: title.to_owned(),
        etag: etag.to_owned(),
        ..pb::Account::default()
    };
    let after = update(&operator, titled("First", &before.etag), &["title"]).await.unwrap();
    assert_ne!(after.etag, before.etag);
    let status = update(&operator, titled("Second", &before.etag), &["title"]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let request =
        pb::DeleteAccountRequest { name: msp.clone(), etag: before.etag, ..pb::DeleteAccountRequest::default() };
    let status = operator.accounts().delete_account(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(get(&operator, &msp).await.unwrap().title, "First");
}

#[tokio::test]
async fn mp_15_an_msp_user_creates_departments_under_assigned_clients() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let (own, other) = (server.customer("own", &msp).await, server.customer("other", &msp).await);
    let user = server.person_on(&msp, "mike", USER, &[own.as_str()]).await;
    assert!(create(&user.client, "sales", account(&own, Department)).await.is_ok());
    assert!(create(&user.client, "north", account("accounts/sales", Department)).await.is_ok());
    let status = create(&user.client, "support", account(&other, Department)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn mp_24_an_end_client_creates_no_departments() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let own = server.customer("own", &msp).await;
    let client = server.person_on(&msp, "sarah", "roles/msp-panel.end_client", &[own.as_str()]).await;
    assert!(get(&client.client, &own).await.is_ok());
    let status = create(&client.client, "sales", account(&own, Department)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(!server.may(&client.name, "accounts.create_department", &own).await);
}
