//! Every string, bytes, repeated and map field of every request has a bound, its comment says which,
//! and the server holds it: this walks the descriptor, goes one beyond each, and wants the field named.

use std::collections::BTreeMap;
use std::path::Path;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::rules::{Audit, Escalation, RULES};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use tonic::Code;

use crate::support::{RawClient, Server, bad_fields};

/// A bound, in the unit that the field's kind has.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    characters: Option<usize>,
    items: Option<usize>,
}

/// The comments of all fields: `peerage.v1.Peer.user_name` to its words.
fn comments() -> BTreeMap<String, String> {
    let mut comments = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/peerage/v1");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let (mut scopes, mut comment): (Vec<Option<String>>, String) = (Vec::new(), String::new());
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("//") {
                comment.push(' ');
                comment.push_str(rest.trim());
                continue;
            }
            if let Some(rest) = line.strip_prefix("message ") {
                scopes.push(Some(rest.split_whitespace().next().unwrap().to_owned()));
            } else if line.ends_with('{') {
                scopes.push(None);
            }
            if line.contains(" = ") && line.ends_with(';') && scopes.iter().any(Option::is_some) {
                let name = line.split(" = ").next().unwrap().split_whitespace().last().unwrap();
                let message = scopes.iter().flatten().cloned().collect::<Vec<_>>().join(".");
                comments.insert(format!("peerage.v1.{message}.{name}"), comment.clone());
            }
            if line.ends_with('}') {
                scopes.pop();
            }
            comment.clear();
        }
    }
    comments
}

/// Reads "at most 1,000 items of at most 72 characters" and the like.
fn bound(comment: &str) -> Bound {
    let comment = comment.to_lowercase();
    let mut bound = Bound::default();
    for part in comment.split("at most ").skip(1) {
        let number: String = part.chars().take_while(|one| one.is_ascii_digit() || *one == ',').collect();
        let Ok(number) = number.replace(',', "").parse::<usize>() else { continue };
        let unit = part.split_whitespace().nth(1).unwrap_or_default();
        if unit.starts_with("item") || unit.starts_with("entr") || unit.starts_with("path") {
            bound.items.get_or_insert(number);
        } else if unit.starts_with("character") || unit.starts_with("byte") {
            bound.characters.get_or_insert(number);
        }
    }
    bound
}

/// A field to be overfilled, with the way to it from the request.
struct Target {
    way: Vec<FieldDescriptor>,
    field: FieldDescriptor,
}

impl Target {
    fn path(&self) -> String {
        self.way.iter().chain([&self.field]).map(FieldDescriptor::name).collect::<Vec<_>>().join(".")
    }

    /// The request with nothing but the overfilled field in it.
    fn request(&self, message: &MessageDescriptor, value: Value) -> DynamicMessage {
        let mut inner = (self.field.clone(), value);
        for field in self.way.iter().rev() {
            let Kind::Message(kind) = field.kind() else { unreachable!("the way leads through messages") };
            let mut holder = DynamicMessage::new(kind);
            holder.set_field(&inner.0, inner.1);
            let value = Value::Message(holder);
            inner = (field.clone(), if field.is_list() { Value::List(vec![value]) } else { value });
        }
        let mut request = DynamicMessage::new(message.clone());
        request.set_field(&inner.0, inner.1);
        request
    }
}

fn targets(
    message: &MessageDescriptor,
    way: &[FieldDescriptor],
    comments: &BTreeMap<String, String>,
    found: &mut Vec<Target>,
) {
    for field in message.fields() {
        let comment = comments.get(field.full_name()).map(String::as_str).unwrap_or_default();
        let is_well_known = matches!(field.kind(), Kind::Message(kind) if kind.package_name() == "google.protobuf");
        if comment.contains("Output only") || is_well_known || way.contains(&field) {
            continue;
        }
        if field.is_list() || field.is_map() || matches!(field.kind(), Kind::String | Kind::Bytes) {
            found.push(Target { way: way.to_vec(), field: field.clone() });
        }
        if let Kind::Message(kind) = field.kind()
            && !field.is_map()
        {
            let way: Vec<FieldDescriptor> = way.iter().cloned().chain([field]).collect();
            targets(&kind, &way, comments, found);
        }
    }
}

