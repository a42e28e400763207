//! The corpus over the wire.
//!
//! Cases are asked in order of their time, since a clock only moves forward. A tie between bindings is
//! broken by ids, which two servers give in different orders: where several grants would decide alike,
//! it counts that one of them did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use peerage::domain::time::Timestamp;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::attribute_value::Kind;
use peerage::transport::grpc::pb::obligation::Obligation;
use serde::Deserialize;
use serde_json::Value;

use super::{cases, files, tested};
use crate::command_line::{run, said, told};
use crate::support::{Client, Server};

/// The part of a file that `peerage apply` leaves to others.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    given: Given,
}

#[derive(Debug, Default, Deserialize)]
struct Given {
    #[serde(default)]
    permissions: Vec<Registered>,
}

#[derive(Debug, Deserialize)]
struct Registered {
    name: String,
    #[serde(default)]
    flags: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_corpus_holds_over_the_wire() {
    let mut asked = 0;
    for file in files() {
        asked += hold(&file).await;
    }
    assert!(asked >= super::CASES_MIN, "{asked}");
}

/// Makes the world of a file on a server and asks it everything that the file asks.
async fn hold(file: &Path) -> usize {
    let expected = tested(&[file.to_owned()]);
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let source: File = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    register(&server, source.given.permissions).await;
    let applied = run(&server, folder.path(), &["apply", "-f", file.to_str().unwrap()]).await;
    assert!(applied.status.success(), "{}: {}{}", file.display(), told(&applied), said(&applied));
    let mut asker = Asker { client: server.operator(), names: Names::read(&server).await };

    let mut ordered: Vec<&Value> = cases(&expected).collect();
    ordered.sort_by_key(|case| (time(case), case["suspended"].to_string()));
    let mut suspended = Value::Array(Vec::new());
    for case in &ordered {
        advance(&server, time(case));
        if case["suspended"] != suspended {
            suspend(&server, &suspended, &case["suspended"]).await;
            suspended = case["suspended"].clone();
        }
        let at = format!("{}:{} {}", file.display(), case["line"], case["asked"]);
        match case["asked"]["kind"].as_str().unwrap() {
            "check" => asker.check(case, &at).await,
            _ => assert_eq!(asker.rows(&case["asked"]).await, rows(&case["actual"]), "{at}"),
        }
    }
    server.stop().await;
    ordered.len()
}

async fn register(server: &Server, registered: Vec<Registered>) {
    if registered.is_empty() {
        return;
    }
    let has = |one: &Registered, flag: &str| one.flags.iter().any(|known| known == flag);
    let permissions = registered.iter().map(|one| pb::Permission {
        name: one.name.clone(),
        title: one.name.clone(),
        feature: "Corpus".to_owned(),
        privileged: has(one, "privileged"),
        reserved: has(one, "reserved"),
        from_outside: has(one, "from_outside"),
        on_suspended: has(one, "on_suspended"),
        ..Default::default()
    });
    let request = pb::RegisterPermissionsRequest {
        permissions: permissions.collect(),
        confirm_gains: true,
        ..Default::default()
    };
    server.operator().roles().register_permissions(request).await.unwrap();
}

/// When a case is asked; cases of worlds without windows at any time.
fn time(case: &Value) -> Option<i64> {
    let now = case["asked"]["now"].as_str()?;
    Some(Timestamp::parse_rfc3339(now).unwrap().as_micros())
}

fn advance(server: &Server, to: Option<i64>) {
    let Some(to) = to else { return };
    let now = server.micros();
    let by = u64::try_from(to - now).unwrap_or_else(|_| panic!("{to} lies before the clock of tests begins"));
    server.advance(Duration::from_micros(by));
}

async fn suspend(server: &Server, before: &Value, after: &Value) {
    let mut accounts = server.operator().accounts();
    for one in before.as_array().unwrap() {
        let name = format!("accounts/{}", text(&one["account"]));
        let request = pb::ResumeAccountRequest { name, reason: "corpus".to_owned(), ..Default::default() };
        accounts.resume_account(request).await.unwrap();
    }
    for one in after.as_array().unwrap() {
        let scope = match text(&one["scope"]) {
            "SUBTREE" => pb::SuspensionScope::Subtree,
            _ => pb::SuspensionScope::OwnPeers,
        };
        let request = pb::SuspendAccountRequest {
            name: format!("accounts/{}", text(&one["account"])),
            scope: scope.into(),
            reason: "corpus".to_owned(),
            ..Default::default()
        };
        accounts.suspend_account(request).await.unwrap();
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn rows(value: &Value) -> BTreeMap<String, String> {
    value.as_object().unwrap().iter().map(|(name, decision)| (name.clone(), text(decision).to_owned())).collect()
}

/// What the file calls custom roles and groups, by the server's names.
struct Names(BTreeMap<String, String>);

impl Names {
    async fn read(server: &Server) -> Self {
        let mut names = BTreeMap::new();
        let accounts = pb::ListAccountsRequest { page_size: 1000, ..Default::default() };
        let accounts = server.operator().accounts().list_accounts(accounts).await.unwrap().into_inner().accounts;
        for account in accounts {
            let id = account.name.trim_start_matches("accounts/").to_owned();
            let filter = format!("owner_account = \"{}\"", account.name);
            let roles =
                pb::ListRolesRequest { account: account.name.clone(), filter, page_size: 1000, ..Default::default() };
            let roles = server.operator().roles().list_roles(roles).await.unwrap().into_inner().roles;
            names.extend(roles.into_iter().map(|role| (role.name, format!("{id}/{}", role.title))));
            let groups = pb::ListGroupsRequest { account: account.name, page_size: 1000, ..Default::default() };
            let groups = server.operator().roles().list_groups(groups).await.unwrap().into_inner().groups;
            names.extend(groups.into_iter().map(|group| (group.name, format!("{id}/{}", group.title))));
        }
        Self(names)
    }

    fn shown(&self, name: &str) -> String {
        let short = || name.split_once('/').map_or("", |(_, id)| id).to_owned();
        self.0.get(name).cloned().unwrap_or_else(short)
    }
}

struct Asker {
    client: Client,
    names: Names,
}

impl Asker {
    async fn check(&mut self, case: &Value, at: &str) {
        let (asked, actual) = (&case["asked"], &case["actual"]);
        let request = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Peer(peer(asked))),
            permission: text(&asked["permission"]).to_owned(),
            account: account(&asked["account"]),
            context: context(asked),
            ..Default::default()
        };
        let answer = self.client.access().authorize(request).await.unwrap().into_inner();
        let explained = self.explain(asked).await;
        let explained_answer = explained.decision.clone().unwrap();
        for answer in [&answer, &explained_answer] {
            assert_eq!(word(answer.decision().as_str_name(), "DECISION_"), actual["decision"], "{at}");
            assert_eq!(word(answer.reason().as_str_name(), "DECISION_REASON_"), actual["reason"], "{at}");
            assert_eq!(answer.missing_attribute, actual["missing_attribute"], "{at}");
            let owed: BTreeSet<String> = answer.obligations.iter().map(owed).collect();
            let wanted: BTreeSet<String> =
                actual["obligations"].as_array().unwrap().iter().map(|one| text(one).to_owned()).collect();
            assert_eq!(owed, wanted, "{at}");
        }
        let considered: Vec<&Value> = actual["considered"].as_array().unwrap().iter().collect();
        let mut wanted: Vec<String> = considered.iter().map(|one| looked_at(one)).collect();
        let mut found: Vec<String> = explained.grants.iter().map(|trace| self.trace(trace)).collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted, "{at}");
        let is_tied = considered.iter().any(|one| outcomes(one).contains(&"OUTRANKED"));
        let is_named = !case["expected"]["decided_by"].is_null();
        if (is_named || !is_tied) && !answer.role.is_empty() {
            let role = self.names.shown(&answer.role);
            assert_eq!(role, actual["decided_by"]["role"], "{at}");
            assert_eq!(explained.grants[0].pattern, actual["decided_by"]["grant"], "{at}");
        }
    }

