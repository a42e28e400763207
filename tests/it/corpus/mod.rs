//! The decision corpus, `tests/corpus/*.yaml`: what DESIGN says, cell by cell, in the format of `peerage
//! test`. It runs in process, through that command, and over the wire against a server on which each world
//! was made by real calls; both must answer alike in every part.

mod wire;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// How many expectations the corpus has at least.
const CASES_MIN: usize = 1900;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.iter().all(|file| file.extension().is_some_and(|extension| extension == "yaml")), "{files:?}");
    files
}

/// What `peerage test` says of files, as JSON.
fn tested(files: &[PathBuf]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    let output = command.arg("test").args(files).args(["--output", "json", "--coverage"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.is_empty(), "{said}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let wrong: Vec<&Value> = cases(&value).filter(|case| case["holds"] != true).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(output.status.code(), Some(0));
    value
}

fn cases(value: &Value) -> impl Iterator<Item = &Value> {
    value["files"].as_array().unwrap().iter().flat_map(|file| file["cases"].as_array().unwrap())
}

/// Ids such as `MC-24` that a title names.
fn ids(title: &str) -> impl Iterator<Item = &str> {
    let is_id = |word: &&str| {
        let products = ["MC", "MP", "OP", "KP"];
        word.split_once('-')
            .is_some_and(|(product, number)| products.contains(&product) && number.parse::<u8>().is_ok())
    };
    title.split(' ').filter(is_id)
}

#[test]
fn the_corpus_names_ids_that_are_promised_and_built() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/requirements.md");
    let page = std::fs::read_to_string(page).unwrap();
    let value = tested(&files());
    let named: BTreeSet<&str> = cases(&value).flat_map(|case| ids(case["test"].as_str().unwrap())).collect();
    assert!(named.len() >= 40, "{named:?}");
    for id in named {
        let row = page.lines().find(|line| line.starts_with(&format!("| {id} |")));
        let row = row.unwrap_or_else(|| panic!("{id} is not promised"));
        assert!(!row.contains("open: "), "{id} is not built: {row}");
    }
}

#[test]
fn the_corpus_holds_in_process_and_leaves_no_grant_out() {
    let value = tested(&files());
    let count = cases(&value).count();
    assert!(count >= CASES_MIN, "{count}");
    assert_eq!(value["total"], count);
    assert_eq!(value["coverage"]["exercised"], value["coverage"]["total"], "{:#}", value["coverage"]);
    // Every reason that a decision about a peer can have occurs.
    for reason in [
        "ALLOWED",
        "STEP_UP_REQUIRED",
        "APPROVAL_REQUIRED",
        "SUBJECT_UNKNOWN",
        "SUBJECT_DISABLED",
        "SUBJECT_EXPIRED",
        "SUBJECT_HOME_SUSPENDED",
        "ACCOUNT_SUSPENDED",
        "DENY_GRANT",
        "PARTNER_ACCESS_SESSION_REQUIRED",
        "PARTNER_ACCESS_BLOCKED",
        "ELIGIBLE_NOT_ACTIVE",
        "MISSING_ATTRIBUTE",
        "NO_MATCHING_GRANT",
    ] {
        assert!(cases(&value).any(|case| case["expected"]["reason"] == reason), "nobody expects {reason}");
    }
}
