//! Starting from the snapshot that was kept in a file: it is what the rows are, or it is not used.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use peerage::application::kept::{self, Kept, SealKey, Unusable};
use peerage::application::start::{Started, start};
use peerage::decision::Snapshot;
use peerage::decision::compile::Compiler;
use peerage::domain::fact::{AccountFact, Fact, PeerFact};
use peerage::domain::ids::{AccountId, PeerId};
use peerage::domain::peer::{PeerKind, PeerStatus};

use super::*;

/// The bytes of all facts.
fn image(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::new();
    snapshot.write_image(&mut bytes).unwrap();
    bytes
}

/// A process that starts from a file where it can.
async fn started(config: &Config, kept: &Kept) -> (Ctx, Started) {
    let ctx = app::context(app::connect(config).await.unwrap(), Clock::System).unwrap();
    let started = start(&ctx, Some(kept)).await.unwrap();
    (ctx, started)
}

fn read(kept: &Kept, key: &SealKey) -> Result<Snapshot, Unusable> {
    kept.read(key, &mut Compiler::new().unwrap())
}

#[tokio::test]
async fn a_start_from_the_file_is_a_start_from_rows() {
    let Writer { ctx: writer, call, config, _folder } = Writer::start().await;
    let kept = Kept::new(_folder.path().join("snapshot"));
    let (_, first) = started(&config, &kept).await;
    assert_eq!(first.file, None, "nothing was kept yet");
    let key = kept::seal_key(&writer).await.unwrap();
    kept.write(&writer.snapshot(), &key).unwrap();
    let mode = std::fs::metadata(kept.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may read hashes");

    let (level, from_file) = started(&config, &kept).await;
    let there = head(&writer).await;
    assert_eq!((from_file.file, level.snapshot().mark()), (Some(there), there));
    assert_eq!(image(&level.snapshot()), image(&replica(&config).await.snapshot()));

    // What was committed since is read from the feed.
    let made = api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
    let (behind, from_file) = started(&config, &kept).await;
    assert_eq!((from_file.file, behind.snapshot().mark()), (Some(there), head(&writer).await));
    assert!(behind.snapshot().find_api_key(&made.api_key.hash).is_some());
    assert_eq!(image(&behind.snapshot()), image(&replica(&config).await.snapshot()));
    // It follows on, as any other does.
    api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
    refresh::catch_up(&behind, Duration::ZERO).await.unwrap();
    assert_eq!(image(&behind.snapshot()), image(&writer.snapshot()));
}

#[tokio::test]
async fn a_file_of_another_history_is_not_used() {
    let Writer { ctx: writer, call, config, _folder } = Writer::start().await;
    let kept = Kept::new(_folder.path().join("snapshot"));
    let key = kept::seal_key(&writer).await.unwrap();
    let before = head(&writer).await;
    let made = api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
    kept.write(&writer.snapshot(), &key).unwrap();

    // The database was restored: the file is ahead of it, then level with it, then behind it.
    put_back(&writer, before, &format!("DELETE FROM api_keys WHERE hash = x'{}'", hex(&made.api_key.hash))).await;
    let mut gone = writer;
    for _ in 0..3 {
        let (ctx, from_rows) = started(&config, &kept).await;
        assert_eq!((from_rows.file, ctx.snapshot().mark()), (None, head(&gone).await));
        assert!(ctx.snapshot().find_api_key(&made.api_key.hash).is_none());
        ctx.policy.set_ready(true);
        api_keys::create(&ctx, &call, key_of_my_own()).await.unwrap();
        gone = ctx;
    }

    // Changes since the file that are not kept any more.
    kept.write(&gone.snapshot(), &key).unwrap();
    let at = gone.snapshot().revision();
    for _ in 0..2 {
        api_keys::create(&gone, &call, key_of_my_own()).await.unwrap();
    }
    sql(&gone, &[&format!("DELETE FROM policy_changes WHERE revision = {}", at + 1)]).await;
    let (ctx, from_rows) = started(&config, &kept).await;
    assert_eq!((from_rows.file, ctx.snapshot().mark()), (None, head(&gone).await));

    // Another database takes it for damaged: its key is another.
    let Writer { ctx: other, config, _folder, .. } = Writer::start().await;
    let others = kept::seal_key(&other).await.unwrap();
    assert!(matches!(read(&kept, &others).unwrap_err(), Unusable::WrongSeal));
    assert_eq!(started(&config, &kept).await.1.file, None);
}

/// A world so small that each of its bytes can be changed.
fn tiny() -> Snapshot {
    let account = AccountFact::root();
    let peer = PeerFact {
        id: PeerId::parse("0193a7b2-0000-7000-8000-00000000000a").unwrap(),
        user_name_hash: 7,
        kind: PeerKind::Person,
        home: AccountId::platform(),
        status: PeerStatus::Enabled,
        expire_time: None,
        person: None,
    };
    Snapshot::load(5, [Fact::Account(account), Fact::Peer(peer)], &mut Compiler::new().unwrap()).unwrap()
}

#[tokio::test]
async fn whatever_is_not_whole_is_noticed() {
    let Writer { ctx, _folder, .. } = Writer::start().await;
    let kept = Kept::new(_folder.path().join("snapshot"));
    let key = kept::seal_key(&ctx).await.unwrap();
    assert!(matches!(read(&kept, &key).unwrap_err(), Unusable::Absent));
    kept.write(&tiny(), &key).unwrap();
    let written = std::fs::read(kept.path()).unwrap();
    assert_eq!(image(&read(&kept, &key).unwrap()), image(&tiny()));

    let is_refused = |bytes: &[u8]| {
        std::fs::write(kept.path(), bytes).unwrap();
        read(&kept, &key).is_err()
    };
    for length in 0..written.len() {
        assert!(is_refused(&written[..length]), "cut at {length}");
    }
    assert!(is_refused(&[&written[..], &[0]].concat()));
    for place in 0..written.len() {
        for bit in 0..8 {
            let mut other = written.clone();
            other[place] ^= 1 << bit;
            assert!(is_refused(&other), "bit {bit} of {place}");
        }
    }
    // Of another form or release: the numbers behind the magic word.
    for place in [11, 14] {
        let mut other = written.clone();
        other[place] ^= 1;
        std::fs::write(kept.path(), other).unwrap();
        assert!(matches!(read(&kept, &key).unwrap_err(), Unusable::OtherRelease));
    }
    // What was left of a write that broke off is in nobody's way.
    std::fs::write(_folder.path().join("snapshot.new"), vec![0; 100_000]).unwrap();
    kept.write(&tiny(), &key).unwrap();
    assert_eq!(std::fs::read(kept.path()).unwrap(), written);
    assert!(!Path::exists(&_folder.path().join("snapshot.new")));
}

#[tokio::test]
async fn a_server_writes_anew_what_was_damaged() {
    let Writer { ctx: writer, mut config, _folder, .. } = Writer::start().await;
    let kept = Kept::new(_folder.path().join("snapshot"));
    let key = kept::seal_key(&writer).await.unwrap();
    kept.write(&writer.snapshot(), &key).unwrap();
    let mut bytes = std::fs::read(kept.path()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(kept.path(), bytes).unwrap();
    config.snapshot.file = Some(kept.path().to_owned());
    config.snapshot.interval_ms = 1_000;
    let server = app::start(&config, Clock::System).await.unwrap();
    let there = loop {
        match read(&kept, &key) {
            Ok(snapshot) => break snapshot,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(there.mark(), server.ctx().snapshot().mark());
    assert_eq!(image(&there), image(&server.ctx().snapshot()));
    server.stop().await.unwrap();
}
