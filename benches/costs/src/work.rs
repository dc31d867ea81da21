//! What is measured: so many calls or look-ups, one after the other, on one thread.

use std::hint::black_box;
use std::num::NonZeroUsize;

use anyhow::Context as _;
use clap::ValueEnum;
use inhost_lattice::{BackendKind, Function, Limits, Link, LocalLattice, Val, Wasm};
use inhost_registry::{Registration, Registry, Scope};
use tokio::runtime::{Builder, Runtime};

const CALLEE: &str = "inhost:costs/callee";

/// What an echo sends, in bytes. The memory of the caller has room for it.
const ECHO: u32 = 1024;

/// How many functions there are.
const FUNCTIONS: usize = 100;

/// What is done again and again. Each call gets an instance of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// A call with a number and back.
    Ping,
    /// As `ping`, over the other backend.
    PingMpsc,
    /// A call with 1 KiB and back.
    Echo,
    /// As `echo`, over the other backend.
    EchoMpsc,
    /// Looks each of a hundred functions up that are served here.
    LookUps,
}

impl Work {
    /// As on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Makes ready for it.
    ///
    /// # Errors
    ///
    /// When the components cannot be loaded.
    pub(crate) fn prepare(self) -> anyhow::Result<Prepared> {
        let (backend, function) = match self {
            Self::LookUps => return Ok(Prepared::LookUps(Served::new())),
            Self::Ping => (BackendKind::Duplex, "ping"),
            Self::PingMpsc => (BackendKind::Mpsc, "ping"),
            Self::Echo => (BackendKind::Duplex, "echo"),
            Self::EchoMpsc => (BackendKind::Mpsc, "echo"),
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let lattice = runtime.block_on(lattice(backend))?;
        let name = format!("inhost:costs/caller.{function}");
        let function = lattice.function("caller", &name)?;
        Ok(Prepared::Calls(Calls {
            echo: matches!(self, Self::Echo | Self::EchoMpsc),
            function,
            lattice,
            runtime,
        }))
    }
}

/// What is ready to be done.
pub(crate) enum Prepared {
    Calls(Calls),
    LookUps(Served),
}

impl Prepared {
    /// Does it `times` times.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub(crate) fn run(&self, times: u32) -> anyhow::Result<()> {
        match self {
            Self::Calls(calls) => calls.run(times),
            Self::LookUps(served) => served.look_up(times),
        }
    }

    /// Ends what runs.
    pub(crate) fn end(self) {
        if let Self::Calls(calls) = self {
            calls.runtime.block_on(calls.lattice.stop());
        }
    }
}

/// A component that calls another one.
pub(crate) struct Calls {
    function: Function,
    echo: bool,
    lattice: LocalLattice,
    runtime: Runtime,
}

impl Calls {
    fn run(&self, times: u32) -> anyhow::Result<()> {
        let mut arguments = vec![Val::U32(times)];
        if self.echo {
            arguments.push(Val::U32(ECHO));
        }
        self.runtime.block_on(self.function.call(&arguments))?;
        Ok(())
    }
}

async fn lattice(backend: BackendKind) -> anyhow::Result<LocalLattice> {
    let component = |text| wat::parse_str(text).map(Wasm::bytes);
    let one = NonZeroUsize::MIN;
    let lattice = LocalLattice::builder()
        .backend(backend)
        // What is reserved takes time, and most of it is never used here.
        .limits(Limits::default().with_instances(8))
        .component("caller", component(include_str!("caller.wat"))?)
        .component("callee", component(include_str!("callee.wat"))?)
        .max_instances("caller", one)
        .link(Link::new("caller", "callee", CALLEE));
    Ok(lattice.build().await?)
}

/// Functions that are served.
pub(crate) struct Served {
    registry: Registry<()>,
    scope: Scope,
    /// The prefix and the name of each function.
    names: Vec<(String, String)>,
    _functions: Vec<Registration<()>>,
}

impl Served {
    fn new() -> Self {
        let scope = Scope::new(std::sync::Arc::new(()));
        let registry = Registry::new();
        let client = registry.client();
        let names = (0..FUNCTIONS).map(|number| {
            let prefix = format!("default.component-{}", number / 10);
            (prefix, format!("function-{}", number % 10))
        });
        let names: Vec<_> = names.collect();
        let functions = names.iter().map(|(prefix, function)| {
            registry.register(scope.clone(), prefix, client, CALLEE, function, || ())
        });
        let functions = functions.collect();
        Self {
            registry,
            scope,
            names,
            _functions: functions,
        }
    }

    fn look_up(&self, times: u32) -> anyhow::Result<()> {
        // All of them: where one is found depends on numbers that are others in each process.
        let all = (0..times).flat_map(|_| &self.names);
        for (prefix, function) in all {
            // As the dispatcher looks.
            let view = self.registry.view();
            let found = view.get(&self.scope, black_box(prefix), CALLEE, function);
            black_box(found.context("a function that is served was not found")?);
        }
        Ok(())
    }
}
