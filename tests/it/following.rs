//! How a replica follows its database: what it proves, what it does when it cannot, and that nothing
//! which was committed stays unknown.

mod kept;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use peerage::app;
use peerage::application::api_keys::{self, CreateApiKey};
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::application::{Call, Clock, Ctx, Error, refresh};
use peerage::config::Config;
use peerage::crypto::api_key::hash_presented;
use peerage::domain::fact::Mark;
use peerage::domain::peer::{PeerRef, UserName};
use peerage::storage::change_feed;
use peerage::transport::grpc::pb;
use peerage::worker;
use sea_orm::ConnectionTrait as _;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{self, PostgresDatabase, Server, inside, reason};

const CREATE: &str = "/peerage.v1.AuthenticationService/CreateApiKey";

/// A database in a folder, and its settings.
fn on_sqlite() -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let config = support::config(&format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display()));
    (folder, config)
}

/// A process that nothing but the test makes follow.
async fn replica(config: &Config) -> Ctx {
    let ctx = app::context(app::connect(config).await.unwrap(), Clock::System).unwrap();
    app::load(&ctx).await.unwrap();
    ctx.policy.set_ready(true);
    ctx
}

async fn head(ctx: &Ctx) -> Mark {
    change_feed::head(ctx.store.reader()).await.unwrap()
}