    async fn explain(&self, asked: &Value) -> pb::ExplainAuthorizationResponse {
        let request = pb::ExplainAuthorizationRequest {
            subject: Some(pb::explain_authorization_request::Subject::Peer(peer(asked))),
            permission: text(&asked["permission"]).to_owned(),
            account: account(&asked["account"]),
            context: context(asked),
            page_size: 1000,
            ..Default::default()
        };
        self.client.access().explain_authorization(request).await.unwrap().into_inner()
    }

    /// A grant that was looked at, as `looked_at` writes those of the command.
    fn trace(&self, trace: &pb::GrantTrace) -> String {
        let short = |name: &str| name.split_once('/').map_or("", |(_, id)| id).to_owned();
        let mut words: Vec<&str> = vec![word(trace.outcome().as_str_name(), "GRANT_OUTCOME_")];
        if trace.outcome() != pb::GrantOutcome::NoMatch {
            words.extend(trace.obstacles().map(|one| word(one.as_str_name(), "GRANT_OUTCOME_")));
        }
        let group = if trace.via_group { self.names.shown(&trace.group) } else { String::new() };
        let (role, account) = (self.names.shown(&trace.role), short(&trace.bound_account));
        line([&trace.pattern, &role, &account, &group], words)
    }

    async fn rows(&self, asked: &Value) -> BTreeMap<String, String> {
        let mut access = self.client.access();
        let mut rows = BTreeMap::new();
        match text(&asked["kind"]) {
            "accessible_accounts" => {
                let request = pb::ListAccessibleAccountsRequest {
                    peer: peer(asked),
                    permission: text(&asked["permission"]).to_owned(),
                    root_account: asked["under"].as_str().map(|id| format!("accounts/{id}")).unwrap_or_default(),
                    context: context(asked),
                    page_size: 1000,
                    ..Default::default()
                };
                for row in access.list_accessible_accounts(request).await.unwrap().into_inner().accounts {
                    let name = row.account.trim_start_matches("accounts/").to_owned();
                    rows.insert(name, word(row.decision().as_str_name(), "DECISION_").to_owned());
                }
            }
            "authorized_peers" => {
                let request = pb::ListAuthorizedPeersRequest {
                    account: account(&asked["account"]),
                    permission: text(&asked["permission"]).to_owned(),
                    context: context(asked),
                    page_size: 1000,
                    ..Default::default()
                };
                for row in access.list_authorized_peers(request).await.unwrap().into_inner().peers {
                    // The operator that bootstrap made is not of the file's world.
                    if row.user_name != "operator" {
                        let decision = word(row.decision().as_str_name(), "DECISION_").to_owned();
                        rows.insert(row.user_name, decision);
                    }
                }
            }
            _ => {
                let of: Vec<&str> = asked["of"].as_array().unwrap().iter().map(text).collect();
                let filters = of.iter().map(|resource| format!("resource = {resource}"));
                let filters: Vec<String> = if of.is_empty() { vec![String::new()] } else { filters.collect() };
                for filter in filters {
                    let request = pb::ListEffectivePermissionsRequest {
                        peer: peer(asked),
                        account: account(&asked["account"]),
                        filter,
                        context: context(asked),
                        page_size: 1000,
                        ..Default::default()
                    };
                    let page = access.list_effective_permissions(request).await.unwrap().into_inner();
                    assert!(page.next_page_token.is_empty());
                    for row in page.permissions {
                        let decision = word(row.decision().as_str_name(), "DECISION_").to_owned();
                        rows.insert(row.permission, decision);
                    }
                }
            }
        }
        rows
    }
}

