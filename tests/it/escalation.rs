//! A search for escalations: random administrators with random rights make random calls over the wire,
//! and after every call that was accepted all rights of everyone are computed anew, naively.
//!
//! What is held against the server is the outcome alone: whatever anyone gained, the caller had before,
//! on that account, at that time and in those circumstances; whoever got hold of another peer had all
//! that it has; and who was the last full administrator still is. How the server judges is not read.
//!
//! `PEERAGE_ESCALATION_STEPS` sets how many calls are made, `PEERAGE_ESCALATION_SEED` where to begin.

mod asks;
mod rights;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use peerage::domain::binding::Principal;
use peerage::domain::fact::Mark;
use peerage::domain::ids::{AccountId, PeerId};
use peerage::domain::time::Timestamp;
use peerage::storage::change_feed;
use tonic::Code;

use super::oracle::facts::Facts;
use super::oracle::random::Random;
use crate::support::policy::{allow, deny};
use crate::support::{Client, Server, reason};
use asks::{Maker, PATTERNS};
use rights::{Rights, Whose};

const STEPS: usize = 1_500;
/// A world grows, and loses administrators; after so many calls another one is begun.
const STEPS_PER_WORLD: usize = 1_500;
const PERSONS: usize = 8;
/// Of a hundred calls, how many are the operator's, who puts right what the others took apart.
const GARDENING: usize = 6;
/// What most administrators may do, so that what stops them is more often what they hold.
const ADMINISTERED: [&str; 6] = ["peers.*", "roles.*", "role_bindings.*", "groups.*", "api_keys.*", "accounts.*"];

