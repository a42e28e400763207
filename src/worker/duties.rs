//! Tasks that the server cannot do without.
//!
//! INVARIANT: a task that ends for any reason, a panic included, makes itself known, so that a server
//! which lost a part does not look whole.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Tasks under watch.
#[derive(Debug, Default)]
pub struct Duties {
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    ended: CancellationToken,
}

impl Duties {
    /// Starts a task that is to go on until it is told to stop.
    pub fn start(&mut self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push((name, tokio::spawn(self.watched(work))));
    }

    /// The same work, whose end [`Duties::ended`] will tell.
    pub fn watched<F: Future + Send + 'static>(&self, work: F) -> impl Future<Output = F::Output> + Send + 'static {
        let guard = self.ended.clone().drop_guard();
        async move {
            let _guard = guard;
            work.await
        }
    }

    /// Cancelled when the first task ended.
    #[must_use]
    pub const fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Waits for the end of all tasks.
    ///
    /// # Errors
    /// Where one panicked, by its name.
    pub async fn join(self) -> anyhow::Result<()> {
        let mut failed = Vec::new();
        for (name, task) in self.tasks {
            if task.await.is_err() {
                failed.push(name);
            }
        }
        anyhow::ensure!(failed.is_empty(), "{} panicked", failed.join(", "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_duty_that_ends_or_panics_is_noticed() {
        let mut duties = Duties::default();
        duties.start("endless", std::future::pending());
        tokio::task::yield_now().await;
        assert!(!duties.ended().is_cancelled());

        let mut duties = Duties::default();
        duties.start("short", async {});
        duties.ended().cancelled().await;
        duties.join().await.unwrap();

        let mut duties = Duties::default();
        duties.start("broken", async { panic!("a fault") });
        duties.ended().cancelled().await;
        assert_eq!(duties.join().await.unwrap_err().to_string(), "broken panicked");
    }
}