fn peer(asked: &Value) -> String {
    format!("peers/@{}", text(&asked["peer"]))
}

fn account(value: &Value) -> String {
    format!("accounts/{}", text(value))
}

fn context(asked: &Value) -> Option<pb::DecisionContext> {
    let attributes = asked["resource"].as_object().into_iter().flatten().map(|(name, value)| {
        let kind = match value {
            Value::Bool(truth) => Kind::BoolValue(*truth),
            Value::Number(number) => Kind::IntValue(number.as_i64().unwrap()),
            other => Kind::StringValue(text(other).to_owned()),
        };
        (name.clone(), pb::AttributeValue { kind: Some(kind) })
    });
    Some(pb::DecisionContext {
        resource_attributes: attributes.collect(),
        source_address: asked["source_address"].as_str().unwrap_or_default().to_owned(),
    })
}

fn word<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn owed(obligation: &pb::Obligation) -> String {
    match obligation.obligation.as_ref().unwrap() {
        Obligation::Approval(_) => "APPROVAL".to_owned(),
        Obligation::Elevation(_) => "ELEVATION".to_owned(),
        Obligation::StepUp(owed) => {
            let level = match word(owed.min_assurance().as_str_name(), "ASSURANCE_LEVEL_") {
                "UNSPECIFIED" => "NONE",
                level => level,
            };
            let age = owed.max_age.map(|age| format!(" within {} min", age.seconds / 60)).unwrap_or_default();
            format!("step_up {level}{age}")
        }
    }
}

/// A grant that the command looked at.
fn looked_at(considered: &Value) -> String {
    let part = |key: &str| text(&considered[key]).to_owned();
    line([&part("grant"), &part("role"), &part("bound_at"), &part("group")], outcomes(considered))
}

fn outcomes(considered: &Value) -> Vec<&str> {
    considered["outcomes"].as_array().unwrap().iter().map(text).collect()
}

fn line(parts: [&String; 4], words: Vec<&str>) -> String {
    // Which of two that rank alike decided hangs on their ids.
    let counts = |word| if matches!(word, "DECIDED" | "OUTRANKED") { "COUNTS" } else { word };
    let words: BTreeSet<&str> = words.into_iter().map(counts).collect();
    format!("{parts:?} {words:?}")
}
