//! How a server comes by its first snapshot: from the file that it kept and what was committed since,
//! or from all rows.
//!
//! INVARIANT: what is published is of the database's own history. The file says where in it the facts
//! stood; the changes since then lead to the digest of the revision row, or the file is not used.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Ctx;
use super::error::{Error, Result};
use super::kept::{self, Kept, SealKey, Unusable};
use super::refresh;
use crate::decision::compile::Compiler;
use crate::decision::{Snapshot, SnapshotError};
use crate::domain::fact::Mark;
use crate::storage::change_feed;

/// The most revisions that are followed from a file. Each takes about as long as twenty rows.
const REVISIONS_MAX: i64 = 100_000;

/// How a server started.
#[derive(Debug)]
pub struct Started {
    /// What the file held; `None` where the start was from rows.
    pub file: Option<Mark>,
    pub took: Duration,
}

/// Publishes the first snapshot.
///
/// # Errors
/// As [`refresh::reload`]. A file that cannot be used is no error, and says so in the log.
pub async fn start(ctx: &Ctx, kept: Option<&Kept>) -> Result<Started> {
    let began = Instant::now();
    if let Some(kept) = kept {
        match from_file(ctx, kept).await? {
            Ok(mark) => return Ok(Started { file: Some(mark), took: began.elapsed() }),
            Err(Unusable::Absent) => tracing::info!("no snapshot was kept yet; starting from rows"),
            Err(why) => {
                let error = &why as &dyn std::error::Error;
                tracing::warn!(error, "the snapshot that was kept cannot be used; starting from rows");
            }
        }
    }
    refresh::reload(ctx).await?;
    Ok(Started { file: None, took: began.elapsed() })
}

async fn from_file(ctx: &Ctx, kept: &Kept) -> Result<std::result::Result<Mark, Unusable>> {
    let Some(key) = kept::find_seal_key(ctx).await? else { return Ok(Err(Unusable::Absent)) };
    let kept = kept.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut compiler = Compiler::new().map_err(SnapshotError::from)?;
        Ok::<_, SnapshotError>(kept.read(&key, &mut compiler))
    });
    let snapshot = match reading.await.map_err(|ended| Error::Internal(ended.into()))?? {
        Ok(snapshot) => snapshot,
        Err(why) => return Ok(Err(why)),
    };
    let (began, mark) = (Instant::now(), snapshot.mark());
    let head = change_feed::head(ctx.store.reader()).await?;
    if mark.revision > head.revision {
        return Ok(Err(Unusable::Ahead));
    }
    if head.revision - mark.revision > REVISIONS_MAX {
        return Ok(Err(Unusable::Behind));
    }
    match refresh::brought_to(ctx, Arc::new(snapshot), head).await {
        Ok(snapshot) => refresh::publish_first(ctx, snapshot, began),
        Err(error) if refresh::is_lasting(&error) => return Ok(Err(Unusable::OtherHistory(Box::new(error)))),
        Err(error) => return Err(error),
    }
    Ok(Ok(mark))
}

/// Keeps the published snapshot in the file.
///
/// # Errors
/// [`Error::Internal`] where the task that writes broke off.
pub async fn keep(snapshot: Arc<Snapshot>, kept: Kept, key: SealKey) -> Result<std::result::Result<(), Unusable>> {
    let writing = tokio::task::spawn_blocking(move || kept.write(&snapshot, &key));
    writing.await.map_err(|ended| Error::Internal(ended.into()))
}
