//! Passwords that administrators give: at creation, to others, made up, and within an account's policy.

use std::collections::BTreeSet;
use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::support::{Server, bad_fields, reason, request_id};

const GOOD: &str = "plover gasoline tuba wicket";
const OTHER: &str = "Ein Igel im Nebel trinkt Tee";
const HELP_DESK: &str = "roles/mspcontrol.help_desk";

fn with_password(request: pb::CreatePeerRequest, password: &str) -> pb::CreatePeerRequest {
    pb::CreatePeerRequest { password: password.to_owned(), confirm_password: password.to_owned(), ..request }
}

fn reset(name: &str, password: &str) -> pb::SetPasswordRequest {
    pb::SetPasswordRequest {
        name: name.to_owned(),
        password: password.to_owned(),
        confirm_password: password.to_owned(),
        ..pb::SetPasswordRequest::default()
    }
}

async fn set(client: &Client, request: pb::SetPasswordRequest) -> Result<pb::Peer, Status> {
    client.peers().set_password(request).await.map(tonic::Response::into_inner)
}

async fn made_up(client: &Client, account: &str) -> Result<String, Status> {
    let request = pb::GeneratePasswordRequest { account: account.to_owned() };
    client.peers().generate_password(request).await.map(|response| response.into_inner().password)
}

/// The word by which a refused password is told from another.
fn fault(status: &Status) -> String {
    assert_eq!((status.code(), reason(status).as_str()), (Code::InvalidArgument, "PASSWORD_REJECTED"), "{status:?}");
    status.get_details_error_info().unwrap().metadata["why"].clone()
}

async fn set_policy(server: &Server, account: &str, policy: pb::PasswordPolicy) -> Result<pb::Account, Status> {
    let settings = pb::AccountSettings { password_policy: Some(policy), ..pb::AccountSettings::default() };
    let account = pb::Account { name: account.to_owned(), settings: Some(settings), ..pb::Account::default() };
    let request = pb::UpdateAccountRequest { account: Some(account), ..pb::UpdateAccountRequest::default() };
    server.operator().accounts().update_account(request).await.map(tonic::Response::into_inner)
}

/// The stored hash of a peer's password.
async fn stored(server: &Server, name: &str) -> Option<String> {
    let id = peerage::domain::ids::PeerId::parse(name.strip_prefix("peers/").unwrap()).unwrap();
    let store = &server.running().ctx().store;
    let found = peerage::storage::passwords::find(store.reader(), id).await.unwrap();
    found.map(|found| found.hash.expose().to_owned())
}

#[tokio::test]
async fn mc_32_a_password_is_typed_twice_and_excludes_an_invitation() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let good = with_password(wish(&home, "emily", READ_ONLY), GOOD);
    let unlike = pb::CreatePeerRequest { confirm_password: OTHER.into(), ..good.clone() };
    let status = create(&operator, unlike).await.unwrap_err();
    assert_eq!((fault(&status).as_str(), bad_fields(&status)), ("MISMATCH", vec!["confirm_password".to_owned()]));
    for (request, bad) in [
        (pb::CreatePeerRequest { confirm_password: String::new(), ..good.clone() }, "confirm_password"),
        (pb::CreatePeerRequest { password: String::new(), ..good.clone() }, "password"),
        (with_password(good.clone(), &"a".repeat(129)), "password"),
        (with_password(good.clone(), "plover\0gasoline tuba"), "password"),
        (pb::CreatePeerRequest { send_invitation: true, ..good.clone() }, "password"),
    ] {
        let status = create(&operator, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(bad_fields(&status).contains(&bad.to_owned()), "{bad}: {status:?}");
    }
    assert_eq!(why(get(&operator, "peers/@emily").await), hidden(), "nothing was made");

    let made = create(&operator, good).await.unwrap();
    let hash = stored(&server, &made.name).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    // What one keyboard decomposes and another does not is the same text.
    let forms = pb::CreatePeerRequest {
        password: "Zu\u{308}rich gasoline wicket".into(),
        confirm_password: "Zürich gasoline wicket".into(),
        ..wish(&home, "mike", READ_ONLY)
    };
    create(&operator, forms).await.unwrap();
    let none = create(&operator, wish(&home, "none", READ_ONLY)).await.unwrap();
    assert_eq!(stored(&server, &none.name).await, None);
    server.stop().await;
}

