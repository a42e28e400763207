//! How long a list is.

use super::judge::{fact, is_factual, judge};
use super::{Homes, ListView, Lister};
use crate::application::error::Result;
use crate::decision::PeerIndex;
use crate::domain::ids::PeerId;
use crate::domain::peer::PeerStatus;
use crate::storage;
use crate::storage::peers::list::Source;

impl Lister<'_> {
    /// How many peers the whole list has. What facts tell is counted in the snapshot; for the rest the
    /// database reads each peer of the list once.
    pub(super) async fn count(&self, homes: &mut Homes<'_>) -> Result<u64> {
        let restricted = u64::try_from(self.restricted(homes).len()).unwrap_or(u64::MAX);
        let is_factual = self.request.search.is_none()
            && !self.request.show_deleted
            && self.request.view == ListView::HomeSubtree
            && is_factual(&self.request.condition);
        let full = if is_factual { self.count_facts(homes) } else { self.count_rows(homes).await? };
        Ok(full.saturating_add(restricted))
    }

    fn count_facts(&self, homes: &mut Homes<'_>) -> u64 {
        let snapshot = self.view.snapshot;
        let mut count = 0;
        for account in snapshot.subtree(self.account) {
            let Some(home) = snapshot.account_id(account).filter(|_| homes.may_view(account)) else { continue };
            let is_listed = |peer: &PeerIndex| {
                let Some(record) = snapshot.peer(*peer) else { return false };
                record.status() != PeerStatus::Deleted
                    && self.request.administrator.is_none_or(|wanted| wanted == self.administers(*peer))
                    && judge(&self.request.condition, &|test| fact(test, record.kind(), home, record.status()))
                        == Some(true)
            };
            count += snapshot.homed_at(account).filter(is_listed).count();
        }
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    async fn count_rows(&self, homes: &mut Homes<'_>) -> Result<u64> {
        let sources = match (self.request.administrator, self.request.view) {
            (Some(wanted), view) => {
                let peers: Vec<PeerIndex> = match view {
                    ListView::HomeSubtree => self.homed().collect(),
                    ListView::WithAccess => self.holders(),
                };
                let peers = peers.into_iter().filter(|peer| self.administers(*peer) == wanted);
                let ids: Vec<PeerId> = peers.filter_map(|peer| self.view.snapshot.peer_id(peer)).collect();
                ids.chunks(1000).map(|ids| Source::Ids(ids.to_vec())).collect()
            }
            (None, ListView::WithAccess) => vec![Source::WithAccess(self.with_access())],
            (None, ListView::HomeSubtree) => {
                let source = self.source().await?;
                // No index of an order tells of a whole branch what a count asks.
                let is_wide = matches!(source, Source::Order) && self.matching.branch.is_some();
                vec![if is_wide { Source::Subtree(self.request.account.clone()) } else { source }]
            }
        };
        let mut count = 0;
        for source in sources {
            let conn = self.ctx.store.reader();
            for (home, peers) in storage::peers::list::count_by_home(conn, &source, &self.matching).await? {
                let Some(home) = self.view.snapshot.find_account(home.as_str()) else { continue };
                let is_within =
                    self.request.view == ListView::WithAccess || self.view.snapshot.is_within(home, self.account);
                if is_within && homes.may_view(home) {
                    count += peers;
                }
            }
        }
        Ok(count)
    }
}
