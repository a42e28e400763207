//! Roles over the wire: custom ones and copies, the catalogue, matrices, and what nobody may give.
//!
//! What is here for tests of bindings and groups too: one server that they share, and in it a
//! provider of its own for each test.

mod catalogue;
mod ceiling;
mod copies;
mod custom;
mod input;
mod matrix;
mod visibility;

use std::sync::OnceLock;
use std::sync::mpsc;

use peerage::transport::grpc::pb;
use prost_types::FieldMask;
use tonic::{Code, Response, Status};

pub(crate) use crate::support::policy::{allow, create_role as create, deny, fresh, role};
use crate::support::{Client, Server, TestPeer, reason};

pub(crate) const ADMINISTRATOR: &str = "roles/mspcontrol.administrator";

/// A provider with a tenant and an administrator, on a server that it shares.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) msp: String,
    pub(crate) tenant: String,
    pub(crate) admin: TestPeer,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::on(shared().reconnected()).await
    }

    /// A scene whose clock the test moves.
    pub(crate) async fn alone() -> Self {
        Self::on(Server::start().await).await
    }

    async fn on(server: Server) -> Self {
        let msp = server.partner(&fresh("msp"), &["mspcontrol"]).await;
        let tenant = server.customer(&fresh("tenant"), &msp).await;
        let admin = server.person(&msp, &fresh("admin"), ADMINISTRATOR).await;
        Self { server, msp, tenant, admin }
    }

    /// A person of the provider who holds just these grants on all of it.
    pub(crate) async fn with(&self, grants: &[pb::Grant]) -> TestPeer {
        let role = self.role(grants).await;
        self.server.person(&self.msp, &fresh("peer"), &role).await
    }

    /// A person of the provider who holds nothing anywhere near.
    pub(crate) async fn nobody(&self) -> TestPeer {
        self.with(&[allow("agents.check_in")]).await
    }

    /// An inheritable role of the provider with these grants; returns its name.
    pub(crate) async fn role(&self, grants: &[pb::Grant]) -> String {
        create(&self.server.operator(), role(&self.msp, grants)).await.unwrap().name
    }
}

/// A server in a thread of its own, so that it outlives the runtime of the test that came first.
fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                send.send(Server::start().await).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receive.recv().unwrap()
    })
}

/// The same grant, only where a label has a value.
pub(crate) fn where_label(grant: pb::Grant, key: &str, value: &str) -> pb::Grant {
    let label = pb::AccountLabelMatch { key: key.to_owned(), values: vec![value.to_owned()] };
    pb::Grant { condition: Some(pb::Condition { account_labels: vec![label], ..Default::default() }), ..grant }
}

/// The same grant, once somebody approves.
pub(crate) fn with_approval(grant: pb::Grant) -> pb::Grant {
    let approval = Some(pb::ApprovalRequirement {});
    pb::Grant { requirements: Some(pb::Requirements { step_up: None, approval }), ..grant }
}

/// What it takes to administer roles, without anything to give.
pub(crate) fn administration() -> Vec<pb::Grant> {
    ["accounts.view", "peers.view", "roles.*", "role_bindings.*", "groups.*"].map(allow).to_vec()
}

pub(crate) async fn get(client: &Client, name: &str) -> Result<pb::Role, Status> {
    let request = pb::GetRoleRequest { name: name.to_owned(), read_mask: None };
    client.roles().get_role(request).await.map(Response::into_inner)
}

/// Changes a role; the paths say what, and none stand for all that is set.
pub(crate) async fn update(client: &Client, role: pb::Role, paths: &[&str]) -> Result<pb::Role, Status> {
    let request = pb::UpdateRoleRequest { role: Some(role), update_mask: mask(paths), ..Default::default() };
    client.roles().update_role(request).await.map(Response::into_inner)
}

pub(crate) fn mask(paths: &[&str]) -> Option<FieldMask> {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    (!paths.is_empty()).then_some(FieldMask { paths })
}

pub(crate) async fn delete(client: &Client, name: &str) -> Result<i64, Status> {
    let request = pb::DeleteRoleRequest { name: name.to_owned(), ..Default::default() };
    client.roles().delete_role(request).await.map(|response| response.into_inner().update_revision)
}

pub(crate) async fn copy(client: &Client, source: &str, owner: &str) -> Result<pb::Role, Status> {
    let request = pb::CopyRoleRequest {
        name: source.to_owned(),
        owner_account: owner.to_owned(),
        title: fresh("Copy"),
        inheritable: true,
        ..Default::default()
    };
    client.roles().copy_role(request).await.map(Response::into_inner)
}

/// Asserts a refusal by code and reason.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, why: &str) {
    let status = result.expect_err(why);
    assert_eq!((status.code(), reason(&status).as_str()), (code, why), "{}", status.message());
}

#[track_caller]
pub(crate) fn escalates<T: std::fmt::Debug>(result: Result<T, Status>) {
    refused(result, Code::PermissionDenied, "ESCALATION");
}

#[track_caller]
pub(crate) fn is_missing<T: std::fmt::Debug>(result: Result<T, Status>) {
    refused(result, Code::NotFound, "RESOURCE_NOT_FOUND");
}

/// The events of an account's log with this action, refused calls aside, as the operator reads them.
pub(crate) async fn events(server: &Server, account: &str, action: &str) -> Vec<pb::AuditEvent> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListAuditEventsRequest {
            account: account.to_owned(),
            page_size: 1000,
            page_token,
            ..Default::default()
        };
        let page = server.operator().audit().list_audit_events(request).await.unwrap().into_inner();
        found.extend(
            page.audit_events
                .into_iter()
                .filter(|event| event.action == action && event.outcome() == pb::AuditOutcome::Success),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}
