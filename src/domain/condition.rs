//! When a grant counts: typed conditions, never free script.
//!
//! INVARIANT: a condition is in its canonical form however it was written: lists without order are
//! sets, names of zones have their one spelling, networks carry no host bits, and "is this value" is a
//! list of one. Two conditions that say the same in the same parts are therefore equal, which is what
//! the rule against escalation compares (a conditional right covers only the same condition).
//!
//! What is asked of a request lives here; whether it holds is decided in the decision room, where
//! networks and zones are prepared once.

mod attribute;
mod network;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::account::{label_key, label_value};
use super::invalid::Invalid;

pub use attribute::{AttributeMatch, Demand, IntRange, VALUES_MAX, attribute_name, attribute_value};
pub use network::{NETWORK_LENGTH_MAX, Network};
pub use window::{DAYS_MAX, Day, MINUTES_PER_WEEK, WeeklyWindow, Zone};

/// The most networks, windows, attributes and labels of one condition.
pub const NETWORKS_MAX: usize = 64;
pub const WINDOWS_MAX: usize = 32;
pub const ATTRIBUTES_MAX: usize = 32;
pub const LABELS_MAX: usize = 32;
/// The most values that one label may have.
pub const LABEL_VALUES_MAX: usize = 64;

/// What a decision calls the source address where a request lacks it. No attribute of a condition can
/// have this name.
pub const SOURCE_ADDRESS: &str = "@source_address";

/// When a grant counts. Every part that is set must hold; an empty condition always holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// The source address lies in one of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub source_networks: BTreeSet<Network>,
    /// The server's clock lies in one of these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub weekly_windows: BTreeSet<WeeklyWindow>,
    /// Each of these holds for the resource.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub resource_attributes: BTreeSet<AttributeMatch>,
    /// The account's label has one of these values, inheritance counted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub account_labels: BTreeMap<String, BTreeSet<String>>,
}

impl Condition {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.source_networks.is_empty()
            && self.weekly_windows.is_empty()
            && self.resource_attributes.is_empty()
            && self.account_labels.is_empty()
    }

    /// How many parts are looked at one by one.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.weekly_windows.len() + self.resource_attributes.len() + self.account_labels.len()
    }

    /// Checks what the types leave open, of a condition that came as a whole: bounds, labels, zones.
    ///
    /// # Errors
    /// The first thing that is wrong, and the value that it is wrong with.
    pub fn check(&self) -> Result<(), (String, Invalid)> {
        let parts = [
            ("source_networks", self.source_networks.len(), NETWORKS_MAX),
            ("weekly_windows", self.weekly_windows.len(), WINDOWS_MAX),
            ("resource_attributes", self.resource_attributes.len(), ATTRIBUTES_MAX),
            ("account_labels", self.account_labels.len(), LABELS_MAX),
        ];
        for (part, count, max) in parts {
            if count > max {
                return Err((part.to_owned(), Invalid::TooMany { max }));
            }
        }
        for window in &self.weekly_windows {
            Zone::parse(window.zone().as_str()).map_err(|why| (window.zone().as_str().to_owned(), why))?;
        }
        for (key, values) in &self.account_labels {
            label_key(key).map_err(|why| (key.clone(), why))?;
            if values.is_empty() {
                return Err((key.clone(), Invalid::Empty));
            }
            if values.len() > LABEL_VALUES_MAX {
                return Err((key.clone(), Invalid::TooMany { max: LABEL_VALUES_MAX }));
            }
            for value in values {
                label_value(value).map_err(|why| (value.clone(), why))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_canonical_however_they_were_stored() {
        let stored = r#"{
            "source_networks": ["2001:db8::/32", "10.0.0.0/8", "::ffff:10.0.0.0/104", "10.0.0.0/8"],
            "weekly_windows": [
                {"days": ["SUNDAY", "MONDAY", "SUNDAY"], "start_minute": 0, "end_minute": 1440, "time_zone": "Etc/UTC"}
            ],
            "resource_attributes": [
                {"attribute": "size", "range": {"end": 9}},
                {"attribute": "department", "any_of": ["sales", 7, true, "sales"]},
                {"attribute": "department", "equals": "sales"}
            ],
            "account_labels": {"env": ["test", "stage", "test"]}
        }"#;
        let condition: Condition = serde_json::from_str(stored).unwrap();
        condition.check().unwrap();
        let written = concat!(
            r#"{"source_networks":["10.0.0.0/8","2001:db8::/32"],"#,
            r#""weekly_windows":[{"days":["MONDAY","SUNDAY"],"start_minute":0,"end_minute":1440,"time_zone":"Etc/UTC"}],"#,
            r#""resource_attributes":[{"attribute":"department","equals":"sales"},"#,
            r#"{"attribute":"department","any_of":["sales",7,true]},{"attribute":"size","range":{"end":9}}],"#,
            r#""account_labels":{"env":["stage","test"]}}"#
        );
        assert_eq!(serde_json::to_string(&condition).unwrap(), written);
        assert_eq!(serde_json::from_str::<Condition>(written).unwrap(), condition);
        // What was stored before there were other parts.
        let labels: Condition = serde_json::from_str(r#"{"account_labels":{"env":["test"]}}"#).unwrap();
        assert_eq!(labels.account_labels["env"].iter().collect::<Vec<_>>(), ["test"]);
        assert!(Condition::default().is_empty() && !labels.is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for bad in [
            r#"{"source_networks":["10.0.0.1/8"]}"#,
            r#"{"weekly_windows":[{"days":[],"start_minute":0,"end_minute":1,"time_zone":"UTC"}]}"#,
            r#"{"resource_attributes":[{"attribute":"size"}]}"#,
            r#"{"resource_attributes":[{"attribute":"size","equals":1,"prefix":"a"}]}"#,
            r#"{"resource_attributes":[{"attribute":"@source_address","equals":1}]}"#,
            r#"{"resource_attributes":[{"attribute":"size","range":{}}]}"#,
            r#"{"resource_attributes":[{"attribute":"size","equals":1.5}]}"#,
            r#"{"script":"true"}"#,
        ] {
            assert!(serde_json::from_str::<Condition>(bad).is_err(), "{bad}");
        }
        let unknown =
            r#"{"weekly_windows":[{"days":["MONDAY"],"start_minute":0,"end_minute":1,"time_zone":"Mars/Here"}]}"#;
        let unknown: Condition = serde_json::from_str(unknown).unwrap();
        assert_eq!(unknown.check().unwrap_err().0, "Mars/Here");
    }
}
