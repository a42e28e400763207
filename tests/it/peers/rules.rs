//! The rules nobody may bend, tried through every method about peers.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::*;
use crate::support::{Client, Server, TestPeer, bad_fields};

/// A partner with two administrators and one who may do anything with peers and nothing else.
struct World {
    server: Server,
    partner: String,
    first: TestPeer,
    second: TestPeer,
    keeper: TestPeer,
    weak: String,
}

async fn world() -> World {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let first = server.person(&partner, "first", ADMINISTRATOR).await;
    let second = server.person(&partner, "second", ADMINISTRATOR).await;
    let grants = ["peers.*", "accounts.view", "roles.view", "role_bindings.create"];
    let weak = server.custom_role(&partner, &grants).await;
    let keeper = server.person(&partner, "keeper", &weak).await;
    World { server, partner, first, second, keeper, weak }
}

#[tokio::test]
async fn nobody_creates_a_peer_above_themselves() {
    let World { server, partner, keeper, weak, .. } = world().await;
    let customer = server.customer("fabrikam", &partner).await;
    for places in [&[][..], &[customer.as_str()], &[partner.as_str(), customer.as_str()]] {
        let mut request = wish(&partner, "puppet", ADMINISTRATOR);
        if !places.is_empty() {
            request = on(places, request);
        }
        assert_eq!(why(create(&keeper.client, request).await), escalation(), "{places:?}");
    }
    assert_eq!(why(create(&keeper.client, wish("accounts/platform", "puppet", "roles/core.operator")).await), hidden());
    assert_eq!(why(get(&server.operator(), "peers/@puppet").await), hidden());
    create(&keeper.client, wish(&partner, "equal", &weak)).await.unwrap();

    // A role comes with a new peer at its home; elsewhere it takes the right to bind roles.
    let half = server.custom_role(&partner, &["peers.create", "accounts.view"]).await;
    let half_peer = server.person(&partner, "half", &half).await;
    let refused = why(create(&half_peer.client, on(&[&customer], wish(&partner, "puppet", &half))).await);
    assert_eq!(refused, is(Code::PermissionDenied, "PERMISSION_DENIED"));
    assert_eq!(why(create(&half_peer.client, wish(&partner, "puppet", &weak)).await), escalation());
    create(&half_peer.client, wish(&partner, "half-too", &half)).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn nobody_redirects_the_mail_of_a_stronger_peer() {
    let World { server, partner, first, second, keeper, .. } = world().await;
    let mine = pb::Peer {
        email: "attacker@example.org".into(),
        secondary_email: "attacker@example.org".into(),
        two_factor_provider: pb::TwoFactorProvider::Email.into(),
        require_external_login: true,
        company_name: "Contoso".into(),
        ..pb::Peer::default()
    };
    let paths = ["email", "secondary_email", "two_factor_provider", "require_external_login"];
    for path in paths.iter().chain(&["*"]) {
        let peer = pb::Peer { name: first.name.clone(), user_name: "first".into(), ..mine.clone() };
        assert_eq!(why(update(&keeper.client, peer, &[path]).await), escalation(), "{path}");
    }
    assert_eq!(get(&server.operator(), &first.name).await.unwrap().email, "");
    // What leads nobody into the peer is free, equals may, and so may everyone about themselves.
    update(&keeper.client, pb::Peer { name: first.name.clone(), ..mine.clone() }, &["company_name"]).await.unwrap();
    update(&second.client, pb::Peer { name: first.name.clone(), ..mine.clone() }, &paths).await.unwrap();
    update(&keeper.client, pb::Peer { name: keeper.name.clone(), ..mine.clone() }, &paths).await.unwrap();

    // Until a peer could first act, whoever may invite it may correct its address, and no more. To invite is
    // to be able to give all that the peer holds.
    let fresh = create(&server.operator(), wish(&partner, "fresh", ADMINISTRATOR)).await.unwrap();
    let corrected = pb::Peer { name: fresh.name.clone(), ..mine.clone() };
    for path in ["email", "secondary_email", "two_factor_provider"] {
        assert_eq!(why(update(&keeper.client, corrected.clone(), &[path]).await), escalation(), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_address_of_a_new_peer_is_corrected_by_whoever_may_invite_it() {
    let server = Server::start().await;
    // A Keepit partner hands on a role that holds more than its own.
    let partner = server.partner("partner", &["keepit"]).await;
    let console = server.person(&partner, "console", "roles/keepit.msp_partner").await;
    let customer = server.customer("customer", &partner).await;
    let inviter = server.custom_role(&partner, &["peers.invite"]).await;
    server.bind(&console.name, &inviter, &partner).await;
    // Its template keeps partners out of all but what they manage from outside, and to invite is not that.
    let settings =
        pb::AccountSettings { partner_access: pb::PartnerAccessMode::Allowed.into(), ..pb::AccountSettings::default() };
    let request = pb::UpdateAccountRequest {
        account: Some(pb::Account { name: customer.clone(), settings: Some(settings), ..pb::Account::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["settings.partner_access".to_owned()] }),
        justification: "asked for".to_owned(),
        ..Default::default()
    };
    server.operator().accounts().update_account(request).await.unwrap();
    let mail =
        |peer: &pb::Peer| pb::Peer { name: peer.name.clone(), email: "right@example.org".into(), ..Default::default() };
    let made = create(&console.client, wish(&customer, "master", "roles/keepit.master_admin")).await.unwrap();
    let corrected = update(&console.client, mail(&made), &["email"]).await.unwrap();
    assert_eq!(corrected.email, "right@example.org");
    let second = pb::Peer { secondary_email: "other@example.org".into(), ..mail(&made) };
    assert_eq!(why(update(&console.client, second, &["secondary_email"]).await), escalation());
    // One whose password is set can act, and so can one with a key.
    let password = "plover gasoline tuba wicket".to_owned();
    let request = pb::SetPasswordRequest {
        name: made.name.clone(),
        password: password.clone(),
        confirm_password: password,
        ..Default::default()
    };
    server.operator().peers().set_password(request).await.unwrap();
    let other = pb::Peer { email: "attacker@example.org".into(), ..mail(&made) };
    assert_eq!(why(update(&console.client, other, &["email"]).await), escalation());
    let keyed = create(&console.client, wish(&customer, "keyed", "roles/keepit.master_admin")).await.unwrap();
    server.key_of(&keyed.name).await;
    assert_eq!(why(update(&console.client, mail(&keyed), &["email"]).await), escalation());
    server.stop().await;
}

#[tokio::test]
async fn nobody_loosens_the_organizational_user_of_their_own_peers() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let operator = server.operator();
    let (one, two) = (server.person(&msp, "one", ADMINISTRATOR).await, server.person(&msp, "two", ADMINISTRATOR).await);
    let weak = server.person(&msp, "weak", &server.custom_role(&msp, &["peers.view", "peers.update"]).await).await;
    let of = |name: &str, user: &str| pb::Peer { name: name.to_owned(), org_user: user.into(), ..Default::default() };
    for peer in [&one, &two] {
        update(&operator, of(&peer.name, "bob"), &["org_user"]).await.unwrap();
    }
    let own = is(Code::PermissionDenied, "OWN_PERSON_LINK");
    for peer in [&one, &two] {
        for user in ["", "alice"] {
            assert_eq!(why(update(&one.client, of(&peer.name, user), &["org_user"]).await), own, "{user}");
        }
    }
    assert_eq!(why(update(&weak.client, of(&one.name, "alice"), &["org_user"]).await), escalation());
    let third = server.person(&msp, "third", ADMINISTRATOR).await;
    update(&third.client, of(&two.name, "alice"), &["org_user"]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn nobody_restores_a_stronger_peer() {
    let World { server, first, second, keeper, .. } = world().await;
    delete(&second.client, &first.name).await.unwrap();
    assert_eq!(why(undelete(&keeper.client, &first.name).await), escalation());
    undelete(&second.client, &first.name).await.unwrap();
    assert_eq!(why(enable(&keeper.client, &first.name).await), escalation());
    server.stop().await;
}

#[tokio::test]
async fn nobody_enables_a_stronger_peer() {
    let World { server, first, second, keeper, .. } = world().await;
    disable(&second.client, &first.name).await.unwrap();
    assert_eq!(why(enable(&keeper.client, &first.name).await), escalation());
    assert_eq!(get(&second.client, &first.name).await.unwrap().state(), pb::PeerState::Disabled);
    enable(&second.client, &first.name).await.unwrap();
    // Nor lets it run on.
    let until = pb::Peer { name: keeper.name.clone(), expire_time: Some(server.time(60)), ..Default::default() };
    update(&second.client, until, &["expire_time"]).await.unwrap();
    let strong = pb::Peer { name: first.name.clone(), expire_time: Some(server.time(60)), ..Default::default() };
    update(&second.client, strong.clone(), &["expire_time"]).await.unwrap();
    update(&keeper.client, strong, &["expire_time"]).await.unwrap();
    let longer = pb::Peer { name: first.name.clone(), expire_time: Some(server.time(61)), ..Default::default() };
    assert_eq!(why(update(&keeper.client, longer, &["expire_time"]).await), escalation());
    server.stop().await;
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let World { server, first, second, .. } = world().await;
    let operator = server.operator();
    disable(&operator, &second.name).await.unwrap();
    let last = state("LAST_ADMINISTRATOR");
    for client in [&operator, &first.client] {
        assert_eq!(why(disable(client, &first.name).await), last);
        assert_eq!(why(delete(client, &first.name).await), last);
        for seconds in [-60, 60] {
            let ending =
                pb::Peer { name: first.name.clone(), expire_time: Some(server.time(seconds)), ..Default::default() };
            assert_eq!(why(update(client, ending, &["expire_time"]).await), last);
        }
    }
    assert!(lets_in(&first.client).await);
    enable(&operator, &second.name).await.unwrap();
    delete(&operator, &first.name).await.unwrap();
    assert_eq!(why(delete(&operator, &second.name).await), last);
    server.stop().await;
}

#[tokio::test]
async fn only_the_operator_stops_an_owner() {
    let server = Server::start().await;
    let operator = server.operator();
    let (partner, owner) = owned(&operator).await;
    let admin = server.person(&partner, "admin", "roles/msp-panel.msp_admin").await;
    let protected = is(Code::PermissionDenied, "OWNER_PROTECTED");
    assert_eq!(why(disable(&admin.client, &owner.name).await), protected);
    assert_eq!(why(delete(&admin.client, &owner.name).await), protected);
    let ending = pb::Peer { name: owner.name.clone(), expire_time: Some(server.time(1)), ..Default::default() };
    assert_eq!(why(update(&admin.client, ending, &["expire_time"]).await), protected);
    assert_eq!(get(&admin.client, &owner.name).await.unwrap().allowed_actions, ["UpdatePeer", "SetPhoto"]);
    // Nor are the keys taken from under it, or what its role rests on reworded.
    let key = pb::ApiKey { peer: owner.name.clone(), title: "test".into(), ..pb::ApiKey::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(key), ..pb::CreateApiKeyRequest::default() };
    let key = operator.auth().create_api_key(request).await.unwrap().into_inner().api_key.unwrap().name;
    let revoke = pb::RevokeApiKeyRequest { name: key, ..pb::RevokeApiKeyRequest::default() };
    assert_eq!(why(admin.client.auth().revoke_api_key(revoke.clone()).await), protected);
    operator.auth().revoke_api_key(revoke).await.unwrap();
    let request = pb::ListRoleBindingsRequest { account: partner.clone(), ..pb::ListRoleBindingsRequest::default() };
    let bindings = operator.roles().list_role_bindings(request).await.unwrap().into_inner().role_bindings;
    let owning = bindings.into_iter().find(|one| one.role == "roles/msp-panel.owner").unwrap();
    let reworded = pb::RoleBinding { justification: "because".to_owned(), ..owning };
    let request = pb::UpdateRoleBindingRequest {
        role_binding: Some(reworded),
        update_mask: Some(prost_types::FieldMask { paths: vec!["justification".to_owned()] }),
        ..pb::UpdateRoleBindingRequest::default()
    };
    assert_eq!(why(admin.client.roles().update_role_binding(request).await), state("ROLE_UNASSIGNABLE"));
    // Nor does the owner's role come with a new peer.
    let second = wish(&partner, "second", "roles/msp-panel.owner");
    assert_eq!(why(create(&operator, second).await), state("ROLE_UNASSIGNABLE"));
    disable(&operator, &owner.name).await.unwrap();
    // Neither is one who was disabled already to be deleted by others.
    assert_eq!(why(delete(&admin.client, &owner.name).await), protected);
    delete(&operator, &owner.name).await.unwrap();
    server.stop().await;
}

/// Everything that a client could try to change of a peer, with what it is told.
async fn all_changes(client: &Client, name: &str) -> Vec<(Code, String)> {
    let stale = pb::DeletePeerRequest { name: name.to_owned(), etag: "1".into(), ..Default::default() };
    let changed = pb::Peer { name: name.to_owned(), fax: "+41 44 123 45 68".into(), ..Default::default() };
    vec![
        why(update(client, changed, &["fax"]).await),
        why(delete(client, name).await),
        why(client.peers().delete_peer(stale).await),
        why(undelete(client, name).await),
        why(enable(client, name).await),
        why(disable(client, name).await),
    ]
}

#[tokio::test]
async fn other_tenants_are_not_there() {
    let World { server, first: admin, partner, .. } = world().await;
    let other = server.partner("fabrikam-msp", &["mspcontrol"]).await;
    let theirs = server.person(&other, "theirs", ADMINISTRATOR).await;
    let deleted = create(&server.operator(), wish(&other, "deleted", READ_ONLY)).await.unwrap();
    delete(&server.operator(), &deleted.name).await.unwrap();
    let missing = "peers/0193a7b2-0000-7000-8000-000000000000";
    let expected = all_changes(&admin.client, missing).await;
    assert!(expected.iter().all(|told| *told == hidden()));
    for name in
        [theirs.name.as_str(), "peers/@theirs", "peers/@operator", "peers/@nobody", &deleted.name, "peers/@deleted"]
    {
        assert_eq!(why(get(&admin.client, name).await), hidden(), "{name}");
        assert_eq!(all_changes(&admin.client, name).await, expected, "{name}");
    }
    for account in [other.as_str(), "accounts/platform", "accounts/nowhere"] {
        let request = pb::ListPeersRequest { account: account.to_owned(), ..Default::default() };
        assert_eq!(why(admin.client.peers().list_peers(request).await), hidden(), "{account}");
        assert_eq!(why(create(&admin.client, wish(account, "new", READ_ONLY)).await), hidden(), "{account}");
        let spread = on(&[&partner, account], wish(&partner, "new", READ_ONLY));
        assert_eq!(why(create(&admin.client, spread).await), hidden(), "{account}");
    }
    for person in [theirs.name.as_str(), "peers/@theirs", missing] {
        let mut request = wish(&partner, "new", READ_ONLY);
        request.peer.as_mut().unwrap().person = person.to_owned();
        assert_eq!(why(create(&admin.client, request).await), hidden(), "{person}");
    }
    // A taken user name is the one thing that shows, and only that.
    let status = create(&admin.client, wish(&partner, "theirs", READ_ONLY)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "USER_NAME_TAKEN"));
    assert!(!format!("{status:?}").contains(theirs.name.trim_start_matches("peers/")));
    assert!(bad_fields(&status).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn peers_of_the_partner_show_their_name_kind_and_home_to_a_customer() {
    let World { server, partner, first, keeper, .. } = world().await;
    let operator = server.operator();
    let customer = server.customer("fabrikam", &partner).await;
    let elsewhere = server.customer("northwind", &partner).await;
    let admin = server.person(&customer, "their-admin", "roles/mspcontrol.customer_admin_peer").await;
    let far = server.person_on(&partner, "far", READ_ONLY, &[&elsewhere]).await;

    let shown = get(&admin.client, &first.name).await.unwrap();
    let expected = pb::Peer {
        name: first.name.clone(),
        kind: pb::PeerKind::Person.into(),
        home_account: partner.clone(),
        ..pb::Peer::default()
    };
    assert_eq!(shown, expected);
    assert_eq!(why(get(&admin.client, "peers/@first").await), hidden(), "a user name was told");
    assert_eq!(why(get(&admin.client, &far.name).await), hidden());
    assert_eq!(all_changes(&admin.client, &first.name).await, vec![hidden(); 6]);

    let list = async |view: pb::PeerListView, filter: &str, show_deleted: bool| {
        let request = pb::ListPeersRequest {
            account: customer.clone(),
            view: view.into(),
            filter: filter.to_owned(),
            show_deleted,
            ..Default::default()
        };
        admin.client.peers().list_peers(request).await.unwrap().into_inner().peers
    };
    let names = |peers: &[pb::Peer]| peers.iter().map(|peer| peer.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&list(pb::PeerListView::HomeSubtree, "", false).await), std::slice::from_ref(&admin.name));
    let with_access = list(pb::PeerListView::WithAccess, "", false).await;
    assert!(with_access.contains(&expected));
    assert!(
        with_access.iter().all(|peer| peer.name == admin.name || peer.user_name.is_empty() && peer.etag.is_empty())
    );
    assert!(!names(&with_access).contains(&far.name));
    // A filter on what is not shown tells nothing.
    assert_eq!(
        names(&list(pb::PeerListView::WithAccess, "state = ENABLED", false).await),
        std::slice::from_ref(&admin.name)
    );
    assert!(names(&list(pb::PeerListView::WithAccess, "kind = PERSON", false).await).contains(&first.name));
    disable(&operator, &keeper.name).await.unwrap();
    assert!(list(pb::PeerListView::WithAccess, "state = DISABLED", true).await.is_empty());
    delete(&operator, &keeper.name).await.unwrap();
    assert!(!names(&list(pb::PeerListView::WithAccess, "", true).await).contains(&keeper.name));
    assert_eq!(why(get(&admin.client, &keeper.name).await), hidden());
    server.stop().await;
}

#[tokio::test]
async fn everyone_reads_themselves_and_nobody_else_by_that() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let nothing = server.custom_role(&msp, &["agents.check_in"]).await;
    let robot = server.person(&msp, "robot", &nothing).await;
    let other = server.person(&msp, "other", &nothing).await;
    for own in ["peers/me", "peers/@ROBOT", &robot.name] {
        let peer = get(&robot.client, own).await.unwrap();
        assert_eq!((peer.name.as_str(), peer.user_name.as_str()), (robot.name.as_str(), "robot"), "{own}");
        assert!(peer.create_time.is_some() && peer.allowed_actions.is_empty());
    }
    for name in ["peers/@other", "peers/@nobody", &other.name] {
        assert_eq!(why(get(&robot.client, name).await), hidden(), "{name}");
    }
}

#[tokio::test]
async fn a_link_to_a_peer_that_is_gone_is_not_shown() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let first = create(&operator, wish(&msp, "john", READ_ONLY)).await.unwrap();
    let mut linked = wish(&msp, "john-admin", ADMINISTRATOR);
    linked.peer.as_mut().unwrap().person = first.name.clone();
    let second = create(&operator, linked).await.unwrap();
    assert_eq!(second.person, first.name);
    delete(&operator, &first.name).await.unwrap();
    // It may come back.
    assert_eq!(get(&operator, &second.name).await.unwrap().person, first.name);
    server.advance(std::time::Duration::from_secs(31 * 24 * 3600));
    let ctx = server.running().ctx();
    while peerage::application::peers::purge_expired(ctx).await.unwrap() > 0 {}
    assert_eq!(get(&operator, &second.name).await.unwrap().person, "");
    // What it does not show it does not stumble over either.
    let peer = pb::Peer { name: second.name.clone(), display_name: "John".to_owned(), ..Default::default() };
    assert_eq!(update(&operator, peer, &["display_name"]).await.unwrap().person, "");
}
