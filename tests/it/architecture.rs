//! Imports point one way. The rooms and what each may import are HOUSE's table, as data.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, what of this crate it may import, and which other crates it must not.
struct Room {
    path: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    Room { path: "domain", may: &["domain"], never: &["tokio", "sea_orm", "tonic", "prost", "casbin", "futures_util"] },
    Room { path: "decision", may: &["decision", "domain"], never: &["tokio", "sea_orm", "tonic", "prost"] },
    Room { path: "crypto", may: &["crypto", "domain"], never: &["sea_orm", "tonic", "prost", "casbin"] },
    Room { path: "storage", may: &["storage", "domain"], never: &["tonic", "prost", "casbin"] },
    Room {
        path: "application",
        may: &["application", "crypto", "decision", "domain", "storage"],
        never: &["tonic", "prost", "casbin"],
    },
    Room {
        path: "transport/grpc/service",
        may: &["application", "decision", "domain", "telemetry", "transport"],
        never: &["sea_orm", "casbin"],
    },
    Room {
        path: "transport/grpc/convert",
        may: &["application", "decision", "domain", "transport"],
        never: &["sea_orm", "casbin", "tokio"],
    },
    Room {
        path: "transport/grpc/layer",
        may: &["application", "config", "crypto", "domain", "telemetry", "transport"],
        never: &["sea_orm", "casbin"],
    },
    Room {
        path: "transport/http",
        may: &["application", "telemetry", "transport"],
        never: &["sea_orm", "casbin", "prost"],
    },
    Room {
        path: "transport/socket",
        may: &["config", "telemetry", "transport"],
        never: &["sea_orm", "casbin", "prost"],
    },
    Room { path: "telemetry", may: &["application", "config", "telemetry"], never: &["sea_orm", "casbin"] },
    Room { path: "worker", may: &["application", "decision", "domain", "storage"], never: &["tonic", "prost"] },
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The names that follow a prefix anywhere in the text that is not a comment.
fn names_after(text: &str, prefix: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    code.match_indices(prefix)
        .filter(|(at, _)| {
            !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
        })
        .map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            rest.chars().take_while(|one| one.is_alphanumeric() || *one == '_').collect()
        })
        .collect()
}

#[test]
fn imports_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for room in ROOMS {
        let files = sources(&root.join(room.path));
        assert!(!files.is_empty(), "no room `{}`", room.path);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for name in names_after(&text, "crate::") {
                if !name.is_empty() && !room.may.contains(&name.as_str()) {
                    wrong.push(format!("{} imports `{name}`", file.display()));
                }
            }
            for name in room.never {
                if names_after(&text, &format!("{name}::")).iter().any(|_| true) {
                    wrong.push(format!("{} uses `{name}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_decision_knows_casbin_and_only_storage_knows_entities() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root) {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix(&root).unwrap();
        if !place.starts_with("decision") {
            assert!(names_after(&text, "casbin::").is_empty(), "{} uses casbin", place.display());
        }
        if !place.starts_with("storage") {
            assert!(!text.contains("storage::entity"), "{} uses entities", place.display());
        }
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} has no `//!`", file.display());
    }
}
