//! Explanations against decisions: what a trace is made of leads to the decision that it explains, and
//! every suggestion is true and has nothing in it that could be left out.
//!
//! The naive evaluator judges suggestions, over plain facts that were changed as they say.

use std::collections::BTreeMap;

use peerage::decision::compile::Compiler;
use peerage::decision::condition::Verdict;
use peerage::decision::explain::{Alteration, Assignable, Check, Entry, Explanation, Fate, Obstacle, explain, suggest};
use peerage::decision::{Outcome, Query, Reason, Snapshot};
use peerage::domain::account::PartnerAccess;
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::fact::BindingFact;
use peerage::domain::ids::{BindingId, GroupId};
use peerage::domain::peer::PeerStatus;
use peerage::domain::role::{Effect, Requirements};
use peerage::domain::time::Window;
use uuid::Uuid;

use super::facts::Facts;
use super::naive::{self, Question};
use super::world::Maker;
use super::{LARGE_EVERY, REASONS, size};

const EXPLANATIONS: u64 = 20_000;
const EXPLANATIONS_PER_WORLD: u64 = 100;
/// Suggestions of one in so many explanations are tried: each trial reads all facts naively.
const SUGGESTED_EVERY: u64 = 4;

fn query<'a>(snapshot: &Snapshot, question: &'a Question) -> Query<'a> {
    Query {
        peer: question.peer.and_then(|peer| snapshot.find_peer(peer)),
        permission: snapshot.find_permission(question.permission.as_str()).unwrap(),
        account: snapshot.find_account(question.account.as_str()).unwrap(),
        now: question.now,
        context: &question.context,
    }
}

/// Puts random questions to random worlds.
fn ask(variable: &str, mut each: impl FnMut(u64, &Facts, &Snapshot, &Question, &mut Compiler)) {
    let explanations = size(variable, EXPLANATIONS);
    let mut compiler = Compiler::new().unwrap();
    for number in 0..explanations.div_ceil(EXPLANATIONS_PER_WORLD) {
        let seed = number + 2_000_000;
        let mut maker = Maker::new(seed);
        let facts = maker.world(number % LARGE_EVERY == LARGE_EVERY - 1);
        let snapshot = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
        for _ in 0..EXPLANATIONS_PER_WORLD {
            let question = maker.question(&facts);
            each(seed, &facts, &snapshot, &question, &mut compiler);
        }
    }
}

#[test]
fn the_parts_of_a_trace_lead_to_its_decision() {
    let (mut reasons, mut fates) = (BTreeMap::new(), BTreeMap::new());
    ask("PEERAGE_ORACLE_EXPLANATIONS", |seed, facts, snapshot, question, _| {
        let explanation = explain(snapshot, &query(snapshot, question));
        let naive = naive::answer(facts, question);
        let at = format!("seed {seed}: {question:#?}\n{explanation:#?}");
        assert_eq!((explanation.decision.outcome, explanation.decision.reason), (naive.outcome, naive.reason), "{at}");
        let (reason, decider) = recomputed(&explanation);
        assert_eq!(reason, naive.reason, "{at}");
        let decider = decider.map(|entry| decider_of(snapshot, entry));
        assert_eq!(decider, naive.decider.map(|one| (one.binding, one.group, one.grant)), "{at}");
        let missing = recomputed(&explanation).1.and_then(|entry| entry.missing);
        assert_eq!(missing, naive.missing.as_deref(), "{at}");
        assert_complete(facts, snapshot, question, &explanation, &at);
        explanation.entries.iter().for_each(|entry| assert_parts(entry, &at));
        *reasons.entry(format!("{:?}", naive.reason)).or_insert(0_u64) += 1;
        for entry in &explanation.entries {
            *fates.entry(format!("{:?}", entry.fate)).or_insert(0_u64) += 1;
        }
    });
    if size("PEERAGE_ORACLE_EXPLANATIONS", EXPLANATIONS) >= EXPLANATIONS {
        for reason in REASONS {
            assert!(reasons.get(&format!("{reason:?}")).is_some_and(|times| *times >= 10), "{reason:?}: {reasons:?}");
        }
        assert!(fates.len() == 11 && fates.values().all(|times| *times >= 10), "{fates:?}");
    }
}

