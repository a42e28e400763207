//! How long pages of ListPeers take in a large world: by each order, filter and search, in accounts of
//! each size, the first page and pages deep in the list.
//!
//! ```text
//! tests/bench/lists                          1,000,000 peers, on SQLite and PostgreSQL
//! tests/bench/lists --peers 100000           fewer peers; --pages N times N pages of each
//! cargo bench --bench lists -- --url URL     in that database, which is filled where it is empty
//! ```
//!
//! What is timed is the use case with everything it reads, not the wire. A deep page begins behind a
//! peer of the list that is drawn from all of the account's.

#[path = "../rpc/filled.rs"]
mod filled;
#[path = "../../tests/it/oracle/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use peerage::app;
use peerage::application::generate::{LARGE, Scale};
use peerage::application::peers::list::{Condition, Cursor, ListPeers, ListView, Order, Search, SortKey, Test, list};
use peerage::application::{Call, Caller, Clock, Ctx};
use peerage::config::Config;
use peerage::domain::ids::{AccountId, RoleId};
use peerage::domain::peer::{PeerKind, PeerStatus};
use peerage::domain::time::Timestamp;
use peerage::storage::api_keys;
use peerage::storage::peers::list::{Comparison, Matching, Source, TimeColumn, places};
use random::Random;

const PEERS: usize = 1_000_000;
/// How many first and deep pages are timed of each list.
const PAGES: usize = 25;
const PAGE: usize = 50;
/// So many peers are drawn for a deep page to begin behind one that is on the list.
const DRAWN: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (mut peers, mut pages, mut url) = (PEERS, PAGES, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--peers" => peers = value()?.parse().context("`--peers` takes a number")?,
            "--pages" => pages = value()?.parse().context("`--pages` takes a number")?,
            "--url" => url = Some(value()?),
            // cargo tells every bench that it is one.
            "--bench" => {}
            other => bail!("`{other}` is not one of --peers N, --pages N, --url URL"),
        }
    }
    let mut config = Config::default();
    config.database.url = url.context("`--url` names the database")?;
    filled::filled(&config.database.url, peers).await?;
    let ctx = app::context(app::connect(&config).await?, Clock::System)?;
    app::load(&ctx).await?;
    let operator = peerage::storage::bootstrap::operator(ctx.store.reader()).await?.context("an operator")?;
    let keys = api_keys::list_of_peer(ctx.store.reader(), operator, None, 1).await?;
    let key = keys.first().context("the operator has no API key")?;
    let operator = Caller { peer: operator, api_key: key.id, key_hash: key.hash, source_address: None };
    Bench { ctx, operator, pages, random: Random::new(1), measured: BTreeMap::new() }.run().await
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

struct Bench {
    ctx: Ctx,
    operator: Caller,
    pages: usize,
    random: Random,
    /// What was measured in each account, of lists and of searches: median and 99th percentile of first
    /// pages, and of deep ones.
    measured: BTreeMap<(String, &'static str), Vec<[f64; 4]>>,
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    (at(50), at(99))
}

impl Bench {
    async fn run(&mut self) -> Result<()> {
        let filters = [
            ("all", Condition::default(), None),
            ("active", Condition::Is(Test::Status(PeerStatus::Enabled)), None),
            ("disabled", Condition::Is(Test::Status(PeerStatus::Disabled)), None),
            ("device", Condition::Is(Test::Kind(PeerKind::Device)), None),
            ("administrator", Condition::default(), Some(true)),
        ];
        let (partner, customer) = Scale::of(self.ctx.snapshot().peer_count()).in_the_middle();
        let scopes = ["platform", LARGE, &partner, &customer];
        say(&format!(
            "{:<16} {:<18} {:<14} {:>9} {:>9} {:>9} {:>9}   (ms)",
            "account", "order", "filter", "first p50", "first p99", "deep p50", "deep p99"
        ))?;
        for scope in scopes {
            let scope = AccountId::parse(scope)?;
            for key in SortKey::ALL {
                for (name, condition, administrator) in &filters {
                    let request = ListPeers {
                        condition: condition.clone(),
                        administrator: *administrator,
                        order: Order { key: *key, descending: *key == SortKey::LastLoginTime },
                        ..request(&scope)
                    };
                    self.measure(&request, &format!("{key:?}"), name).await?;
                }
            }
            self.others(&scope).await?;
        }
        self.searches().await?;
        self.summary()
    }

    /// The medians over all lists of an account, and the slowest.
    fn summary(&self) -> Result<()> {
        say(&format!(
            "\n{:<16} {:<9} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}   (ms, medians, slowest)",
            "account", "", "lists", "first p50", "first p99", "deep p50", "deep p99", "first max", "deep max"
        ))?;
        for ((account, kind), rows) in &self.measured {
            let column = |place: usize| {
                let mut times: Vec<f64> = rows.iter().filter_map(|row| row.get(place).copied()).collect();
                times.sort_by(f64::total_cmp);
                let median = times.get(times.len() / 2).copied().unwrap_or_default();
                (median, times.last().copied().unwrap_or_default())
            };
            let [first_50, first_99, deep_50, deep_99] = [0, 1, 2, 3].map(column);
            say(&format!(
                "{account:<16} {kind:<9} {:>5} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
                rows.len(),
                first_50.0,
                first_99.0,
                deep_50.0,
                deep_99.0,
                first_99.1,
                deep_99.1
            ))?;
        }
        Ok(())
    }

