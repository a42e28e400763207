//! docs/requirements.md names, for every promised id, the tests that prove it or what it waits for.

use std::collections::BTreeSet;
use std::path::Path;

/// How many ids each product has.
const IDS: &[(&str, u32)] = &[("MC", 61), ("MP", 26), ("OP", 51), ("KP", 19)];

/// What an id may wait for, until later work builds it.
const WAITS: &[&str] = &[
    "lists of rights",
    "signing in",
    "mail",
    "external providers",
    "elevation",
    "approvals",
    "account sessions",
    "findings",
    "REST",
];

fn tests(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(tests(&path));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
                if is_test {
                    names.insert(rest.split('(').next().unwrap().to_owned());
                }
                is_test = false;
            }
        }
    }
    names
}

#[test]
fn every_id_has_a_test_or_says_what_it_waits_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = tests(&root.join("tests/it"));
    let page = std::fs::read_to_string(root.join("docs/requirements.md")).unwrap();
    let mut seen = Vec::new();
    for line in page.lines().filter(|line| IDS.iter().any(|(product, _)| line.starts_with(&format!("| {product}-")))) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (id, proof) = (cells[1], cells[cells.len() - 2]);
        seen.push(id.to_owned());
        if let Some(waits) = proof.strip_prefix("open: ") {
            for wait in waits.split(", ") {
                assert!(WAITS.contains(&wait), "{id} waits for `{wait}`");
            }
            continue;
        }
        let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{id} has neither a test nor a reason");
        let prefix = format!("{}_", id.to_lowercase().replace('-', "_"));
        assert!(named.iter().any(|test| test.starts_with(&prefix)), "no test of {id} is named after it: {named:?}");
        for test in named {
            assert!(tests.contains(test), "{id} names `{test}`, which is not there");
        }
    }
    let expected: Vec<String> = IDS
        .iter()
        .flat_map(|(product, count)| (1..=*count).map(move |number| format!("{product}-{number:02}")))
        .collect();
    assert_eq!(seen, expected);
}