fn decider_of(snapshot: &Snapshot, entry: &Entry<'_>) -> (BindingId, Option<GroupId>, u16) {
    let group = entry.through.map(|through| snapshot.group(through.group).unwrap().id);
    (entry.binding.id, group, entry.grant.unwrap().0)
}

/// The reason and the deciding grant, from checks and obstacles alone.
fn recomputed<'a, 'b>(explanation: &'b Explanation<'a>) -> (Reason, Option<&'b Entry<'a>>) {
    let failed = |check| explanation.checks.iter().any(|one| one.check == check && !one.passed);
    for (check, reason) in [
        (Check::SubjectKnown, Reason::SubjectUnknown),
        (Check::SubjectEnabled, Reason::SubjectDisabled),
        (Check::SubjectNotExpired, Reason::SubjectExpired),
        (Check::HomeActive, Reason::SubjectHomeSuspended),
        (Check::AccountActive, Reason::AccountSuspended),
    ] {
        if failed(check) {
            assert!(explanation.entries.iter().all(|entry| entry.fate != Fate::Decided));
            return (reason, None);
        }
    }
    let with = |effect, obstacles: &'static [Obstacle]| {
        explanation.entries.iter().filter(move |entry| entry.effect() == Some(effect) && entry.obstacles == obstacles)
    };
    if let Some(denied) = with(Effect::Deny, &[]).min_by_key(|entry| (entry.missing.is_some(), order(entry))) {
        return (Reason::DenyGrant, Some(denied));
    }
    if let Some(allowed) = with(Effect::Allow, &[]).min_by_key(|entry| (rank(entry.stated), order(entry))) {
        assert!(matches!(allowed.fate, Fate::Decided));
        let reason = match (allowed.stated.step_up, allowed.stated.approval) {
            (None, false) => Reason::Allowed,
            (Some(_), false) => Reason::StepUpRequired,
            (_, true) => Reason::ApprovalRequired,
        };
        return (reason, Some(allowed));
    }
    let is_kept_out = with(Effect::Allow, &[Obstacle::PartnerAccess])
        .chain(with(Effect::Allow, &[Obstacle::PartnerAccess, Obstacle::NotActive]))
        .next()
        .is_some();
    if is_kept_out {
        assert!(failed(Check::PartnerAccess));
        let modes = explanation.checks.iter().filter_map(|one| one.access).max();
        let is_blocked = modes == Some(PartnerAccess::Blocked);
        let reason = if is_blocked { Reason::PartnerAccessBlocked } else { Reason::PartnerAccessSessionRequired };
        return (reason, None);
    }
    let eligible = with(Effect::Allow, &[Obstacle::NotActive]);
    if let Some(eligible) = eligible.min_by_key(|entry| (rank(entry.stated), order(entry))) {
        return (Reason::EligibleNotActive, Some(eligible));
    }
    let only = [Obstacle::AttributeMissing, Obstacle::PartnerAccess, Obstacle::NotActive];
    let lacking = explanation.entries.iter().filter(|entry| {
        entry.effect() == Some(Effect::Allow)
            && entry.obstacles.first() == Some(&Obstacle::AttributeMissing)
            && entry.obstacles.iter().all(|obstacle| only.contains(obstacle))
    });
    match lacking.min_by_key(|entry| (rank(entry.stated), order(entry))) {
        Some(lacking) => (Reason::MissingAttribute, Some(lacking)),
        None => (Reason::NoMatchingGrant, None),
    }
}

fn order(entry: &Entry<'_>) -> (BindingId, u16) {
    (entry.binding.id, entry.grant.unwrap().0)
}

fn rank(stated: Requirements) -> u8 {
    stated.rank()
}

