//! Titles, labels and settings, each with its own right.

use tonic::Code;

use super::{ADMIN, USER, access, account, create, get, set_access, set_labels, update};
use crate::support::{Server, bad_fields, reason};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::AccountKind::{Customer, Department, Partner};
use peerage::transport::grpc::pb::PartnerAccessMode::{Allowed, Blocked, SessionOnly};

const TESTING: &str = "roles/mspcontrol.customer_admin_for_testing";

fn packs(name: &str, packs: &[&str]) -> pb::Account {
    let settings = pb::AccountSettings {
        role_packs: packs.iter().map(|pack| (*pack).to_owned()).collect(),
        ..pb::AccountSettings::default()
    };
    pb::Account { name: name.to_owned(), settings: Some(settings), ..pb::Account::default() }
}

#[tokio::test]
async fn labels_are_inherited_and_the_nearest_wins() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let (lab, live) = (server.department("lab", &customer).await, server.department("live", &customer).await);
    let tester = server.person_on(&customer, "sarah", TESTING, &[customer.as_str()]).await;
    assert!(!server.may(&tester.name, "websites.update", &lab).await);
    set_labels(&operator, &customer, &[("env", "test"), ("tier", "gold")]).await.unwrap();
    set_labels(&operator, &live, &[("env", "live")]).await.unwrap();
    assert!(server.may(&tester.name, "websites.update", &customer).await);
    assert!(server.may(&tester.name, "websites.update", &lab).await);
    assert!(!server.may(&tester.name, "websites.update", &live).await);
    let shown = get(&operator, &live).await.unwrap();
    assert_eq!(shown.labels.len(), 1);
    assert_eq!(shown.effective_labels, [("env", "live"), ("tier", "gold")].map(|(k, v)| (k.into(), v.into())).into());
    set_labels(&operator, &customer, &[]).await.unwrap();
    assert!(!server.may(&tester.name, "websites.update", &lab).await);
}

#[tokio::test]
async fn settings_only_tighten_downward() {
    let server = Server::start().await;
    let operator = server.operator();
    let settings = pb::AccountSettings {
        partner_access: SessionOnly.into(),
        role_packs: vec!["msp-panel".to_owned()],
        ..pb::AccountSettings::default()
    };
    let new = pb::Account { settings: Some(settings), ..account("accounts/platform", Partner) };
    let msp = create(&operator, "msp", new).await.unwrap().name;
    let customer = server.customer("contoso", &msp).await;
    let reseller = create(&operator, "reseller", account(&msp, Partner)).await.unwrap().name;
    let shown = get(&operator, &customer).await.unwrap();
    let effective = shown.effective_settings.unwrap();
    assert_eq!((effective.partner_access(), effective.role_packs), (SessionOnly, vec!["msp-panel".to_owned()]));
    assert_eq!(shown.settings.unwrap().partner_access(), pb::PartnerAccessMode::Unspecified);

    let status = set_access(&operator, &customer, Allowed, "support case 7").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "SETTING_LOOSENED"));
    set_access(&operator, &customer, Blocked, "support case 7").await.unwrap();
    let status = update(&operator, packs(&reseller, &["msp-panel", "keepit"]), &["settings"]).await.unwrap_err();
    assert_eq!(reason(&status), "SETTING_LOOSENED");
    // Neither can what an account below relies on be taken from above it.
    update(&operator, packs(&reseller, &["msp-panel"]), &["settings.role_packs"]).await.unwrap();
    let status = update(&operator, packs(&msp, &["keepit"]), &["settings.role_packs"]).await.unwrap_err();
    assert_eq!(reason(&status), "SETTING_LOOSENED");
}

#[tokio::test]
async fn settings_stand_on_accounts_of_their_kind() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let status = update(&operator, packs(&customer, &["msp-panel"]), &[]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "SETTING_NOT_ALLOWED"));
    for name in [department.as_str(), "accounts/platform"] {
        let status = set_access(&operator, name, Blocked, "support case 7").await.unwrap_err();
        assert_eq!(reason(&status), "SETTING_NOT_ALLOWED");
    }
    let new = pb::Account { settings: access(Blocked), ..account(&customer, Department) };
    assert_eq!(reason(&create(&operator, "support", new).await.unwrap_err()), "SETTING_NOT_ALLOWED");
}

