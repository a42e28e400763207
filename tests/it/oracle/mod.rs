//! The engine against two oracles: a naive evaluator written from the rules, and plain casbin.
//!
//! Worlds are small, random and seeded; a failure prints its seed and the fewest facts that show it.
//! `PEERAGE_ORACLE_DECISIONS`, `PEERAGE_ORACLE_REVISIONS` and `PEERAGE_ORACLE_PREVIEWS` set how long
//! the tests look.

mod changes;
mod circumstances;
mod conditions;
mod explain;
mod facts;
mod fast;
pub(crate) mod foreign;
mod lists;
mod naive;
mod plain;
mod preview;
mod random;
mod shrink;
mod world;

use std::collections::HashMap;

use peerage::decision::compile::Compiler;
use peerage::decision::{Reason, Snapshot};

use facts::Facts;
use naive::Question;
use plain::Plain;
use world::Maker;

const DECISIONS: u64 = 100_000;
const DECISIONS_PER_WORLD: u64 = 250;
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
