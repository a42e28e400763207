//! `peerage test`: what it says of tests that fail, of grants that nobody exercises, and of files that are
//! wrong. That tests which hold do hold is the corpus's part.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{run, said, told};
use crate::support::Server;

const WORLD: &str = "\
accounts:
  - { id: msp, kind: PARTNER, parent: platform, title: MSP, settings: { role_packs: [opspilot365] } }
  - { id: corp, kind: CUSTOMER, parent: msp, title: Corp }
  - { id: shop, kind: CUSTOMER, parent: msp, title: Shop }
roles:
  - { owner: msp, title: Buyer, inheritable: true, grants: [{ allow: licenses.order, approval: true }, { allow: licenses.view }] }
  - { owner: msp, title: Trader, inheritable: true, grants: [{ allow: data.export, when: { resource_attributes: [{ attribute: size, range: { end: 9 } }] } }] }
  - { owner: msp, title: Never, inheritable: true, grants: [{ deny: licenses.view }] }
peers:
  - { user_name: buyer, home: msp, role: msp/Buyer, access: [corp] }
  - { user_name: trader, home: msp, role: msp/Trader, access: all }
groups:
  - { account: msp, title: Traders, members: [trader] }
bindings:
  - { group: msp/Traders, role: msp/Buyer, account: shop }
";

/// Runs `peerage test` in a folder, without a server to be had.
fn test(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    command.current_dir(folder).arg("test").args(arguments).output().unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn the_page_about_tests_shows_what_happens() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tests.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = |kind: &str| -> Vec<String> {
        let fence = format!("```{kind}\n");
        let parts = page.split(&fence).skip(1);
        parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
    };
    let (yaml, text) = (blocks("yaml"), blocks("text"));
    let [world, tests, wrong] = yaml.as_slice() else { panic!("{}", yaml.len()) };
    let folder = folder(&[("contoso.yaml", world), ("contoso.test.yaml", tests), ("wrong.test.yaml", wrong)]);

    let right = test(folder.path(), &["contoso.test.yaml", "--require-coverage", "100"]);
    assert_eq!(right.status.code(), Some(0), "{}{}", told(&right), said(&right));
    assert!(told(&right).ends_with("All 11 expectations hold.\n"), "{}", told(&right));
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let short = readme.split("```yaml\n").find(|part| part.starts_with("given: ")).unwrap();
    std::fs::write(folder.path().join("short.yaml"), short.split("```").next().unwrap()).unwrap();
    let short = test(folder.path(), &["short.yaml", "--require-coverage", "100"]);
    assert_eq!(short.status.code(), Some(0), "{}{}", told(&short), said(&short));
    assert!(told(&short).contains("2 of 2 grants exercised (100 %)"), "{}", told(&short));

    let failed = test(folder.path(), &["wrong.test.yaml"]);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert!(told(&failed).starts_with(&text[0]), "{}\n{}", told(&failed), text[0]);
}

#[test]
fn a_time_that_is_wrong_is_one_mistake() {
    let window = "{ weekly_windows: [{ days: [MONDAY], start_minute: 0, end_minute: 9, time_zone: UTC }] }";
    let timed = WORLD.replace("{ resource_attributes: [{ attribute: size, range: { end: 9 } }] }", window);
    assert_ne!(timed, WORLD);
    let file =
        "tests:\n  - title: T\n    checks:\n      - { peer: buyer, account: corp, NOWexpect: { users.view: DENY } }\n";
    for now in ["9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "soon"] {
        let whole = format!("{timed}given: {{ now: {now} }}\n{}", file.replace("NOW", ""));
        let single = format!("{timed}{}", file.replace("NOW", &format!("now: '{now}', ")));
        for text in [whole, single] {
            let folder = folder(&[("wrong.yaml", &text)]);
            let output = test(folder.path(), &["wrong.yaml"]);
            let lines: Vec<_> =
                said(&output).lines().filter(|line| line.contains("wrong.yaml:")).map(str::to_owned).collect();
            assert!(output.status.code() == Some(2) && lines.len() == 1 && lines[0].contains(now), "{}", said(&output));
        }
    }
}

