//! What writers asked for and what they were told, and whether a database agrees.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use peerage::domain::audit::{GENESIS, leaf_hash, open};
use peerage::domain::ids::AccountId;
use peerage::storage::entity::{audit_log, peer, policy_change, policy_revision, role_binding};
use peerage::storage::{Store, StoreOptions, audit};
use peerage::transport::grpc::pb;
use sea_orm::{ConnectionTrait, EntityTrait as _, QueryOrder as _};
use tonic::Status;

use super::process::{HOME, PLACES};
use crate::support::policy::binding;
use crate::support::{Client, reason, request_id};

const ROLE: &str = "roles/mspcontrol.web_developer";

/// One change, with the name of its request.
#[derive(Clone)]
struct Wish {
    request_id: String,
    what: What,
}

#[derive(Clone)]
enum What {
    /// A peer of this user name, with a role on the first two places.
    Peer(String),
    /// The role on the third place for a peer.
    Binding(String),
    Key(String),
    Disabled(String),
}

/// What a writer was told of a wish that was granted.
struct Granted {
    what: What,
    name: String,
    revision: i64,
}

/// One writer: it makes a peer, gives it a role and a key, disables it, and begins anew.
pub(super) struct Writer {
    id: usize,
    next: usize,
    /// The peer that it works on.
    peer: String,
    granted: Vec<Granted>,
    /// What it asked for and does not know the end of.
    open: Option<Wish>,
}

impl Writer {
    pub(super) fn crew(size: usize) -> Vec<Self> {
        let new = |id| Self { id, next: 0, peer: String::new(), granted: Vec::new(), open: None };
        (0..size).map(new).collect()
    }

    pub(super) fn granted(&self) -> usize {
        self.granted.len()
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.open.is_some()
    }

    /// Asks for one thing: for what was left open, under the same request id, or for the next.
    pub(super) async fn step(&mut self, operator: &Client) -> Result<(), Status> {
        let wish = self.open.take().unwrap_or_else(|| self.wish());
        self.open = Some(wish.clone());
        let (name, revision) = ask(operator, &wish).await?;
        self.open = None;
        if let What::Peer(_) = wish.what {
            self.peer.clone_from(&name);
        }
        self.next += 1;
        self.granted.push(Granted { what: wish.what, name, revision });
        Ok(())
    }

    /// Writes until the server is gone. Nothing but its end may keep a wish from being granted.
    pub(super) async fn until_the_end(&mut self, operator: &Client) {
        loop {
            let Err(status) = self.step(operator).await else { continue };
            assert_eq!(reason(&status), "", "{status:?}");
            return;
        }
    }

    fn wish(&self) -> Wish {
        let what = match self.next % 4 {
            0 => What::Peer(format!("writer-{}-{}@example.com", self.id, self.next)),
            1 => What::Binding(self.peer.clone()),
            2 => What::Key(self.peer.clone()),
            _ => What::Disabled(self.peer.clone()),
        };
        Wish { request_id: request_id(), what }
    }
}

async fn ask(operator: &Client, wish: &Wish) -> Result<(String, i64), Status> {
    let request_id = wish.request_id.clone();
    match &wish.what {
        What::Peer(user_name) => {
            let accounts = PLACES[..2].iter().map(|place| (*place).to_owned()).collect();
            let request = pb::CreatePeerRequest {
                peer: Some(pb::Peer {
                    user_name: user_name.clone(),
                    display_name: "Someone in a burning house".to_owned(),
                    kind: pb::PeerKind::Person.into(),
                    home_account: HOME.to_owned(),
                    ..Default::default()
                }),
                role: ROLE.to_owned(),
                access: Some(pb::PeerAccess {
                    scope: Some(pb::peer_access::Scope::Accounts(pb::AccountList { accounts })),
                }),
                justification: "fire".to_owned(),
                request_id,
                ..Default::default()
            };
            let peer = operator.peers().create_peer(request).await?.into_inner();
            Ok((peer.name, peer.update_revision))
        }
        What::Binding(peer) => {
            let role_binding = Some(binding(peer, ROLE, PLACES[2]));
            let request = pb::CreateRoleBindingRequest { role_binding, request_id, ..Default::default() };
            let made = operator.roles().create_role_binding(request).await?.into_inner();
            Ok((made.name, made.update_revision))
        }
        What::Key(peer) => {
            let api_key = Some(pb::ApiKey { peer: peer.clone(), title: "fire".to_owned(), ..Default::default() });
            let request = pb::CreateApiKeyRequest { api_key, request_id, ..Default::default() };
            let made = operator.auth().create_api_key(request).await?.into_inner();
            let key = made.api_key.unwrap();
            Ok((key.name, key.update_revision))
        }
        What::Disabled(peer) => {
            let request = pb::DisablePeerRequest { name: peer.clone(), request_id, ..Default::default() };
            let peer = operator.peers().disable_peer(request).await?.into_inner();
            assert_eq!(peer.state(), pb::PeerState::Disabled);
            Ok((peer.name, peer.update_revision))
        }
    }
}

