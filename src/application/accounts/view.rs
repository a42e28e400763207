//! What a caller sees of an account: its row, and what the accounts above it add.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{VIEW, effective};
use crate::application::error::Result;
use crate::application::guard::View;
use crate::decision::{AccountIndex, Snapshot};
use crate::domain::account::{Account, Settings, Suspension, SuspensionScope};
use crate::domain::ids::AccountId;
use crate::storage::{self, Connection};

/// How much of an account a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    Full,
    /// From its parent: id, title, kind and state.
    Outside,
}

/// An account with all that holds for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountView {
    pub account: Account,
    pub effective_labels: BTreeMap<String, String>,
    pub effective_settings: Settings,
    pub suspension: Option<ShownSuspension>,
    pub detail: Detail,
}

/// The suspension that holds for an account, its own before one it inherits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShownSuspension {
    /// Its reason is empty where the caller may not view the account it comes from.
    pub suspension: Suspension,
    pub source: AccountId,
}

/// How much the caller sees of an account; `None` where it is hidden.
pub(super) fn detail(view: &View<'_>, account: AccountIndex) -> Option<Detail> {
    if view.may(VIEW, account) {
        return Some(Detail::Full);
    }
    let parent = view.snapshot.parent(account);
    parent.filter(|parent| view.may(VIEW, *parent)).map(|_| Detail::Outside)
}

/// The nearest account above that is suspended with everything below it.
pub(super) fn suspended_above(snapshot: &Snapshot, account: AccountIndex) -> Option<AccountIndex> {
    let path = snapshot.path(account);
    path.as_slice().iter().skip(1).copied().find(|above| {
        let record = snapshot.account(*above);
        record.is_some_and(|record| record.suspension == Some(SuspensionScope::Subtree))
    })
}

/// Describes accounts to one caller.
pub(super) struct Describer<'a> {
    view: View<'a>,
    /// Suspensions that others inherit, read once.
    sources: HashMap<AccountIndex, Option<Suspension>>,
}

impl<'a> Describer<'a> {
    pub(super) fn new(view: View<'a>) -> Self {
        Self { view, sources: HashMap::new() }
    }

    pub(super) async fn describe(
        &mut self,
        conn: &impl Connection,
        account: Account,
        index: AccountIndex,
        detail: Detail,
    ) -> Result<AccountView> {
        let suspension = match &account.suspension {
            Some(own) => Some(ShownSuspension { suspension: own.clone(), source: account.id.clone() }),
            None => self.inherited(conn, index).await?,
        };
        let effective_labels = self.labels(index);
        let effective_settings = effective(self.view.snapshot, index);
        Ok(AccountView { account, effective_labels, effective_settings, suspension, detail })
    }

    fn labels(&self, account: AccountIndex) -> BTreeMap<String, String> {
        let path = self.view.snapshot.path(account);
        let labels = path.as_slice().iter().rev().flat_map(|account| self.view.snapshot.own_labels(*account));
        labels.map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    /// The suspension of the nearest account above that is suspended with everything below it.
    async fn inherited(&mut self, conn: &impl Connection, account: AccountIndex) -> Result<Option<ShownSuspension>> {
        let snapshot = self.view.snapshot;
        let Some(source) = suspended_above(snapshot, account) else { return Ok(None) };
        let Some(id) = snapshot.account_id(source) else { return Ok(None) };
        let known = match self.sources.get(&source) {
            Some(known) => known.clone(),
            None => {
                let found = storage::accounts::find(conn, id).await?.and_then(|above| above.suspension);
                self.sources.insert(source, found.clone());
                found
            }
        };
        let Some(mut suspension) = known else { return Ok(None) };
        if !self.view.may(VIEW, source) {
            suspension.reason.clear();
        }
        Ok(Some(ShownSuspension { suspension, source: id.clone() }))
    }
}
