//! Wire messages to domain values and back. All violations of a request are named at once.

pub mod access;
pub mod access_lists;
pub mod account;
pub mod api_key;
pub mod audit;
pub mod batch;
pub mod binding;
pub mod explain;
pub mod filter;
pub mod group;
pub mod mask;
pub mod order;
pub mod page;
pub mod peer;
pub mod permission;
pub mod policy;
pub mod preview;
pub mod role;

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::application::Violation;
use crate::domain::ids::{AccountId, BindingId, GroupId, RoleId};
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerRef;
use crate::domain::time::Timestamp;

/// Reads fields one by one and keeps what is wrong with each.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    /// Begins with what is known to be wrong already.
    pub fn beginning_with(known: impl IntoIterator<Item = Violation>) -> Self {
        Self { violations: known.into_iter().collect() }
    }

    /// Keeps a violation of a field.
    pub fn refuse(&mut self, field: impl Into<String>, why: Invalid) {
        self.violations.push(Violation::new(field, why));
    }

    /// The value of a field, or nothing and a violation.
    pub fn take<T>(&mut self, field: impl Into<String>, value: Result<T, Invalid>) -> Option<T> {
        value.map_err(|why| self.refuse(field, why)).ok()
    }

    /// A field that must be set to a value that can be read.
    pub fn required<T>(
        &mut self,
        field: impl Into<String>,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let value = if text.is_empty() { Err(Invalid::Missing) } else { parse(text) };
        self.take(field, value)
    }

    /// A field that may be empty: `Some(None)` where it is, `None` where it is wrong.
    pub fn optional<T>(
        &mut self,
        field: impl Into<String>,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<Option<T>> {
        if text.is_empty() {
            return Some(None);
        }
        self.take(field, parse(text)).map(Some)
    }

    /// An optional time.
    pub fn time(
        &mut self,
        field: impl Into<String>,
        time: Option<&prost_types::Timestamp>,
    ) -> Option<Option<Timestamp>> {
        match time {
            None => Some(None),
            Some(time) => self.take(field, parse_time(time)).map(Some),
        }
    }

    /// A field that this release cannot honor must not be set.
    pub fn unsupported(&mut self, field: impl Into<String>, is_set: bool) {
        if is_set {
            self.refuse(field, Invalid::Unsupported);
        }
    }

    /// A list of at most `max` items.
    pub fn at_most<T>(&mut self, field: impl Into<String>, items: &[T], max: usize) {
        if items.len() > max {
            self.refuse(field, Invalid::TooMany { max });
        }
    }

    #[must_use]
    pub fn into_violations(self) -> Vec<Violation> {
        self.violations
    }
}

/// The longest etag, in characters.
const ETAG_MAX: usize = 64;

/// The version that an etag names; none of an empty one. What no etag ever looked like is the version
/// of no row.
///
/// # Errors
/// [`Invalid::TooLong`] beyond its bound.
pub fn etag(etag: &str) -> Result<Option<i64>, Invalid> {
    if etag.len() > ETAG_MAX {
        return Err(Invalid::TooLong { max: ETAG_MAX });
    }
    Ok((!etag.is_empty()).then(|| etag.parse().unwrap_or(0)))
}

/// The etag of a row's version.
#[must_use]
pub fn etag_to_pb(version: i64) -> String {
    version.to_string()
}

/// Reads the id of a request: a UUID in its form with hyphens, in whichever case.
#[must_use]
pub fn request_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == Hyphenated::LENGTH)
}

/// Reads `accounts/{account}`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn account_name(name: &str) -> Result<AccountId, Invalid> {
    named(name, "accounts/", "`accounts/{account}`", AccountId::parse)
}

/// Reads `roles/{role}`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn role_name(name: &str) -> Result<RoleId, Invalid> {
    named(name, "roles/", "`roles/{role}`", RoleId::parse)
}

/// Reads `roleBindings/{id}`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn binding_name(name: &str) -> Result<BindingId, Invalid> {
    named(name, "roleBindings/", "`roleBindings/{id}`", BindingId::parse)
}

/// Reads `groups/{group}`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn group_name(name: &str) -> Result<GroupId, Invalid> {
    named(name, "groups/", "`groups/{group}`", GroupId::parse)
}

/// Reads a reference to a peer.
///
/// # Errors
/// [`Invalid`] naming what is wrong.
pub fn peer_name(name: &str) -> Result<PeerRef, Invalid> {
    PeerRef::parse(name)
}

pub(super) fn named<T>(
    name: &str,
    prefix: &str,
    form: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<T, Invalid> {
    let id = name.strip_prefix(prefix).ok_or(Invalid::Form { form })?;
    parse(id).map_err(|_| Invalid::Form { form })
}

/// Reads a protobuf time; digits below a microsecond are cut.
///
/// # Errors
/// [`Invalid::Form`] outside the years 0001 to 9999.
pub fn parse_time(time: &prost_types::Timestamp) -> Result<Timestamp, Invalid> {
    const FORM: Invalid = Invalid::Form { form: "a time between the years 0001 and 9999" };
    if !(0..1_000_000_000).contains(&time.nanos) {
        return Err(FORM);
    }
    let micros = time.seconds.checked_mul(1_000_000).ok_or(FORM)?;
    Timestamp::parse_micros(micros.checked_add(i64::from(time.nanos) / 1000).ok_or(FORM)?)
}

/// Writes a protobuf time.
#[must_use]
pub fn time(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0);
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}
