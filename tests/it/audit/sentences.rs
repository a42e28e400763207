//! What the documents print comes out of the log.

use peerage::transport::grpc::pb;

use super::{all, below, of, record, report};
use crate::support::Server;

const TECHNICIAN: &str = "roles/opspilot365.technician";

/// The provider of the document with its tenant and its people; returns John's client and Emily's name.
async fn world(server: &Server) -> (crate::support::Client, String) {
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let operator = server.operator();
    let account = pb::Account {
        parent_account: msp.clone(),
        kind: pb::AccountKind::Customer.into(),
        title: "Contoso Corp".to_owned(),
        ..Default::default()
    };
    let request = pb::CreateAccountRequest {
        account_id: "contoso-corp".to_owned(),
        account: Some(account),
        ..Default::default()
    };
    operator.accounts().create_account(request).await.unwrap();
    let john =
        add(&operator, &msp, ("john@contosomsp.com", "John Smith"), "roles/opspilot365.administrator", &[]).await;
    let john = server.client(&server.key_of(&john).await);
    let corp = ["accounts/contoso-corp"];
    let emily = add(&john, &msp, ("emily@contosomsp.com", "Emily Chen"), TECHNICIAN, &corp).await;
    (john, emily)
}

async fn add(
    client: &crate::support::Client,
    home: &str,
    (user_name, display_name): (&str, &str),
    role: &str,
    accounts: &[&str],
) -> String {
    let scope = if accounts.is_empty() {
        pb::peer_access::Scope::All(true)
    } else {
        let accounts = accounts.iter().map(|account| (*account).to_owned()).collect();
        pb::peer_access::Scope::Accounts(pb::AccountList { accounts })
    };
    let peer = pb::Peer {
        user_name: user_name.to_owned(),
        display_name: display_name.to_owned(),
        kind: pb::PeerKind::Person.into(),
        home_account: home.to_owned(),
        ..Default::default()
    };
    let request = pb::CreatePeerRequest {
        peer: Some(peer),
        role: role.to_owned(),
        access: Some(pb::PeerAccess { scope: Some(scope) }),
        ..Default::default()
    };
    client.peers().create_peer(request).await.unwrap().into_inner().name
}

#[tokio::test]
async fn op_46_a_modification_names_action_tenant_and_target_also_when_another_service_did_it() {
    let server = Server::start().await;
    let (john, emily) = world(&server).await;
    let home = "accounts/contoso-msp";
    let portal = server.peer(home, "portal", super::SERVICE, pb::PeerKind::Integration, &[]).await;
    let event = pb::ReportedEvent { actor: emily.clone(), ..report("accounts/contoso-corp", "jane@contoso.com") };
    record(&portal.client, vec![event]).await.unwrap();
    let sentence = "Emily Chen modified user in Contoso Corp (Reset password for jane@contoso.com)";
    // It stands in the tenant's log and in the provider's, each naming the other, and once in both.
    for request in [of("accounts/contoso-corp"), of("accounts/contoso-msp"), below("accounts/contoso-msp")] {
        let events = all(&john, request).await;
        let told: Vec<_> = events.iter().filter(|event| event.summary == sentence).collect();
        let [event] = told.as_slice() else {
            panic!("{:?}", events.iter().map(|one| &one.summary).collect::<Vec<_>>())
        };
        assert_eq!(event.action, "users.reset_password");
        assert_eq!(event.actor.as_ref().unwrap().peer, emily);
        assert_eq!(event.reporter.as_ref().unwrap().peer, portal.name);
        assert_eq!(event.target.as_ref().unwrap().account, "accounts/contoso-corp");
        assert_eq!(event.linked_events.len(), 1);
        // Of no person there is more than a commitment in what was hashed.
        let hashed = String::from_utf8_lossy(&event.canonical_bytes);
        assert!(!hashed.contains("jane") && !hashed.contains("Emily"), "{hashed}");
    }
    server.stop().await;
}

#[tokio::test]
async fn op_47_the_log_tells_who_was_added_and_as_what() {
    let server = Server::start().await;
    let (john, _) = world(&server).await;
    add(&john, "accounts/contoso-msp", ("mike@contosomsp.com", "Mike Johnson"), TECHNICIAN, &["accounts/contoso-corp"])
        .await;
    let told: Vec<String> =
        all(&john, of("accounts/contoso-msp")).await.into_iter().map(|event| event.summary).collect();
    let sentence = "John Smith added platform user (Added mike@contosomsp.com as Technician)";
    assert!(told.iter().any(|one| one == sentence), "{told:?}");
    let sentence = "John Smith added role assignment in Contoso Corp (Gave Technician to Mike Johnson)";
    assert!(told.iter().any(|one| one == sentence), "{told:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_title_that_the_reader_may_not_view_is_an_id() {
    let server = Server::start().await;
    let (_, emily) = world(&server).await;
    let event = pb::ReportedEvent { actor: emily, ..report("accounts/contoso-corp", "jane") };
    record(&server.operator(), vec![event]).await.unwrap();
    let role = server.custom_role("accounts/contoso-msp", &["audit.view"]).await;
    let reader = server.person("accounts/contoso-msp", "reader", &role).await;
    let told: Vec<String> =
        all(&reader.client, of("accounts/contoso-corp")).await.into_iter().map(|event| event.summary).collect();
    assert!(
        told.iter().any(|one| one == "Emily Chen modified user in contoso-corp (Reset password for jane)"),
        "{told:?}"
    );
    server.stop().await;
}
