//! What the callee's own work costs: a statically typed call from Rust, on a fresh instance or on a warm one.
//!
//! A duration holds what happens from before a call until the next one could be made. For a fresh
//! instance that is: a store, an instance, the function, the call, and the end of the store. Making
//! what is sent, and comparing the answer with it, is outside.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Lift, Lower, TypedFunc};

use crate::callee::{Callee, Running};
use crate::protocol::{Floor, Run, Workload};
use crate::values::{bytes, order, strings, Order};

/// Lets all callers make their calls. Returns the duration of each call in nanoseconds, and that of it all.
///
/// # Errors
///
/// When a call fails, or its answer is not what it should be.
pub(crate) async fn run(callee: &Callee, run: Run) -> anyhow::Result<(Vec<u64>, Duration)> {
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..run.callers {
        callers.spawn(caller(callee.clone(), run));
    }
    let mut durations = Vec::new();
    while let Some(caller) = callers.join_next().await {
        durations.extend(caller??);
    }
    Ok((durations, start.elapsed()))
}

async fn caller(callee: Callee, run: Run) -> anyhow::Result<Vec<u64>> {
    let size = run.size;
    match run.workload {
        Workload::Ping => {
            let right = |call: u32, answer: &u32| *answer == call.wrapping_add(1);
            calls(&callee, &callee.ping, run, |call| call, right).await
        }
        Workload::Echo => {
            let sent = |call| bytes(size, call);
            let right = |call, answer: &Vec<u8>| *answer == bytes(size, call);
            calls(&callee, &callee.bytes, run, sent, right).await
        }
        Workload::Strings => {
            let sent = |call| strings(size, call);
            let right = |call, answer: &Vec<String>| *answer == strings(size, call);
            calls(&callee, &callee.strings, run, sent, right).await
        }
        Workload::Record => {
            let right = |call, answer: &Order| *answer == order(call);
            calls(&callee, &callee.record, run, order, right).await
        }
    }
}

/// The calls of one caller: of the function at `index`, with what `sent` makes for each, checked by `right`.
async fn calls<T>(
    callee: &Callee,
    index: &ComponentExportIndex,
    run: Run,
    sent: impl Fn(u32) -> T,
    right: impl Fn(u32, &T) -> bool,
) -> anyhow::Result<Vec<u64>>
where
    T: Send + Sync + 'static,
    (T,): ComponentNamedList + Lift + Lower,
{
    let mut warm = None;
    if run.floor == Floor::Warm {
        let mut running = callee.instantiate().await?;
        let function = running.function::<(T,), (T,)>(index)?;
        warm = Some((running, function));
    }
    let mut durations = Vec::with_capacity(run.calls as usize);
    for number in 0..run.calls {
        let value = sent(number);
        let start = Instant::now();
        let answer = match &mut warm {
            Some((running, function)) => call(running, function, value).await?,
            None => {
                let mut running = callee.instantiate().await?;
                let function = running.function(index)?;
                let answer = call(&mut running, &function, value).await?;
                drop(running);
                answer
            }
        };
        durations.push(start.elapsed().as_nanos() as u64);
        ensure!(right(number, &answer), "call {number}: a wrong answer");
    }
    Ok(durations)
}

async fn call<T>(
    running: &mut Running,
    function: &TypedFunc<(T,), (T,)>,
    value: T,
) -> anyhow::Result<T>
where
    T: Send + Sync + 'static,
    (T,): ComponentNamedList + Lift + Lower,
{
    let (answer,) = function.call_async(&mut running.store, (value,)).await?;
    function.post_return_async(&mut running.store).await?;
    Ok(answer)
}
