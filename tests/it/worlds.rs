//! The world that is made for measuring: the same from the same seed, on either database.

use peerage::application::Ctx;
use peerage::application::generate::{LARGE, Made, Scale, generate};
use peerage::domain::ids::AccountId;
use peerage::storage::audit;
use peerage::transport::grpc::pb;
use sha2::{Digest as _, Sha256};

use crate::support::{PostgresDatabase, Server};

const SCALE: Scale = Scale { peers: 2_000, seed: 7 };

/// What a world is, without what differs from database to database: its rows, and one log.
async fn print(ctx: &Ctx) -> [u8; 32] {
    let mut hash = Sha256::new();
    let snapshot = ctx.snapshot();
    let reader = ctx.store.reader();
    for (id, role) in snapshot.roles().map(|(_, role)| (&role.fact.id, role)) {
        hash.update(format!("{id} {:?}", role.fact.grants));
    }
    let root = snapshot.find_account("platform").unwrap();
    let mut peers = Vec::new();
    for account in snapshot.subtree(root) {
        hash.update(snapshot.account_id(account).unwrap().as_str());
        peers.extend(snapshot.homed_at(account).filter_map(|peer| snapshot.peer_id(peer)));
    }
    let operator = peerage::storage::bootstrap::operator(reader).await.unwrap();
    let mut rows = peerage::storage::peers::find_many(reader, &peers).await.unwrap();
    rows.retain(|row| Some(row.id) != operator);
    rows.sort_by_key(|row| row.id);
    for row in rows {
        let index = snapshot.find_peer(row.id).unwrap();
        let mut held: Vec<_> = snapshot.held(index).map(|held| held.binding.id.to_string()).collect();
        held.sort();
        hash.update(format!("{row:?} {held:?}"));
    }
    let large = AccountId::parse(LARGE).unwrap();
    for event in audit::events_after(reader, &large, 0, 10).await.unwrap() {
        hash.update(event.bytes);
    }
    hash.finalize().into()
}

async fn make(server: &Server) -> (Made, [u8; 32]) {
    let ctx = server.running().ctx();
    let made = generate(ctx, SCALE, |_| ()).await.unwrap();
    (made, print(ctx).await)
}

#[tokio::test]
async fn a_world_is_the_same_from_the_same_seed_on_either_database() {
    let (sqlite, database) = (Server::start().await, PostgresDatabase::create().await);
    let postgres = Server::start_on(&database.url, tempfile::tempdir().unwrap()).await;
    let (made, first) = make(&sqlite).await;
    assert_eq!((made.peers, made.accounts, made.permissions), (2_000, 200, 512));
    assert!(made.bindings >= 3 * made.peers && made.groups == 10 && made.members > 100, "{made:?}");
    assert_eq!(make(&postgres).await, (made, first));
    postgres.stop().await;
    database.drop().await;

    // A second world has no room, and a server that ran all along serves the first.
    assert!(generate(sqlite.running().ctx(), SCALE, |_| ()).await.is_err());
    let operator = sqlite.operator();
    let request = pb::ListPeersRequest {
        account: format!("accounts/{LARGE}"),
        page_size: 1,
        count_total: true,
        ..Default::default()
    };
    let page = operator.peers().list_peers(request).await.unwrap().into_inner();
    assert!((190..=200).contains(&page.total_size), "a tenth, but for those that are deleted: {}", page.total_size);
    let peer = &page.peers[0];
    let decided = sqlite.decide(&peer.name, "websites.view", &peer.home_account).await;
    assert_ne!(decided.reason(), pb::DecisionReason::SubjectUnknown);
    // What is written goes on where the world ends.
    sqlite.partner("another-msp", &["mspcontrol"]).await;
    let request = pb::ListAuditEventsRequest { account: format!("accounts/{LARGE}"), ..Default::default() };
    let events = operator.audit().list_audit_events(request).await.unwrap().into_inner().audit_events;
    assert_eq!(events.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(), ["accounts.generate"]);
    sqlite.stop().await;
}
