//! Imports point one way. The rooms and what each may import are HOUSE's table, as data.
//!
//! Every path in the code is read, wherever it stands: in groups of a `use`, behind `super` and
//! `self`, and in the middle of an expression. Every file stands in a room.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, by the path of its module: what of this crate it may import beside itself, and which other
/// crates it must not.
struct Room {
    at: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const fn room(at: &'static str, may: &'static [&'static str], never: &'static [&'static str]) -> Room {
    Room { at, may, never }
}

const PURE: &[&str] = &["tokio", "sea_orm", "tonic", "tonic_types", "prost", "prost_types", "casbin", "futures_util"];
const NO_WIRE: &[&str] = &["tonic", "tonic_types", "prost", "prost_types", "casbin"];
const NO_WIRE_NO_SQL: &[&str] = &["tonic", "tonic_types", "prost", "prost_types", "casbin", "sea_orm", "migrations"];
const NO_SQL: &[&str] = &["casbin", "sea_orm", "migrations"];

/// The last room whose path a module's begins with is its own.
const ROOMS: &[Room] = &[
    room("domain", &[], PURE),
    room("decision", &["domain"], &["tokio", "sea_orm", "tonic", "tonic_types", "prost", "prost_types"]),
    room("crypto", &["domain"], PURE),
    room("storage", &["domain"], NO_WIRE),
    room("application", &["crypto", "decision", "domain", "storage"], NO_WIRE_NO_SQL),
    room("transport::grpc::pb", &[], NO_SQL),
    room("transport::grpc::rules", &["telemetry"], NO_WIRE_NO_SQL),
    room("transport::grpc::status", &["application", "domain", "telemetry", "transport::grpc::pb"], NO_SQL),
    room(
        "transport::grpc::call",
        &[
            "application",
            "domain",
            "transport::grpc::convert",
            "transport::grpc::pb",
            "transport::grpc::rules",
            "transport::grpc::status",
            "transport::socket",
        ],
        NO_SQL,
    ),
    room(
        "transport::grpc::convert",
        &["application", "decision", "domain", "transport::grpc::pb"],
        &["casbin", "sea_orm", "migrations", "tokio", "tonic"],
    ),
    room(
        "transport::grpc::layer",
        &[
            "application",
            "config",
            "crypto",
            "domain",
            "telemetry",
            "transport::grpc::call",
            "transport::grpc::rules",
            "transport::grpc::status",
        ],
        NO_SQL,
    ),
    room(
        "transport::grpc::service",
        &[
            "application",
            "decision",
            "domain",
            "telemetry",
            "transport::grpc::call",
            "transport::grpc::convert",
            "transport::grpc::pb",
            "transport::grpc::status",
        ],
        NO_SQL,
    ),
    room(
        "transport::grpc::server",
        &[
            "application",
            "config",
            "telemetry",
            "transport::grpc::layer",
            "transport::grpc::pb",
            "transport::grpc::service",
            "transport::socket",
        ],
        NO_SQL,
    ),
    room("transport::http", &["application", "telemetry", "transport::socket"], NO_WIRE_NO_SQL),
    room("transport::socket", &["config", "telemetry"], NO_SQL),
    room("worker", &["application", "decision", "domain", "storage"], NO_WIRE),
    room("config", &[], PURE),
    room("telemetry", &["application", "config"], NO_SQL),
    room(
        "cli",
        &[
            "app",
            "application",
            "cli::test",
            "config",
            "crypto",
            "domain",
            "telemetry",
            "transport::grpc::pb",
            "transport::socket",
        ],
        &["casbin", "sea_orm", "migrations"],
    ),
    // The one command that decides by itself, and shows answers as the server would.
    room(
        "cli::test",
        &["application", "cli", "decision", "domain", "transport::grpc::convert", "transport::grpc::pb"],
        NO_SQL,
    ),
    room(
        "app",
        &[
            "application",
            "cli",
            "config",
            "decision",
            "domain",
            "storage",
            "telemetry",
            "transport::grpc::rules",
            "transport::grpc::server",
            "transport::http",
            "transport::socket",
            "worker",
        ],
        NO_SQL,
    ),
];

/// Files that only list the rooms in them, and import nothing.
const HALLS: &[&str] = &["lib", "main", "transport", "transport::grpc"];

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

/// Every source file with the path of its module.
fn modules() -> Vec<(PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |file: &Path| {
        let place = file.strip_prefix(&root).unwrap().with_extension("");
        let mut module: Vec<String> = place.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        module
    };
    sources(&root).into_iter().map(|file| (file.clone(), module(&file))).collect()
}

fn is_within(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn room_of(path: &str) -> Option<&'static Room> {
    ROOMS.iter().rfind(|room| is_within(path, room.at))
}

/// The words and signs of code, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let word: String = rest.chars().take_while(|one| one.is_alphanumeric() || *one == '_').collect();
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some((hashes, body)) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            rest.len() - body.len() + body.find(&end).map_or(body.len(), |at| at + end.len())
        } else if first == '"' {
            quoted(rest, '"')
        } else if rest.starts_with("'\\u{")
            || first == '\'' && rest.chars().nth(if rest.starts_with("'\\") { 3 } else { 2 }) == Some('\'')
        {
            quoted(rest, '\'')
        } else if !word.is_empty() {
            found.push(word.clone());
            word.len()
        } else if rest.starts_with("::") {
            found.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// How many `#` a raw string begins with, and what follows its opening quote.
fn raw_string(text: &str) -> Option<(usize, &str)> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let body = after.trim_start_matches('#');
    Some((after.len() - body.len(), body.strip_prefix('"')?))
}

/// The length of a string or character with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, one) in text.char_indices().skip(1) {
        match one {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if one == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Every path in the code of a module: from the root of the crate as `crate::...`, or by the name that
/// it begins with.
fn paths(text: &str, module: &[String]) -> BTreeSet<String> {
    let tokens = tokens(text);
    let at = |place: usize| tokens.get(place).map_or("", String::as_str);
    let read = |found: &mut BTreeSet<String>, place: usize, inner: &[(String, usize)]| {
        let here: Vec<String> = module.iter().chain(inner.iter().map(|(name, _)| name)).cloned().collect();
        let mut trees = Vec::new();
        let place = tree(&tokens, place, &[], &mut trees);
        found.extend(trees.into_iter().map(|path| resolved(&path, &here)));
        place
    };
    // Whether a `::` is the first sign of a path, as in `::tonic::Status`.
    let begins = |place: usize| {
        place == 0 || !is_name(at(place - 1)) && (at(place - 1) != ">" || place > 1 && at(place - 2) == "-")
    };
    let mut found = BTreeSet::new();
    // Modules that are written out within the file, with the depth of braces that each began at.
    let (mut inner, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
    let mut place = 0;
    while place < tokens.len() {
        let token = at(place);
        match token {
            "mod" if at(place + 2) == "{" => {
                depth += 1;
                inner.push((at(place + 1).to_owned(), depth));
                place += 2;
            }
            "{" => depth += 1,
            "}" => {
                inner.retain(|(_, began)| *began != depth);
                depth = depth.saturating_sub(1);
            }
            // A bound of captured lifetimes, `use<'a>`, is no import.
            "use" if at(place + 1) != "<" => {
                place += if at(place + 1) == "::" { 2 } else { 1 };
                place = read(&mut found, place, &inner);
                continue;
            }
            _ if is_name(token)
                && at(place + 1) == "::"
                && (place == 0 || at(place - 1) != "::" || begins(place - 1)) =>
            {
                place = read(&mut found, place, &inner);
                continue;
            }
            _ => {}
        }
        place += 1;
    }
    found
}
/// Reads a path, which may branch in braces; returns the place after it.
fn tree(tokens: &[String], mut place: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let at = |place: usize| tokens.get(place).map_or("", String::as_str);
    if at(place) == "{" {
        place += 1;
        while !matches!(at(place), "}" | "") {
            place = match at(place) {
                "as" => place + 2,
                token if is_name(token) || token == "{" || token == "*" => tree(tokens, place, prefix, found),
                _ => place + 1,
            };
        }
        return place + 1;
    }
    let path: Vec<String> = prefix.iter().cloned().chain([at(place).to_owned()]).collect();
    place += 1;
    let goes_on = at(place) == "::" && (is_name(at(place + 1)) || matches!(at(place + 1), "{" | "*"));
    if goes_on {
        tree(tokens, place + 1, &path, found)
    } else {
        found.push(path);
        place
    }
}

fn resolved(path: &[String], module: &[String]) -> String {
    let mut here = module.to_vec();
    let mut rest = path;
    let mut is_own = false;
    while let [first, more @ ..] = rest {
        match first.as_str() {
            "crate" => here.clear(),
            "super" => drop(here.pop()),
            "self" => {}
            _ => break,
        }
        is_own = true;
        rest = more;
    }
    if is_own {
        here.splice(0..0, ["crate".to_owned()]);
        here.extend(rest.iter().cloned());
        here.join("::")
    } else {
        path.join("::")
    }
}

/// What a file of a module imports that it may not.
fn wrong(text: &str, module: &[String]) -> Vec<String> {
    let name = module.join("::");
    let own = room_of(&name);
    if own.is_none() && !HALLS.contains(&name.as_str()) {
        return vec!["stands in no room".to_owned()];
    }
    let (at, may, never) = own.map_or(("", &[][..], &[][..]), |own| (own.at, own.may, own.never));
    let is_wrong = |path: &String| match path.strip_prefix("crate") {
        // The root of the crate, or a hall: to name it whole would be a way round.
        Some(path) => match room_of(path.trim_start_matches("::")) {
            Some(room) => room.at != at && !may.contains(&room.at),
            None => true,
        },
        None => never.iter().any(|never| is_within(path, never)),
    };
    paths(text, module).into_iter().filter(is_wrong).map(|path| format!("uses `{path}`")).collect()
}

#[test]
fn imports_point_one_way() {
    let mut found = Vec::new();
    for (file, module) in modules() {
        let text = fs::read_to_string(&file).unwrap();
        found.extend(wrong(&text, &module).into_iter().map(|what| format!("{} {what}", file.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_spelling_of_an_import_goes_round_the_rooms() {
    let module: Vec<String> = ["application", "peers", "read"].map(ToOwned::to_owned).into();
    for bad in [
        "use crate::transport::grpc::pb;",
        "use crate::{storage, transport::grpc::pb};",
        "use crate::{domain::{ids, page}, cli as other};",
        "use super::super::super::worker::run;",
        "use super::{super::super::app, get};",
        "mod tests { use super::super::super::super::worker; }",
        "fn f() { let _ = \"{\"; crate::app::start() }",
        "fn f<'a>(c: char) -> bool { c == '{' || c == '\\'' || super::super::super::cli::run() }",
        "use crate::*;",
        "use crate::{self as all};",
        "pub use sea_orm::ConnectionTrait;",
        "use sea_orm;",
        "use {serde::Serialize, sea_orm as orm};",
        "fn f(x: &impl sea_orm::ConnectionTrait) {}",
        "fn f() -> ::tonic::Status { todo() }",
    ] {
        assert_eq!(wrong(bad, &module).len(), 1, "{bad}");
    }
    for good in [
        "use crate::{domain, storage::{self, peers}};",
        "use super::{sight, super::guard};",
        "mod tests { use super::super::super::guard; }",
        "// use crate::worker;\nlet text = r#\"crate::worker\"#; let other = \"crate::worker\";",
    ] {
        assert_eq!(wrong(good, &module), Vec::<String>::new(), "{good}");
    }
    let nowhere = ["transport", "grpc", "helpers"].map(ToOwned::to_owned);
    assert_eq!(wrong("", &nowhere), ["stands in no room"]);
}

#[test]
fn only_decision_knows_casbin_and_only_storage_knows_entities() {
    for (file, module) in modules() {
        let paths = paths(&fs::read_to_string(&file).unwrap(), &module);
        let uses = |path: &str| paths.iter().any(|used| is_within(used, path));
        assert!(module.first().is_some_and(|room| room == "decision") || !uses("casbin"), "{}", file.display());
        let is_storage = module.first().is_some_and(|room| room == "storage");
        assert!(is_storage || !uses("crate::storage::entity"), "{} uses entities", file.display());
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} has no `//!`", file.display());
    }
}
