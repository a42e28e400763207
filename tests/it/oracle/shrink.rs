//! Makes a failing world small enough to read: takes away what is not needed for the failure.

use peerage::domain::fact::Fact;
use peerage::domain::role::{Condition, RoleRules};
use peerage::domain::time::Window;

use super::facts::Facts;

/// The smallest facts found that still fail, by taking away one thing after another.
pub(crate) fn shrink(facts: &Facts, fails: &mut dyn FnMut(&Facts) -> bool) -> Facts {
    let mut smallest = facts.clone();
    loop {
        let before = size(&smallest);
        for fact in smallest.all().iter().rev() {
            let mut without = smallest.clone();
            without.drop(&fact.key());
            if fails(&without) {
                smallest = without;
            }
        }
        for fact in smallest.all() {
            for simpler in simpler(&fact) {
                let mut with = smallest.clone();
                with.put(simpler);
                if fails(&with) {
                    smallest = with;
                    break;
                }
            }
        }
        if size(&smallest) == before {
            return smallest;
        }
    }
}

/// The facts as text, one a line.
pub(crate) fn print(facts: &Facts) -> String {
    facts.all().iter().map(|fact| serde_json::to_string(fact).unwrap() + "\n").collect()
}

fn size(facts: &Facts) -> usize {
    print(facts).len()
}

/// Ways in which a fact could be said with less.
fn simpler(fact: &Fact) -> Vec<Fact> {
    let mut ways = Vec::new();
    match fact {
        Fact::Account(fact) => {
            if !fact.labels.is_empty() {
                ways.push(Fact::Account(peerage::domain::fact::AccountFact {
                    labels: Default::default(),
                    ..fact.clone()
                }));
            }
            if fact.suspension.is_some() {
                ways.push(Fact::Account(peerage::domain::fact::AccountFact { suspension: None, ..fact.clone() }));
            }
        }
        Fact::Role(fact) => {
            for place in 0..fact.grants.len() {
                let mut fewer = fact.clone();
                fewer.grants.remove(place);
                ways.push(Fact::Role(fewer));
                if !fact.grants[place].condition.is_empty() {
                    let own = &fact.grants[place].condition;
                    let parts = [
                        Condition::default(),
                        Condition { account_labels: Default::default(), ..own.clone() },
                        Condition { source_networks: Default::default(), ..own.clone() },
                        Condition { weekly_windows: Default::default(), ..own.clone() },
                        Condition { resource_attributes: Default::default(), ..own.clone() },
                    ];
                    for condition in parts.into_iter().filter(|part| part != own) {
                        let mut freer = fact.clone();
                        freer.grants[place].condition = condition;
                        ways.push(Fact::Role(freer));
                    }
                }
            }
            if fact.rules != RoleRules::default() {
                let mut freer = fact.clone();
                freer.rules = RoleRules::default();
                ways.push(Fact::Role(freer));
            }
        }
        Fact::Peer(fact) => {
            if fact.expire_time.is_some() || fact.person.is_some() {
                let mut freer = fact.clone();
                (freer.expire_time, freer.person) = (None, None);
                ways.push(Fact::Peer(freer));
            }
        }
        Fact::Member(fact) if fact.window != Window::ALWAYS => {
            let mut freer = fact.clone();
            freer.window = Window::ALWAYS;
            ways.push(Fact::Member(freer));
        }
        Fact::Binding(fact) if fact.window != Window::ALWAYS => {
            let mut freer = fact.clone();
            freer.window = Window::ALWAYS;
            ways.push(Fact::Binding(freer));
        }
        Fact::Permission(_) | Fact::Group(_) | Fact::Member(_) | Fact::Binding(_) | Fact::ApiKey(_) => {}
    }
    ways
}