/// Asks again for all that was left open.
pub(super) async fn settle(operator: &Client, crew: &mut [Writer]) {
    for writer in crew.iter_mut().filter(|writer| writer.is_in_doubt()) {
        writer.step(operator).await.expect("what was in doubt is granted, once");
    }
}

/// Whether revisions and logs have no gaps, by numbers alone: what is quick to see after each fire.
pub(super) async fn assert_gapless(url: &str) {
    let store = Store::connect(url, &StoreOptions::default()).await.unwrap();
    let reader = store.reader();
    let head = policy_revision::Entity::find().one(reader).await.unwrap().unwrap().revision;
    assert_eq!(number(reader, "SELECT count(DISTINCT revision) FROM policy_changes").await, head, "revisions");
    assert_eq!(number(reader, "SELECT max(revision) FROM policy_changes").await, head, "the last revision");
    let cut = "SELECT count(*) FROM (SELECT revision FROM policy_changes GROUP BY revision \
               HAVING count(*) <> max(ordinal) + 1) AS cut";
    assert_eq!(number(reader, cut).await, 0, "a revision lacks changes");
    let logs = "SELECT count(*) FROM (SELECT account_id FROM audit_events GROUP BY account_id \
                HAVING count(*) <> max(seq) OR min(seq) <> 1) AS gaps";
    assert_eq!(number(reader, logs).await, 0, "a log has a gap");
    let heads = "SELECT count(*) FROM audit_logs JOIN (SELECT account_id, max(seq) AS last FROM audit_events \
                 GROUP BY account_id) AS logs ON logs.account_id = audit_logs.account_id WHERE next_seq <> last + 1";
    assert_eq!(number(reader, heads).await, 0, "a log's head is not at its end");
    store.close().await.unwrap();
}