#[tokio::test]
async fn weak_passwords_are_refused_with_the_reason() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let mut request = wish(&home, "emily.chen@fabrikam-it.com", READ_ONLY);
    let peer = request.peer.as_mut().unwrap();
    (peer.first_name, peer.last_name, peer.company_name) = ("Emily".into(), "Chen".into(), "Northwind Traders".into());
    for (password, code, words) in [
        ("fourteen chars", "TOO_SHORT", "at least 15"),
        ("passwordpassword", "WEAK", "easy to guess"),
        ("aaaaaaaaaaaaaaaaaaaa", "WEAK", "Repeats"),
        ("1234567890123456789", "WEAK", "easy to guess"),
        ("emily.chen@fabrikam-it.com", "OWN_NAMES", "own names"),
        ("EMILY CHEN, EMILY CHEN", "OWN_NAMES", "own names"),
        ("NorthwindTraders2026", "OWN_NAMES", "own names"),
        ("contoso-msp-contoso-msp", "OWN_NAMES", "own names"),
    ] {
        let status = create(&operator, with_password(request.clone(), password)).await.unwrap_err();
        assert_eq!((fault(&status).as_str(), bad_fields(&status)), (code, vec!["password".to_owned()]), "{password}");
        let told = &status.get_details_bad_request().unwrap().field_violations[0].description;
        assert!(told.contains(words), "{password}: {told}");
        assert!(!format!("{status:?}").contains(password), "{status:?}");
    }
    // Beside a second factor, eight characters do.
    request.peer.as_mut().unwrap().two_factor_provider = pb::TwoFactorProvider::Totp.into();
    let status = create(&operator, with_password(request.clone(), "xK3#vTq")).await.unwrap_err();
    assert_eq!(fault(&status), "TOO_SHORT");
    create(&operator, with_password(request, "xK3#vTq9")).await.unwrap();
    // The longest is taken whole.
    let longest: String = (0..128_u32).map(|at| char::from(b'!' + u8::try_from(at * 37 % 90).unwrap())).collect();
    create(&operator, with_password(wish(&home, "long", READ_ONLY), &longest)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn mc_33_a_generated_password_is_strong_and_fits_the_policy() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &home).await;
    let operator = server.operator();
    let (first, second) = (made_up(&operator, "").await.unwrap(), made_up(&operator, &home).await.unwrap());
    assert_ne!(first, second);
    assert!(first.split('-').count() >= 6 && first.len() >= 15, "{} characters", first.len());
    let made = create(&operator, with_password(wish(&home, "emily", READ_ONLY), &first)).await.unwrap();
    set(&operator, reset(&made.name, &second)).await.unwrap();

    set_policy(&server, &home, pb::PasswordPolicy { min_length: Some(100), ..Default::default() }).await.unwrap();
    let long = made_up(&operator, &customer).await.unwrap();
    assert!((100..=128).contains(&long.len()));
    set(&operator, reset(&made.name, &long)).await.unwrap();
    // Anyone may have one made up; whose policy is asked after must be the caller's to see.
    let reader = server.person(&customer, "reader", READ_ONLY).await;
    assert!(made_up(&reader.client, "").await.is_ok());
    assert_eq!(why(made_up(&reader.client, &home).await), hidden());
    assert_eq!(why(made_up(&reader.client, "accounts/nowhere").await), hidden());
    assert_eq!(made_up(&server.anonymous(), "").await.unwrap_err().code(), Code::Unauthenticated);
    server.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_let_in() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let emily = server.person(&home, "jane@contoso.com", READ_ONLY).await;
    let desk = server.person(&home, "desk", HELP_DESK).await;
    assert!(lets_in(&emily.client).await);
    let before = get(&operator, &emily.name).await.unwrap();
    assert!(before.allowed_actions.contains(&"SetPassword".to_owned()));
    let after = set(&desk.client, reset(&emily.name, GOOD)).await.unwrap();
    assert!(!lets_in(&emily.client).await, "the key is dead in the very next call");
    assert_ne!(after.etag, before.etag);
    assert!(after.update_revision > before.update_revision);
    let first = stored(&server, &emily.name).await.unwrap();

    let request = pb::ListAuditEventsRequest { account: home.clone(), page_size: 1000, ..Default::default() };
    let events = operator.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    let event = events.iter().rfind(|event| event.action == "peers.reset_password").unwrap();
    let target = event.target.clone().unwrap();
    assert_eq!(target.display_name.unwrap().value, "jane@contoso.com");
    assert_eq!(target.target_name.unwrap().value, emily.name);
    assert_eq!(event.changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), ["password"]);

    // Twice the same password is another hash.
    set(&desk.client, reset(&emily.name, GOOD)).await.unwrap();
    assert_ne!(stored(&server, &emily.name).await.unwrap(), first);
    // A stale form does not win.
    let stale = pb::SetPasswordRequest { etag: before.etag, ..reset(&emily.name, OTHER) };
    assert_eq!(why(set(&desk.client, stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    // A rehearsal changes nothing.
    let kept = stored(&server, &emily.name).await;
    let rehearsal = pb::SetPasswordRequest { validate_only: true, ..reset(&emily.name, OTHER) };
    set(&desk.client, rehearsal).await.unwrap();
    assert_eq!(stored(&server, &emily.name).await, kept);
    server.stop().await;
}

#[tokio::test]
async fn nobody_sets_the_password_of_a_stronger_peer() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let elsewhere = server.partner("other-msp", &["mspcontrol"]).await;
    let admin = server.person(&home, "admin", ADMINISTRATOR).await;
    let desk = server.person(&home, "desk", HELP_DESK).await;
    let reader = server.person(&home, "reader", READ_ONLY).await;
    let stranger = server.person(&elsewhere, "stranger", ADMINISTRATOR).await;
    assert_eq!(why(set(&desk.client, reset(&admin.name, GOOD)).await), escalation());
    assert_eq!(why(set(&admin.client, reset("peers/@operator", GOOD)).await), hidden());
    assert_eq!(why(set(&stranger.client, reset(&desk.name, GOOD)).await), hidden());
    let denied = is(Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(why(set(&reader.client, reset(&desk.name, GOOD)).await), denied);
    assert_eq!(set(&server.anonymous(), reset(&desk.name, GOOD)).await.unwrap_err().code(), Code::Unauthenticated);
    // Who holds more by a group, or is only eligible for more, is stronger too.
    server.bind(&reader.name, ADMINISTRATOR, &home).await;
    assert_eq!(why(set(&desk.client, reset(&reader.name, GOOD)).await), escalation());
    // One's own takes the present one.
    for name in ["peers/me", desk.name.as_str(), "peers/@DESK"] {
        let status = set(&desk.client, reset(name, GOOD)).await.unwrap_err();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["name".to_owned()]));
    }
    for peer in [&admin.name, &desk.name, &reader.name] {
        assert_eq!(stored(&server, peer).await, None);
    }
    assert!(lets_in(&admin.client).await && lets_in(&desk.client).await);
    assert!(!get(&desk.client, &admin.name).await.unwrap().allowed_actions.contains(&"SetPassword".to_owned()));
    // What fails for lack of rights says nothing of the password.
    let status = set(&desk.client, reset(&admin.name, "short")).await.unwrap_err();
    assert_eq!(reason(&status), "ESCALATION");
    server.stop().await;
}