/// A line for each way in which an expectation can fail, with what is said of it.
const FAILING: &[(&str, &str)] = &[
    ("licenses.order: ALLOW", "expected decision ALLOW, got REQUIRES_APPROVAL"),
    ("licenses.view: DENY_GRANT", "expected reason DENY_GRANT, got ALLOWED"),
    (
        "licenses.order: { decision: REQUIRES_APPROVAL, obligations: [{ step_up: { level: TOTP, max_age_minutes: 5 } }] }",
        "expected obligations step_up TOTP within 5 min, got APPROVAL",
    ),
    (
        "licenses.order: { reason: APPROVAL_REQUIRED, role: msp/Trader }",
        "decided by role msp/Trader, got grant licenses.order, role msp/Buyer, bound at corp",
    ),
    ("licenses.order: { reason: APPROVAL_REQUIRED, bound_at: msp }", "decided by bound at msp, got"),
    ("licenses.order: { reason: APPROVAL_REQUIRED, group: msp/Traders }", "decided by through group msp/Traders, got"),
    ("licenses.order: { reason: APPROVAL_REQUIRED, grant: 'licenses.*' }", "decided by grant licenses.*, got"),
    ("users.view: { reason: NO_MATCHING_GRANT, role: msp/Buyer }", "decided by role msp/Buyer, got no grant"),
    ("users.view: { reason: NO_MATCHING_GRANT, missing_attribute: size }", "expected missing_attribute size, got none"),
    (
        "licenses.view: { decision: ALLOW, considered: [{ role: msp/Buyer, outcome: OUTSIDE_WINDOW }] }",
        "expected role msp/Buyer to be OUTSIDE_WINDOW, and it is not",
    ),
];

#[test]
fn every_way_to_fail_is_said_with_its_line_and_its_reason() {
    let mut file = format!("{WORLD}tests:\n  - title: \"<Failing> & \\\"quoted\\\"\"\n    checks:\n");
    for (line, _) in FAILING {
        file.push_str(&format!("      - {{ peer: buyer, account: corp, expect: {{ {line} }} }}\n"));
    }
    file.push_str(
        "      - { peer: buyer, account: corp, expect: { licenses.view: ALLOW } }\n\
         \x20   accessible_accounts: [{ peer: buyer, permission: licenses.view, expect: [shop] }]\n\
         \x20   authorized_peers: [{ account: shop, permission: licenses.order, expect: [trader] }]\n\
         \x20   effective_permissions: [{ peer: buyer, account: corp, expect: [licenses.view, licenses.order, users.view] }]\n",
    );
    let first = WORLD.lines().count() + 4;
    let folder = folder(&[("failing.yaml", &file)]);
    let total = FAILING.len() + 4;
    let failed = total - 1;

    let text = test(folder.path(), &["failing.yaml"]);
    assert_eq!(text.status.code(), Some(1), "{}", said(&text));
    let told = told(&text);
    for (place, (line, difference)) in FAILING.iter().enumerate() {
        let at = format!("FAILED failing.yaml:{}: <Failing>", first + place);
        let block = told.split(&at).nth(1).unwrap_or_else(|| panic!("{line}: {told}"));
        let block = block.split("\nFAILED").next().unwrap();
        assert!(block.contains(difference), "{line}: {block}");
        assert!(block.contains("checked before grants") && block.contains("grants, "), "{line}: {block}");
    }
    for difference in [
        "expected shop ALLOW, and it is not listed",
        "expected no corp, got ALLOW",
        "expected trader ALLOW, got REQUIRES_APPROVAL",
        "expected users.view ALLOW, and it is not listed",
        // Of a list, why the first row that differs is as it is.
        "    licenses.view on accounts/shop for buyer\n",
        "through msp/Traders",
    ] {
        assert!(told.contains(difference), "{difference}: {told}");
    }
    assert!(told.ends_with(&format!("{failed} of {total} expectations do not hold.\n")), "{told}");
    // Nobody outside has ids of a world that stands in a file.
    assert!(!told.contains("00000000-0000-7000"), "{told}");

    let json = test(folder.path(), &["failing.yaml", "-o", "json", "--junit", "results.xml"]);
    assert_eq!(json.status.code(), Some(1));
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((value["total"].as_u64(), value["failed"].as_u64()), (Some(total as u64), Some(failed as u64)));
    let case = &value["files"][0]["cases"][0];
    assert_eq!((&case["holds"], case["line"].as_u64()), (&Value::Bool(false), Some(first as u64)));
    assert_eq!(case["asked"]["permission"], "licenses.order");
    assert_eq!(case["expected"], serde_json::json!({ "decision": "ALLOW" }));
    assert_eq!(case["actual"]["reason"], "APPROVAL_REQUIRED");
    assert_eq!(case["actual"]["obligations"], serde_json::json!(["APPROVAL"]));
    assert_eq!(case["actual"]["decided_by"]["role"], "msp/Buyer");
    assert!(case["why"].as_str().unwrap().contains("it would be allowed"));

    let written = std::fs::read_to_string(folder.path().join("results.xml")).unwrap();
    let shown = test(folder.path(), &["failing.yaml", "--output", "junit"]);
    assert_eq!(String::from_utf8(shown.stdout).unwrap(), written);
    assert_eq!(junit(&written), format!("{total} {failed} {total} {failed} <Failing> & \"quoted\"\n"));
}

