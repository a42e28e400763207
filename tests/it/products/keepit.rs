//! KP: the MSP Partner of Keepit.

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{assert_rights, create_account, create_peer, customer, peer_request, staff, world};
use crate::support::policy::fresh;

const PACK: &str = "keepit";
const HOME: &str = "accounts/keepit-msp";

#[tokio::test]
async fn kp_01_the_partner_reaches_the_console_and_several_accounts() {
    let server = world().await;
    let (left, right) = (customer(&server, PACK).await, customer(&server, PACK).await);
    let partner = staff(&server, PACK, "msp_partner", &[]).await;
    for account in [HOME, &left, &right] {
        assert_rights(&server, &partner.name, account, &["partner_console.access", "accounts.view"], &[]).await;
    }
}

#[tokio::test]
async fn kp_02_creating_a_partner_account_creates_its_user_with_the_role() {
    let server = world().await;
    let id = fresh("partner");
    let account = pb::Account {
        parent_account: "accounts/platform".to_owned(),
        kind: pb::AccountKind::Partner.into(),
        title: id.clone(),
        settings: Some(pb::AccountSettings { role_packs: vec![PACK.to_owned()], ..Default::default() }),
        ..Default::default()
    };
    let first_peer = pb::FirstPeer {
        peer: Some(pb::Peer {
            user_name: fresh("first"),
            display_name: "First".to_owned(),
            kind: pb::PeerKind::Person.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = pb::CreateAccountRequest {
        account_id: id,
        account: Some(account),
        first_peer: Some(first_peer),
        ..Default::default()
    };
    let account = server.operator().accounts().create_account(request).await.unwrap().into_inner();
    let request = pb::GetPeerRequest { name: account.first_peer, ..Default::default() };
    let peer = server.operator().peers().get_peer(request).await.unwrap().into_inner();
    assert_eq!(peer.default_role, "roles/keepit.msp_partner");
    assert!(server.may(&peer.name, "partner_console.access", &account.name).await);
}

#[tokio::test]
async fn kp_03_the_role_defines_what_the_user_can_do() {
    let server = world().await;
    let partner = staff(&server, PACK, "msp_partner", &[]).await;
    let told = server.decide(&partner.name, "seat_usage.view", HOME).await;
    assert_eq!(told.role, "roles/keepit.msp_partner");
    assert_rights(&server, &partner.name, HOME, &[], &["restores.overwrite_existing", "connectors.delete"]).await;
}

#[tokio::test]
async fn kp_04_the_partner_has_the_whole_console() {
    let server = world().await;
    let customer = customer(&server, PACK).await;
    let partner = staff(&server, PACK, "msp_partner", &[]).await;
    let console = [
        "partner_console.access",
        "customer_users.view",
        "customer_users.create",
        "customer_users.update",
        "customer_users.delete",
        "seat_usage.view",
    ];
    assert_rights(&server, &partner.name, &customer, &console, &[]).await;
}

/// A customer with its session-only partner access, a partner, and a user the partner made there.
async fn with_user(server: &crate::support::Server) -> (crate::support::TestPeer, pb::Peer, String) {
    let customer = customer(server, PACK).await;
    let partner = staff(server, PACK, "msp_partner", &[]).await;
    let request = peer_request(&customer, &fresh("user"), "roles/keepit.master_admin", &[]);
    let user = create_peer(&partner.client, request).await.unwrap();
    (partner, user, customer)
}

#[tokio::test]
async fn kp_05_the_partner_creates_users_of_customers() {
    let server = world().await;
    let (_, user, customer) = with_user(&server).await;
    assert_eq!(user.home_account, customer);
    assert!(server.may(&user.name, "connectors.delete", &customer).await);
}

#[tokio::test]
async fn kp_06_the_partner_edits_users_of_customers() {
    let server = world().await;
    let (partner, user, _) = with_user(&server).await;
    let request = pb::UpdatePeerRequest {
        peer: Some(pb::Peer { name: user.name.clone(), company_name: "Oslo".to_owned(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["company_name".to_owned()] }),
        ..Default::default()
    };
    let updated = partner.client.peers().update_peer(request).await.unwrap().into_inner();
    assert_eq!(updated.company_name, "Oslo");
}

#[tokio::test]
async fn kp_07_the_partner_deletes_users_of_customers() {
    let server = world().await;
    let (partner, user, customer) = with_user(&server).await;
    // Another administrator stays, since an account keeps its last one.
    let request = peer_request(&customer, &fresh("other"), "roles/keepit.master_admin", &[]);
    create_peer(&partner.client, request).await.unwrap();
    let request = pb::DeletePeerRequest { name: user.name.clone(), ..Default::default() };
    partner.client.peers().delete_peer(request).await.unwrap();
    assert!(!server.may(&user.name, "connectors.delete", &customer).await);
}

#[tokio::test]
async fn kp_09_the_partner_creates_customer_accounts() {
    let server = world().await;
    let partner = staff(&server, PACK, "msp_partner", &[]).await;
    let account = create_account(&partner.client, HOME, pb::AccountKind::Customer).await.unwrap();
    let settings = account.effective_settings.unwrap();
    assert_eq!(settings.partner_access(), pb::PartnerAccessMode::SessionOnly);
    // From outside only the console goes on; everything else asks for a session.
    let told = server.decide(&partner.name, "peers.reset_password", &account.name).await;
    assert_eq!(told.reason(), pb::DecisionReason::PartnerAccessSessionRequired);
}

#[tokio::test]
async fn kp_10_the_partner_cannot_create_partner_accounts() {
    let server = world().await;
    let partner = staff(&server, PACK, "msp_partner", &[]).await;
    let status = create_account(&partner.client, HOME, pb::AccountKind::Partner).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_rights(&server, &partner.name, HOME, &[], &["accounts.create_partner"]).await;
}

#[tokio::test]
async fn kp_11_accounts_then_account_then_users_then_action() {
    let server = world().await;
    let (partner, user, customer) = with_user(&server).await;
    let request = pb::ListAccountsRequest { page_size: 1000, ..Default::default() };
    let accounts = partner.client.accounts().list_accounts(request).await.unwrap().into_inner().accounts;
    assert!(accounts.iter().any(|account| account.name == customer));
    let request = pb::ListPeersRequest { account: customer, page_size: 1000, ..Default::default() };
    let peers = partner.client.peers().list_peers(request).await.unwrap().into_inner().peers;
    let listed = peers.iter().find(|peer| peer.name == user.name).unwrap();
    assert!(listed.allowed_actions.iter().any(|action| action == "UpdatePeer"), "{:?}", listed.allowed_actions);
}

#[tokio::test]
async fn kp_19_the_permission_lists_are_retrievable() {
    let server = world().await;
    let partner = staff(&server, PACK, "msp_partner", &[]).await;
    for role in ["roles/keepit.msp_partner", "roles/keepit.master_admin"] {
        let request = pb::GetRoleRequest { name: role.to_owned(), ..Default::default() };
        let role = partner.client.roles().get_role(request).await.unwrap().into_inner();
        assert!(role.grants.len() > 20 && role.grants.iter().all(|grant| !grant.permission.contains('*')), "{role:?}");
    }
}
