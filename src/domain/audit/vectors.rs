//! Holds the format to docs/audit-vectors.json, which verifiers in other languages are tested with.
//!
//! The file is written by `UPDATE_AUDIT_VECTORS=1 cargo test audit::vectors`. Vectors are added,
//! never changed: a change here means that events sealed by earlier releases no longer verify.

use std::num::NonZeroU64;

use serde_json::{Value, json};
use uuid::Uuid;

use super::hash::to_hex;
use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit-vectors.json");

/// Escapes, controls, a non-BMP character, both Unicode forms of one letter, and separators that
/// JSON leaves alone though JavaScript once did not.
const HARD: &str = "\"quoted\" \\ / \u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f} é e\u{301} ß 東京 🦊 \u{2028}\u{feff}<&>";

struct Vector {
    name: &'static str,
    draft: AuditDraft,
    sealed: SealedEvent,
    position: LogPosition,
    /// Paths of personal values that were erased after sealing.
    erased: &'static [&'static str],
}

/// What a vector has beside its draft.
#[derive(Default)]
struct More {
    revision: Option<i64>,
    linked: Vec<LinkedEvent>,
    erased: &'static [&'static str],
}

#[derive(Default)]
struct Logs {
    vectors: Vec<Vector>,
    salts: u32,
}