/// The parts of a condition come to what was made of the whole.
fn assert_parts(entry: &Entry<'_>, at: &str) {
    let Some((_, grant)) = entry.grant else {
        assert!(entry.parts.is_empty(), "{at}");
        return;
    };
    let condition = &grant.condition;
    let lists = [!condition.source_networks.is_empty(), !condition.weekly_windows.is_empty()];
    let expected = lists.into_iter().filter(|is_set| *is_set).count()
        + condition.resource_attributes.len()
        + condition.account_labels.len();
    assert_eq!(entry.parts.len(), expected, "{at}");
    let fails = entry.parts.iter().any(|part| part.verdict == Verdict::Fails);
    assert_eq!(entry.obstacles.contains(&Obstacle::ConditionNotMet), fails, "{at}");
    let lacks = entry.parts.iter().find_map(|part| match part.verdict {
        Verdict::Lacks(missing) => Some(missing.name(condition)),
        Verdict::Holds | Verdict::Fails => None,
    });
    assert_eq!(entry.missing, lacks.filter(|_| !fails), "{at}");
}

/// Every binding on the path is there, with each grant that could be read as the permission; the
/// deciding one first.
fn assert_complete(facts: &Facts, snapshot: &Snapshot, question: &Question, explanation: &Explanation<'_>, at: &str) {
    let known = question.peer.and_then(|id| facts.peers.iter().find(|peer| peer.id == id));
    let Some(peer) = known.filter(|peer| peer.status != PeerStatus::Deleted) else {
        assert!(explanation.entries.is_empty(), "{at}");
        return;
    };
    let path = facts.path(&question.account);
    let mut expected = Vec::new();
    for binding in facts.bindings.iter().filter(|binding| path.iter().any(|account| account.id == binding.account)) {
        let group = match binding.principal {
            Principal::Peer(holder) if holder == peer.id => None,
            Principal::Group(group)
                if facts.members.iter().any(|member| (member.group, member.peer) == (group, peer.id)) =>
            {
                Some(group)
            }
            Principal::Peer(_) | Principal::Group(_) => continue,
        };
        let role = facts.roles.iter().find(|role| role.id == binding.role).unwrap();
        let before = expected.len();
        for (place, grant) in (0_u16..).zip(&role.grants) {
            if grant.pattern.can_name(&question.permission) {
                expected.push((binding.id, group, Some(place)));
            }
        }
        if expected.len() == before {
            expected.push((binding.id, group, None));
        }
    }
    let shown = explanation.entries.iter().map(|entry| {
        let group = entry.through.map(|through| snapshot.group(through.group).unwrap().id);
        (entry.binding.id, group, entry.grant.map(|(place, _)| place))
    });
    let mut shown: Vec<_> = shown.collect();
    if let Some(deciding) = explanation.decision.deciding {
        assert_eq!((shown[0].0, shown[0].2), (deciding.binding, Some(deciding.grant)), "{at}");
    }
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected, "{at}");
}

#[test]
fn every_suggestion_is_true_and_as_small_as_can_be() {
    let (mut asked, mut kinds, mut denials, mut helped) = (0, BTreeMap::new(), 0_u64, 0_u64);
    ask("PEERAGE_ORACLE_SUGGESTIONS", |seed, facts, snapshot, question, compiler| {
        asked += 1;
        if asked % SUGGESTED_EVERY != 0 {
            return;
        }
        let query = query(snapshot, question);
        let explanation = explain(snapshot, &query);
        let roles: Vec<Assignable> = snapshot
            .roles()
            .filter(|(_, role)| role.compiled.names(query.permission))
            .take(2)
            .map(|(role, _)| Assignable { role, account: query.account, reach: Reach::AccountOnly })
            .collect();
        let suggestions = suggest(snapshot, &query, &explanation, &roles, compiler).unwrap();
        let at = || format!("seed {seed}: {question:#?}\n{explanation:#?}\n{suggestions:#?}");
        match explanation.decision.outcome {
            Outcome::Allow => assert!(suggestions.is_empty(), "{}", at()),
            Outcome::RequiresApproval | Outcome::RequiresStepUp => {
                assert!(suggestions.len() == 1 && suggestions[0].alterations.is_empty(), "{}", at());
            }
            Outcome::Deny => {
                denials += 1;
                helped += u64::from(!suggestions.is_empty());
            }
        }
        for suggestion in &suggestions {
            for alteration in &suggestion.alterations {
                let name = format!("{alteration:?}");
                let name = name.split([' ', '(', '{']).next().unwrap().to_owned();
                *kinds.entry(name).or_insert(0_u64) += 1;
            }
            let all = suggestion.alterations.len();
            for part in 0..1_u32 << all {
                let chosen = (0..).zip(&suggestion.alterations).filter(|(place, _)| part >> place & 1 == 1);
                let (changed, question) = altered(facts, snapshot, question, chosen.map(|(_, one)| one));
                let answer = naive::answer(&changed, &question);
                if part.count_ones() as usize == all {
                    let decision = suggestion.decision;
                    assert_eq!((answer.outcome, answer.unmet), (decision.outcome, decision.unmet), "{}", at());
                    assert_ne!(answer.outcome, Outcome::Deny, "{}", at());
                } else {
                    assert_eq!(answer.outcome, Outcome::Deny, "part {part:b} of {suggestion:?}\n{}", at());
                }
            }
        }
    });
    if size("PEERAGE_ORACLE_SUGGESTIONS", EXPLANATIONS) >= EXPLANATIONS {
        assert!(kinds.len() == 15 && kinds.values().all(|times| *times >= 5), "{kinds:?}");
        assert!(helped * 2 > denials, "{helped} of {denials} denials came with a suggestion");
    }
}