#[tokio::test]
async fn a_pack_in_use_cannot_be_switched_off() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel", "mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let user = server.person_on(&msp, "mike", USER, &[customer.as_str()]).await;
    let status = update(&operator, packs(&msp, &["mspcontrol"]), &["settings.role_packs"]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ROLE_PACK_IN_USE"));
    assert!(server.may(&user.name, "devices.view", &customer).await);
    update(&operator, packs(&msp, &["msp-panel"]), &["settings.role_packs"]).await.unwrap();
    let unknown = update(&operator, packs(&msp, &["msp-panel", "msp-panel", "nothing"]), &[]).await.unwrap_err();
    assert_eq!(bad_fields(&unknown), ["account.settings.role_packs[1]", "account.settings.role_packs[2]"]);
}

#[tokio::test]
async fn whoever_is_above_chooses_which_packs_a_partner_has() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol", "msp-panel"]).await;
    let admin = server.person(&msp, "emily", "roles/mspcontrol.administrator").await;
    let paths: &[&str] = &["settings.role_packs"];
    // It may do without one, and is not given it back by itself, nor another, nor all of them.
    update(&admin.client, packs(&msp, &["mspcontrol"]), paths).await.unwrap();
    for wanted in [&["mspcontrol", "msp-panel"][..], &["mspcontrol", "keepit"], &[]] {
        let status = update(&admin.client, packs(&msp, wanted), paths).await.unwrap_err();
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::PermissionDenied, "PERMISSION_DENIED"),
            "{wanted:?}"
        );
    }
    update(&operator, packs(&msp, &["mspcontrol", "keepit"]), paths).await.unwrap();
    // Below its own partner it is the one who chooses.
    let reseller = create(&operator, "reseller", account(&msp, Partner)).await.unwrap().name;
    update(&admin.client, packs(&reseller, &["mspcontrol"]), paths).await.unwrap();
    update(&admin.client, packs(&reseller, &["mspcontrol", "keepit"]), paths).await.unwrap();
}

#[tokio::test]
async fn rule_8_10_partner_access_belongs_to_those_homed_there() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let outside = server.person(&msp, "emily", "roles/mspcontrol.administrator").await;
    let inside = server.person(&customer, "sarah", "roles/mspcontrol.administrator").await;
    let status = set_access(&outside.client, &customer, Blocked, "because").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PARTNER_ACCESS_OF_OTHERS"));
    let shown = set_access(&inside.client, &customer, Blocked, "").await.unwrap();
    assert_eq!(shown.effective_settings.unwrap().partner_access(), Blocked);
    let decision = server.decide(&outside.name, "accounts.view", &customer).await;
    assert_eq!(decision.reason(), pb::DecisionReason::PartnerAccessBlocked);
    // The operator says why.
    let status = set_access(&operator, &customer, Allowed, "").await.unwrap_err();
    assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["justification".to_owned()]));
    set_access(&operator, &customer, Allowed, "court order 12").await.unwrap();
    assert!(server.may(&outside.name, "accounts.view", &customer).await);
}

#[tokio::test]
async fn a_blocked_partner_sees_id_title_and_state_alone() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let outside = server.person(&msp, "emily", "roles/mspcontrol.administrator").await;
    set_labels(&server.operator(), &customer, &[("tier", "gold")]).await.unwrap();
    set_access(&server.operator(), &customer, Blocked, "asked for").await.unwrap();
    let shown = get(&outside.client, &customer).await.unwrap();
    let expected = pb::Account {
        name: customer.clone(),
        uid: "contoso".to_owned(),
        parent_account: msp.clone(),
        kind: Customer.into(),
        title: "contoso".to_owned(),
        state: pb::AccountState::Active.into(),
        ..pb::Account::default()
    };
    assert_eq!(shown, expected);
    let renamed = pb::Account { name: customer.clone(), title: "Mine".to_owned(), ..pb::Account::default() };
    assert_eq!(update(&outside.client, renamed, &[]).await.unwrap_err().code(), Code::PermissionDenied);
    // What is judged on the parent goes on.
    let shown = super::suspend(&outside.client, &customer, pb::SuspensionScope::Subtree).await.unwrap();
    assert_eq!((shown.state(), shown.labels.len()), (pb::AccountState::Suspended, 0));
}

