//! A warning for component IDs that flags name and that no component has.
//!
//! An ID that is mistyped is no error: the component may be deployed later. So it is looked at once
//! components have been there for a while: those of an application come in quick succession.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, Instant};
use tracing::warn;
use wrpc_transport_nats::local::{Local, Status};

/// For how long nothing new has come when it is looked.
const SETTLED: Duration = Duration::from_secs(60);

/// How often it is looked whether something has come.
const LOOK: Duration = Duration::from_secs(5);

/// An ID, and the flag that names it.
pub(crate) type Named = (&'static str, String);

/// Warns once of the IDs in `named` that no component has. It ends with the answer.
pub(crate) fn watch(named: Vec<Named>, local: Local) -> JoinSet<()> {
    let mut task = JoinSet::new();
    if !named.is_empty() {
        task.spawn(async move {
            let seen = settled(|| seen(&local.status())).await;
            for (flag, id) in unknown(&named, &seen) {
                let components = seen.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                warn!(
                    id,
                    components,
                    "`{flag}` names a component that has neither been served nor called here: is its ID mistyped?"
                );
            }
        });
    }
    task
}

/// What `seen` returns once it is something, and has been the same for a while.
async fn settled(seen: impl Fn() -> BTreeSet<String>) -> BTreeSet<String> {
    let (mut last, mut since) = (seen(), Instant::now());
    loop {
        if !last.is_empty() && since.elapsed() >= SETTLED {
            return last;
        }
        sleep(LOOK).await;
        let now = seen();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// The IDs of components that were served here, or called from here. With `off` they are known by their functions, too.
fn seen(status: &Status) -> BTreeSet<String> {
    let served = status.endpoints.iter().map(|it| &it.prefix);
    let all = served.chain(status.functions.iter().map(|it| &it.prefix));
    let ids = all.filter_map(|prefix| Some(prefix.rsplit_once('.')?.1.to_owned()));
    ids.collect()
}

fn unknown<'a>(named: &'a [Named], seen: &'a BTreeSet<String>) -> impl Iterator<Item = &'a Named> {
    named.iter().filter(|(_, id)| !seen.contains(id))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_once_no_more_components_come() {
        let start = Instant::now();
        let last = Cell::new(0);
        let seen = settled(|| {
            // None for ten minutes, then one every 30 seconds.
            let seconds = start.elapsed().as_secs();
            last.set(seconds.saturating_sub(600).div_ceil(30).min(4));
            (0..last.get()).map(|n| n.to_string()).collect()
        });
        assert_eq!(seen.await.len(), 4);
        assert!(start.elapsed() >= Duration::from_secs(690) + SETTLED);
    }

    #[test]
    fn what_no_component_has_is_unknown() {
        let named = [("--a", "callee".to_owned()), ("--b", "calee".to_owned())];
        let seen = BTreeSet::from(["callee".to_owned(), "other".to_owned()]);
        let unknown: Vec<_> = unknown(&named, &seen).collect();
        assert_eq!(unknown, [&named[1]]);
    }
}
