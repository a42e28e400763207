//! What a request says about its circumstances: what the conditions of grants are held against.
//!
//! What is left out of a request is unknown, which is not the same as empty: an ALLOW grant whose
//! condition asks for it does not match, a DENY grant does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The most attributes of one request.
pub const ATTRIBUTES_MAX: usize = 64;
/// The longest name and the longest text of an attribute, in characters.
pub const ATTRIBUTE_NAME_MAX: usize = 63;
pub const ATTRIBUTE_TEXT_MAX: usize = 1024;

/// One typed value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    Text(String),
    Int(i64),
    Bool(bool),
}

/// The circumstances of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Attributes of the resource that is acted on, by name.
    pub attributes: BTreeMap<String, AttributeValue>,
    /// The address that the subject acts from.
    pub source_address: Option<IpAddr>,
}

impl Context {
    /// Nothing is known.
    pub const UNKNOWN: &'static Self = &Self { attributes: BTreeMap::new(), source_address: None };
}
