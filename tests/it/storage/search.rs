//! Searches of peers: what is found in names, and that the index follows them.

use peerage::domain::peer::{Peer, PeerStatus, UserName};
use peerage::storage::peers::list::{Search, SortKey, Source};
use peerage::storage::peers::{self, StatusChange};
use sea_orm::DbBackend;

use super::lists::{add, by, listed, named, searched};
use super::world::{add_peer, at, id, peer, tree};
use super::{Database, on_both_migrated};

on_both_migrated![
    a_search_finds_parts_of_names_and_takes_nothing_for_a_wildcard,
    the_search_follows_every_change_of_a_row,
];

async fn a_search_finds_parts_of_names_and_takes_nothing_for_a_wildcard(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let mut all = Vec::new();
    for (user_name, full_name, email) in [
        ("emily.chen", "Emily Chen", "emily@contoso.example"),
        ("müller", "Jürgen MÜLLER", "Straße@bücher.example"),
        ("wang", "王芳小", "wang@example.cn"),
        ("100%_sure", "50% off_er", "a+b@c.example"),
        ("quote\"d", "O'Brien \\ \"Bob\" AND OR NOT NEAR(a) col:x ^y*", ""),
        ("plain", "Ab", "ab@xy"),
        ("fullwidth", "ＡＢＣＤ", ""),
    ] {
        let mut made = peer(user_name, "contoso");
        full_name.clone_into(&mut made.profile.display_name);
        email.clone_into(&mut made.profile.email);
        all.push(made);
    }
    add(store, &all).await;
    for (query, wanted) in [
        ("emily", vec!["emily.chen"]),
        ("ILY CH", vec!["emily.chen"]),
        ("@contoso", vec!["emily.chen"]),
        ("MÜLLER", vec!["müller"]),
        ("mu\u{308}ll", vec!["müller"]),
        ("strasse", vec!["müller"]),
        ("王芳小", vec!["wang"]),
        ("0%_", vec!["100%_sure"]),
        ("%_s", vec!["100%_sure"]),
        ("% o", vec!["100%_sure"]),
        ("e%i", vec![]),
        ("e_i", vec![]),
        ("emi*", vec![]),
        ("\"bob\"", vec!["quote\"d"]),
        ("\\ \"", vec!["quote\"d"]),
        ("' OR 1=1", vec![]),
        ("near(a)", vec!["quote\"d"]),
        ("col:x", vec!["quote\"d"]),
        ("AND OR NOT", vec!["quote\"d"]),
        ("o'b", vec!["quote\"d"]),
        ("abcd", vec!["fullwidth"]),
        (".example", vec!["emily.chen", "müller", "100%_sure"]),
        // What ends one name and begins the next is no part of a name.
        ("chenemily", vec![]),
        // In two characters there is no trigram: they begin one of the names.
        ("王芳", vec!["wang"]),
        ("e", vec!["emily.chen"]),
        ("ab", vec!["plain", "fullwidth"]),
        ("hu", vec![]),
        ("%", vec![]),
        ("_", vec![]),
    ] {
        for source in [Source::Order, Source::Search, Source::Subtree(id("contoso"))] {
            assert_eq!(named(store, &source, &searched(query)).await, wanted, "{query} by {source:?}");
        }
        let counted = peers::list::count_to(store.reader(), &Source::Search, &searched(query), 10).await.unwrap();
        assert_eq!(counted, wanted.len() as u64, "{query}");
        let order = by(SortKey::FullName, true);
        let among = async |entries| {
            peers::list::count_next(store.reader(), &searched(query), order, None, entries).await.unwrap()
        };
        assert_eq!(among(all.len() as u64).await, wanted.len() as u64, "{query}");
        // Two fewer are looked at, which are the first by their full name.
        let is_there = |peer: &&Peer| {
            wanted.contains(&peer.user_name.as_str()) && !["plain", "100%_sure"].contains(&peer.user_name.as_str())
        };
        assert_eq!(among(all.len() as u64 - 2).await, all.iter().filter(is_there).count() as u64, "{query}");
    }
    assert_eq!(Search::of(""), None);
}

async fn the_search_follows_every_change_of_a_row(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let mut sarah = add_peer(store, "sarah.wilson", "contoso").await;
    let found = async |query: &str| listed(store, &Source::Search, &searched(query), by(SortKey::Id, false)).await;
    assert_eq!(found("wilson").await, [sarah.id]);
    let transaction = store.begin().await.unwrap();
    sarah.user_name = UserName::parse("sarah.miller").unwrap();
    sarah.profile.display_name = "Sarah Miller".to_owned();
    peers::update(transaction.connection(), &sarah).await.unwrap();
    // Nobody else sees it before it is committed.
    assert_eq!(found("wilson").await, [sarah.id]);
    transaction.commit().await.unwrap();
    assert_eq!(found("wilson").await, []);
    assert_eq!(found("miller").await, [sarah.id]);
    let transaction = store.begin().await.unwrap();
    peers::purge(transaction.connection(), sarah.id).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(found("miller").await, [sarah.id]);
    let transaction = store.begin().await.unwrap();
    let deleted = StatusChange { status: PeerStatus::Deleted, now: at(9), delete_time: Some(at(9)), revision: 5 };
    peers::set_status(transaction.connection(), &[sarah.id], deleted).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(found("miller").await, [sarah.id]);
    let transaction = store.begin().await.unwrap();
    peers::purge(transaction.connection(), sarah.id).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(found("miller").await, []);
    if database.store.reader().get_database_backend() == DbBackend::Sqlite {
        database.sql("INSERT INTO peer_search (peer_search) VALUES ('integrity-check')").await;
    }
}
