//! What lists let slip: nothing that Authorize would not say to the same caller.

use std::collections::BTreeMap;

use peerage::transport::grpc::pb;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{accounts, names, peers, permissions, uids};
use crate::support::{Server, TestPeer, reason};

const TECHNICIAN: &str = "roles/opspilot365.technician";
const NOBODY: &str = "peers/0193a7b2-0000-7000-8000-000000000000";

struct World {
    server: Server,
    msp: String,
    contoso: String,
    fabrikam: String,
    /// Homed at the partner, bound on both customers.
    emily: TestPeer,
    /// Homed at the partner, bound on the other customer alone.
    john: TestPeer,
    /// Homed at the other customer, administers it.
    mary: TestPeer,
    /// Administers the first customer alone.
    inside: TestPeer,
}

async fn world() -> World {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol", "opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let fabrikam = server.customer("fabrikam", &msp).await;
    let emily = server.person_on(&msp, "emily", TECHNICIAN, &[&contoso, &fabrikam]).await;
    let john = server.person_on(&msp, "john", TECHNICIAN, &[&fabrikam]).await;
    let mary = server.person(&fabrikam, "mary", "roles/mspcontrol.administrator").await;
    let inside = server.person(&contoso, "sarah", "roles/mspcontrol.administrator").await;
    World { server, msp, contoso, fabrikam, emily, john, mary, inside }
}

/// What a refusal says, but for the name that the caller brought along.
fn said<T: std::fmt::Debug>(result: Result<T, Status>, name: &str) -> (Code, String, BTreeMap<String, String>) {
    let status = result.expect_err(name);
    assert_eq!(reason(&status), "RESOURCE_NOT_FOUND", "{name}");
    let details = status.get_error_details().error_info().map(|info| info.metadata.clone()).unwrap_or_default();
    let sorted = details.into_iter().map(|(key, value)| (key, value.replace(name, "NAME"))).collect();
    (status.code(), status.message().replace(name, "NAME"), sorted)
}

#[tokio::test]
async fn a_customers_administrator_learns_neither_foreign_peers_nor_foreign_accounts() {
    let World { server, msp, contoso, fabrikam, emily, john, mary, inside } = world().await;
    let client = &inside.client;
    // Of whoever comes in from outside, what they may do here.
    let listed = accounts(client, &emily.name, "users.view", "").await.unwrap();
    assert_eq!(names(&listed), [contoso.as_str()]);
    assert_eq!((listed[0].title.as_str(), listed[0].kind()), ("contoso", pb::AccountKind::Customer));
    assert!(!permissions(client, &emily.name, &contoso).await.unwrap().is_empty());
    assert_eq!(accounts(&server.operator(), &emily.name, "users.view", "").await.unwrap().len(), 2);
    // Whoever has nothing to do with the customer is as missing as one who is not there.
    let missing = said(accounts(client, NOBODY, "users.view", "").await, NOBODY);
    assert_eq!(missing.0, Code::NotFound);
    for peer in [john.name.as_str(), &mary.name, "peers/@john", "peers/@nobody"] {
        assert_eq!(said(accounts(client, peer, "users.view", "").await, peer), missing, "{peer}");
        assert_eq!(said(accounts(client, peer, "users.view", &contoso).await, peer), missing, "{peer}");
        assert_eq!(said(permissions(client, peer, &contoso).await, peer), missing, "{peer}");
    }
    // Accounts beyond its rights look the same as accounts that are not there, whoever is asked about.
    let nowhere = "accounts/nowhere";
    let missing = said(peers(client, nowhere, "users.view").await, nowhere);
    for account in [msp.as_str(), &fabrikam, "accounts/platform", nowhere] {
        assert_eq!(said(peers(client, account, "users.view").await, account), missing, "{account}");
        for peer in [emily.name.as_str(), &john.name, NOBODY] {
            assert_eq!(said(accounts(client, peer, "users.view", account).await, account), missing, "{account}");
            assert_eq!(said(permissions(client, peer, account).await, account), missing, "{account}");
        }
    }
    // Who may here: its own, and those who come in from above.
    let listed = peers(client, &contoso, "users.view").await.unwrap();
    assert!(uids(&listed).contains(&&*emily.name) && uids(&listed).contains(&&*inside.name), "{listed:?}");
    assert!(!uids(&listed).contains(&&*john.name) && !uids(&listed).contains(&&*mary.name), "{listed:?}");
    let shown = listed.iter().find(|row| row.peer == emily.name).unwrap();
    assert_eq!((shown.kind(), shown.home_account.as_str()), (pb::PeerKind::Person, msp.as_str()));
    // Names of people are for those who may view them.
    let user_name = |peer: &str| listed.iter().find(|row| row.peer == peer).unwrap().user_name.as_str();
    assert_eq!((user_name(&emily.name), user_name(&inside.name)), ("", "sarah"));
    // Where one who comes from beside is at home is shown no more than an explanation shows it.
    let strange = server.partner("strange-msp", &["opspilot365"]).await;
    let stranger = server.person(&strange, "stranger", "roles/opspilot365.read_only").await;
    let desk = server.custom_role(&msp, &["users.view"]).await;
    server.bind(&stranger.name, &desk, &contoso).await;
    let listed = peers(client, &contoso, "users.view").await.unwrap();
    let home = |listed: &[pb::AuthorizedPeer]| {
        listed.iter().find(|row| row.peer == stranger.name).unwrap().home_account.clone()
    };
    assert_eq!(home(&listed), "");
    assert_eq!(home(&peers(&server.operator(), &contoso, "users.view").await.unwrap()), strange);
    let own = listed.iter().find(|row| row.peer == inside.name).unwrap();
    assert_eq!(own.home_account, contoso);
    // A filter finds no more than the list shows.
    for home in [fabrikam.as_str(), &strange, nowhere] {
        let request = pb::ListAuthorizedPeersRequest {
            account: contoso.clone(),
            permission: "users.view".to_owned(),
            filter: format!("home_account = {home}"),
            ..Default::default()
        };
        let found = client.access().list_authorized_peers(request).await.unwrap().into_inner();
        assert!(found.peers.is_empty() && found.next_page_token.is_empty(), "{home}");
    }
    server.stop().await;
}

