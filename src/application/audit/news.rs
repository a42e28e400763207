//! How far each log goes that somebody watches, told by whoever records here and by a worker that reads
//! what other processes recorded.
//!
//! What is told is a number and not an event: a watcher reads events from the database at its own pace,
//! so that nothing is kept for a slow one. It may be told late or twice, and never too high.
//!
//! INVARIANT: a log is known here as long as somebody follows it, and no longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::application::context::Ctx;
use crate::application::error::Result;
use crate::domain::audit::SealedEvent;
use crate::domain::ids::AccountId;
use crate::storage;

/// The logs that are watched, each with the number of its last event that is known here.
#[derive(Debug, Default)]
pub struct News {
    logs: Mutex<HashMap<AccountId, watch::Sender<i64>>>,
}

/// The end of one log, as far as it is known here. Dropping it ends the following.
#[derive(Debug)]
pub(super) struct Followed {
    news: Arc<News>,
    log: AccountId,
    last: watch::Receiver<i64>,
}

impl News {
    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, watch::Sender<i64>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a log.
    pub(super) fn follow(self: &Arc<Self>, log: &AccountId) -> Followed {
        let last = self.lock().entry(log.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        Followed { news: Arc::clone(self), log: log.clone(), last }
    }

    /// Tells of events that are durable.
    pub(in crate::application) fn tell(&self, events: &[SealedEvent]) {
        let logs = self.lock();
        if logs.is_empty() {
            return;
        }
        for event in events {
            if let Some(last) = logs.get(&event.account) {
                raise(last, event.seq);
            }
        }
    }

    fn watched(&self) -> Vec<AccountId> {
        self.lock().keys().cloned().collect()
    }
}

fn raise(last: &watch::Sender<i64>, seq: i64) {
    last.send_if_modified(|known| {
        let is_news = *known < seq;
        *known = (*known).max(seq);
        is_news
    });
}

impl Followed {
    /// What is told from now on is news; what was told before is about to be read.
    pub(super) fn heed(&mut self) {
        self.last.borrow_and_update();
    }

    /// Waits for news.
    pub(super) async fn changed(&mut self) {
        // The sender lives as long as this does.
        if self.last.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let mut logs = self.news.lock();
        if logs.get(&self.log).is_some_and(|last| last.receiver_count() <= 1) {
            logs.remove(&self.log);
        }
    }
}

/// Reads how far the watched logs go, whoever recorded there. Called by a worker.
///
/// # Errors
/// [`crate::application::Error::Store`] where the database is not there.
pub async fn refresh(ctx: &Ctx) -> Result<()> {
    let watched = ctx.news.watched();
    if watched.is_empty() {
        return Ok(());
    }
    let ends = storage::audit::last_seqs(ctx.store.reader(), &watched).await?;
    let logs = ctx.news.lock();
    for (log, seq) in ends {
        if let Some(last) = logs.get(&log) {
            raise(last, seq);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_as_long_as_somebody_follows_it() {
        let news = Arc::new(News::default());
        let log = AccountId::platform();
        let first = news.follow(&log);
        let second = news.follow(&log);
        drop(first);
        assert_eq!(news.watched(), *std::slice::from_ref(&log));
        drop(second);
        assert!(news.watched().is_empty());
    }

    #[test]
    fn only_what_is_further_is_news() {
        let news = Arc::new(News::default());
        let mut followed = news.follow(&AccountId::platform());
        let tell = |seq| raise(news.lock().get(&AccountId::platform()).unwrap(), seq);
        tell(3);
        assert!(followed.last.has_changed().unwrap());
        followed.heed();
        tell(3);
        tell(2);
        assert!(!followed.last.has_changed().unwrap());
        tell(4);
        assert_eq!(*followed.last.borrow(), 4);
    }
}
