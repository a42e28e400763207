//! From a request to a [`Call`], and from a use case's result to a response: what every service
//! method begins and ends with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Extensions, HeaderMap};
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};
use zeroize::Zeroize;

use super::convert::{Fields, request_id};
use super::{rules, status};
use crate::application::batch::Refusal;
use crate::application::error::Unauthenticated;
use crate::application::page::Tokens;
use crate::application::{Call, Caller, Ctx, Error, RequestId, Result, discretion, refusals, requests};
use crate::transport::socket::Origin;

/// What makes a repeated mutation harmless, and a rehearsal possible.
pub trait Mutation: Message {
    fn request_id(&mut self) -> &mut String;
    fn validate_only(&self) -> bool;
    /// The fields that are never to be hashed, kept or shown.
    fn secrets(&mut self) -> Vec<&mut String>;
}

/// Wipes the secrets of a message that has been read.
pub(super) fn wipe(message: &mut impl Mutation) {
    message.secrets().into_iter().for_each(Zeroize::zeroize);
}

/// Says where a message keeps its `request_id` and `validate_only`, and in braces its secrets.
macro_rules! mutations {
    ($($message:ident $({ $($secret:ident),* })?),* $(,)?) => {$(
        impl $crate::transport::grpc::call::Mutation for $crate::transport::grpc::pb::$message {
            fn request_id(&mut self) -> &mut String {
                &mut self.request_id
            }

            fn validate_only(&self) -> bool {
                self.validate_only
            }

            fn secrets(&mut self) -> Vec<&mut String> {
                vec![$($(&mut self.$secret),*)?]
            }
        }
    )*};
}
pub(super) use mutations;

/// A list whose pages are asked for one after the other.
pub trait Paged: Message + Clone {
    /// The request without what may differ from page to page: how far to read, and what to show.
    fn query(&self) -> Self;
}

/// Says that messages ask for pages, and what else than size and token may differ between them.
macro_rules! lists {
    ($($message:ident { $($free:ident),* }),* $(,)?) => {$(
        impl $crate::transport::grpc::call::Paged for $crate::transport::grpc::pb::$message {
            fn query(&self) -> Self {
                let mut query = self.clone();
                query.page_token.clear();
                query.page_size = 0;
                $(query.$free = Default::default();)*
                query
            }
        }
    )*};
}
pub(super) use lists;

/// The page tokens of a list. Every field of the request that [`Paged`] does not name free is bound
/// into them, so that a new one needs nobody to think of it.
///
/// # Errors
/// [`Error::Store`] where their key cannot be read.
pub(super) async fn tokens(ctx: &Ctx, call: &Call, request: &impl Paged) -> Result<Tokens> {
    Tokens::of(ctx, call, &request.query().encode_to_vec()).await
}

/// The caller of a method that needs nothing else of the call, with its message.
///
/// # Errors
/// UNAUTHENTICATED where the gate let nobody through.
pub(super) fn caller<T>(request: Request<T>) -> std::result::Result<(Caller, T), Status> {
    let (_, extensions, message) = request.into_parts();
    let missing = Error::Unauthenticated(Unauthenticated::CredentialMissing);
    let caller = extensions.get::<Caller>().copied().ok_or_else(|| status::from_error(&missing))?;
    Ok((caller, message))
}

/// The call of a method that changes nothing, with its message.
///
/// # Errors
/// UNAUTHENTICATED where the gate let nobody through.
pub(super) fn read<T>(request: Request<T>, method: &'static str) -> std::result::Result<(Call, T), Status> {
    let (metadata, extensions, message) = request.into_parts();
    let missing = Error::Unauthenticated(Unauthenticated::CredentialMissing);
    let caller = extensions.get::<Caller>().copied().ok_or_else(|| status::from_error(&missing))?;
    Ok((describe(caller, method, metadata.as_ref(), &extensions), message))
}

/// Where a call comes from: the other end of its connection.
pub(super) fn source_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<Origin>().map(|origin| origin.address.ip())
}

/// What is known of a call before its message is read.
pub(super) fn describe(caller: Caller, method: &'static str, headers: &HeaderMap, extensions: &Extensions) -> Call {
    let text = |key: &str| headers.get(key).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    Call {
        caller,
        method,
        permission: rules::find(method).and_then(|found| found.rule.permission()),
        request_id: None,
        body_hash: [0; 32],
        validate_only: false,
        user_agent: text("user-agent").map(|agent| agent.chars().take(USER_AGENT_MAX).collect()),
        trace_id: extensions
            .get::<TraceId>()
            .map(|id| id.0.clone())
            .or_else(|| text("traceparent").and_then(|parent| trace_id(&parent))),
    }
}

/// The mark of a call whose caller holds none of its method's permissions, and which is refused as soon
/// as its message says which of them it needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct LacksAll;

