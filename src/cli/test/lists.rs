//! Lists put to the engine, all pages of each, and how their rows differ from what is expected.

use super::ask::{Asker, Touch, Touched};
use super::read::{Ask, Rows};
use super::stage::Stage;
use crate::cli::words::Word as _;
use crate::decision::lists::{
    Part, Territory, Wanted, What, Where, Who, accessible_accounts, authorized_peers, effective_permissions,
};
use crate::decision::{Decision, PermissionIndex};
use crate::domain::ids::AccountId;
use crate::domain::peer::UserName;
use crate::domain::permission::{Permission, PermissionName};
use crate::transport::grpc::convert::access::outcome;

/// The most rows of a page: lists are read whole.
const PAGE: usize = 1000;

/// A whole list, and the grants that its rows rest on.
pub(super) struct Listed {
    pub(super) rows: Rows,
    pub(super) touched: Vec<Touched>,
}

impl Listed {
    fn nothing() -> Self {
        Self { rows: Rows::new(), touched: Vec::new() }
    }
}

/// The rows that are not as expected, each with what is said of it.
pub(super) fn differences(expected: &Rows, rows: &Rows) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, wanted) in expected {
        let text = match rows.get(name) {
            None => format!("expected {name} {}, and it is not listed", wanted.word()),
            Some(got) if got != wanted => format!("expected {name} {}, got {}", wanted.word(), got.word()),
            Some(_) => continue,
        };
        found.push((name.clone(), text));
    }
    let more = rows.iter().filter(|(name, _)| !expected.contains_key(*name));
    found.extend(more.map(|(name, got)| (name.clone(), format!("expected no {name}, got {}", got.word()))));
    found
}

impl Asker<'_> {
    /// Why a row of a list is there or is not.
    pub(super) fn why_row(&self, stage: &mut Stage, ask: &Ask, row: &str) -> anyhow::Result<String> {
        let why = match ask {
            Ask::Check { .. } => None,
            Ask::Accounts { peer, permission, .. } => {
                AccountId::parse(row).ok().map(|account| self.why(stage, (peer, permission, &account)))
            }
            Ask::Peers { account, permission, .. } => {
                UserName::parse(row).ok().map(|peer| self.why(stage, (&peer, permission, account)))
            }
            Ask::Permissions { peer, account, .. } => {
                PermissionName::parse(row).ok().map(|permission| self.why(stage, (peer, &permission, account)))
            }
        };
        why.unwrap_or_else(|| Ok(String::new()))
    }

    /// The grant that a row rests on.
    fn decider(&self, decision: &Decision) -> Option<Touched> {
        let deciding = decision.deciding?;
        let role = self.snapshot.role(deciding.role)?.fact.id.clone();
        Some(Touched { role, place: deciding.grant, how: Touch::Decided })
    }

    pub(super) fn accounts(
        &self,
        stage: &Stage,
        peer: &UserName,
        permission: &PermissionName,
        under: Option<&AccountId>,
    ) -> Listed {
        let snapshot = self.snapshot;
        let found = self.peer(stage, peer).zip(snapshot.find_permission(permission.as_str()));
        let Some((peer, permission)) = found else { return Listed::nothing() };
        let mut territory = Territory::of(snapshot, peer, permission, self.now);
        if let Some(top) = under.and_then(|under| snapshot.find_account(under.as_str())) {
            territory = territory.common(snapshot, &Territory::within(top));
        }
        let asked = Where { peer, permission, territory: &territory, now: self.now, context: self.context };
        self.whole(
            |wanted| accessible_accounts(snapshot, &asked, wanted, |_| true),
            |account| snapshot.account_id(account).map(AccountId::to_string),
        )
    }

    pub(super) fn peers(&self, stage: &Stage, account: &AccountId, permission: &PermissionName) -> Listed {
        let snapshot = self.snapshot;
        let found = snapshot.find_account(account.as_str()).zip(snapshot.find_permission(permission.as_str()));
        let Some((account, permission)) = found else { return Listed::nothing() };
        let asked = Who { permission, account, now: self.now, context: self.context };
        self.whole(
            |wanted| authorized_peers(snapshot, &asked, wanted, |_| true),
            |peer| snapshot.peer_id(peer).map(|id| stage.names.peer(id)),
        )
    }

    pub(super) fn permissions(&self, stage: &Stage, peer: &UserName, account: &AccountId, of: &[String]) -> Listed {
        let snapshot = self.snapshot;
        let found = self.peer(stage, peer).zip(snapshot.find_account(account.as_str()));
        let Some((peer, account)) = found else { return Listed::nothing() };
        let asked = What { peer, account, now: self.now, context: self.context };
        let takes =
            |permission: &Permission| of.is_empty() || of.iter().any(|resource| resource == permission.name.resource());
        self.whole(
            |wanted| effective_permissions(snapshot, &asked, wanted, takes),
            |permission: PermissionIndex| snapshot.permission(permission).map(|one| one.name.to_string()),
        )
    }

    /// All pages of a list.
    fn whole<T: Copy, P>(
        &self,
        page: impl Fn(Wanted<'_, P>) -> Part<T, P>,
        name: impl Fn(T) -> Option<String>,
    ) -> Listed {
        let mut listed = Listed::nothing();
        let mut after = None;
        loop {
            let part = page(Wanted { after: after.as_ref(), limit: PAGE, outcome: None });
            for (row, decision) in &part.rows {
                listed.rows.extend(name(*row).map(|name| (name, outcome(decision.outcome))));
                listed.touched.extend(self.decider(decision));
            }
            let Some(next) = part.next else { return listed };
            after = Some(next);
        }
    }
}
