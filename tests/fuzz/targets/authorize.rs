//! Requests to decide: whatever bytes come are refused with every wrong field named, or are questions
//! within the bounds, whose answer from an empty platform is a denial.

#![no_main]

#[path = "../platform.rs"]
mod platform;

use libfuzzer_sys::fuzz_target;
use peerage::decision::{Outcome, Query, evaluate};
use peerage::domain::context::ATTRIBUTES_MAX;
use peerage::domain::time::Timestamp;
use peerage::transport::grpc::convert::access;
use peerage::transport::grpc::convert::Fields;
use peerage::transport::grpc::pb;
use platform::{PERMISSION, PLATFORM};
use prost::Message as _;

/// Asks for somebody whom nobody knows, with the context that was read.
fn decide(check: &access::OwnedCheck) {
    assert!(check.context.attributes.len() <= ATTRIBUTES_MAX);
    let snapshot = &*PLATFORM;
    let query = Query {
        peer: None,
        permission: snapshot.find_permission(PERMISSION).expect("registered"),
        account: snapshot.find_account("platform").expect("the root"),
        now: Timestamp::from_micros(0),
        context: &check.context,
    };
    assert_eq!(evaluate(snapshot, &query).outcome, Outcome::Deny);
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = pb::AuthorizeRequest::decode(bytes) {
        let mut fields = Fields::default();
        let read = access::authorize(&mut fields, &request);
        let wrong = fields.into_violations();
        assert!(read.is_some() || !wrong.is_empty(), "refused without a word");
        if let Some((check, _)) = read {
            decide(&check);
        }
    }
    if let Ok(request) = pb::BatchAuthorizeRequest::decode(bytes) {
        let mut fields = Fields::default();
        let read = access::batch(&mut fields, &request);
        assert!(read.is_some() || !fields.into_violations().is_empty(), "a batch refused without a word");
        for item in &request.items {
            let mut fields = Fields::default();
            match access::item(&mut fields, item, &request) {
                Some(check) => decide(&check),
                None => assert!(!fields.into_violations().is_empty(), "an item refused without a word"),
            }
        }
    }
});
