//! What goes to stdout, tables for people and proto3 JSON for scripts, and to files of their own.
//!
//! JSON is made from the descriptors of the contract, so that it holds every field, named as the
//! contract's JSON mapping says. In tables, control characters that a name might hold are replaced.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, SerializeOptions, Value,
};

use crate::domain::text;
use crate::transport::grpc::pb;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people
    #[default]
    Table,
    /// The contract's JSON, for scripts; lists are arrays
    Json,
}

/// A message of the contract, by its full name.
pub(crate) trait Named: Message {
    const NAME: &'static str;
}

macro_rules! named {
    ($($name:ident)*) => {$(
        impl Named for pb::$name {
            const NAME: &'static str = concat!("peerage.v1.", stringify!($name));
        }
    )*};
}

named! {
    AccessDifference AccessibleAccount Account ApiKey AuditEvent AuthorizeResponse AuthorizedPeer CreateApiKeyResponse
    EffectivePermission ExplainAuthorizationRequest ExplainAuthorizationResponse GetPermissionMatrixResponse ImportPolicyResponse Peer Permission
    PreviewTotals Role RoleBinding
}

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(pb::DESCRIPTOR).ok());

/// Writes text to stdout. A closed pipe is no error, since whoever reads has seen enough; the exit code
/// goes on to say what came of the command, which for `authorize` is the answer.
pub(crate) fn write(text: &str) -> anyhow::Result<()> {
    match deliver(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes what is lost unless somebody reads it, such as a new key.
pub(crate) fn deliver(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a remark to stderr, where no script takes it for a result.
pub(crate) fn note(text: &str) -> anyhow::Result<()> {
    writeln!(io::stderr().lock(), "{}", clean(text)).map_err(anyhow::Error::from)
}

/// Writes a list: a row each, or a JSON array.
pub(crate) fn list<M: Named>(
    format: Format,
    items: &[M],
    header: &[&str],
    row: impl Fn(&M) -> Vec<String>,
) -> anyhow::Result<()> {
    match format {
        Format::Table => write(&table(header, items.iter().map(row))),
        Format::Json => {
            let values = items.iter().map(json).collect::<anyhow::Result<Vec<_>>>()?;
            write(&format!("{}\n", serde_json::to_string_pretty(&values)?))
        }
    }
}

/// Writes one message: a line for each field that is set, or a JSON object.
pub(crate) fn one<M: Named>(format: Format, message: &M) -> anyhow::Result<()> {
    match format {
        Format::Table => {
            let mut lines = Vec::new();
            fields(&mut lines, "", &dynamic(message)?);
            write(&pairs(&lines))
        }
        Format::Json => write(&format!("{}\n", json_text(message)?)),
    }
}

/// A message as a JSON object.
pub(crate) fn json_text<M: Named>(message: &M) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&json(message)?)?)
}

/// A message as a JSON object on one line, for streams of them.
pub(crate) fn json_line<M: Named>(message: &M) -> anyhow::Result<String> {
    Ok(format!("{}\n", json(message)?))
}

/// Writes that something is done; a script that asked for JSON gets an empty object.
pub(crate) fn done(format: Format, text: &str) -> anyhow::Result<()> {
    match format {
        Format::Table => write(&format!("{}\n", clean(text))),
        Format::Json => write("{}\n"),
    }
}

/// Rows under a header, as wide as the terminal where there is one.
pub(crate) fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    trimmed(&table)
}

fn trimmed(table: &Table) -> String {
    // One blank of padding stands before the first column; further blanks belong to an empty cell.
    table.lines().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(&line).trim_end())).collect()
}

/// Names and values, aligned.
pub(crate) fn pairs(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().map(|(name, value)| format!("{name:width$}  {}\n", clean(value))).collect()
}

/// The text without characters that could drive a terminal or hide what it says.
pub(crate) fn clean(text: &str) -> String {
    text::shown(text)
}

fn dynamic<M: Named>(message: &M) -> anyhow::Result<DynamicMessage> {
    let pool = POOL.as_ref().context("the contract's descriptors cannot be read")?;
    let descriptor = pool.get_message_by_name(M::NAME).with_context(|| format!("no message `{}`", M::NAME))?;
    Ok(DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?)
}

