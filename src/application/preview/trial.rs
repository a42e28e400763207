//! The changes that can be tried out: those that can turn a decision about somebody who is there.

use crate::application::accounts::delete::DeleteAccount;
use crate::application::accounts::ownership::Transfer;
use crate::application::accounts::place::MoveAccount;
use crate::application::accounts::suspend::{Resume, Suspend};
use crate::application::accounts::update::UpdateAccount;
use crate::application::accounts::{delete, ownership, place, suspend, update};
use crate::application::bindings::{self, CreateBinding, UpdateBinding};
use crate::application::context::{Call, Ctx};
use crate::application::error::Result;
use crate::application::groups::members::{AddMember, RemoveMember};
use crate::application::groups::{self, members};
use crate::application::peers::{self, ChangeState, StateChange, UpdatePeer};
use crate::application::policy::{self, ImportPolicy};
use crate::application::roles::edit::{self, CreateRole, UpdateRole};
use crate::domain::ids::{BindingId, GroupId, RoleId};

/// One change, as the use case that makes it takes it.
#[derive(Debug, Clone)]
pub enum Trial {
    CreateRole(CreateRole),
    UpdateRole(UpdateRole),
    DeleteRole(RoleId, Option<i64>),
    CreateBinding(CreateBinding),
    UpdateBinding(UpdateBinding),
    DeleteBinding(BindingId, Option<i64>),
    DeleteGroup(GroupId, Option<i64>),
    AddMember(AddMember),
    RemoveMember(RemoveMember),
    UpdateAccount(Box<UpdateAccount>),
    MoveAccount(MoveAccount),
    SuspendAccount(Suspend),
    ResumeAccount(Resume),
    DeleteAccount(DeleteAccount),
    TransferOwnership(Transfer),
    UpdatePeer(Box<UpdatePeer>),
    ChangePeerState(StateChange, ChangeState),
    ImportPolicy(ImportPolicy),
}

impl Trial {
    /// Makes the change on the stage of the call.
    ///
    /// # Errors
    /// Those of the use case.
    pub(super) async fn try_out(self, ctx: &Ctx, call: &Call) -> Result<()> {
        match self {
            Self::CreateRole(wish) => edit::create(ctx, call, wish).await.map(drop),
            Self::UpdateRole(wish) => edit::update(ctx, call, wish).await.map(drop),
            Self::DeleteRole(id, etag) => edit::delete(ctx, call, &id, etag).await.map(drop),
            Self::CreateBinding(wish) => bindings::create(ctx, call, wish).await.map(drop),
            Self::UpdateBinding(wish) => bindings::update(ctx, call, wish).await.map(drop),
            Self::DeleteBinding(id, etag) => bindings::delete(ctx, call, id, etag).await.map(drop),
            Self::DeleteGroup(id, etag) => groups::delete(ctx, call, id, etag).await.map(drop),
            Self::AddMember(wish) => members::add(ctx, call, wish).await.map(drop),
            Self::RemoveMember(wish) => members::remove(ctx, call, wish).await.map(drop),
            Self::UpdateAccount(wish) => update::update(ctx, call, *wish).await.map(drop),
            Self::MoveAccount(wish) => place::move_account(ctx, call, wish).await.map(drop),
            Self::SuspendAccount(wish) => suspend::suspend(ctx, call, wish).await.map(drop),
            Self::ResumeAccount(wish) => suspend::resume(ctx, call, wish).await.map(drop),
            Self::DeleteAccount(wish) => delete::delete(ctx, call, wish).await.map(drop),
            Self::TransferOwnership(wish) => ownership::transfer(ctx, call, wish).await.map(drop),
            Self::UpdatePeer(wish) => peers::update(ctx, call, *wish).await.map(drop),
            Self::ChangePeerState(what, wish) => peers::change_state(ctx, call, what, wish).await.map(drop),
            Self::ImportPolicy(wish) => policy::import(ctx, call, wish).await.map(drop),
        }
    }
}
