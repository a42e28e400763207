//! Nothing that an ending peer gives outlasts it, nor does it prolong itself.

use peerage::transport::grpc::pb;

use super::{ADMINISTRATOR, READ_ONLY, create, escalation, update, why, wish};
use crate::bindings::{bind, binding, until};
use crate::support::Server;

#[tokio::test]
async fn nobody_gives_what_outlasts_themselves() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    server.person(&partner, "john", ADMINISTRATOR).await;
    let contractor = server.person(&partner, "contractor", ADMINISTRATOR).await;
    let friday = server.time(5 * 86_400);
    let ending = |name: &str, end| pb::Peer { name: name.to_owned(), expire_time: end, ..pb::Peer::default() };
    update(&server.operator(), ending(&contractor.name, Some(friday)), &["expire_time"]).await.unwrap();

    let helper = create(&contractor.client, wish(&partner, "helper", READ_ONLY)).await;
    assert_eq!(why(helper), escalation());
    let until_friday = |user_name| {
        let mut request = wish(&partner, user_name, READ_ONLY);
        request.peer.as_mut().unwrap().expire_time = Some(friday);
        request
    };
    let helper = create(&contractor.client, until_friday("helper")).await.unwrap();
    let other = server.person(&partner, "other", READ_ONLY).await;
    let lasting = binding(&other.name, "roles/mspcontrol.help_desk", &partner);
    assert_eq!(why(bind(&contractor.client, lasting.clone()).await), escalation());
    bind(&contractor.client, until(lasting, friday)).await.unwrap();

    for end in [None, Some(server.time(6 * 86_400))] {
        for name in [&contractor.name, &helper.name] {
            let prolonged = update(&contractor.client, ending(name, end), &["expire_time"]).await;
            assert_eq!(why(prolonged), escalation(), "{name} {end:?}");
        }
    }
    update(&contractor.client, ending(&contractor.name, Some(server.time(86_400))), &["expire_time"]).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn an_ended_peer_is_not_taken_over_for_the_day_it_is_prolonged() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    server.person(&partner, "john", ADMINISTRATOR).await;
    let strong = server.person(&partner, "strong", ADMINISTRATOR).await;
    let rights = ["accounts.view", "peers.view", "peers.update"];
    let keeper = server.custom_role(&partner, &rights).await;
    let keeper = server.person(&partner, "keeper", &keeper).await;
    let ending = pb::Peer { name: strong.name.clone(), expire_time: Some(server.time(60)), ..pb::Peer::default() };
    update(&server.operator(), ending, &["expire_time"]).await.unwrap();
    server.advance(std::time::Duration::from_secs(120));
    let taken = pb::Peer { name: strong.name.clone(), email: "keeper@example.com".into(), ..pb::Peer::default() };
    assert_eq!(why(update(&keeper.client, taken, &["email"]).await), escalation());
    server.stop().await;
}
