//! Lists of an account so large that they are walked in their order: each is that of a naive reading of
//! all rows, from its first page to its last.

use peerage::application::Ctx;
use peerage::application::generate::{Scale, generate};
use peerage::decision::administrators::administers;
use peerage::domain::peer::{Peer, PeerKind, PeerStatus};
use peerage::domain::text::fold;
use peerage::storage::peers::list::SortKey;

use super::columns::{names, of, on_both, page};
use super::*;
use crate::storage::lists::{by, sorted};
use crate::support::Server;

/// More than are gathered and sorted whatever the list.
const SCALE: Scale = Scale { peers: 9_000, seed: 3 };

/// All peers that a list of the whole platform can show.
async fn everyone(ctx: &Ctx) -> Vec<Peer> {
    let snapshot = ctx.snapshot();
    let accounts = snapshot.subtree(snapshot.find_account("platform").unwrap());
    let homed = accounts.into_iter().flat_map(|account| snapshot.homed_at(account).collect::<Vec<_>>());
    let ids: Vec<_> = homed.filter_map(|peer| snapshot.peer_id(peer)).collect();
    let mut rows = peerage::storage::peers::find_many(ctx.store.reader(), &ids).await.unwrap();
    rows.retain(|row| row.status != PeerStatus::Deleted);
    rows
}

fn is_found(peer: &Peer, query: &str) -> bool {
    let texts = [peer.user_name.as_str(), &peer.profile.full_name(), &peer.profile.email].map(fold);
    texts.iter().any(|text| if query.chars().count() < 3 { text.starts_with(query) } else { text.contains(query) })
}

async fn walks(server: &Server) {
    let ctx = server.running().ctx();
    generate(ctx, SCALE, |_| ()).await.unwrap();
    let (everyone, operator) = (everyone(ctx).await, server.operator());
    assert!(everyone.len() > 8_500, "{}", everyone.len());
    let snapshot = ctx.snapshot();
    let administers = |peer: &Peer| administers(&snapshot, snapshot.find_peer(peer.id).unwrap(), ctx.clock.now());
    type Passes<'a> = &'a dyn Fn(&Peer) -> bool;
    let filters: [(&str, Passes<'_>); 4] = [
        ("", &|_| true),
        ("state = DISABLED", &|peer| peer.status == PeerStatus::Disabled),
        ("kind = DEVICE AND state = ENABLED", &|peer| {
            peer.kind == PeerKind::Device && peer.status == PeerStatus::Enabled
        }),
        ("administrator = true", &administers),
    ];
    let orders = [
        ("name", SortKey::Id, false),
        ("user_name desc", SortKey::UserName, true),
        ("kind", SortKey::Kind, false),
        ("last_login_time desc", SortKey::LastLoginTime, true),
    ];
    // Text that all hold, that many, few and none hold, and what only begins a name.
    for query in ["", "example", "chen", "emily.chen.7", "nobody at all", "ro"] {
        for (filter, passes) in &filters {
            let matching: Vec<Peer> =
                everyone.iter().filter(|peer| passes(peer) && is_found(peer, query)).cloned().collect();
            for (order_by, key, descending) in orders {
                let wanted: Vec<String> =
                    sorted(&matching, by(key, descending)).iter().map(|id| format!("peers/{id}")).collect();
                let case = format!("{query:?} {filter:?} by {order_by}");
                let mut request = pb::ListPeersRequest {
                    query: query.to_owned(),
                    filter: (*filter).to_owned(),
                    order_by: order_by.to_owned(),
                    page_size: 40,
                    read_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
                    ..of("accounts/platform")
                };
                let first = page(&operator, &request).await;
                assert_eq!(names(&first.peers), wanted[..wanted.len().min(40)], "the first page of {case}");
                // The rest in few pages.
                (request.page_size, request.page_token) = (1_000, first.next_page_token);
                let mut listed = first.peers.len();
                while !request.page_token.is_empty() {
                    let next = page(&operator, &request).await;
                    let end = listed + next.peers.len();
                    assert_eq!(names(&next.peers), wanted[listed..end.min(wanted.len())], "from {listed}, {case}");
                    listed = end;
                    request.page_token = next.next_page_token;
                }
                assert_eq!(listed, wanted.len(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn large_accounts_are_listed_as_a_naive_reading_of_all_rows() {
    on_both(walks).await;
}
