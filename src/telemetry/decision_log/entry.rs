//! One decision as a line of JSON. What means the same as in Authorize has its name and its form in the
//! contract's JSON, so that `peerage authorize --replay` can hold the two against each other.
//!
//! docs/decision-log.md says what each field holds; fields may be added, and what one means changes
//! with the version alone.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// The version of the format.
pub const VERSION: u8 = 1;

/// A decision that was made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub version: u8,
    pub time: String,
    pub decision_id: String,
    pub method: &'static str,
    pub caller: String,
    pub api_key: String,
    pub subject: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub peer: String,
    pub permission: String,
    pub account: String,
    #[serde(skip_serializing_if = "Circumstances::is_empty")]
    pub context: Circumstances,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<&'static str>,
    pub basis: &'static str,
    pub decision: &'static str,
    pub reason: &'static str,
    #[serde(serialize_with = "as_text")]
    pub revision: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_binding: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_index: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub missing_attribute: String,
}

/// What the request said of its circumstances, as far as it is logged.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Circumstances {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource_attributes: BTreeMap<String, AttributeValue>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_address: String,
}

impl Circumstances {
    fn is_empty(&self) -> bool {
        self.resource_attributes.is_empty() && self.source_address.is_empty()
    }
}

/// A value of an attribute.
#[derive(Debug, Clone, Serialize)]
pub enum AttributeValue {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "intValue", serialize_with = "as_text")]
    Int(i64),
    #[serde(rename = "boolValue")]
    Bool(bool),
}

/// What is owed before the answer is ALLOW.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Obligation {
    Approval {
        method: String,
        permission: String,
        account: String,
        approver_permission: String,
    },
    StepUp {
        #[serde(skip_serializing_if = "Option::is_none")]
        min_assurance: Option<&'static str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        methods: Vec<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_age: Option<String>,
    },
    Elevation {
        method: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        role_binding: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        group: String,
    },
}

/// Whole numbers of 64 bits are texts in the contract's JSON: many readers know no such numbers.
fn as_text<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}
