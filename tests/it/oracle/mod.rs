//! The engine against two oracles: a naive evaluator written from the rules, and plain casbin.
//!
//! Worlds are small, random and seeded; a failure prints its seed and the fewest facts that show it.
//! `PEERAGE_ORACLE_DECISIONS`, `PEERAGE_ORACLE_REVISIONS` and `PEERAGE_ORACLE_PREVIEWS` set how long
//! the tests look.

mod changes;
mod circumstances;
pub(crate) mod conditions;
mod explain;
pub(crate) mod facts;
mod fast;
pub(crate) mod foreign;
mod lists;
pub(crate) mod naive;
mod plain;
mod preview;
pub(crate) mod random;
mod shrink;
mod world;

use std::collections::HashMap;

use peerage::decision::compile::Compiler;
use peerage::decision::{Query, Reason, Snapshot};

use facts::Facts;
use naive::Question;
use plain::Plain;
use world::Maker;

const DECISIONS: u64 = 100_000;
const DECISIONS_PER_WORLD: u64 = 250;
/// Decisions of the casbin that runs beside a server.
const SHADOWED: u64 = 5_000;
/// One world in so many is a large one.
const LARGE_EVERY: u64 = 25;

const REASONS: [Reason; 14] = [
    Reason::Allowed,
    Reason::StepUpRequired,
    Reason::ApprovalRequired,
    Reason::SubjectUnknown,
    Reason::SubjectDisabled,
    Reason::SubjectExpired,
    Reason::SubjectHomeSuspended,
    Reason::AccountSuspended,
    Reason::DenyGrant,
    Reason::PartnerAccessSessionRequired,
    Reason::PartnerAccessBlocked,
    Reason::EligibleNotActive,
    Reason::MissingAttribute,
    Reason::NoMatchingGrant,
];

#[test]
fn the_fast_path_equals_casbin_and_a_naive_evaluator() {
    let decisions = size("PEERAGE_ORACLE_DECISIONS", DECISIONS);
    let (mut compiler, mut plain) = (Compiler::new().unwrap(), Plain::new());
    let mut seen: HashMap<Reason, u64> = HashMap::new();
    let mut done = 0;
    for seed in 0.. {
        let mut maker = Maker::new(seed);
        let facts = maker.world(seed % LARGE_EVERY == LARGE_EVERY - 1);
        let snapshot = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
        for _ in 0..DECISIONS_PER_WORLD.min(decisions - done) {
            let question = maker.question(&facts);
            match compare(&facts, &snapshot, &question, &mut plain) {
                Ok(reason) => *seen.entry(reason).or_default() += 1,
                Err(_) => report(seed, &facts, &question, &mut compiler, &mut plain),
            }
            done += 1;
        }
        if done == decisions {
            break;
        }
    }
    // A generator that never comes to some reason would prove nothing about it.
    if decisions >= DECISIONS {
        for reason in REASONS {
            let times = seen.get(&reason).copied().unwrap_or_default();
            assert!(times >= decisions / 1_000, "{reason:?} was seen {times} times only: {seen:?}");
        }
    }
}

#[test]
fn what_shadows_a_server_equals_a_naive_evaluator() {
    let decisions = size("PEERAGE_ORACLE_SHADOWED", SHADOWED);
    let (mut compiler, mut plain) = (Compiler::new().unwrap(), peerage::decision::plain::Plain::new().unwrap());
    for seed in 0..decisions.div_ceil(DECISIONS_PER_WORLD) {
        let mut maker = Maker::new(seed + 3_000_000);
        let facts = maker.world(false);
        let snapshot = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
        for _ in 0..DECISIONS_PER_WORLD {
            let question = maker.question(&facts);
            let query = Query {
                peer: question.peer.and_then(|peer| snapshot.find_peer(peer)),
                permission: snapshot.find_permission(question.permission.as_str()).unwrap(),
                account: snapshot.find_account(question.account.as_str()).unwrap(),
                now: question.now,
                context: &question.context,
            };
            let (shadow, naive) = (plain.outcome(&snapshot, &query).unwrap(), naive::answer(&facts, &question));
            assert_eq!(shadow, naive.outcome, "seed {seed}: {question:#?} {naive:?}");
        }
    }
}

/// How large a test is to be.
fn size(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, not a number")),
        Err(_) => default,
    }
}

/// The reason that all agree on, or how they differ.
fn compare(facts: &Facts, snapshot: &Snapshot, question: &Question, plain: &mut Plain) -> Result<Reason, String> {
    let (fast, naive) = (fast::answer(snapshot, question), naive::answer(facts, question));
    let permission = facts.permissions.iter().find(|permission| permission.name == question.permission).unwrap();
    let casbin = plain.outcome(&naive::applying(facts, question), permission);
    if fast == naive && casbin == naive.outcome {
        Ok(naive.reason)
    } else {
        Err(format!("engine: {fast:?}\nnaive:  {naive:?}\ncasbin: {casbin:?}"))
    }
}

/// Ends the test with the fewest facts on which the three still differ.
fn report(seed: u64, facts: &Facts, question: &Question, compiler: &mut Compiler, plain: &mut Plain) -> ! {
    let mut differ = |facts: &Facts| {
        let is_there = facts.accounts.iter().any(|account| account.id == question.account)
            && facts.permissions.iter().any(|permission| permission.name == question.permission);
        if !is_there {
            return None;
        }
        let snapshot = Snapshot::load(1, facts.all(), compiler).ok()?;
        compare(facts, &snapshot, question, plain).err()
    };
    let smallest = shrink::shrink(facts, &mut |facts| differ(facts).is_some());
    let difference = differ(&smallest).unwrap_or_default();
    panic!("seed {seed}: {question:#?}\n{difference}\n{}", shrink::print(&smallest));
}
