//! Passwords and photos.

use peerage::domain::ids::PeerId;
use peerage::domain::password::PasswordHash;
use peerage::domain::photo::{Photo, Size};
use peerage::storage::passwords::{self, StoredPassword};
use peerage::storage::{peers, photos};
use sea_orm::ConnectionTrait;

use super::world::{add_peer, at, fresh, tree};
use super::{Database, on_both_migrated};

on_both_migrated![
    a_password_replaces_the_one_before,
    only_as_many_former_passwords_stay_as_are_kept,
    photos_come_back_and_go,
    a_purge_takes_passwords_and_photo_along
];

fn password(peer: PeerId, hash: &str, micros: i64) -> StoredPassword {
    StoredPassword { peer, hash: PasswordHash::new(hash.to_owned()), create_time: at(micros) }
}

async fn former(conn: &impl ConnectionTrait, peer: PeerId) -> Vec<String> {
    let found = passwords::former(conn, peer, 100).await.unwrap();
    found.iter().map(|hash| hash.expose().to_owned()).collect()
}

async fn a_password_replaces_the_one_before(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let (sarah, john) = (add_peer(store, "sarah", "contoso").await.id, add_peer(store, "john", "contoso").await.id);
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    assert_eq!(passwords::find(conn, sarah).await.unwrap(), None);
    for (number, peer) in [(1, sarah), (2, john), (3, sarah)] {
        passwords::set(conn, &password(peer, &format!("hash {number}"), number), fresh(), 0).await.unwrap();
    }
    assert_eq!(passwords::find(conn, sarah).await.unwrap(), Some(password(sarah, "hash 3", 3)));
    assert_eq!(passwords::find(conn, john).await.unwrap(), Some(password(john, "hash 2", 2)));
    assert!(former(conn, sarah).await.is_empty(), "nothing is kept that nobody asks for");
    passwords::wipe(conn, &[sarah]).await.unwrap();
    assert_eq!(passwords::find(conn, sarah).await.unwrap(), None);
    assert!(passwords::find(conn, john).await.unwrap().is_some());
    transaction.commit().await.unwrap();
}

async fn only_as_many_former_passwords_stay_as_are_kept(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let (sarah, john) = (add_peer(store, "sarah", "contoso").await.id, add_peer(store, "john", "contoso").await.id);
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    for number in 1..=5 {
        for peer in [sarah, john] {
            passwords::set(conn, &password(peer, &format!("hash {number}"), number), fresh(), 3).await.unwrap();
        }
    }
    assert_eq!(former(conn, sarah).await, ["hash 4", "hash 3", "hash 2"]);
    // A shorter history forgets at once, for this peer alone.
    passwords::set(conn, &password(sarah, "hash 6", 6), fresh(), 1).await.unwrap();
    assert_eq!(former(conn, sarah).await, ["hash 5"]);
    assert_eq!(former(conn, john).await, ["hash 4", "hash 3", "hash 2"]);
    passwords::wipe(conn, &[sarah, john]).await.unwrap();
    assert!(former(conn, sarah).await.is_empty() && former(conn, john).await.is_empty());
    transaction.commit().await.unwrap();
}

async fn photos_come_back_and_go(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let sarah = add_peer(store, "sarah", "contoso").await.id;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    let of = |byte: u8| Photo { large: vec![byte; 300_000], small: vec![byte; 5] };
    for byte in [1, 2] {
        photos::set(conn, sarah, Some(of(byte))).await.unwrap();
        assert_eq!(photos::find(conn, sarah, Size::Large).await.unwrap(), Some(of(byte).large));
        assert_eq!(photos::find(conn, sarah, Size::Small).await.unwrap(), Some(of(byte).small));
    }
    photos::set(conn, sarah, None).await.unwrap();
    assert_eq!(photos::find(conn, sarah, Size::Large).await.unwrap(), None);
    transaction.commit().await.unwrap();
}

async fn a_purge_takes_passwords_and_photo_along(database: &Database) {
    let store = &database.store;
    tree(store).await;
    let sarah = add_peer(store, "sarah", "contoso").await.id;
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    for number in 1..=2 {
        passwords::set(conn, &password(sarah, "hash", number), fresh(), 5).await.unwrap();
    }
    photos::set(conn, sarah, Some(Photo { large: vec![1], small: vec![2] })).await.unwrap();
    peers::purge(conn, sarah).await.unwrap();
    assert_eq!(passwords::find(conn, sarah).await.unwrap(), None);
    assert!(former(conn, sarah).await.is_empty());
    assert_eq!(photos::find(conn, sarah, Size::Small).await.unwrap(), None);
    transaction.commit().await.unwrap();
}