#[tokio::test]
async fn only_the_operator_sets_the_password_of_an_owner() {
    let server = Server::start().await;
    let operator = server.operator();
    let (partner, owner) = owned(&operator).await;
    let admin = server.person(&partner, "admin", "roles/msp-panel.msp_admin").await;
    let offered = async |client: &Client| {
        get(client, &owner.name).await.unwrap().allowed_actions.contains(&"SetPassword".to_owned())
    };
    let protected = is(Code::PermissionDenied, "OWNER_PROTECTED");
    assert_eq!(why(set(&admin.client, reset(&owner.name, GOOD)).await), protected);
    assert!(offered(&operator).await && !offered(&admin.client).await);
    // Whose time is over holds nothing any more, and would be the owner again by being prolonged.
    let ending = pb::Peer { name: owner.name.clone(), expire_time: Some(server.time(60)), ..Default::default() };
    update(&operator, ending, &["expire_time"]).await.unwrap();
    server.advance(Duration::from_secs(120));
    assert_eq!(why(set(&admin.client, reset(&owner.name, GOOD)).await), protected);
    assert!(offered(&operator).await && !offered(&admin.client).await);
    assert_eq!(stored(&server, &owner.name).await, None);
    set(&operator, reset(&owner.name, GOOD)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_role_that_may_only_be_handed_on_does_not_come_with_a_known_password() {
    let server = Server::start().await;
    let partner = server.partner("msp", &["keepit"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let user = server.person(&partner, "partner-user", "roles/keepit.msp_partner").await;
    let request = wish(&customer, "master", "roles/keepit.master_admin");
    let known = with_password(request.clone(), GOOD);
    assert_eq!(why(create(&user.client, known.clone()).await), escalation());
    assert_eq!(why(get(&server.operator(), "peers/@master").await), hidden());
    create(&user.client, request).await.unwrap();
    let known =
        pb::CreatePeerRequest { peer: known.peer.map(|peer| pb::Peer { user_name: "m2".into(), ..peer }), ..known };
    create(&server.operator(), known).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn whom_partner_access_keeps_out_knows_no_password_inside() {
    let server = Server::start().await;
    let partner = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &partner).await;
    let outside = server.person(&partner, "outside", ADMINISTRATOR).await;
    let inside = server.person(&customer, "inside", ADMINISTRATOR).await;
    let known = |name: &str| with_password(wish(&customer, name, READ_ONLY), GOOD);
    create(&outside.client, known("before")).await.unwrap();
    let settings = pb::AccountSettings {
        partner_access: pb::PartnerAccessMode::SessionOnly.into(),
        ..pb::AccountSettings::default()
    };
    let account = pb::Account { name: customer.clone(), settings: Some(settings), ..pb::Account::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["settings.partner_access".to_owned()] });
    let request = pb::UpdateAccountRequest { account: Some(account), update_mask, ..Default::default() };
    inside.client.accounts().update_account(request).await.unwrap();
    let denied = is(Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(why(create(&outside.client, known("after")).await), denied);
    assert_eq!(why(get(&server.operator(), "peers/@after").await), hidden());
    // Without a password it goes on, and so does all from inside.
    create(&outside.client, wish(&customer, "after", READ_ONLY)).await.unwrap();
    create(&inside.client, known("within")).await.unwrap();
    create(&server.operator(), known("above")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn peers_without_use_for_a_password_get_none() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let mut linked = wish(&home, "linked", READ_ONLY);
    linked.peer.as_mut().unwrap().require_external_login = true;
    let external = state("EXTERNAL_LOGIN_REQUIRED");
    assert_eq!(why(create(&operator, with_password(linked.clone(), GOOD)).await), external);
    let linked = create(&operator, linked).await.unwrap();
    assert_eq!(why(set(&operator, reset(&linked.name, GOOD)).await), external);
    // A deleted peer has none, and comes back without.
    let emily = create(&operator, with_password(wish(&home, "emily", READ_ONLY), GOOD)).await.unwrap();
    delete(&operator, &emily.name).await.unwrap();
    assert_eq!(stored(&server, &emily.name).await, None);
    assert_eq!(why(set(&operator, reset(&emily.name, OTHER)).await), state("PEER_DELETED"));
    undelete(&operator, &emily.name).await.unwrap();
    assert_eq!(stored(&server, &emily.name).await, None);
    // One that is disabled may get one for when it is back.
    set(&operator, reset(&emily.name, OTHER)).await.unwrap();
    assert!(stored(&server, &emily.name).await.is_some());
    // With its account, everything goes.
    let customer = server.customer("fabrikam", &home).await;
    let mike = create(&operator, with_password(wish(&customer, "mike", READ_ONLY), GOOD)).await.unwrap();
    let request = pb::DeleteAccountRequest { name: customer, cascade: true, ..Default::default() };
    operator.accounts().delete_account(request).await.unwrap();
    assert_eq!(stored(&server, &mike.name).await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_policy_is_inherited_only_tightens_and_holds() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("fabrikam", &home).await;
    let operator = server.operator();
    let day = |days: i64| Some(prost_types::Duration { seconds: days * 86_400, nanos: 0 });
    let policy = pb::PasswordPolicy { min_length: Some(20), max_age: day(90), history_size: Some(2) };
    let account = set_policy(&server, &home, policy).await.unwrap();
    assert_eq!(account.settings.unwrap().password_policy, Some(policy));
    let request = pb::GetAccountRequest { name: customer.clone(), ..pb::GetAccountRequest::default() };
    let shown = operator.accounts().get_account(request).await.unwrap().into_inner();
    assert_eq!(shown.effective_settings.unwrap().password_policy, Some(policy));
    assert_eq!(shown.settings.unwrap().password_policy, None);
    for loose in [
        pb::PasswordPolicy { min_length: Some(16), ..Default::default() },
        pb::PasswordPolicy { max_age: day(91), ..Default::default() },
        pb::PasswordPolicy { history_size: Some(1), ..Default::default() },
    ] {
        assert_eq!(why(set_policy(&server, &customer, loose).await), state("SETTING_LOOSENED"), "{loose:?}");
    }
    for (bad, field) in [
        (pb::PasswordPolicy { min_length: Some(7), ..Default::default() }, "min_length"),
        (pb::PasswordPolicy { min_length: Some(129), ..Default::default() }, "min_length"),
        (pb::PasswordPolicy { max_age: day(0), ..Default::default() }, "max_age"),
        (pb::PasswordPolicy { max_age: day(3_651), ..Default::default() }, "max_age"),
        (pb::PasswordPolicy { history_size: Some(25), ..Default::default() }, "history_size"),
        (pb::PasswordPolicy { history_size: Some(-1), ..Default::default() }, "history_size"),
    ] {
        let status = set_policy(&server, &customer, bad).await.unwrap_err();
        assert_eq!(bad_fields(&status), [format!("account.settings.password_policy.{field}")]);
    }
    let tight = pb::PasswordPolicy { min_length: Some(24), ..Default::default() };
    set_policy(&server, &customer, tight).await.unwrap();

    let first = "plover gasoline tuba wicket";
    let emily = create(&operator, with_password(wish(&customer, "emily", READ_ONLY), first)).await.unwrap();
    let status = set(&operator, reset(&emily.name, "quibble ferret lagoon")).await.unwrap_err();
    assert_eq!(fault(&status), "TOO_SHORT");
    assert!(status.message().contains("24"), "{}", status.message());
    // The present one and the one before cannot come back; the third can.
    let again = async |password: &str| set(&operator, reset(&emily.name, password)).await;
    assert_eq!(fault(&again(first).await.unwrap_err()), "REUSED");
    again("mosaic turnip galaxy saddle").await.unwrap();
    assert_eq!(fault(&again(first).await.unwrap_err()), "REUSED");
    assert_eq!(fault(&again("mosaic turnip galaxy saddle").await.unwrap_err()), "REUSED");
    server.advance(Duration::from_secs(60));
    again("quibble ferret lagoon anchor").await.unwrap();
    again(first).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_rehearsal_does_not_tell_which_passwords_there_were() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    set_policy(&server, &home, pb::PasswordPolicy { history_size: Some(2), ..Default::default() }).await.unwrap();
    let emily = create(&operator, with_password(wish(&home, "emily", READ_ONLY), GOOD)).await.unwrap();
    let rehearse = |password| pb::SetPasswordRequest { validate_only: true, ..reset(&emily.name, password) };
    for password in [GOOD, OTHER] {
        set(&operator, rehearse(password)).await.unwrap();
    }
    let status = set(&operator, reset(&emily.name, GOOD)).await.unwrap_err();
    assert_eq!(fault(&status), "REUSED");
    set(&operator, reset(&emily.name, OTHER)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_request_sets_a_password_once() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let operator = server.operator();
    set_policy(&server, &home, pb::PasswordPolicy { history_size: Some(5), ..Default::default() }).await.unwrap();
    let request =
        pb::CreatePeerRequest { request_id: request_id(), ..with_password(wish(&home, "emily", READ_ONLY), GOOD) };
    let made = create(&operator, request.clone()).await.unwrap();
    assert_eq!(create(&operator, request.clone()).await.unwrap(), made);
    let other = with_password(request, OTHER);
    assert_eq!(why(create(&operator, other).await), is(Code::InvalidArgument, "REQUEST_ID_REUSED"));

    let request = pb::SetPasswordRequest { request_id: request_id(), ..reset(&made.name, OTHER) };
    let done = set(&operator, request.clone()).await.unwrap();
    let hash = stored(&server, &made.name).await;
    // A repeat is no reuse, and no second change.
    assert_eq!(set(&operator, request.clone()).await.unwrap(), done);
    assert_eq!(stored(&server, &made.name).await, hash);
    let other = pb::SetPasswordRequest { request_id: request.request_id, ..reset(&made.name, "mosaic turnip galaxy") };
    assert_eq!(why(set(&operator, other).await), is(Code::InvalidArgument, "REQUEST_ID_REUSED"));
    server.stop().await;
}

/// More callers than have room together, with more calls each than one may have under way.
const CALLERS: usize = 12;
const CALLS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_hashing_is_turned_away_and_decisions_go_on() {
    let server = Server::start().await;
    let home = server.partner("contoso-msp", &["mspcontrol"]).await;
    let emily = server.person(&home, "emily", READ_ONLY).await;
    let mut calls = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let caller = server.person(&home, &format!("admin{caller}"), ADMINISTRATOR).await.client;
        for _ in 0..CALLS {
            let (caller, name) = (caller.clone(), emily.name.clone());
            let request = pb::SetPasswordRequest { validate_only: true, ..reset(&name, GOOD) };
            calls.spawn(async move { set(&caller, request).await });
        }
    }
    assert!(server.may(&emily.name, "websites.view", &home).await, "a decision waits for no hash");
    let (mut done, mut refused) = (0, BTreeSet::new());
    while let Some(answer) = calls.join_next().await {
        match answer.unwrap() {
            Ok(_) => done += 1,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted);
                assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
                refused.insert(reason(&status));
            }
        }
    }
    let expected = ["OVERLOADED", "RATE_LIMITED"].map(ToOwned::to_owned);
    assert!(done >= 33 && refused == expected.into(), "{done} done, {refused:?}");
    // Afterwards there is room again.
    set(&server.operator(), reset(&emily.name, GOOD)).await.unwrap();
    server.stop().await;
}
