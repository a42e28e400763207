//! Exporting the policy of a subtree, piece by piece, as fast as the caller takes it.
//!
//! INVARIANT: all pieces come from the snapshot that the export began with; the caller's right to them is
//! looked at before each in the policy of that moment.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::application::authorize::{Consistency, await_revision};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result};
use crate::application::guard::View;
use crate::decision::export::{Export, MODEL};
use crate::domain::context::Context;
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const EXPORT: &str = "policy.export";
/// The most bytes of one piece.
const PIECE_MAX: usize = 1024 * 1024;

/// What is exported.
#[derive(Debug, Clone)]
pub struct ExportPolicy {
    pub account: AccountId,
    /// The moment for which windows are resolved; none is now.
    pub time: Option<Timestamp>,
    pub context: Context,
    pub consistency: Consistency,
}

/// A part of an export.
#[derive(Debug)]
pub enum Piece {
    Model(&'static str),
    /// Whole lines.
    Policy(String),
}

/// What comes next.
#[derive(Debug)]
enum Next {
    Model(Box<Export>),
    Policy(Box<Export>),
    Nothing,
}

/// An export that is being read.
#[derive(Debug)]
pub struct Exporting {
    ctx: Arc<Ctx>,
    call: Call,
    account: AccountId,
    revision: i64,
    time: Timestamp,
    next: Next,
    stop: CancellationToken,
}

impl Exporting {
    /// Begins an export, which ends early when `stop` says that the server stops.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Denied`] where the caller may not export there;
    /// [`Error::RevisionNotReached`] where the policy is not as fresh as demanded in `patience`.
    pub async fn begin(
        ctx: Arc<Ctx>,
        call: Call,
        request: ExportPolicy,
        patience: Option<Duration>,
        stop: CancellationToken,
    ) -> Result<Self> {
        await_revision(&ctx, request.consistency, patience).await?;
        let (snapshot, now) = (ctx.snapshot(), ctx.clock.now());
        let view = View::of_caller(&snapshot, &call.caller, now)?;
        let account = view.admit_at(EXPORT, &request.account)?.account();
        let time = request.time.unwrap_or(now);
        let (revision, context) = (snapshot.revision(), request.context);
        let export = work(move || Export::new(snapshot, account, time, context)).await?;
        let next = Next::Model(Box::new(export));
        Ok(Self { ctx, call, account: request.account, revision, time, next, stop })
    }

    /// The call that reads.
    #[must_use]
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// The revision of all pieces.
    #[must_use]
    pub const fn revision(&self) -> i64 {
        self.revision
    }

    /// The moment for which all pieces are resolved.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The next piece: the model first, then lines until there are no more.
    ///
    /// # Errors
    /// [`Error::NotReady`] where the server stops; [`Error::Unauthenticated`], [`Error::NotFound`] and
    /// [`Error::Denied`] as soon as the caller may not export any more.
    pub async fn next(&mut self) -> Result<Option<Piece>> {
        self.check()?;
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Model(export) => {
                self.next = Next::Policy(export);
                Ok(Some(Piece::Model(MODEL)))
            }
            Next::Policy(mut export) => {
                let (export, text) = work(move || {
                    let text = export.next(PIECE_MAX);
                    (export, text)
                })
                .await?;
                if text.is_some() {
                    self.next = Next::Policy(export);
                }
                Ok(text.map(Piece::Policy))
            }
            Next::Nothing => Ok(None),
        }
    }

    /// Whether the caller may still export.
    fn check(&self) -> Result<()> {
        if self.stop.is_cancelled() || !self.ctx.policy.is_ready() {
            return Err(Error::NotReady);
        }
        let snapshot = self.ctx.snapshot();
        let view = View::of_caller(&snapshot, &self.call.caller, self.ctx.clock.now())?;
        view.admit_at(EXPORT, &self.account).map(drop)
    }
}

/// Lines of many accounts take a while, which must not hold up a thread that serves others.
async fn work<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.into()))
}
