//! Masks: which fields of a resource a request means to change (AIP-134, AIP-161), or wants to see
//! (AIP-157).

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _};
use prost_types::FieldMask;

use super::Fields;
use crate::domain::invalid::Invalid;
use crate::transport::grpc::pb;

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
/// `known` holds the paths that can be changed; anything else, output-only fields too, is refused. What
/// a wrong mask names rightly stands in the answer, so that those fields are looked at all the same.
pub fn update(
    fields: &mut Fields,
    mask: Option<&FieldMask>,
    known: &'static [&'static str],
    is_populated: impl Fn(&str) -> bool,
) -> Mask {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() {
        return Mask(known.iter().copied().filter(|path| is_populated(path)).collect());
    }
    if paths == ["*"] {
        return Mask(known.to_vec());
    }
    if paths.len() > PATHS_MAX {
        fields.refuse("update_mask", Invalid::TooMany { max: PATHS_MAX });
    } else if paths.iter().any(|path| path == "*") {
        fields.refuse("update_mask", Invalid::NotAllowed { why: "`*` stands alone" });
    } else if let Some(paths) = unknown(paths, |path| known.contains(&path)) {
        fields.refuse("update_mask", Invalid::Paths { paths, choices: "the fields that can be changed" });
    }
    Mask(known.iter().copied().filter(|known| paths.iter().any(|path| path == known)).collect())
}

/// The most wrong paths that a refusal names, and the longest of them, in characters.
const NAMED_MAX: usize = 6;
const PATH_MAX: usize = 48;

/// The paths that lead nowhere, in words; none where all of them are right.
pub fn unknown(paths: &[String], is_known: impl Fn(&str) -> bool) -> Option<String> {
    let wrong: Vec<&str> = paths.iter().map(String::as_str).filter(|path| !is_known(path)).collect();
    let shown = |path: &&str| format!("`{}`", path.chars().take(PATH_MAX).collect::<String>().escape_debug());
    let mut text = wrong.iter().take(NAMED_MAX).map(shown).collect::<Vec<_>>().join(", ");
    if wrong.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", wrong.len() - NAMED_MAX));
    }
    (!wrong.is_empty()).then_some(text)
}

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(pb::DESCRIPTOR).ok());

/// The fields of a resource that an answer shows.
#[derive(Debug, Clone, Default)]
pub struct ReadMask(Option<Shown>);

#[derive(Debug, Clone)]
struct Shown {
    descriptor: MessageDescriptor,
    paths: Vec<Vec<String>>,
}

impl ReadMask {
    /// Whether a field of the resource is shown, or a part of it.
    #[must_use]
    pub fn shows(&self, field: &str) -> bool {
        let is_shown = |shown: &Shown| shown.paths.iter().any(|path| path.first().is_some_and(|first| first == field));
        self.0.as_ref().is_none_or(is_shown)
    }

    /// The message without what is not shown.
    #[must_use]
    pub fn apply<M: Message + Default>(&self, message: M) -> M {
        let Some(shown) = &self.0 else { return message };
        let bytes = message.encode_to_vec();
        let Ok(mut dynamic) = DynamicMessage::decode(shown.descriptor.clone(), bytes.as_slice()) else {
            return M::default();
        };
        let paths: Vec<&[String]> = shown.paths.iter().map(Vec::as_slice).collect();
        keep(&mut dynamic, &paths);
        M::decode(dynamic.encode_to_vec().as_slice()).unwrap_or_default()
    }
}

/// Clears all fields of a message but those that the paths lead to.
fn keep(message: &mut DynamicMessage, paths: &[&[String]]) {
    for field in message.descriptor().fields() {
        let below = paths.iter().filter_map(|path| path.split_first()).filter(|(first, _)| *first == field.name());
        let below: Vec<&[String]> = below.map(|(_, rest)| rest).collect();
        if below.is_empty() {
            message.clear_field(&field);
        } else if below.iter().all(|rest| !rest.is_empty())
            && message.has_field(&field)
            && let Some(inner) = message.get_field_mut(&field).as_message_mut()
        {
            keep(inner, &below);
        }
    }
}

