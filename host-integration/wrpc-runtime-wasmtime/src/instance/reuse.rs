//! Which components of this process may have their instances serve more than one invocation.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::OnceLock;

/// By component ID, how many invocations an instance serves.
static REUSE: OnceLock<HashMap<String, NonZeroU32>> = OnceLock::new();

/// The process has a choice of components already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("which components reuse their instances is chosen once in a process")]
pub struct AlreadyChosen;

/// Chooses the components whose instances serve up to a number of invocations each, by component ID (what follows the
/// last dot of a wRPC prefix). Without this, and for all other components, each invocation has a new instance.
///
/// It holds for functions that are served with [`ServeExt::serve_function`](crate::ServeExt::serve_function) from here
/// on; what it means is with [`Instance::reuse`](crate::Instance::reuse).
///
/// # Errors
///
/// [`AlreadyChosen`] when it was called before.
pub fn reuse_instances(
    components: impl IntoIterator<Item = (String, NonZeroU32)>,
) -> Result<(), AlreadyChosen> {
    let components = components.into_iter().collect();
    REUSE.set(components).map_err(|_| AlreadyChosen)
}

/// How many invocations an instance of the component under `prefix` serves, if it was chosen.
pub(crate) fn of(prefix: &str) -> Option<NonZeroU32> {
    let id = prefix.rsplit_once('.').map_or(prefix, |(_, id)| id);
    REUSE.get()?.get(id).copied()
}
