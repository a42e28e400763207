//! Filters of lists: reading one never fails but by naming a place in it, what is read is within the
//! bounds, and every list makes of it what it does, or says why not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::domain::filter::{self, DEPTH_MAX, Node, RESTRICTIONS_MAX};
use peerage::domain::invalid::Invalid;
use peerage::transport::grpc::convert::{Fields, filter as plain, peer};
use peerage::transport::grpc::pb;

/// How many restrictions a filter holds; its depth is checked on the way.
fn count(node: &Node, depth: usize) -> usize {
    // Each parenthesis may hold an AND of ORs, each of which is a node.
    assert!(depth <= 3 * (DEPTH_MAX + 1), "{depth} levels");
    match node {
        Node::And(parts) | Node::Or(_, parts) => parts.iter().map(|part| count(part, depth + 1)).sum(),
        Node::Not(_, inner) => count(inner, depth + 1),
        Node::Is(_) => 1,
    }
}

fuzz_target!(|text: &str| {
    match filter::parse(text) {
        Ok(None) => assert!(text.trim().is_empty()),
        Ok(Some(node)) => assert!(count(&node, 0) <= RESTRICTIONS_MAX),
        Err(Invalid::At { position, .. }) => assert!((1..=text.chars().count() + 1).contains(&position)),
        Err(_) => {}
    }
    // The first line is the filter; what follows is sorted by and searched for.
    let mut parts = text.splitn(3, '\n');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let request = pb::ListPeersRequest {
        account: "accounts/platform".to_owned(),
        filter: part(),
        order_by: part(),
        query: part(),
        ..pb::ListPeersRequest::default()
    };
    let _ = peer::list(&mut Fields::default(), &request);
    let known = |field: &str| field == "title" || field.starts_with("labels.");
    let _ = plain::filter_where(&mut Fields::default(), text, known);
});
