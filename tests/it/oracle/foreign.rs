//! Other people's casbin: pycasbin and node-casbin load what is exported, as they are published, and
//! must decide as the rules say.
//!
//! `tests/run` installs them and names their folder in `PEERAGE_TEST_CASBIN`. One process of each is
//! asked about all worlds, a world at a time. `PEERAGE_ORACLE_EXPORTED` sets how many decisions.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use peerage::decision::compile::Compiler;
use peerage::decision::export::{Export, MODEL};
use peerage::decision::{Outcome, Snapshot};
use peerage::domain::context::Context;
use peerage::domain::ids::AccountId;
use peerage::domain::time::Timestamp;

use super::facts::Facts;
use super::naive::{self, Question};
use super::world::Maker;
use super::{shrink, size};

const DECISIONS: u64 = 3_000;
const DECISIONS_PER_WORLD: u64 = 60;
/// The seeds lie apart from those of the other tests.
const FIRST_SEED: u64 = 2_000_000;

/// A process that answers a line for each line.
struct Casbin {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Casbin {
    fn start(name: &'static str, program: &Path, script: PathBuf) -> Self {
        let mut child = Command::new(program).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { name, child, input, output }
    }

    fn ask(&mut self, task: &str) {
        writeln!(self.input, "{task}").unwrap();
    }

    fn answers(&mut self) -> Vec<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{} ended: {error}: {line}", self.name))
    }
}

impl Drop for Casbin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/casbin")
}

/// Node looks for packages beside the script, whose folder has none.
fn beside_packages(folder: &Path) -> PathBuf {
    let copy = folder.join("node/ask.mjs");
    std::fs::copy(scripts().join("ask.mjs"), &copy).unwrap();
    copy
}

/// `tests/run` names their folder, and says so where this machine has not what they need.
fn installed() -> Option<PathBuf> {
    std::env::var_os("PEERAGE_TEST_CASBIN").map(PathBuf::from)
}

/// Both of them, and the folder that they read from.
pub(crate) struct Foreign {
    casbins: [Casbin; 2],
    folder: tempfile::TempDir,
    lines: u64,
}

impl Foreign {
    /// Both of them, where they are installed.
    pub(crate) fn start() -> Option<Self> {
        let folder = installed()?;
        let casbins = [
            Casbin::start("pycasbin", &folder.join("python/bin/python"), scripts().join("ask.py")),
            Casbin::start("node-casbin", Path::new("node"), beside_packages(&folder)),
        ];
        Some(Self { casbins, folder: tempfile::tempdir().unwrap(), lines: 0 })
    }

    /// Where what the two say of an export differs from what the rules say, in words.
    fn differences(&mut self, facts: &Facts, snapshot: Snapshot, asked: &Asked) -> Vec<(Question, String)> {
        let root = snapshot.find_account(asked.root.as_str()).unwrap();
        let mut export = Export::new(Arc::new(snapshot), root, asked.now, asked.context.clone());
        let mut policy = String::new();
        while let Some(piece) = export.next(4_096) {
            assert!(piece.ends_with('\n') && piece.len() <= 4_096, "{piece}");
            policy.push_str(&piece);
        }
        self.lines += policy.lines().count() as u64;
        let values: Vec<[String; 4]> = asked.questions.iter().map(request).collect();
        let mut found = Vec::new();
        for (name, answers) in self.answers(MODEL, &policy, &values) {
            for (question, answer) in asked.questions.iter().zip(answers) {
                let expected = naive::answer(facts, question);
                if word(expected.outcome) != answer {
                    found.push((question.clone(), format!("{name} says {answer}, not {expected:?}")));
                }
            }
        }
        found
    }

    /// What each of the two answers to questions of subject, account, resource and action.
    pub(crate) fn answers(
        &mut self,
        model: &str,
        policy: &str,
        questions: &[[String; 4]],
    ) -> Vec<(&'static str, Vec<String>)> {
        std::fs::write(self.folder.path().join("model.conf"), model).unwrap();
        std::fs::write(self.folder.path().join("policy.csv"), policy).unwrap();
        let task = serde_json::json!({ "folder": self.folder.path(), "questions": questions }).to_string();
        self.casbins.iter_mut().for_each(|casbin| casbin.ask(&task));
        let answers = self.casbins.iter_mut().map(|casbin| (casbin.name, casbin.answers())).collect::<Vec<_>>();
        assert!(answers.iter().all(|(_, answers)| answers.len() == questions.len()));
        answers
    }
}