async fn number(connection: &impl ConnectionTrait, query: &str) -> i64 {
    let statement = sea_orm::Statement::from_string(connection.get_database_backend(), query);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// Compares everything that the writers were told with everything that a database holds.
pub(super) async fn assert_kept(url: &str, crew: &[Writer]) {
    assert_gapless(url).await;
    let store = Store::connect(url, &StoreOptions::default()).await.unwrap();
    let granted: Vec<&Granted> = crew.iter().flat_map(|writer| &writer.granted).collect();
    assert!(crew.iter().all(|writer| !writer.is_in_doubt()));
    peers_are_whole(&store, &granted).await;
    let events = logs_hold(&store).await;
    for granted in &granted {
        let action = match granted.what {
            What::Peer(_) => "peers.create",
            What::Binding(_) => "role_bindings.create",
            What::Key(_) => "api_keys.create",
            What::Disabled(_) => "peers.disable",
        };
        let count = events.get(&(action.to_owned(), granted.name.clone())).copied();
        assert_eq!(count, Some(1), "events of {action} of {}", granted.name);
    }
    feed_agrees(&store, &granted).await;
    store.close().await.unwrap();
}

/// Each peer that was granted is there once, in its state and with its bindings, and there is no other.
async fn peers_are_whole(store: &Store, granted: &[&Granted]) {
    let (mut wanted, mut bindings): (BTreeMap<String, String>, HashMap<String, usize>) = Default::default();
    for granted in granted {
        match &granted.what {
            What::Peer(_) => {
                let was = wanted.insert(granted.name.clone(), "enabled".to_owned());
                assert_eq!(was, None, "two requests got the same peer");
                *bindings.entry(granted.name.clone()).or_default() += 2;
            }
            What::Binding(peer) => *bindings.entry(peer.clone()).or_default() += 1,
            What::Disabled(peer) => drop(wanted.insert(peer.clone(), "disabled".to_owned())),
            What::Key(_) => {}
        }
    }
    let rows = peer::Entity::find().all(store.reader()).await.unwrap();
    let there = rows.iter().filter(|row| format!("accounts/{}", row.home_id) == HOME);
    let there: BTreeMap<String, String> =
        there.map(|row| (format!("peers/{}", row.id), row.status.to_lowercase())).collect();
    assert_eq!(there, wanted, "the peers are not those that were granted");
    let rows = role_binding::Entity::find().all(store.reader()).await.unwrap();
    let mut held: HashMap<String, usize> = HashMap::new();
    for peer in rows.iter().filter_map(|row| row.peer_id).map(|peer| format!("peers/{peer}")) {
        if wanted.contains_key(&peer) {
            *held.entry(peer).or_default() += 1;
        }
    }
    assert_eq!(held, bindings, "a peer lacks bindings, or has too many");
}

/// Walks every log from its first event on, and counts acts by action and target.
async fn logs_hold(store: &Store) -> HashMap<(String, String), usize> {
    let mut counts = HashMap::new();
    let mut export = Export::open();
    for log in audit_log::Entity::find().all(store.reader()).await.unwrap() {
        let account = AccountId::parse(&log.account_id).unwrap();
        let (mut last, mut prev) = (0, GENESIS);
        loop {
            let events = audit::events_after(store.reader(), &account, last, 500).await.unwrap();
            if events.is_empty() {
                break;
            }
            for event in events {
                assert_eq!((event.seq, event.prev_hash), (last + 1, prev), "{account}");
                assert_eq!(event.leaf_hash, leaf_hash(&event.bytes), "{account} {}", event.seq);
                let opened = open(&event.bytes, &event.personal).unwrap();
                let target = opened.body.target.name.value().unwrap_or_default().to_owned();
                if format!("accounts/{account}") == HOME {
                    *counts.entry((opened.body.action, target)).or_default() += 1;
                }
                export.write(&event);
                (last, prev) = (event.seq, event.leaf_hash);
            }
        }
        assert_eq!((log.next_seq, log.head_hash), (last + 1, prev.to_vec()), "the head of {account}");
    }
    counts
}

/// The feed and the tables tell the same, and each revision that was acknowledged holds its change.
async fn feed_agrees(store: &Store, granted: &[&Granted]) {
    let order = policy_change::Column::Revision;
    let changes = policy_change::Entity::find()
        .order_by_asc(order)
        .order_by_asc(policy_change::Column::Ordinal)
        .all(store.reader())
        .await
        .unwrap();
    let (mut last, mut by_revision): (BTreeMap<_, _>, HashMap<i64, String>) = Default::default();
    for change in &changes {
        last.insert((change.kind.clone(), change.fact_key.clone()), change.after.is_some());
        by_revision.entry(change.revision).or_default().push_str(&change.fact_key);
    }
    let alive = |kind: &str| {
        let keys = last.iter().filter(|((of, _), lives)| of == kind && **lives).map(|((_, key), _)| key.as_str());
        keys.collect::<BTreeSet<&str>>().len() as i64
    };
    let reader = store.reader();
    let peers = number(reader, "SELECT count(*) FROM peers").await;
    let bindings = number(reader, "SELECT count(*) FROM role_bindings").await;
    assert_eq!((alive("peer"), alive("binding")), (peers, bindings), "the feed holds something else than the tables");
    for granted in granted {
        let (_, id) = granted.name.rsplit_once('/').unwrap();
        let keys = by_revision.get(&granted.revision).expect("an acknowledged revision");
        assert!(keys.contains(id), "revision {} does not hold {}", granted.revision, granted.name);
    }
}

/// Events in the form of an export, for a verifier that shares no code with the server, where
/// `PEERAGE_TEST_EXPORTS` names a folder: a file for each test.
struct Export(Option<std::fs::File>);

impl Export {
    fn open() -> Self {
        let folder = std::env::var_os("PEERAGE_TEST_EXPORTS").map(std::path::PathBuf::from);
        let test = std::thread::current().name().unwrap_or("test").replace(':', "-");
        Self(folder.map(|folder| std::fs::File::create(folder.join(format!("{test}.jsonl"))).unwrap()))
    }

    fn write(&mut self, event: &peerage::domain::audit::SealedEvent) {
        use base64::Engine as _;
        use std::io::Write as _;
        let Some(file) = &mut self.0 else { return };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let personal: Vec<_> = event
            .personal
            .iter()
            .map(|kept| serde_json::json!({ "path": kept.path, "salt": hex(&kept.salt), "value": kept.value }))
            .collect();
        let line = serde_json::json!({
            "account": event.account.as_str(),
            "event": base64::engine::general_purpose::STANDARD.encode(&event.bytes),
            "leaf_hash": hex(&event.leaf_hash),
            "personal": personal,
            "prev_hash": hex(&event.prev_hash),
            "seq": event.seq.to_string(),
        });
        writeln!(file, "{line}").unwrap();
    }
}
