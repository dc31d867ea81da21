//! The thread on which the unpatched transport runs.
//!
//! The transport's client receives all answers in one task and tells that task, through a channel, which answer
//! belongs to which call. The task looks at messages and at that channel in random order. On a runtime with
//! several threads, an answer can therefore be there before the task has heard of the call: it is dropped, and
//! the call hangs. That was met here about once in a hundred calls. On a runtime with one thread, connection
//! included, the task always hears of the call first: it is woken before the request goes out, and the answer
//! can only be read once it has run.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;

/// The thread's runtime. It is started when it is first used and lives as long as the process.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("wrpc".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("a thread can be started");
        handle
    })
}

/// Runs `work` on that thread. Dropping the future ends the work.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    let mut task = JoinSet::new();
    task.spawn_on(work, handle());
    match task.join_next().await {
        Some(result) => result?,
        None => unreachable!("a task was spawned"),
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[tokio::test(flavor = "multi_thread")]
    async fn work_runs_on_the_one_thread() {
        let name = || std::thread::current().name().map(str::to_owned);
        for _ in 0..2 {
            let found = run(async move { Ok(name()) }).await.unwrap();
            assert_eq!(found.as_deref(), Some("wrpc"));
        }
    }

    #[tokio::test]
    async fn dropping_the_future_ends_the_work() {
        let (alive, ended) = tokio::sync::oneshot::channel::<()>();
        let work = run(async move {
            let _alive = alive;
            std::future::pending::<anyhow::Result<()>>().await
        });
        tokio::select! {
            biased;
            _ = work => unreachable!("it never ends by itself"),
            () = tokio::task::yield_now() => {}
        }
        assert!(ended.await.is_err());
    }
}
