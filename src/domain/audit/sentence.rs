//! An event in one sentence for people, such as "Emily Chen modified user in Contoso Corp (Reset
//! password for jane@contoso.com)". Every place that shows events to people shows this one.
//!
//! A sentence says who, what kind of act on what kind of thing, where if not at the actor's home, and in
//! parentheses which act on which one. It is made of the event alone and of the titles that whoever reads
//! it may know; what was erased is named by what is left.
//!
//! Deliberately not here: other languages. The event has every part of the sentence for whoever writes
//! their own.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{ActingPeer, Actor, AuditEvent, Change, Outcome, Personal, Target, Text};
use crate::domain::ids::AccountId;
use crate::domain::user_agent;

/// The longest sentence, in characters.
const SENTENCE_MAX: usize = 1024;
/// The most fields that an update is told by.
const FIELDS_MAX: usize = 5;

/// What accounts, roles, peers and groups are called, as far as a reader may know them.
#[derive(Debug, Clone, Default)]
pub struct Titles {
    pub accounts: HashMap<AccountId, String>,
    /// By resource name, such as `roles/opspilot365.technician`.
    pub names: HashMap<String, String>,
}

/// The event in one sentence.
#[must_use]
pub fn sentence(event: &AuditEvent, titles: &Titles) -> String {
    let teller = Teller { event, titles };
    let text = teller.text();
    if text.chars().count() <= SENTENCE_MAX {
        return text;
    }
    text.chars().take(SENTENCE_MAX - 1).chain(['…']).collect()
}

/// The values of the event's changes that may be resource names.
pub fn mentioned(event: &AuditEvent) -> impl Iterator<Item = &str> {
    let values = event.body.changes.iter().flat_map(|change| [&change.before, &change.after]);
    values.flatten().filter_map(Text::value).filter(|value| value.contains('/'))
}

/// The account that the event is about.
#[must_use]
pub fn account(event: &AuditEvent) -> &AccountId {
    event.body.target.account.as_ref().unwrap_or(&event.position.account)
}

struct Teller<'a> {
    event: &'a AuditEvent,
    titles: &'a Titles,
}

