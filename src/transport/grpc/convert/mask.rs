//! Update masks (AIP-134, AIP-161): which fields of a resource a request means to change.

use prost_types::FieldMask;

use super::Fields;
use crate::domain::invalid::Invalid;

/// The most paths that one mask names.
pub const PATHS_MAX: usize = 64;

/// The fields that a request changes, each a path that its resource knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(Vec<&'static str>);

impl Mask {
    /// Whether the request changes a field, by its own path or that of the message around it.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.0.iter().any(|named| path.strip_prefix(named).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }
}

/// Reads a mask. Without paths it names every field that `is_populated`, and `*` names all.
///
/// `known` holds the paths that can be changed; anything else, output-only fields too, is refused.
pub fn update(
    fields: &mut Fields,
    mask: Option<&FieldMask>,
    known: &'static [&'static str],
    is_populated: impl Fn(&str) -> bool,
) -> Option<Mask> {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() {
        return Some(Mask(known.iter().copied().filter(|path| is_populated(path)).collect()));
    }
    if paths.len() > PATHS_MAX {
        fields.refuse("update_mask", Invalid::TooMany { max: PATHS_MAX });
        return None;
    }
    if paths.iter().any(|path| path == "*") {
        if paths.len() > 1 {
            fields.refuse("update_mask", Invalid::NotAllowed { why: "`*` stands alone" });
            return None;
        }
        return Some(Mask(known.to_vec()));
    }
    let found: Vec<&'static str> =
        paths.iter().filter_map(|path| known.iter().copied().find(|known| known == path)).collect();
    if found.len() < paths.len() {
        fields.refuse("update_mask", Invalid::Unknown { choices: "the fields that can be changed" });
        return None;
    }
    Some(Mask(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["title", "rules", "rules.assignable"];

    fn read(paths: &[&str]) -> Option<Mask> {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        update(&mut Fields::default(), Some(&mask), KNOWN, |path| path == "title")
    }

    #[test]
    fn masks_name_known_fields_only() {
        assert!(read(&["title"]).unwrap().has("title"));
        assert!(!read(&["title"]).unwrap().has("rules.assignable"));
        assert!(read(&["rules"]).unwrap().has("rules.assignable"));
        assert!(!read(&["rules.assignable"]).unwrap().has("rules"));
        assert!(read(&["*"]).unwrap().has("rules"));
        assert_eq!(read(&[]), Some(Mask(vec!["title"])));
        assert_eq!(read(&["etag"]), None);
        assert_eq!(read(&["*", "title"]), None);
        assert_eq!(read(&["title"; 65]), None);
    }
}
