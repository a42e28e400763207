//! Bindings each of which turns a denial into ALLOW, and who calls to give them and to ask.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use peerage::application::Clock;
use peerage::decision::compile::Compiler;
use peerage::decision::{PeerIndex, Query, Reason, Snapshot, evaluate};
use peerage::domain::binding::{Mode, Principal, Reach};
use peerage::domain::context::Context;
use peerage::domain::fact::{BindingFact, Change, Fact};
use peerage::domain::ids::{AccountId, BindingId};
use peerage::domain::time::Window;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::account_access_service_client::AccountAccessServiceClient;
use peerage::transport::grpc::pb::authorize_request::Subject;
use peerage::transport::grpc::pb::role_service_client::RoleServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::random::Random;
use crate::servers::Server;

/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(300);

/// A binding, and what it allows.
pub(crate) struct Gift {
    pub(crate) fact: BindingFact,
    peer: String,
    permission: String,
}

/// Draws so many gifts to as many peers, each at the peer's home.
pub(crate) fn draw(snapshot: &Snapshot, count: usize) -> Result<Vec<Gift>> {
    let root = snapshot.find_account(AccountId::platform().as_str()).context("the tree has a root")?;
    let mut peers: Vec<PeerIndex> =
        snapshot.subtree(root).into_iter().flat_map(|account| snapshot.homed_at(account)).collect();
    let (mut random, mut compiler) = (Random::new(7), Compiler::new()?);
    let mut gifts = Vec::with_capacity(count);
    while gifts.len() < count {
        ensure!(!peers.is_empty(), "there are too few peers for so many gifts");
        let peer = peers.swap_remove(random.below(peers.len()));
        let other = *random.pick(&peers).context("there are other peers")?;
        gifts.extend(gift(snapshot, (peer, other), &mut random, &mut compiler)?);
    }
    Ok(gifts)
}

/// What another peer has somewhere, for this one, if that allows something new.
fn gift(
    snapshot: &Snapshot,
    (peer, other): (PeerIndex, PeerIndex),
    random: &mut Random,
    compiler: &mut Compiler,
) -> Result<Option<Gift>> {
    let home = snapshot.peer(peer).context("the peer is there")?.home();
    let held: Vec<_> = snapshot.held(other).map(|held| held.binding.role).collect();
    let Some(role) = random.pick(&held).and_then(|role| snapshot.role(*role)) else { return Ok(None) };
    let grant = random.pick(&role.fact.grants).context("a role has grants")?;
    let Some((index, permission)) = snapshot.catalogue().find(|(_, one)| grant.pattern.matches(one)) else {
        return Ok(None);
    };
    let id = snapshot.peer_id(peer).context("a peer has an id")?;
    let fact = BindingFact {
        id: BindingId::from(random.uuid()),
        principal: Principal::Peer(id),
        role: role.fact.id.clone(),
        account: snapshot.account_id(home).context("an account has an id")?.clone(),
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::ALWAYS,
    };
    let query = Query {
        peer: Some(peer),
        permission: index,
        account: home,
        now: Clock::System.now(),
        context: Context::UNKNOWN,
    };
    let change = Change::made(Fact::Binding(fact.clone()));
    let after = snapshot.apply(snapshot.revision() + 1, &[change], compiler)?;
    let is_new = evaluate(snapshot, &query).reason == Reason::NoMatchingGrant && evaluate(&after, &query).is_allowed();
    Ok(is_new.then(|| Gift { fact, peer: format!("peers/{id}"), permission: permission.name.to_string() }))
}

/// The operator, at one server.
pub(crate) struct Caller {
    channel: Channel,
    key: MetadataValue<Ascii>,
}

impl Caller {
    pub(crate) fn of(server: &Server, key: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{}", server.address))?.connect_lazy();
        Ok(Self { channel, key: format!("Bearer {key}").parse()? })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.key.clone());
        request
    }

    /// Whether a gift's peer may already do what the gift allows.
    pub(crate) async fn is_allowed(&self, gift: &Gift) -> Result<bool, Status> {
        let request = pb::AuthorizeRequest {
            permission: gift.permission.clone(),
            account: format!("accounts/{}", gift.fact.account),
            subject: Some(Subject::Peer(gift.peer.clone())),
            ..pb::AuthorizeRequest::default()
        };
        let answer = AccountAccessServiceClient::new(self.channel.clone()).authorize(self.request(request)).await?;
        Ok(answer.get_ref().decision() == pb::Decision::Allow)
    }

    /// Waits until the server decides at all.
    pub(crate) async fn first_decision(&self, gift: &Gift) -> Result<()> {
        let began = Instant::now();
        while let Err(status) = self.is_allowed(gift).await {
            ensure!(began.elapsed() < START_MAX, "the server does not answer: {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Gives; false where a rule is against it.
    pub(crate) async fn give(&self, gift: &Gift) -> Result<bool, Status> {
        let binding = pb::RoleBinding {
            principal: Some(pb::role_binding::Principal::Peer(gift.peer.clone())),
            role: format!("roles/{}", gift.fact.role),
            account: format!("accounts/{}", gift.fact.account),
            reach: pb::Reach::Subtree.into(),
            justification: "a bench".to_owned(),
            ..pb::RoleBinding::default()
        };
        let request =
            pb::CreateRoleBindingRequest { role_binding: Some(binding), ..pb::CreateRoleBindingRequest::default() };
        match RoleServiceClient::new(self.channel.clone()).create_role_binding(self.request(request)).await {
            Ok(_) => Ok(true),
            Err(status) if matches!(status.code(), Code::FailedPrecondition | Code::AlreadyExists) => Ok(false),
            Err(status) => Err(status),
        }
    }
}
