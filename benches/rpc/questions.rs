//! The world that is asked about, and what is asked.

use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use peerage::app;
use peerage::application::Clock;
use peerage::application::bootstrap::{OperatorKey, bootstrap};
use peerage::application::generate::{Scale, generate};
use peerage::config::Config;
use peerage::decision::{AccountIndex, PeerIndex, Snapshot};
use peerage::domain::ids::AccountId;
use peerage::domain::peer::UserName;
use peerage::transport::grpc::pb;
use prost::Message as _;

use crate::random::Random;
use crate::say;

/// As many as the caches of a processor do not hold.
const QUESTIONS: usize = 20_000;
/// The name of the database in its folder.
pub(crate) const DATABASE: &str = "peerage.db";

/// Fills a database, and returns the operator's key and requests as they go over the wire.
pub(crate) async fn prepare(folder: &Path, peers: usize) -> Result<(String, Vec<Bytes>)> {
    let mut config = Config::default();
    config.database.url = format!("sqlite:{}", folder.join(DATABASE).display());
    app::migrate(&config, Clock::System).await?;
    let ctx = app::context(app::connect(&config).await?, Clock::System)?;
    app::load(&ctx).await?;
    let operator = bootstrap(&ctx, UserName::parse("operator")?, OperatorKey::New).await?;
    generate(&ctx, Scale::of(peers), |_| ()).await?;
    app::load(&ctx).await?;
    let questions = questions(&ctx.snapshot())?;
    ctx.store.close().await?;
    say(&format!("the world is made: {peers} peers"))?;
    Ok((operator.key.context("the operator's key")?.expose().to_owned(), questions))
}

/// Half of the questions are about an account that a binding of the peer's reaches.
fn questions(snapshot: &Snapshot) -> Result<Vec<Bytes>> {
    let root = snapshot.find_account(AccountId::platform().as_str()).context("the tree has a root")?;
    let accounts = snapshot.subtree(root);
    let peers: Vec<PeerIndex> = accounts.iter().flat_map(|account| snapshot.homed_at(*account)).collect();
    let mut random = Random::new(1);
    let mut questions = Vec::with_capacity(QUESTIONS);
    while questions.len() < QUESTIONS {
        let peer = *random.pick(&peers).context("there are peers")?;
        let elsewhere = *random.pick(&accounts).context("there are accounts")?;
        let account = if random.chance(50) { bound(snapshot, peer, &mut random) } else { None };
        let permission = random.pick(snapshot.permissions()).context("there are permissions")?.name.to_string();
        let account = snapshot.account_id(account.unwrap_or(elsewhere)).context("an account has an id")?;
        let request = pb::AuthorizeRequest {
            permission,
            account: format!("accounts/{account}"),
            subject: Some(pb::authorize_request::Subject::Peer(format!(
                "peers/{}",
                snapshot.peer_id(peer).context("a peer has an id")?
            ))),
            ..pb::AuthorizeRequest::default()
        };
        questions.push(framed(&request));
    }
    Ok(questions)
}

fn bound(snapshot: &Snapshot, peer: PeerIndex, random: &mut Random) -> Option<AccountIndex> {
    let held: Vec<AccountIndex> = snapshot.held(peer).map(|held| held.binding.account).collect();
    let account = *random.pick(&held)?;
    let below = snapshot.children(account).next().filter(|_| random.chance(50));
    Some(below.unwrap_or(account))
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn framed(request: &pb::AuthorizeRequest) -> Bytes {
    let message = request.encode_to_vec();
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(message);
    bytes.into()
}
