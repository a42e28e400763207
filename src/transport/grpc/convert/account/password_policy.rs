//! What an account asks of passwords, on the wire and back.

use crate::domain::invalid::Invalid;
use crate::domain::password::{AGE_MAX_MICROS, AGE_MIN_MICROS, HISTORY_MAX, LENGTH_MAX, LENGTH_MIN, PasswordPolicy};
use crate::transport::grpc::convert::Fields;
use crate::transport::grpc::pb;

/// Reads a policy; `at` is its path.
pub(super) fn read(fields: &mut Fields, at: &str, policy: Option<&pb::PasswordPolicy>) -> Option<PasswordPolicy> {
    let Some(policy) = policy else { return Some(PasswordPolicy::default()) };
    let longest = u16::try_from(LENGTH_MAX).unwrap_or(u16::MAX);
    let min_length = policy.min_length.map(|value| within(value, LENGTH_MIN, longest)).transpose();
    let max_age = policy.max_age.as_ref().map(age).transpose();
    let history_size = policy.history_size.map(|value| within(value, 0, HISTORY_MAX)).transpose();
    let min_length = fields.take(format!("{at}.min_length"), min_length);
    let max_age = fields.take(format!("{at}.max_age"), max_age);
    let history_size = fields.take(format!("{at}.history_size"), history_size);
    Some(PasswordPolicy { min_length: min_length?, max_age: max_age?, history_size: history_size? })
}

fn within(value: i32, min: u16, max: u16) -> Result<u16, Invalid> {
    let found = u16::try_from(value).ok().filter(|value| (min..=max).contains(value));
    found.ok_or(Invalid::OutOfRange { min: min.into(), max: max.into() })
}

/// Parts of a second are cut. What is no duration by the rules of protobuf, such as one whose parts
/// differ in sign, is none here.
fn age(age: &prost_types::Duration) -> Result<i64, Invalid> {
    let is_sound = (0..1_000_000_000).contains(&age.nanos);
    let micros = age.seconds.checked_mul(1_000_000).filter(|_| is_sound);
    micros
        .filter(|micros| (AGE_MIN_MICROS..=AGE_MAX_MICROS).contains(micros))
        .ok_or(Invalid::Form { form: "a duration between an hour and 3,650 days" })
}

/// Writes a policy; none where it asks for nothing.
pub(super) fn write(policy: &PasswordPolicy) -> Option<pb::PasswordPolicy> {
    (!policy.is_empty()).then(|| pb::PasswordPolicy {
        min_length: policy.min_length.map(i32::from),
        max_age: policy.max_age.map(|micros| prost_types::Duration { seconds: micros / 1_000_000, nanos: 0 }),
        history_size: policy.history_size.map(i32::from),
    })
}
