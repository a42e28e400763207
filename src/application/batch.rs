//! Many calls in one change: one lock, one transaction, one revision.
//!
//! Each item is done and judged as a call of its own would be, on top of those before it: the guard, the
//! rules and the ceiling see what earlier items made. One that is refused leaves nothing behind, and is
//! recorded as a refused call is. What concerns the service rather than an item ends the whole batch,
//! and then nothing of it is there.
//!
//! INVARIANT: answers stand in the order of the items, as many of them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serializer};

use super::context::{Call, Ctx};
use super::error::{Error, Result};
use super::refusals;
use super::write::Write;

/// After how many items other tasks of the thread get a turn. The lock is held meanwhile, so that it
/// is not after each.
const ITEMS_PER_TURN: usize = 16;

/// How an item that was refused is answered: bytes that the transport made. They are stored with the
/// result, so that a repetition is answered alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub Vec<u8>);

/// Words an error for the caller.
pub type Tell<'a> = &'a (dyn Fn(&Error) -> Refusal + Send + Sync);

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer<T> {
    Made(T),
    Refused(Refusal),
}

/// A batch in the making. Dropping it undoes everything.
pub(super) struct Batch<'a, T> {
    write: Write<'a>,
    ctx: &'a Ctx,
    call: &'a Call,
    tell: Tell<'a>,
    answers: Vec<Answer<T>>,
    refused: Vec<Error>,
}

impl<'a, T: Serialize + DeserializeOwned> Batch<'a, T> {
    pub(super) fn new(write: Write<'a>, call: &'a Call, tell: Tell<'a>, items: usize) -> Self {
        let ctx = write.ctx();
        Self { write, ctx, call, tell, answers: Vec::with_capacity(items), refused: Vec::new() }
    }

    /// Does one item, judges it, and describes what it made as it is then.
    ///
    /// # Errors
    /// Those that are not about the item.
    pub(super) async fn add<M>(
        &mut self,
        make: impl FnOnce(&mut Write<'a>) -> Result<M>,
        describe: impl FnOnce(&Write<'a>, M) -> Result<T>,
    ) -> Result<()> {
        let step = self.write.step();
        let made = make(&mut self.write);
        match self.write.settle(step, made) {
            Ok(made) => self.answers.push(Answer::Made(describe(&self.write, made)?)),
            Err(error) if error.is_about_the_request() => {
                self.answers.push(Answer::Refused((self.tell)(&error)));
                self.refused.push(error);
            }
            Err(error) => return Err(error),
        }
        if self.answers.len().is_multiple_of(ITEMS_PER_TURN) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Makes all of it last, and records what was refused, once the lock is free.
    ///
    /// # Errors
    /// As [`Write::commit`].
    pub(super) async fn commit(self) -> Result<Vec<Answer<T>>> {
        let done = self.write.commit(self.answers).await;
        for error in &self.refused {
            refusals::note_refused(self.ctx, self.call, error).await?;
        }
        done
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use base64::Engine as _;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        use base64::Engine as _;
        let text = String::deserialize(deserializer)?;
        base64::engine::general_purpose::STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}
