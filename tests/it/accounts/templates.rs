//! First peers, and what account templates add.

use tonic::Code;

use super::{OWNER, account, create, creation, first_peer, get, owned_partner};
use crate::support::{Server, reason};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::AccountKind::{Customer, Partner};

const KEEPIT_PARTNER: &str = "roles/keepit.msp_partner";

#[tokio::test]
async fn mp_08_the_owner_is_the_user_under_which_the_account_was_created() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "contoso-msp", "john").await;
    let shown = get(&owner.client, &msp).await.unwrap();
    assert_eq!(shown.first_peer, owner.name);
    let decision = server.decide(&owner.name, "billing.manage", &msp).await;
    assert_eq!(decision.decision(), pb::Decision::Allow);
    assert_eq!(decision.role, OWNER);
}

#[tokio::test]
async fn mp_09_the_owner_reaches_all_clients_also_later_ones() {
    let server = Server::start().await;
    let (msp, owner) = owned_partner(&server, "contoso-msp", "john").await;
    let client = create(&owner.client, "tailspin", account(&msp, Customer)).await.unwrap();
    for permission in ["devices.delete", "billing.manage", "peers.create", "accounts.update"] {
        assert!(server.may(&owner.name, permission, &client.name).await, "{permission}");
    }
}

#[tokio::test]
async fn mp_10_naming_the_owner_role_for_another_first_peer_is_denied() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["msp-panel", "keepit"]).await;
    // The template of another pack applies, so that the owner role is not its own.
    let request = pb::CreateAccountRequest {
        first_peer: first_peer("mallory", OWNER),
        template: "keepit".to_owned(),
        ..creation("reseller", account(&msp, Partner))
    };
    let status = server.operator().accounts().create_account(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ROLE_UNASSIGNABLE"));
    assert_eq!(get(&server.operator(), "accounts/reseller").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn several_templates_want_one_to_be_named() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol", "keepit"]).await;
    let request = |template: &str| pb::CreateAccountRequest {
        first_peer: first_peer("sarah", ""),
        template: template.to_owned(),
        ..creation("contoso", account(&msp, Customer))
    };
    let status = operator.accounts().create_account(request("")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "TEMPLATE_AMBIGUOUS"));
    let status = operator.accounts().create_account(request("msp-panel")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "TEMPLATE_NOT_AVAILABLE"));
    let made = operator.accounts().create_account(request("keepit")).await.unwrap().into_inner();
    assert_eq!(
        server.decide(&made.first_peer, "connectors.create", &made.name).await.role,
        "roles/keepit.master_admin"
    );
}

#[tokio::test]
async fn a_template_brings_partner_access_and_a_request_may_only_tighten_it() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["keepit"]).await;
    let made = create(&operator, "contoso", account(&msp, Customer)).await.unwrap();
    let mode = |account: &pb::Account| account.settings.as_ref().map(pb::AccountSettings::partner_access);
    assert_eq!(mode(&made), Some(pb::PartnerAccessMode::SessionOnly));
    let with = |mode| pb::Account { settings: super::access(mode), ..account(&msp, Customer) };
    let status = create(&operator, "loose", with(pb::PartnerAccessMode::Allowed)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "SETTING_LOOSENED"));
    let tight = create(&operator, "tight", with(pb::PartnerAccessMode::Blocked)).await.unwrap();
    assert_eq!(mode(&tight), Some(pb::PartnerAccessMode::Blocked));
}

#[tokio::test]
async fn a_first_peer_comes_whole_or_not_at_all() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let request = |id: &str, user_name: &str| pb::CreateAccountRequest {
        first_peer: first_peer(user_name, ""),
        ..creation(id, account(&msp, Customer))
    };
    let made = operator.accounts().create_account(request("contoso", "Sarah")).await.unwrap().into_inner();
    let peer = pb::GetPeerRequest { name: made.first_peer.clone(), read_mask: None };
    let peer = operator.peers().get_peer(peer).await.unwrap().into_inner();
    assert_eq!(
        (peer.home_account.as_str(), peer.default_role.as_str()),
        ("accounts/contoso", "roles/mspcontrol.customer_admin_peer")
    );
    // The name differs by case alone, and so the account is not made either.
    let status = operator.accounts().create_account(request("fabrikam", "SARAH")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "USER_NAME_TAKEN"));
    assert_eq!(get(&operator, "accounts/fabrikam").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn kp_09_an_msp_partner_creates_customer_accounts() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["keepit"]).await;
    let partner = server.person(&msp, "john", KEEPIT_PARTNER).await;
    let request = pb::CreateAccountRequest {
        first_peer: first_peer("sarah", ""),
        ..creation("contoso", account(&msp, Customer))
    };
    let made = partner.client.accounts().create_account(request).await.unwrap().into_inner();
    assert!(server.may(&made.first_peer, "connectors.create", &made.name).await);
}

#[tokio::test]
async fn kp_10_an_msp_partner_creates_no_partner_accounts() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["keepit"]).await;
    let partner = server.person(&msp, "john", KEEPIT_PARTNER).await;
    let status = create(&partner.client, "reseller", account(&msp, Partner)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(!server.may(&partner.name, "accounts.create_partner", &msp).await);
}
