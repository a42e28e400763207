//! Calls for tests that work inside the process, without the wire.

use peerage::application::guard::View;
use peerage::application::{Call, Ctx};
use peerage::crypto::api_key::hash_presented;
use peerage::transport::grpc::rules;

/// A call of a method by a key, as the gate would describe it.
pub fn call(ctx: &Ctx, method: &'static str, key: &str) -> Call {
    let snapshot = ctx.snapshot();
    let (_, caller) = View::of_key(&snapshot, hash_presented(key).unwrap(), None, ctx.clock.now()).unwrap();
    Call {
        caller,
        method,
        permission: rules::find(method).unwrap().rule.permission(),
        request_id: None,
        body_hash: [0; 32],
        validate_only: false,
        user_agent: None,
        trace_id: None,
    }
}
