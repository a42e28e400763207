//! Nobody gives, or gets the use of, more than they hold, by creating, labelling or moving accounts.

use tonic::{Code, Status};

use super::{ADMIN, account, create, creation, first_peer, get, relocate, set_labels};
use crate::support::{Server, reason};
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::AccountKind::{Customer, Department};

const TESTING: &str = "roles/mspcontrol.customer_admin_for_testing";

fn is_escalation(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::PermissionDenied, "ESCALATION"));
}

#[tokio::test]
async fn nobody_creates_a_first_peer_above_themselves() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let role = server.custom_role(&msp, &["accounts.view", "accounts.create_customer", "roles.view"]).await;
    let clerk = server.person(&msp, "clerk", &role).await;
    for wanted in ["", "roles/mspcontrol.administrator", "roles/mspcontrol.read_only"] {
        let request = pb::CreateAccountRequest {
            first_peer: first_peer("friend", wanted),
            ..creation("contoso", account(&msp, Customer))
        };
        is_escalation(&clerk.client.accounts().create_account(request).await.unwrap_err());
    }
    assert_eq!(get(&server.operator(), "accounts/contoso").await.unwrap_err().code(), Code::NotFound);
    assert!(create(&clerk.client, "contoso", account(&msp, Customer)).await.is_ok());
}

#[tokio::test]
async fn nobody_relabels_an_account_into_more_rights() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let permissions = ["accounts.view", "accounts.update_labels", "accounts.create_department"];
    let role = server.custom_role(&msp, &permissions).await;
    let labeler = server.person_on(&msp, "labeler", &role, &[customer.as_str()]).await;
    let tester = server.person_on(&customer, "tester", TESTING, &[customer.as_str()]).await;
    for name in [&customer, &department] {
        is_escalation(&set_labels(&labeler.client, name, &[("env", "test")]).await.unwrap_err());
        assert!(!server.may(&tester.name, "websites.update", name).await);
    }
    // Nor by an account that is born with the label.
    let labelled =
        pb::Account { labels: [("env".to_owned(), "test".to_owned())].into(), ..account(&customer, Department) };
    is_escalation(&create(&labeler.client, "lab", labelled.clone()).await.unwrap_err());
    // Labels that no role looks at are free, and so is this one to who holds all that it gives.
    assert!(set_labels(&labeler.client, &customer, &[("tier", "gold")]).await.is_ok());
    let admin = server.person(&msp, "admin", "roles/mspcontrol.administrator").await;
    assert!(create(&admin.client, "lab", labelled).await.is_ok());
    assert!(server.may(&tester.name, "websites.update", "accounts/lab").await);
    // The holder of the conditional role does not set the label itself.
    let status = set_labels(&tester.client, "accounts/lab", &[]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn nobody_moves_an_account_under_themselves() {
    let server = Server::start().await;
    let old = server.partner("old-msp", &["msp-panel"]).await;
    let new = server.partner("new-msp", &["msp-panel"]).await;
    let customer = server.customer("contoso", &old).await;
    // Full rights at the destination, and at the origin only the right to move things away.
    let admin = server.person(&new, "emily", ADMIN).await;
    let mover = server.custom_role(&old, &["accounts.view", "accounts.move"]).await;
    server.bind(&admin.name, &mover, &old).await;
    is_escalation(&relocate(&admin.client, &customer, &new).await.unwrap_err());
    assert!(!server.may(&admin.name, "devices.view", &customer).await);
    // With all that the destination's peers hold, it may.
    server.bind(&admin.name, ADMIN, &old).await;
    assert!(relocate(&admin.client, &customer, &new).await.is_ok());
}

#[tokio::test]
async fn nobody_moves_an_account_under_a_label() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let (plain, lab) = (server.customer("plain", &msp).await, server.customer("lab", &msp).await);
    let department = server.department("sales", &plain).await;
    set_labels(&server.operator(), &lab, &[("env", "test")]).await.unwrap();
    let tester = server.person_on(&plain, "tester", TESTING, &[department.as_str()]).await;
    let role = server.custom_role(&msp, &["accounts.view", "accounts.move"]).await;
    let mover = server.person(&msp, "mover", &role).await;
    is_escalation(&relocate(&mover.client, &department, &lab).await.unwrap_err());
    assert!(!server.may(&tester.name, "websites.update", &department).await);
    assert!(relocate(&server.operator(), &department, &lab).await.is_ok());
    assert!(server.may(&tester.name, "websites.update", &department).await);
}
