//! docs/decision-log.md and what is written say the same.

use std::collections::BTreeSet;
use std::path::Path;

use peerage::transport::grpc::pb;
use serde_json::Value;

use super::{entries, logging, until};
use crate::bindings::{bind, binding, eligible};
use crate::conditions::{context, is_text, text, when};
use crate::roles::with_approval;
use crate::support::policy::{allow, create_role, role};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decision-log.md")).unwrap()
}

/// The first column of the table that follows a heading.
fn first_column(page: &str, heading: &str) -> Vec<String> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cell = |line: &str| line.strip_prefix("| `")?.split('`').next().map(ToOwned::to_owned);
    section.lines().filter_map(cell).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_names_every_field_in_its_place_and_every_word() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = logging(folder.path(), |config| config.decision_log.source_address = false).await;
    let operator = server.operator();
    let msp = server.partner("msp", &["mspcontrol"]).await;
    let grants = [with_approval(allow("ftp.view")), when(allow("ftp.update"), is_text("ring", "gold"))];
    let wanted = create_role(&operator, role(&msp, &grants)).await.unwrap().name;
    let peer = server.person(&msp, "ann", &wanted).await.name;
    let asleep = create_role(&operator, role(&msp, &[allow("peers.view")])).await.unwrap().name;
    bind(&operator, eligible(binding(&peer, &asleep, &msp))).await.unwrap();
    let mut asked = 0;
    for (permission, context) in [
        ("ftp.view", None),
        ("ftp.update", Some(context("192.0.2.1", &[]))),
        ("ftp.update", Some(context("192.0.2.1", &[("ring", text("gold"))]))),
        ("peers.view", None),
    ] {
        let request = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Peer(peer.clone())),
            permission: permission.to_owned(),
            account: msp.clone(),
            context,
            ..Default::default()
        };
        operator.access().authorize(request).await.unwrap();
        asked += 1;
    }
    until(&server, "written", asked).await;
    server.stop().await;

    let page = page();
    let fields = first_column(&page, "Fields");
    let mut seen = BTreeSet::new();
    let text = std::fs::read_to_string(&path).unwrap();
    for (line, entry) in text.lines().zip(entries(&path)) {
        let names: Vec<&String> = entry.as_object().unwrap().keys().collect();
        let place = |name: &str| line.find(&format!("\"{name}\":")).unwrap();
        let order: Vec<&String> = fields.iter().filter(|field| names.contains(field)).collect();
        assert_eq!(order.len(), names.len(), "the page names each of {names:?}");
        assert!(order.is_sorted_by_key(|name| place(name)), "in the order of the page: {line}");
        seen.extend(names.into_iter().cloned());
    }
    let unseen: Vec<_> = fields.iter().filter(|field| !seen.contains(*field)).collect();
    assert!(unseen.is_empty(), "{unseen:?} stand on the page alone");

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/transport/grpc/service/decided.rs");
    let source = std::fs::read_to_string(source).unwrap();
    for heading in ["Basis", "Subject"] {
        let words = first_column(&page, heading);
        assert!(words.len() >= 4 && words.iter().all(|word| source.contains(&format!("=> \"{word}\""))), "{words:?}");
    }
    // The example is an entry.
    let (_, example) = page.split_once("```json\n").unwrap();
    let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
    assert!(example.as_object().unwrap().keys().all(|key| fields.contains(key)), "{example}");
}