impl Teller<'_> {
    fn text(&self) -> String {
        let body = &self.event.body;
        let (who, place) = (self.actor(), self.place());
        let action = body.action.as_str();
        let repeats = body.count.map(|count| format!(", {count} more times")).unwrap_or_default();
        match &body.outcome {
            Outcome::Success if action == "sessions.sign_in" => format!("{who} signed in{}", self.client(None)),
            Outcome::Denied { reason } | Outcome::Failed { reason } if action == "sessions.sign_in" => {
                format!("{} failed to sign in{}", self.stranger(), self.client(Some(reason)))
            }
            Outcome::Success => {
                let (verb, noun) = self.kind_of_act();
                let detail = self.detail();
                format!("{who} {verb} {noun}{place} ({detail}{repeats})")
            }
            Outcome::Denied { reason } => {
                format!("{who} was refused {action}{place} ({reason}: {}{repeats})", self.name())
            }
            Outcome::Failed { reason } => {
                format!("{who} failed at {action}{place} ({reason}: {}{repeats})", self.name())
            }
        }
    }

    fn actor(&self) -> String {
        let body = &self.event.body;
        let who = match &body.actor {
            Actor::Peer(peer) => peer_name(peer),
            Actor::System { name } => format!("The service ({name})"),
            Actor::Anonymous => "Somebody unknown".to_owned(),
        };
        match &body.on_behalf_of {
            Some(other) => format!("{who} for {}", peer_name(other)),
            None => who,
        }
    }

    /// Who tried to sign in: known, or by the name that was tried.
    fn stranger(&self) -> String {
        match &self.event.body.actor {
            Actor::Anonymous => format!("Somebody unknown as {}", self.name()),
            Actor::Peer(_) | Actor::System { .. } => self.actor(),
        }
    }

    /// Where, unless it is the actor's home, or an account that is named anyway.
    fn place(&self) -> String {
        let account = account(self.event);
        if self.event.body.target.kind == "account" {
            return String::new();
        }
        match &self.event.body.actor {
            Actor::Peer(peer) if peer.home_account == *account => String::new(),
            Actor::System { .. } if account.as_str() == AccountId::platform().as_str() => String::new(),
            Actor::Peer(_) | Actor::System { .. } | Actor::Anonymous => {
                let title = self.titles.accounts.get(account).map_or(account.as_str(), String::as_str);
                format!(" in {title}")
            }
        }
    }

    /// Address, browser and system of a sign-in, as far as they are known, and what went wrong.
    fn client(&self, reason: Option<&str>) -> String {
        let body = &self.event.body;
        let mut parts: Vec<String> = reason.map(ToOwned::to_owned).into_iter().collect();
        parts.extend(body.source_address.as_ref().and_then(Personal::value).map(|address| format!("IP: {address}")));
        if let Some(agent) = body.user_agent.as_ref().and_then(Personal::value) {
            let (browser, system) = (user_agent::browser(agent), user_agent::operating_system(agent));
            match (browser.is_empty(), system.is_empty()) {
                (false, false) => parts.push(format!("{browser} on {system}")),
                (false, true) => parts.push(browser),
                (true, false) => parts.push(system),
                (true, true) => {}
            }
        }
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }

    /// `added platform user`, `modified user`, `removed role`.
    fn kind_of_act(&self) -> (&'static str, Cow<'static, str>) {
        let (resource, act) = self.act();
        let verb = match act {
            "create" | "register" | "install" => "added",
            "delete" | "purge" | "remove" => "removed",
            "view" | "list" | "read" => "viewed",
            "export" => "exported",
            _ => "modified",
        };
        let noun = match (resource, self.after("kind")) {
            ("peers", Some("DEVICE")) => "device".into(),
            ("peers", Some("INTEGRATION")) => "integration".into(),
            ("peers", _) if verb != "modified" => "platform user".into(),
            ("peers" | "users", _) => "user".into(),
            ("api_keys", _) => "API key".into(),
            ("role_bindings", _) => "role assignment".into(),
            (other, _) => other.strip_suffix('s').unwrap_or(other).replace('_', " ").into(),
        };
        (verb, noun)
    }

    fn act(&self) -> (&str, &str) {
        self.event.body.action.split_once('.').unwrap_or((self.event.body.action.as_str(), ""))
    }

    /// Which act, on which one.
    fn detail(&self) -> String {
        let name = self.name();
        let (resource, act) = self.act();
        match (resource, act) {
            ("role_bindings", "create") => format!("Gave {} to {}", self.titled("role"), self.titled("principal")),
            ("role_bindings", "delete") => format!("Took {} from {}", self.titled("role"), self.titled("principal")),
            ("groups", "add_member") => format!("Added {} to {name}", self.titled("member")),
            ("groups", "remove_member") => format!("Removed {} from {name}", self.titled("member")),
            ("accounts", "transfer_ownership") => format!("Transferred ownership of {name}"),
            ("accounts", "request_ownership_transfer") => format!("Asked for another owner of {name}"),
            (_, "reset_password") => format!("Reset password for {name}"),
            (_, "reset_factors") => format!("Reset second factors for {name}"),
            (_, "create") => match self.after("role") {
                Some(_) => format!("Added {name} as {}", self.titled("role")),
                None => format!("Added {name}"),
            },
            (_, "update") => format!("Changed {} of {name}", self.fields()),
            (_, other) => match ACTS.iter().find(|(act, _)| *act == other) {
                Some((_, told)) => format!("{told} {name}"),
                None => format!("{}: {name}", capitalized(&other.replace('_', " "))),
            },
        }
    }

    /// What the act was done to, by the name that people know it by.
    fn name(&self) -> String {
        let Target { name, display_name, .. } = &self.event.body.target;
        let user_name = self.after("user_name").filter(|_| self.act().1 == "create");
        let shown = display_name.as_ref().and_then(Personal::value);
        user_name.or(shown).or(name.value()).unwrap_or("somebody whose name was erased").to_owned()
    }

    fn fields(&self) -> String {
        let changes = &self.event.body.changes;
        let mut fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).take(FIELDS_MAX).collect();
        let more = format!("{} more", changes.len().saturating_sub(fields.len()));
        if changes.len() > fields.len() {
            fields.push(&more);
        }
        if fields.is_empty() { "nothing".to_owned() } else { fields.join(", ") }
    }

    fn change(&self, field: &str) -> Option<&Change> {
        self.event.body.changes.iter().find(|change| change.field == field)
    }

    fn after(&self, field: &str) -> Option<&str> {
        self.change(field)?.after.as_ref()?.value()
    }

    /// The value of a field, the one before where there is none after.
    fn value(&self, field: &str) -> &str {
        let change = self.change(field);
        let value = change.and_then(|change| change.after.as_ref().or(change.before.as_ref()));
        value.and_then(Text::value).unwrap_or("somebody")
    }

    /// As [`Teller::value`], by what people call it.
    fn titled(&self, field: &str) -> &str {
        let name = self.value(field);
        self.titles.names.get(name).map_or(name, String::as_str)
    }
}