impl Logs {
    fn push(&mut self, name: &'static str, account: &str, draft: &AuditDraft, more: More) {
        let before = self.vectors.iter().rfind(|vector| vector.sealed.account.as_str() == account);
        let seq = before.map_or(1, |vector| vector.sealed.seq + 1);
        let position = LogPosition {
            account: self::account(account),
            seq,
            event_id: event_id(account, seq),
            recorded_time: draft.occurred_time.plus_micros(1_500),
            revision: more.revision,
            prev_hash: before.map_or(GENESIS, |vector| vector.sealed.leaf_hash),
            linked: more.linked,
        };
        let salts = &mut self.salts;
        let sealed = seal(draft, position.clone(), &mut || {
            *salts += 1;
            leaf_hash(format!("salt {salts}").as_bytes())
        })
        .unwrap();
        self.vectors.push(Vector { name, draft: draft.clone(), sealed, position, erased: more.erased });
    }
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn uuid(last: u64) -> Uuid {
    Uuid::from_u64_pair(0x0193_5201_6b2c_7000, 0x8000_0000_0000_0000 | last)
}

fn event_id(account: &str, seq: i64) -> Uuid {
    uuid(0xe000 + u64::try_from(seq).unwrap() + if account == "contoso" { 0 } else { 0x100 })
}

fn peer(last: u64, kind: PeerKind, home: &str, name: Option<&str>) -> ActingPeer {
    ActingPeer {
        uid: PeerId::from(uuid(last)),
        kind,
        home_account: account(home),
        display_name: name.map(Personal::new),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T02:10:27Z").unwrap().plus_micros(seconds * 1_000_000)
}

fn smallest() -> AuditDraft {
    AuditDraft::success(
        at(0),
        Actor::System { name: "bootstrap".into() },
        "accounts.create_customer",
        Target::new("account", Text::public("accounts/contoso")),
    )
}

fn fullest() -> AuditDraft {
    AuditDraft {
        on_behalf_of: Some(peer(0xa2, PeerKind::Person, "contoso", Some("Zoë Müller"))),
        session: Some(format!("accountSessions/{}", uuid(0xb1))),
        target: Target {
            account: Some(account("contoso-berlin")),
            display_name: Some(Personal::new("jane@contoso.example")),
            ..Target::new("peer", Text::public(format!("peers/{}", uuid(0xa3))))
        },
        elevations: vec![uuid(0xc1)],
        approvals: vec![uuid(0xd2), uuid(0xd1)],
        justification: Some(Personal::new(HARD)),
        source_address: Some(Personal::new("2001:db8::1")),
        user_agent: Some(Personal::new("Mozilla/5.0 (X11; Linux x86_64) \"quoted\"")),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        changes: vec![
            Change { field: "labels.note".into(), before: Some(Text::public("")), after: Some(Text::public(HARD)) },
            Change {
                field: "email".into(),
                before: Some(Text::personal("jane@old.example")),
                after: Some(Text::personal("jane@contoso.example")),
            },
            Change { field: "fax".into(), before: Some(Text::personal("+49 30 901820")), after: None },
            Change { field: "city".into(), before: None, after: Some(Text::personal("")) },
        ],
        ..AuditDraft::success(
            at(61),
            Actor::Peer(peer(0xa1, PeerKind::Person, "northwind-msp", Some("John Smith"))),
            "peers.update",
            Target::new("", Text::public("")),
        )
    }
}

fn coalesced() -> AuditDraft {
    AuditDraft {
        session: Some(format!("apiKeys/{}", uuid(0xb2))),
        source_address: Some(Personal::new("198.51.100.7")),
        count: NonZeroU64::new(1_204),
        ..AuditDraft::success(
            at(120),
            Actor::Peer(peer(0xa4, PeerKind::Integration, "contoso", None)),
            "role_bindings.create",
            Target::new("account", Text::public("accounts/contoso")),
        )
        .denied("NO_MATCHING_GRANT")
    }
}

fn anonymous() -> AuditDraft {
    AuditDraft {
        source_address: Some(Personal::new("203.0.113.9")),
        ..AuditDraft::success(
            at(180),
            Actor::Anonymous,
            "sessions.sign_in",
            Target::new("peer", Text::personal("Jäne@contoso.example")),
        )
        .failed("USER_NAME_UNKNOWN")
    }
}

fn reported() -> AuditDraft {
    AuditDraft {
        reporter: Some(peer(0xa5, PeerKind::Device, "platform", Some("mailbox agent"))),
        ..AuditDraft::success(
            at(-3_600),
            Actor::Peer(peer(0xa1, PeerKind::Person, "northwind-msp", None)),
            "users.reset_password",
            Target::new("end_user", Text::personal("jane@contoso.example")),
        )
    }
}

fn link(account: &str, seq: i64) -> Vec<LinkedEvent> {
    vec![LinkedEvent { account: self::account(account), seq, event_id: event_id(account, seq) }]
}

fn vectors() -> Vec<Vector> {
    let at_revision = |revision| More { revision: Some(revision), ..More::default() };
    let mut logs = Logs::default();
    logs.push("the smallest event, and the first of its log", "contoso", &smallest(), at_revision(1));
    logs.push(
        "every text that is hard to encode, linked to another log",
        "contoso",
        &fullest(),
        More { linked: link("northwind-msp", 1), ..at_revision(i64::MAX) },
    );
    logs.push("repeated denials as one event", "contoso", &coalesced(), at_revision(0));
    logs.push("an actor whom nobody knows", "contoso", &anonymous(), More::default());
    logs.push("an act that another service reported", "contoso", &reported(), at_revision(17));
    logs.push(
        "every personal value erased",
        "contoso",
        &anonymous(),
        More { erased: &["/source_address", "/target/name"], ..More::default() },
    );
    logs.push(
        "the same act in the other log, some personal values erased",
        "northwind-msp",
        &fullest(),
        More {
            linked: link("contoso", 2),
            erased: &["/actor/display_name", "/changes/1/before", "/justification"],
            ..at_revision(i64::MAX)
        },
    );
    logs.vectors
}

impl Vector {
    fn kept(&self) -> Vec<PersonalValue> {
        let kept = self.sealed.personal.iter().filter(|personal| !self.erased.contains(&personal.path.as_str()));
        kept.cloned().collect()
    }

    fn to_json(&self) -> Value {
        let personal: Vec<Value> = self
            .kept()
            .iter()
            .map(|personal| json!({"path": personal.path, "value": personal.value, "salt": to_hex(&personal.salt)}))
            .collect();
        json!({
            "name": self.name,
            "text": std::str::from_utf8(&self.sealed.bytes).unwrap(),
            "line": {
                "account": self.sealed.account.as_str(),
                "seq": self.sealed.seq.to_string(),
                "event": base64(&self.sealed.bytes),
                "leaf_hash": to_hex(&self.sealed.leaf_hash),
                "prev_hash": to_hex(&self.sealed.prev_hash),
                "personal": personal,
            },
        })
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain([0; 2].iter()).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for digit in 0..4 {
            let known = digit <= chunk.len();
            text.push(if known { char::from(ALPHABET[bits >> (18 - 6 * digit) & 63]) } else { '=' });
        }
    }
    text
}

#[test]
fn file_equals_what_the_code_makes() {
    let commitments: Vec<Value> = ["", "jane@contoso.example", HARD]
        .iter()
        .zip([[0; 32], std::array::from_fn(|index| index as u8), [0xff; 32]])
        .map(|(value, salt)| {
            json!({"salt": to_hex(&salt), "value": value, "commitment": to_hex(&commitment(&salt, value))})
        })
        .collect();
    let vectors: Vec<Value> = vectors().iter().map(Vector::to_json).collect();
    let made = json!({"version": FORMAT_VERSION, "commitments": commitments, "vectors": vectors});
    if std::env::var_os("UPDATE_AUDIT_VECTORS").is_some() {
        std::fs::write(FILE, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let file: Value = serde_json::from_slice(&std::fs::read(FILE).unwrap()).unwrap();
    assert!(file == made, "docs/audit-vectors.json differs from what this code makes");
}

#[test]
fn an_opened_event_is_what_was_sealed() {
    for vector in vectors() {
        let all = open(&vector.sealed.bytes, &vector.sealed.personal).unwrap();
        assert_eq!(
            all,
            AuditEvent { position: vector.position.clone(), body: vector.draft.clone() },
            "{}",
            vector.name
        );
        assert_eq!(vector.sealed.leaf_hash, leaf_hash(&vector.sealed.bytes));
    }
}

#[test]
fn erasure_leaves_the_bytes_as_they_were() {
    for vector in vectors() {
        let event = open(&vector.sealed.bytes, &[]).unwrap();
        let again = seal(&event.body, event.position, &mut || panic!("nothing is left to commit to")).unwrap();
        assert_eq!(again.bytes, vector.sealed.bytes, "{}", vector.name);
        assert_eq!(again.personal, []);
        let kept = open(&vector.sealed.bytes, &vector.kept()).unwrap();
        assert_eq!(kept.body == vector.draft, vector.erased.is_empty(), "{}", vector.name);
    }
}

#[test]
fn bytes_hold_strings_only_and_no_personal_value() {
    fn strings_only(value: &Value) -> bool {
        match value {
            Value::String(_) => true,
            Value::Array(items) => !items.is_empty() && items.iter().all(strings_only),
            Value::Object(members) => members.values().all(strings_only),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    for vector in vectors() {
        let text = std::str::from_utf8(&vector.sealed.bytes).unwrap();
        assert!(strings_only(&serde_json::from_str(text).unwrap()), "{}", vector.name);
        for personal in
            vector.sealed.personal.iter().filter(|personal| !personal.value.is_empty() && personal.value != HARD)
        {
            assert!(!text.contains(personal.value.trim_matches('"')), "{}", personal.path);
        }
        let mut salts: Vec<_> = vector.sealed.personal.iter().map(|personal| personal.salt).collect();
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), vector.sealed.personal.len(), "one salt for each value");
    }
}

#[test]
fn a_target_account_equal_to_the_log_is_left_out() {
    let mut draft = smallest();
    draft.target.account = Some(account("contoso"));
    let first = &vectors()[0];
    let sealed = seal(&draft, first.position.clone(), &mut || [0; 32]).unwrap();
    assert_eq!(sealed.bytes, first.sealed.bytes);
}

#[test]
fn open_refuses_what_seal_does_not_write() {
    let vector = &vectors()[2];
    let text = std::str::from_utf8(&vector.sealed.bytes).unwrap();
    for (from, to, error) in [
        (r#""version":"1""#, r#""version":"2""#, "the audit event has the unknown version `2`"),
        (r#""seq":"3""#, r#""seq":"03""#, "member `/seq` of the audit event has a wrong value"),
        (r#""seq":"3""#, r#""seq":"0""#, "member `/seq` of the audit event has a wrong value"),
        (r#""seq":"3""#, r#""seq":3"#, "the audit event is not the JSON it should be"),
        (r#""revision":"0""#, r#""revision":"-1""#, "member `/revision` of the audit event has a wrong value"),
        (r#""count":"1204""#, r#""count":"0""#, "member `/count` of the audit event has a wrong value"),
        ("DENIED", "SUCCESS", "member `/reason` of the audit event has a wrong value"),
        ("DENIED", "UNSURE", "member `/outcome` of the audit event has a wrong value"),
        ("INTEGRATION", "ROBOT", "the audit event is not the JSON it should be"),
        ("27.000000Z", "27Z", "member `/occurred_time` of the audit event has a wrong value"),
        (r#""prev_hash":""#, r#""prev_hash":"00"#, "member `/prev_hash` of the audit event has a wrong value"),
        (r#""account":"contoso""#, r#""account":"Contoso""#, "member `/account` of the audit event has a wrong value"),
        (r#"{"hmac_sha256":""#, r#"{"x":"","hmac_sha256":""#, "the audit event is not the JSON it should be"),
        (
            r#"{"hmac_sha256":""#,
            r#"{"hmac_sha256":"0"#,
            "member `/source_address/hmac_sha256` of the audit event has a wrong value",
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert_eq!(open(changed.as_bytes(), &vector.sealed.personal).unwrap_err().to_string(), error, "{to}");
    }
    let added = text.replacen('{', r#"{"a_later_member":["x"],"#, 1);
    assert!(open(added.as_bytes(), &vector.sealed.personal).is_ok(), "unknown members are read over");
}

#[test]
fn open_shows_no_value_that_was_not_committed_to() {
    let vector = &vectors()[1];
    for index in 0..vector.sealed.personal.len() {
        for spoil in [
            |personal: &mut PersonalValue| personal.value.push(' '),
            |personal: &mut PersonalValue| personal.salt[31] ^= 1,
        ] {
            let mut personal = vector.sealed.personal.clone();
            spoil(&mut personal[index]);
            let error = open(&vector.sealed.bytes, &personal).unwrap_err();
            assert!(matches!(error, OpenError::Commitment { path } if path == personal[index].path));
        }
    }
}

#[test]
fn personal_values_stay_out_of_debug_output() {
    for vector in vectors() {
        let output = format!("{:?} {:?}", vector.draft, vector.sealed.personal);
        for personal in ["jane", "Jäne", "John", "Zoë", "Mozilla", "2001:db8", "203.0.113.9", "198.51.100.7", "901820"]
        {
            assert!(!output.contains(personal), "{personal}");
        }
    }
}