/// What a parser of XML finds in a report: the counts of its head, those of its cases, and a title.
fn junit(text: &str) -> String {
    const COUNT: &str = "
import sys
import xml.etree.ElementTree as xml
root = xml.fromstring(sys.stdin.buffer.read())
assert root.tag == 'testsuites'
cases = root.findall('./testsuite/testcase')
failed = root.findall('./testsuite/testcase/failure')
assert all(case.get('name') and case.get('classname') for case in cases)
assert all(int(suite.get('tests')) == len(suite.findall('testcase')) for suite in root)
assert all(int(suite.get('failures')) == len(suite.findall('testcase/failure')) for suite in root)
assert all(one.get('message') for one in failed)
print(root.get('tests'), root.get('failures'), len(cases), len(failed), cases[0].get('classname'))
";
    let mut python = Command::new("python3")
        .args(["-c", COUNT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3, which reads what build servers read");
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn grants_that_no_test_exercises_are_named() {
    let tests = |more: &str| {
        format!(
            "given: {{ world: world.yaml }}\ntests:\n  - title: Orders\n    checks:\n      \
             - {{ peer: buyer, account: corp, expect: {{ licenses.order: REQUIRES_APPROVAL }} }}\n      \
             - {{ peer: trader, account: corp, resource: {{ size: 1 }}, expect: {{ data.export: ALLOW }} }}\n{more}"
        )
    };
    let rest = "given: { world: ./../here/world.yaml }\ntests:\n  - title: Views\n    checks:\n      \
                - { peer: buyer, account: corp, expect: { licenses.view: ALLOW } }\n";
    let missed =
        "      - { peer: trader, account: corp, resource: { size: 9 }, expect: { data.export: NO_MATCHING_GRANT } }\n";
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("here");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in [("world.yaml", WORLD), ("a.yaml", &tests("")), ("b.yaml", rest), ("c.yaml", &tests(missed))] {
        std::fs::write(folder.join(name), text).unwrap();
    }

    let output = test(&folder, &["a.yaml", "--coverage"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = told(&output);
    for line in [
        "Coverage: 1 of 4 grants exercised (25 %)",
        "world.yaml: ALLOW licenses.view, grant 1 of msp/Buyer: no check is decided by it",
        "world.yaml: ALLOW data.export when ..., grant 0 of msp/Trader: no check in which its condition does not hold",
        "world.yaml: DENY licenses.view, grant 0 of msp/Never: no check is decided by it",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!shown.contains("grant 0 of msp/Buyer"), "{shown}");

    // Files that share a world add up.
    let output = test(&folder, &["c.yaml", "b.yaml", "--require-coverage", "75"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("Coverage: 3 of 4 grants exercised (75 %)\n"), "{}", told(&output));
    let output = test(&folder, &["c.yaml", "b.yaml", "--require-coverage", "76", "--junit", "r.xml"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("(75 %), 76 % are required\n"), "{}", told(&output));
    let written = std::fs::read_to_string(folder.join("r.xml")).unwrap();
    assert_eq!(junit(&written), "5 1 5 1 Orders\n");

    let json = test(&folder, &["a.yaml", "--coverage=all", "-o", "json"]);
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&value["coverage"]["total"], &value["coverage"]["exercised"]), (&Value::from(4), &Value::from(1)));
    assert_eq!(value["coverage"]["grants"][0]["decided"], 1);
}

#[test]
fn built_in_roles_that_are_held_are_counted_on_request() {
    let file = "accounts:\n  - { id: msp, kind: PARTNER, parent: platform, title: MSP }\n\
                peers:\n  - { user_name: asker, kind: INTEGRATION, home: msp, role: core.backend_service, access: all }\n\
                tests:\n  - title: Asking\n    checks: [{ peer: asker, account: msp, expect: { access.check: ALLOW } }]\n  \
                - title: Other\n    checks: [{ peer: asker, account: msp, expect: { audit.record: DENY } }]\n";
    let folder = folder(&[("a.yaml", file)]);
    let output = test(folder.path(), &["a.yaml", "--filter", "Ask", "--coverage=all"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("Coverage: 1 of 2 grants exercised (50 %)"), "{}", told(&output));
    assert!(told(&output).contains("ALLOW audit.record, grant 1 of core.backend_service"), "{}", told(&output));
    let output = test(folder.path(), &["a.yaml", "--filter", "Ask", "--coverage"]);
    assert!(told(&output).contains("Coverage: 0 of 0 grants exercised (100 %)"), "{}", told(&output));
    let output = test(folder.path(), &["a.yaml", "--filter", "nothing of that title"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(said(&output).contains("there is nothing to test with `nothing of that title`"), "{}", said(&output));
}

/// The lines that stderr names of a file.
fn lines(output: &Output, file: &str) -> Vec<u64> {
    let shown = said(output);
    let lines = shown.lines().filter_map(|line| line.trim().strip_prefix(&format!("{file}:"))?.split(':').next());
    let mut lines: Vec<u64> = lines.filter_map(|line| line.parse().ok()).collect();
    lines.dedup();
    lines
}

#[test]
fn all_that_is_wrong_with_a_file_is_said_at_once_and_nothing_is_tested() {
    let file = format!(
        "{WORLD}given:
  now: yesterday
  suspended: [crop]
  permissions: [{{ name: licenses.view }}, {{ name: a.b, flags: [rare] }}]
tests:
  - title: Unknown names
    checks:
      - {{ peer: byer, account: corp, expect: {{ licenses.view: ALLOW }} }}
      - {{ peer: buyer, account: crop, expect: {{ licenses.view: ALLOW }} }}
      - {{ peer: buyer, account: corp, expect: {{ licences.view: ALLOW }} }}
      - {{ peer: buyer, account: corp, expect: {{ licenses.view: {{ decision: ALLOW, role: msp/Byer }} }} }}
  - checks: [{{ peer: buyer, peers: [buyer], account: corp, permissions: [], expect: YES }}]
  - title: Words
    checks:
      - {{ peer: buyer, account: corp, expect: {{ licenses.view: {{ decision: ALLOW, reason: DENY_GRANT }} }} }}
      - {{ peer: buyer, account: corp, expect: {{ licenses.view: {{ role: msp/Buyer }} }} }}
      - {{ peer: buyer, account: corp, permission: licenses.view, expect: MAYBE }}
      - {{ peer: buyer, account: corp, expect: ALLOW }}
      - {{ peer: buyer, account: corp, source_address: office, resource: {{ size: 1.5 }}, expect: {{ licenses.view: ALLOW }} }}
      - {{ peer: buyer, account: corp, expect: {{ licenses.view: {{ decision: ALLOW, obligations: [HURRY] }} }} }}
    authorized_peers: [{{ account: corp, permission: licenses.view, expect: {{ buyer: DENY }} }}]
    accessible_accounts:
      - {{ peer: buyer, permission: licenses.view, expect: [corp, corp] }}
    effective_permissions:
      - {{ peer: buyer, account: corp, of: [licences], expect: all }}
  - title: Nothing
"
    );
    let from = u64::try_from(WORLD.lines().count()).unwrap();
    let folder = folder(&[("wrong.yaml", &file), ("right.yaml", WORLD)]);
    let output = test(folder.path(), &["wrong.yaml", "right.yaml"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert_eq!(told(&output), "");
    let wanted: Vec<u64> = [2, 4, 12, 15, 16, 17, 18, 19, 20, 21, 23, 25, 26].iter().map(|line| from + line).collect();
    // Whether a name is known is not asked where the file is wrong in itself.
    assert_eq!(lines(&output, "wrong.yaml"), wanted, "{}", said(&output));
    assert!(said(&output).contains("right.yaml:1: has no `tests`"), "{}", said(&output));

    let fixed = file.replace("now: yesterday\n", "now: 2026-01-05T08:00:00Z\n");
    let fixed = fixed.replace("  permissions: [{ name: licenses.view }, { name: a.b, flags: [rare] }]\n", "");
    std::fs::write(folder.path().join("wrong.yaml"), fixed).unwrap();
    let output = test(folder.path(), &["wrong.yaml"]);
    let wanted = [3, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 22, 24, 25];
    let wanted: Vec<u64> = wanted.iter().map(|line| from + line).collect();
    assert_eq!(lines(&output, "wrong.yaml"), wanted, "{}", said(&output));
    for text in [
        "peer `byer` is not in the file; did you mean `buyer`?",
        "account `crop` is not in the file; did you mean `corp`?",
        "permission `licences.view` is not registered; did you mean `licenses.view`?",
        "role `msp/Byer` is not in the file; did you mean `msp/Buyer`?",
        "reason `DENY_GRANT` never comes with decision `ALLOW`",
        "`corp` stands twice in `expect`",
        "and no test was run",
    ] {
        assert!(said(&output).contains(text), "{text}: {}", said(&output));
    }
}

/// What somebody commented out, or wrote without a value, would pass for good.
#[test]
fn what_expects_nothing_is_wrong_and_build_servers_hear_of_it() {
    let file = format!(
        "{WORLD}tests:
  - title: Empty
    checks: []
  - title: Blank
    checks:
    authorized_peers: []
  - title: Without expectations
    checks:
      - {{ peer: buyer, account: corp, expect: {{}} }}
      - {{ peer: buyer, account: corp, expect: {{ licenses.view: {{ decision: ALLOW, obligations: , group: }} }} }}
      - {{ peer: buyer, account: corp, resource: , expect: {{ licenses.view: ALLOW }} }}
"
    );
    let from = u64::try_from(WORLD.lines().count()).unwrap();
    let folder = folder(&[("idle.yaml", &file)]);
    let results = folder.path().join("results.xml");
    std::fs::write(&results, "<testsuites errors=\"0\"/>").unwrap();
    let output = test(folder.path(), &["idle.yaml", "--junit", "results.xml"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let wanted: Vec<u64> = [3, 5, 6, 9, 10, 11].iter().map(|line| from + line).collect();
    assert_eq!(lines(&output, "idle.yaml"), wanted, "{}", said(&output));
    let results = std::fs::read_to_string(results).unwrap();
    assert!(results.contains("errors=\"1\"") && results.contains("`checks` is empty"), "{results}");
    junit(&results);
}

#[test]
fn a_world_that_would_not_be_applied_is_not_tested() {
    let tests = "tests: [{ title: T, checks: [{ peer: a, account: corp, expect: { users.view: ALLOW } }] }]\n";
    let accounts = "accounts:\n  - { id: msp, kind: PARTNER, parent: platform, title: M, settings: { role_packs: [opspilot365, keepit] } }\n  ";
    let corp = "- { id: corp, kind: CUSTOMER, parent: msp, title: C, template: keepit }\n";
    for (world, line, why) in [
        ("- { id: corp, kind: DEPARTMENT, parent: msp, title: C }\n".to_owned(), 3, "cannot stand below"),
        (
            "- { id: corp, kind: CUSTOMER, parent: msp, title: C, template: keepit, settings: { partner_access: ALLOWED } }\n".to_owned(),
            3,
            "only be as loose",
        ),
        (format!("{corp}peers:\n  - {{ user_name: a, home: msp, role: opspilot365.technician, access: all, display_name: A }}\n"), 5, "which is a PARTNER"),
        (format!("{corp}peers:\n  - {{ user_name: a, home: msp, role: mspcontrol.help_desk, access: all }}\n"), 5, "is not among the `role_packs`"),
        (format!("{corp}peers:\n  - {{ user_name: a, home: msp, role: msp/None, access: all }}\n"), 5, "role `msp/None` is not in the file"),
        (
            format!(
                "{corp}peers:\n  - {{ user_name: a, home: msp, role: core.auditor, access: all }}\n\
                 bindings:\n  - {{ peer: a, role: core.auditor, account: msp }}\n"
            ),
            7,
            "the same binding of role `core.auditor` on `msp` is there",
        ),
        (format!("{corp}peers:\n  - {{ user_name: a, home: nowhere, role: core.auditor, access: all }}\n"), 5, "account `nowhere` is not in the file"),
        (
            format!(
                "{corp}roles:\n  - {{ owner: msp, title: Two, inheritable: true, grants: [{{ allow: users.view }}], rules: {{ max_holders: 1 }} }}\n\
                 peers:\n  - {{ user_name: a, home: msp, role: msp/Two, access: all }}\n  - {{ user_name: b, home: msp, role: msp/Two, access: all }}\n"
            ),
            8,
            "as many peers hold",
        ),
        (
            format!("{corp}roles:\n  - {{ owner: msp, title: R, grants: [{{ allow: no.such }}] }}\npeers:\n  - {{ user_name: a, home: msp, role: msp/R, access: all }}\n"),
            5,
            "permission `no.such` is not registered",
        ),
    ] {
        let folder = folder(&[("w.yaml", &format!("{accounts}{world}{tests}"))]);
        let output = test(folder.path(), &["w.yaml"]);
        assert_eq!(output.status.code(), Some(2), "{world}: {}", told(&output));
        let named = said(&output).lines().any(|text| text.trim().starts_with(&format!("w.yaml:{line}: ")) && text.contains(why));
        assert!(named, "{world}: {}", said(&output));
    }
}

#[test]
fn a_world_in_another_file_is_named_by_its_own_lines() {
    let tests = "given: { world: world.yaml }\ntests: [{ title: T, checks: [{ peer: buyer, account: corp, expect: { licenses.view: ALLOW } }] }]\n";
    let folder = folder(&[
        ("t.yaml", tests),
        ("world.yaml", &format!("{WORLD}  - {{ peer: nobody, role: msp/Buyer, account: corp }}\n")),
    ]);
    let output = test(folder.path(), &["t.yaml"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let line = u64::try_from(WORLD.lines().count()).unwrap() + 1;
    assert_eq!(lines(&output, "world.yaml"), [line], "{}", said(&output));

    for (text, why) in [
        ("given: { world: nowhere.yaml }\ntests: []\n".to_owned(), "t.yaml:1: `world`: cannot read `nowhere.yaml`"),
        (format!("{WORLD}{tests}"), "`world` names a file, and this one has accounts, peers or roles of its own"),
        ("a: [1".to_owned(), "t.yaml:1:"),
        ("worlds: 1\ntests: []\n".to_owned(), "t.yaml:1: `worlds` is unknown here"),
    ] {
        std::fs::write(folder.path().join("t.yaml"), &text).unwrap();
        let output = test(folder.path(), &["t.yaml"]);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", told(&output));
        assert!(said(&output).contains(why), "{text}: {}", said(&output));
    }
    let output = test(folder.path(), &["missing.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("cannot read `missing.yaml`"), "{}", said(&output));
}

#[test]
fn a_test_whose_answer_hangs_on_the_time_says_the_time() {
    let timed = "  - { peer: trader, role: msp/Buyer, account: corp, expire_time: 2026-03-01T00:00:00Z }\n";
    let check = |now: &str| {
        format!(
            "tests:\n  - title: T\n    checks: [{{ peer: trader, account: corp, {now}expect: {{ licenses.view: ALLOW }} }}]\n"
        )
    };
    let folder = folder(&[("t.yaml", &format!("{WORLD}{timed}{}", check("")))]);
    let output = test(folder.path(), &["t.yaml"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(said(&output).contains("does not say when, and the world has windows"), "{}", said(&output));
    for (now, code) in [("now: 2026-02-28T23:59:59.999999Z, ", 0), ("now: 2026-03-01T00:00:00Z, ", 1)] {
        std::fs::write(folder.path().join("t.yaml"), format!("{WORLD}{timed}{}", check(now))).unwrap();
        let output = test(folder.path(), &["t.yaml"]);
        assert_eq!(output.status.code(), Some(code), "{now}: {}{}", told(&output), said(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_that_is_tested_is_the_file_that_is_applied() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let tests = "given: { suspended: [shop] }\ntests: [{ title: T, checks: [{ peer: buyer, account: corp, expect: { licenses.view: ALLOW } }] }]\n";
    std::fs::write(folder.path().join("world.yaml"), format!("{WORLD}{tests}")).unwrap();
    let tested = test(folder.path(), &["world.yaml"]);
    assert_eq!(tested.status.code(), Some(0), "{}{}", told(&tested), said(&tested));
    let applied = run(&server, folder.path(), &["apply", "-f", "world.yaml"]).await;
    assert!(applied.status.success(), "{}", said(&applied));
    assert!(server.may("peers/@buyer", "licenses.view", "accounts/corp").await);
    // What is given to tests is no wish.
    assert!(server.may("peers/@trader", "licenses.view", "accounts/shop").await);
    server.stop().await;
}