/// The facts and the question after changes, made the plain way.
fn altered<'a>(
    facts: &Facts,
    snapshot: &Snapshot,
    question: &Question,
    alterations: impl Iterator<Item = &'a Alteration>,
) -> (Facts, Question) {
    let (mut facts, mut question) = (facts.clone(), question.clone());
    let peer = question.peer.unwrap();
    let endless = |window: Window| Window::parse(window.start(), None).unwrap();
    for alteration in alterations {
        let account = |index| snapshot.account_id(index).unwrap().clone();
        let group_id = |index| snapshot.group(index).unwrap().id;
        match alteration {
            Alteration::ElevateBinding { binding, .. } => {
                facts.bindings.iter_mut().find(|one| one.id == *binding).unwrap().mode = Mode::Active;
            }
            Alteration::RenewBinding { binding, .. } => {
                let binding = facts.bindings.iter_mut().find(|one| one.id == *binding).unwrap();
                binding.window = endless(binding.window);
            }
            Alteration::RemoveBinding { binding, .. } => facts.bindings.retain(|one| one.id != *binding),
            Alteration::ElevateMembership(group) | Alteration::RenewMembership(group) => {
                let group = group_id(*group);
                let member = facts.members.iter_mut().find(|one| (one.group, one.peer) == (group, peer)).unwrap();
                if matches!(alteration, Alteration::ElevateMembership(_)) {
                    member.mode = Mode::Active;
                } else {
                    member.window = endless(member.window);
                }
            }
            Alteration::LeaveGroup(group) => {
                let group = group_id(*group);
                facts.members.retain(|one| (one.group, one.peer) != (group, peer));
            }
            Alteration::WaitUntil(time) => question.now = *time,
            Alteration::Resume(index) => {
                let id = account(*index);
                facts.accounts.iter_mut().find(|one| one.id == id).unwrap().suspension = None;
            }
            Alteration::AllowPartnerAccess(index) => {
                let id = account(*index);
                facts.accounts.iter_mut().find(|one| one.id == id).unwrap().partner_access = PartnerAccess::Allowed;
            }
            Alteration::SetLabel { account: index, key, value } => {
                let id = account(*index);
                let account = facts.accounts.iter_mut().find(|one| one.id == id).unwrap();
                account.labels.insert(key.clone(), value.clone());
            }
            Alteration::SayAttribute { name, value } => {
                question.context.attributes.insert(name.clone(), value.clone());
            }
            Alteration::ActFrom(address) => question.context.source_address = Some(*address),
            Alteration::EnablePeer => {
                facts.peers.iter_mut().find(|one| one.id == peer).unwrap().status = PeerStatus::Enabled;
            }
            Alteration::RenewPeer => facts.peers.iter_mut().find(|one| one.id == peer).unwrap().expire_time = None,
            Alteration::BindRole { role, account: index, reach } => facts.bindings.push(BindingFact {
                id: BindingId::from(Uuid::max()),
                principal: Principal::Peer(peer),
                role: snapshot.role(*role).unwrap().fact.id.clone(),
                account: account(*index),
                reach: *reach,
                mode: Mode::Active,
                window: Window::ALWAYS,
            }),
        }
    }
    (facts, question)
}
