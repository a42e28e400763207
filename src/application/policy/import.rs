//! Importing a casbin policy as custom roles and bindings: all of it or nothing, under one revision.
//!
//! INVARIANT: roles and bindings are made by the very steps of CreateRole and CreateRoleBinding, each
//! judged on top of those before it, so that an import can do nothing that its caller could not do by
//! hand.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::form::{Fault, Known, Policy, WantedRole};
use crate::application::bindings::{self, CreateBinding, PrincipalRef};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result, Violation};
use crate::application::guard::View;
use crate::application::roles::edit::{self, CreateRole};
use crate::application::write::Write;
use crate::decision::AccountIndex;
use crate::domain::binding::Mode;
use crate::domain::ids::AccountId;
use crate::domain::invalid::Invalid;
use crate::domain::peer::{PeerRef, PeerStatus};
use crate::domain::role::RoleRules;
use crate::domain::time::Window;

const IMPORT: &str = "policy.import";
const BIND: &str = "role_bindings.create";
const NO_PEER: Invalid = Invalid::Names { what: "a peer that is missing or hidden" };
/// After how many bindings other tasks of the thread get a turn.
const BINDINGS_PER_TURN: usize = 16;

/// What is imported.
#[derive(Debug, Clone)]
pub struct ImportPolicy {
    /// Owns the roles; the bindings stay in its subtree.
    pub account: AccountId,
    pub policy: Policy,
    pub wrong_lines: WrongLines,
}

/// What becomes of lines that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongLines {
    Refuse,
    Skip,
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
/// [`Error::NotFound`], [`Error::Denied`] and [`Error::Escalation`]; [`Error::Invalid`] that names every
/// wrong line; otherwise what CreateRole and CreateRoleBinding fail with. Nothing is made then.
pub async fn import(ctx: &Ctx, call: &Call, request: ImportPolicy) -> Result<Imported> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let top = write.view()?.admit_at(IMPORT, &request.account)?.account();
    let (roles, faults) = wanted(&write.view()?, top, request.policy);
    let skipped = skipped(faults, request.wrong_lines)?;
    let mut done = Imported { roles: 0, bindings: 0, skipped, revision: 0 };
    for wanted in roles {
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
            let binding = CreateBinding {
                principal: PrincipalRef::Peer(PeerRef::Id(peer)),
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

/// What the lines come to among the facts that the caller may know of.
fn wanted(view: &View<'_>, top: AccountIndex, policy: Policy) -> (Vec<WantedRole>, Vec<Fault>) {
    let snapshot = view.snapshot;
    // Many lines are about few accounts.
    let seen: RefCell<HashMap<AccountId, bool>> = RefCell::default();
    let is_seen = |id: &AccountId| {
        let account = snapshot.find_account(id.as_str()).filter(|account| snapshot.is_within(*account, top));
        account.is_some_and(|account| view.may("accounts.view", account) || view.may(BIND, account))
    };
    policy.wanted(Known {
        permission: &|name| snapshot.find_permission(name.as_str()).is_some(),
        account: &|id| *seen.borrow_mut().entry(id.clone()).or_insert_with(|| is_seen(id)),
        peer: &|peer, account| {
            let account = snapshot.find_account(account.as_str()).ok_or(NO_PEER)?;
            let (index, id) = bindings::visible_peer(view, peer, account).map_err(|_| NO_PEER)?;
            match snapshot.peer(index).map(|peer| peer.status()) {
                Some(PeerStatus::Deleted) => Err(Invalid::Names { what: "a peer that is deleted" }),
                Some(PeerStatus::Enabled | PeerStatus::Disabled) => Ok(id),
                None => Err(NO_PEER),
            }
        },
    })
}

/// The lines that are left out, where that is wished. What is wrong with all of it cannot be left out.
fn skipped(faults: Vec<Fault>, wrong_lines: WrongLines) -> Result<Vec<Skipped>> {
    let is_refused = |fault: &Fault| fault.line == 0 || wrong_lines == WrongLines::Refuse;
    if !faults.iter().any(is_refused) {
        return Ok(faults.into_iter().map(|Fault { line, why }| Skipped { line, why: why.to_string() }).collect());
    }
    let violation = |Fault { line, why }| match line {
        0 => Violation::new("policy", why),
        line => Violation::new(format!("policy[{line}]"), why),
    };
    Err(Error::Invalid(faults.into_iter().filter(is_refused).map(violation).collect()))
}
