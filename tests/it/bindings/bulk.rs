//! Many bindings in one call: each is judged as by a call of its own, on top of those before it.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_create_role_bindings_result::Result as ItemResult;
use tonic::{Code, Status};

use super::{bind, binding, eligible, get, of_group, until};
use crate::roles::{Scene, administration, allow, create, deny, escalates, events, role};
use crate::support::{Client, Server, bad_fields, reason, request_id, status_of};

type Made = Result<pb::RoleBinding, Status>;

fn wish(role_binding: pb::RoleBinding) -> pb::CreateRoleBindingRequest {
    pb::CreateRoleBindingRequest { role_binding: Some(role_binding), ..Default::default() }
}

fn batch(bindings: Vec<pb::RoleBinding>) -> pb::BatchCreateRoleBindingsRequest {
    let requests = bindings.into_iter().map(wish).collect();
    pb::BatchCreateRoleBindingsRequest { requests, ..Default::default() }
}

async fn send(client: &Client, request: pb::BatchCreateRoleBindingsRequest) -> Result<Vec<Made>, Status> {
    let answer = client.roles().batch_create_role_bindings(request).await?.into_inner();
    let result = |result: pb::BatchCreateRoleBindingsResult| match result.result.expect("an outcome") {
        ItemResult::RoleBinding(binding) => Ok(binding),
        ItemResult::Error(error) => Err(status_of(&error)),
    };
    Ok(answer.results.into_iter().map(result).collect())
}

/// What became of an item, without what differs from server to server.
fn outcome(made: &Made) -> Result<(), (Code, String)> {
    made.as_ref().map(|_| ()).map_err(|status| (status.code(), reason(status)))
}

#[tokio::test]
async fn nobody_binds_a_role_above_themselves_in_bulk() {
    let scene = Scene::new().await;
    let grants: Vec<pb::Grant> = administration().into_iter().chain([allow("ftp.view")]).collect();
    let binder = scene.with(&grants).await;
    let weak = scene.role(&[allow("ftp.view")]).await;
    let strong = scene.role(&[allow("ftp.view"), allow("devices.update")]).await;
    let holder = scene.nobody().await;
    let made = send(
        &binder.client,
        batch(vec![
            binding(&holder.name, &weak, &scene.tenant),
            binding(&holder.name, &strong, &scene.tenant),
            binding(&binder.name, &strong, &scene.tenant),
            binding(&holder.name, &weak, "accounts/platform"),
        ]),
    );
    let made = made.await.unwrap();
    assert!(made[0].is_ok());
    escalates(made[1].clone());
    escalates(made[2].clone());
    assert_eq!(outcome(&made[3]).unwrap_err().0, Code::NotFound);
    assert!(scene.server.may(&holder.name, "ftp.view", &scene.tenant).await);
    assert!(!scene.server.may(&holder.name, "devices.update", &scene.tenant).await);
}

#[tokio::test]
async fn bindings_in_bulk_share_a_revision_and_have_an_event_each() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    let name = scene.role(&[allow("ftp.view")]).await;
    let holders = [scene.nobody().await, scene.nobody().await, scene.nobody().await];
    let wishes: Vec<_> = holders.iter().map(|holder| binding(&holder.name, &name, &scene.tenant)).collect();
    let request = pb::BatchCreateRoleBindingsRequest { request_id: request_id(), ..batch(wishes.clone()) };
    let rehearsal = pb::BatchCreateRoleBindingsRequest { validate_only: true, ..batch(wishes) };
    let rehearsed = send(admin, rehearsal).await.unwrap();
    assert!(rehearsed.iter().all(|made| made.as_ref().is_ok_and(|made| made.update_revision == 0)));
    let made: Vec<_> = send(admin, request.clone()).await.unwrap().into_iter().map(Result::unwrap).collect();
    let again: Vec<_> = send(admin, request).await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(made, again);
    for one in &made {
        assert_eq!(one.update_revision, made[0].update_revision);
        assert_eq!(get(admin, &one.name).await.unwrap(), *one);
    }
    assert_eq!(events(&scene.server, &scene.tenant, "role_bindings.create").await.len(), 3);
    for count in [0, 1001] {
        let wishes = vec![binding(&holders[0].name, &name, &scene.tenant); count];
        let status = send(admin, batch(wishes)).await.unwrap_err();
        assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["requests".to_owned()]));
    }
}

