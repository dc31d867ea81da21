//! `cargo xtask wash`: the published `wash` and `wadm` drive this host, as a user's would.
//!
//! [`program`] builds them, [`user`] types the commands, [`scenes`] and [`app`] say which, and [`checks`] what came of
//! it.

mod app;
mod checks;
mod program;
mod scenes;
mod user;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use inhost_measure::host::{given, HostArguments};
use inhost_testbed::{block_on, start_nats, until_asked_to_end, Interrupted};

use self::checks::Checks;
use self::scenes::Stage;

/// How long a scene takes on a small machine.
const IN_MEMORY: Duration = Duration::from_secs(40);
const OFF: Duration = Duration::from_secs(20);
const HTTP_SERVER: Duration = Duration::from_secs(20);
const APP: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    host: HostArguments,

    /// Run this wash, of version 0.38, instead of building one
    #[arg(long, value_name = "FILE")]
    wash: Option<PathBuf>,

    /// Run this wadm, of version 0.20.0, instead of building one
    #[arg(long, value_name = "FILE", conflicts_with = "no_wadm")]
    wadm: Option<PathBuf>,

    /// Leave out what needs wadm
    #[arg(long)]
    no_wadm: bool,
}

/// The programs that take part.
#[derive(Debug)]
struct Programs {
    host: PathBuf,
    wash: PathBuf,
    wadm: Option<PathBuf>,
}

/// Builds what is needed, and has `wash` drive the host.
///
/// An error when something was not as it should be.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let programs = Programs {
        wash: given(arguments.wash.as_deref(), program::wash)?,
        wadm: match arguments.no_wadm {
            true => None,
            false => Some(given(arguments.wadm.as_deref(), program::wadm)?),
        },
        host: arguments.host.binary()?,
    };
    let passed = block_on(until_asked_to_end(play(&programs)))?.ok_or(Interrupted)?;
    println!("\n{passed} passed, 0 failed");
    Ok(())
}

/// Plays all scenes, and returns how many checks have passed. The first that fails is the error.
async fn play(programs: &Programs) -> anyhow::Result<usize> {
    let nats = start_nats().await?;
    let app_planned = programs.wadm.as_ref().map_or(Duration::ZERO, |_| APP);
    let mut checks = Checks::start(IN_MEMORY + OFF + HTTP_SERVER + app_planned);
    let stage = Stage {
        wash: &programs.wash,
        host: &programs.host,
        nats: &nats,
    };
    let scenes = async {
        checks.scene("a host from start to end", IN_MEMORY);
        scenes::in_memory(&stage, &mut checks).await?;
        checks.scene("in-host invocation off", OFF);
        scenes::off(&stage, &mut checks).await?;
        checks.scene("the built-in HTTP server", HTTP_SERVER);
        scenes::http_server(&stage, &mut checks).await?;
        if let Some(wadm) = &programs.wadm {
            checks.scene("an application, with wadm", app_planned);
            app::app(&stage, wadm, &mut checks).await?;
        }
        Ok(())
    };
    let result: anyhow::Result<()> = scenes.await;
    if result.is_err() {
        checks.fail();
    }
    result?;
    let passed = checks.finish();
    nats.stop().await?;
    Ok(passed)
}
