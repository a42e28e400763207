//! A database of any size, filled once, whose operator has a key that is always the same, so that one
//! database serves all benches.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use peerage::app;
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::application::generate::{Scale, generate};
use peerage::application::{Clock, Ctx};
use peerage::config::Config;
use peerage::crypto::api_key::ApiKeyText;
use peerage::decision::Snapshot;
use peerage::domain::ids::ApiKeyId;
use peerage::domain::peer::UserName;

use crate::say;

/// Fills a database that is empty with a world of so many peers; returns the operator's key and the
/// snapshot of what is there.
pub(crate) async fn filled(url: &str, peers: usize) -> Result<(String, Arc<Snapshot>)> {
    let mut config = Config::default();
    config.database.url = url.to_owned();
    app::migrate(&config, Clock::System).await?;
    let began = Instant::now();
    let ctx = app::context(app::connect(&config).await?, Clock::System)?;
    app::load(&ctx).await?;
    let key = ApiKeyText::new(ApiKeyId::from(uuid::Uuid::from_u128(1)), &[1; 32]);
    if peerage::storage::bootstrap::operator(ctx.store.reader()).await?.is_none() {
        bootstrap(&ctx, UserName::parse("operator")?, OperatorKey::Hash(key.hash())).await?;
        generate(&ctx, Scale::of(peers), |_| ()).await?;
        optimize(&ctx).await?;
        app::load(&ctx).await?;
    }
    let snapshot = ctx.snapshot();
    ensure!(snapshot.find_api_key(&key.hash()).is_some(), "{url} was not filled by a bench");
    ctx.store.close().await?;
    say(&format!("{:?}, made or loaded in {:.0?}", snapshot.sizes(), began.elapsed()))?;
    Ok((key.expose().to_owned(), snapshot))
}

/// What a database does by itself in a day: statistics, and the map of pages without old rows.
async fn optimize(ctx: &Ctx) -> Result<()> {
    use sea_orm::{ConnectionTrait as _, DbBackend};
    let reader = ctx.store.reader();
    if reader.get_database_backend() == DbBackend::Postgres {
        reader.execute_unprepared("VACUUM ANALYZE").await?;
    }
    Ok(())
}
