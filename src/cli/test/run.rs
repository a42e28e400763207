//! Files, from their text to what came of each expectation.

use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;

use super::ask::{Outcome, Touched, ask, with_suspended};
use super::given::{Given, given};
use super::read::{Ask, Question, Test, needs_account, tests};
use super::stage::{Stage, stage};
use crate::cli::apply::problems::{Fields, Problems};
use crate::cli::apply::read::{SECTIONS, TESTED, world_of};
use crate::cli::apply::world::World;
use crate::cli::apply::yaml::{self, Node, Value};

/// A file that is right.
#[derive(Debug)]
pub(super) struct Suite {
    /// The file, as it was named.
    pub(super) file: String,
    /// The file that its world stands in.
    pub(super) world: String,
    pub(super) stage: Stage,
    pub(super) tests: Vec<Test>,
}

/// What came of one expectation.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) test: usize,
    pub(super) question: Question,
    pub(super) outcome: Outcome,
}

/// What came of a file.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) suite: Suite,
    pub(super) cases: Vec<Case>,
}

impl Ran {
    pub(super) fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.holds()).count()
    }

    pub(super) fn touched(&self) -> Vec<Touched> {
        self.cases.iter().flat_map(|case| case.outcome.touched.iter().cloned()).collect()
    }

    pub(super) fn title(&self, case: &Case) -> &str {
        self.suite.tests.get(case.test).map_or("", |test| &test.title)
    }
}

impl Case {
    pub(super) const fn holds(&self) -> bool {
        self.outcome.differences.is_empty()
    }

    /// The question in a line.
    pub(super) fn show(&self) -> String {
        match &self.question.ask {
            Ask::Check { peer, permission, account, .. } => format!("{} {permission} on {account}", peer.as_str()),
            Ask::Accounts { peer, permission, under: None, .. } => {
                format!("accounts on which {} has {permission}", peer.as_str())
            }
            Ask::Accounts { peer, permission, under: Some(under), .. } => {
                format!("accounts from {under} down on which {} has {permission}", peer.as_str())
            }
            Ask::Peers { account, permission, .. } => format!("peers that have {permission} on {account}"),
            Ask::Permissions { peer, account, of, .. } if of.is_empty() => {
                format!("permissions of {} on {account}", peer.as_str())
            }
            Ask::Permissions { peer, account, of, .. } => {
                format!("permissions of {} on {account}, of {}", peer.as_str(), of.join(", "))
            }
        }
    }
}

/// What is wrong with a file, as people are shown it.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) String);

const SO: &str = "no test was run";

/// Reads and checks a file with its world. The outer error is not the file's fault.
pub(super) fn read(file: &Path) -> anyhow::Result<Result<Suite, Wrong>> {
    let name = file.display().to_string();
    let source = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    let mut problems = Problems::default();
    let parts = yaml::parse(&source).map(|root| parts(file, root, &mut problems));
    let parts = match parts {
        Ok(Some(parts)) => parts,
        Ok(None) => return Ok(Err(Wrong(problems.show_with(&name, SO)))),
        Err(problems) => return Ok(Err(Wrong(problems.show_with(&name, SO)))),
    };
    let mut of_world = parts.of_world.clone();
    let staged =
        stage((&parts.world, &parts.world_file), &parts.given.permissions, parts.given.situation.now, &mut of_world)?;
    problems.extend(staged.refused);
    let tests = if of_world.is_empty() && problems.is_empty() {
        read_tests(&parts, &staged.stage, &mut problems)
    } else {
        // A name that a wrong part of the world would have made is no second mistake.
        let mut found = Problems::default();
        let tests = read_tests(&parts, &staged.stage, &mut found);
        let is_unknown = |text: &str| text.contains("is not in the file") || text.contains("is not registered");
        problems.extend(found.without(is_unknown));
        tests
    };
    if parts.world_file == name {
        problems.extend(std::mem::take(&mut of_world));
    }
    let wrong = [(&parts.world_file, &of_world), (&name, &problems)].into_iter().filter(|(_, all)| !all.is_empty());
    let wrong: Vec<String> = wrong.map(|(name, all)| all.show_with(name, SO)).collect();
    if !wrong.is_empty() {
        return Ok(Err(Wrong(wrong.join("\n"))));
    }
    Ok(Ok(Suite { file: name, world: parts.world_file, stage: staged.stage, tests }))
}

/// A file that was taken apart.
struct Parts {
    root: Node,
    given: Given,
    world: World,
    /// Where the world stands, and what is wrong with it there.
    world_file: String,
    of_world: Problems,
}

impl Parts {
    fn tests(&self) -> Option<&Node> {
        let Value::Map(entries) = &self.root.value else { return None };
        let found = entries.iter().find(|(key, _)| matches!(&key.value, Value::Text(name) if name == "tests"));
        found.map(|(_, node)| node).filter(|node| !matches!(node.value, Value::Empty))
    }
}

/// Takes a file apart, and reads its world here or where it stands. Nothing where there is no world.
fn parts(file: &Path, root: Node, problems: &mut Problems) -> Option<Parts> {
    let sections = Fields::open(&root, &[&SECTIONS[..], &TESTED].concat(), problems)?;
    let has_world = SECTIONS.iter().any(|section| sections.node(section).is_some());
    let given_node = sections.node("given");
    let given = given_node.map(|node| given(node, problems)).unwrap_or_default();
    let elsewhere = match &given.world {
        Some((line, _)) if has_world => {
            problems.add(*line, "`world` names a file, and this one has accounts, peers or roles of its own");
            return None;
        }
        Some((line, path)) => Some((*line, seen_from(file, path))),
        None => None,
    };
    let Some((line, path)) = elsewhere else {
        let (world, of_world) = world_of(&root);
        return Some(Parts { root, given, world, world_file: file.display().to_string(), of_world });
    };
    let world_file = path.display().to_string();
    let source = match std::fs::read_to_string(&path) {
        Ok(source) => source,
        Err(error) => {
            problems.add(line, format!("`world`: cannot read `{world_file}`: {error}"));
            return None;
        }
    };
    let (world, of_world) = match yaml::parse(&source) {
        Ok(root) => world_of(&root),
        Err(of_world) => (World::default(), of_world),
    };
    Some(Parts { root, given, world, world_file, of_world })
}

fn read_tests(parts: &Parts, stage: &Stage, problems: &mut Problems) -> Vec<Test> {
    for suspended in &parts.given.situation.suspended {
        needs_account(stage, suspended, problems);
    }
    let Some(node) = parts.tests() else {
        problems.add(parts.root.line, "has no `tests`");
        return Vec::new();
    };
    tests(node, &parts.given.situation, stage, problems)
}

/// The file that a path names, seen from another: so spelled that files which share a world say the same.
fn seen_from(file: &Path, path: &str) -> PathBuf {
    let joined = file.parent().map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
    let mut plain = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::ParentDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

/// Asks what the tests ask whose title holds a text.
pub(super) fn run(mut suite: Suite, only: Option<&str>) -> anyhow::Result<Ran> {
    let mut cases = Vec::new();
    let mut tests = std::mem::take(&mut suite.tests);
    for (place, test) in tests.iter_mut().enumerate() {
        if only.is_some_and(|only| !test.title.contains(only)) {
            continue;
        }
        let snapshot = with_suspended(&mut suite.stage, &test.situation.suspended)?;
        for question in std::mem::take(&mut test.questions) {
            let outcome = ask(&mut suite.stage, &snapshot, &question)?;
            cases.push(Case { test: place, question, outcome });
        }
    }
    suite.tests = tests;
    Ok(Ran { suite, cases })
}