/// A message as a JSON value.
pub(crate) fn json<M: Named>(message: &M) -> anyhow::Result<serde_json::Value> {
    let options = SerializeOptions::new();
    Ok(dynamic(message)?.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// Reads a message from its JSON.
///
/// # Errors
/// What in it is not as the contract's JSON mapping says.
pub(crate) fn from_json<M: Named + Default>(value: serde_json::Value) -> anyhow::Result<M> {
    let pool = POOL.as_ref().context("the contract's descriptors cannot be read")?;
    let descriptor = pool.get_message_by_name(M::NAME).with_context(|| format!("no message `{}`", M::NAME))?;
    Ok(DynamicMessage::deserialize(descriptor, value)?.transcode_to()?)
}

/// A line for each field that is set, in the order of the contract, nested ones by path.
fn fields(lines: &mut Vec<(String, String)>, prefix: &str, message: &DynamicMessage) {
    for (field, value) in message.fields() {
        let path = if prefix.is_empty() { field.name().to_owned() } else { format!("{prefix}.{}", field.name()) };
        match value {
            Value::Message(inner) if inner.descriptor().package_name() != "google.protobuf" => {
                fields(lines, &path, inner);
            }
            Value::List(items) if matches!(field.kind(), Kind::Message(_)) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(inner) = item.as_message() {
                        fields(lines, &format!("{path}[{index}]"), inner);
                    }
                }
            }
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| scalar(&field, item)).collect();
                lines.push((path, items.join(", ")));
            }
            Value::Map(entries) => {
                let mut entries: Vec<_> =
                    entries.iter().map(|(key, value)| (map_key(key), scalar(&field, value))).collect();
                entries.sort();
                lines.extend(entries.into_iter().map(|(key, value)| (format!("{path}.{key}"), value)));
            }
            Value::Bool(_)
            | Value::I32(_)
            | Value::I64(_)
            | Value::U32(_)
            | Value::U64(_)
            | Value::F32(_)
            | Value::F64(_)
            | Value::String(_)
            | Value::Bytes(_)
            | Value::EnumNumber(_)
            | Value::Message(_) => lines.push((path, scalar(&field, value))),
        }
    }
}

fn map_key(key: &MapKey) -> String {
    key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned)
}

fn scalar(field: &FieldDescriptor, value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Bytes(value) => format!("{} bytes", value.len()),
        Value::EnumNumber(number) => enum_word(field, *number),
        // Times and lengths: their JSON is their text.
        Value::Message(message) => message
            .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
            .ok()
            .map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// `CUSTOMER` for `ACCOUNT_KIND_CUSTOMER`.
fn enum_word(field: &FieldDescriptor, number: i32) -> String {
    let Kind::Enum(descriptor) = field.kind() else { return number.to_string() };
    let Some(value) = descriptor.get_value(number) else { return number.to_string() };
    let prefix = descriptor.default_value().name().trim_end_matches("UNSPECIFIED").to_owned();
    value.name().strip_prefix(&prefix).unwrap_or(value.name()).to_owned()
}

/// A new file that its owner alone can read; one that is there already is never overwritten.
pub(crate) fn new_private_file(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).with_context(|| format!("cannot create `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> pb::Account {
        pb::Account {
            name: "accounts/contoso-corp".into(),
            kind: pb::AccountKind::Customer.into(),
            labels: [("env".to_owned(), "test".to_owned())].into(),
            settings: Some(pb::AccountSettings {
                role_packs: vec!["keepit".into(), "core".into()],
                ..Default::default()
            }),
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..Default::default()
        }
    }

    #[test]
    fn json_follows_the_contract() {
        let value = json(&account()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "name": "accounts/contoso-corp",
                "kind": "ACCOUNT_KIND_CUSTOMER",
                "labels": { "env": "test" },
                "settings": { "rolePacks": ["keepit", "core"] },
                "createTime": "1970-01-01T00:00:00Z",
            })
        );
    }

    #[test]
    fn fields_are_lines_in_the_order_of_the_contract() {
        let mut lines = Vec::new();
        fields(&mut lines, "", &dynamic(&account()).unwrap());
        assert_eq!(
            pairs(&lines),
            "name                 accounts/contoso-corp\n\
             kind                 CUSTOMER\n\
             labels.env           test\n\
             settings.role_packs  keepit, core\n\
             create_time          1970-01-01T00:00:00Z\n"
        );
    }

    #[test]
    fn tables_cannot_drive_a_terminal() {
        let text = table(&["NAME"], [vec!["a\u{1b}[2Jb".to_owned()]].into_iter());
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_is_new() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let file = new_private_file(&path).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(new_private_file(&path).is_err());
    }
}