/// Acts that a word says, with the name behind it.
const ACTS: &[(&str, &str)] = &[
    ("delete", "Removed"),
    ("purge", "Purged"),
    ("undelete", "Restored"),
    ("enable", "Enabled"),
    ("disable", "Disabled"),
    ("unlock", "Unlocked"),
    ("invite", "Invited"),
    ("suspend", "Suspended"),
    ("resume", "Resumed"),
    ("move", "Moved"),
    ("revoke", "Revoked"),
    ("register", "Registered"),
    ("install", "Installed"),
];

fn peer_name(peer: &ActingPeer) -> String {
    let name = peer.display_name.as_ref().and_then(Personal::value);
    name.map_or_else(|| format!("peers/{}", peer.uid), ToOwned::to_owned)
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use uuid::Uuid;

    use super::super::{AuditDraft, GENESIS, LogPosition};
    use super::*;
    use crate::domain::ids::PeerId;
    use crate::domain::peer::PeerKind;
    use crate::domain::time::Timestamp;

    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                          Chrome/142.0.0.0 Safari/537.36";

    fn id(text: &str) -> AccountId {
        AccountId::parse(text).unwrap()
    }

    fn person(name: &str) -> Actor {
        let display_name = (!name.is_empty()).then(|| Personal::new(name));
        let uid = PeerId::from(Uuid::from_u128(7));
        Actor::Peer(ActingPeer { uid, kind: PeerKind::Person, home_account: id("contoso-msp"), display_name })
    }

    fn change(field: &str, after: Text) -> Change {
        Change { field: field.to_owned(), before: None, after: Some(after) }
    }

    /// An act in a customer's log, of which `fill` sets the rest.
    fn told(actor: Actor, action: &str, name: Text, fill: impl FnOnce(&mut AuditDraft)) -> String {
        let mut body = AuditDraft::success(Timestamp::from_micros(1), actor, action, Target::new("end_user", name));
        body.target.account = Some(id("contoso-corp"));
        fill(&mut body);
        let position = LogPosition {
            account: id("contoso-corp"),
            seq: 1,
            event_id: Uuid::nil(),
            recorded_time: Timestamp::from_micros(1),
            revision: None,
            prev_hash: GENESIS,
            linked: Vec::new(),
        };
        let titles = Titles {
            accounts: HashMap::from([(id("contoso-corp"), "Contoso Corp".to_owned())]),
            names: HashMap::from([
                ("roles/opspilot365.technician".to_owned(), "Technician".to_owned()),
                ("peers/8".to_owned(), "Jane Doe".to_owned()),
            ]),
        };
        sentence(&AuditEvent { position, body }, &titles)
    }

    #[test]
    fn the_documents_texts_come_out() {
        let jane = || Text::personal("jane@contoso.com");
        let at_home = |draft: &mut AuditDraft| draft.target.account = Some(id("contoso-msp"));
        assert_eq!(
            told(person("John Smith"), "sessions.sign_in", jane(), |draft| {
                draft.source_address = Some(Personal::new("203.0.113.45"));
                draft.user_agent = Some(Personal::new(CHROME));
            }),
            "John Smith signed in (IP: 203.0.113.45, Chrome on Windows)"
        );
        // Whether the user is a peer, or one of another service that reports the act.
        for action in ["users.reset_password", "peers.reset_password"] {
            assert_eq!(
                told(person("Emily Chen"), action, jane(), |_| {}),
                "Emily Chen modified user in Contoso Corp (Reset password for jane@contoso.com)"
            );
        }
        assert_eq!(
            told(person("John Smith"), "peers.create", Text::public("peers/7"), |draft| {
                at_home(draft);
                draft.changes = vec![
                    change("user_name", Text::personal("mike@contosomsp.com")),
                    change("kind", Text::public("PERSON")),
                    change("role", Text::public("roles/opspilot365.technician")),
                ];
            }),
            "John Smith added platform user (Added mike@contosomsp.com as Technician)"
        );
    }

    #[test]
    fn other_acts_are_told_in_the_same_way() {
        let public = |text: &str| Text::public(text);
        let emily = || person("Emily Chen");
        let cases = [
            (
                told(emily(), "peers.update", public("peers/9"), |draft| {
                    draft.target.display_name = Some(Personal::new("jane"));
                    draft.changes = ["a", "b", "c", "d", "e", "f", "g"].map(|field| change(field, public("x"))).into();
                }),
                "Emily Chen modified user in Contoso Corp (Changed a, b, c, d, e, 2 more of jane)",
            ),
            (
                told(emily(), "role_bindings.create", public("roleBindings/9"), |draft| {
                    draft.changes = vec![
                        change("principal", public("peers/9")),
                        change("role", public("roles/opspilot365.technician")),
                    ];
                }),
                "Emily Chen added role assignment in Contoso Corp (Gave Technician to peers/9)",
            ),
            (
                told(emily(), "groups.add_member", public("groups/9"), |draft| {
                    draft.target.display_name = Some(Personal::new("On call"));
                    draft.changes = vec![change("member", public("peers/8"))];
                }),
                "Emily Chen modified group in Contoso Corp (Added Jane Doe to On call)",
            ),
            (
                told(emily(), "peers.create", public("peers/9"), |draft| {
                    draft.changes =
                        vec![change("user_name", Text::personal("scanner-1")), change("kind", public("DEVICE"))];
                }),
                "Emily Chen added device in Contoso Corp (Added scanner-1)",
            ),
            (
                told(emily(), "licenses.order", public("E3"), |_| {}),
                "Emily Chen modified license in Contoso Corp (Order: E3)",
            ),
            (
                told(
                    Actor::System { name: "packs".to_owned() },
                    "packs.install",
                    public("accounts/platform"),
                    |draft| {
                        draft.target.account = Some(AccountId::platform());
                    },
                ),
                "The service (packs) added pack (Installed accounts/platform)",
            ),
            (
                told(emily(), "peers.delete", public("peers/9"), |draft| {
                    draft.outcome = Outcome::Denied { reason: "PERMISSION_DENIED".to_owned() };
                    draft.count = NonZeroU64::new(7);
                }),
                "Emily Chen was refused peers.delete in Contoso Corp (PERMISSION_DENIED: peers/9, 7 more times)",
            ),
            (
                told(emily(), "users.reset_password", Text::personal("jane"), |draft| {
                    draft.outcome = Outcome::Failed { reason: "DIRECTORY_AWAY".to_owned() };
                }),
                "Emily Chen failed at users.reset_password in Contoso Corp (DIRECTORY_AWAY: jane)",
            ),
            (
                told(Actor::Anonymous, "sessions.sign_in", Text::personal("jane"), |draft| {
                    draft.outcome = Outcome::Failed { reason: "USER_NAME_UNKNOWN".to_owned() };
                    draft.source_address = Some(Personal::new("203.0.113.9"));
                }),
                "Somebody unknown as jane failed to sign in (USER_NAME_UNKNOWN, IP: 203.0.113.9)",
            ),
        ];
        for (told, wanted) in cases {
            assert_eq!(told, wanted);
        }
    }

    #[test]
    fn what_was_erased_is_told_by_what_is_left() {
        let erased = || Personal::Erased([1; 32]);
        let text = told(person(""), "users.reset_password", Text::Personal(erased()), |draft| {
            draft.target.account = Some(id("fabrikam"));
        });
        assert_eq!(
            text,
            "peers/00000000-0000-0000-0000-000000000007 modified user in fabrikam \
             (Reset password for somebody whose name was erased)"
        );
        let long = told(person(&"x".repeat(3000)), "users.reset_password", Text::public("y"), |_| {});
        assert_eq!(long.chars().count(), SENTENCE_MAX);
    }
}