/// Reads which fields of a resource to show, `name` being that of its message. Without paths, or by
/// `*`, all are shown.
pub fn read(fields: &mut Fields, mask: Option<&FieldMask>, name: &str) -> Option<ReadMask> {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() || paths == ["*"] {
        return Some(ReadMask(None));
    }
    let descriptor = POOL.as_ref().and_then(|pool| pool.get_message_by_name(&format!("peerage.v1.{name}")));
    let choices = "the fields of the resource";
    let read = match descriptor {
        _ if paths.len() > PATHS_MAX => Err(Invalid::TooMany { max: PATHS_MAX }),
        Some(descriptor) => match unknown(paths, |path| leads_to_a_field(&descriptor, path)) {
            None => Ok(descriptor),
            Some(paths) => Err(Invalid::Paths { paths, choices }),
        },
        None => Err(Invalid::Unknown { choices }),
    };
    let descriptor = fields.take("read_mask", read)?;
    let paths = paths.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect();
    Some(ReadMask(Some(Shown { descriptor, paths })))
}

fn leads_to_a_field(message: &MessageDescriptor, path: &str) -> bool {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let Some(field) = message.get_field_by_name(first) else { return false };
    match (rest, field.kind()) {
        (None, _) => true,
        (Some(rest), Kind::Message(inner)) if !field.is_list() && !field.is_map() => leads_to_a_field(&inner, rest),
        (Some(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_show_what_a_read_mask_names() {
        let peer = pb::Peer {
            name: "peers/1".into(),
            user_name: "emily".into(),
            address: Some(pb::PostalAddress { city: "Bern".into(), country: "CH".into(), ..Default::default() }),
            ..Default::default()
        };
        let show = |paths: &[&str]| {
            let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
            super::read(&mut Fields::default(), Some(&mask), "Peer")
        };
        assert_eq!(show(&[]).unwrap().apply(peer.clone()), peer);
        assert_eq!(show(&["*"]).unwrap().apply(peer.clone()), peer);
        let address = Some(pb::PostalAddress { city: "Bern".into(), ..Default::default() });
        let wanted = pb::Peer { name: "peers/1".into(), address, ..Default::default() };
        assert_eq!(show(&["name", "address.city", "email"]).unwrap().apply(peer.clone()), wanted);
        assert_eq!(show(&["address", "address.city", "name"]).unwrap().apply(peer.clone()).address, peer.address);
        for bad in [
            &["password"][..],
            &["name.x"],
            &["address.nothing"],
            &["external_identities.subject"],
            &["*", "name"],
            &[""],
        ] {
            assert!(show(bad).is_none(), "{bad:?}");
        }
        assert!(show(&["name"; 65]).is_none());
    }

    const KNOWN: &[&str] = &["title", "rules", "rules.assignable"];

    fn read(paths: &[&str]) -> Result<Mask, (Mask, String)> {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let mut fields = Fields::default();
        let read = update(&mut fields, Some(&mask), KNOWN, |path| path == "title");
        match fields.into_violations().as_slice() {
            [] => Ok(read),
            [violation, ..] => Err((read, violation.why.to_string())),
        }
    }

    #[test]
    fn masks_name_known_fields_only() {
        assert!(read(&["title"]).unwrap().has("title"));
        assert!(!read(&["title"]).unwrap().has("rules.assignable"));
        assert!(read(&["rules"]).unwrap().has("rules.assignable"));
        assert!(!read(&["rules.assignable"]).unwrap().has("rules"));
        assert!(read(&["*"]).unwrap().has("rules"));
        assert_eq!(read(&[]), Ok(Mask(vec!["title"])));
        let (rest, why) = read(&["etag", "title", "x\n"]).unwrap_err();
        assert_eq!(rest, Mask(vec!["title"]));
        assert_eq!(why, "names `etag`, `x\\n`: not one of the fields that can be changed");
        assert!(read(&["x"; 10]).unwrap_err().1.contains("`x` and 4 more"));
        assert!(read(&["*", "title"]).is_err());
        assert!(read(&["title"; 65]).is_err());
    }
}