/// Items that depend on each other, made one by one on one server and at once on another, come out
/// alike: bounds reached on the way, the same binding twice, and rights that the caller gives itself.
#[tokio::test]
async fn a_batch_comes_out_as_single_calls_would() {
    let (one, other) = (Server::start().await, Server::start().await);
    let (single, bulk) = (world(&one).await, world(&other).await);
    let mut outcomes = Vec::new();
    for wish in &single.wishes {
        outcomes.push(outcome(&bind(&single.caller, wish.clone()).await));
    }
    let made = send(&bulk.caller, batch(bulk.wishes.clone())).await.unwrap();
    let made: Vec<_> = made.iter().map(outcome).collect();
    assert_eq!(made, outcomes);
    let refused = |why: &str| made.iter().flat_map(|made| made.as_ref().err()).any(|(_, reason)| reason == why);
    for why in [
        "MAX_HOLDERS_REACHED",
        "ROLE_BINDING_EXISTS",
        "ESCALATION",
        "LAST_ADMINISTRATOR",
        "RESOURCE_NOT_FOUND",
        "INVALID_FIELDS",
        "PEER_KIND_NOT_ALLOWED",
    ] {
        assert!(refused(why), "{why} does not occur: {made:?}");
    }
    for peer in ["peers/@a", "peers/@b", "peers/@c", "peers/@boss", "peers/@caller"] {
        for permission in ["ftp.view", "devices.update", "devices.view", "accounts.administer"] {
            assert_eq!(
                one.decide(peer, permission, "accounts/contoso").await.decision,
                other.decide(peer, permission, "accounts/contoso").await.decision,
                "{peer} {permission}"
            );
        }
    }
    one.stop().await;
    other.stop().await;
}

struct World {
    caller: Client,
    wishes: Vec<pb::RoleBinding>,
}

async fn world(server: &Server) -> World {
    let operator = server.operator();
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    let tenant = server.customer("contoso", &msp).await;
    let few = role(&msp, &[allow("ftp.view")]);
    let few = pb::Role { rules: Some(pb::RoleRules { max_holders: 2, ..Default::default() }), ..few };
    let few = create(&operator, few).await.unwrap().name;
    let strong = server.custom_role(&msp, &["devices.update", "devices.view"]).await;
    let silence = create(&operator, role(&msp, &[deny("accounts.administer")])).await.unwrap().name;
    let blind = create(&operator, role(&msp, &[deny("devices.view")])).await.unwrap().name;
    let powers: Vec<pb::Grant> =
        administration().into_iter().chain([allow("ftp.*"), allow("devices.*"), allow("accounts.*")]).collect();
    let powers = create(&operator, role(&msp, &powers)).await.unwrap().name;
    let caller = server.person(&msp, "caller", &powers).await;
    let silent = server.custom_role(&msp, &["agents.check_in"]).await;
    for name in ["a", "b", "c"] {
        server.person(&tenant, name, &silent).await;
    }
    server.person(&tenant, "boss", "roles/mspcontrol.administrator").await;
    let group = pb::Group { account: tenant.clone(), title: "All".to_owned(), ..pb::Group::default() };
    let request = pb::CreateGroupRequest { group: Some(group), ..pb::CreateGroupRequest::default() };
    let group = operator.roles().create_group(request).await.unwrap().into_inner().name;
    let at = |peer: &str, role: &str| binding(&format!("peers/@{peer}"), role, &tenant);
    let wishes = vec![
        at("a", &few),
        at("a", &few),
        eligible(at("a", &few)),
        at("b", &few),
        at("c", &few),
        until(at("a", &strong), server.time(60)),
        at("a", &strong),
        of_group(&group, &strong, &tenant),
        of_group("groups/00000000-0000-7000-8000-000000000000", &strong, &tenant),
        at("nobody", &strong),
        at("b", "roles/mspcontrol.device"),
        at("b", "no role"),
        at("boss", &silence),
        // The caller blinds itself, and can no longer give what it can no longer do.
        at("b", &strong),
        binding("peers/me", &blind, &tenant),
        at("c", &strong),
        at("c", &few),
    ];
    World { caller: caller.client, wishes }
}