#[tokio::test]
async fn each_field_needs_its_own_right() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel"]).await;
    let role = server.custom_role(&msp, &["accounts.view", "accounts.update"]).await;
    let namer = server.person(&msp, "emily", &role).await;
    let named = |title: &str| pb::Account { name: msp.clone(), title: title.to_owned(), ..pb::Account::default() };
    assert_eq!(update(&namer.client, named("New"), &["title"]).await.unwrap().title, "New");
    for path in ["labels", "settings.role_packs", "settings.partner_access"] {
        let status = update(&namer.client, named("Newer"), &["title", path]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"), "{path}");
    }
    // What came along unchanged with the rest of the account needs no right.
    let whole = get(&namer.client, &msp).await.unwrap();
    assert_eq!(
        update(&namer.client, pb::Account { title: "Newest".to_owned(), ..whole }, &[]).await.unwrap().title,
        "Newest"
    );
}

#[tokio::test]
async fn who_holds_none_of_the_rights_is_told_which_one_its_fields_need() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let helper = server.person(&msp, "emily", "roles/mspcontrol.help_desk").await;
    let named = || pb::Account { name: msp.clone(), ..pb::Account::default() };
    for (path, permission) in [
        ("title", "accounts.update"),
        ("labels", "accounts.update_labels"),
        ("settings", "accounts.update_settings"),
        ("settings.password_policy.min_length", "accounts.update_settings"),
        ("settings.partner_access", "accounts.update_partner_access"),
        ("nothing", "accounts.update"),
    ] {
        let status = update(&helper.client, named(), &[path]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"), "{path}");
        assert_eq!(status.message(), format!("permission `{permission}` is needed"), "{path}");
    }
    let labels = [("env".to_owned(), "test".to_owned())].into();
    let status = update(&helper.client, pb::Account { labels, ..named() }, &[]).await.unwrap_err();
    assert_eq!(status.message(), "permission `accounts.update_labels` is needed");
}

#[tokio::test]
async fn what_is_no_duration_is_refused() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let with = |seconds, nanos| {
        let policy = pb::PasswordPolicy {
            max_age: Some(prost_types::Duration { seconds, nanos }),
            ..pb::PasswordPolicy::default()
        };
        let settings = pb::AccountSettings { password_policy: Some(policy), ..pb::AccountSettings::default() };
        pb::Account { name: msp.clone(), settings: Some(settings), ..pb::Account::default() }
    };
    for (seconds, nanos) in [(3600, -5), (3600, 1_000_000_000), (-3600, 0), (3599, 999_999_999), (i64::MAX, 0)] {
        let status = update(&server.operator(), with(seconds, nanos), &["settings"]).await.unwrap_err();
        assert_eq!(bad_fields(&status), ["account.settings.password_policy.max_age"], "{seconds} {nanos}");
    }
    update(&server.operator(), with(3600, 5), &["settings"]).await.unwrap();
}

#[tokio::test]
async fn masks_name_what_can_be_changed() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    let named = pb::Account { name: msp.clone(), title: "New".to_owned(), ..pb::Account::default() };
    for path in ["name", "state", "parent_account", "effective_labels", "nothing", ""] {
        let status = update(&operator, named.clone(), &[path]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "FIELD_MASK_INVALID"), "{path}");
    }
    let moved = pb::Account { parent_account: "accounts/elsewhere".to_owned(), kind: Customer.into(), ..named.clone() };
    let status = update(&operator, moved, &[]).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["account.parent_account", "account.kind"]);
    let status = update(&operator, pb::Account { title: String::new(), ..named }, &["title"]).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["account.title"]);
    let request = pb::GetAccountRequest {
        name: msp.clone(),
        read_mask: Some(prost_types::FieldMask { paths: vec!["title".to_owned()] }),
    };
    let shown = operator.accounts().get_account(request).await.unwrap().into_inner();
    assert_eq!(shown, pb::Account { title: "msp".to_owned(), ..pb::Account::default() });
    let admin = server.person(&msp, "emily", ADMIN).await;
    assert_eq!(get(&admin.client, &msp).await.unwrap().parent_account, "accounts/platform");
}

#[tokio::test]
async fn the_log_tells_what_changed() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["msp-panel"]).await;
    set_labels(&operator, &msp, &[("env", "live"), ("tier", "gold")]).await.unwrap();
    set_labels(&operator, &msp, &[("env", "test")]).await.unwrap();
    let request = pb::ListAuditEventsRequest { account: msp, ..pb::ListAuditEventsRequest::default() };
    let events = operator.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    let last = events.last().unwrap();
    assert_eq!(last.action, "accounts.update");
    let fields: Vec<&str> = last.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["labels.env", "labels.tier"]);
}
