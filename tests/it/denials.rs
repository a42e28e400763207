//! DENY as a weapon: whoever administers below cannot lock out those who administer from above.

use peerage::transport::grpc::pb;
use tonic::{Code, Status};

use crate::bindings::{bind, binding, of_group};
use crate::roles::{allow, create, deny, role, update};
use crate::support::{Server, TestPeer, reason};

const ADMINISTRATOR: &str = "roles/mspcontrol.administrator";

struct World {
    server: Server,
    msp: String,
    customer: String,
    /// Administers the partner, and the customer with it.
    outside: TestPeer,
    /// Administers the customer alone.
    inside: TestPeer,
}

async fn world() -> World {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let customer = server.customer("contoso", &msp).await;
    let outside = server.person(&msp, "emily", ADMINISTRATOR).await;
    let inside = server.person(&customer, "sarah", ADMINISTRATOR).await;
    World { server, msp, customer, outside, inside }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Status>) {
    let status = result.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "DENIAL_OF_OTHERS"));
}

#[tokio::test]
async fn nobody_denies_those_who_are_homed_above_them() {
    let World { server, msp, customer, outside, inside } = world().await;
    let denial = create(&inside.client, role(&customer, &[deny("*.*")])).await.unwrap().name;
    let slight = create(&inside.client, role(&customer, &[deny("ftp.view")])).await.unwrap().name;
    let request = pb::GetPeerRequest { name: "peers/me".to_owned(), ..pb::GetPeerRequest::default() };
    let operator = server.operator().peers().get_peer(request).await.unwrap().into_inner().name;
    for peer in [operator.as_str(), outside.name.as_str()] {
        for role in [&denial, &slight] {
            refused(bind(&inside.client, binding(peer, role, &customer)).await);
        }
    }
    // Nor by a group, whichever of the two comes first, nor by what a harmless role becomes.
    let group = pb::Group { account: customer.clone(), title: "All".to_owned(), ..pb::Group::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..pb::CreateGroupRequest::default() };
    let group = inside.client.roles().create_group(request).await.unwrap().into_inner().name;
    let join = |peer: &str| pb::AddGroupMemberRequest {
        group: group.clone(),
        member: Some(pb::GroupMember { peer: peer.to_owned(), ..pb::GroupMember::default() }),
        ..pb::AddGroupMemberRequest::default()
    };
    inside.client.roles().add_group_member(join(&inside.name)).await.unwrap();
    let harmless = create(&inside.client, role(&customer, &[allow("ftp.view")])).await.unwrap().name;
    bind(&outside.client, binding(&outside.name, &harmless, &customer)).await.unwrap();
    let turned = pb::Role { name: harmless, grants: vec![deny("ftp.view")], ..pb::Role::default() };
    refused(update(&inside.client, turned, &["grants"]).await);
    outside.client.roles().add_group_member(join(&outside.name)).await.unwrap();
    refused(bind(&inside.client, of_group(&group, &slight, &customer)).await);
    assert!(server.may(&outside.name, "ftp.view", &customer).await);

    // From above one may, and below one's own account too.
    bind(&outside.client, binding(&outside.name, &slight, &customer)).await.unwrap();
    let helper = server.person(&customer, "helper", "roles/mspcontrol.help_desk").await;
    bind(&inside.client, binding(&helper.name, &slight, &customer)).await.unwrap();
    let technician = server.person_on(&msp, "mike", "roles/mspcontrol.help_desk", &[customer.as_str()]).await;
    bind(&outside.client, binding(&technician.name, &denial, &customer)).await.unwrap();
    assert!(!server.may(&technician.name, "peers.view", &customer).await);
    server.stop().await;
}

#[tokio::test]
async fn a_denial_of_others_is_found_behind_one_at_their_home() {
    let World { server, msp, customer, outside, .. } = world().await;
    let other = server.customer("fabrikam", &msp).await;
    let spread = create(&server.operator(), role(&msp, &[allow("ftp.view")])).await.unwrap().name;
    let designs = create(&server.operator(), role(&msp, &[allow("roles.*"), allow("ftp.*")])).await.unwrap().name;
    let designer = server.person(&msp, "designer", &designs).await;
    let group = pb::Group { account: msp.clone(), title: "Both".to_owned(), ..pb::Group::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..pb::CreateGroupRequest::default() };
    let group = outside.client.roles().create_group(request).await.unwrap().into_inner().name;
    // Held where they live, and elsewhere too: in either order of the accounts.
    for (name, home) in [("victor", &customer), ("wanda", &other)] {
        let victim = server.person(home, name, "roles/mspcontrol.help_desk").await;
        for account in [&customer, &other] {
            bind(&outside.client, binding(&victim.name, &spread, account)).await.unwrap();
        }
    }
    let turned = pb::Role { name: spread.clone(), grants: vec![deny("ftp.view")], ..pb::Role::default() };
    refused(update(&designer.client, turned, &["grants"]).await);
    // By a group that is bound on both.
    let slight = create(&outside.client, role(&msp, &[deny("ftp.view")])).await.unwrap().name;
    for account in [&customer, &other] {
        bind(&outside.client, of_group(&group, &slight, account)).await.unwrap();
    }
    let gathers = create(&server.operator(), role(&msp, &[allow("groups.*"), allow("*.view")])).await.unwrap().name;
    let gatherer = server.person(&msp, "gatherer", &gathers).await;
    for peer in ["peers/@victor", "peers/@wanda"] {
        let request = pb::AddGroupMemberRequest {
            group: group.clone(),
            member: Some(pb::GroupMember { peer: peer.to_owned(), ..pb::GroupMember::default() }),
            ..pb::AddGroupMemberRequest::default()
        };
        refused(gatherer.client.roles().add_group_member(request).await);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_end_in_a_second_takes_the_right_to_disable() {
    let World { server, msp, outside, .. } = world().await;
    let grants = [allow("accounts.view"), allow("peers.view"), allow("peers.update")];
    let keeper = create(&server.operator(), role(&msp, &grants)).await.unwrap().name;
    let keeper = server.person(&msp, "keeper", &keeper).await;
    let ending = |time| pb::UpdatePeerRequest {
        peer: Some(pb::Peer { name: outside.name.clone(), expire_time: Some(time), ..pb::Peer::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["expire_time".to_owned()] }),
        ..pb::UpdatePeerRequest::default()
    };
    let status = keeper.client.peers().update_peer(ending(server.time(1))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    server.person(&msp, "john", ADMINISTRATOR).await;
    server.operator().peers().update_peer(ending(server.time(3600))).await.unwrap();
    server.stop().await;
}
