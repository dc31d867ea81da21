//! An instance for an invocation: one that waits for its next invocation, or a new one, now or when there is room for it.

use std::sync::Arc;

use anyhow::anyhow;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime_wasi::WasiView;

use crate::export::Export;
use crate::instance::{CallFailed, Instance, Step};
use crate::kept::{Kept, Ready};
use crate::limit::Since;
use crate::room::{is_no_room, PATIENCE};
use crate::view::WrpcView;

impl<T> Instance<T>
where
    T: WasiView + WrpcView + 'static,
{
    /// An instance for an invocation. `None` when there is no room for one, or others wait for room.
    pub(crate) async fn ready(
        &self,
        kept: Option<&Arc<Kept<T>>>,
        store: Option<Store<T>>,
    ) -> Option<anyhow::Result<Ready<T>>> {
        if self.room.has_line() {
            return None;
        }
        if let Some(ready) = kept.and_then(|kept| kept.take()) {
            return Some(Ok(ready));
        }
        match self.make(store).await {
            Err(error) if is_no_room(&error) => None,
            made => Some(made),
        }
    }

    /// Makes an instance.
    ///
    /// # Errors
    ///
    /// Those of wasmtime. When it says that there is no room ([`is_no_room`]), nothing has left this process.
    async fn make(&self, store: Option<Store<T>>) -> anyhow::Result<Ready<T>> {
        let mut store = store.unwrap_or_else(|| (self.store)());
        match self.pre.instantiate_async(&mut store).await {
            Ok(instance) => Ok(Ready::new(store, instance)),
            // Modules are made one after the other, and one that has started has called a peer: not to be done again.
            Err(error)
                if is_no_room(&error) && store.data_mut().shared_resources().has_called() =>
            {
                Err(anyhow!("{error:#}, and it has begun to start"))
            }
            Err(error) => Err(error),
        }
    }

    /// Waits in line for room, and makes an instance or takes one that waits.
    ///
    /// # Errors
    ///
    /// [`CallFailed`] with [`Step::NoRoom`] when that takes too long: nothing ran. With [`Step::Instantiate`] when it fails.
    #[cold]
    pub(crate) async fn wait_for_room(
        &self,
        since: Since,
        export: &Export,
        kept: Option<&Arc<Kept<T>>>,
    ) -> Result<Ready<T>, CallFailed> {
        let limit = self.limit.get().copied().flatten();
        let last = limit.and_then(|limit| since.plus(limit));
        let line = self.room.join();
        loop {
            let begun = Instant::now();
            let end = last.map_or(begun + PATIENCE, |last| last.min(begun + PATIENCE));
            let mut cause = None;
            if let Some(mut turn) = line.first(end).await {
                loop {
                    if let Some(ready) = kept.and_then(|kept| kept.take()) {
                        return Ok(ready);
                    }
                    self.room.give_back_idle();
                    match self.make(None).await {
                        Err(error) if is_no_room(&error) => cause = Some(error),
                        made => {
                            return made
                                .map_err(|error| CallFailed::new(export, Step::Instantiate, error))
                        }
                    }
                    if !turn.may_have_room(end).await {
                        break;
                    }
                }
            }
            // No one waits for a function without results, so nobody could make the call again. It goes to the end of the line.
            if !export.answers() && last.is_none_or(|last| Instant::now() < last) {
                continue;
            }
            let cause = cause.unwrap_or_else(|| anyhow!("others have waited for longer"));
            return Err(CallFailed::new(
                export,
                Step::NoRoom,
                no_room(begun, &cause),
            ));
        }
    }
}

/// Why there is no instance, after waiting since `begun`.
fn no_room(begun: Instant, cause: &anyhow::Error) -> anyhow::Error {
    let waited = begun.elapsed().as_secs_f32();
    anyhow!(
        "it has waited for {waited:.1} seconds ({cause:#}). `--max-components` of a host and `Limits::instances` of a lattice \
         say how many there can be; fewer are in use with a lower `max_instances` of the components"
    )
}
