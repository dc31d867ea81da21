//! Sets up in-host invocation and says so in the log.

use anyhow::Context as _;
use tracing::{info, warn};
use wasmcloud_host::WasmbusHostConfig;
use wrpc_runtime_wasmtime::reuse_instances;
use wrpc_transport_nats::local::{self, BackendKind, Mode};

use crate::args::LocalArgs;
use crate::updates::{Control, Updates};

/// Configures the transport; to be called once, before the host makes its first client.
///
/// # Errors
///
/// When the transport refuses the configuration.
pub(crate) fn install(args: &LocalArgs) -> anyhow::Result<()> {
    local::install(args.config()).context("cannot set up in-host invocation")?;
    reuse_instances(args.reuse.iter().cloned()).context("cannot set up the reuse of instances")?;
    for (id, calls) in &args.reuse {
        info!(
            id,
            calls, "an instance of the component serves up to so many invocations"
        );
    }
    let backend = args
        .backend
        .or_else(|| BackendKind::compiled_in().first().copied());
    let targets: Vec<_> = args
        .targets
        .iter()
        .map(|(id, mode)| format!("{id}={mode}"))
        .collect();
    let (mode, targets) = (args.mode, targets.join(","));
    match (is_off(args), backend) {
        (true, _) => info!(
            %mode,
            "in-host invocation is off: every call goes over NATS"
        ),
        (false, None) => info!(
            %mode,
            targets,
            "no in-host backend is compiled in: every call goes over NATS \
             (build with `--features duplex` or `--features mpsc`)"
        ),
        (false, Some(backend)) => info!(
            %mode,
            targets,
            %backend,
            buffer_bytes = args.buffer_bytes,
            queue_invocations = args.queue_invocations,
            queue_bytes = args.queue_bytes,
            "in-host invocation is on"
        ),
    }
    Ok(())
}

/// Whether no call is carried in memory, whatever its target.
fn is_off(args: &LocalArgs) -> bool {
    let mut modes = args.targets.iter().map(|(_, mode)| *mode);
    args.mode == Mode::Off && modes.all(|mode| mode == Mode::Off)
}

/// Makes updates of components take effect, for as long as the answer lives; see [`updates`](crate::updates).
///
/// A host that cannot have this is started all the same: it then does what a stock host does.
pub(crate) async fn watch_updates(
    args: &LocalArgs,
    config: &mut WasmbusHostConfig,
) -> Option<Updates> {
    let local = local::installed();
    if is_off(args) || local.config().backend.is_none() {
        return None;
    }
    let watch = Updates::watch(Control::of(config), local).await;
    watch
        .inspect_err(|error| {
            warn!("the update of a component to a new version will not take effect, as on a stock host: {error:#}");
        })
        .ok()
}