/// The answer to a caller who holds a method's permission nowhere, and the record of it.
pub(super) async fn not_permitted(ctx: &Ctx, call: &Call, permission: &'static str) -> Status {
    match refusals::note_at_gate(ctx, call, permission).await {
        Ok(()) => status::not_permitted(permission),
        Err(error) => status::from_error(&error),
    }
}

/// The id of the trace that a call belongs to, where it is traced: 32 hexadecimal digits.
#[derive(Debug, Clone)]
pub(super) struct TraceId(pub(super) String);

/// The longest user agent that is kept, in characters.
const USER_AGENT_MAX: usize = 256;

/// The time that the caller gives the call: `grpc-timeout`, at most eight digits and a unit.
pub(super) fn given_time(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The call of a method that changes something, with its message.
///
/// A request id that is no UUID is told of by [`checked_of`], together with all else that is wrong.
///
/// # Errors
/// As [`read`].
pub(super) fn mutation<T: Mutation>(
    request: Request<T>,
    method: &'static str,
) -> std::result::Result<(Call, T), Status> {
    let (mut call, mut message) = read(request, method)?;
    if !message.request_id().is_empty() {
        call.request_id = Some(match request_id(message.request_id()) {
            Some(id) => {
                // One spelling for all, since the hash tells a repeat from another request.
                *message.request_id() = id.to_string();
                RequestId::Uuid(id)
            }
            None => RequestId::Malformed,
        });
        call.body_hash = body_hash(&mut message);
    }
    call.validate_only = message.validate_only();
    Ok((call, message))
}

/// The hash by which a repeat is told from another request. Secrets stand aside meanwhile: a plain hash
/// is kept for a day, and would be a way to guess at them.
fn body_hash(message: &mut impl Mutation) -> [u8; 32] {
    let aside: Vec<String> = message.secrets().into_iter().map(std::mem::take).collect();
    let hash = Sha256::digest(message.encode_to_vec()).into();
    for (place, secret) in message.secrets().into_iter().zip(aside) {
        *place = secret;
    }
    hash
}

/// Runs the work of a call and answers: refusals are recorded, errors become statuses.
///
/// # Errors
/// The status of the error.
pub(super) async fn answer<T, R>(
    ctx: &Arc<Ctx>,
    call: &Call,
    work: impl Future<Output = Result<T>> + Send,
    respond: impl FnOnce(T) -> R,
) -> std::result::Result<Response<R>, Status> {
    match refusals::watch(ctx, call, work).await {
        Ok(result) => Ok(Response::new(respond(result))),
        Err(error) => Err(status_of(ctx, call, &error)),
    }
}

/// The status of an error, with as many names in it as the caller may know.
fn status_of(ctx: &Ctx, call: &Call, error: &Error) -> Status {
    if discretion::may_name(ctx, call.caller, error) { status::from_error(error) } else { status::without_names(error) }
}

/// How an item of a batch is refused: by the status that it would have as a call of its own.
pub(super) fn refusal(ctx: &Ctx, call: &Call, error: &Error) -> Refusal {
    Refusal(status::to_message(&status_of(ctx, call, error)).encode_to_vec())
}

/// The status in a refusal.
pub(super) fn refused(refusal: &Refusal) -> tonic_types::Status {
    tonic_types::Status::decode(refusal.0.as_slice()).unwrap_or_default()
}

/// The trace id of a W3C `traceparent`: the second of four fields, 32 hexadecimal digits.
fn trace_id(parent: &str) -> Option<String> {
    let id = parent.split('-').nth(1)?;
    let fits = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    fits.then(|| id.to_owned())
}

/// Collects what is wrong with a request that changes nothing and fails with all of it at once.
///
/// # Errors
/// [`Error::Invalid`] with every violation.
pub(super) fn checked<T>(read: impl FnOnce(&mut Fields) -> Option<T>) -> Result<T> {
    settled(Fields::default(), read)
}

/// As [`checked`], of a call that changes something: its request id is one of its fields.
///
/// # Errors
/// As [`checked`].
pub(super) fn checked_of<T>(call: &Call, read: impl FnOnce(&mut Fields) -> Option<T>) -> Result<T> {
    settled(Fields::beginning_with(requests::violation(call)), read)
}

fn settled<T>(mut fields: Fields, read: impl FnOnce(&mut Fields) -> Option<T>) -> Result<T> {
    match (read(&mut fields), fields.into_violations()) {
        (Some(value), violations) if violations.is_empty() => Ok(value),
        (None, violations) if violations.is_empty() => {
            Err(Error::Internal(anyhow::anyhow!("a request was refused without a reason")))
        }
        (_, violations) => Err(Error::Invalid(violations)),
    }
}
