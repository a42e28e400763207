//! Permission matrices: what roles answer to permissions, cell by cell, as the engine decides.
//!
//! Each role is bound to a probe peer in a probe world of a partner with a customer, so that a cell
//! is a decision like any other and never read from the pack.

use uuid::Uuid;

use super::compile::Compiler;
use super::evaluate::{Outcome, Query, evaluate};
use super::snapshot::{RoleRecord, Snapshot, SnapshotError};
use crate::domain::account::AccountKind;
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::context::Context;
use crate::domain::fact::{AccountFact, BindingFact, Change, Fact, PeerFact, RoleFact};
use crate::domain::ids::{AccountId, BindingId, PeerId};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::permission::{Permission, PermissionName};
use crate::domain::time::{Timestamp, Window};

/// What a role answers to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Yes,
    WithApproval,
    /// Only these of the row's permissions.
    Partial(Vec<PermissionName>),
    No,
}

/// Where a role can be given: on all clients at once, on assigned ones, or either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    All,
    Assigned,
    Either,
}

/// The scope that a role's rules allow.
#[must_use]
pub fn scope(role: &RoleFact) -> Scope {
    match role.rules.account_kinds.as_slice() {
        [AccountKind::Partner] => Scope::All,
        [AccountKind::Customer] => Scope::Assigned,
        _ => Scope::Either,
    }
}

/// Asks the engine for one column: each row's permissions for one role.
///
/// # Errors
/// [`SnapshotError`] where the probe world cannot be built.
pub fn column(
    role: &RoleRecord,
    catalogue: &[Permission],
    rows: &[Vec<PermissionName>],
    compiler: &mut Compiler,
) -> Result<Vec<Cell>, SnapshotError> {
    let world = Probe::build(role, catalogue, compiler)?;
    Ok(rows.iter().map(|permissions| world.cell(permissions)).collect())
}

/// A world of one peer that holds one role.
struct Probe {
    snapshot: Snapshot,
    peer: PeerId,
    account: AccountId,
}

impl Probe {
    fn build(role: &RoleRecord, catalogue: &[Permission], compiler: &mut Compiler) -> Result<Self, SnapshotError> {
        let ids: Vec<AccountId> = ["platform", "partner", "customer", "department"]
            .iter()
            .filter_map(|id| AccountId::parse(id).ok())
            .collect();
        let kinds = [AccountKind::Platform, AccountKind::Partner, AccountKind::Customer, AccountKind::Department];
        let rules = &role.fact.rules;
        // The role is bound as high as its rules let it, and asked about where it is bound, or on the
        // customer below.
        let bound = kinds.iter().position(|kind| {
            *kind != AccountKind::Platform && rules.account_kinds.is_empty() || rules.account_kinds.contains(kind)
        });
        let bound = bound.unwrap_or(1);
        let reach = if rules.reaches.contains(&Reach::AccountOnly) && rules.reaches.len() == 1 {
            Reach::AccountOnly
        } else {
            Reach::Subtree
        };
        let asked = if reach == Reach::Subtree { bound.max(2) } else { bound };
        let peer = PeerId::from(Uuid::from_u128(1));
        let unknown = || SnapshotError::Unknown { name: "probe".to_owned() };
        let account = |place: usize| ids.get(place).cloned().ok_or_else(unknown);

        let mut facts: Vec<Fact> = catalogue.iter().cloned().map(Fact::Permission).collect();
        for (place, kind) in kinds.into_iter().enumerate() {
            let parent = place.checked_sub(1).and_then(|above| ids.get(above).cloned());
            facts.push(Fact::Account(AccountFact::new(account(place)?, parent, kind)));
        }
        facts.push(Fact::Role(RoleFact { ..(*role.fact).clone() }));
        facts.push(Fact::Peer(PeerFact {
            id: peer,
            user_name_hash: 1,
            kind: rules.peer_kinds.first().copied().unwrap_or(PeerKind::Person),
            home: account(bound)?,
            status: PeerStatus::Enabled,
            expire_time: None,
            person: None,
        }));
        facts.push(Fact::Binding(BindingFact {
            id: BindingId::from(Uuid::from_u128(2)),
            principal: Principal::Peer(peer),
            role: role.fact.id.clone(),
            account: account(bound)?,
            reach,
            mode: Mode::Active,
            window: Window::ALWAYS,
        }));
        let changes: Vec<Change> = facts.into_iter().map(Change::made).collect();
        Ok(Self { snapshot: Snapshot::default().with(&changes, compiler)?, peer, account: account(asked)? })
    }

    fn cell(&self, permissions: &[PermissionName]) -> Cell {
        let answers: Vec<(Outcome, &PermissionName)> =
            permissions.iter().map(|permission| (self.ask(permission), permission)).collect();
        let count = |outcome: Outcome| answers.iter().filter(|(answer, _)| *answer == outcome).count();
        let (yes, approval) = (count(Outcome::Allow), count(Outcome::RequiresApproval));
        if yes == answers.len() {
            Cell::Yes
        } else if yes == 0 && approval == 0 && count(Outcome::RequiresStepUp) == 0 {
            Cell::No
        } else if yes + approval == answers.len() {
            Cell::WithApproval
        } else {
            let partial = answers.iter().filter(|(answer, _)| *answer != Outcome::Deny);
            Cell::Partial(partial.map(|(_, permission)| (*permission).clone()).collect())
        }
    }

    fn ask(&self, permission: &PermissionName) -> Outcome {
        let found =
            (self.snapshot.find_permission(permission.as_str()), self.snapshot.find_account(self.account.as_str()));
        let (Some(permission), Some(account)) = found else { return Outcome::Deny };
        let query = Query {
            peer: self.snapshot.find_peer(self.peer),
            permission,
            account,
            now: Timestamp::from_micros(0),
            context: Context::UNKNOWN,
        };
        evaluate(&self.snapshot, &query).outcome
    }
}
