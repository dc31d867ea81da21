use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Error;
use tokio::io::AsyncWriteExt as _;
use tracing::Span;
use wasmtime::component::Val;
use wasmtime::Engine;
use wrpc_transport::Invoke as _;

use crate::client::{Client, Origin};
use crate::error::CallError;
use crate::exports::Exported;
use crate::value::{to_wave, Exchange, Signature};

/// A function of a component of a lattice, looked up once to be called any number of times.
///
/// A clone is the same one. It can be called until its lattice is stopped or dropped.
#[derive(Clone)]
pub struct Function(Arc<Resolved>);

struct Resolved {
    id: Arc<str>,
    exported: Exported,
    signature: Signature,
    client: Client,
    engine: Engine,
    limit: Duration,
}

impl Function {
    pub(crate) fn new(
        id: Arc<str>,
        exported: Exported,
        client: Client,
        engine: Engine,
        limit: Duration,
    ) -> Result<Self, CallError> {
        let signature = exported.ty.as_ref().and_then(Signature::of);
        let Some(signature) = signature else {
            return Err(CallError::NotPlain {
                id: id.to_string(),
                function: exported.name(),
            });
        };
        Ok(Self(Arc::new(Resolved {
            id,
            exported,
            signature,
            client,
            engine,
            limit,
        })))
    }

    /// Its full name: the interface with its version, and the function.
    pub fn name(&self) -> String {
        self.0.exported.name()
    }

    /// Its types, as WIT has them: `func(u32) -> u32`.
    pub fn signature(&self) -> String {
        self.0.signature.to_string()
    }

    /// Calls the function, as another component would: over the lattice's backend, in an instance of its own. Returns
    /// when the function has; a function without results answers nothing.
    ///
    /// The call waits while the component runs as many instances as it may.
    ///
    /// # Errors
    ///
    /// [`CallError::Arguments`], [`CallError::TimedOut`] and [`CallError::Failed`].
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the call is ended at its next await, or does not start.
    pub async fn call(&self, arguments: &[Val]) -> Result<Vec<Val>, CallError> {
        let Resolved {
            signature,
            client,
            engine,
            limit,
            ..
        } = &*self.0;
        let misfit = |detail: String| self.misfit(detail);
        let checked = signature.check_count(arguments.len());
        checked.map_err(|error| misfit(error.to_string()))?;
        let mut exchange = Exchange::new(engine, client.clone());
        let message = exchange
            .encode(signature, arguments)
            .map_err(|(number, error)| misfit(format!("argument {number}: {error:#}")))?;
        let called = async {
            let origin = Origin {
                source: None,
                link: None,
                span: Span::current(),
            };
            let Exported {
                instance, function, ..
            } = &self.0.exported;
            let no_paths: [Box<[Option<usize>]>; 0] = [];
            let invoked = client.invoke(origin, instance, function, message, no_paths);
            let (mut outgoing, mut incoming) = invoked.await?;
            // All parameters went with the invocation. Should the callee have gone by now, the results say why.
            let _ = outgoing.shutdown().await;
            exchange.decode(signature, &mut incoming).await
        };
        match tokio::time::timeout(*limit, called).await {
            Ok(results) => results.map_err(|error| self.failed(error)),
            Err(_) => Err(CallError::TimedOut {
                id: self.0.id.to_string(),
                function: self.name(),
                limit: *limit,
            }),
        }
    }

    /// As [`Function::call`], with arguments and results in the WAVE encoding: `42`, `"text"`, `{a: 1, b: [2, 3]}`.
    ///
    /// # Errors
    ///
    /// As [`Function::call`].
    ///
    /// # Cancel safety
    ///
    /// As [`Function::call`].
    pub async fn call_wave(&self, arguments: &[impl AsRef<str>]) -> Result<Vec<String>, CallError> {
        let parsed = self.0.signature.parse(arguments);
        let arguments = parsed.map_err(|error| self.misfit(error.to_string()))?;
        let results = self.call(&arguments).await?;
        let typed = self.0.signature.results.iter().zip(&results);
        typed
            .map(|(of, result)| {
                to_wave(&of.wave, result).map_err(|error| self.failed(error.into()))
            })
            .collect()
    }

    fn misfit(&self, detail: String) -> CallError {
        CallError::Arguments {
            function: self.name(),
            signature: self.signature(),
            detail,
        }
    }

    fn failed(&self, source: Error) -> CallError {
        CallError::Failed {
            id: self.0.id.to_string(),
            function: self.name(),
            source,
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function")
            .field("component", &self.0.id)
            .field("function", &self.0.exported)
            .finish_non_exhaustive()
    }
}

/// `inhost:demo/echo@0.1.0.ping: func(u32) -> u32`.
impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.exported.name(), self.0.signature)
    }
}