/// A value one beyond the bound.
fn beyond(field: &FieldDescriptor, bound: Bound) -> Option<Value> {
    let text = |length: usize| "a".repeat(length);
    let one = |length: usize| match field.kind() {
        Kind::String => Some(Value::String(text(length))),
        Kind::Bytes => Some(Value::Bytes(text(length).into_bytes().into())),
        Kind::Message(kind) => Some(Value::Message(DynamicMessage::new(kind))),
        Kind::Enum(_) => Some(Value::EnumNumber(1)),
        _ => None,
    };
    if field.is_map() {
        let count = bound.items? + 1;
        let Kind::Message(entry) = field.kind() else { return None };
        let value = match entry.map_entry_value_field().kind() {
            Kind::String => Value::String("a".to_owned()),
            Kind::Message(kind) => Value::Message(DynamicMessage::new(kind)),
            _ => return None,
        };
        return Some(Value::Map((0..count).map(|key| (MapKey::String(format!("key{key}")), value.clone())).collect()));
    }
    if field.is_list() {
        let count = bound.items? + 1;
        return Some(Value::List(vec![one(1)?; count]));
    }
    one(bound.characters? + 1)
}

async fn refuses(client: &RawClient, method: &str, request: &DynamicMessage, path: &str) -> Result<(), String> {
    let Err(status) = client.call(method, request.encode_to_vec()).await else {
        return Err(format!("{method}: `{path}` was accepted beyond its bound"));
    };
    let bad = bad_fields(&status);
    let plain = |field: &String| {
        let mut plain = String::new();
        let mut is_index = false;
        for one in field.chars() {
            match one {
                '[' => is_index = true,
                ']' => is_index = false,
                other if !is_index => plain.push(other),
                _ => {}
            }
        }
        plain
    };
    // What this release cannot honor is refused as a whole, with all that is in it.
    let is_named = bad.iter().map(plain).any(|field| field == path || path.starts_with(&format!("{field}.")));
    if status.code() == Code::InvalidArgument && is_named {
        Ok(())
    } else {
        Err(format!("{method}: `{path}` beyond its bound gives {:?} {bad:?} {}", status.code(), status.message()))
    }
}

#[tokio::test]
async fn every_bound_is_stated_and_held() {
    let server = Server::start().await;
    let client = server.raw_operator();
    let comments = comments();
    let pool = DescriptorPool::decode(pb::DESCRIPTOR).unwrap();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for service in pool.services().filter(|service| service.package_name() == "peerage.v1") {
        for method in service.methods() {
            let name = format!("/{}/{}", service.full_name(), method.name());
            let rule = RULES.iter().find(|rule| rule.method == name).unwrap();
            let is_built = rule.audit != Audit::Mutation(Escalation::NotBuilt)
                && client.call_empty(&name).await.err().is_none_or(|status| status.code() != Code::Unimplemented);
            if !is_built || method.is_server_streaming() {
                continue;
            }
            let mut found = Vec::new();
            targets(&method.input(), &[], &comments, &mut found);
            for target in found {
                let path = target.path();
                // A batch answers item by item; what an item holds is read as a call of its own is.
                if path.starts_with("items.") || path.starts_with("requests.") {
                    continue;
                }
                let comment = comments.get(target.field.full_name()).map(String::as_str).unwrap_or_default();
                let Some(value) = beyond(&target.field, bound(comment)) else {
                    wrong.push(format!("{}: no bound in `{comment}`", target.field.full_name()));
                    continue;
                };
                tried += 1;
                let request = target.request(&method.input(), value);
                if let Err(why) = refuses(&client, &name, &request, &path).await {
                    wrong.push(why);
                }
            }
        }
    }
    assert!(tried > 150, "only {tried} fields were tried");
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    server.stop().await;
}