async fn sql(ctx: &Ctx, statements: &[&str]) {
    let transaction = ctx.store.begin().await.unwrap();
    for statement in statements {
        transaction.connection().execute_unprepared(statement).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Puts the database back to where it was, as a restored backup would, with a change undone.
async fn put_back(ctx: &Ctx, to: Mark, undo: &str) {
    let digest: String = to.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let revision = to.revision;
    let forget = format!("DELETE FROM policy_changes WHERE revision > {revision}");
    let move_back = format!("UPDATE policy_revision SET revision = {revision}, digest = x'{digest}'");
    sql(ctx, &[undo, &forget, &move_back]).await;
}

fn key_of_my_own() -> CreateApiKey {
    CreateApiKey { peer: PeerRef::Me, title: "test".to_owned(), expire_time: None }
}

/// A process with an operator, over a database of its own that others may follow.
struct Writer {
    ctx: Ctx,
    /// A call of the operator.
    call: Call,
    config: Config,
    _folder: tempfile::TempDir,
}

impl Writer {
    async fn start() -> Self {
        let (folder, config) = on_sqlite();
        app::migrate(&config, Clock::System).await.unwrap();
        let ctx = replica(&config).await;
        let name = UserName::parse("operator").unwrap();
        let key = bootstrap(&ctx, name, OperatorKey::New).await.unwrap().key.unwrap();
        let call = inside::call(&ctx, CREATE, key.expose());
        Self { ctx, call, config, _folder: folder }
    }
}

#[tokio::test]
async fn a_replica_ahead_of_its_database_loads_it_anew() {
    let Writer { ctx: writer, call, config, _folder } = Writer::start().await;
    let follower = replica(&config).await;
    let before = head(&writer).await;
    let made = api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
    refresh::catch_up(&follower, Duration::ZERO).await.unwrap();
    assert_eq!((writer.snapshot().mark(), follower.snapshot().mark()), (head(&writer).await, head(&writer).await));

    put_back(&writer, before, &format!("DELETE FROM api_keys WHERE hash = x'{}'", hex(&made.api_key.hash))).await;
    let error = refresh::catch_up(&follower, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error:?}");
    assert!(!follower.policy.is_ready(), "nothing is decided from a history that is not the database's");
    refresh::reload(&follower).await.unwrap();
    assert_eq!(follower.snapshot().mark(), before);
    assert!(follower.snapshot().find_api_key(&made.api_key.hash).is_none(), "what is gone is gone here too");

    // A writer that was ahead finds out under the lock, and judges nothing.
    let error = api_keys::create(&writer, &call, key_of_my_own()).await.unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error:?}");
    assert!(!writer.policy.is_ready());
    refresh::reload(&writer).await.unwrap();
    api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
}

#[tokio::test]
async fn a_revision_that_was_used_again_is_noticed() {
    let Writer { ctx: writer, call, config, _folder } = Writer::start().await;
    let before = head(&writer).await;
    let made = api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
    // Two that follow the history which is to be undone: one will meet a database of the same revision,
    // the other one that is further.
    let (level, behind) = (replica(&config).await, replica(&config).await);
    put_back(&writer, before, &format!("DELETE FROM api_keys WHERE hash = x'{}'", hex(&made.api_key.hash))).await;
    refresh::reload(&writer).await.unwrap();
    for replica in [&level, &behind] {
        api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
        assert!(replica.snapshot().revision() <= head(&writer).await.revision);
        let error = refresh::catch_up(replica, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, Error::Diverged { .. }), "{error:?}");
        refresh::reload(replica).await.unwrap();
        assert_eq!(replica.snapshot().mark(), head(&writer).await);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_feed_that_cannot_be_read_ends_decisions_until_all_is_loaded() {
    let Writer { ctx: writer, call, config, _folder } = Writer::start().await;
    let good = head(&writer).await;
    let follower = replica(&config).await;
    sql(&writer, &["UPDATE policy_revision SET digest = x'00'"]).await;
    refresh::catch_up(&follower, Duration::ZERO).await.unwrap_err();
    assert!(!follower.policy.is_ready());
    sql(&writer, &[&format!("UPDATE policy_revision SET digest = x'{}'", hex(&good.digest))]).await;
    for damage in
        ["UPDATE policy_changes SET after = '{' WHERE revision =", "DELETE FROM policy_changes WHERE revision ="]
    {
        let follower = replica(&config).await;
        api_keys::create(&writer, &call, key_of_my_own()).await.unwrap();
        sql(&writer, &[&format!("{damage} {}", head(&writer).await.revision)]).await;
        let error = refresh::catch_up(&follower, Duration::ZERO).await.unwrap_err();
        assert!(refresh::is_lasting(&error), "{error:?}");
        assert!(!follower.policy.is_ready(), "{damage}");
        refresh::reload(&follower).await.unwrap();
        assert_eq!(follower.snapshot().mark(), head(&writer).await);
    }
}

async fn until(health: &mut HealthClient<tonic::transport::Channel>, status: ServingStatus) {
    let reached = async {
        while health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status() != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect("the status is reported in time");
}

#[tokio::test]
async fn a_server_that_can_prove_nothing_reports_not_serving() {
    let (_folder, mut config) = on_sqlite();
    config.follow.stale_after_ms = 2000;
    app::migrate(&config, Clock::System).await.unwrap();
    let running = app::start(&config, Clock::System).await.unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address())).unwrap();
    let mut health = HealthClient::new(channel.connect_lazy());
    until(&mut health, ServingStatus::Serving).await;
    sql(running.ctx(), &["ALTER TABLE policy_revision RENAME TO elsewhere"]).await;
    until(&mut health, ServingStatus::NotServing).await;
    sql(running.ctx(), &["ALTER TABLE elsewhere RENAME TO policy_revision"]).await;
    until(&mut health, ServingStatus::Serving).await;
    drop(health);
    running.stop().await.unwrap();
}

/// A server heals by itself, whatever happened to its database.
#[tokio::test]
async fn a_server_whose_database_was_put_back_goes_on_with_that() {
    let server = Server::start().await;
    let ctx = server.running().ctx();
    let before = head(ctx).await;
    let key = server.key_of("peers/me").await;
    let hash = hex(&hash_presented(&key).unwrap());
    put_back(ctx, before, &format!("DELETE FROM api_keys WHERE hash = x'{hash}'")).await;
    let mut health = HealthClient::new(server.channel());
    until(&mut health, ServingStatus::Serving).await;
    let refused = async {
        loop {
            match server.client(&key).ask("peers/me", "devices.view", "accounts/platform").await {
                Err(status) if reason(&status) == "CREDENTIAL_INVALID" => return,
                Ok(_) => {}
                Err(status) => assert_eq!(reason(&status), "NOT_READY"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.expect("the key is gone in time");
    server.key_of("peers/me").await;
    drop(health);
    server.stop().await;
}

/// Revoking takes effect on calls that passed the gate before and queue behind the revocation.
#[tokio::test]
async fn a_key_that_is_revoked_while_its_call_waits_changes_nothing() {
    let Writer { ctx, call: operator, config: _, _folder } = Writer::start().await;
    let made = api_keys::create(&ctx, &operator, key_of_my_own()).await.unwrap();
    let revoked = inside::call(&ctx, CREATE, made.text.unwrap().expose());

    let lock = ctx.store.begin_policy().await.unwrap();
    let revoke = api_keys::revoke(&ctx, &operator, made.api_key.id);
    let create = api_keys::create(&ctx, &revoked, key_of_my_own());
    // They are polled in this order, and take turns in the order in which they asked.
    let (revocation, creation, unlocked) = futures_util::future::join3(revoke, create, lock.rollback()).await;
    unlocked.unwrap();
    revocation.unwrap();
    assert!(matches!(creation.unwrap_err(), Error::Unauthenticated(_)));
}

/// Lets a future go after it was polled so many times; its output if it came to its end before.
async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Wherever a caller hangs up, a change that was committed is known here, without anyone following.
#[tokio::test]
async fn a_commit_whose_caller_is_gone_is_published() {
    let Writer { ctx, call, config: _, _folder } = Writer::start().await;
    // How often a call is polled until it ends varies, so that hitting the commit takes some rounds.
    let (mut abandoned, mut ended) = (0, 0);
    for polls in (1..80).cycle().take(3000) {
        let before = ctx.snapshot().revision();
        let made = give_up_after(polls, api_keys::create(&ctx, &call, key_of_my_own())).await;
        let made = made.transpose().expect("no call suffers from those before it");
        // Whoever takes the next turn comes after all that was begun.
        ctx.store.begin_policy().await.unwrap().rollback().await.unwrap();
        ctx.policy.settled().await;
        assert_eq!(ctx.snapshot().mark(), head(&ctx).await, "given up after {polls} polls");
        match made {
            Some(_) => ended += 1,
            None => abandoned += usize::from(ctx.snapshot().revision() > before),
        }
        if abandoned > 2 && ended > 2 {
            return;
        }
        sql(&ctx, &["DELETE FROM api_keys WHERE title = 'test'"]).await;
    }
    panic!("{abandoned} calls were given up while they were committed, {ended} came to their end");
}

#[tokio::test]
async fn a_replica_on_postgresql_hears_of_a_change_when_it_is_committed() {
    let database = PostgresDatabase::create().await;
    let config = support::config(&database.url);
    app::migrate(&config, Clock::System).await.unwrap();
    let (here, elsewhere) = (Arc::new(replica(&config).await), replica(&config).await);
    let stop = CancellationToken::new();
    let hearing = tokio::spawn(worker::hear(Arc::clone(&here), stop.clone()));
    let heard = |time| tokio::time::timeout(time, here.policy.needs_attention());
    // When it begins to listen is nobody's to see, so that it is told again until it hears.
    let mut told = 0;
    while heard(Duration::from_millis(200)).await.is_err() {
        assert!(told < 300, "nothing was heard");
        told += 1;
        elsewhere.store.begin_policy().await.unwrap().begin_history([told as u8; 32]).await.unwrap();
    }
    // Whoever hears nothing more has heard all.
    while heard(Duration::from_secs(1)).await.is_ok() {}
    refresh::reload(&elsewhere).await.unwrap();
    bootstrap(&elsewhere, UserName::parse("operator").unwrap(), OperatorKey::New).await.unwrap();
    heard(Duration::from_secs(60)).await.expect("a commit is heard");
    stop.cancel();
    hearing.await.unwrap();
    for ctx in [&*here, &elsewhere] {
        ctx.store.close().await.unwrap();
    }
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_that_wait_leave_connections_to_readers() {
    let database = PostgresDatabase::create().await;
    let server = Server::start_on(&database.url, tempfile::tempdir().unwrap()).await;
    let elsewhere = app::connect(&support::config(&database.url)).await.unwrap();
    let lock = elsewhere.begin_policy().await.unwrap();
    let writes: Vec<_> = (0..40)
        .map(|_| {
            let operator = server.operator();
            tokio::spawn(async move {
                let api_key =
                    pb::ApiKey { peer: "peers/me".to_owned(), title: "many".to_owned(), ..Default::default() };
                let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() };
                operator.auth().create_api_key(request).await
            })
        })
        .collect();
    for _ in 0..20 {
        let request = pb::ListApiKeysRequest { peer: "peers/me".to_owned(), ..Default::default() };
        let mut auth = server.operator().auth();
        let read = tokio::time::timeout(Duration::from_secs(5), auth.list_api_keys(request)).await;
        assert_eq!(read.expect("reads do not wait for writes").unwrap().into_inner().api_keys.len(), 1);
    }
    lock.rollback().await.unwrap();
    let mut made = 0;
    for write in writes {
        match write.await.unwrap() {
            Ok(_) => made += 1,
            Err(status) => assert_eq!(reason(&status), "LIMIT_REACHED"),
        }
    }
    assert!(made > 10, "{made} writes went on when they could");
    elsewhere.close().await.unwrap();
    server.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_for_a_revision_are_answered_by_the_write_that_makes_it() {
    let server = Server::start().await;
    let revision = server.running().ctx().snapshot().revision();
    let consistency =
        pb::Consistency { requirement: Some(pb::consistency::Requirement::AtLeastRevision(revision + 1)) };
    let request = pb::AuthorizeRequest {
        permission: "accounts.view".to_owned(),
        account: "accounts/platform".to_owned(),
        consistency: Some(consistency),
        ..Default::default()
    };
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let (client, request) = (server.operator(), request.clone());
            tokio::spawn(async move { client.access().authorize(request).await })
        })
        .collect();
    server.key_of("peers/me").await;
    for answer in waiting {
        assert!(answer.await.unwrap().unwrap().into_inner().revision > revision);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_rehearsal_names_no_revision() {
    let server = Server::start().await;
    let account = pb::Account {
        parent_account: "accounts/platform".to_owned(),
        kind: pb::AccountKind::Partner.into(),
        title: "Rehearsed".to_owned(),
        ..Default::default()
    };
    let request = pb::CreateAccountRequest {
        account_id: "rehearsed".to_owned(),
        account: Some(account),
        validate_only: true,
        ..Default::default()
    };
    let before = head(server.running().ctx()).await;
    let made = server.operator().accounts().create_account(request.clone()).await.unwrap().into_inner();
    assert_eq!((made.update_revision, head(server.running().ctx()).await), (0, before));
    let request = pb::CreateAccountRequest { validate_only: false, ..request };
    let made = server.operator().accounts().create_account(request).await.unwrap().into_inner();
    assert_eq!(made.update_revision, before.revision + 1);
    server.stop().await;
}
