//! What a component exports, as far as it can be called from outside.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::types::ComponentFunc;

use crate::error::CallError;
use crate::link::without_version;

/// A function that a component serves.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    /// The instance with its version. Empty for a function of the component itself.
    pub(crate) instance: Arc<str>,
    pub(crate) function: Arc<str>,
    /// `None` when it is served by other means than its types, as `wasi:http/incoming-handler` is.
    pub(crate) ty: Option<ComponentFunc>,
}

impl Exported {
    /// As it is written to call it.
    pub(crate) fn name(&self) -> String {
        match &*self.instance {
            "" => self.function.to_string(),
            instance => format!("{instance}.{}", self.function),
        }
    }
}

/// The functions of one component. Filled while the component is started.
#[derive(Debug, Default)]
pub(crate) struct Exports(Mutex<Vec<Exported>>);

impl Exports {
    pub(crate) fn add(&self, exported: Exported) {
        self.lock().push(exported);
    }

    /// All of them, sorted by name.
    pub(crate) fn all(&self) -> Vec<Exported> {
        let mut all = self.lock().clone();
        all.sort_by(|a, b| (&a.instance, &a.function).cmp(&(&b.instance, &b.function)));
        all
    }

    /// The function `name` of the component `id`: `ns:pkg/iface.function`, with or without the interface's version, or
    /// `function` for one of the component itself.
    ///
    /// # Errors
    ///
    /// When there is none, or more than one.
    pub(crate) fn find(&self, id: &str, name: &str) -> Result<Exported, CallError> {
        let (instance, function) = match name.rsplit_once('.') {
            Some((instance, function)) if name.contains('/') => (instance, function),
            _ => ("", name),
        };
        let all = self.all();
        let mut fitting: Vec<_> = all
            .iter()
            .filter(|exported| {
                let known = &*exported.instance;
                &*exported.function == function
                    && (known == instance || without_version(known) == instance)
            })
            .collect();
        match (fitting.pop(), fitting.as_slice()) {
            (Some(exported), []) => Ok(exported.clone()),
            (None, _) => Err(CallError::NotExported {
                id: id.into(),
                function: name.into(),
                exports: all.iter().map(Exported::name).collect(),
            }),
            (Some(last), others) => {
                let fitting = others.iter().copied().chain([last]);
                Err(CallError::Ambiguous {
                    id: id.into(),
                    function: name.into(),
                    exports: fitting.map(Exported::name).collect(),
                })
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Exported>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
