//! Over a policy that changes all the time, every decision is logged as it was answered, and decided
//! alike again when all is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::authorize_request::Subject;
use peerage::transport::grpc::pb::batch_authorize_item::Subject as ItemSubject;
use serde_json::Value;
use tonic::Code;

use super::{count, entries, logging, until};
use crate::bindings::{bind, binding, eligible, of_group, unbind, until as ending};
use crate::command_line::{run, said, told};
use crate::conditions::{context, is_text, networks, number, text, when, window};
use crate::explain::{resume, set_access, suspend};
use crate::groups;
use crate::roles::{mask, update, where_label, with_approval};
use crate::support::policy::{allow, create_role, deny, role};
use crate::support::{Client, Server, TestPeer, request_id};

const PERMISSIONS: [&str; 4] = ["ftp.view", "ftp.update", "accounts.view", "peers.view"];
const ROUNDS: usize = 54;

/// The same choices in each run.
struct Choices(u64);

impl Choices {
    fn below(&mut self, count: usize) -> usize {
        // Xorshift: any generator that visits the whole range does.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(count).unwrap()).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// A world in which things happen, and those who ask about it.
struct World {
    server: Server,
    choices: Choices,
    msp: String,
    tenant: String,
    department: String,
    people: Vec<(TestPeer, String)>,
    /// May ask about the tenant alone.
    checker: TestPeer,
    /// Is at home elsewhere and holds nothing here.
    stranger: String,
    group: String,
    roles: Vec<pb::Role>,
    bindings: Vec<String>,
    /// A key that ends on the way.
    short_key: String,
    /// Every answer, by its id.
    answers: BTreeMap<String, pb::AuthorizeResponse>,
}

impl World {
    async fn new(server: Server) -> Self {
        let operator = server.operator();
        let msp = server.partner("msp", &["mspcontrol"]).await;
        let tenant = server.customer("tenant", &msp).await;
        let department = server.department("office", &tenant).await;
        let mut people = Vec::new();
        for (name, home) in [("ann", &msp), ("ben", &msp), ("cleo", &tenant), ("dan", &department)] {
            let idle = server.custom_role(&msp, &["agents.check_in"]).await;
            people.push((server.person(home, name, &idle).await, name.to_owned()));
        }
        let service = ("rmm", "roles/core.backend_service", pb::PeerKind::Integration);
        let checker = server.peer(&tenant, service.0, service.1, service.2, &[&tenant]).await;
        let elsewhere = server.partner("elsewhere", &["mspcontrol"]).await;
        let stranger = server.person(&elsewhere, "eve", "roles/mspcontrol.help_desk").await.name;
        let group = groups::make(&operator, &msp).await;
        groups::join(&operator, &group, &people[1].0.name).await.unwrap();
        let mut roles = Vec::new();
        let step_up = pb::StepUpRequirement {
            min_assurance: pb::AssuranceLevel::Totp.into(),
            max_age: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
        };
        let proven = pb::Grant {
            requirements: Some(pb::Requirements { step_up: Some(step_up), approval: None }),
            ..allow("peers.view")
        };
        for grants in [
            vec![allow("ftp.*"), when(deny("ftp.update"), networks(&["198.51.100.0/24"]))],
            vec![when(allow("ftp.view"), is_text("ring", "gold")), where_label(allow("accounts.view"), "env", "live")],
            vec![with_approval(allow("accounts.view")), proven],
            vec![when(allow("ftp.update"), window(&[1], (540, 660), "Europe/Vienna")), deny("peers.view")],
        ] {
            roles.push(create_role(&operator, role(&msp, &grants)).await.unwrap());
        }
        bind(&operator, of_group(&group, &roles[1].name, &msp)).await.unwrap();
        let api_key = pb::ApiKey {
            peer: people[2].0.name.clone(),
            title: "short".to_owned(),
            expire_time: Some(server.time(3 * 3600)),
            ..Default::default()
        };
        let request = pb::CreateApiKeyRequest { api_key: Some(api_key), ..Default::default() };
        let short_key = operator.auth().create_api_key(request).await.unwrap().into_inner().key;
        Self {
            server,
            choices: Choices(0x5eed),
            msp,
            tenant,
            department,
            people,
            checker,
            stranger,
            group,
            roles,
            bindings: Vec::new(),
            short_key,
            answers: BTreeMap::new(),
        }
    }

    /// Changes something that decisions read, and lets some minutes pass.
    async fn change(&mut self, round: usize) {
        let operator = self.server.operator();
        if round % 9 == 7 {
            resume(&self.server, &self.tenant).await;
        }
        let peer = self.choices.one(&self.people).0.name.clone();
        let account = self.choices.one(&[self.msp.clone(), self.tenant.clone(), self.department.clone()]).clone();
        let role = self.choices.one(&self.roles).clone();
        let wish = binding(&peer, &role.name, &account);
        match round % 9 {
            0 | 3 => self.bind(wish).await,
            1 => self.bind(ending(wish, self.server.time(1_500))).await,
            2 => self.bind(eligible(wish)).await,
            4 => {
                let mut grants = role.grants.clone();
                grants.reverse();
                match grants.iter().position(|grant| grant.permission == "agents.check_in") {
                    Some(place) => drop(grants.remove(place)),
                    None => grants.push(allow("agents.check_in")),
                }
                let changed = update(&operator, pb::Role { grants, etag: String::new(), ..role }, &["grants"]).await;
                let changed = changed.unwrap();
                let place = self.roles.iter().position(|one| one.name == changed.name).unwrap();
                self.roles[place] = changed;
            }
            5 if self.bindings.len() > 2 => {
                let name = self.bindings.remove(0);
                unbind(&operator, &name).await.unwrap();
            }
            // Until the next change: little can be changed meanwhile.
            6 => drop(suspend(&self.server, &self.tenant, pb::SuspensionScope::Subtree).await),
            7 => {
                let mode = [pb::PartnerAccessMode::Blocked, pb::PartnerAccessMode::Allowed];
                set_access(&self.server, &self.tenant, mode[round / 9 % 2]).await;
            }
            8 => {
                let labels =
                    [("env".to_owned(), if round.is_multiple_of(2) { "live" } else { "test" }.to_owned())].into();
                let account = pb::Account { name: self.tenant.clone(), labels, ..Default::default() };
                let request = pb::UpdateAccountRequest {
                    account: Some(account),
                    update_mask: mask(&["labels"]),
                    justification: "test".to_owned(),
                    ..Default::default()
                };
                operator.accounts().update_account(request).await.unwrap();
            }
            _ => groups::join(&operator, &self.group, &peer).await.map(drop).unwrap_or_default(),
        }
        self.server.advance(Duration::from_secs(7 * 60));
    }

    /// Binds, unless the same is bound already.
    async fn bind(&mut self, wish: pb::RoleBinding) {
        match bind(&self.server.operator(), wish).await {
            Ok(made) => self.bindings.push(made.name),
            Err(status) => assert_eq!(status.code(), Code::AlreadyExists, "{status:?}"),
        }
    }

    fn subject(&mut self) -> Option<Subject> {
        let (peer, name) = self.choices.one(&self.people);
        let (peer, key, name) = (peer.name.clone(), peer.key.clone(), name.clone());
        match self.choices.below(12) {
            0..6 => Some(Subject::Peer(peer)),
            6 => Some(Subject::Peer(format!("peers/@{name}"))),
            7 => Some(Subject::Peer("peers/me".to_owned())),
            8 => Some(Subject::Token(if self.choices.below(2) == 0 { key } else { self.short_key.clone() })),
            9 if self.choices.below(2) == 0 => Some(Subject::Peer("peers/@nobody-at-all".to_owned())),
            9 => Some(Subject::Peer(format!("peers/{}", request_id()))),
            10 => Some(Subject::Peer(self.stranger.clone())),
            _ => None,
        }
    }

    fn request(&mut self) -> pb::AuthorizeRequest {
        let context = match self.choices.below(4) {
            0 => None,
            1 => Some(context("198.51.100.7", &[("ring", text("gold")), ("size", number(7))])),
            2 => Some(context("::ffff:192.0.2.1", &[("ring", text("tin")), ("said \"so\"\n", text("\u{1f680}\\"))])),
            _ => Some(context("2001:db8::1", &[])),
        };
        let accounts =
            [&self.tenant, &self.tenant, &self.department, &self.msp, "accounts/nowhere", "accounts/platform"];
        pb::AuthorizeRequest {
            account: (*self.choices.one(&accounts.map(ToString::to_string))).clone(),
            subject: self.subject(),
            permission: (*self.choices.one(&PERMISSIONS)).to_owned(),
            context,
            ..Default::default()
        }
    }

    fn caller(&mut self) -> Client {
        match self.choices.below(4) {
            0 => self.checker.client.clone(),
            1 => self.choices.one(&self.people).0.client.clone(),
            _ => self.server.operator(),
        }
    }

    /// Asks many things; refusals are no decisions.
    async fn ask(&mut self) {
        for _ in 0..7 {
            let (request, client) = (self.request(), self.caller());
            if let Ok(answer) = client.access().authorize(request).await {
                let answer = answer.into_inner();
                self.answers.insert(answer.decision_id.clone(), answer);
            }
        }
        let items = (0..9).map(|_| {
            let pb::AuthorizeRequest { subject, permission, account, context, .. } = self.request();
            let subject = subject.map(|subject| match subject {
                Subject::Peer(peer) => ItemSubject::Peer(peer),
                Subject::Token(token) => ItemSubject::Token(token),
            });
            pb::BatchAuthorizeItem { subject, permission, account, context }
        });
        let request = pb::BatchAuthorizeRequest {
            items: items.collect(),
            default_context: Some(context("192.0.2.9", &[])),
            ..Default::default()
        };
        let client = self.caller();
        let Ok(response) = client.access().batch_authorize(request).await else { return };
        let pb::BatchAuthorizeResponse { results, revision } = response.into_inner();
        for result in results {
            if let Some(pb::batch_authorize_result::Result::Decision(answer)) = result.result {
                self.answers.insert(answer.decision_id.clone(), pb::AuthorizeResponse { revision, ..answer });
            }
        }
    }
}

/// The words of a field in all entries.
fn seen<'a>(entries: &'a [Value], field: &str) -> BTreeSet<&'a str> {
    entries.iter().filter_map(|entry| entry[field].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_is_logged_once_and_replays_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (server, path) = logging(folder.path(), |_| {}).await;
    let mut world = World::new(server).await;
    for round in 0..ROUNDS {
        world.change(round).await;
        world.ask().await;
    }
    let World { server, answers, people, department, .. } = world;
    until(&server, "written", u64::try_from(answers.len()).unwrap()).await;
    let logged = entries(&path);
    assert_eq!(logged.len(), answers.len(), "each decision is there once");
    for entry in &logged {
        let answer = &answers[entry["decisionId"].as_str().unwrap()];
        assert_eq!(entry["decision"], answer.decision().as_str_name());
        assert_eq!(entry["reason"], answer.reason().as_str_name());
        assert_eq!(entry["revision"], answer.revision.to_string());
        assert_eq!(entry["role"].as_str().unwrap_or_default(), answer.role);
        assert_eq!(entry["obligations"].as_array().map_or(0, Vec::len), answer.obligations.len());
    }
    assert!(logged.len() > 350, "{} decisions", logged.len());
    let bases = seen(&logged, "basis");
    for basis in ["POLICY", "CALLER_UNBOUND", "ACCOUNT_MISSING", "SUBJECT_HIDDEN", "CREDENTIAL_ENDED"] {
        assert!(bases.contains(basis), "no {basis} in {bases:?}");
    }
    assert!(seen(&logged, "reason").len() >= 10, "{:?}", seen(&logged, "reason"));
    assert_eq!(seen(&logged, "method").len(), 2);
    assert_eq!(seen(&logged, "subject").len(), 4);
    let whole = std::fs::read_to_string(&path).unwrap();
    for secret in people.iter().map(|(peer, _)| peer.key.as_str()).chain(["@", "nobody-at-all"]) {
        assert!(!whole.replace("@source_address", "").contains(secret), "the log holds {secret}");
    }

    // What was decided about stays decided when it is gone.
    let operator = server.operator();
    let request = pb::DeletePeerRequest { name: people[0].0.name.clone(), ..Default::default() };
    operator.peers().delete_peer(request).await.unwrap();
    let request = pb::DeleteAccountRequest { name: department, cascade: true, ..Default::default() };
    operator.accounts().delete_account(request).await.unwrap();
    let output = run(&server, folder.path(), &["authorize", "--replay", "decisions.jsonl", "-o", "json"]).await;
    let verdicts: Vec<Value> = told(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), logged.len(), "{}", said(&output));
    for (verdict, entry) in verdicts.iter().zip(&logged) {
        let ended = entry["basis"] == "CREDENTIAL_ENDED";
        assert_eq!(verdict["result"], if ended { "NOT_REPLAYABLE" } else { "SAME" }, "{verdict}\n{entry}");
    }
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(count(&server, "dropped").await + count(&server, "failed").await, 0);
    server.stop().await;
}
