//! Importing a casbin policy as custom roles and bindings: all of it or nothing, under one revision.
//!
//! INVARIANT: roles and bindings are made by the very steps of CreateRole and CreateRoleBinding, each
//! judged on top of those before it, so that an import can do nothing that its caller could not do by
//! hand.

use serde::{Deserialize, Serialize};

use super::form::WantedRole;
use crate::application::bindings::{self, CreateBinding, PrincipalRef};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result};
use crate::application::roles::edit::{self, CreateRole};
use crate::application::write::Write;
use crate::domain::binding::Mode;
use crate::domain::ids::AccountId;
use crate::domain::role::RoleRules;
use crate::domain::time::Window;

const IMPORT: &str = "policy.import";
/// After how many bindings other tasks of the thread get a turn.
const BINDINGS_PER_TURN: usize = 16;

/// What is imported.
#[derive(Debug, Clone)]
pub struct ImportPolicy {
    /// Owns the roles; the bindings stay in its subtree.
    pub account: AccountId,
    pub roles: Vec<WantedRole>,
    /// Lines that are left out, each with the reason.
    pub skipped: Vec<Skipped>,
}

/// A line that was left out, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub line: usize,
    pub why: String,
}

/// What an import made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub roles: usize,
    pub bindings: usize,
    pub skipped: Vec<Skipped>,
    pub revision: i64,
}

/// Makes the roles and bindings of a policy.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`] and [`Error::Escalation`]; otherwise what CreateRole and
/// CreateRoleBinding fail with. Nothing is made then.
pub async fn import(ctx: &Ctx, call: &Call, request: ImportPolicy) -> Result<Imported> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let top = write.view()?.admit_at(IMPORT, &request.account)?.account();
    check_registered(&write, &request.roles)?;
    let mut done = Imported { roles: 0, bindings: 0, skipped: request.skipped, revision: 0 };
    for wanted in request.roles {
        let role = CreateRole {
            owner: request.account.clone(),
            title: wanted.title,
            description: String::new(),
            inheritable: true,
            grants: wanted.grants,
            rules: RoleRules::default(),
        };
        let step = write.step();
        let made = edit::make(&mut write, role).await;
        let role = write.settle(step, made)?.id;
        done.roles += 1;
        for (peer, place) in wanted.holders {
            let before = write.before();
            let account = before.find_account(place.account.as_str());
            if !account.is_some_and(|account| before.is_within(account, top)) {
                return Err(Error::not_found("account", format!("accounts/{}", place.account)));
            }
            let binding = CreateBinding {
                principal: PrincipalRef::Peer(peer),
                role: role.clone(),
                account: place.account,
                reach: place.reach,
                mode: Mode::Active,
                window: Window::ALWAYS,
                justification: String::new(),
            };
            let step = write.step();
            let made = bindings::give(&mut write, binding);
            write.settle(step, made)?;
            done.bindings += 1;
            if done.bindings.is_multiple_of(BINDINGS_PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
    }
    done.revision = write.revision();
    write.commit(done).await
}

/// Every grant without wildcards names a registered permission.
fn check_registered(write: &Write<'_>, roles: &[WantedRole]) -> Result<()> {
    let literals = roles.iter().flat_map(|role| &role.grants).filter_map(|grant| grant.pattern.literal());
    let mut unknown = literals.filter(|name| write.before().find_permission(name.as_str()).is_none());
    match unknown.next() {
        Some(name) => Err(Error::PermissionUnknown { field: "policy".to_owned(), name: name.to_string() }),
        None => Ok(()),
    }
}
