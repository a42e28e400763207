//! Files, from their text to what came of each expectation.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::ask::{Outcome, Touched, ask, with_suspended};
use super::given::{Given, Registered, given};
use super::read::{Ask, Question, Test, tests};
use super::stage::{Stage, stage};
use crate::cli::apply::problems::{Fields, Problems};
use crate::cli::apply::read::{SECTIONS, TESTED, world_of};
use crate::cli::apply::world::World;
use crate::cli::apply::yaml::{self, Node};
use crate::domain::permission::PermissionName;

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

/// What is wrong with one file, or keeps it from being read.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) String);

/// Reads and checks a file with its world. The outer error is not the file's fault.
pub(super) fn read(file: &Path) -> anyhow::Result<Result<Suite, Wrong>> {
    let name = file.display().to_string();
    let source = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    let wrong = |problems: &Problems| Ok(Err(Wrong(problems.show_with(&name, "no test was run"))));
    let root = match yaml::parse(&source) {
        Ok(root) => root,
        Err(problems) => return wrong(&problems),
    };
    let mut problems = Problems::default();
    let Some(top) = Fields::open(&root, &[&SECTIONS[..], &TESTED].concat(), &mut problems) else {
        return wrong(&problems);
    };
    let has_world = SECTIONS.iter().any(|section| top.node(section).is_some());
    let (given_node, tests_node) = (top.node("given"), top.node("tests"));
    let given = given_node.map(|node| given(node, &mut problems)).unwrap_or_default();
    check_registered(&given.permissions, &mut problems);
    let (world, world_file) = match &given.world {
        Some((line, _)) if has_world => {
            let text = "`world` names a file, and this one has accounts, peers or roles of its own";
            problems.add(*line, text);
            return wrong(&problems);
        }
        Some((line, path)) => match other_world(file, path)? {
            Ok(world) => (world, path.clone()),
            Err(Wrong(text)) => {
                problems.add(*line, format!("`world`: {text}"));
                return wrong(&problems);
            }
        },
        None => {
            let (world, more) = world_of(&root);
            // The sections are checked twice.
            problems.extend(more);
            (world, name.clone())
        }
    };
    let made = suite(&root, &given, &world, tests_node, &mut problems)?;
    match made {
        Some((stage, tests)) if problems.is_empty() => {
            Ok(Ok(Suite { file: name, world: shared(file, given.world.is_some(), &world_file), stage, tests }))
        }
        _ => wrong(&problems),
    }
}

/// The world and the tests of a file. Tests are read even if the world is wrong, so that one look finds
/// everything.
fn suite(
    root: &Node,
    given: &Given,
    world: &World,
    tests_node: Option<&Node>,
    problems: &mut Problems,
) -> anyhow::Result<Option<(Stage, Vec<Test>)>> {
    let stage = stage(world, &given.permissions, given.situation.now, problems)?;
    for suspended in &given.situation.suspended {
        if stage.snapshot.find_account(suspended.account.as_str()).is_none() && problems.is_empty() {
            problems.add(suspended.line, format!("account `{}` is not in the file", suspended.account));
        }
    }
    let Some(node) = tests_node else {
        problems.add(root.line, "has no `tests`");
        return Ok(None);
    };
    let is_whole = problems.is_empty();
    let mut found = Problems::default();
    let tests = tests(node, &given.situation, &stage, &mut found);
    // A name that a wrong part of the world would have made is no second mistake.
    let is_unknown = |text: &str| text.contains("is not in the file") || text.contains("is not registered");
    problems.extend(if is_whole { found } else { found.without(is_unknown) });
    Ok(Some((stage, tests)))
}

/// A permission of a pack, and one that stands twice, would not be what the file says of it.
fn check_registered(registered: &[Registered], problems: &mut Problems) {
    let mut seen: Vec<&PermissionName> = Vec::new();
    for one in registered {
        let name = &one.permission.name;
        if seen.contains(&name) {
            problems.add(one.line, format!("permission `{name}` stands twice in `permissions`"));
        }
        seen.push(name);
    }
}

/// The world of another file, by its path from this one. What is wrong with it is named by its lines.
fn other_world(file: &Path, path: &str) -> anyhow::Result<Result<World, Wrong>> {
    let from = file.parent().map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
    let shown = from.display().to_string();
    let source = match std::fs::read_to_string(&from) {
        Ok(source) => source,
        Err(error) => return Ok(Err(Wrong(format!("cannot read `{shown}`: {error}")))),
    };
    let wrong = |problems: &Problems| Ok(Err(Wrong(problems.show_with(&shown, "no test was run"))));
    let (world, problems) = match yaml::parse(&source) {
        Ok(root) => world_of(&root),
        Err(problems) => return wrong(&problems),
    };
    if problems.is_empty() { Ok(Ok(world)) } else { wrong(&problems) }
}

/// The file of a world, by which files that share one are known.
fn shared(file: &Path, is_elsewhere: bool, world: &str) -> String {
    if !is_elsewhere {
        return world.to_owned();
    }
    let path = file.parent().map_or_else(|| PathBuf::from(world), |folder| folder.join(world));
    std::fs::canonicalize(&path).unwrap_or(path).display().to_string()
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