    /// Filters on what is rare or not in an order's index, counts, and the end of the list.
    async fn others(&mut self, scope: &AccountId) -> Result<()> {
        let base = ListPeers { order: Order { key: SortKey::UserName, descending: false }, ..request(scope) };
        let stale = Timestamp::from_micros(1_700_000_000_000_000 + 601 * 24 * 3_600 * 1_000_000);
        for (name, test) in [
            ("external login", Test::RequiresExternalLogin),
            ("role", Test::DefaultRole(RoleId::parse("mspcontrol.administrator")?)),
            ("stale", Test::Time(TimeColumn::LastLogin, Comparison::Less, stale)),
            ("org user", Test::OrgUser("chen77".to_owned())),
        ] {
            self.measure(&ListPeers { condition: Condition::Is(test), ..base.clone() }, "UserName", name).await?;
        }
        for (name, condition) in [("count all", Condition::default()), ("count role", Condition::Is(Test::HasOrgUser))]
        {
            let start = Instant::now();
            let found = list(&self.ctx, &self.call(), &ListPeers { condition, count: true, ..base.clone() }).await?;
            let time = start.elapsed().as_secs_f64() * 1000.0;
            say(&format!("{scope:<16} {name:<33} {time:>9.1}   ({})", found.total.unwrap_or_default()))?;
        }
        Ok(())
    }

    async fn searches(&mut self) -> Result<()> {
        let (partner, _) = Scale::of(self.ctx.snapshot().peer_count()).in_the_middle();
        for scope in ["platform", LARGE, &partner] {
            let scope = AccountId::parse(scope)?;
            for text in [
                "emily.chen.7",
                "chen",
                "müll",
                "example",
                ".777@",
                "customer-5000",
                "large",
                "xyz",
                "emily.wilson.12345",
                "zoë b",
                "ro",
                "q",
            ] {
                for key in [SortKey::UserName, SortKey::CreateTime] {
                    let order = Order { key, descending: key == SortKey::CreateTime };
                    let request = ListPeers { search: Search::of(text), order, ..request(&scope) };
                    self.measure(&request, &format!("{key:?}"), &format!("`{text}`")).await?;
                }
            }
        }
        Ok(())
    }

    async fn measure(&mut self, request: &ListPeers, order: &str, filter: &str) -> Result<()> {
        let call = self.call();
        // One page to warm what the first reader of a page warms for all.
        list(&self.ctx, &call, request).await?;
        let mut first = Vec::with_capacity(self.pages);
        for _ in 0..self.pages {
            let start = Instant::now();
            list(&self.ctx, &call, request).await?;
            first.push(start.elapsed());
        }
        let mut deep = Vec::with_capacity(self.pages);
        for _ in 0..self.pages {
            let request = ListPeers { after: self.place(request).await?, ..request.clone() };
            let start = Instant::now();
            list(&self.ctx, &call, &request).await?;
            deep.push(start.elapsed());
        }
        let ((first_50, first_99), (deep_50, deep_99)) = (percentiles(first), percentiles(deep));
        let kind = if request.search.is_some() { "searches" } else { "lists" };
        let rows = self.measured.entry((request.account.to_string(), kind)).or_default();
        rows.push([first_50, first_99, deep_50, deep_99]);
        say(&format!(
            "{:<16} {order:<18} {filter:<14} {first_50:>9.1} {first_99:>9.1} {deep_50:>9.1} {deep_99:>9.1}",
            request.account.as_str()
        ))
    }

    /// The place of some peer of the list; where none of those drawn is on it, of one of the account.
    async fn place(&mut self, request: &ListPeers) -> Result<Option<Cursor>> {
        let snapshot = self.ctx.snapshot();
        let account = snapshot.find_account(request.account.as_str()).context("an account")?;
        let accounts = snapshot.subtree(account);
        let mut drawn = Vec::with_capacity(DRAWN);
        while drawn.len() < DRAWN {
            let Some(account) = self.random.pick(&accounts) else { return Ok(None) };
            let homed: Vec<_> = snapshot.homed_at(*account).collect();
            drawn.extend(self.random.pick(&homed).and_then(|peer| snapshot.peer_id(*peer)));
        }
        let (condition, search) = (request.condition.clone(), request.search.clone());
        let listed = Matching { condition, search, ..Matching::default() };
        for matching in [listed, Matching::default()] {
            let source = Source::Ids(drawn.clone());
            let found = places(self.ctx.store.reader(), &source, &matching, request.order, None, DRAWN as u64).await?;
            if let Some(place) = self.random.pick(&found) {
                return Ok(Some(Cursor::Full(place.clone())));
            }
        }
        Ok(None)
    }

    fn call(&self) -> Call {
        Call {
            caller: self.operator,
            method: "/peerage.v1.PeerService/ListPeers",
            permission: None,
            request_id: None,
            body_hash: [0; 32],
            validate_only: false,
            stage: None,
            user_agent: None,
            trace_id: None,
        }
    }
}

fn request(account: &AccountId) -> ListPeers {
    ListPeers {
        account: account.clone(),
        view: ListView::HomeSubtree,
        condition: Condition::default(),
        administrator: None,
        search: None,
        show_deleted: false,
        order: Order { key: SortKey::Id, descending: false },
        after: None,
        limit: PAGE,
        count: false,
    }
}
