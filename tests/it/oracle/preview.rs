//! What a preview says of changes is the difference between all decisions before and after them.
//!
//! Random revisions, each of a few changes of every kind that the feed can hold, are compared by the
//! engine's own walk, and then really made: every question of the world is put to the facts before and
//! after, loaded from scratch. Nothing may be predicted that does not happen, and nothing may happen
//! that was not predicted.

use std::collections::BTreeSet;

use peerage::decision::compile::Compiler;
use peerage::decision::difference::{PeerDifferences, Sides, reached, touched};
use peerage::decision::{Outcome, Query, Snapshot, evaluate};
use peerage::domain::context::Context;
use peerage::domain::fact::Change;
use peerage::domain::ids::{AccountId, PeerId};
use peerage::domain::permission::PermissionName;
use peerage::domain::time::Timestamp;

use super::changes::revision_of;
use super::facts::Facts;
use super::size;
use super::world::Maker;

const PREVIEWS: u64 = 3_000;
const PREVIEWS_PER_WORLD: u64 = 30;

type Row = (PeerId, AccountId, PermissionName, String);

#[test]
fn what_a_preview_predicts_is_what_happens() {
    let previews = size("PEERAGE_ORACLE_PREVIEWS", PREVIEWS);
    let mut compiler = Compiler::new().unwrap();
    let (mut done, mut rows, mut turning) = (0, 0, 0);
    for seed in 0..previews.div_ceil(PREVIEWS_PER_WORLD) {
        let mut maker = Maker::new(seed + 3_000_000);
        let mut facts = maker.world(false);
        let mut snapshot = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
        let mut gone = Vec::new();
        for round in 0..PREVIEWS_PER_WORLD {
            let before = facts.clone();
            let changes = revision_of(&mut maker, &mut facts, &mut gone);
            let context = maker.context();
            let after = snapshot.with(&changes, &mut compiler).unwrap();
            let predicted =
                predicted(&Sides { before: &snapshot, after: &after, now: maker.now, context: &context }, &changes);
            let scratch = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
            let real = real((&snapshot, &before), (&scratch, &facts), (maker.now, &context));
            if predicted != real {
                let wrong: Vec<_> = predicted.difference(&real).collect();
                let missed: Vec<_> = real.difference(&predicted).collect();
                let changes = serde_json::to_string_pretty(&changes).unwrap();
                panic!("seed {seed}, round {round}\nwrong: {wrong:#?}\nmissed: {missed:#?}\nchanges: {changes}");
            }
            rows += real.len();
            turning += usize::from(!real.is_empty());
            snapshot = after;
            done += 1;
        }
    }
    // Changes that turn nothing would prove nothing.
    assert!(turning as u64 * 4 > done && rows as u64 > done, "{turning} of {done} turned {rows} decisions");
}

fn predicted(sides: &Sides<'_>, changes: &[Change]) -> BTreeSet<Row> {
    let Sides { before, after, .. } = *sides;
    let mut rows = BTreeSet::new();
    for (id, (peer, touches)) in touched(sides, changes) {
        let mut differences = PeerDifferences::of(*sides, peer, &touches);
        for account in reached(sides, &touches) {
            let name = before.account_id(account).or_else(|| after.account_id(account)).unwrap();
            for turn in differences.at(account).iter() {
                let permission = &after.permission(turn.permission).unwrap().name;
                let row = (id, name.clone(), permission.clone(), turned(turn.before, turn.after));
                assert!(rows.insert(row), "{id} {name} {permission} comes twice");
            }
        }
    }
    rows
}

fn turned(before: Outcome, after: Outcome) -> String {
    format!("{before:?} to {after:?}")
}

/// Every decision that differs, found by asking everything.
fn real(
    before: (&Snapshot, &Facts),
    after: (&Snapshot, &Facts),
    (now, context): (Timestamp, &Context),
) -> BTreeSet<Row> {
    let both = [before.1, after.1];
    let peers: BTreeSet<PeerId> = both.iter().flat_map(|facts| facts.peers.iter().map(|peer| peer.id)).collect();
    let accounts: BTreeSet<&AccountId> =
        both.iter().flat_map(|facts| facts.accounts.iter().map(|account| &account.id)).collect();
    let permissions: BTreeSet<&PermissionName> =
        both.iter().flat_map(|facts| facts.permissions.iter().map(|permission| &permission.name)).collect();
    let mut rows = BTreeSet::new();
    for peer in peers {
        for account in &accounts {
            for permission in &permissions {
                let ask = |snapshot: &Snapshot| {
                    let account = snapshot.find_account(account.as_str());
                    let permission = snapshot.find_permission(permission.as_str());
                    let (Some(account), Some(permission)) = (account, permission) else { return Outcome::Deny };
                    evaluate(snapshot, &Query { peer: snapshot.find_peer(peer), permission, account, now, context })
                        .outcome
                };
                let (old, new) = (ask(before.0), ask(after.0));
                if old != new {
                    rows.insert((peer, (*account).clone(), (*permission).clone(), turned(old, new)));
                }
            }
        }
    }
    rows
}