struct World {
    server: Server,
    facts: Facts,
    mark: Mark,
    actors: Vec<(PeerId, Client)>,
    operator: PeerId,
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_ever_ends_with_more_than_the_rules_allow() {
    let size = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (steps, first_seed) = (size("PEERAGE_ESCALATION_STEPS", STEPS), size("PEERAGE_ESCALATION_SEED", 0));
    let mut counts: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    let (mut done, begun) = (0, Instant::now());
    for seed in first_seed.. {
        let these = STEPS_PER_WORLD.min(steps - done);
        search(u64::try_from(seed).unwrap(), these, &mut counts).await;
        done += these;
        if done == steps {
            break;
        }
    }
    let accepted: usize = counts.iter().filter(|((_, answer), _)| answer == "Ok").map(|(_, count)| count).sum();
    println!("{steps} calls from seed {first_seed} in {:?}, {accepted} accepted", begun.elapsed());
    for ((ask, answer), count) in &counts {
        println!("{count:8} {ask} {answer}");
    }
    // A search in which nothing happens would find nothing.
    let refused =
        counts.iter().filter(|((_, answer), _)| answer == "ESCALATION").map(|(_, count)| count).sum::<usize>();
    assert!(accepted >= steps / 20, "{accepted} of {steps} accepted");
    assert!(refused >= steps / 100, "{refused} of {steps} refused as escalations");
}

async fn search(seed: u64, steps: usize, counts: &mut BTreeMap<(&'static str, String), usize>) {
    let mut random = Random::new(seed);
    let mut world = World::begin(&mut random).await;
    let mut before = Rights::of(&world.facts, world.now());
    for step in 0..steps {
        if random.chance(2) {
            world.server.advance(Duration::from_secs(60 * u64::try_from(10 + random.below(600)).unwrap()));
            before = Rights::of(&world.facts, world.now());
        }
        let is_gardening = random.chance(GARDENING);
        let (actor, client) = match random.pick(&world.actors) {
            Some((actor, client)) if !is_gardening => (*actor, client.clone()),
            Some(_) | None => (world.operator, world.server.operator()),
        };
        let mut maker = Maker { facts: &world.facts, random: &mut random, now: world.now() };
        let ask = if is_gardening { maker.gardening(&world.actors) } else { maker.ask(actor) };
        let answer = match ask.send(&client).await {
            Ok(()) => "Ok".to_owned(),
            Err(status) => {
                let is_meant = !matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
                assert!(is_meant, "seed {seed}, step {step}: {ask:?} ended with {status:?}");
                reason(&status)
            }
        };
        let is_accepted = answer == "Ok";
        *counts.entry((ask.kind(), answer)).or_default() += 1;
        if !is_accepted {
            continue;
        }
        let case = || format!("seed {seed}, step {step}, {actor} made {ask:?}");
        if let Some(taken) = ask.gives_hold_of(&world.facts).filter(|taken| *taken != actor) {
            let excess = before.beyond(actor, taken, &world.facts, world.now());
            let held = || told(&world.facts, [actor, taken]);
            assert_eq!(excess, None, "{} and so acts as a peer that holds more:\n{}", case(), held());
        }
        let old = world.facts.clone();
        world.follow().await;
        let after = Rights::of(&world.facts, world.now());
        for whose in [Whose::AsItIs, Whose::Raised] {
            let excess = before.gained_beyond(actor, &after, whose, (&old, &world.facts));
            let gainer = excess.iter().map(|excess| excess.peer);
            let held = || [told(&old, [actor]), told(&world.facts, gainer.clone())].concat();
            assert_eq!(excess, None, "{} and gave more than the caller holds ({whose:?}):\n{}", case(), held());
        }
        for account in before.administered(&old) {
            let is_there = world.facts.accounts.iter().any(|fact| fact.id == account);
            let still = after.administered(&world.facts).contains(&account);
            let homed = old.peers.iter().filter(|peer| peer.home == account).map(|peer| peer.id);
            let held = || told(&old, homed);
            assert!(still || !is_there, "{} and left {account:?} without its last administrator:\n{}", case(), held());
        }
        before = after;
    }
    world.server.stop().await;
}

/// What some peers hold, for whoever reads of a failure.
fn told(facts: &Facts, peers: impl IntoIterator<Item = PeerId>) -> String {
    let mut lines = Vec::new();
    for peer in peers {
        let fact = facts.peers.iter().find(|fact| fact.id == peer);
        lines.push(format!("{peer}: {fact:?}"));
        let memberships: Vec<_> = facts.members.iter().filter(|member| member.peer == peer).collect();
        lines.extend(memberships.iter().map(|member| format!("  {member:?}")));
        let is_its = |principal: Principal| match principal {
            Principal::Peer(holder) => holder == peer,
            Principal::Group(group) => memberships.iter().any(|member| member.group == group),
        };
        for binding in facts.bindings.iter().filter(|binding| is_its(binding.principal)) {
            lines.push(format!("  {binding:?}"));
            let role = facts.roles.iter().find(|role| role.id == binding.role);
            lines.extend(role.iter().flat_map(|role| &role.grants).map(|grant| format!("    {grant:?}")));
        }
    }
    lines.join("\n") + "\n"
}

impl World {
    /// Two partners with customers and departments, administrators of random rights, and a few peers
    /// and groups for them to administer.
    async fn begin(random: &mut Random) -> Self {
        let server = Server::start().await;
        let accounts = asks::accounts(&server).await;
        let operator = server.operator();
        let mut actors = Vec::new();
        for place in 0..PERSONS {
            let home = random.pick(&accounts).unwrap().clone();
            let administered = ADMINISTERED.into_iter().filter(|_| random.chance(75)).map(allow).collect::<Vec<_>>();
            let mut grants = vec![allow("*.view")];
            grants.extend(administered);
            grants.extend((0..random.below(4)).map(|_| {
                let pattern = random.pick(&PATTERNS).unwrap();
                if random.chance(20) { deny(pattern) } else { allow(pattern) }
            }));
            let wanted = crate::support::policy::role("accounts/platform", &asks::distinct(grants));
            let role = crate::support::policy::create_role(&operator, wanted).await.expect("a role").name;
            let scope = random.pick(&accounts).unwrap().clone();
            let peer = server.person(&home, &format!("actor-{place}"), &role).await;
            if scope != home {
                server.bind(&peer.name, &role, &scope).await;
            }
            let id = peer.name.strip_prefix("peers/").and_then(|id| PeerId::parse(id).ok()).expect("a uid");
            actors.push((id, peer.client));
        }
        let mut facts = Facts::default();
        let ctx = server.running().ctx();
        let mark = change_feed::load(&ctx.store, ctx.clock.now(), |fact| facts.put(fact)).await.expect("the facts");
        let is_root = |home: &AccountId| *home == AccountId::platform();
        let made: Vec<PeerId> = actors.iter().map(|(peer, _)| *peer).collect();
        let operator = facts.peers.iter().find(|peer| is_root(&peer.home) && !made.contains(&peer.id));
        let operator = operator.expect("the operator").id;
        Self { server, facts, mark, actors, operator }
    }

    fn now(&self) -> Timestamp {
        self.server.running().ctx().clock.now()
    }

    /// Reads what changed.
    async fn follow(&mut self) {
        let ctx = self.server.running().ctx();
        let transaction = ctx.store.begin_read().await.expect("a connection");
        let head = change_feed::head(transaction.connection()).await.expect("the revision");
        let revisions =
            change_feed::since(transaction.connection(), self.mark, head.revision, 1_000).await.expect("the feed");
        transaction.finish().await.expect("the end");
        for change in revisions.into_iter().flat_map(|revision| revision.changes) {
            match (change.key(), change.after) {
                (_, Some(fact)) => self.facts.put(fact),
                (Some(key), None) => self.facts.drop(&key),
                (None, None) => {}
            }
        }
        self.mark = head;
    }
}
