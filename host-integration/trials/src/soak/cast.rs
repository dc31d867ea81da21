//! The components of a run: who calls, who is called, and how both are reached.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _};
use inhost_testbed::{
    reference, write_computing, Deployment, Driver, Guest, Handler, Link, Peer, Tally, Upload,
    CALLEE, CALLER, HTTP,
};

/// The caller whose calls pass through [`MIDDLE`].
const CHAIN: &str = "chain-caller";

/// The component between that caller and the callee.
const MIDDLE: &str = "middle";

/// Takes the streams that [`HTTP`] passes on.
const SINK: &str = "sink";

/// Those of the two handlers: who calls, and who is called.
const MESSAGING: [&str; 2] = ["messaging-caller", "messaging-callee"];
const KEYVALUE: [&str; 2] = ["keyvalue-caller", "keyvalue-callee"];

/// Who calls one that computes, and who is called.
const COMPUTING: [&str; 2] = ["computing-caller", "computing-callee"];

/// What the callees tell of their calls.
const TALLY: &str = "tally";

/// All components. What calls comes before what is called.
pub(super) const COMPONENTS: [&str; 12] = [
    CHAIN,
    CALLER,
    MIDDLE,
    CALLEE,
    HTTP,
    SINK,
    MESSAGING[0],
    MESSAGING[1],
    KEYVALUE[0],
    KEYVALUE[1],
    COMPUTING[0],
    COMPUTING[1],
];

/// The ids of calls that are made to see whether who is called answers. No call of the plan has one of them.
const PROBE: u64 = 1;

/// Those of which instances may be kept: they are called often.
pub(super) const CALLED_OFTEN: [&str; 2] = [CALLEE, MIDDLE];

/// Those who make calls when they are asked to.
#[derive(Clone, Debug)]
pub(super) struct Callers {
    /// Calls the callee.
    pub(super) direct: Driver,
    /// Calls a component that calls the callee.
    pub(super) chain: Driver,
    /// Calls one that computes.
    pub(super) computing: Driver,
    /// Call a handler each.
    pub(super) messaging: Peer,
    pub(super) keyvalue: Peer,
    /// Where a component takes streams that it passes on.
    pub(super) streams: SocketAddr,
}

impl Callers {
    /// The most calls of components that [`Callers::probe`] makes, what the callees tell of them included.
    pub(super) const PROBE_CALLS: u64 = 9;

    /// Whether all that is called answers.
    ///
    /// # Errors
    ///
    /// When something does not.
    pub(super) async fn probe(&self) -> anyhow::Result<()> {
        for driver in [&self.direct, &self.computing] {
            pinged(driver, 1).await?;
        }
        handled(&self.messaging, PROBE).await?;
        handled(&self.keyvalue, PROBE).await?;
        Upload::send(self.streams, PROBE, 0).await
    }
}

/// Has `driver` call `ping(n)`.
///
/// # Errors
///
/// When the call fails, or when its answer is not the right one.
pub(super) async fn pinged(driver: &Driver, n: u32) -> anyhow::Result<()> {
    let answer = driver.ping(n).await?;
    ensure!(answer == n + 1, "ping({n}) is answered with {answer}");
    Ok(())
}

/// Has `caller` call its handler with `id`.
///
/// # Errors
///
/// When the call fails, or when its answer is not the right one.
pub(super) async fn handled(caller: &Peer, id: u64) -> anyhow::Result<()> {
    let (is_right,): (bool,) = caller.call(Handler::CALL, "call", (id,)).await?;
    ensure!(is_right, "the handler's answer is wrong");
    Ok(())
}

/// A component that is called, to be restarted, updated and scaled.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) id: &'static str,
    file: PathBuf,
}

impl Target {
    /// The reference by which it is started.
    ///
    /// # Errors
    ///
    /// When its file is missing.
    pub(super) fn reference(&self) -> anyhow::Result<String> {
        reference(&self.file)
    }

    /// A reference to the same code in another file, in `folder`.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    pub(super) fn copy_to(&self, folder: &Path, number: usize) -> anyhow::Result<String> {
        let file = folder.join(format!("{}-{number}.wasm", self.id));
        std::fs::copy(&self.file, &file)
            .with_context(|| format!("cannot copy {}", self.file.display()))?;
        reference(&file)
    }
}

/// All components of a run, deployed and linked.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) callers: Callers,
    /// What is called.
    pub(super) targets: Vec<Target>,
    pub(super) tally: Tally,
}

impl Cast {
    /// Starts all components, those that only call with as many instances as there can be calls and the others with
    /// `called`, and links them. `folder` is for the files of some of them.
    pub(super) async fn deploy(
        deployment: &Deployment,
        instances: u32,
        called: u32,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let target = |id, file| Target { id, file };
        let mut targets = vec![
            target(CALLEE, Guest::Callee.path()),
            target(SINK, Guest::Streamer.path()),
            target(COMPUTING[1], write_computing(folder)?),
        ];
        let mut started = vec![
            (Guest::Middle.reference()?, MIDDLE, called),
            // Besides the calls, there is who asks whether the callee answers.
            (Guest::Caller.reference()?, CALLER, instances + 1),
            (Guest::Caller.reference()?, CHAIN, instances),
            (Guest::Caller.reference()?, COMPUTING[0], instances + 1),
        ];
        for (handler, [caller, callee]) in [
            (Handler::MESSAGING, MESSAGING),
            (Handler::KEYVALUE, KEYVALUE),
        ] {
            let [calls, called] = handler.write_to(folder, caller)?;
            started.push((reference(&calls)?, caller, instances + 1));
            targets.push(target(callee, called));
            let (package, interface) = handler.link;
            let link = Link::new(caller, callee, package, interface);
            deployment.control().link_put(&link).await?;
        }
        for target in &targets {
            started.push((target.reference()?, target.id, called));
        }
        for (reference, id, count) in started {
            let host = deployment.host();
            deployment.deploy_on(host, &reference, id, count).await?;
        }
        let streams = deployment
            .deploy_http_as(deployment.host(), &Guest::Streamer.reference()?)
            .await?;
        for (source, target, interface) in [
            (CALLER, CALLEE, "echo"),
            (CHAIN, MIDDLE, "echo"),
            (MIDDLE, CALLEE, "echo"),
            (COMPUTING[0], COMPUTING[1], "echo"),
            (HTTP, SINK, "pipe"),
            (SINK, TALLY, "tally"),
            (MESSAGING[1], TALLY, "tally"),
            (KEYVALUE[1], TALLY, "tally"),
        ] {
            deployment.link(source, target, interface).await?;
        }
        Ok(Self {
            callers: Callers {
                direct: deployment.driver().await?,
                chain: Driver::new(deployment.peer(CHAIN).await?),
                computing: Driver::new(deployment.peer(COMPUTING[0]).await?),
                messaging: deployment.peer(MESSAGING[0]).await?,
                keyvalue: deployment.peer(KEYVALUE[0]).await?,
                streams,
            },
            targets,
            tally: Tally::serve(deployment.client(), deployment.lattice(), TALLY).await?,
        })
    }
}