#[tokio::test]
async fn everyone_asks_about_themselves_and_about_nobody_else() {
    let World { server, msp, contoso, fabrikam, emily, john, .. } = world().await;
    let client = &emily.client;
    for me in ["", "peers/me", "peers/@EMILY", emily.name.as_str()] {
        let listed = accounts(client, me, "users.view", "").await.unwrap();
        assert_eq!(names(&listed), [contoso.as_str(), &fabrikam], "{me}");
        assert_eq!(names(&accounts(client, me, "users.view", &fabrikam).await.unwrap()), [fabrikam.as_str()]);
        assert!(permissions(client, me, &contoso).await.unwrap().iter().any(|row| row.permission == "users.view"));
        // What holds a right further down is searched too; what does not, or is not there, holds none.
        assert_eq!(accounts(client, me, "users.view", &msp).await.unwrap().len(), 2);
        for account in ["accounts/nowhere", "accounts/elsewhere"] {
            assert_eq!(accounts(client, me, "users.view", account).await.unwrap(), []);
            assert_eq!(permissions(client, me, account).await.unwrap(), []);
        }
        assert_eq!(permissions(client, me, &msp).await.unwrap(), []);
    }
    for peer in [john.name.as_str(), NOBODY] {
        for result in [
            accounts(client, peer, "users.view", "").await.map(|rows| rows.len()),
            accounts(client, peer, "users.view", &contoso).await.map(|rows| rows.len()),
            permissions(client, peer, &contoso).await.map(|rows| rows.len()),
        ] {
            assert_eq!(result.unwrap_err().code(), Code::NotFound, "{peer}");
        }
    }
    // The method as a whole is for those who may check somewhere.
    let status = peers(client, &contoso, "users.view").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    // Whoever may check everywhere is told that an account is missing, also about itself.
    let operator = server.operator();
    for result in [
        accounts(&operator, "", "users.view", "accounts/nowhere").await.map(drop),
        permissions(&operator, "peers/me", "accounts/nowhere").await.map(drop),
        peers(&operator, "accounts/nowhere", "users.view").await.map(drop),
        accounts(&operator, NOBODY, "users.view", "").await.map(drop),
    ] {
        assert_eq!(result.unwrap_err().code(), Code::NotFound);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_title_is_for_those_who_may_view_the_account() {
    let World { server, msp, contoso, .. } = world().await;
    server.department("office", &contoso).await;
    let role = server.custom_role(&msp, &["users.view"]).await;
    let device = server.person_on(&msp, "narrow", &role, &[&contoso]).await;
    let titles = async || {
        let listed = accounts(&device.client, "", "users.view", "").await.unwrap();
        listed.into_iter().map(|row| row.title).collect::<Vec<_>>()
    };
    assert_eq!(titles().await, ["", ""]);
    // Whoever may view the parent sees the title of the child from outside.
    let viewer = server.custom_role(&msp, &["accounts.view"]).await;
    let only = pb::RoleBinding {
        reach: pb::Reach::AccountOnly.into(),
        ..crate::support::policy::binding(&device.name, &viewer, &contoso)
    };
    crate::support::policy::bind(&server.operator(), only).await.unwrap();
    assert_eq!(titles().await, ["contoso", "office"]);
    server.stop().await;
}

/// One who holds `access.check` under a DENY, or of whom only bindings that do not count remain, is
/// neither told nor shown more.
#[tokio::test]
async fn a_check_that_is_denied_somewhere_is_denied_in_lists() {
    let World { server, contoso, emily, inside, .. } = world().await;
    let office = server.department("office", &contoso).await;
    let denial = server.custom_role(&office, &["!access.check"]).await;
    server.bind(&inside.name, &denial, &office).await;
    assert_eq!(accounts(&server.operator(), &emily.name, "users.view", &contoso).await.unwrap().len(), 2);
    let listed = accounts(&inside.client, &emily.name, "users.view", "").await.unwrap();
    assert_eq!(names(&listed), [contoso.as_str()]);
    assert_eq!(peers(&inside.client, &office, "users.view").await.unwrap_err().code(), Code::NotFound);
    // A peer that is deleted is unknown to those who did not see it at home.
    let delete = pb::DeletePeerRequest { name: emily.name.clone(), ..Default::default() };
    server.operator().peers().delete_peer(delete).await.unwrap();
    let of_nobody = said(accounts(&inside.client, NOBODY, "users.view", "").await, NOBODY);
    assert_eq!(said(accounts(&inside.client, &emily.name, "users.view", "").await, &emily.name), of_nobody);
    assert_eq!(said(permissions(&inside.client, &emily.name, &contoso).await, &emily.name), of_nobody);
    assert_eq!(accounts(&server.operator(), &emily.name, "users.view", "").await.unwrap(), []);
    server.stop().await;
}
