//! `person`: two peers of one human, on which the rule rests that nobody approves their own requests.

use peerage::transport::grpc::pb;
use tonic::{Code, Status};

use super::{ADMINISTRATOR, create, escalation, is, update, why, wish};
use crate::support::{Client, Server};

async fn link(client: &Client, peer: &str, person: &str) -> Result<pb::Peer, Status> {
    let peer = pb::Peer { name: peer.to_owned(), person: person.to_owned(), ..pb::Peer::default() };
    update(client, peer, &["person"]).await
}

#[tokio::test]
async fn nobody_loosens_their_own_links_or_links_the_stronger() {
    let server = Server::start().await;
    let partner = server.partner("contoso-msp", &["mspcontrol"]).await;
    let first = server.person(&partner, "emily", ADMINISTRATOR).await;
    let second = server.person(&partner, "emily-2", ADMINISTRATOR).await;
    let other = server.person(&partner, "john", ADMINISTRATOR).await;
    link(&first.client, &first.name, &second.name).await.unwrap();
    let own = is(Code::PermissionDenied, "OWN_PERSON_LINK");
    for client in [&first.client, &second.client] {
        for person in ["", other.name.as_str()] {
            assert_eq!(why(link(client, &first.name, person).await), own, "{person}");
        }
    }
    let shown = link(&other.client, &first.name, "").await.unwrap();
    assert_eq!(shown.person, "");

    let keeper = server.custom_role(&partner, &["peers.view", "peers.update", "peers.create"]).await;
    let keeper = server.person(&partner, "keeper", &keeper).await;
    assert_eq!(why(link(&keeper.client, &first.name, &keeper.name).await), escalation());
    assert_eq!(why(link(&keeper.client, &keeper.name, &first.name).await), escalation());
    let mut linked = wish(&partner, "new", &server.custom_role(&partner, &["peers.view"]).await);
    linked.peer.as_mut().unwrap().person = first.name.clone();
    assert_eq!(why(create(&keeper.client, linked).await), escalation());
    server.stop().await;
}
