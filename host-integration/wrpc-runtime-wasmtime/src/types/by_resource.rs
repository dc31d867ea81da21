//! What is known of resource types, found without looking through all of them.

use std::collections::HashMap;

use wasmtime::component::ResourceType;

/// A value for each of some resource types.
///
/// wasmtime compares them, and does not hash them. Equal ones have the same text, so they are found by that, and then
/// compared.
#[derive(Debug)]
pub(crate) struct ByResource<T>(HashMap<Box<str>, Vec<(ResourceType, T)>>);

impl<T> Default for ByResource<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> ByResource<T> {
    pub(crate) fn get(&self, ty: ResourceType) -> Option<&T> {
        if self.0.is_empty() {
            return None;
        }
        let same = self.0.get(&*text(ty))?;
        same.iter()
            .find(|(of, _)| *of == ty)
            .map(|(_, value)| value)
    }

    /// The value of `ty`, which is `new` when there is none.
    pub(crate) fn entry(&mut self, ty: ResourceType, new: impl FnOnce() -> T) -> &mut T {
        let same = self.0.entry(text(ty)).or_default();
        let at = match same.iter().position(|(of, _)| *of == ty) {
            Some(at) => at,
            None => {
                same.push((ty, new()));
                same.len() - 1
            }
        };
        &mut same[at].1
    }
}

fn text(ty: ResourceType) -> Box<str> {
    format!("{ty:?}").into()
}
