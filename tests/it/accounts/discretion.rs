//! Rules judge what the caller may not view; what they say of it names nothing.

use std::collections::HashMap;

use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use super::{account, create, relocate};
use crate::support::{Client, Server};
use peerage::transport::grpc::pb;

async fn enable(client: &Client, peer: &str) -> Result<pb::Peer, Status> {
    let request = pb::EnablePeerRequest { name: peer.to_owned(), ..Default::default() };
    client.peers().enable_peer(request).await.map(Response::into_inner)
}

fn named(status: &Status) -> HashMap<String, String> {
    status.get_details_error_info().expect("an ErrorInfo").metadata
}

/// The status is this one, and holds none of these words anywhere.
fn assert_bare(status: &Status, code: Code, reason: &str, words: &[&str]) {
    assert_eq!((status.code(), crate::support::reason(status).as_str()), (code, reason));
    assert_eq!(named(status), HashMap::new());
    let text = [status.message().as_bytes(), status.details()].concat();
    for word in words {
        assert!(!text.windows(word.len()).any(|window| window == word.as_bytes()), "`{word}` is told: {status}");
    }
}

#[tokio::test]
async fn an_escalation_names_only_what_the_caller_may_view() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let (contoso, secret) = (server.customer("contoso", &msp).await, server.customer("secret", &msp).await);
    let local = ["accounts.view", "peers.view", "peers.enable", "peers.disable"];
    let local = server.custom_role(&msp, &local).await;
    let more = server.custom_role(&msp, &["accounts.suspend"]).await;
    let admin = server.person(&contoso, "admin", &local).await;
    for (user_name, place) in [("bob", &secret), ("carl", &contoso)] {
        let peer = server.person(&contoso, user_name, &local).await.name;
        server.bind(&peer, &more, place).await;
        let request = pb::DisablePeerRequest { name: peer.clone(), ..Default::default() };
        server.operator().peers().disable_peer(request).await.unwrap();
        let status = enable(&admin.client, &peer).await.unwrap_err();
        if *place == secret {
            assert_bare(&status, Code::PermissionDenied, "ESCALATION", &["secret", "suspend"]);
        } else {
            let expected = [("account", contoso.as_str()), ("permission", "accounts.suspend")];
            assert_eq!(named(&status), expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        }
    }
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_move_is_named_to_who_may_view_it() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let partner = |id| create(&operator, id, account(&msp, pb::AccountKind::Partner));
    let (old, new) = (partner("old").await.unwrap().name, partner("new").await.unwrap().name);
    let (joined, bound) = (server.customer("joined", &old).await, server.customer("bound", &old).await);
    let mover = server.custom_role(&msp, &["accounts.view", "accounts.move"]).await;
    let mover = server.person(&msp, "mover", &mover).await;

    let bob = server.person(&joined, "bob", "roles/mspcontrol.help_desk").await;
    let group = crate::groups::make(&operator, &old).await;
    crate::groups::join(&operator, &group, &bob.name).await.unwrap();
    let status = relocate(&operator, &joined, &new).await.unwrap_err();
    assert_eq!(named(&status).get("resource"), Some(&group));
    let status = relocate(&mover.client, &joined, &new).await.unwrap_err();
    assert_bare(&status, Code::FailedPrecondition, "MEMBER_HOME_NOT_RELATED", &["groups/"]);

    let role = server.custom_role(&old, &["accounts.view"]).await;
    server.person(&bound, "carl", &role).await;
    let status = relocate(&operator, &bound, &new).await.unwrap_err();
    assert_eq!(named(&status).get("resource"), Some(&role));
    let status = relocate(&mover.client, &bound, &new).await.unwrap_err();
    assert_bare(&status, Code::FailedPrecondition, "ROLE_NOT_USABLE", &["roles/"]);
}
