//! Instances in the middle of a call that does not end, to see what memory they take.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;

use anyhow::{bail, Context as _};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};
use wasmtime::Engine;

use crate::callee::{function, ECHO};
use crate::engine::{linker, store, State};

/// The interface that the caller exports.
const DRIVER: &str = "inhost:demo/driver@0.1.0";

/// How long the callee is asked to wait: longer than any measurement takes.
const WAIT_MS: u32 = 3_600_000;

type Call = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A component, and calls of it that have begun. They end when this is dropped.
pub(crate) struct Parked {
    file: PathBuf,
    engine: Engine,
    pre: InstancePre<State>,
    function: ComponentExportIndex,
    calls: Vec<Call>,
}

impl Parked {
    /// Compiles the component in `file`.
    ///
    /// # Errors
    ///
    /// When it exports neither `echo` nor `driver`.
    pub(crate) fn load(engine: Engine, file: PathBuf) -> anyhow::Result<Self> {
        let component = Component::from_file(&engine, &file)
            .with_context(|| format!("cannot compile {}", file.display()))?;
        let (interface, name) = match component.export_index(None, ECHO) {
            Some(_) => (ECHO, "wait"),
            None => (DRIVER, "call-wait"),
        };
        let function = function(&component, interface, name)?;
        let pre = linker(&engine, &component)?.instantiate_pre(&component)?;
        Ok(Self {
            file,
            engine,
            pre,
            function,
            calls: Vec::new(),
        })
    }

    /// Whether it is the component in `file`.
    pub(crate) fn is_of(&self, file: &Path) -> bool {
        self.file == file
    }

    /// How many calls have begun.
    pub(crate) fn count(&self) -> usize {
        self.calls.len()
    }

    /// Begins `count` more calls, each in a store and an instance of its own.
    ///
    /// # Errors
    ///
    /// When a call ends at once.
    pub(crate) async fn park(&mut self, count: u32) -> anyhow::Result<()> {
        for _ in 0..count {
            let mut call = begin(self.engine.clone(), self.pre.clone(), self.function);
            // Once is enough: nothing that happens before the wait has to be waited for.
            let ended = std::future::poll_fn(|context| {
                Poll::Ready(match call.as_mut().poll(context) {
                    Poll::Ready(result) => Some(result),
                    Poll::Pending => None,
                })
            });
            if let Some(result) = ended.await {
                result?;
                bail!("a call that should have waited has ended");
            }
            self.calls.push(call);
        }
        Ok(())
    }
}

fn begin(engine: Engine, pre: InstancePre<State>, index: ComponentExportIndex) -> Call {
    Box::pin(async move {
        let mut store = store(&engine);
        let instance = pre.instantiate_async(&mut store).await?;
        let function = instance.get_typed_func::<(u32,), (u32,)>(&mut store, index)?;
        function.call_async(&mut store, (WAIT_MS,)).await?;
        Ok(())
    })
}