/// What is asked of an export, and of which.
struct Asked {
    root: AccountId,
    now: Timestamp,
    context: Context,
    questions: Vec<Question>,
}

impl Asked {
    /// Questions about accounts of one export, for its time and context.
    fn of(maker: &mut Maker, facts: &Facts, count: u64) -> Self {
        let root = if maker.random.chance(50) { AccountId::platform() } else { maker.some_account(facts) };
        let distance = *maker.random.pick(&[-1, 0, 0, 1]).unwrap();
        let now = maker.now.plus_micros(distance);
        let context = maker.context();
        let mut questions = Vec::new();
        while (questions.len() as u64) < count {
            let mut question = Question { now, context: context.clone(), ..maker.question(facts) };
            if !facts.is_within(&question.account, &root) {
                question.account = root.clone();
            }
            questions.push(question);
        }
        Self { root, now, context, questions }
    }
}

fn request(question: &Question) -> [String; 4] {
    let peer = question.peer.map_or("nobody".to_owned(), |peer| peer.to_string());
    let permission = &question.permission;
    [
        format!("peer:{peer}"),
        format!("account:{}", question.account),
        permission.resource().to_owned(),
        permission.action().to_owned(),
    ]
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allow => "allow",
        Outcome::Deny => "deny",
        Outcome::RequiresStepUp => "requires_step_up",
        Outcome::RequiresApproval => "requires_approval",
    }
}

#[test]
fn an_export_is_decided_alike_by_pycasbin_and_node_casbin() {
    let decisions = size("PEERAGE_ORACLE_EXPORTED", DECISIONS);
    let Some(mut foreign) = Foreign::start() else { return };
    let mut compiler = Compiler::new().unwrap();
    let (mut done, mut seed) = (0, FIRST_SEED);
    let mut seen = std::collections::BTreeMap::<&str, u64>::new();
    while done < decisions {
        let mut maker = Maker::new(seed);
        let facts = maker.world(false);
        let asked = Asked::of(&mut maker, &facts, DECISIONS_PER_WORLD.min(decisions - done));
        let snapshot = Snapshot::load(1, facts.all(), &mut compiler).unwrap();
        if let Some((question, _)) = foreign.differences(&facts, snapshot, &asked).into_iter().next() {
            report(seed, &facts, Asked { questions: vec![question], ..asked }, &mut compiler, &mut foreign);
        }
        for question in &asked.questions {
            *seen.entry(word(naive::answer(&facts, question).outcome)).or_default() += 1;
        }
        done += asked.questions.len() as u64;
        seed += 1;
    }
    println!("{done} decisions each, seeds {FIRST_SEED} to {}, {} lines of policy: {seen:?}", seed - 1, foreign.lines);
    for outcome in [Outcome::Allow, Outcome::Deny, Outcome::RequiresStepUp, Outcome::RequiresApproval] {
        let times = seen.get(word(outcome)).copied().unwrap_or_default();
        assert!(times >= decisions / 100, "{outcome:?} was seen {times} times only: {seen:?}");
    }
}

/// Ends the test with the fewest facts on which one of the two still differs.
fn report(seed: u64, facts: &Facts, asked: Asked, compiler: &mut Compiler, foreign: &mut Foreign) -> ! {
    let question = &asked.questions[0];
    let mut differ = |facts: &Facts| {
        let is_there =
            [&question.account, &asked.root].iter().all(|id| facts.accounts.iter().any(|account| account.id == **id))
                && facts.is_within(&question.account, &asked.root)
                && facts.permissions.iter().any(|permission| permission.name == question.permission);
        let snapshot = is_there.then(|| Snapshot::load(1, facts.all(), compiler).ok()).flatten()?;
        foreign.differences(facts, snapshot, &asked).into_iter().next().map(|(_, what)| what)
    };
    let smallest = shrink::shrink(facts, &mut |facts| differ(facts).is_some());
    let difference = differ(&smallest).unwrap_or_default();
    let policy = std::fs::read_to_string(foreign.folder.path().join("policy.csv")).unwrap();
    panic!("seed {seed}: {question:#?}\n{difference}\n{policy}\n{}", shrink::print(&smallest));
}
