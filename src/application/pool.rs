//! Threads for work that takes long on the processor: hashing passwords, decoding pictures.
//!
//! INVARIANT: at most as many jobs run as there are threads and at most as many wait as the queue
//! holds. A job's permit travels with it: a caller who goes away frees nothing that still runs, and
//! what has not begun for it never does.
//!
//! The threads have a low priority, so that decisions come first on a machine that is busy.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How far the threads stand back, in steps of nice(2).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Why work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    #[error("too much work is waiting")]
    Full,
    #[error("the work broke off")]
    Broken,
}

/// A fixed number of threads with a bounded queue.
#[derive(Debug)]
pub struct Pool {
    name: &'static str,
    room: usize,
    queue: Option<mpsc::Sender<Job>>,
    permits: Arc<Semaphore>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where the operating system gives none.
    pub fn start(name: &'static str, threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        let start = |_| {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&jobs))
        };
        let threads = (0..threads.max(1)).map(start).collect::<std::io::Result<Vec<_>>>()?;
        let room = threads.len() + waiting;
        let permits = Arc::new(Semaphore::new(room));
        Ok(Self { name, room, queue: Some(queue), permits, threads })
    }

    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How many jobs run or wait.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.room.saturating_sub(self.permits.available_permits())
    }

    /// How many may run and wait.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.room
    }

    /// Does work on a thread of the pool.
    ///
    /// # Errors
    /// [`PoolError::Full`] at once where the queue is full; [`PoolError::Broken`] where the work
    /// panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| PoolError::Full)?;
        self.queue(permit, work).await
    }

    /// As [`Pool::run`], waiting until there is room: for work of which much comes at once and nobody
    /// waits for one piece alone. Its callers have one piece there at a time.
    ///
    /// # Errors
    /// [`PoolError::Broken`] where the work panicked.
    pub async fn run_in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| PoolError::Broken)?;
        self.queue(permit, work).await
    }

    async fn queue<T: Send + 'static>(
        &self,
        permit: OwnedSemaphorePermit,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || run(permit, answer, work));
        self.queue.as_ref().and_then(|queue| queue.send(job).ok()).ok_or(PoolError::Broken)?;
        answered.await.map_err(|_| PoolError::Broken)
    }
}

fn run<T>(permit: OwnedSemaphorePermit, answer: oneshot::Sender<T>, work: impl FnOnce() -> T) {
    if answer.is_closed() {
        return;
    }
    // A decoder that panics on a hostile picture must not take the thread along.
    let done = catch_unwind(AssertUnwindSafe(work));
    // Whoever has its answer finds the room that it left.
    drop(permit);
    if let Ok(done) = done {
        // A caller who has gone needs no answer.
        let _ = answer.send(done);
    }
}

fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    // On Linux this is the thread's own priority; elsewhere it would be that of the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(error = %error, "a thread keeps its priority");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
    }
}

impl Drop for Pool {
    /// Lets what runs and waits come to its end.
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // A job cannot end its thread by a panic, so that there is no fault to pass on.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_who_left_is_not_worked_for() {
        let pool = Arc::new(Pool::start("test", 1, 1).unwrap());
        let (go, wait) = mpsc::channel::<()>();
        let done = Arc::new(AtomicUsize::new(0));
        let count = |done: &Arc<AtomicUsize>| {
            let done = Arc::clone(done);
            move || done.fetch_add(1, Ordering::SeqCst)
        };
        let first = tokio::spawn({
            let (pool, done) = (Arc::clone(&pool), count(&done));
            async move {
                pool.run(move || {
                    wait.recv().unwrap();
                    done()
                })
                .await
            }
        });
        let second = tokio::spawn({
            let (pool, done) = (Arc::clone(&pool), count(&done));
            async move { pool.run(done).await }
        });
        while pool.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(count(&done)).await, Err(PoolError::Full));
        second.abort();
        assert!(second.await.is_err());
        assert_eq!(pool.permits.available_permits(), 0, "the permit stays with the job");
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(0));
        assert_eq!(pool.run(count(&done)).await, Ok(1), "the job of the one who left did not run");
    }

    #[tokio::test]
    async fn a_panic_leaves_the_thread_alive() {
        let pool = Pool::start("test", 1, 1).unwrap();
        assert_eq!(pool.run(|| -> u8 { panic!("a bad picture") }).await, Err(PoolError::Broken));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }
}
